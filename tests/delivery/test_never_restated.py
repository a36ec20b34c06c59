"""A vendor that can not change what it has taken, such as events on a timeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from delivery.scripted_vendor import Vendor
from delivery.world import GRANTED, World, email, user
from leadup.state.tables import standings
from leadup.types import Event, Page


@pytest.fixture
def world() -> Iterator[World]:
    vendor = Vendor()
    vendor.can = replace(vendor.can, restates_for=timedelta(0))
    made = World(vendor)
    yield made
    made.close()


def bought(world: World, amount: int) -> Event:
    who = (user(1), email("ada"))
    paid = {"amount": amount, "currency": "EUR"}
    return Event(source="t", id="b1", name="bought", at=world.now, identifiers=who, properties=paid, consent=GRANTED)


def said(world: World) -> str:
    """What `explain` tells of the conversion."""
    return str(world.standing(standings.c.want.is_not(None))["reason"])


def test_another_value_is_said_and_never_sent(world: World) -> None:
    first = bought(world, 10)
    world.take(first)
    world.sync()
    for _ in range(3):
        world.later(hours=1)
        world.take(replace(first, properties={"amount": 25, "currency": "EUR"}))
        world.sync()
    assert list(world.vendor.conversions.values()) == [[(1000, "EUR")]]
    assert world.changes("restate") == []
    assert said(world) == "the value changed, but what was reported there can not be changed"


@pytest.mark.parametrize("answer", ["", "lost"])
def test_what_is_taken_back_is_said_and_stays_there(world: World, answer: str) -> None:
    world.vendor.faults += [answer] if answer else []
    world.take(bought(world, 10))
    world.sync()
    world.later(hours=1)
    taken_back = Page(records=(), cursor={"page": 99}, complete_until=world.now, taken_back=("b1",))
    world.pipeline.take("t", taken_back, world.now)
    for _ in range(3):
        world.sync()
        world.later(hours=1)
    assert list(world.vendor.conversions.values()) == [[(1000, "EUR")] * (2 if answer else 1)]
    assert world.changes("restate") == []
    assert world.states("restate") == []
    assert said(world).endswith("but what was reported there can not be changed")
