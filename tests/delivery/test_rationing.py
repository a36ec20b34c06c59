"""What reading may spend of a vendor's day: never what is kept for other apps, or for leaves that wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.metered_vendor import BERLIN, RULES, Make, Metered, tell
from delivery.world import World, program
from leadup.delivery.budgets import days
from leadup.delivery.rationing import Ration, Waits
from leadup.outgoing import Budget
from leadup.types import Cursor, Page


class Archive:
    """A source of pages, each of which takes so many of its vendor's calls."""

    def __init__(self, vendor: Metered, *costs: int, page_calls: int = 4) -> None:
        self._vendor, self._costs, self.page_calls = vendor, costs, page_calls
        self.reserve = vendor.reserve
        self.read: list[int] = []
        self.told: dict[str, int] = {}

    def check(self) -> None:
        return

    def budget(self) -> Budget | None:
        return self._vendor.budget()

    def pull(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        for number in range((since or {}).get("next", 0), len(self._costs)):
            self._vendor.call(self._costs[number])
            self.read.append(number)
            more = number + 1 < len(self._costs)
            yield Page(records=[], cursor={"next": number + 1}, more=more, complete_until=None if more else until)


def read(world: World, source: Archive) -> Waits | None:
    """Read as far as the day allows."""
    with Ration(world.store, {"vendor": world.vendor}, "vendor", source, world.now, source.told) as ration:
        if ration.lasts():
            world.pipeline.pull("vendor", source, world.now, may_go_on=ration.lasts)
    return ration.waits


def left(world: World) -> int:
    """What is left of the day, by the state."""
    with world.store.read() as connection:
        return days(connection)["vendor"].left


def test_a_reading_that_stops_is_told_once_a_day_and_goes_on_the_next(make: Make) -> None:
    vendor = Metered(40)
    world, source = make(vendor), Archive(vendor, *[3] * 20)
    first = read(world, source)
    assert first is not None
    assert (first.until.isoformat(), first.news) == ("2026-03-01T23:00:00+00:00", True)
    assert first.because == (
        "not enough of today's calls is left (10% of them are kept for the account's other apps); reads again after "
        "midnight, Europe/Berlin"
    )
    assert (source.read, vendor.left, left(world)) == ([*range(11)], 7, 7)
    again = read(world, source)
    assert again == Waits(first.until, first.because, news=False)
    assert vendor.left == 7
    world.later(days=1)
    vendor.midnight()
    assert read(world, source) is None
    assert source.read == [*range(20)]


def test_leaves_that_wait_have_their_calls_before_a_reading(make: Make) -> None:
    vendor = Metered(40)
    world = make(vendor)
    tell(world, *range(6), member="yes")
    world.sync()
    tell(world, *range(6), member="no")
    world.tick()
    vendor.spend(vendor.left - (4 + 3 + 4))  # kept for other apps; to take six out, two by two; for a page
    source = Archive(vendor, 4, 4)
    assert read(world, source) is not None
    assert source.read == [0]
    world.sync()
    assert (world.members, vendor.left) == (set(), 4)


def test_a_refusal_ends_a_reading_and_is_no_error(make: Make) -> None:
    vendor = Metered(40)
    world, source = make(vendor), Archive(vendor, 1, 1)
    read(world, source)
    vendor.left, vendor.say = 0, lambda: None  # type: ignore[method-assign]
    refused = Archive(vendor, 1, 1, 1)
    waits = read(world, refused)
    assert waits is not None
    assert (waits.news, left(world), refused.read) == (True, 0, [])
    asked = vendor.asked
    assert read(world, refused) == Waits(waits.until, waits.because, news=False)
    assert vendor.asked == asked, "the vendor is left alone"


def test_whose_day_is_not_known_is_read_until_the_vendor_refuses(make: Make) -> None:
    vendor = Metered(2)
    vendor.say = lambda: None  # type: ignore[method-assign]
    world, source = make(vendor), Archive(vendor, 1, 1, 1)
    waits = read(world, source)
    assert waits == Waits(
        world.now + timedelta(hours=1),
        "not enough of today's calls is left (10% of them are kept for the account's other apps); reads again when "
        "the account's day is over",
        news=True,
    )
    assert source.read == [0, 1]


def test_a_wait_whose_end_is_not_known_is_told_once(make: Make) -> None:
    vendor = Metered(0)
    vendor.say = lambda: None  # type: ignore[method-assign]
    world = make(vendor)
    source = Archive(vendor, 1, 1)
    first = read(world, source)
    assert first is not None
    assert first.news
    for _ in range(3):
        world.later(minutes=1)
        assert read(world, source) == Waits(first.until, first.because, news=False)
    world.later(hours=1)
    after = read(world, source)
    assert after is not None
    assert after.until == world.now + timedelta(hours=1)


def test_a_word_of_the_day_before_says_nothing_of_today(make: Make) -> None:
    """Something was sent after the last reading, and nothing since: the newest word there is, is an old one."""
    vendor = Metered(40)
    world, source = make(vendor), Archive(vendor, *[3] * 14)
    assert read(world, source) is not None
    world.later(days=1)
    vendor.midnight()
    vendor.told += 1
    vendor.said = Budget(
        account="vendor 1", limit=40, left=5, zone=BERLIN, told=vendor.told, age=timedelta(hours=1, minutes=5)
    )
    assert read(world, source) is None


def test_another_error_is_an_error(make: Make) -> None:
    vendor = Metered(40)
    world = make(vendor)
    with pytest.raises(ZeroDivisionError):
        read(world, Archive(vendor, 1, 1 // len(vendor.sent)))


@settings(max_examples=25, deadline=None)
@given(
    daily=st.integers(12, 60),
    reserve=st.sampled_from([0.0, 0.1, 0.5]),
    costs=st.lists(st.integers(0, 4), min_size=1, max_size=30),
    others=st.lists(st.integers(0, 20), max_size=5),
)
def test_law_the_reserve_stays_and_every_page_is_read_once(
    daily: int, reserve: float, costs: Sequence[int], others: list[int]
) -> None:
    vendor = Metered(daily, reserve)
    world, source = World(vendor, program(RULES)), Archive(vendor, *costs)
    try:
        while True:
            vendor.spend(others.pop() if others else 0)
            before = vendor.left
            waits = read(world, source)
            assert vendor.left >= min(before, ceil(daily * reserve))
            if waits is None:
                break
            world.later(days=1)
            vendor.midnight()
        assert source.read == [*range(len(costs))]
    finally:
        world.close()
