"""What a destination is told of a restated conversion: when it was decided, and whether the conversion never was."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta

import pytest

from delivery.test_ladders import RULES as LADDER
from delivery.world import GRANTED, World, email, program
from leadup.outgoing import Restate


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@pytest.fixture
def climbed() -> Iterator[World]:
    made = World(rules=program(LADDER))
    yield made
    made.close()


def restated(world: World) -> list[Restate]:
    return [change for change in world.changes("restate") if isinstance(change, Restate)]


def test_each_value_of_a_conversion_is_decided_later_than_the_one_before(world: World) -> None:
    """In whole seconds, which is all that some vendors keep, even when both are decided within one."""
    world.did("bought", "b1", email("ada"), consent=GRANTED, amount=10, currency="EUR")
    world.sync()
    for amount in (11, 12, 13):
        world.later(seconds=0.25)
        world.did("bought", "b1", email("ada"), consent=GRANTED, amount=amount, currency="EUR")
        world.sync()
    told = restated(world)
    assert [change.value.minor for change in told if change.value] == [1100, 1200, 1300]
    times = [change.decided_at for change in told if change.decided_at]
    assert len(times) == 3
    assert all(later - earlier >= timedelta(seconds=1) for earlier, later in itertools.pairwise(times))
    assert all(at.microsecond == 0 and at > told[0].at for at in times)
    assert not any(change.taken_back for change in told)


def test_a_conversion_whose_event_was_taken_back_never_was(world: World) -> None:
    world.did("bought", "b1", email("ada"), consent=GRANTED, amount=10, currency="EUR")
    world.sync()
    world.later(minutes=5)
    world.did("returned", "b1", email("ada"))
    world.sync()
    [gone] = restated(world)
    assert gone.taken_back
    assert gone.value is not None
    assert gone.value.minor == 0


def test_a_way_up_that_lapsed_was_one_all_the_same(climbed: World) -> None:
    """It is worth nothing now, and may be taken up again: that is no reason to take it back for good."""
    climbed.did("price", "p1", email("ada"), consent=GRANTED)
    climbed.sync()
    climbed.later(days=51)
    climbed.sync()
    [lapsed] = restated(climbed)
    assert lapsed.value is not None
    assert (lapsed.value.minor, lapsed.taken_back) == (0, False)
