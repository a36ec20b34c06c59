"""Which files hold the signals in columns, and how they keep up with the table ``signals``, which is the truth.

The manifest (``signal_files``) and the number up to which its files hold all signals (in ``meta``) change in one
transaction: no reader sees half of it. What is newer than that number is read from the table; what was taken back
since is in ``signal_gone`` and left out. A file that is missing, cut off or of another size is not read: its pattern's
signals come from the table until :func:`extend` has made the file anew.

**Cost.** Signals move to files in batches. A new file swallows the ones before it of up to three times its size, so
that each signal is written again no more often than the logarithm of their number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, Text, delete, func, insert, select, type_coerce

from leadup.engine import columns
from leadup.engine.columns import BASE, Columns
from leadup.events.files import alone
from leadup.rules.verdicts import Instants
from leadup.state import Store
from leadup.state.store import chunks, upsert
from leadup.state.tables import meta, signal_files, signal_gone, signals

FOLDER: Final = "signals"
"""Where the files are, in the state's folder."""
LEAST: Final = 50_000
"""So many new signals are worth a file for each of their patterns."""
MOST: Final = 4_000_000
"""Files of so many rows are not merged any more: they bound the memory that it takes."""
GONE_SHARE: Final = 0.25
"""A file is written anew when this share of its rows is gone."""
_BATCH: Final = 200_000
_COUNTED, _HELD = "signals", "signal_files"


@dataclass(frozen=True, slots=True)
class File:
    """A line of the manifest."""

    id: int
    pattern: str
    path: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the files hold."""

    upto: int
    """All signals with a number up to this one, but those that are gone."""
    change: int
    """Counts the changes of the manifest."""
    files: Sequence[File]


def manifest(connection: Connection) -> Manifest:
    """Read the manifest."""
    held: dict[str, int] = connection.scalar(select(meta.c.value).where(meta.c.key == _HELD)) or {}
    files = [File(*row) for row in connection.execute(select(signal_files).order_by(signal_files.c.id))]
    return Manifest(held.get("upto", 0), held.get("change", 0), files)


# ---------------------------------------------------------------- whoever writes signals


def next_numbers(connection: Connection, count: int) -> range:
    """Return the numbers of the next ``count`` signals. None is ever given out twice."""
    last = _counted(connection)
    _note(connection, _COUNTED, last + count)
    return range(last + 1, last + 1 + count)


def forget(connection: Connection, patterns: Collection[str]) -> None:
    """Let no file of these patterns be read, all of whose signals are about to be deleted."""
    connection.execute(delete(signal_files).where(signal_files.c.pattern.in_(patterns)))
    now = manifest(connection)
    _note(connection, _HELD, {"upto": now.upto, "change": now.change + 1})


def _counted(connection: Connection) -> int:
    return int(connection.scalar(select(meta.c.value).where(meta.c.key == _COUNTED)) or 0)


def _note(connection: Connection, key: str, value: Any) -> None:
    upsert(connection, meta, [{"key": key, "value": value}], update=["value"])


# ---------------------------------------------------------------- whoever reads them


class SignalFiles:
    """The files of one state as a process has mapped them; each is mapped once, for it never changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._mapped: dict[str, Columns] = {}

    def mapped(self, files: Iterable[File]) -> tuple[list[tuple[str, Columns]], set[str]]:
        """Return the columns of these files by pattern, and the patterns of which a file can not be read."""
        found, broken = list[tuple[str, Columns]](), set[str]()
        opened: dict[str, Columns] = {}
        for file in files:
            columns_ = self._mapped.get(file.path) or _opened(self._folder, file)
            if columns_ is None:
                broken.add(file.pattern)
            else:
                opened[file.path] = columns_
                found.append((file.pattern, columns_))
        self._mapped = opened
        return [(pattern, one) for pattern, one in found if pattern not in broken], broken


def _opened(folder: Path, file: File) -> Columns | None:
    """Map a file; None if it is not there, or not as it was written."""
    path = folder / file.path
    with suppress(OSError, pa.ArrowInvalid):
        if path.stat().st_size == file.bytes:
            found = Columns.open(path)
            return found if found.rows == file.rows else None
    return None


# ---------------------------------------------------------------- whoever keeps them up


@dataclass(slots=True)
class _Draft:
    """One file to be, and what it is made of: files, and signals that are in none yet."""

    files: list[File] = field(default_factory=list)
    news: list[pa.Table] = field(default_factory=list)
    anew: bool = False
    """Too much of it is gone."""

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files) + sum(len(table["number"]) for table in self.news)

    @property
    def stands(self) -> bool:
        """Whether it is one file as it is."""
        return len(self.files) == 1 and not self.news and not self.anew

    def swallow(self, other: _Draft) -> None:
        self.files += other.files
        self.news += other.news


def extend(store: Store, *, least: int = LEAST, gone_share: float = GONE_SHARE) -> int:
    """Take the signals that no file holds yet into files, if there are ``least``; return how many files were written.

    Files that can not be read, or of which ``gone_share`` is gone, are made anew. Does nothing while another process is
    at it, or in a rehearsal. Readers and writers go on meanwhile: only the manifest changes under the write lock.
    """
    folder = store.folder / FOLDER
    if store.rehearses:
        return 0
    with alone(folder) as mine:
        if not mine:
            return 0
        with store.read() as connection:
            before = manifest(connection)
            _sweep(folder, before.files)
            if not _due(connection, folder, before, least, gone_share):
                return 0
            upto = _counted(connection)
            gone = np.array(sorted(connection.scalars(select(signal_gone.c.number))), np.int64)
            stand, written = list[File](), list[dict[str, Any]]()
            for pattern, draft in _drafts(connection, folder, before, upto, gone, gone_share):
                if draft.stands:
                    stand += draft.files
                else:
                    written.append(_write(folder, pattern, draft, gone))
        with store.write() as connection:
            if manifest(connection).change == before.change:
                left = [_columns(folder, file).number for file in stand]
                _swap(connection, stand, written, {"upto": upto, "change": before.change + 1})
                _purge(connection, np.setdiff1d(gone, np.concatenate([*left, np.empty(0, np.int64)])))
        with store.read() as connection:
            _sweep(folder, manifest(connection).files)
    return len(written)


def scrub(store: Store) -> bool:
    """Write all files anew that hold signals that are gone; return whether none does any more."""
    extend(store, gone_share=0.0)
    with alone(store.folder / FOLDER) as mine, store.read() as connection:
        if not mine:  # who writes files now may have read what has gone since
            return False
        held = select(signal_gone.c.number).where(signal_gone.c.number <= manifest(connection).upto)
        return connection.execute(held.limit(1)).first() is None


def _due(connection: Connection, folder: Path, now: Manifest, least: int, gone_share: float) -> bool:
    if _counted(connection) - now.upto >= least or any(_opened(folder, file) is None for file in now.files):
        return True
    gone = connection.scalar(select(func.count()).select_from(signal_gone).where(signal_gone.c.number <= now.upto)) or 0
    return gone > gone_share * sum(file.rows for file in now.files)


def _drafts(
    connection: Connection, folder: Path, before: Manifest, upto: int, gone: Instants, gone_share: float
) -> Iterator[tuple[str, _Draft]]:
    """Yield, pattern by pattern, which files there are to be."""
    held: dict[str, list[File]] = defaultdict(list)
    for file in before.files:
        held[file.pattern].append(file)
    for pattern in sorted({*held, *_patterns(connection)}):
        whole = all(_opened(folder, file) for file in held[pattern])
        drafts = [_Draft([file]) for file in held[pattern] if whole]
        for draft in drafts:
            lost = int(np.isin(_columns(folder, draft.files[0]).number, gone).sum()) if len(gone) else 0
            draft.anew = lost > 0 and lost >= gone_share * draft.rows
        for table in _news(connection, pattern, before.upto if whole else 0, upto):
            drafts.append(_Draft(news=[table]))
            while len(drafts) > 1 and drafts[-2].rows <= min(3 * drafts[-1].rows, MOST - drafts[-1].rows):
                last = drafts.pop()
                drafts[-1].swallow(last)
        yield from ((pattern, draft) for draft in drafts)


def _patterns(connection: Connection) -> Iterator[str]:
    """Yield the patterns of all signals, by one look into the index for each."""
    after = ""
    while (name := connection.scalar(select(func.min(signals.c.pattern)).where(signals.c.pattern > after))) is not None:
        yield name
        after = name


def _news(connection: Connection, pattern: str, above: int, upto: int) -> Iterator[pa.Table]:
    """Yield the signals of a pattern with a number above one and up to another, in batches."""
    s = signals.c
    query = (
        select(s.anchor, s.at_us, s.number, s.event, type_coerce(s.properties, Text))
        .where(s.pattern == pattern, s.number > above, s.number <= upto)
        .order_by(s.number)
    )
    for rows in connection.execute(query).partitions(_BATCH):
        *base, texts = zip(*rows, strict=True)
        table = pa.table([pa.array(values, kind.type) for values, kind in zip(base, BASE, strict=True)], schema=BASE)
        for name, values in columns.properties_of(texts).items():
            table = table.append_column(name, values)
        yield table


def _write(folder: Path, pattern: str, draft: _Draft, gone: Instants) -> dict[str, Any]:
    """Write a draft's file; return its line of the manifest."""
    tables = [*(_columns(folder, file).table() for file in draft.files), *draft.news]
    table = pa.concat_tables(tables, promote_options="default").unify_dictionaries()
    table = table.filter(pa.array(~np.isin(table["number"].to_numpy(), gone)))
    path = columns.write(folder, table)
    return {"pattern": pattern, "path": path.name, "rows": table.num_rows, "bytes": path.stat().st_size}


def _columns(folder: Path, file: File) -> Columns:
    return Columns.open(folder / file.path)


def _swap(
    connection: Connection, stand: Sequence[File], written: Sequence[Mapping[str, Any]], held: Mapping[str, int]
) -> None:
    """Let the manifest name these files and no others."""
    connection.execute(delete(signal_files).where(signal_files.c.id.not_in([file.id for file in stand])))
    if written:
        connection.execute(insert(signal_files), list(written))
    _note(connection, _HELD, held)


def _purge(connection: Connection, numbers: Instants) -> None:
    """Forget of signals that no file holds that they are gone."""
    for part in chunks(numbers.tolist()):
        connection.execute(delete(signal_gone).where(signal_gone.c.number.in_(part)))


def _sweep(folder: Path, named: Iterable[File]) -> None:
    """Delete what the manifest does not name: whoever has mapped it keeps it. Nobody else is writing files."""
    keep = {file.path for file in named}
    for path in (*folder.glob(f"*{columns.SUFFIX}"), *folder.glob(f".*{columns.DRAFT}")):
        if path.name not in keep:
            path.unlink(missing_ok=True)
