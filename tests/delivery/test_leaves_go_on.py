"""Whoever must be out of an audience gets out, however often the vendor refuses to let him go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from delivery.club import audience, card, enrol, tell
from delivery.scripted_vendor import Vendor
from delivery.world import World
from leadup.delivery.book import all_targets
from leadup.delivery.replacing import begin, replacing
from leadup.state.tables import outbox
from leadup.types import to_us

REFUSALS = [(late, how) for late in (False, True) for how in ("refused", "reject")]
REFUSALS += [(True, "failed"), (True, "partial")]
"""Whether the vendor answers later, and how it refuses: at the door, or by what becomes of what it took."""


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(Vendor(late=getattr(request, "param", False), together=True))
    enrol(world, 1, 2, 3)
    yield world
    world.close()


def refuse(world: World, how: str) -> None:
    """Have the next batch refused."""
    if how in ("failed", "partial"):
        world.vendor.fates = [how]
    else:
        world.vendor.faults = [how]


def row(world: World) -> Any:
    [leave] = world.rows(outbox, outbox.c.verb == "leave")
    return leave


@pytest.mark.parametrize(("world", "how"), REFUSALS, indirect=["world"])
def test_who_withdrew_consent_leaves_though_the_vendor_refused_it_once(world: World, how: str) -> None:
    tell(world, 1, granted=False)
    refuse(world, how)
    world.sync()
    assert card(1) in world.members
    assert row(world)["state"] == "pending"
    [said] = audience(world)["reasons"]
    assert (said["rows"], bool(said["code"])) == (1, True), "it is told meanwhile"
    world.later(minutes=59)
    world.sync()
    assert card(1) in world.members, "it does not go on every minute"
    world.later(minutes=1)
    world.sync()
    assert world.members == {card(2), card(3)}
    assert world.states("leave") == ["processed"]
    assert audience(world)["reasons"] == []


def test_it_goes_on_with_growing_pauses_of_a_day_at_most(world: World) -> None:
    tell(world, 1, granted=False)
    world.tick()
    hours = []
    for _ in range(7):
        world.vendor.faults = ["refused"]
        world.deliver()
        wait = row(world)["next_us"] - to_us(world.now)
        hours.append(wait / 3_600_000_000)
        world.later(hours=hours[-1])
    assert hours == [1, 2, 4, 8, 16, 24, 24]
    assert len(world.changes("leave")) == 7
    world.sync()
    assert world.members == {card(2), card(3)}


@pytest.mark.parametrize(("world", "how"), REFUSALS[-2:], indirect=["world"])
def test_who_comes_back_meanwhile_stays(world: World, how: str) -> None:
    tell(world, 1, member="no")
    refuse(world, how)
    world.sync()
    tell(world, 1)
    world.later(hours=2)
    world.sync()
    assert world.members == {card(1), card(2), card(3)}
    assert world.states("leave") == ["replaced"]
    tell(world, 1, member="no")
    world.later(hours=2)
    world.sync()
    assert world.members == {card(2), card(3)}


def test_a_replacement_of_the_audience_does_not_wait_for_a_leave_that_is_refused(world: World) -> None:
    tell(world, 1, member="no")
    refuse(world, "refused")
    world.sync()
    with world.store.write() as connection:
        [club] = [one for one in all_targets(connection) if one.target.name == "club"]
        begin(connection, club, to_us(world.now), "ada")
    world.sync()
    with world.store.read() as connection:
        far = replacing(connection, club.id)
    assert far is not None
    assert (far.waiting, far.may_finish(0.3)) == (0, True)
    assert row(world)["state"] == "pending"


@pytest.mark.parametrize("fault", ["human", "later"])
def test_a_replacement_of_the_audience_waits_for_a_leave_that_was_not_answered(world: World, fault: str) -> None:
    tell(world, 1, member="no")
    world.vendor.faults = [fault]
    world.sync()
    with world.store.write() as connection:
        [club] = [one for one in all_targets(connection) if one.target.name == "club"]
        begin(connection, club, to_us(world.now), "ada")
    with world.store.read() as connection:
        before = replacing(connection, club.id)
    refuse(world, "refused")
    world.later(hours=1)
    world.sync()
    world.sync()
    with world.store.read() as connection:
        after = replacing(connection, club.id)
    assert before is not None
    assert after is not None
    assert (before.waiting, after.waiting) == (3, 0)
    assert row(world)["code"] == "nonsense"


def test_a_first_refusal_waits_an_hour_whatever_nobody_could_send_before(world: World) -> None:
    tell(world, 1, granted=False)
    for _ in range(6):
        world.vendor.faults = ["human"]
        world.sync()
        world.later(hours=1)
    refuse(world, "refused")
    world.sync()
    assert row(world)["next_us"] - to_us(world.now) == 3_600_000_000
