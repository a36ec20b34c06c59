"""Reads times: ISO 8601, numbers since 1970, or a stated format; with an offset, or in a stated zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from leadup.kit import shown
from leadup.types import from_us
from leadup_connectors.files.settings import Time

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000}


def time_parser(how: Time) -> Callable[[Any], datetime]:
    """Return a function that turns a cell into an aware UTC ``datetime``, or raises ``ValueError``.

    Of two equal local times at the end of summer time the first is meant; a local time that the beginning of summer
    time skips is moved on by the hour skipped.
    """
    parse = _parser(how)
    zone = None if how.zone is None else UTC if how.zone == "UTC" else ZoneInfo(how.zone)

    def read(value: Any) -> datetime:
        at = parse(value)
        if at.tzinfo is None:
            if zone is None:
                raise ValueError(f"the time {shown(value)} has no offset: set time.zone to the zone it is in")
            at = at.replace(tzinfo=zone)
        try:
            return at if at.tzinfo is UTC else at.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"the time {shown(value)} lies outside the years 1 to 9999") from None

    return read


def _parser(how: Time) -> Callable[[Any], datetime]:
    if how.unit:
        return _epoch(how.unit)
    if how.format:
        return _strptime(how.format)
    return _iso


def _iso(value: Any) -> datetime:
    if isinstance(value, str):
        if value.isdigit() and len(value) != 8:  # fromisoformat would read some epoch numbers as dates without dashes
            raise ValueError(f"the time is {shown(value)}, a number: set time.unit to s, ms or us")
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return _loose_iso(value)
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - the zone is applied by the caller
    raise ValueError(f"the time is {shown(value)}, a number: set time.unit to s, ms or us")


def _loose_iso(value: str) -> datetime:
    """``2026-03-01 12:00:00 UTC`` (BigQuery) and ``2026-03-01 12:00:00 +0200``, with spaces around."""
    head, _, tail = value.strip().rpartition(" ")
    try:
        if head and tail in ("UTC", "GMT", "Z"):
            return datetime.fromisoformat(head).replace(tzinfo=UTC)
        return datetime.fromisoformat(head + tail if head and tail[0] in "+-" else value.strip())
    except ValueError:
        pass
    if value.strip().lstrip("-").replace(".", "", 1).isdigit():
        raise ValueError(f"the time is {shown(value)}, a number: set time.unit to s, ms or us")
    raise ValueError(f"the time {shown(value)} is not ISO 8601: set time.format, e.g. %d.%m.%Y %H:%M")


def _strptime(pattern: str) -> Callable[[Any], datetime]:
    def parse(value: Any) -> datetime:
        if not isinstance(value, str):
            return _iso(value)
        try:
            return datetime.strptime(value.strip(), pattern)  # noqa: DTZ007 - the zone is applied by the caller
        except ValueError:
            raise ValueError(f"the time {shown(value)} does not fit time.format {pattern!r}") from None

    return parse


def _epoch(unit: str) -> Callable[[Any], datetime]:
    us = 1_000_000 // _PER_SECOND[unit]

    def parse(value: Any) -> datetime:
        try:
            number = Decimal(value.strip() if isinstance(value, str) else str(value))
            return from_us(int(number * us))
        except (ArithmeticError, OverflowError, ValueError, TypeError):
            raise ValueError(f"the time {shown(value)} is not a number of {unit} since 1970 (time.unit)") from None

    return parse
