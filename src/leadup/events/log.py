"""The event log: every event once, for good.

New events go to the tail in SQL; big pages, and what ages in the tail, become Parquet files by day. An event is unique
by (source, id) over all history. Seen again with the same content it is nothing new; with other content it replaces the
old one, wherever that lives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa
from sqlalchemy import Connection, func, select

from leadup.errors import LeadupError
from leadup.events import compaction, files, manifest
from leadup.events.rows import DAY_US, Row, batch_of, events_of, in_batch, row_of, sayable
from leadup.events.search import Sighted, as_of, in_file, in_tail
from leadup.state.store import Store
from leadup.state.tables import event_keys, event_tail
from leadup.types import Event, Identifier

_TAIL_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class Appended:
    """What a page of events changed."""

    new: list[tuple[bytes, Event]]
    """Key and event; also revised ones, with their new content. As it was given, but see ``rows.sayable``."""
    revised: list[bytes]
    """Keys of those among ``new`` that replaced another content."""
    same: int
    """How many of the page changed nothing: known already, or repeated within the page."""
    keys: list[bytes]
    """Keys of all events of the page, each once."""


class EventLog:
    """The log of one state. Its files lie in ``store.folder / "events"``.

    Args:
        store: the state that the transactions are of.
        bulk: from so many new events in one page on, its days go straight to files; a day with fewer than a twentieth
            of that waits in the tail, so that an import of many years does not make a file for each handful.
    """

    def __init__(self, store: Store, *, bulk: int = 20_000) -> None:
        self.store = store
        self.folder = store.folder / "events"
        self._bulk = bulk

    events_of = staticmethod(events_of)

    # ---------------------------------------------------------------- write

    def append(self, connection: Connection, events: Sequence[Event], received_us: int) -> Appended:
        """Add a page; ``connection`` is in a transaction of ``Store.write()``. Of a repeated key the last one counts.

        Addresses must be hashed and redacted before: what is given here is kept.
        """
        rows: dict[bytes, Row] = {}
        latest: dict[bytes, Event] = {}
        for event in events:
            kept, row = _row(event, received_us)
            rows[row.key], latest[row.key] = row, kept
        known = manifest.digests(connection, rows)
        fresh = [key for key, row in rows.items() if known.get(key) != row.digest]
        revised = [key for key in fresh if key in known]
        if revised:
            manifest.forget(connection, revised)
        self._keep(connection, [rows[key] for key in fresh], received_us)
        return Appended([(key, latest[key]) for key in fresh], revised, len(events) - len(fresh), list(rows))

    def remove(self, connection: Connection, keys: Collection[bytes]) -> int:
        """Take events back; return how many of them there were.

        No reader sees them from the commit on. Out of the files they are by the next ``compact(gone_share=0)`` and
        ``sweep``.
        """
        return manifest.forget(connection, keys)

    def compact(
        self,
        now_us: int,
        *,
        keep_days: int = 3,
        tail_rows: int = 200_000,
        file_rows: int = 250_000,
        gone_share: float = 0.1,
    ) -> int:
        """Move what has aged in the tail to files and merge small files; return how many files were written anew.

        Holds the write lock only to swap files, one day at a time. Safe beside readers, writers and itself.

        Args:
            now_us: the present instant.
            keep_days: days that stay in the tail, besides today.
            tail_rows: a tail with more rows than this is moved whole.
            file_rows: files are merged up to this size, which also bounds memory.
            gone_share: a file is written anew when this share of its rows counts no more; 0: when any does.
        """
        terms = compaction.Terms(keep_days, tail_rows, file_rows, gone_share)
        return compaction.compact(self.store, self.folder, now_us, terms)

    def sweep(self, now_us: int, *, grace_us: int = 60_000_000) -> int:
        """Delete files that were replaced more than ``grace_us`` ago, and orphans of a crash; return how many.

        Does nothing while anyone reads or compacts.
        """
        return compaction.sweep(self.store, self.folder, now_us - grace_us) or 0

    def _keep(self, connection: Connection, rows: Sequence[Row], received_us: int) -> None:
        tail: list[Row] = []
        if len(rows) < self._bulk:
            tail.extend(rows)
        else:
            for day, found in groupby(sorted(rows, key=_day), key=_day):
                of_day = list(found)
                if len(of_day) * 20 < self._bulk:
                    tail.extend(of_day)
                    continue
                table = pa.Table.from_batches([batch_of([in_batch(row) for row in of_day])])
                manifest.add(connection, day, files.write(self.folder, day, table), received_us)
                manifest.settle_rows(connection, of_day)
        manifest.keep(connection, tail)

    # ---------------------------------------------------------------- read

    def read(
        self,
        connection: Connection,
        *,
        names: Collection[str] | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield every event once, as of the transaction of ``connection``, in batches with the columns ``rows.BATCH``.

        Batches come by day, the tail comes last. Memory stays bounded. Do not change the log on the same connection
        before the end is reached.

        Args:
            connection: in a transaction of ``Store.read()`` or ``Store.write()``.
            names: only events of these names.
            since_us: only events at this instant or later.
            until_us: only events before this instant.
        """
        with self._view(connection) as (view, listed):
            for file in listed:
                if (
                    (names is not None and file.names.keys().isdisjoint(names))
                    or (since_us is not None and (file.day + 1) * DAY_US <= since_us)
                    or (until_us is not None and file.day * DAY_US >= until_us)
                ):
                    continue
                yield from files.read(
                    self.folder / file.path,
                    names=names,
                    since_us=since_us,
                    until_us=until_us,
                    gone=manifest.gone(view, file.id),
                )
            yield from _tail(view, names, since_us, until_us)

    def get(self, connection: Connection, keys: Collection[bytes]) -> dict[bytes, Event]:
        """Return those of ``keys`` that the log holds."""
        with self._view(connection) as (view, listed):
            these = manifest.wanted(view, keys)
            rows = view.execute(select(*manifest.TAIL).where(event_tail.c.key.in_(these))).all()
            found = dict(events_of(batch_of(rows)))
            moved = view.execute(select(event_keys.c.day, event_keys.c.key).where(event_keys.c.key.in_(these)))
            by_day: dict[int, list[bytes]] = {}
            for day, key in moved:
                by_day.setdefault(day, []).append(key)
            for file in listed:
                if file.day in by_day:
                    gone = manifest.gone(view, file.id)
                    for batch in files.read(self.folder / file.path, keys=by_day[file.day], gone=gone):
                        found.update(events_of(batch))
        return found

    def carrying(
        self, connection: Connection, wanted: Collection[Identifier], seen: dict[int, list[Sighted]]
    ) -> list[Sighted]:
        """Return all events that carry one of ``wanted``, those included that count no more and still lie in a file.

        Looks through every file once: ``seen`` keeps what each held, by number, from one call to the next, so that the
        call that must be exact, in the transaction that writes, has little left to do.
        """
        if not wanted:
            return []
        with self._view(connection) as (view, listed):
            for file in listed:
                if file.id not in seen:
                    seen[file.id] = in_file(self.folder, file, wanted)
            return [one for file in listed for one in as_of(view, file, seen[file.id])] + in_tail(view, wanted)

    def rewrite(self, now_us: int, keys: Collection[bytes]) -> bool:
        """Write the files anew that hold events taken back, of these ``keys``; return whether no file holds any more.

        Not yet, if somebody reads or compacts at this moment: call it again.
        """
        with self.store.read() as connection:
            days = manifest.days_of_gone(connection, keys)
        if days:
            compaction.rewrite(self.store, self.folder, now_us, days)
        if compaction.sweep(self.store, self.folder, now_us) is None:
            return False
        with files.alone(self.folder) as alone, self.store.read() as connection:
            return alone and not manifest.days_of_gone(connection, keys) and not manifest.dropped(connection)

    def names(self, connection: Connection) -> dict[str, int]:
        """Return how many events there are of each name, exactly. Opens only files of which some rows are gone."""
        total: Counter[str] = Counter()
        with self._view(connection) as (view, listed):
            for name, count in view.execute(select(event_tail.c.name, func.count()).group_by(event_tail.c.name)):
                total[name] += count
            holed = manifest.gone_counts(view)
            for file in listed:
                if file.id not in holed:
                    total.update(file.names)
                    continue
                gone = manifest.gone(view, file.id)
                for batch in files.read(self.folder / file.path, gone=gone, columns=["name"]):
                    total.update(batch["name"].to_pylist())
        return dict(sorted(total.items()))

    def count(self, connection: Connection) -> int:
        """Return how many events there are."""
        return sum(self.names(connection).values())

    @contextmanager
    def _view(self, connection: Connection) -> Iterator[tuple[Connection, list[manifest.EventFile]]]:
        """Give the files that count, which then stay where they are, and the connection that sees them so.

        That is another connection when files are gone already, because the caller's transaction is older than the
        grace of the sweep: the list is read again, once.
        """
        with files.in_use(self.folder):
            listed = manifest.live(connection)
            if not self._missing(listed):
                yield connection, listed
                return
            with self.store.read() as fresh:
                listed = manifest.live(fresh)
                if missing := self._missing(listed):
                    raise LeadupError(
                        f"{len(missing)} event files that belong to the log are missing from {self.folder}, "
                        f"the first is {missing[0]}.\n  What to do: restore the folder from the backup that belongs to "
                        "the database, or start with an empty state and import again."
                    )
                yield fresh, listed

    def _missing(self, listed: Sequence[manifest.EventFile]) -> list[str]:
        return [file.path for file in listed if not (self.folder / file.path).exists()]


def _row(event: Event, received_us: int) -> tuple[Event, Row]:
    try:
        return event, row_of(event, received_us)
    except ValueError:
        event = sayable(event)
        return event, row_of(event, received_us)


def _day(row: Row) -> int:
    return row.day


def _tail(
    connection: Connection, names: Collection[str] | None, since_us: int | None, until_us: int | None
) -> Iterator[pa.RecordBatch]:
    columns = event_tail.c
    statement = select(*manifest.TAIL).order_by(columns.key).limit(_TAIL_ROWS)
    if names is not None:
        statement = statement.where(columns.name.in_(list(names)))
    if since_us is not None:
        statement = statement.where(columns.at_us >= since_us)
    if until_us is not None:
        statement = statement.where(columns.at_us < until_us)
    last = b""
    while rows := connection.execute(statement.where(columns.key > last)).all():
        yield batch_of(rows)
        last = rows[-1][0]
