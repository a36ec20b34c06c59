"""What one call of a reading brought."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from leadup.kit import clip
from leadup.types import Event, Fact, Rejected

Row = TypeVar("Row")


@dataclass(slots=True)
class Brought:
    """Records, rows that can be none, and events that are none any more."""

    records: list[Event | Fact] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.records or self.rejected or self.taken_back)

    def reject(self, place: str, reason: str, said: Mapping[str, str]) -> None:
        """Note a row that is none; ``place`` is its path in HubSpot."""
        text = clip(json.dumps(dict(said), ensure_ascii=False))
        self.rejected.append(Rejected(place=place, line=1, reason=reason, text=text))


def translated(rows: Iterable[Row], translate: Callable[[Row, Brought], None], place: Callable[[Row], str]) -> Brought:
    """Translate each row; one that can not be is rejected with its place and the reason, and stops no other."""
    brought = Brought()
    for row in rows:
        try:
            translate(row, brought)
        except ValueError as error:
            brought.reject(place(row), str(error), {})
    return brought
