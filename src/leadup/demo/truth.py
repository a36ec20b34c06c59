"""What the truth of the demo is written in: spans of time, and a score that fades, in closed form.

Nothing here reads rules or runs the product: what must come out is worked out from what each visitor does, by hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

Span: TypeAlias = tuple[datetime, datetime]
"""``[from, until)``."""

FOREVER: Final = datetime.max.replace(tzinfo=UTC)
HALF_LIFE: Final = timedelta(days=7)
POINTS: Final = {"pricing": 10, "form": 20, "video": 25, "guide": 8}
TIERS: Final = (("ready", 60), ("considering", 25), ("glanced", 1))
SECOND: Final = timedelta(seconds=1)


def spans(*pairs: Span) -> list[Span]:
    """Keep the spans that are not empty, in order."""
    return sorted((begin, end) for begin, end in pairs if begin < end)


def common(one: Iterable[Span], other: Iterable[Span]) -> list[Span]:
    """Return what lies in both."""
    others = list(other)
    return spans(*((max(a, c), min(b, d)) for a, b in one for c, d in others))


def held_at(instant: datetime, some: Iterable[Span]) -> bool:
    """Whether the instant lies in one of the spans."""
    return any(begin <= instant < end for begin, end in some)


@dataclass(frozen=True, slots=True)
class Points:
    """Points that something a visitor did gives her score."""

    at: datetime
    known: datetime
    """When leadup comes to know of it."""
    worth: float


def score(points: Iterable[Points], at: datetime) -> float:
    """What the score is worth at a whole second, by what is known then."""
    return math.fsum(p.worth * 2 ** (-((at - p.at) / HALF_LIFE)) for p in points if p.known <= at)


def fades(points: Sequence[Points], below: float) -> datetime:
    """Return the first whole second at which points that are all known are worth less than ``below``."""
    latest = max(p.at for p in points)
    worth = math.fsum(p.worth * 2 ** (-((latest - p.at) / HALF_LIFE)) for p in points)
    return latest + math.floor(HALF_LIFE / SECOND * math.log2(worth / below)) * SECOND + SECOND


def tier(value: float) -> str:
    """The tier that a score lies in; "" is none."""
    return next((name for name, threshold in TIERS if value >= threshold), "")
