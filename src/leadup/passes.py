"""What one pass through the flow did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from leadup.delivery.courier import Delivered
from leadup.delivery.planning import Planned
from leadup.delivery.rationing import Waits
from leadup.insights.words import instant
from leadup.pipeline import Taken, Ticked
from leadup.types import to_us


@dataclass(slots=True)
class Pulled:
    """What reading the sources brought, each by connection."""

    taken: dict[str, Taken] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    waits: dict[str, Waits] = field(default_factory=dict)
    """Those that are not read to their end before their vendor's next day."""


@dataclass(slots=True)
class Synced:
    """What one pass through the flow did."""

    taken: dict[str, Taken] = field(default_factory=dict)
    reading: dict[str, Waits] = field(default_factory=dict)
    """Sources that wait for their vendor's next day."""
    ticked: Ticked | None = None
    released: int = 0
    delivered: list[Delivered] = field(default_factory=list)
    recreated: list[str] = field(default_factory=list)
    """Audiences that somebody had deleted, and that were made anew."""
    settled: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    """By connection or target."""
    not_offered: dict[str, str] = field(default_factory=dict)
    """By target, what the vendor's plan does not offer, where that was told before: it is no failure."""
    postponed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What waits for a vendor's next day, by connection (:func:`leadup.insights.budget.postponed`)."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a sync would do."""

    plans: list[Planned]
    calls: list[dict[str, Any]]
    """What that takes of vendors' days (:func:`leadup.insights.budget.forecast`)."""


def as_json(result: Synced) -> dict[str, Any]:
    """What ``leadup sync --json`` answers."""
    ticked = result.ticked
    return {
        "pulled": {name: {key: getattr(taken, key) for key in taken.__slots__} for name, taken in result.taken.items()},
        "reading": {
            name: {"until": instant(to_us(one.until)), "because": one.because} for name, one in result.reading.items()
        },
        "judged": ticked.judged if ticked else 0,
        "entered": ticked.entered if ticked else 0,
        "left": ticked.left if ticked else 0,
        "released": result.released,
        "delivered": [
            {"target": d.target.key, "sent": d.sent, "outcomes": dict(d.outcomes), "error": d.error}
            for d in result.delivered
        ],
        "recreated": result.recreated,
        "settled": result.settled,
        "not_offered": result.not_offered,
        "postponed": result.postponed,
        "errors": result.errors,
    }
