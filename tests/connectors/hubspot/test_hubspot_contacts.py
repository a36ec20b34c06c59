"""What contacts tell: who is who, traits, opt-outs; and what edits, echoes, merges and deletions at HubSpot do."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from hubspot_account import TOKEN, Stage
from hubspot_crm import DAY, HOUR, LAG, MINUTE, NOON, SECOND, Crm, of, of_each_api
from pydantic import SecretStr

from leadup.errors import NeedsHuman
from leadup.types import Fact, Kind, Purpose
from leadup_connectors.hubspot.client import HubSpotClient
from leadup_connectors.hubspot.reading.contacts import Contacts
from leadup_connectors.hubspot.records import Record
from leadup_connectors.hubspot.sandbox import SCOPES, search
from leadup_connectors.hubspot.settings import HubSpotSettings


def only(facts: list[Fact]) -> Fact:
    (fact,) = facts
    return fact


@of_each_api
def test_a_contact_tells_its_stage_and_owner_and_the_traits_that_rules_ask_for(crm: Crm) -> None:
    crm.sandbox.add_property("seats", "number")
    crm.sandbox.add_property("vip", "bool")
    crm.sandbox.add_property("plan", "enumeration", options=["trial", "pro"])
    ada = crm.sandbox.add_contact(
        "ada@example.com", lifecyclestage="lead", hubspot_owner_id="7", seats="40", vip="true", plan="pro"
    )
    fact = only(crm.facts(traits=["seats", "vip", "plan"]))
    assert fact.facts == {"lifecycle_stage": "lead", "owner": "7", "seats": 40, "vip": True, "plan": "pro"}
    assert (fact.at, fact.records) == (NOON - DAY, (ada,))
    assert (of(fact, Kind.EMAIL), of(fact, Kind.HUBSPOT_ID)) == (["ada@example.com"], [ada])


def test_a_trait_that_is_asked_for_later_is_read_of_contacts_that_do_not_change_too(crm: Crm) -> None:
    crm.sandbox.add_contact("ada@example.com", company="Tidewater")
    gone = crm.sandbox.add_contact("bob@example.com", company="Harbour")
    assert [fact.facts.keys() for fact in crm.facts()] == [{"lifecycle_stage", "owner"}] * 2
    assert crm.facts() == []
    crm.sandbox.delete_contact(gone)
    told = [fact.facts.get("company") for fact in crm.facts(after=DAY, traits=["company"])]
    assert told == ["Tidewater", None], "and the deletion is followed on"
    assert crm.facts(traits=["company"]) == []
    assert crm.facts() == [], "one that is asked for no longer costs nothing"


def test_a_trait_that_hubspot_has_not_is_said_at_once(crm: Crm) -> None:
    with pytest.raises(NeedsHuman, match="no contact property 'plam'"):
        crm.source("contacts", traits=["plam"]).check()


@of_each_api
@pytest.mark.parametrize("read", ["contacts", "deals"])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"traits": ["compani"]}, "'compani', which traits of connection 'feed' names; did you mean \"company\"?"),
        ({"identifiers": {"user_id": "crm_idd"}}, "'crm_idd', which identifiers of .*; did you mean \"crm_id\"?"),
        ({"match": "external"}, "'external', which match of connection 'feed' names; did you mean \"external_id\"?"),
        ({"identifiers": {"user_id": "zzz"}}, r"'zzz', which identifiers of connection 'feed' names\.\n"),
    ],
)
def test_a_property_that_hubspot_has_not_stops_the_reading(
    crm: Crm, read: str, given: dict[str, Any], said: str
) -> None:
    """Or nothing would be read of it, and nobody would know."""
    crm.sandbox.add_property("crm_id")
    crm.sandbox.add_property("external_id", unique=True)
    for door in (lambda: crm.pull(read, **given), crm.source(read, **given).check):
        with pytest.raises(NeedsHuman, match=f"no contact property {said}"):
            door()


def test_types_of_properties_are_asked_for_in_one_call(crm: Crm) -> None:
    crm.sandbox.add_property("crm_id")
    crm.facts(traits=["company", "firstname"], identifiers={"user_id": "crm_id"})
    assert crm.requests("/properties/contacts") == 1


@of_each_api
def test_trap_many_long_names_do_not_fit_into_an_address(crm: Crm) -> None:
    """HubSpot answers 414: then a page tells ids alone, and its properties are read by them."""
    names = [f"trait_{number}".ljust(100, "x") for number in range(100)]
    for name in names:
        crm.sandbox.add_property(name)
    values = [crm.sandbox.add_contact(f"c{number}@example.com", **{names[-1]: str(number)}) for number in range(6)]
    told = crm.facts(traits=names)
    assert [(fact.records, fact.facts[names[-1]]) for fact in told] == [
        ((one,), str(n)) for n, one in enumerate(values)
    ]
    assert crm.requests("/batch/read") == 2, "a call for each page of four"
    crm.sandbox.set_property(values[0], **{names[0]: "new"})
    assert [fact.facts[names[0]] for fact in crm.facts(traits=names)] == ["new"]
    crm.sandbox.delete_contact(values[0])
    assert [fact.facts for fact in crm.facts(after=DAY, traits=names)] == [{}]


def test_the_property_that_people_are_matched_on_is_the_user_id(crm: Crm) -> None:
    crm.sandbox.add_property("external_id", unique=True)
    crm.sandbox.add_contact("ada@example.com", external_id="u1", crm_id="x1")
    assert of(only(crm.facts(match="external_id")), Kind.USER_ID) == ["u1"]
    crm.cursor = None
    assert of(only(crm.facts(identifiers={"user_id": "crm_id"})), Kind.USER_ID) == ["x1"]


def test_a_contact_says_nothing_of_devices(crm: Crm) -> None:
    """It does not tell since when: a browser that changed hands would be given back."""
    crm.sandbox.add_contact("ada@example.com", ga_client_id="c1")
    assert of(only(crm.facts(identifiers={"client_id": "ga_client_id"})), Kind.CLIENT_ID) == []


def test_an_opt_out_is_a_denial_and_its_end_a_grant(crm: Crm) -> None:
    ada = crm.sandbox.add_contact("ada@example.com")
    assert only(crm.facts()).consent == {}
    crm.sandbox.opt_out(ada)
    assert only(crm.facts()).consent == {Purpose.EMAIL_MARKETING: False}
    crm.sandbox.set_property(ada, hs_email_optout="false")
    assert only(crm.facts()).consent == {Purpose.EMAIL_MARKETING: True}


def test_a_value_that_is_taken_away_is_none(crm: Crm) -> None:
    ada = crm.sandbox.add_contact("ada@example.com", hubspot_owner_id="7")
    crm.facts()
    crm.sandbox.set_property(ada, hubspot_owner_id="")
    assert only(crm.facts()).facts["owner"] is None


def test_what_changed_comes_and_what_did_not_does_not(crm: Crm) -> None:
    ada, grace = (crm.sandbox.add_contact(f"{name}@example.com") for name in ("ada", "grace"))
    assert len(crm.facts()) == 2
    crm.sandbox.set_property(grace, lifecyclestage="customer")
    assert of(only(crm.facts()), Kind.HUBSPOT_ID) == [grace]
    assert crm.facts() == []
    assert ada


def test_trap_own_writes_bump_lastmodifieddate_and_an_echo_costs_one_page_of_a_search(crm: Crm) -> None:
    crm.sandbox.add_property("leadup_score", "number")
    ones = [crm.sandbox.add_contact(f"c{n}@example.com", lifecyclestage="lead") for n in range(150)]
    first = {fact.identifiers: fact.facts for fact in crm.facts(page_size=200)}
    crm.requests()
    crm.now += HOUR
    for one in ones:
        crm.sandbox.set_property(one, leadup_score="61")
    echoes = crm.facts(page_size=200)
    assert crm.requests() == 2, "the account, and a page of a search"
    assert {fact.identifiers: fact.facts for fact in echoes} == first
    assert all(fact.records for fact in echoes)


def test_a_long_reading_without_news_notes_how_far_it_is(crm: Crm) -> None:
    """The account's day may end it at any page; what was looked at is not looked at again."""
    for number in range(25):
        crm.sandbox.add_contact(f"c{number}@example.com")
        crm.now += SECOND
    pages = list(crm.source("contacts", page_size=1).pull(None, crm.now))
    silent = [page for page in pages if page.more and not page.records]
    assert len(silent) > 1, "all come once more by searches, since their index is late"
    crm.requests()
    rest = list(crm.source("contacts", page_size=1).pull(silent[-1].cursor, crm.now))
    assert not any(page.records for page in rest)
    assert crm.requests("/search") <= 10


def test_trap_search_index_lags(raw: Stage) -> None:
    crm = Crm(raw, index_lag=45 * SECOND)
    crm.facts()
    ada = crm.sandbox.add_contact("ada@example.com")
    assert crm.facts(after=10 * SECOND) == [], "the index does not know yet"
    grace = crm.sandbox.add_contact("grace@example.com")
    assert of(only(crm.facts(after=40 * SECOND)), Kind.HUBSPOT_ID) == [ada]
    assert of(only(crm.facts(after=40 * SECOND)), Kind.HUBSPOT_ID) == [grace]


def test_trap_search_ends_at_ten_thousand(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    """No query asks for more than a page: the next one begins where this one ended."""
    monkeypatch.setattr(search, "MOST_FOUND", 10)
    crm.facts()
    for number in range(40):
        crm.now += SECOND
        crm.sandbox.add_contact(f"c{number}@example.com")
    assert len(crm.facts()) == 40


@of_each_api
def test_many_changes_at_one_instant_are_read_by_id(crm: Crm) -> None:
    """An import changes thousands within a millisecond: more than a page holds."""
    crm.facts()
    ones = {crm.sandbox.add_contact(f"c{n}@example.com") for n in range(23)}
    crm.now += SECOND
    ones |= {crm.sandbox.add_contact(f"d{n}@example.com") for n in range(3)}
    found = crm.facts()
    assert sorted(of(fact, Kind.HUBSPOT_ID)[0] for fact in found) == sorted(ones)
    assert crm.facts() == []


def test_who_changes_while_pages_are_read_moves_to_the_end_and_nobody_is_passed_over(crm: Crm) -> None:
    crm.facts()
    ones = []
    for number in range(12):
        crm.now += SECOND
        ones.append(crm.sandbox.add_contact(f"c{number}@example.com"))
    crm.now += MINUTE
    pull = iter(crm.source("contacts").pull(crm.cursor, crm.now))
    pages = [next(pull)]
    for one in ones[:3]:
        crm.now += SECOND
        crm.sandbox.set_property(one, lifecyclestage="customer")
    pages += pull
    crm.cursor = pages[-1].cursor
    later = crm.facts()
    seen = {of(fact, Kind.HUBSPOT_ID)[0] for page in pages for fact in page.records}
    assert seen == set(ones)
    last = {
        of(fact, Kind.HUBSPOT_ID)[0]: fact.facts for page in pages for fact in page.records if isinstance(fact, Fact)
    }
    last |= {of(fact, Kind.HUBSPOT_ID)[0]: fact.facts for fact in later}
    assert [last[one]["lifecycle_stage"] for one in ones] == ["customer"] * 3 + [None] * 9


@of_each_api
def test_trap_merged_contacts_are_one_person(crm: Crm) -> None:
    ada, other = crm.sandbox.add_contact("ada@example.com"), crm.sandbox.add_contact("ada@old.example")
    crm.facts()
    crm.sandbox.merge(ada, other)
    merged = only(crm.facts())
    assert sorted(of(merged, Kind.EMAIL)) == ["ada@example.com", "ada@old.example"]
    assert sorted(of(merged, Kind.HUBSPOT_ID)) == sorted([ada, other])
    assert crm.facts(after=DAY) == [], "and what was merged is not taken for deleted"


@of_each_api
def test_a_deleted_contact_says_nothing_any_more(crm: Crm) -> None:
    ada = crm.sandbox.add_contact("ada@example.com", lifecyclestage="lead")
    crm.facts()
    crm.sandbox.delete_contact(ada)
    deleted = crm.now
    ended = only(crm.facts(after=7 * HOUR))
    assert (ended.facts, ended.at, ended.consent) == ({}, deleted, {})
    assert (of(ended, Kind.HUBSPOT_ID), ended.records) == ([ada], (ada,))
    assert crm.facts(after=7 * HOUR) == []


def test_deletions_are_looked_at_now_and_then(crm: Crm) -> None:
    crm.facts()
    crm.sandbox.delete_contact(crm.sandbox.add_contact("ada@example.com"))
    crm.facts(after=HOUR)
    crm.requests()
    crm.facts(after=HOUR)
    assert crm.requests() == 2, "the account, and a search"
    assert len(crm.facts(after=5 * HOUR)) == 1


def test_trap_gdpr_deletion_does_not_resurrect(crm: Crm) -> None:
    ada = crm.sandbox.add_contact("ada@example.com", lifecyclestage="lead")
    crm.facts()
    url = f"{crm.stage.url}/crm/v3/objects/contacts/gdpr-delete"
    requests.post(
        url, json={"objectId": ada}, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60
    ).raise_for_status()
    assert crm.facts(after=DAY) == []


def test_missing_scopes_are_named_all_at_once(raw: Stage) -> None:
    crm = Crm(raw, scopes=SCOPES - {"crm.objects.contacts.read", "crm.objects.deals.read", "forms"})
    with pytest.raises(NeedsHuman) as missing:
        crm.source("contacts", "forms", "deals").check()
    assert missing.value.todo.endswith("crm.objects.contacts.read, forms, crm.objects.deals.read")


def test_nothing_is_read_of_another_account(crm: Crm) -> None:
    for act in (lambda s: s.check(), lambda s: list(s.pull(None, crm.now))):
        with pytest.raises(NeedsHuman, match="belongs to account 4815162, not 7"):
            act(crm.source("contacts", portal_id=7))


def test_a_contact_that_does_not_say_when_it_changed_is_rejected(crm: Crm) -> None:
    how = HubSpotSettings(access_token=SecretStr(TOKEN), base_url=crm.stage.url)
    reader = Contacts("feed", how, HubSpotClient("feed", how))
    told = reader.facts([Record("1", {"email": "ada@example.com"}), Record("2", {"lastmodifieddate": "1772366400000"})])
    assert [of(fact, Kind.HUBSPOT_ID) for fact in told.records] == [["2"]]
    assert [(one.place, one.reason) for one in told.rejected] == [("contacts/1", "lastmodifieddate is missing")]


def test_a_cursor_stays_small(crm: Crm) -> None:
    for number in range(300):
        crm.sandbox.add_contact(f"c{number}@example.com")
    crm.facts(page_size=200, after=2 * LAG)
    said: Any = crm.cursor
    assert said["contacts"]["seen"] == {}
