"""Clocks. The core takes instants as arguments; only the edges (daemon, command line) hold a clock."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Protocol

from leadup.errors import SettingsError


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class FrozenClock:
    """A clock that moves only when told to: for the demo, rehearsals and tests."""

    def __init__(self, at: datetime) -> None:
        self._at = at.astimezone(UTC)

    def now(self) -> datetime:
        return self._at

    def advance(self, by: timedelta) -> datetime:
        """Move forward and return the new instant."""
        self._at += by
        return self._at

    def set(self, at: datetime) -> None:
        """Move to ``at``."""
        self._at = at.astimezone(UTC)


def parse_instant(text: str) -> datetime:
    """Parse ISO 8601 with a zone (``2026-03-01T12:00:00Z``).

    Raises:
        ValueError: no such instant, or no zone.
    """
    example = "write date, time and zone, e.g. 2026-03-01T12:00:00Z"
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter: its zone takes it out of the years 1 to 9999
        raise ValueError(f"{text!r} is not an instant; {example}") from None
    raise ValueError(f"{text!r} has no time zone; {example}")


def clock_from_environment() -> Clock:
    """Return the system clock, or the one frozen at ``LEADUP_NOW`` (for rehearsals and tests).

    Raises:
        SettingsError: ``LEADUP_NOW`` is not an instant with a zone.
    """
    frozen = os.environ.get("LEADUP_NOW")
    if not frozen:
        return SystemClock()
    try:
        return FrozenClock(parse_instant(frozen))
    except ValueError as error:
        raise SettingsError(f"LEADUP_NOW: {error}") from None
