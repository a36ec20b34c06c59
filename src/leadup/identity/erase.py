"""Forgets a person: what hangs on her identifiers, what was learnt of them, and who others are without it.

The law: what is left is what there would be had her records never been seen. A browser that others used before or after
her stays theirs, and may become theirs for all time; an e-mail address that another user gave too becomes his.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, func, or_, select, tuple_, update

from leadup.identity.bulk import among
from leadup.identity.links import hanging_together
from leadup.identity.people import NOBODY
from leadup.identity.register import Register
from leadup.identity.resolve import redivide
from leadup.identity.suppress import Closed
from leadup.state.gone import leave_out
from leadup.state.store import chunks
from leadup.state.tables import (
    clicks,
    consents,
    facts,
    identifiers,
    links,
    listed,
    persons,
    shared,
    signals,
    snapshots,
    spans,
    vault,
)
from leadup.types import Identifier, Kind

BY_ANCHOR: Final = (signals, clicks, facts, consents, snapshots)
"""Tables of what was seen of a person, under the strongest identifier of the record."""


@dataclass(frozen=True, slots=True)
class Her:
    """A person as she is known before she is erased."""

    person: int
    numbers: tuple[int, ...]
    """Her own, and those of all who turned out to be her."""
    known: Mapping[int, Identifier]
    """Her identifiers by number, those included that are hers only for a time."""
    stretches: Mapping[Identifier, tuple[tuple[int, int], ...]]
    """When each of them is hers: [from, until) in microseconds."""
    alone: frozenset[Identifier]
    """Those that nobody else has ever had or given."""
    beside: Mapping[int, Identifier]
    """What stays, by number: her other identifiers, and those of others that records of hers carried."""

    def owns(self, anchor: Identifier, at_us: int) -> bool:
        """Whether a record under this strongest identifier is hers."""
        return any(start <= at_us < end for start, end in self.stretches.get(anchor, ()))

    def closed(self, erasure: int, now_us: int) -> list[tuple[Identifier, Closed]]:
        """Say for what each of her identifiers closes the door (:mod:`leadup.identity.suppress`)."""
        rules = []
        for identifier, stretches in self.stretches.items():
            if identifier in self.alone and not identifier.kind.is_device:
                rules.append((identifier, Closed(erasure)))
                continue
            past = [(start, min(end, now_us + 1)) for start, end in stretches if start <= now_us]
            rules += [(identifier, Closed(erasure, start, end, anywhere=False)) for start, end in past]
        return rules


def her(connection: Connection, person: int) -> Her:
    """Return all by which a person is known."""
    numbers, front = {person}, {person}
    while front:
        front = set(connection.scalars(select(persons.c.id).where(persons.c.merged_into.in_(among(front))))) - numbers
        numbers |= front
    query = (
        select(identifiers.c.id, identifiers.c.kind, identifiers.c.value, spans.c.from_us, spans.c.until_us)
        .join(spans, spans.c.identifier == identifiers.c.id)
        .where(spans.c.person == person)
        .order_by(identifiers.c.id, spans.c.from_us)
    )
    known: dict[int, Identifier] = {}
    stretches: dict[Identifier, list[tuple[int, int]]] = defaultdict(list)
    for number, kind, value, from_us, until_us in connection.execute(query):
        known[number] = Identifier(Kind(kind), value)
        stretches[known[number]].append((from_us, until_us))
    kept = _kept(connection, person, known)
    return Her(
        person=person,
        numbers=tuple(sorted(numbers)),
        known=known,
        stretches={identifier: tuple(mine) for identifier, mine in stretches.items()},
        alone=frozenset(identifier for number, identifier in known.items() if number not in kept),
        beside=_texts(connection, kept),
    )


def _not_hers(person: int) -> ColumnElement[bool]:
    """Of links: those that a record of somebody else told. A record belongs to whom its strongest identifier does."""
    mine = (
        select(spans.c.identifier)
        .where(
            spans.c.identifier == links.c.a,
            spans.c.person == person,
            spans.c.from_us <= links.c.first_us,
            spans.c.until_us > links.c.first_us,
        )
        .exists()
    )
    return ~mine


def _kept(connection: Connection, person: int, numbers: Collection[int]) -> set[int]:
    """Return what stays of all that her records carried: others had it for a time, or a record of theirs has it."""
    of_others = select(spans.c.identifier).where(spans.c.identifier.in_(among(numbers)), spans.c.person != person)
    kept = set(connection.scalars(of_others))
    for end in (links.c.a, links.c.b):
        kept |= set(connection.scalars(select(end).where(end.in_(among(numbers)), _not_hers(person))))
    carried = select(links.c.b).where(links.c.a.in_(among(numbers)), ~_not_hers(person))
    return kept | (set(connection.scalars(carried)) - set(numbers))


def _texts(connection: Connection, numbers: Collection[int]) -> dict[int, Identifier]:
    query = select(identifiers.c.id, identifiers.c.kind, identifiers.c.value)
    rows = connection.execute(query.where(identifiers.c.id.in_(among(numbers))))
    return {number: Identifier(Kind(kind), value) for number, kind, value in rows}


def forget(connection: Connection, who: Her, first_us: Mapping[Identifier, int]) -> None:
    """Delete what hangs on her identifiers, and divide anew what hung together with them. Needs the write lock.

    ``first_us``: when others' events that stay first carried an identifier of hers. Events themselves are the log's.
    """
    register = Register(connection)
    register.look_up(who.known)
    users = [number for number, identifier in who.known.items() if identifier.kind is Kind.USER_ID]
    start = set(who.known) - set(users)
    start |= set(connection.scalars(select(links.c.b).where(links.c.a.in_(among(users)))))
    register.look_up(start)
    concerned, _ = hanging_together(register, start)
    leave_out(connection, signals.c.anchor.in_(among(who.known)) & _hers(signals, who.person))
    for table in BY_ANCHOR:
        connection.execute(delete(table).where(table.c.anchor.in_(among(who.known)), _hers(table, who.person)))
    at_her = or_(links.c.a.in_(among(who.known)), links.c.b.in_(among(who.known)))
    connection.execute(delete(links).where(at_her, ~_not_hers(who.person)))
    gone = set(who.known) - set(who.beside)
    connection.execute(delete(spans).where(spans.c.person == who.person))
    connection.execute(delete(shared).where(shared.c.person == who.person))
    for table, column in ((shared, shared.c.identifier), (vault, vault.c.identifier), (identifiers, identifiers.c.id)):
        connection.execute(delete(table).where(column.in_(among(gone))))
    pairs = [(str(identifier.kind), identifier.value) for identifier in who.alone]
    for part in chunks(pairs):
        connection.execute(delete(listed).where(tuple_(listed.c.kind, listed.c.value).in_(part)))
    _seen_first(connection, who.beside, first_us)
    connection.execute(update(persons).where(persons.c.id.in_(who.numbers)).values(merged_into=NOBODY))
    redivide(connection, {n for n in concerned - gone if register.known[n].kind is not Kind.USER_ID})


def _hers(table: Table, person: int) -> ColumnElement[bool]:
    owned = (spans.c.identifier == table.c.anchor, spans.c.from_us <= table.c.at_us, spans.c.until_us > table.c.at_us)
    return select(spans.c.identifier).where(spans.c.person == person, *owned).exists()


def _seen_first(connection: Connection, kept: Mapping[int, Identifier], first_us: Mapping[Identifier, int]) -> None:
    """Say anew when identifiers that stay were first seen: perhaps it was she who brought them."""
    told: dict[int, list[int]] = {n: [first_us[i]] if i in first_us else [] for n, i in kept.items()}
    columns = [(links.c.a, links.c.first_us), (links.c.b, links.c.first_us)]
    columns += [(table.c.anchor, table.c.at_us) for table in BY_ANCHOR]
    for number, at_us in columns:
        query = select(number, func.min(at_us)).where(number.in_(among(kept))).group_by(number)
        for one, earliest in connection.execute(query):
            told[one].append(earliest)
    rows = [{"number": number, "earliest": min(instants)} for number, instants in told.items() if instants]
    if rows:
        here = update(identifiers).where(identifiers.c.id == bindparam("number"))
        connection.execute(here.values(first_us=bindparam("earliest")), rows)
