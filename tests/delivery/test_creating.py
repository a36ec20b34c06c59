"""People whom the vendor does not know, and whom somebody has told us to create there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from delivery.club import card, club, tell
from delivery.scripted_vendor import Crash, Vendor
from delivery.world import World, program
from leadup.outgoing import Address, Contact, Target, Unreachable
from leadup.state.tables import ledger, outbox
from leadup.types import Kind

WARNING = "New contacts may cost money."


class Creator(Vendor):
    """Knows nobody but whom it was told of."""

    def __init__(self) -> None:
        super().__init__()
        self.creates = WARNING
        self.known: set[str] = set()
        self.erased: set[str] = set()
        self.made: list[int] = []
        """Persons, each time."""
        self.dies = False

    def _address(self, target: Target, person: Contact) -> Address | Unreachable:
        ids = self.ids_of([value for value in person.of(Kind.EMAIL) if value in self.known])
        return Address(ids) if ids else Unreachable(code="not_found", detail="is not there", creatable=True)

    def create(self, target: Target, people: Sequence[Contact]) -> Sequence[Address | Unreachable]:
        self.made += [person.person for person in people]
        self.known |= {value for person in people for value in person.of(Kind.EMAIL)} - self.erased
        if self.dies:
            self.dies = False
            raise Crash
        never = Unreachable(code="blocked", detail="was erased there", for_good=True)
        return [
            never if self.erased & set(person.of(Kind.EMAIL)) else self._address(target, person) for person in people
        ]


@pytest.fixture
def vendor() -> Creator:
    return Creator()


@pytest.fixture
def world(vendor: Creator) -> Iterator[World]:
    made = World(vendor, rules=program(club()))
    yield made
    made.close()


def test_who_is_not_there_is_created_and_joins_at_once(world: World, vendor: Creator) -> None:
    vendor.known.add(card(1))
    tell(world, 1, 2, 3)
    world.sync()
    assert world.members == {card(1), card(2), card(3)}
    assert len(vendor.made) == 2
    assert world.said("join").count("created") == 2


def test_the_warning_is_said_once(world: World, vendor: Creator) -> None:
    for number in (1, 2):
        tell(world, number)
        world.sync()
    assert [row["detail"] for row in world.rows(ledger, ledger.c.verb == "create")] == [WARNING]


def test_nobody_is_created_where_it_was_not_asked_for(world: World, vendor: Creator) -> None:
    vendor.creates = ""
    tell(world, 1)
    world.sync()
    assert (vendor.made, world.members, world.states("join")) == ([], set(), ["pending"])


def test_nobody_is_created_without_consent(world: World, vendor: Creator) -> None:
    """Consent is withdrawn between the plan and the sending."""
    tell(world, 1, 2)
    world.tick()
    tell(world, 1, granted=False)
    world.deliver()
    assert world.members == {card(2)}
    assert card(1) not in vendor.known


def test_a_rehearsal_creates_nobody(world: World, vendor: Creator) -> None:
    tell(world, 1)
    with world.store.rehearsal():
        world.tick()
    assert vendor.made == []


def test_a_crash_after_the_creation_finds_who_was_created(world: World, vendor: Creator) -> None:
    vendor.dies = True
    tell(world, 1)
    world.sync()
    assert (world.members, len(vendor.made)) == (set(), 1)
    world.sync()
    assert (world.members, len(vendor.made)) == ({card(1)}, 1)


def test_who_can_never_be_created_is_refused_once(world: World, vendor: Creator) -> None:
    vendor.erased.add(card(1))
    tell(world, 1, 2)
    world.sync()
    world.later(days=2)
    world.sync()
    assert world.members == {card(2)}
    [refused] = world.rows(outbox, outbox.c.state == "failed")
    assert (refused["code"], refused["detail"]) == ("blocked", "was erased there")
    assert vendor.made.count(refused["person"]) == 1
