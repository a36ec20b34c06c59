"""HubSpot on both ends: what is read of an account that is also written to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from installation import GRANTED, SETTINGS, Installation, Stage, event
from leadup.clock import parse_instant

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
macro_conversions:
  deal_won: {event: deal_won, value: {property: amount, currency: currency}}
scores:
  intent: {half_life: 365d, points: {video: 40}}
segments:
  watched:
    when: {all: [{did: video, within: 30d}, {person: {lifecycle_stage: {ne: customer}}}]}
    activate: [hubspot]
properties:
  leadup_score: {score: intent, activate: [hubspot]}
conversions:
  won: {on: deal_won, activate: [google_ads]}
"""
READ = SETTINGS.replace("[connections.hubspot]\n", '[connections.hubspot]\nread = ["contacts", "deals"]\n')
START: datetime = parse_instant("2026-03-08T12:00:00Z")
MINUTE = timedelta(minutes=1)
LIST = "leadup: watched"


class Loop:
    """An installation that reads HubSpot, whose clock is the installation's."""

    def __init__(self, site: Installation) -> None:
        self.site, self.hubspot, self.now = site, site.hubspot, START
        self.hubspot.clock = lambda: self.now
        self.hubspot.limits.searches = 1_000
        self.ada = self.hubspot.add_contact("ada@example.com", lifecyclestage="lead")
        watched = event("e1", "video_progress", "2026-03-08T11:00:00Z", email="ada@example.com", consent=GRANTED)
        site.drop([watched])
        site.rules(RULES)

    def sync(self, after: timedelta = 2 * MINUTE) -> Any:
        self.now += after
        done = self.site.sync(self.now)
        assert done.errors == {}
        return done

    def worth(self) -> list[list[float]]:
        """What Google was told of each conversion, value by value."""
        self.site.settle(self.now)
        held = self.site.google.state()["conversions"].get("7002", {})
        return [[each["value"] for each in one["history"]] for one in held.values()]


@pytest.fixture
def make(tmp_path: Path, stages: tuple[Stage, Stage]) -> Callable[[str], Installation]:
    hubspot, google = stages
    return lambda settings: Installation(tmp_path, hubspot.play(), google.play(), settings)


@pytest.fixture
def loop(make: Callable[[str], Installation]) -> Loop:
    return Loop(make(READ))


def test_what_leadup_writes_itself_comes_back_and_is_no_news(loop: Loop) -> None:
    first = loop.sync()
    assert first.ticked.judged > 0
    assert loop.hubspot.contact(loop.ada)["leadup_score"] == "39", "which changes the contact"
    echo = loop.sync()
    assert (echo.taken["hubspot"].facts, echo.ticked.judged) == (0, 0)


def test_a_stage_set_in_hubspot_and_an_opt_out_take_people_out_at_once(loop: Loop) -> None:
    loop.sync()
    assert loop.hubspot.members(LIST) == {loop.ada}
    loop.hubspot.set_property(loop.ada, lifecyclestage="customer")
    loop.sync()
    assert loop.hubspot.members(LIST) == set()
    loop.hubspot.set_property(loop.ada, lifecyclestage="")
    loop.sync()
    assert loop.hubspot.members(LIST) == {loop.ada}
    loop.hubspot.opt_out(loop.ada)
    loop.sync()
    assert loop.hubspot.members(LIST) == set()


def test_a_deal_is_one_conversion_whatever_becomes_of_it(loop: Loop) -> None:
    deal = loop.hubspot.add_deal(amount="900", contacts=[loop.ada])
    loop.sync()
    assert loop.worth() == []
    loop.hubspot.move_deal(deal, "closedwon")
    loop.sync()
    assert loop.worth() == [[900]]
    loop.hubspot.set_deal(deal, amount="1200")
    loop.sync()
    assert loop.worth() == [[900, 1200]]
    loop.hubspot.move_deal(deal, "contractsent")
    loop.sync()
    assert loop.worth() == [[900, 1200, 0]]
    loop.hubspot.move_deal(deal, "closedwon")
    loop.sync()
    assert loop.worth() == [[900, 1200, 0, 1200]]


def test_who_was_erased_is_not_brought_back(loop: Loop) -> None:
    loop.hubspot.add_deal(stage="closedwon", amount="900", contacts=[loop.ada])
    loop.sync()
    erased = loop.site.cli("people", "erase", "ada@example.com", "--yes", now=f"{loop.now:%Y-%m-%dT%H:%M:%SZ}")
    assert erased.exit_code == 0, erased.output
    loop.hubspot.set_property(loop.ada, lifecyclestage="opportunity")
    done = loop.sync()
    assert (done.taken["hubspot"].suppressed, done.taken["hubspot"].facts) == (1, 0)
    app = loop.site.app()
    with app.store.read() as connection:
        assert app.log.names(connection) == {}
    app.store.close()


def test_a_connection_that_is_only_written_to_is_not_read_and_holds_nothing_back(
    make: Callable[[str], Installation],
) -> None:
    app = make(SETTINGS).app()
    assert (app.feeds, list(app.sources)) == (["site"], ["site"])
    app.store.close()
    both = make(READ).app()
    assert both.feeds == ["site", "hubspot"]
    both.store.close()
