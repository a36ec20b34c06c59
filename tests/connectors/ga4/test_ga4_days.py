"""Which days are looked at, which are complete, and which are settled."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadup_connectors.ga4.days import Days, day_of, end_of, table_of

START = date(2026, 3, 1)


def day(number: int) -> date:
    return START + timedelta(days=number)


def look(days: Days, tables: Iterable[date], today: date, reading: str = "r") -> tuple[list[str], list[date]]:
    """A pull that finds these tables on a day, and reads what it should look at."""
    listed = [table_of(one) for one in tables]
    for table in days.to_look_at(listed):
        days.was_read(table, reading)
    return days.close(listed, today - timedelta(days=4))


@pytest.mark.parametrize(
    "name",
    [
        "events_intraday_20260301",
        "users_20260301",
        "pseudonymous_users_20260301",
        "events_20261301",
        "events_202603",
        "events_20260301_copy",
        "events_fresh_20260301",
    ],
)
def test_only_daily_tables_of_events_have_a_day(name: str) -> None:
    assert day_of(name) is None
    assert day_of("events_20260301") == START


@pytest.mark.parametrize(
    ("of", "end"),
    [
        (date(2026, 3, 1), datetime(2026, 3, 1, 23, tzinfo=UTC)),
        (date(2026, 3, 28), datetime(2026, 3, 28, 23, tzinfo=UTC)),
        (date(2026, 3, 29), datetime(2026, 3, 29, 22, tzinfo=UTC)),  # clocks go forward on this day
    ],
)
def test_a_day_ends_in_the_zone_of_the_property(of: date, end: datetime) -> None:
    assert end_of(of, ZoneInfo("Europe/Berlin")) == end


def test_days_are_looked_at_until_they_are_seen_after_their_time() -> None:
    days = Days.begin(None, START)
    assert look(days, [day(n) for n in range(6)], day(6)) == (["events_20260301", "events_20260302"], [])
    assert days.to_look_at(table_of(day(n)) for n in range(8)) == [table_of(day(n)) for n in range(2, 8)]
    # ten days of silence: the tables read last are looked at once more, whatever the date
    assert days.to_look_at(table_of(day(n)) for n in range(16))[0] == "events_20260303"
    settled, _ = look(days, [day(n) for n in range(16)], day(16))
    assert settled == [table_of(day(n)) for n in range(2, 12)]


def test_a_missing_day_holds_back_until_it_can_not_come_any_more() -> None:
    days = Days.begin(None, START)
    there = [day(0), day(2), day(3)]
    assert look(days, there, day(4)) == ([], [])
    assert days.complete == day(0)
    settled, passed = look(days, [*there, day(4), day(5)], day(6))
    assert (settled, passed) == (["events_20260301"], [day(1)])
    assert days.complete == day(5)
    assert look(days, [*there, day(4), day(5)], day(6)) == ([], []), "told once"


def test_a_day_that_was_passed_over_is_read_when_it_comes_after_all() -> None:
    days = Days.begin(None, START)
    look(days, [day(0), *(day(n) for n in range(2, 9))], day(9))
    assert days.to_look_at([table_of(day(0)), table_of(day(1))]) == ["events_20260302"]
    assert look(days, [day(1)], day(9)) == (["events_20260302"], [])
    assert days.to_look_at([table_of(day(0)), table_of(day(1))]) == []


def test_days_before_the_first_table_are_not_missing() -> None:
    days = Days.begin(None, START)
    assert look(days, [day(50), day(51)], day(60))[1] == [day(n) for n in range(52, 56)]
    assert days.complete == day(51)


def test_nothing_is_settled_before_there_is_anything() -> None:
    days = Days.begin(None, START)
    assert look(days, [], day(30)) == ([], [])
    assert (days.complete, days.to_look_at([table_of(day(3))])) == (None, [table_of(day(3))])


def test_tables_before_the_start_are_left_alone() -> None:
    assert Days.begin(None, START).to_look_at([table_of(day(-1)), table_of(day(0))]) == ["events_20260301"]


@given(
    pulls=st.lists(
        st.tuples(st.integers(0, 6), st.sets(st.integers(0, 30), max_size=12), st.booleans()), min_size=1, max_size=8
    )
)
def test_whatever_comes_when_every_table_is_read_and_none_is_waited_for_for_ever(
    pulls: list[tuple[int, set[int], bool]],
) -> None:
    """Tables appear in any order; the cursor passes through JSON between the pulls."""
    days, today, there = Days.begin(None, START), 31, set[int]()
    read, settled = set[str](), set[str]()
    for pause, new, stored in pulls:
        today += pause
        first = days.first
        there |= {n for n in new if first is None or day(n) >= first}
        listed = [table_of(day(n)) for n in sorted(there)]
        for table in days.to_look_at(listed):
            days.was_read(table, f"{today}")
            assert table not in settled
            read.add(table)
        done, passed = days.close(listed, day(today) - timedelta(days=4))
        settled.update(done)
        assert read == set(listed)
        assert all(one < day(today - 4) for one in passed)
        if there:
            holes = [n for n in range(min(there), max(there)) if n not in there and n >= today - 4]
            assert days.complete == day(max(n for n in there if n < min(holes, default=today)))
        if stored:
            days = Days.begin(json.loads(json.dumps(days.cursor())), START)
