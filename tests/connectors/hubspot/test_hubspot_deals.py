"""What deals tell: stages, wins and losses as events of one contact, revised and taken back as people edit them."""

from __future__ import annotations

import pytest
from hubspot_account import Stage
from hubspot_crm import CONTRACT, DAY, HOUR, LAG, LOST, MEETING, MINUTE, NOON, SECOND, WON, Crm, held, of, of_each_api

from leadup.types import Event, Kind
from leadup_connectors.hubspot.reading import deals


@pytest.fixture
def ada(crm: Crm) -> str:
    contact: str = crm.sandbox.add_contact("ada@example.com", hs_google_click_id="Cj0-ada")
    return contact


def named(events: list[Event], name: str) -> Event:
    (found,) = [event for event in events if event.name == name]
    return found


@of_each_api
def test_a_won_deal_is_an_event_of_its_contact_with_value_and_click_id(crm: Crm, ada: str) -> None:
    deal = crm.sandbox.add_deal("Tidewater", amount="12400", contacts=[ada])
    crm.now += 3 * DAY
    crm.sandbox.move_deal(deal, WON)
    won = crm.now
    event = named(crm.events(), "deal_won")
    assert (event.id, event.at) == (f"deal-{deal}-won", won)
    assert (of(event, Kind.HUBSPOT_ID), of(event, Kind.EMAIL)) == ([ada], ["ada@example.com"])
    assert event.click_ids == {"gclid": "Cj0-ada"}
    assert event.properties == {
        "deal_id": deal,
        "stage": WON,
        "stage_label": "Closed won",
        "pipeline": "default",
        "pipeline_label": "Sales Pipeline",
        "amount": "12400",
        "currency": "EUR",
    }


def test_each_stage_that_a_deal_entered_is_an_event_though_nobody_looked_meanwhile(crm: Crm, ada: str) -> None:
    began = crm.now
    deal = crm.sandbox.add_deal(contacts=[ada])
    for passed in (CONTRACT, LOST):
        crm.now += HOUR
        crm.sandbox.move_deal(deal, passed)
    events = crm.events()
    stages = [(event.properties["stage"], event.at) for event in events if event.name == "deal_stage"]
    assert stages == [(MEETING, began), (CONTRACT, began + HOUR), (LOST, began + 2 * HOUR)]
    assert named(events, "deal_lost").at == began + 2 * HOUR


def test_with_contacts_read_beside_a_deal_goes_by_the_record_id_alone(crm: Crm, ada: str) -> None:
    """So an edited address does not change the deal's events: the contact's own facts say who it is."""
    crm.sandbox.add_deal(stage=WON, contacts=[ada])
    records = [one for page in crm.pull("contacts", "deals") for one in page.records]
    (won,) = [one for one in records if isinstance(one, Event) and one.name == "deal_won"]
    assert [one.kind for one in won.identifiers] == [Kind.HUBSPOT_ID]


def test_another_amount_revises_the_same_event(crm: Crm, ada: str) -> None:
    deal = crm.sandbox.add_deal(stage=WON, amount="100", contacts=[ada])
    before = named(crm.events(), "deal_won")
    crm.sandbox.set_deal(deal, amount="120")
    after = named(crm.events(), "deal_won")
    assert (before.id, before.at, before.properties["amount"]) == (after.id, after.at, "100")
    assert after.properties["amount"] == "120"


def test_a_won_deal_that_is_open_again_is_taken_back_and_one_that_is_lost_turns(crm: Crm, ada: str) -> None:
    deal = crm.sandbox.add_deal(stage=WON, contacts=[ada])
    has = held(crm.pull("deals"))
    assert f"deal-{deal}-won" in has
    crm.sandbox.move_deal(deal, CONTRACT)
    has = held(crm.pull("deals"), has)
    assert not {f"deal-{deal}-won", f"deal-{deal}-lost"} & has.keys()
    crm.sandbox.move_deal(deal, LOST)
    assert f"deal-{deal}-lost" in held(crm.pull("deals"), has)


@of_each_api
def test_a_deal_without_a_contact_is_shown_and_counts_once_it_has_one(crm: Crm, ada: str) -> None:
    deal = crm.sandbox.add_deal(stage=WON, amount="900")
    pages = crm.pull("deals")
    assert held(pages) == {}
    (rejected,) = [one for page in pages for one in page.rejected]
    assert (rejected.place, "no contact" in rejected.reason) == (f"deals/{deal}", True)
    assert crm.pull("deals")[0].rejected == (), "said once"
    crm.sandbox.associate(deal, ada)  # of which the deal's last change need not tell
    assert named(crm.events(), "deal_won").properties["amount"] == "900"
    crm.requests()
    crm.pull("deals")
    assert crm.requests("/associations/deals/contacts/batch/read") == 0, "nobody waits any more"


def test_deals_without_a_contact_are_looked_at_in_turns(crm: Crm, ada: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deals, "LOOKED_AT", 2)
    lonely = [crm.sandbox.add_deal(stage=WON) for _ in range(5)]
    assert held(crm.pull("deals")) == {}, "and two of them have been looked at already"
    for deal in lonely:
        crm.sandbox.associate(deal, ada)
    found = [{event.id for event in crm.events() if event.name == "deal_won"} for _ in range(3)]
    assert [len(each) for each in found] == [2, 2, 1]
    assert set().union(*found) == {f"deal-{deal}-won" for deal in lonely}


def test_that_too_many_deals_have_no_contact_is_said(crm: Crm, ada: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deals, "MOST_WAITING", 3)
    lonely = []
    for _ in range(4):
        crm.now += SECOND
        lonely.append(crm.sandbox.add_deal())
    pages = crm.pull("deals", page_size=2)
    assert [(one.place, "no contact" in one.reason) for page in pages for one in page.rejected] == [("deals", True)]
    for deal in lonely:
        crm.sandbox.associate(deal, ada)
    assert {event.properties["deal_id"] for event in crm.events()} == set(lonely[1:])
    crm.sandbox.move_deal(lonely[0], WON)
    assert named(crm.events(), "deal_won").properties["deal_id"] == lonely[0], "each change is a look at it"


@of_each_api
def test_a_deal_of_many_contacts_is_one_event(crm: Crm, ada: str) -> None:
    grace, emmy = (crm.sandbox.add_contact(f"{name}@example.com") for name in ("grace", "emmy"))
    deal = crm.sandbox.add_deal(stage=WON, contacts=[emmy, grace, ada])
    assert of(named(crm.events(), "deal_won"), Kind.HUBSPOT_ID) == [ada], "who has been known longest"
    crm.sandbox.associate(deal, grace, "Primary contact")
    crm.sandbox.set_deal(deal, amount="1")
    assert of(named(crm.events(), "deal_won"), Kind.HUBSPOT_ID) == [grace]


def test_a_deal_that_was_over_before_hubspot_had_it_is_dated_by_its_closing_date(crm: Crm, ada: str) -> None:
    """An import brings the deals of years; none of them was won on the day of the import."""
    crm.sandbox.add_deal(stage=WON, closedate="2025-06-30T10:00:00Z", contacts=[ada])
    assert f"{named(crm.events(), 'deal_won').at:%Y-%m-%d}" == "2025-06-30"


def test_an_expected_closing_date_does_not_date_a_win(crm: Crm, ada: str) -> None:
    deal = crm.sandbox.add_deal(closedate="2026-12-31T00:00:00Z", contacts=[ada])
    crm.now += DAY
    crm.sandbox.set_deal(deal, dealstage=WON, closedate="2026-12-31T00:00:00Z")
    assert named(crm.events(), "deal_won").at == crm.now - LAG


def test_a_deal_that_can_not_be_read_is_rejected_with_the_reason_and_stops_no_other(crm: Crm, ada: str) -> None:
    broken, whole = (crm.sandbox.add_deal(stage=WON, contacts=[ada]) for _ in range(2))
    crm.sandbox._deals.values[broken]["closedate"] = "soon"
    pages = crm.pull("deals")
    assert f"deal-{whole}-won" in held(pages)
    (rejected,) = [one for page in pages for one in page.rejected]
    assert (rejected.place, rejected.reason) == (f"deals/{broken}", "closedate: 'soon' is no instant")


def test_stages_of_all_pipelines_are_known(crm: Crm, ada: str) -> None:
    crm.sandbox.add_pipeline("renewals", "Renewals", {"r1": ("Renewed", 1, True), "r0": ("Churned", 0, True)})
    crm.sandbox.add_deal(stage="r1", contacts=[ada])
    assert named(crm.events(), "deal_won").properties["pipeline_label"] == "Renewals"


def test_an_amount_in_no_currency_is_in_the_accounts_own(crm: Crm, ada: str) -> None:
    crm.sandbox.add_deal(stage=WON, amount="5", currency="", contacts=[ada])
    assert named(crm.events(), "deal_won").properties["currency"] == "EUR"


@of_each_api
def test_a_deleted_deal_never_was(crm: Crm, ada: str) -> None:
    deal = crm.sandbox.add_deal(stage=WON, contacts=[ada])
    has = held(crm.pull("deals"))
    assert has
    crm.sandbox.delete_deal(deal)
    assert held(crm.pull("deals", after=7 * HOUR), has) == {}


def test_a_deal_that_is_deleted_while_the_first_reading_is_cut_short_never_was(crm: Crm, ada: str) -> None:
    deal = crm.sandbox.add_deal(stage=WON, contacts=[ada])
    page = next(iter(crm.source("deals").pull(None, crm.now)))
    crm.cursor, has = page.cursor, held([page])
    assert has
    crm.sandbox.delete_deal(deal)
    assert held(crm.pull("deals", after=7 * HOUR), has) == {}


def test_a_contact_that_is_merged_away_leaves_its_deals_to_the_other(crm: Crm, ada: str) -> None:
    grace = crm.sandbox.add_contact("grace@example.com")
    deal = crm.sandbox.add_deal(contacts=[grace])
    crm.pull("contacts", "deals")
    crm.sandbox.merge(ada, grace)
    crm.sandbox.move_deal(deal, WON)
    events = [one for page in crm.pull("contacts", "deals") for one in page.records if isinstance(one, Event)]
    assert of(named(events, "deal_won"), Kind.HUBSPOT_ID) == [ada]


def test_what_is_read_up_to_is_what_the_index_knew_when_the_reading_began(raw: Stage) -> None:
    """So a rule may say that somebody bought nothing: what the index was late with comes before that is said."""
    crm = Crm(raw, index_lag=45 * SECOND)
    ada = crm.sandbox.add_contact("ada@example.com")
    crm.pull("deals")
    crm.now += MINUTE
    crm.sandbox.add_deal(stage=WON, contacts=[ada])
    won = crm.now
    first = crm.pull("deals", after=20 * SECOND)
    assert held(first) == {}
    assert first[-1].complete_until == won - 40 * SECOND
    second = crm.pull("deals", after=50 * SECOND)
    assert [event.at for event in held(second).values() if event.name == "deal_won"] == [won]
    assert second[-1].complete_until == won + 10 * SECOND


def test_deals_that_did_not_change_since_the_start_are_not_read(crm: Crm, ada: str) -> None:
    crm.sandbox.add_deal(contacts=[ada], at="2025-01-01T00:00:00Z")
    crm.sandbox.add_deal(contacts=[ada])
    assert len(crm.events(start="2026-01-01")) == 1
    assert crm.now > NOON - DAY
