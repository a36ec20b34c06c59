"""Keeps who is on which list: identifiers from files, of people who may be known now, later or never."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, delete, insert, select, tuple_

from leadup.identity.suppress import Door
from leadup.rules.lists import Listing
from leadup.rules.program import Program
from leadup.state.store import chunks, upsert
from leadup.state.tables import dirty, identifiers, listed, meta, shared, spans
from leadup.types import Identifier, Kind

_META: Final = "lists"
"""By list, the digest of what is kept of it."""
_SAME = and_(identifiers.c.kind == listed.c.kind, identifiers.c.value == listed.c.value)


def is_kept(connection: Connection, program: Program) -> bool:
    """Whether all lists of the program are kept as it has them."""
    return _kept(connection) == _wanted(program)


def keep(connection: Connection, program: Program, lists: Mapping[str, Listing], door: Door | None = None) -> bool:
    """Keep these lists, and no others, but for whom ``door`` keeps out; return whether any has changed.

    Whoever is on a list now and was not, or the other way round, is dirty.
    """
    before, after = _kept(connection), _wanted(program)
    changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    for name in changed:
        _exchange(connection, name, lists[name] if name in after else None, door)
    if changed:
        connection.execute(delete(meta).where(meta.c.key == _META))
        connection.execute(insert(meta), [{"key": _META, "value": after}])
    return bool(changed)


def _kept(connection: Connection) -> dict[str, str]:
    return connection.scalar(select(meta.c.value).where(meta.c.key == _META)) or {}


def _wanted(program: Program) -> dict[str, str]:
    return {name: one.digest for name, one in program.lists.items()}


def _exchange(connection: Connection, name: str, listing: Listing | None, door: Door | None) -> None:
    mine = listed.c.list == name
    old = {(kind, value) for kind, value in connection.execute(select(listed.c.kind, listed.c.value).where(mine))}
    new = {(listing.match.value, value) for value in listing.values} if listing is not None else set()
    if door is not None:
        closed = door.closed(Identifier(Kind(kind), value) for kind, value in new)
        new -= {(i.kind.value, i.value) for i, rules in closed.items() if any(rule.anywhere for rule in rules)}
    for part in chunks(sorted(old - new)):
        connection.execute(delete(listed).where(mine, tuple_(listed.c.kind, listed.c.value).in_(part)))
    for part in chunks(sorted(new - old)):
        connection.execute(insert(listed), [{"list": name, "kind": kind, "value": value} for kind, value in part])
    for part in chunks(sorted(old ^ new)):
        known = select(identifiers.c.id).where(tuple_(identifiers.c.kind, identifiers.c.value).in_(part)).subquery()
        for owned in (spans, shared):
            owners = select(owned.c.person).join(known, known.c.id == owned.c.identifier).distinct()
            upsert(connection, dirty, [{"person": one} for one in connection.scalars(owners)], update=())


def people_on(names: Collection[str]) -> Iterable[Select[Any]]:
    """Return the queries that find, together, the persons who are on any of these lists."""
    for owned in (spans, shared):
        on = owned.join(identifiers, identifiers.c.id == owned.c.identifier).join(listed, _SAME)
        yield select(owned.c.person).select_from(on).where(listed.c.list.in_(names)).distinct()


def who_is_on(connection: Connection, program: Program, persons: Collection[int]) -> dict[str, set[int]]:
    """By list of the program, which of these persons are on it: of whom any identifier is."""
    found: dict[str, set[int]] = defaultdict(set)
    if not program.lists:
        return found
    for owned in (spans, shared):
        on = owned.join(identifiers, identifiers.c.id == owned.c.identifier).join(listed, _SAME)
        query = select(listed.c.list, owned.c.person).select_from(on).distinct()
        for part in chunks(persons):
            for name, person in connection.execute(query.where(owned.c.person.in_(part))):
                found[name].add(person)
    return found
