"""Conversions as custom events on the contact's timeline."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hubspot_account import DEMO, Stage, at, calls, connect, convert, person

from leadup.errors import NeedsHuman, NotOffered
from leadup.outgoing import Address, Outcome, RemoteId, Restate, Unreachable
from leadup.sandbox import Server
from leadup.types import Kind, Money
from leadup_connectors.hubspot.sandbox import HubSpotSandbox

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENT = "pe4815162_demo"
SEND, DEFINITIONS = "/send/batch", "/event-definitions"


def test_an_event_is_defined_once_with_our_properties(server: Server) -> None:
    first, second = connect(server).prepare(DEMO), connect(server).prepare(DEMO)
    assert (first.id, first.created, second.id, second.created) == (EVENT, True, EVENT, False)
    assert calls(server, DEFINITIONS, "POST") == 1


def test_a_conversion_is_an_event_at_its_own_time_with_its_value(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    [address] = destination.address(DEMO, [person(1, "ada@example.com")])
    changes = [convert(1, address, NOON, Money(28_850, "EUR")), convert(2, address, NOON)]
    receipts = destination.deliver(destination.prepare(DEMO), changes)
    assert [receipt.outcome for receipt in receipts] == [Outcome.CONFIRMED] * 2
    sent = [(each.name, each.contact, each.at, dict(each.properties)) for each in hubspot.events]
    assert sent == [
        (EVENT, ada, NOON, {"transaction_id": "t-1", "value": "288.50", "currency": "EUR"}),
        (EVENT, ada, NOON, {"transaction_id": "t-2"}),
    ]
    assert calls(server, SEND) == 2, "one of them to see that events may be sent"


def test_an_event_has_one_timeline(server: Server, hubspot: HubSpotSandbox) -> None:
    ada = hubspot.add_contact("ada@example.com")
    hubspot.add_contact("ada@work.example.com")
    found = connect(server).address(DEMO, [person(1, "ada@example.com", "ada@work.example.com")])
    assert found == [at(ada)]


def test_the_cookie_may_tell_who_it_was(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.know_cookie("c00k1e", ada := hubspot.add_contact("ada@example.com"))
    destination = connect(server)
    assert Kind.HUTK in destination.can.needs[DEMO.use]
    known, unknown = destination.address(DEMO, [person(1, hutk="c00k1e"), person(2, "nobody@example.com")])
    assert known == Address((RemoteId("utk", "c00k1e"),))
    assert isinstance(unknown, Unreachable)
    destination.deliver(destination.prepare(DEMO), [convert(1, known, NOON)])
    assert [each.contact for each in hubspot.events] == [ada]


def test_trap_204_says_taken_and_not_matched(server: Server, hubspot: HubSpotSandbox) -> None:
    """So the contact is looked up first, and events of nobody stay here until there is a contact."""
    stranger, destination = Address((RemoteId("utk", "of nobody"),)), connect(server)
    [receipt] = destination.deliver(destination.prepare(DEMO), [convert(1, stranger, NOON)])
    assert receipt.outcome is Outcome.CONFIRMED
    assert [each.contact for each in hubspot.events] == [None]


def test_trap_the_same_event_sent_twice_is_one(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(DEMO)
    hubspot.weather.add(kind="lose_answer", path=SEND)
    for _ in range(2):
        destination.deliver(remote, [convert(1, at(ada), NOON)])
    assert calls(server, SEND) == 1 + 3
    assert len(hubspot.events) == 1


def test_an_event_that_was_taken_is_never_changed(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(DEMO)
    again = Restate(key="r", person=1, to=at(ada), transaction_id="t-1", at=NOON, value=Money(1, "EUR"))
    [receipt] = destination.deliver(remote, [again])
    assert (receipt.outcome, receipt.code) == (Outcome.REJECTED, "not_changeable")
    assert calls(server, SEND) == 1, "to see that events may be sent"


@pytest.mark.parametrize("lacks", ["enterprise", "scope"])
def test_trap_custom_events_are_for_enterprise_only(stage: Stage, lacks: str) -> None:
    server = stage.play(tier="professional" if lacks == "enterprise" else "")
    server.sandbox.scopes.discard("" if lacks == "enterprise" else "behavioral_events.event_definitions.read_write")
    with pytest.raises(NotOffered, match="they need an Enterprise subscription, and the scopes") as caught:
        connect(server).prepare(DEMO)
    assert "behavioral_events.event_definitions.read_write" in str(caught.value)


def test_events_wait_where_the_right_to_send_them_is_taken_away(server: Server, hubspot: HubSpotSandbox) -> None:
    """A refusal of the rows would be for good."""
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(DEMO)
    hubspot.scopes.discard("analytics.behavioral_events.send")
    with pytest.raises(NotOffered, match=r"analytics\.behavioral_events\.send"):
        destination.deliver(remote, [convert(1, at(ada), NOON)])
    with pytest.raises(NotOffered, match="they need an Enterprise subscription"):
        destination.prepare(DEMO)


def test_a_token_that_is_not_valid_is_another_trouble_than_a_plan_without_events(server: Server) -> None:
    server.sandbox.weather.add(kind="fail", status=401, path=DEFINITIONS)
    with pytest.raises(NeedsHuman, match="not valid") as caught:
        connect(server).prepare(DEMO)
    assert not isinstance(caught.value, NotOffered)


def test_an_event_somebody_deleted_is_defined_again(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(DEMO)
    hubspot._events.defined.clear()
    with pytest.raises(NeedsHuman, match=f"event '{EVENT}' is gone"):
        destination.deliver(remote, [convert(1, at(ada), NOON)])
    assert destination.prepare(DEMO).created


def test_our_properties_are_added_to_an_event_that_people_defined(server: Server, hubspot: HubSpotSandbox) -> None:
    connect(server).prepare(DEMO)
    definition = hubspot._events.defined["demo"]
    definition["properties"] = [each for each in definition["properties"] if each["name"] != "currency"]
    assert not connect(server).prepare(DEMO).created
    assert {each["name"] for each in definition["properties"]} == {"value", "currency", "transaction_id"}
