"""Moves the ageing tail to files, merges small files, and deletes what nothing names any more.

A day is read and written without the write lock; the swap that follows takes only what still is as it was read. What
was revised or removed meanwhile does lie in the new file, but is marked as gone by the transaction that names the file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from sqlalchemy import Connection, delete, func, select, update

from leadup.events import files, manifest
from leadup.events.files import Written
from leadup.events.manifest import EventFile
from leadup.events.rows import BATCH, DAY_US, batch_of
from leadup.state.store import Store
from leadup.state.tables import event_files, event_gone, event_tail

_FILE_ROWS = 250_000


@dataclass(frozen=True, slots=True)
class Terms:
    """When to move and merge; see :meth:`leadup.events.log.EventLog.compact`."""

    keep_days: int
    tail_rows: int
    file_rows: int
    gone_share: float


@dataclass(frozen=True, slots=True)
class _Taken:
    """What is to become one file, as one snapshot showed it."""

    table: pa.Table
    tail: dict[bytes, bytes]
    """Digest by key of the rows that come from the tail."""
    merged: dict[int, set[bytes]]
    """Files that are replaced, and their keys that were left out."""


class _OvertakenError(Exception):
    """Another compactor was faster."""


def compact(store: Store, folder: Path, now_us: int, terms: Terms) -> int:
    """See :meth:`leadup.events.log.EventLog.compact`."""
    with store.read() as connection:
        aged = _aged(connection, now_us // DAY_US - terms.keep_days, terms.tail_rows)
        gone = manifest.gone_counts(connection)
        days: dict[int, list[EventFile]] = {day: [] for day in aged}
        for file in manifest.live(connection):
            days.setdefault(file.day, []).append(file)
    return _merge(store, folder, days, aged, gone, now_us, terms)


def rewrite(store: Store, folder: Path, now_us: int, days: Collection[int]) -> int:
    """Write the files of these days anew of which any row counts no more, and leave the tail as it is."""
    terms = Terms(keep_days=0, tail_rows=0, file_rows=_FILE_ROWS, gone_share=0.0)
    with store.read() as connection:
        gone = manifest.gone_counts(connection)
        listed = {day: manifest.live(connection, day) for day in days}
    return _merge(store, folder, listed, {}, gone, now_us, terms)


def _merge(
    store: Store,
    folder: Path,
    days: Mapping[int, Sequence[EventFile]],
    aged: Mapping[int, int],
    gone: dict[int, int],
    now_us: int,
    terms: Terms,
) -> int:
    done = 0
    for day, listed in sorted(days.items()):
        groups = _groups(listed, gone, aged.get(day, 0), terms)
        for index, group in enumerate(groups):
            from_tail = terms.file_rows if index == 0 and day in aged else 0
            if not from_tail and len(group) < 2 and not any(_due(file, gone, terms) for file in group):
                continue
            with suppress(_OvertakenError), files.in_use(folder):
                taken = _take(store, folder, day, [file.id for file in group], from_tail)
                written = files.write(folder, day, taken.table) if taken.table.num_rows else None
                _swap(store, day, taken, written, now_us)
                done += 1
    return done


def _groups(listed: Sequence[EventFile], gone: dict[int, int], tail: int, terms: Terms) -> list[list[EventFile]]:
    """Cut the files of a day into groups to merge; ``tail`` rows from the tail go with the first group.

    A file joins when those that joined before weigh half as much as it does or more, so that the work on each row
    grows with the logarithm of the day's size; and in any case when too many of its rows count no more.
    """
    groups: list[list[EventFile]] = [[]]
    weight = tail
    for file in sorted(listed, key=lambda file: _size(file, gone)):
        size = _size(file, gone)
        full = weight + size > terms.file_rows
        if not _due(file, gone, terms) and (full or ((tail or groups[-1]) and size > 2 * weight)):
            continue
        if full and weight:
            groups.append([])
            weight = 0
        groups[-1].append(file)
        weight += size
    return groups


def _due(file: EventFile, gone: dict[int, int], terms: Terms) -> bool:
    count = gone.get(file.id, 0)
    return count > 0 and count >= terms.gone_share * file.rows


def _size(file: EventFile, gone: dict[int, int]) -> int:
    return max(file.rows - gone.get(file.id, 0), 0)


def _aged(connection: Connection, first_kept: int, tail_rows: int) -> dict[int, int]:
    """Rows by day that are to leave the tail."""
    columns = event_tail.c
    counts = connection.execute(select(columns.day, func.count()).group_by(columns.day)).all()
    whole = sum(count for _, count in counts) > tail_rows
    return {day: count for day, count in counts if whole or day < first_kept}


def _take(store: Store, folder: Path, day: int, ids: Sequence[int], from_tail: int) -> _Taken:
    tail = event_tail.c
    with store.read() as connection:
        listed = {file.id: file for file in manifest.live(connection, day)}
        if not listed.keys() >= set(ids):
            raise _OvertakenError
        merged = {id_: manifest.gone(connection, id_) for id_ in ids}
        statement = select(*manifest.TAIL, tail.digest).where(tail.day == day).limit(from_tail)
        rows = connection.execute(statement).all() if from_tail else []
    if not rows and not merged:
        raise _OvertakenError
    batches = [batch_of([row[:-1] for row in rows])]
    for id_, gone in merged.items():
        batches += files.read(folder / listed[id_].path, gone=gone)
    return _Taken(pa.Table.from_batches(batches, BATCH), {row[0]: row[-1] for row in rows}, merged)


def _swap(store: Store, day: int, taken: _Taken, written: Written | None, now_us: int) -> None:
    file, tail, gone, merged = event_files.c, event_tail.c, event_gone.c, list(taken.merged)
    with store.write() as connection:
        dropped = connection.execute(
            update(event_files).where(file.id.in_(merged), file.dropped_us.is_(None)).values(dropped_us=now_us)
        )
        statement = select(tail.key, tail.digest).where(tail.day == day)
        now = {row.key: row.digest for row in connection.execute(statement).all()} if taken.tail else {}
        moved = [key for key, digest in taken.tail.items() if now.get(key) == digest]
        if dropped.rowcount != len(merged) or not (moved or merged):
            raise _OvertakenError
        lost = taken.tail.keys() - set(moved)
        for id_, known in taken.merged.items():
            lost |= manifest.gone(connection, id_) - known
        connection.execute(delete(event_gone).where(gone.file.in_(merged)))
        if written:
            manifest.add_gone(connection, manifest.add(connection, day, written, now_us), lost)
        manifest.settle(connection, moved)


# ---------------------------------------------------------------- sweep


def sweep(store: Store, folder: Path, dropped_before_us: int) -> int | None:
    """See :meth:`leadup.events.log.EventLog.sweep`; None: somebody uses the folder, so nothing was done.

    Whoever writes a file holds the write lock (a page) or uses the folder (a compactor) until the file is named. So
    when we hold the lock and are alone, what no row names is an orphan, whatever its age.
    """
    columns = event_files.c
    with store.write() as connection, files.alone(folder) as alone:
        if not alone:
            return None
        old = columns.dropped_us <= dropped_before_us
        replaced = set(connection.scalars(select(columns.path).where(old)))
        named = set(connection.scalars(select(columns.path))) - replaced
        unnamed = [path for path in folder.glob("day=*/*") if str(path.relative_to(folder)) not in named]
        for path in unnamed:
            path.unlink()
        connection.execute(delete(event_files).where(old))
    return len(unnamed)
