"""For tests of identity: sightings in a line of text, and who owns what afterwards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Connection, select

from leadup.identity.register import Sighting
from leadup.identity.seal import strongest_first
from leadup.state import Store, open_store
from leadup.state.tables import dirty, identifiers, shared, spans
from leadup.types import EVER, NEVER, Identifier, Kind

KINDS = {
    "u": Kind.USER_ID,
    "e": Kind.EMAIL,
    "p": Kind.PHONE,
    "h": Kind.HUBSPOT_ID,
    "c": Kind.CLIENT_ID,
    "k": Kind.HUTK,
}
LETTER = {kind: letter for letter, kind in KINDS.items()}

Holding: TypeAlias = "tuple[str, int, int]"
"""(name, from, until): ``("c1", EVER, 5)``."""


def seen(names: str, at: int) -> Sighting:
    """``seen("u1 c1", 5)``: user id u1 and client id c1 in one record. The letter tells the kind."""
    return Sighting(strongest_first({Identifier(KINDS[name[0]], name) for name in names.split()}), at)


def memory(folder: Path) -> Store:
    """An empty state in memory."""
    return open_store("sqlite://", folder)


@contextmanager
def scratch(store: Store) -> Iterator[Connection]:
    """A transaction that leaves no trace."""
    with store.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
        finally:
            connection.rollback()


def holdings(connection: Connection) -> dict[int, set[Holding]]:
    """What each person owns."""
    found: dict[int, set[Holding]] = defaultdict(set)
    query = select(spans.c.person, identifiers.c.value, spans.c.from_us, spans.c.until_us)
    for person, name, from_us, until_us in connection.execute(query.join(identifiers)):
        found[person].add((name, from_us, until_us))
    return dict(found)


def owner(connection: Connection, name: str, at: int = 0) -> int:
    """The person who owns an identifier at an instant."""
    (person,) = (p for p, held in holdings(connection).items() for n, f, u in held if n == name and f <= at < u)
    return person


def lent(connection: Connection) -> dict[str, set[int]]:
    """Who can be reached by an identifier that belongs first to another one."""
    found: dict[str, set[int]] = defaultdict(set)
    for name, person in connection.execute(select(identifiers.c.value, shared.c.person).join(identifiers)):
        found[name].add(person)
    return dict(found)


def take_dirty(connection: Connection) -> set[int]:
    """Return who is dirty, and let nobody be."""
    found = set(connection.scalars(select(dirty.c.person)))
    connection.execute(dirty.delete())
    return found


def whole(*names: str) -> set[Holding]:
    """Identifiers that are owned for all time."""
    return {(name, EVER, NEVER) for name in names}


def partition(held: Iterable[set[Holding]]) -> set[frozenset[Holding]]:
    """Who owns what, whatever the persons' numbers are."""
    return {frozenset(one) for one in held}
