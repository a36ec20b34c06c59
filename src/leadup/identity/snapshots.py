"""Takes of snapshots what is news: a CRM says all that stands in a record again and again, and mostly nothing is new.

What is left out would make its person dirty, grow with every reading, and outdo by its date what others said since.

Kept is what each **record** has said last, not each person: one person may have several contacts, and who that is
changes as identities do. What a record says stands until it says something else, or nothing: it was deleted, or merged
into another one. Then what the others say counts again (:func:`leadup.identity.people.facts_of`). A record's facts are
stored under the strongest identifier that it carries now; when that is another one, they go with it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from sqlalchemy import Connection, bindparam, func, select, update

from leadup.identity.bulk import among
from leadup.identity.ownership import links_of
from leadup.identity.people import anchors_of
from leadup.state.store import upsert
from leadup.state.tables import dirty, facts, identifiers, links, snapshots, spans
from leadup.types import Fact, Identifier, Json, Kind, Purpose, from_us, to_us

Record: TypeAlias = "tuple[str, str]"
"""A source, and what it calls a record."""


@dataclass(slots=True)
class News:
    """What snapshots tell that is new, and what is to be noted of them."""

    facts: list[Fact] = field(default_factory=list)
    said: dict[Record, _Said] = field(default_factory=dict)
    """What these records say now."""
    moved: dict[Record, Identifier] = field(default_factory=dict)
    """Records that carry another strongest identifier now, with the one under which their facts are stored."""
    merged: dict[Record, Record] = field(default_factory=dict)
    """Records that were merged into others, with those."""
    joined: set[Identifier] = field(default_factory=set)
    """By which those are known who have such records."""


def record_of(fact: Fact) -> str:
    """The record that says this, as facts are stored with it; "": it stands by itself."""
    return f"{fact.source}:{fact.records[0]}" if fact.records else ""


def news(connection: Connection, told: Sequence[Fact]) -> News:
    """Return facts without what their records have said before; of facts that are no snapshots, all.

    A record that is told of as it stood before what it said last is out of date, and says nothing new.

    Args:
        connection: a transaction that may write: what it reads must not change before the facts are stored.
        told: sealed facts, each with identifiers; no record tells twice among them.
    """
    snaps = [fact for fact in told if fact.records]
    if not snaps:
        return News(list(told))
    known = _Known.of(connection, snaps)
    said = _said(connection, {(fact.source, record) for fact in snaps for record in fact.records})
    found = News()
    for fact in told:
        if not fact.records:
            found.facts.append(fact)
            continue
        left = _left(fact, said, found)
        if left.facts or left.consent or not known.together(fact):
            found.facts.append(left)
    return found


def remember(connection: Connection, found: News) -> None:
    """Note what records say now, and let the facts of those that moved go with them. Needs who is who stored."""
    if not found.said:
        return
    ones = [*{said.anchor for said in found.said.values()} | set(found.moved.values())]
    numbers = dict(zip(ones, anchors_of(connection, [[one] for one in ones]), strict=True))
    rows = [
        {
            "source": source,
            "record": record,
            "anchor": numbers[said.anchor],
            "at_us": said.at_us,
            "traits": said.traits,
            "purposes": said.purposes,
        }
        for (source, record), said in found.said.items()
    ]
    upsert(connection, snapshots, rows, update=["anchor", "at_us", "traits", "purposes"])
    if found.moved:
        ends = {one: (numbers[before], numbers[found.said[one].anchor]) for one, before in found.moved.items()}
        here = (facts.c.anchor == bindparam("old")) & (facts.c.record == bindparam("of"))
        go = update(facts).prefix_with("OR REPLACE").where(here).values(anchor=bindparam("new"))
        connection.execute(go, [{"of": ":".join(one), "old": old, "new": new} for one, (old, new) in ends.items()])
        both = {number for pair in ends.values() for number in pair if number is not None}
        concerned = select(spans.c.person).where(spans.c.identifier.in_(among(both))).distinct()
        upsert(connection, dirty, [{"person": one} for one in connection.scalars(concerned)], update=())


@dataclass(frozen=True, slots=True)
class _Said:
    """What a record said last. Traits that have no value are left out."""

    anchor: Identifier
    at_us: int
    traits: Mapping[str, Json]
    purposes: Mapping[str, bool]


def _left(fact: Fact, said: dict[Record, _Said], found: News) -> Fact:
    """Return what is new of a snapshot, and note what its records say from now on."""
    of, at_us, anchor = (fact.source, fact.records[0]), to_us(fact.at), fact.identifiers[0]
    before = said.get(of) or _Said(anchor, at_us, {}, {})
    if at_us < before.at_us:
        return replace(fact, facts={}, consent={})
    if before.anchor != anchor:
        found.moved.setdefault(of, before.anchor)
    traits = {trait: value for trait, value in fact.facts.items() if value is not None}
    purposes = {str(purpose): granted for purpose, granted in fact.consent.items()}
    said[of] = found.said[of] = _Said(anchor, at_us, traits, {**before.purposes, **purposes})
    for record in fact.records[1:]:
        _end((fact.source, record), fact, said, found)
    return replace(
        fact,
        facts={
            **{trait: value for trait, value in traits.items() if _text(before.traits.get(trait)) != _text(value)},
            **{trait: None for trait in before.traits if trait not in traits},
        },
        consent=dict(_stated(fact, before)),
    )


def _stated(fact: Fact, before: _Said) -> Iterator[tuple[Purpose, bool]]:
    """What is new of a record's statements.

    That somebody has not said no is no yes: a grant is one only where it ends a denial of the same record.
    """
    moved = before.anchor != fact.identifiers[0]
    for purpose, granted in fact.consent.items():
        if before.purposes.get(str(purpose), True) != granted or (moved and not granted):
            yield purpose, granted


def _end(of: Record, by: Fact, said: dict[Record, _Said], found: News) -> None:
    """Let a record that was merged into another one say nothing any more; who it was stays told."""
    found.merged[of] = by.source, by.records[0]
    before = said.get(of) or _Said(by.identifiers[0], to_us(by.at), {}, {})
    found.joined |= {before.anchor, *by.identifiers}
    at_us = max(to_us(by.at), before.at_us)
    said[of] = found.said[of] = replace(before, at_us=at_us, traits={})
    if before.traits:
        gone = dict.fromkeys(before.traits)
        who = (before.anchor,)
        found.facts.append(Fact(source=of[0], at=from_us(at_us), identifiers=who, facts=gone, records=of[1:]))


@dataclass(frozen=True, slots=True)
class _Known:
    """What is stored of some identifiers."""

    numbers: Mapping[Identifier, tuple[int, int]]
    """Number, and first sight in microseconds."""
    links: Mapping[tuple[int, int], int]
    """When two were seen together first."""

    @classmethod
    def of(cls, connection: Connection, told: Sequence[Fact]) -> _Known:
        numbers = _numbers(connection, {one for fact in told for one in fact.identifiers})
        anchors = {numbers[fact.identifiers[0]][0] for fact in told if fact.identifiers[0] in numbers}
        pairs = select(links.c.a, links.c.b, func.min(links.c.first_us)).where(links.c.a.in_(among(anchors)))
        together = {(a, b): first_us for a, b, first_us in connection.execute(pairs.group_by(links.c.a, links.c.b))}
        return cls(numbers, together)

    def together(self, fact: Fact) -> bool:
        """Whether these identifiers were seen together before, so that the fact tells nothing of who is who."""
        at_us = to_us(fact.at)
        if any(one.kind.is_device or self.numbers.get(one, (0, at_us + 1))[1] > at_us for one in fact.identifiers):
            return False
        pairs = ((self.numbers[a][0], self.numbers[b][0]) for a, b in links_of(fact.identifiers))
        return all(self.links.get(pair, at_us + 1) <= at_us for pair in pairs)


def _said(connection: Connection, records: Collection[Record]) -> dict[Record, _Said]:
    by_source: dict[str, list[str]] = defaultdict(list)
    for source, record in records:
        by_source[source].append(record)
    s = snapshots.c
    stored = select(s.record, s.at_us, s.traits, s.purposes, identifiers.c.kind, identifiers.c.value)
    found = {}
    for source, ones in by_source.items():
        where = stored.join(identifiers, identifiers.c.id == s.anchor).where(s.source == source)
        for record, at_us, traits, purposes, kind, value in connection.execute(where.where(s.record.in_(among(ones)))):
            found[source, record] = _Said(Identifier(Kind(kind), value), at_us, traits, purposes)
    return found


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
