"""The event files: immutable Parquet, one folder per day, sorted by time.

Anything that reads Parquet can read them, but only the manifest (``event_files``) and ``event_gone`` say which files,
and which rows of them, count.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from leadup.events.rows import BATCH

ROW_GROUP = 65_536
"""Rows of a row group, and at most of a batch that is read: what bounds a reader's memory."""

_INSTANT = pa.timestamp("us", tz="UTC")
_INSTANTS = {"at_us": "at", "received_us": "received_at"}
_FILE = pa.schema([pa.field(_INSTANTS[f.name], _INSTANT) if f.name in _INSTANTS else f for f in BATCH])
_REPEATED = ["source", "name", "identifiers", "properties", "click_ids", "consent"]
_DELTAS = {"at": "DELTA_BINARY_PACKED", "received_at": "DELTA_BINARY_PACKED", "id": "DELTA_BYTE_ARRAY"}
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is on the disk, but not yet in the manifest."""

    path: str
    """Relative to the folder of the log."""
    rows: int
    bytes: int
    names: dict[str, int]
    """Rows by event name."""


def write(folder: Path, day: int, table: pa.Table) -> Written:
    """Write ``table`` (columns of ``BATCH``) as a new file of ``day``. When this returns, it survives a power cut."""
    name = secrets.token_hex(8)
    home = folder / f"day={_EPOCH + timedelta(days=day)}"
    home.mkdir(parents=True, exist_ok=True)
    part, path = home / f".{name}.part", home / f"{name}.parquet"
    table = _in_file(table.unify_dictionaries()).sort_by([("at", "ascending"), ("key", "ascending")])
    pq.write_table(
        table,
        part,
        row_group_size=ROW_GROUP,
        compression="zstd",
        use_dictionary=_REPEATED,
        column_encoding=_DELTAS,
    )
    _sync(part)
    part.rename(path)
    for place in (home, folder, folder.parent):  # which may all be new
        _sync(place)
    counts = table["name"].value_counts().to_pylist()
    return Written(
        path=str(path.relative_to(folder)),
        rows=table.num_rows,
        bytes=path.stat().st_size,
        names={count["values"]: count["counts"] for count in counts},
    )


def read(
    path: Path,
    *,
    names: Collection[str] | None = None,
    since_us: int | None = None,
    until_us: int | None = None,
    keys: Collection[bytes] | None = None,
    gone: Collection[bytes] = (),
    columns: Collection[str] = BATCH.names,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file that pass all filters, a row group at a time, in order of time.

    ``gone`` are keys to leave out; the others are as in :meth:`leadup.events.log.EventLog.read`.
    """
    import pyarrow.dataset as ds  # 0.4 s where pandas is installed, which nobody pays who reads no file

    wanted = ds.scalar(True)
    if names is not None:
        wanted &= ds.field("name").isin(pa.array(list(names), pa.string()))
    if since_us is not None:
        wanted &= ds.field("at") >= pa.scalar(since_us, _INSTANT)
    if until_us is not None:
        wanted &= ds.field("at") < pa.scalar(until_us, _INSTANT)
    if keys is not None:
        wanted &= ds.field("key").isin(pa.array(list(keys), pa.binary(16)))
    if gone:
        wanted &= ~ds.field("key").isin(pa.array(list(gone), pa.binary(16)))
    schema = pa.schema([BATCH.field(name) for name in columns])
    batches = ds.dataset(path, schema=_FILE, format="parquet").to_batches(
        columns=[_INSTANTS.get(name, name) for name in columns],
        filter=wanted,
        batch_size=ROW_GROUP,
        batch_readahead=1,
        fragment_readahead=1,
    )
    for batch in batches:
        if batch.num_rows:
            yield batch.rename_columns(list(columns)).cast(schema)


def _in_file(table: pa.Table) -> pa.Table:
    return table.rename_columns(_FILE.names).cast(_FILE)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ---------------------------------------------------------------- who uses the folder


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Keep every file in its place meanwhile, also from other processes. The kernel lets go when this one dies."""
    with _lock(folder) as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Say whether nobody uses the folder, and if so keep it that way meanwhile. Never waits."""
    with _lock(folder) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _lock(folder: Path) -> IO[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / ".lock").open("ab")
