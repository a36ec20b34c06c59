"""The log's side in SQL: the tail, the keys of what has left it, and which files count.

All functions work within the transaction of the connection they are given.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, LargeBinary, MetaData, Table, delete, func, insert, select, union_all
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.schema import CreateTable

from leadup.events.files import Written
from leadup.events.rows import BATCH, Row
from leadup.state.tables import event_files, event_gone, event_keys, event_tail

TAIL = [event_tail.c[name] for name in BATCH.names]
"""The columns of a batch, as the tail has them."""

_wanted = Table(
    "wanted_events",
    MetaData(),
    Column("key", LargeBinary(16), primary_key=True),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)
"""The keys a statement is about: any number of them, without a variable for each."""


@dataclass(frozen=True, slots=True)
class EventFile:
    """A file that counts."""

    id: int
    day: int
    path: str
    rows: int
    names: dict[str, int]


def wanted(connection: Connection, keys: Collection[bytes]) -> Any:
    """Return ``keys`` as a subquery, which holds until the next call."""
    connection.execute(CreateTable(_wanted, if_not_exists=True))
    connection.execute(delete(_wanted))
    _insert(connection, _wanted, sorted((key,) for key in set(keys)))
    return select(_wanted.c.key)


# ---------------------------------------------------------------- events


def digests(connection: Connection, keys: Collection[bytes]) -> dict[bytes, bytes]:
    """Return the digests of those of ``keys`` that the log holds."""
    these = wanted(connection, keys)
    places = (select(t.c.key, t.c.digest).where(t.c.key.in_(these)) for t in (event_tail, event_keys))
    return {row.key: row.digest for row in connection.execute(union_all(*places)).all()}


def forget(connection: Connection, keys: Collection[bytes]) -> int:
    """Take events out of the log, wherever they are; return how many there were."""
    these = wanted(connection, keys)
    rows = (
        select(event_files.c.id, event_keys.c.key)
        .join(event_files, event_files.c.day == event_keys.c.day)
        .where(event_keys.c.key.in_(these), event_files.c.dropped_us.is_(None))
    )
    connection.execute(sqlite_insert(event_gone).from_select(["file", "key"], rows).on_conflict_do_nothing())
    places = (connection.execute(delete(table).where(table.c.key.in_(these))) for table in (event_keys, event_tail))
    return sum(result.rowcount for result in places)


def keep(connection: Connection, rows: Sequence[Row]) -> None:
    """Put rows, whose keys the log does not hold, into the tail."""
    _insert(connection, event_tail, sorted(rows))


def settle(connection: Connection, keys: Collection[bytes]) -> None:
    """Say of events in the tail that the files of their day hold them now."""
    tail = event_tail.c
    these = wanted(connection, keys)
    moved = select(tail.key, tail.day, tail.digest).where(tail.key.in_(these))
    connection.execute(insert(event_keys).from_select(["key", "day", "digest"], moved))
    connection.execute(delete(event_tail).where(tail.key.in_(these)))


def settle_rows(connection: Connection, rows: Sequence[Row]) -> None:
    """Say of rows, whose keys the log does not hold, that the files of their day hold them."""
    _insert(connection, event_keys, sorted((row.key, row.day, row.digest) for row in rows))


def _insert(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows in the order of the table's columns, sorted by key: neighbours share a page of the tree.

    As tuples: what Core does to turn dicts into tuples takes four times as long as the insertion itself.
    """
    if rows:
        connection.exec_driver_sql(str(insert(table).compile(dialect=connection.dialect)), list(map(tuple, rows)))


# ---------------------------------------------------------------- files


def live(connection: Connection, day: int | None = None) -> list[EventFile]:
    """Return the files that count, by day."""
    columns = event_files.c
    statement = select(columns.id, columns.day, columns.path, columns.rows, columns.names)
    statement = statement.where(columns.dropped_us.is_(None)).order_by(columns.day, columns.id)
    if day is not None:
        statement = statement.where(columns.day == day)
    return [EventFile(*row) for row in connection.execute(statement)]


def add(connection: Connection, day: int, file: Written, now_us: int) -> int:
    """Name a file that has been written; return its id."""
    values = {"day": day, "path": file.path, "rows": file.rows, "bytes": file.bytes, "names": file.names}
    statement = insert(event_files).values(values | {"added_us": now_us}).returning(event_files.c.id)
    return int(connection.execute(statement).scalar_one())


def gone(connection: Connection, file: int) -> set[bytes]:
    """Return the keys whose rows in ``file`` do not count."""
    return set(connection.scalars(select(event_gone.c.key).where(event_gone.c.file == file)))


def gone_counts(connection: Connection) -> dict[int, int]:
    """Return how many keys count no more, by file; files that have none are left out."""
    statement = select(event_gone.c.file, func.count().label("count_")).group_by(event_gone.c.file)
    return {row.file: row.count_ for row in connection.execute(statement)}


def add_gone(connection: Connection, file: int, keys: Collection[bytes]) -> None:
    """Say that rows of ``keys`` in ``file`` do not count."""
    _insert(connection, event_gone, sorted((file, key) for key in keys))


def days_of_gone(connection: Connection, keys: Collection[bytes]) -> set[int]:
    """Return the days of which a file that counts has a row of ``keys`` that does not."""
    these = wanted(connection, keys)
    days = select(event_files.c.day).join(event_gone, event_gone.c.file == event_files.c.id)
    return set(connection.scalars(days.where(event_files.c.dropped_us.is_(None), event_gone.c.key.in_(these))))


def dropped(connection: Connection) -> bool:
    """Whether a file that was replaced still lies there."""
    return connection.scalar(select(event_files.c.id).where(event_files.c.dropped_us.is_not(None)).limit(1)) is not None
