"""What a property tells of a person. Pure.

A value that says nothing is empty: 0 of a score, None of everything else. It is written only where an earlier value of
ours stands, which holds no longer; what was never ours is not overwritten with it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from leadup.rules.program import Program, Property
from leadup.types import Json, from_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of one person, as far as a property tells of it."""

    score: float = 0.0
    segments: Collection[str] = ()
    """Those the person is in, after groups and ``stay_at_least``."""
    held_out: Collection[str] = ()
    """Those of them from which a holdout keeps the person back."""
    last: tuple[int, int] | None = None
    """Of the property's patterns, the place of the last that happened, and its instant in microseconds."""
    lot: str = ""
    """What the property's holdout drew: ``held_out``, ``sent`` or ``mixed``; empty: nothing so far."""


def value(program: Program, prop: Property, known: Known) -> Json:
    """Return what the property should be; empty when there is nothing to tell.

    A person whom a holdout keeps back is told of as if she were not in the segment: the mark says whom the audience
    gets, and whoever acts on it acts on the same people.
    """
    match prop.of:
        case "score":
            return math.floor(known.score)
        case "tier":
            return tier(program.scores[prop.names[0]].tiers, known.score) or None
        case "segments":
            marked = [name for name in prop.names if name in known.segments and name not in known.held_out]
            return (";".join(marked) if prop.text else marked) or None
        case "last":
            return prop.names[known.last[0]] if known.last else None
        case "last_at":
            return instant(known.last[1]) if known.last else None
        case "holdout":
            return known.lot or None


def tier(tiers: Sequence[tuple[str, float]], score: float) -> str:
    """Return the highest tier that a score reaches; empty: none."""
    return next((name for name, threshold in reversed(tiers) if score >= threshold), "")


def instant(us: int) -> str:
    """Return microseconds as :attr:`leadup.outgoing.ValueKind.INSTANT` has it: cut to milliseconds."""
    return from_us(us).isoformat(timespec="milliseconds").replace("+00:00", "Z")
