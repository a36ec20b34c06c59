"""Parts of a source that are read whole, again and again: which events each reading brought, and which are gone.

GA4 writes a day's table anew for three days. What a reading of it brings no more never happened, as far as anybody
knows: it is taken back. All functions work within the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, insert, select, update

from leadup.state.store import chunks, upsert
from leadup.state.tables import event_parts, part_events
from leadup.types import Part


def read(connection: Connection, source: str, part: Part, keys: Collection[bytes]) -> list[bytes]:
    """Note that a reading of a part brought these events; at its end, return those that it has not brought.

    Args:
        connection: a transaction that may write.
        source: the connection whose part it is.
        part: the part and its reading.
        keys: of the page's events, new and known ones.

    Returns:
        Keys of events that are in no part of this source any more. They are to be taken out of the log.
    """
    number, reading = _reading(connection, source, part)
    rows = [{"part": number, "key": key, "reading": reading} for key in sorted(set(keys))]
    upsert(connection, part_events, rows, update=["reading"])
    if not part.last:
        return []
    here = part_events.c
    missed = (here.part == number) & (here.reading < reading)
    gone = set(connection.scalars(select(here.key).where(missed)))
    if gone:
        connection.execute(delete(part_events).where(missed))
        others = event_parts.c
        beside = select(others.id).where(others.connection == source, others.id != number)
        for keys_ in chunks(sorted(gone)):
            gone -= set(connection.scalars(select(here.key).where(here.part.in_(beside), here.key.in_(keys_))))
    return sorted(gone)


def settle(connection: Connection, source: str, names: Collection[str]) -> None:
    """Forget which events these parts brought: they will not be read again."""
    for part in chunks(names):
        where = (event_parts.c.connection == source) & event_parts.c.name.in_(part)
        these = select(event_parts.c.id).where(where)
        connection.execute(delete(part_events).where(part_events.c.part.in_(these)))
        connection.execute(delete(event_parts).where(where))


def _reading(connection: Connection, source: str, part: Part) -> tuple[int, int]:
    """The part's number, and that of its reading: one more than before when it is read anew."""
    columns = event_parts.c
    where = (columns.connection == source) & (columns.name == part.name)
    row = connection.execute(select(columns.id, columns.reading, columns.number).where(where)).first()
    if row is None:
        values = {"connection": source, "name": part.name, "reading": part.reading, "number": 1}
        added = connection.execute(insert(event_parts).values(**values))
        return int(added.inserted_primary_key[0]), 1  # type: ignore[index]
    if row.reading == part.reading:
        return int(row.id), int(row.number)
    connection.execute(update(event_parts).where(where).values(reading=part.reading, number=row.number + 1))
    return int(row.id), int(row.number) + 1
