"""Which days' tables to look at, what is complete, and what the cursor keeps of it. Pure.

Google writes a day's table once after the day and rewrites it for up to 72 hours (source: "[GA4] BigQuery Export").
A day is looked at until it was seen unchanged, or read, when all that time was over: after a pause of the daemon, too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final

from leadup.types import Cursor, Json

BACKFILL: Final = timedelta(days=90)
"""How far back the first pull goes when the settings do not say."""
_TABLE: Final = re.compile(r"events_([0-9]{8})")
DAY: Final = timedelta(days=1)


def day_of(table: str) -> date | None:
    """Return the day of a daily table of events; None for any other table (``events_intraday_*``, ``users_*``)."""
    found = _TABLE.fullmatch(table)
    try:
        return datetime.strptime(found[1], "%Y%m%d").date() if found else None  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return None


def table_of(day: date) -> str:
    """Return the name of a day's table."""
    return f"events_{day:%Y%m%d}"


def end_of(day: date, zone: tzinfo) -> datetime:
    """Return the instant, in UTC, at which a day of a zone ends."""
    return datetime.combine(day + DAY, time(), zone).astimezone(UTC)


@dataclass(slots=True)
class Under:
    """The table that is being read, and how far."""

    table: str
    reading: str
    row: int
    """Rows that were read."""
    token: str
    """Of the next page."""
    count: int
    """The row from where equal rows must be counted to go on."""


@dataclass(slots=True)
class Days:
    """What is known of the days. ``floor``: earlier ones are settled, but for those ``missing``."""

    floor: date
    first: date | None = None
    """The first day that was there."""
    complete: date | None = None
    """The day up to which all was read."""
    seen: dict[str, str] = field(default_factory=dict)
    """The reading by table, of tables not settled yet."""
    missing: set[date] = field(default_factory=set)
    """Days whose table was not there when they were passed over; should it come, it is read."""
    under: Under | None = None

    @classmethod
    def begin(cls, since: Cursor | None, floor: date) -> Days:
        """Return what a cursor says; ``floor`` is the first day to read when there is none."""
        if not since:
            return cls(floor)
        said: Any = since
        under = said.get("under")
        return cls(
            floor=date.fromisoformat(said["floor"]),
            first=_date(said.get("first")),
            complete=_date(said.get("complete")),
            seen=dict(said["seen"]),
            missing={date.fromisoformat(day) for day in said["missing"]},
            under=Under(**under) if under else None,
        )

    def cursor(self) -> Cursor:
        """Return the cursor that says all this."""
        under = self.under
        said: dict[str, Json] = {
            "floor": self.floor.isoformat(),
            "first": self.first.isoformat() if self.first else None,
            "complete": self.complete.isoformat() if self.complete else None,
            "seen": dict(self.seen),
            "missing": [day.isoformat() for day in sorted(self.missing)],
        }
        if under is not None:
            said["under"] = {
                "table": under.table,
                "reading": under.reading,
                "row": under.row,
                "token": under.token,
                "count": under.count,
            }
        return said

    def to_look_at(self, tables: Iterable[str]) -> list[str]:
        """Return those of a dataset's tables that may have something new, by day."""
        days = {day for table in tables if (day := day_of(table)) is not None}
        return [table_of(day) for day in sorted(days) if day >= self.floor or day in self.missing]

    def was_read(self, table: str, reading: str) -> None:
        """Note that a reading of a table has ended."""
        self.seen[table] = reading
        self.under = None
        day = day_of(table)
        if day is not None:
            self.first = min(self.first or day, day)

    def close(self, tables: Collection[str], oldest: date) -> tuple[list[str], list[date]]:
        """End a pull that looked at ``tables``, on a day on which those from ``oldest`` on may still be rewritten.

        Returns the tables that are settled now, and the days that are passed over, since their table never came.
        """
        if self.first is None:
            return [], []
        floor = max(self.floor, oldest)
        here = {day for table in self.seen if (day := day_of(table)) is not None}
        self.missing -= here
        begin = max(self.floor, self.first)
        passed = [begin + n * DAY for n in range((floor - begin).days) if begin + n * DAY not in here | self.missing]
        self._advance(here, floor)
        self.missing.update(passed)
        settled = sorted(table_of(day) for day in here if day < floor)
        for table in settled:
            del self.seen[table]
        self.floor = floor
        # A table that is listed no more, after it was begun, is not waited for.
        if self.under is not None and self.under.table not in tables:
            self.under = None
        return settled, passed

    def _advance(self, here: Collection[date], floor: date) -> None:
        day = self.complete + DAY if self.complete else self.first
        while day is not None and day <= max(here, default=date.min):
            if day in here:
                self.complete = day
            elif day >= floor:
                break
            day += DAY


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
