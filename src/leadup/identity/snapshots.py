"""Leaves out of snapshots what is no news: a CRM tells all of a person again and again, and mostly nothing is new.

What is left out would make its person dirty, grow with every reading, and outdo by its date what others said since.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, select

from leadup.identity.bulk import among
from leadup.identity.ownership import links_of
from leadup.state.store import upsert
from leadup.state.tables import identifiers, links, snapshots
from leadup.types import Fact, Identifier, Json, to_us


def news(connection: Connection, told: Sequence[Fact]) -> list[Fact]:
    """Return facts without what their source has told already; of facts that are no snapshots, all.

    Args:
        connection: a transaction that may write: what it reads must not change before the facts are stored.
        told: sealed facts, each with identifiers; snapshots of one person are not twice among them.
    """
    if not any(fact.snapshot for fact in told):
        return list(told)
    known = _Known.of(connection, [fact for fact in told if fact.snapshot])
    fresh = ((fact, known.without(fact) if fact.snapshot else fact) for fact in told)
    return [left for fact, left in fresh if left.facts or left.consent or not known.together(fact)]


def remember(connection: Connection, told: Sequence[tuple[int, Fact]]) -> None:
    """Note what snapshots, of which only the news is left, have told; each with the number of its anchor."""
    rows = [
        {"source": fact.source, "anchor": anchor, "name": name, "at_us": to_us(fact.at), "value": value}
        for anchor, fact in told
        if fact.snapshot
        for name, value in _told(fact)
    ]
    upsert(connection, snapshots, rows, update=["at_us", "value"])


@dataclass(frozen=True, slots=True)
class _Known:
    """What is stored of some identifiers."""

    numbers: Mapping[Identifier, tuple[int, int]]
    """Number, and first sight in microseconds."""
    links: Mapping[tuple[int, int], int]
    """When two were seen together first."""
    told: Mapping[tuple[str, int, str], str]
    """What a source told last of an anchor, by name."""

    @classmethod
    def of(cls, connection: Connection, told: Sequence[Fact]) -> _Known:
        numbers = _numbers(connection, {one for fact in told for one in fact.identifiers})
        anchors = {numbers[fact.identifiers[0]][0] for fact in told if fact.identifiers[0] in numbers}
        pairs = select(links.c.a, links.c.b, func.min(links.c.first_us)).where(links.c.a.in_(among(anchors)))
        together = {(a, b): first_us for a, b, first_us in connection.execute(pairs.group_by(links.c.a, links.c.b))}
        columns = snapshots.c.source, snapshots.c.anchor, snapshots.c.name, snapshots.c.value
        before = connection.execute(select(*columns).where(snapshots.c.anchor.in_(among(anchors))))
        return cls(numbers, together, {(source, anchor, name): value for source, anchor, name, value in before})

    def together(self, fact: Fact) -> bool:
        """Whether these identifiers were seen together before, so that the fact tells nothing of who is who."""
        at_us = to_us(fact.at)
        if any(one.kind.is_device or self.numbers.get(one, (0, at_us + 1))[1] > at_us for one in fact.identifiers):
            return False
        pairs = ((self.numbers[a][0], self.numbers[b][0]) for a, b in links_of(fact.identifiers))
        return all(self.links.get(pair, at_us + 1) <= at_us for pair in pairs)

    def without(self, fact: Fact) -> Fact:
        """Return the fact without what its source told before; where it told nothing, without what says nothing.

        That somebody has not said no is no yes: a grant is one only where it ends a denial of the same source.
        """
        anchor = self.numbers.get(fact.identifiers[0], (0, 0))[0]
        fresh = {
            name for name, value in _told(fact) if self.told.get((fact.source, anchor, name), _empty(name)) != value
        }
        return replace(
            fact,
            facts={trait: value for trait, value in fact.facts.items() if f"trait:{trait}" in fresh},
            consent={purpose: yes for purpose, yes in fact.consent.items() if f"purpose:{purpose}" in fresh},
        )


def _empty(name: str) -> str:
    """What is as good as nothing told: no value, and no denial."""
    return _text(True if name.startswith("purpose:") else None)


def _told(fact: Fact) -> Iterator[tuple[str, str]]:
    yield from ((f"trait:{trait}", _text(value)) for trait, value in fact.facts.items())
    yield from ((f"purpose:{purpose}", _text(granted)) for purpose, granted in fact.consent.items())


def _numbers(connection: Connection, wanted: Collection[Identifier]) -> dict[Identifier, tuple[int, int]]:
    by_kind: dict[str, list[Identifier]] = defaultdict(list)
    for identifier in wanted:
        by_kind[identifier.kind.value].append(identifier)
    found = {}
    for kind, ones in by_kind.items():
        columns = identifiers.c.value, identifiers.c.id, identifiers.c.first_us
        these = identifiers.c.value.in_(among(one.value for one in ones))
        for value, number, first_us in connection.execute(select(*columns).where(identifiers.c.kind == kind, these)):
            found[Identifier(ones[0].kind, value)] = number, first_us
    return found


def _text(value: Json) -> str:
    return json.dumps(value, sort_keys=True)
