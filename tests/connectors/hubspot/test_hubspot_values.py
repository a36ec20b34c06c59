"""What stands at contacts, read for a comparison: found as people are found, in our own forms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hubspot_account import READ, SCORE, TIER, at, calls, connect, person, upsert

from leadup.outgoing import RemoteId, Target, Unreachable, ValueKind
from leadup.sandbox import Server
from leadup.types import Json
from leadup_connectors.hubspot.destination import HubSpotDestination
from leadup_connectors.hubspot.properties import text, value
from leadup_connectors.hubspot.sandbox import HubSpotSandbox

SEGMENTS = replace(TIER, name="leadup_segments", values=ValueKind.CHOICES, options=("hot", "warm"))
LAST_AT = replace(TIER, name="leadup_last_at", values=ValueKind.INSTANT)
ALL = (SCORE, TIER, SEGMENTS, LAST_AT)


def stands(destination: HubSpotDestination, target: Target, *people: Any) -> list[Any]:
    """By person, what stands of a property at each contact; or why nobody is found."""
    return [
        said.code if isinstance(said, Unreachable) else {one.value: held[target.name] for one, held in said.items()}
        for said in destination.values([target], people)
    ]


@pytest.mark.parametrize(
    ("kind", "held", "told"),
    [
        (ValueKind.NUMBER, "12", 12),
        (ValueKind.NUMBER, "12.0", 12),
        (ValueKind.NUMBER, "1.25", 1.25),
        (ValueKind.NUMBER, "1.2E+3", 1200),
        (ValueKind.NUMBER, "nan", "nan"),
        (ValueKind.NUMBER, "1e999", "1e999"),
        (ValueKind.NUMBER, "a dozen", "a dozen"),
        (ValueKind.CHOICES, "warm;hot", ["warm", "hot"]),
        (ValueKind.CHOICES, "hot", ["hot"]),
        (ValueKind.INSTANT, "2026-03-01T09:00:00.12Z", "2026-03-01T09:00:00.120Z"),
        (ValueKind.INSTANT, "2026-03-01T10:00:00+01:00", "2026-03-01T09:00:00.000Z"),
        (ValueKind.INSTANT, "1772355600000", "2026-03-01T09:00:00.000Z"),
        (ValueKind.INSTANT, "soon", "soon"),
        (ValueKind.TEXT, "12", "12"),
        (ValueKind.TEXT, "", None),
        (ValueKind.NUMBER, None, None),
    ],
)
def test_trap_all_values_come_as_text(kind: ValueKind, held: str | None, told: Json) -> None:
    assert value(held, kind) == told
    assert value(text(told), kind) == told, "what is written comes back as it was"


def test_one_look_finds_the_contacts_and_reads_all_properties(server: Server, hubspot: HubSpotSandbox) -> None:
    people = [person(n, f"v{n}@example.com") for n in range(100)]
    contacts = [hubspot.add_contact(f"v{n}@example.com") for n in range(100)]
    destination = connect(server)
    for target, written in zip(ALL, (12, "hot", ["hot", "warm"], "2026-03-01T09:00:00.120Z"), strict=True):
        destination.deliver(destination.prepare(target), [upsert(1, contacts[0], **{target.name: written})])
    before = calls(server)
    first, *others = destination.values(ALL, people)
    assert (calls(server), calls(server, "/search")) == (before + 1, 0)
    [(one, held)] = first.items() if not isinstance(first, Unreachable) else ()
    assert one == RemoteId("contact", contacts[0])
    assert held == {
        "leadup_score": 12,
        "leadup_tier": "hot",
        "leadup_segments": ["hot", "warm"],
        "leadup_last_at": "2026-03-01T09:00:00.120Z",
    }
    nothing = dict.fromkeys(target.name for target in ALL)
    assert others == [{RemoteId("contact", contact): nothing} for contact in contacts[1:]]


def test_trap_of_merged_contacts_the_one_that_is_left_is_read(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, eve = hubspot.add_contact("ada@example.com"), hubspot.add_contact("eve@example.com")
    destination = connect(server)
    destination.deliver(destination.prepare(TIER), [upsert(1, ada, leadup_tier="hot")])
    hubspot.set_property(eve, leadup_tier="cold")
    hubspot.merge(eve, ada)
    gone = hubspot.add_contact("gone@example.com")
    hubspot.delete_contact(gone)
    people = [person(1, "ada@example.com"), person(2, "gone@example.com"), person(3)]
    assert stands(destination, TIER, *people) == [{eve: "cold"}, "contact_not_found", "no_email"]


def test_a_person_with_several_contacts_and_one_known_by_her_record(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, too, ben = (hubspot.add_contact(f"{name}@example.com") for name in ("ada", "ada.too", "ben"))
    destination = connect(server)
    destination.deliver(destination.prepare(TIER), [upsert(1, ada, leadup_tier="hot"), upsert(2, ben, leadup_tier="x")])
    people = [person(1, "ada@example.com", "ada.too@example.com"), person(2, hubspot_id=ben)]
    assert stands(destination, TIER, *people) == [{ada: "hot", too: None}, {ben: "x"}]


def test_what_was_found_for_a_delivery_is_looked_at_anew(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    [place] = destination.address(TIER, [person(1, "ada@example.com")])
    assert place == at(ada)
    destination.prepare(TIER)
    hubspot.set_property(ada, leadup_tier="vip")
    reads = calls(server, READ)
    for _ in range(2):
        assert stands(destination, TIER, person(1, "ada@example.com")) == [{ada: "vip"}]
    assert calls(server, READ) == reads + 2
