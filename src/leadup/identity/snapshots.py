"""Leaves out of snapshots what is no news: a CRM tells all of a person again and again, and mostly nothing is new.

What is left out would change no answer at any instant, but it would make its person dirty, and grow with every reading.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Table, func, select

from leadup.identity.bulk import among
from leadup.identity.ownership import links_of
from leadup.state.tables import consents, facts, identifiers, links
from leadup.types import Fact, Identifier, Json, to_us


def news(connection: Connection, told: Sequence[Fact]) -> list[Fact]:
    """Return facts without what earlier ones said already; of facts that are no snapshots, all.

    Args:
        connection: a transaction that may write: what it reads must not change before the facts are stored.
        told: sealed facts, each with identifiers, none of a person twice.
    """
    snapshots = [fact for fact in told if fact.snapshot]
    if not snapshots:
        return list(told)
    known = _Known.of(connection, snapshots)
    fresh = ((fact, known.without(fact) if fact.snapshot else fact) for fact in told)
    return [
        left for fact, left in fresh if left is not None and (left.facts or left.consent or not known.together(fact))
    ]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is stored of some identifiers."""

    numbers: Mapping[Identifier, tuple[int, int]]
    """Number, and first sight in microseconds."""
    links: Mapping[tuple[int, int], int]
    """When two were seen together first."""
    traits: Mapping[int, Mapping[str, Sequence[tuple[int, str]]]]
    """By anchor and trait, what was said when, in order, as JSON."""
    statements: Mapping[int, Mapping[str, Sequence[tuple[int, str]]]]
    """By anchor and purpose, likewise."""

    @classmethod
    def of(cls, connection: Connection, told: Sequence[Fact]) -> _Known:
        numbers = _numbers(connection, {one for fact in told for one in fact.identifiers})
        anchors = {numbers[fact.identifiers[0]][0] for fact in told if fact.identifiers[0] in numbers}
        pairs = select(links.c.a, links.c.b, func.min(links.c.first_us)).where(links.c.a.in_(among(anchors)))
        together = {(a, b): first_us for a, b, first_us in connection.execute(pairs.group_by(links.c.a, links.c.b))}
        return cls(
            numbers,
            together,
            _said(connection, facts, "trait", "value", anchors),
            _said(connection, consents, "purpose", "granted", anchors),
        )

    def together(self, fact: Fact) -> bool:
        """Whether these identifiers were seen together before, so that the fact tells nothing of who is who."""
        at_us = to_us(fact.at)
        if any(one.kind.is_device or self.numbers.get(one, (0, at_us + 1))[1] > at_us for one in fact.identifiers):
            return False
        pairs = ((self.numbers[a][0], self.numbers[b][0]) for a, b in links_of(fact.identifiers))
        return all(self.links.get(pair, at_us + 1) <= at_us for pair in pairs)

    def without(self, fact: Fact) -> Fact:
        """Return the fact without the traits and statements that stood at its instant."""
        anchor, at_us = self.numbers.get(fact.identifiers[0], (0, 0))[0], to_us(fact.at)
        traits, statements = self.traits.get(anchor, {}), self.statements.get(anchor, {})
        return replace(
            fact,
            facts={name: value for name, value in fact.facts.items() if not _stands(traits.get(name), at_us, value)},
            consent={to: yes for to, yes in fact.consent.items() if not _stands(statements.get(to), at_us, yes)},
        )


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


def _said(
    connection: Connection, table: Table, what: str, value: str, anchors: Collection[int]
) -> dict[int, dict[str, list[tuple[int, str]]]]:
    said: dict[int, dict[str, list[tuple[int, str]]]] = defaultdict(lambda: defaultdict(list))
    columns = table.c.anchor, table.c[what], table.c.at_us, table.c[value]
    for anchor, name, at_us, one in connection.execute(
        select(*columns).where(table.c.anchor.in_(among(anchors))).order_by(table.c.at_us)
    ):
        said[anchor][name].append((at_us, _text(one)))
    return said


def _stands(said: Sequence[tuple[int, str]] | None, at_us: int, value: Json) -> bool:
    """Whether a value is what was said last by then; where nothing was, whether there is none."""
    before = next((text for when, text in reversed(said or ()) if when <= at_us), "null")
    return before == _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
