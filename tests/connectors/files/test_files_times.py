"""Times as files write them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadup_connectors.files.settings import Time
from leadup_connectors.files.times import time_parser


def parse(value: Any, **how: Any) -> datetime:
    return time_parser(Time(column="at", **how))(value)


@pytest.mark.parametrize(
    ("value", "how", "expected"),
    [
        ("2026-03-01T12:00:00Z", {}, "2026-03-01T12:00:00+00:00"),
        ("2026-03-01T12:00:00.123456+02:00", {}, "2026-03-01T10:00:00.123456+00:00"),
        ("2026-03-01 12:00:00+0200", {}, "2026-03-01T10:00:00+00:00"),
        (" 2026-03-01 12:00:00 +0200 ", {}, "2026-03-01T10:00:00+00:00"),
        ("2026-03-01 12:00:00.5 UTC", {}, "2026-03-01T12:00:00.500000+00:00"),
        ("2026-03-01 12:00:00", {"zone": "UTC"}, "2026-03-01T12:00:00+00:00"),
        ("2026-03-01 12:00", {"zone": "Asia/Kolkata"}, "2026-03-01T06:30:00+00:00"),
        ("2026-03-01", {"zone": "America/New_York"}, "2026-03-01T05:00:00+00:00"),
        ("20260301", {"zone": "UTC"}, "2026-03-01T00:00:00+00:00"),
        ("2026-03-01T12:00:00Z", {"zone": "Europe/Berlin"}, "2026-03-01T12:00:00+00:00"),
        ("1772366400", {"unit": "s"}, "2026-03-01T12:00:00+00:00"),
        ("1772366400.25", {"unit": "s"}, "2026-03-01T12:00:00.250000+00:00"),
        (1772366400, {"unit": "s"}, "2026-03-01T12:00:00+00:00"),
        (1772366400.25, {"unit": "s"}, "2026-03-01T12:00:00.250000+00:00"),
        ("1772366400123", {"unit": "ms"}, "2026-03-01T12:00:00.123000+00:00"),
        (1772366400123456, {"unit": "us"}, "2026-03-01T12:00:00.123456+00:00"),
        (-1, {"unit": "s"}, "1969-12-31T23:59:59+00:00"),
        ("01.03.2026 12:00", {"format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"}, "2026-03-01T11:00:00+00:00"),
        ("01/Mar/2026:12:00:00 +0100", {"format": "%d/%b/%Y:%H:%M:%S %z"}, "2026-03-01T11:00:00+00:00"),
    ],
)
def test_a_time_is_read(value: object, how: dict[str, Any], expected: str) -> None:
    found = parse(value, **how)
    assert found.isoformat() == expected
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "how", "reason"),
    [
        ("2026-03-01 12:00:00", {}, "has no offset: set time.zone"),
        ("1772366400", {}, "a number: set time.unit"),
        (1772366400, {}, "a number: set time.unit"),
        ("1772366400.5", {"zone": "UTC"}, "a number: set time.unit"),
        ("soon", {}, "'soon' is not ISO 8601: set time.format"),
        ("2026-03-01T12:00:00Z", {"unit": "s"}, "not a number of s since 1970"),
        ("nan", {"unit": "s"}, "not a number of s since 1970"),
        ("inf", {"unit": "s"}, "not a number of s since 1970"),
        (True and [1], {"unit": "s"}, "not a number of s since 1970"),
        (1772366400123456, {"unit": "s"}, "not a number of s since 1970"),
        ("2026-03-01", {"format": "%d.%m.%Y", "zone": "UTC"}, "does not fit time.format '%d.%m.%Y'"),
        ("9999-12-31T23:59:59-05:00", {}, "outside the years 1 to 9999"),
    ],
)
def test_a_time_that_can_not_be_read_says_what_to_set(value: object, how: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace(".", r"\.")):
        parse(value, **how)


def test_of_an_hour_that_comes_twice_the_first_is_meant() -> None:
    assert parse("2026-10-25 02:30", zone="Europe/Berlin").isoformat() == "2026-10-25T00:30:00+00:00"
    assert parse("2026-10-25 03:00", zone="Europe/Berlin").isoformat() == "2026-10-25T02:00:00+00:00"


def test_a_time_that_is_skipped_is_moved_on_by_the_hour_skipped() -> None:
    skipped = parse("2026-03-29 02:30", zone="Europe/Berlin")
    assert skipped == parse("2026-03-29 03:30", zone="Europe/Berlin")
    assert skipped.isoformat() == "2026-03-29T01:30:00+00:00"


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001 - zones come next
    st.integers(-14 * 60, 14 * 60),
)
def test_an_offset_always_counts(local: datetime, minutes: int) -> None:
    moment = local.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse(moment.isoformat(), zone="Asia/Tokyo") == moment
    assert parse(moment, zone="Asia/Tokyo") == moment


@given(st.integers(-(2**50), 2**55))
def test_microseconds_are_exact(us: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    assert parse(us, unit="us") == parse(str(us), unit="us") == expected
