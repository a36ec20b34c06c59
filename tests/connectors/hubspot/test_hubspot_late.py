"""What comes late from HubSpot: changes by a clock that is behind ours, and an index that still tells old versions."""

from __future__ import annotations

from typing import Any

import pytest
from hubspot_account import Stage
from hubspot_crm import HOUR, MINUTE, SECOND, WON, Crm, held


@pytest.mark.parametrize("ahead", [0, 5, 90], ids=lambda minutes: f"{minutes} min ahead")
@pytest.mark.parametrize("what", ["contacts", "deals", "forms"])
def test_a_clock_that_is_ahead_of_hubspots_passes_nothing_over(stage: Stage, what: str, ahead: int) -> None:
    crm = Crm(stage)
    ada = crm.sandbox.add_contact("ada@example.com")
    deal, form = crm.sandbox.add_deal(contacts=[ada]), crm.sandbox.add_form("Demo")

    def pull() -> list[Any]:
        pages = list(crm.source(what).pull(crm.cursor, crm.now + ahead * MINUTE))
        crm.cursor = pages[-1].cursor
        until = pages[-1].complete_until
        assert until is not None
        assert until <= crm.now, "more has not happened at HubSpot"
        return [one for page in pages for one in page.records]

    crm.now += HOUR
    pull()
    crm.now += MINUTE
    crm.sandbox.set_property(ada, lifecyclestage="customer")
    crm.sandbox.move_deal(deal, WON)
    crm.sandbox.submit_form(form, {"email": "ada@example.com"})
    crm.now += HOUR
    assert pull()


def test_what_is_deleted_while_a_clock_is_ahead_is_known(stage: Stage) -> None:
    crm = Crm(stage)
    ada = crm.sandbox.add_contact("ada@example.com")
    deal = crm.sandbox.add_deal(contacts=[ada], stage=WON, amount="900")
    crm.now += HOUR
    has: dict[str, Any] = {}
    for gone in (False, True):
        pages = list(crm.source("deals").pull(crm.cursor, crm.now + 90 * MINUTE))
        crm.cursor, has = pages[-1].cursor, held(pages, has)
        assert bool(has) is not gone
        if not gone:
            crm.now += MINUTE
            crm.sandbox.delete_deal(deal)
            crm.now += 7 * HOUR


def test_an_older_version_that_the_search_still_tells_hides_no_newer_one(stage: Stage) -> None:
    """The list of all, which a first reading goes by, knows at once what the search learns late."""
    crm = Crm(stage, index_lag=45 * SECOND)
    ada = crm.sandbox.add_contact("ada@example.com", lifecyclestage="lead")
    crm.now += 30 * SECOND
    crm.sandbox.set_property(ada, lifecyclestage="customer")
    told = [
        fact.facts["lifecycle_stage"]
        for after in (SECOND, 31 * SECOND, MINUTE, 5 * MINUTE)
        for fact in crm.facts(after=after)
    ]
    assert told == ["customer"]
