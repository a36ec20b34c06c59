"""A vendor's calls of the day: what does not fit waits for midnight, leaves go first, nothing is lost or doubled."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.metered_vendor import MIDNIGHT, RULES, Make, Metered, tell
from delivery.scripted_vendor import Vendor
from delivery.world import VAULT, World, email, hashed, program
from leadup.delivery.book import all_targets
from leadup.delivery.budgets import Budgets, days
from leadup.delivery.courier import Courier
from leadup.errors import BudgetSpent
from leadup.insights.budget import accounts, forecast, forecast_in_words, in_words, postponed
from leadup.insights.explain import explain
from leadup.insights.status import status
from leadup.state.tables import ledger, outbox
from leadup.types import to_us


def at(world: World, instant: str) -> None:
    world.now = world.now.fromisoformat(instant)


def waiting(world: World) -> list[tuple[str, str, int]]:
    rows = world.rows(outbox, outbox.c.state == "pending")
    return [(row["verb"], row["code"], row["next_us"]) for row in rows]


def names(world: World) -> Counter[str]:
    """How often each change was sent."""
    return Counter(change.key for change in world.changes())


def test_what_does_not_fit_waits_for_midnight_in_the_zone_of_the_account(make: Make) -> None:
    vendor = Metered(20)
    world = make(vendor)
    tell(world, *range(30), member="yes")
    world.sync()
    assert vendor.left == 3, "2 are kept for other apps, and a batch takes 2"
    assert len(world.members) == 16
    assert waiting(world) == [("join", "daily_budget", to_us(world.now.fromisoformat(MIDNIGHT)))] * 14
    at(world, "2026-03-01T22:59:59Z")
    world.sync()
    assert len(world.members) == 16
    vendor.midnight()
    at(world, MIDNIGHT)
    world.sync()
    assert len(world.members) == 30
    assert set(names(world).values()) == {1}
    assert [delivered.error for delivered in world.deliver()] == []


def test_leaves_have_their_calls_before_joins(make: Make) -> None:
    vendor = Metered(100)
    world = make(vendor)
    tell(world, *range(10), member="yes")
    world.sync()
    vendor.spend(vendor.left - (10 + 8))  # 10 are kept for others
    tell(world, *range(10), member="no")
    tell(world, *range(100, 120), member="yes")
    tell(world, *range(100, 120), guest="yes")
    world.sync()
    assert Counter(verb for verb, _, _ in waiting(world)) == {"join": 38}
    assert len(world.changes("leave")) == 10
    assert vendor.left == 11, "5 for leaves, and 2 for one batch of joins"


def test_leaves_never_spend_what_is_kept_for_other_apps(make: Make) -> None:
    vendor = Metered(100)
    world = make(vendor)
    tell(world, *range(10), member="yes")
    world.sync()
    vendor.spend(vendor.left - 12)
    tell(world, *range(10), member="no")
    world.sync()
    assert vendor.left == 10
    assert [verb for verb, _, _ in waiting(world)] == ["leave"] * 6


def test_reading_leaves_their_calls_to_other_apps_and_to_leaves_that_wait(make: Make) -> None:
    vendor = Metered(100)
    world = make(vendor)
    tell(world, *range(10), member="yes")
    world.sync()
    vendor.spend(vendor.left - (10 + 5 + 3))  # 10 are kept for others, 5 take the leaves
    with world.store.read() as connection:
        [club, *_] = found = all_targets(connection)

    def asks(people: int) -> None:
        budgets = Budgets(world.store, {"vendor": vendor})
        budgets.open(found, world.now, outbox.c.state == "pending")
        budgets.must_spare(club, people, world.now)

    asks(people=80)
    tell(world, *range(10), member="no")
    world.tick()
    asks(people=30)
    with pytest.raises(
        BudgetSpent, match=r"It was not read: not enough of today's calls is left \(10% of them are kept"
    ):
        asks(people=31)


def test_other_apps_spend_from_the_same_day(make: Make) -> None:
    vendor = Metered(1000)
    world = make(vendor)
    tell(world, 1, member="yes")
    world.sync()
    vendor.spend(880)
    tell(world, *range(2, 40), member="yes")
    world.sync()
    assert vendor.left in (100, 101)
    assert {code for _, code, _ in waiting(world)} == {"daily_budget"}


def test_a_vendor_that_says_its_day_is_over_is_left_alone_until_midnight_and_nothing_is_doubled(make: Make) -> None:
    vendor = Metered(1000, reserve=0)
    world = make(vendor)
    vendor.watch = lambda _, change: setattr(vendor, "left", 0) if change.key.endswith("#1") else None
    tell(world, *range(6), member="yes")
    world.tick()
    [club] = world.deliver()
    assert (club.error, club.notice != "") == ("", True)
    assert {code for _, code, _ in waiting(world)} == {"daily_budget"}
    asked = vendor.asked
    for minutes in (1, 30, 60 * 20):
        at(world, "2026-03-01T00:00:00Z")
        world.later(minutes=minutes)
        world.sync()
    assert vendor.asked == asked
    vendor.watch = lambda _, change: None
    vendor.midnight()
    at(world, MIDNIGHT)
    world.sync()
    assert len(world.members) == 6
    assert set(names(world).values()) == {1}


def test_a_refusal_that_tells_no_number_leaves_nothing_of_the_day(make: Make) -> None:
    """The next process hears nothing but the refusal, since other apps have spent what was left."""
    vendor = Metered(1000)
    world = make(vendor)
    tell(world, 1, 2, member="yes")
    world.sync()
    vendor.left, vendor.said, vendor.say = 0, None, lambda: None  # type: ignore[method-assign]
    world.restart()
    tell(world, 3, 4, member="yes")
    world.sync()
    with world.store.read() as connection:
        [one] = accounts(connection, ["vendor"], to_us(world.now))
    assert in_words(one) == "vendor: 0 of 1,000 calls left today, resets 00:00 Europe/Berlin"
    vendor.midnight()
    at(world, MIDNIGHT)
    world.sync()
    assert len(world.members) == 4
    assert set(names(world).values()) == {1}


def test_a_word_of_the_day_before_is_not_taken_for_the_new_day(make: Make) -> None:
    """Our clock is ahead of the vendor's: after our midnight it still counts yesterday's calls."""
    vendor = Metered(20)
    world = make(vendor)
    tell(world, *range(30), member="yes")
    world.sync()
    vendor.left = 0
    at(world, "2026-03-01T23:01:00Z")
    world.sync()
    later = to_us(world.now.fromisoformat("2026-03-01T23:15:00Z"))
    assert {next_us for _, _, next_us in waiting(world)} == {later}
    vendor.midnight()
    at(world, "2026-03-01T23:15:00Z")
    world.sync()
    assert len(world.members) == 30
    assert set(names(world).values()) == {1}


def test_it_is_noticed_once_a_day_also_by_the_next_process(make: Make) -> None:
    vendor = Metered(10)
    world = make(vendor)
    notices = []
    for hour in range(30):
        tell(world, *range(100 * hour, 100 * hour + 10), member="yes")
        world.tick()
        notices += [hour for delivered in world.deliver() if delivered.notice]
        world.later(hours=1)
        if hour == 22:
            vendor.midnight()
        if hour % 5 == 0:
            world.restart()
    assert notices == [0, 23]
    told = Counter(row["row"] for row in world.rows(ledger, ledger.c.code == "daily_budget"))
    assert (len(told), set(told.values())) == (292, {1}), "the 8 of the first day never waited"


def test_what_a_crash_left_on_its_way_waits_as_well(make: Make) -> None:
    vendor = Metered(20)
    world = make(vendor)
    tell(world, 1, 2, member="yes")
    vendor.faults = ["crash after"]
    world.sync()
    vendor.spend(vendor.left - 2)
    world.deliver()
    assert (len(world.changes("join")), {code for _, code, _ in waiting(world)}) == (2, {"daily_budget"})
    vendor.midnight()
    at(world, MIDNIGHT)
    world.sync()
    assert set(names(world).values()) == {2}, "sent again under the same keys, since nobody knows"
    assert world.states("join") == ["processed", "processed"]


def test_it_is_told_where_people_look(make: Make) -> None:
    vendor = Metered(20)
    world = make(vendor)
    tell(world, *range(30), member="yes")
    world.tick()
    with world.store.read() as connection:
        targets = all_targets(connection)
        [before] = forecast(connection, {"vendor": vendor}, targets, to_us(world.now))
        assert accounts(connection, ["vendor", "second"], to_us(world.now)) == []
    assert forecast_in_words(before) == (
        "vendor: about 19 calls (1 to find or make targets, 3 to find people); what is left of today's is known after "
        "the first one"
    )
    world.deliver()
    because = "not enough of today's calls is left (10% of them are kept for the account's other apps); "
    because += "goes on after 00:00 Europe/Berlin"
    now_us = to_us(world.now)
    person = world.rows(outbox, outbox.c.state == "pending")[0]["person"]
    with world.store.read() as connection:
        [one] = accounts(connection, ["vendor"], now_us)
        [after] = forecast(connection, {"vendor": vendor}, targets, now_us)
        wait = postponed(connection, targets, now_us)
        club = next(a for a in status(connection)["audiences"] if a["segment"] == "club")
        shown = explain(connection, world.pipeline.program, person, ["club"], now_us)
        [next_day] = accounts(connection, ["vendor", "second"], to_us(world.now + timedelta(days=1)))
    assert in_words(one) == "vendor: 3 of 20 calls left today, resets 00:00 Europe/Berlin"
    assert in_words(next_day) == (
        "vendor: a new day of 20 calls has begun at 00:00 Europe/Berlin; the first call tells what is left"
    )
    assert forecast_in_words(after) == (
        "vendor: about 10 calls (1 to find or make targets, 2 to find people); 3 of 20 are left today, and 2 are kept "
        "for the account's other apps. 9 do not fit: leaves go first, the rest waits until 2026-03-01T23:00:00Z "
        "(00:00 Europe/Berlin)"
    )
    assert wait == {"vendor": {"changes": 14, "until": MIDNIGHT, "because": because}}
    assert club["reasons"] == [{"code": "daily_budget", "detail": because, "rows": 14}]
    assert shown["segments"]["club"]["targets"][0]["waits"] == {
        "until": MIDNIGHT,
        "code": "daily_budget",
        "because": because,
    }
    assert shown["ledger"][-1]["code"] == "daily_budget"


def test_the_reserve_is_that_of_the_settings_now(make: Make) -> None:
    vendor = Metered(20, reserve=0.9)
    world = make(vendor)
    tell(world, *range(6), member="yes")
    world.sync()
    assert (vendor.left, world.members) == (19, set())
    vendor.reserve = 0
    world.restart()
    world.sync(force=True)
    assert len(world.members) == 6


def test_connections_of_one_account_share_its_day(make: Make) -> None:
    vendor = Metered(20)
    world = make(vendor)
    tell(world, 1, member="yes")
    world.sync()
    other = Metered(20)
    other.spend(13)
    world.courier = Courier(world.store, VAULT, {"vendor": vendor, "second": other})
    world.sync()
    with world.store.read() as connection:
        assert {name: day.left for name, day in days(connection).items()} == {"vendor": 7, "second": 7}
        [one] = accounts(connection, ["vendor", "second"], to_us(world.now))
    assert in_words(one).startswith("second, vendor: 7 of 20 calls left today")


@settings(max_examples=20, deadline=None)
@given(
    daily=st.integers(12, 60),
    days_=st.lists(
        st.tuples(st.sets(st.integers(0, 25), max_size=20), st.sets(st.integers(0, 25)), st.integers(0, 60)),
        min_size=1,
        max_size=4,
    ),
)
def test_law_the_reserve_stays_and_in_the_end_all_is_as_wanted_each_change_once(
    daily: int, days_: list[tuple[set[int], set[int], int]]
) -> None:
    """People come and go, others use up the day, days pass: nothing is lost, doubled, or taken from other apps."""
    vendor = Metered(daily)
    world = World(vendor, program(RULES))
    kept = ceil(daily * 0.1)
    wanted: set[int] = set()
    try:
        tell(world, 99, member="yes")
        world.sync()
        for come, go, others in days_:
            vendor.midnight()
            tell(world, *sorted(come), member="yes")
            wanted = (wanted | come) - go
            tell(world, *sorted(go), member="no")
            vendor.spend(min(others, vendor.left))
            before = vendor.left
            world.sync()
            assert vendor.left >= min(kept, before)
            world.later(days=1)
        while waiting(world):
            vendor.midnight()
            before = vendor.left
            world.sync()
            assert vendor.left < before, "each day brings it on"
            world.later(days=1)
        there = {card for number in wanted | {99} for card in _cards(vendor, number)}
        assert world.members == there
        assert set(names(world).values()) <= {1}
    finally:
        world.close()


def _cards(vendor: Vendor, number: int) -> list[str]:
    return [one.value for one in vendor.ids_of([hashed(email(f"v{number}"))])]
