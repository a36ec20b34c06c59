"""Durations as rule authors write them: ``30m``, ``1h``, ``14d``, ``2w``."""

from __future__ import annotations

import re
from typing import Final

PATTERN: Final = r"^[0-9]{1,9}(s|m|h|d|w)$"
UNITS: Final = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}
"""Microseconds of one. A day is 24 hours and a week 168: windows count elapsed time, not calendar days."""
LONGEST: Final = 5200 * UNITS["w"]
"""About a hundred years; what is meant to be longer is meant to be for ever."""


def parse(text: str) -> int:
    """Return the microseconds that ``text`` stands for; 0 is allowed.

    Raises:
        ValueError: it is no duration, or longer than :data:`LONGEST`.
    """
    if not re.fullmatch(PATTERN, text, re.ASCII):
        raise ValueError("write a whole number and a unit (s, m, h, d or w), such as 30m, 1h, 14d, 2w")
    us = int(text[:-1]) * UNITS[text[-1]]
    if us > LONGEST:
        raise ValueError("the longest duration is 5200w; leave the key out to mean ever")
    return us


def show(us: int) -> str:
    """Return a text that :func:`parse` reads as ``us`` (whole seconds), in days where it can: ``14d`` is not ``2w``."""
    for unit in "dhms":
        if us % UNITS[unit] == 0 and us >= UNITS[unit]:
            return f"{us // UNITS[unit]}{unit}"
    return f"{us / UNITS['s']:g}s"
