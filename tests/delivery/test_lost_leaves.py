"""Leaves whose records the vendor knows no more: the person is looked for anew, however long that takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from delivery.scripted_vendor import Vendor
from delivery.world import DENIED, GRANTED, World, email, hashed, user
from leadup.errors import NeedsHuman
from leadup.outgoing import Address, Contact, RemoteId, Target, Unreachable

HOME = email("home")


class Blind(Vendor):
    """Does not say who somebody is, or refuses to look anybody up."""

    how = ""

    def address(self, target: Target, people: Sequence[Contact]) -> Sequence[Address | Unreachable]:
        if self.how == "unsure":
            return [Unreachable(code="not_asked", detail="refused too much else", unsure=True) for _ in people]
        if self.how == "human":
            raise NeedsHuman("The property that people are matched by is gone.", todo="make it anew")
        return super().address(target, people)


@pytest.fixture
def vendor() -> Blind:
    return Blind()


@pytest.fixture
def world(vendor: Blind) -> Iterator[World]:
    made = World(vendor)
    yield made
    made.close()


def merged(world: World) -> None:
    """His record becomes part of another one, which keeps its place in the audience."""
    old, new = RemoteId("card", hashed(HOME)), RemoteId("card", "merged")
    world.vendor.vanished.add(old)
    world.vendor.members["club"].discard(old)
    world.vendor.members["club"].add(new)
    world.vendor.cards[hashed(HOME)] = "merged"


def test_a_leave_whose_person_the_vendor_does_not_tell_of_waits_until_it_does(world: World, vendor: Blind) -> None:
    world.tell(user(1), HOME, consent=GRANTED, member="yes")
    world.sync()
    merged(world)
    vendor.how = "unsure"
    world.tell(user(1), consent=DENIED)
    for _ in range(3):
        world.sync()
        world.later(hours=2)
    assert world.members == {"merged"}
    vendor.how = ""
    for _ in range(3):
        world.sync()
        world.later(hours=24)
    assert world.members == set()


def test_one_that_can_not_be_looked_up_holds_up_no_other(world: World, vendor: Blind) -> None:
    world.tell(user(1), HOME, consent=GRANTED, member="yes")
    for number in range(2, 6):
        world.tell(user(number), email(f"p{number}"), consent=GRANTED, member="yes")
    world.sync()
    merged(world)
    vendor.how = "human"
    world.tell(user(1), HOME, consent=DENIED)
    world.sync()
    world.later(hours=2)
    for number in range(2, 6):
        world.tell(user(number), email(f"p{number}"), consent=DENIED)
    for _ in range(3):
        world.sync()
        world.later(hours=24)
    assert world.members == {"merged"}, "the others go by what was sent"
