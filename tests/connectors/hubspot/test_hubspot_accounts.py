"""Several accounts in one installation: contact 1501 of one is a stranger to contact 1501 of another."""

from __future__ import annotations

from typing import Any

import pytest
from hubspot_account import AUDIENCE, at, connect, person
from hubspot_crm import DAY, MINUTE, WON, Crm, of, of_each_api
from pydantic import ValidationError

from leadup.outgoing import Unreachable
from leadup.sandbox import Server
from leadup.types import Event, Kind
from leadup_connectors.hubspot.sandbox import HubSpotSandbox
from leadup_connectors.hubspot.settings import HubSpotSettings

ACCOUNT = 4815162
OWN: dict[str, Any] = {"portal_id": ACCOUNT, "account_in_ids": True}
RAW: dict[str, Any] = {"portal_id": ACCOUNT}
OTHER: dict[str, Any] = {"portal_id": 222}


def settings(**given: Any) -> HubSpotSettings:
    return HubSpotSettings(**{"access_token": "pat-one", **given})


def together(**connections: dict[str, Any]) -> None:
    HubSpotSettings.check_together({name: settings(**given) for name, given in connections.items()})


# ---------------------------------------------------------------- which connections go together


@pytest.mark.parametrize(
    "connections",
    [
        {"a": {}, "b": {}},
        {"a": RAW, "b": RAW | {"access_token": "pat-two"}},
        {"a": RAW, "b": OTHER | {"account_in_ids": True}, "c": {"portal_id": 3, "account_in_ids": True}},
    ],
    ids=["one token", "one account", "own ids in all but one"],
)
def test_connections_that_take_no_stranger_for_another_go_together(connections: dict[str, dict[str, Any]]) -> None:
    together(**connections)


@pytest.mark.parametrize(
    ("connections", "said"),
    [
        (
            {"a": {}, "b": {"access_token": "pat-two"}},
            r"connections\.a and connections\.b may be two.*portal_id in both",
        ),
        ({"a": RAW, "b": {"access_token": "pat-two"}}, "set portal_id in both"),
        ({"a": {}, "b": {"base_url": "https://api-eu1.hubapi.com"}}, "set portal_id in both"),
        ({"a": RAW, "b": OTHER}, rf"two HubSpot accounts \({ACCOUNT} and 222\).*account_in_ids = true in all but one"),
        ({"a": OWN, "b": RAW, "c": OTHER}, r"connections\.a and connections\.b are of one.*in both or in neither"),
        ({"a": OWN, "b": OTHER, "c": {"portal_id": 3}}, r"connections\.b and connections\.c are two"),
    ],
)
def test_trap_record_ids_of_two_accounts_are_not_taken_for_one_another(
    connections: dict[str, dict[str, Any]], said: str
) -> None:
    with pytest.raises(ValueError, match=f"(?s){said}") as caught:
        together(**connections)
    assert "pat-" not in str(caught.value)


def test_ids_of_an_account_need_its_number() -> None:
    with pytest.raises(ValidationError, match="account_in_ids needs portal_id"):
        settings(account_in_ids=True)


# ---------------------------------------------------------------- ids with the account's number


def test_people_are_found_by_record_ids_of_this_account_only(server: Server, hubspot: HubSpotSandbox) -> None:
    ada = hubspot.add_contact("ada@example.com")
    known_by = [ada, f"{ACCOUNT}:{ada}", f"222:{ada}", f"{ACCOUNT}:x", f"{ACCOUNT}:", f"{ACCOUNT}:{ACCOUNT}:{ada}"]
    people = [person(number, hubspot_id=one) for number, one in enumerate(known_by)]

    def found(**given: Any) -> list[int]:
        answers = connect(server, **given).address(AUDIENCE, people)
        assert all(one == at(ada) for one in answers if not isinstance(one, Unreachable))
        return [place for place, one in enumerate(answers) if not isinstance(one, Unreachable)]

    assert found(**OWN) == [1]
    assert found(**RAW) == [0]


@of_each_api
def test_what_is_read_carries_the_account_number(crm: Crm) -> None:
    ada, twin = crm.sandbox.add_contact("ada@example.com"), crm.sandbox.add_contact("twin@example.com")
    crm.sandbox.merge(ada, twin)
    crm.sandbox.add_deal(stage=WON, contacts=[ada])
    records = [one for page in crm.pull("contacts", "deals", **OWN) for one in page.records]
    ids = {frozenset(of(one, Kind.HUBSPOT_ID)) for one in records}
    assert ids == {frozenset({f"{ACCOUNT}:{ada}", f"{ACCOUNT}:{twin}"}), frozenset({f"{ACCOUNT}:{ada}"})}


def test_all_is_read_once_more_when_the_ids_change(crm: Crm) -> None:
    ada = crm.sandbox.add_contact("ada@example.com")
    crm.sandbox.add_deal(stage=WON, contacts=[ada])
    crm.pull("contacts", "deals")

    def ids(**given: Any) -> list[list[str]]:
        pages = crm.pull("contacts", "deals", **given)
        wanted = [one for page in pages for one in page.records if not isinstance(one, Event) or one.name == "deal_won"]
        return [of(one, Kind.HUBSPOT_ID) for one in wanted]

    assert ids(**RAW) == [], "nothing changed"
    assert ids(**OWN) == [[f"{ACCOUNT}:{ada}"]] * 2
    assert ids(after=MINUTE, **OWN) == []
    assert ids(after=DAY, **RAW) == [[ada]] * 2
