"""An audience below its smallest size: it is not made, it fills, it goes, and from then on it is let alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from delivery.club import audience, club, enrol
from delivery.world import World, program
from leadup.delivery.book import all_targets
from leadup.state.tables import ledger

FIVE = "guard: {min_size: 5}"


@pytest.fixture
def world() -> Iterator[World]:
    made = World(rules=program(club(FIVE)))
    yield made
    made.close()


def test_nothing_is_made_or_sent_before_there_are_enough(world: World) -> None:
    enrol(world, 1, 2, 3, 4)
    shown = audience(world)
    assert (shown["guard"], shown["guard_text"]) == (
        "min_size",
        "4 people could be sent; the audience is made once there are 5",
    )
    assert (shown["remote_id"], world.vendor.sent) == (None, [])
    enrol(world, 4, member="no")
    assert audience(world)["guard_text"].startswith("3 people")
    enrol(world, 5)
    assert audience(world)["plan"] != shown["plan"], "it is named by what it holds now"
    assert world.vendor.sent == []
    enrol(world, 6)
    assert len(world.vendor.members["club"]) == 5
    assert audience(world)["guard"] is None
    released = world.rows(ledger, ledger.c.what == "released")
    assert {(row["code"], row["detail"]) for row in released} == {("min_size", "there are 5 people")}


def test_an_audience_that_was_sent_is_only_warned_of(world: World) -> None:
    enrol(world, 1, 2, 3, 4, 5)
    enrol(world, 1, 2, 3, member="no")
    enrol(world, 6)
    assert len(world.vendor.members["club"]) == 3
    assert (audience(world)["guard"], audience(world)["warning"]) == (None, "3 people, below its min_size of 5")
    enrol(world, 4, 5, 6, member="no")
    enrol(world, 7)
    assert len(world.vendor.members["club"]) == 1, "nor when everybody had left"


def test_somebody_may_send_it_before_its_time(world: World) -> None:
    enrol(world, 1, 2)
    assert world.accept() == 2
    enrol(world, 3)
    assert len(world.vendor.members["club"]) == 3
    assert audience(world)["guard"] is None


def test_who_is_held_waits_no_longer_once_the_rule_asks_for_less(world: World) -> None:
    enrol(world, 1, 2)
    world.use(program(club("guard: {min_size: 3}")))
    enrol(world, 2)
    assert world.vendor.sent == []
    world.use(program(club("")))
    enrol(world, 2)
    assert len(world.vendor.members["club"]) == 2


def test_an_audience_that_is_given_up_while_it_is_held_is_held_no_longer(world: World) -> None:
    enrol(world, 1, 2)
    world.use(program("version: 1"))
    enrol(world, 1)
    with world.store.read() as connection:
        [target] = all_targets(connection)
    assert (target.guard, target.active, world.vendor.sent) == (None, False, [])


def test_who_is_held_out_does_not_count() -> None:
    world = World(rules=program(club(f"holdout: {{name: lot, percent: 99.9999}}, {FIVE}")))
    enrol(world, *range(8))
    assert (audience(world)["guard"], audience(world)["waterfall"]["not held out"]) == (None, 0)
    assert world.vendor.sent == []
    world.close()
