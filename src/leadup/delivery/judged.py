"""What the tick knows of the persons it judged."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from leadup.types import NEVER


@dataclass(slots=True, kw_only=True)
class Judged:
    """What the tick knows of the persons it judged."""

    persons: Sequence[int]
    members: Mapping[str, Collection[int]]
    """By segment."""
    reasons: Mapping[tuple[str, int], str]
    """Why somebody entered or left a segment just now, by segment and person."""
    scores: Mapping[str, Mapping[int, float]]
    """By score, by person."""
    last: Mapping[str, Mapping[int, tuple[int, int]]] = field(default_factory=dict)
    """By property that tells of the last of some patterns, by person: its place among them, and its instant. Of whom
    none happened is left out."""
    fresh: Collection[int]
    """Persons about whom something is new, as against those whose time had come."""
    again: dict[int, int] = field(default_factory=dict)
    """Filled here: persons who are due again, and when: a decaying property, the end of an episode, a young click."""

    def look_again(self, person: int, at_us: int) -> None:
        """Have a person judged at this instant, if not before."""
        self.again[person] = min(self.again.get(person, NEVER), at_us)
