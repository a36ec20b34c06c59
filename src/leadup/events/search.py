"""Finds the events that carry some identifiers, also those that count no more and still lie in files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, func, or_, select

from leadup.events import files, manifest
from leadup.events.manifest import EventFile
from leadup.events.rows import identifiers_in, pair_text
from leadup.state.tables import event_tail
from leadup.types import Identifier

_COLUMNS = ("key", "at_us", "identifiers")


class Sighted(NamedTuple):
    """An event that carries one of the identifiers asked for."""

    key: bytes
    at_us: int
    identifiers: tuple[Identifier, ...]
    counts: bool
    """Whether this is its present content; else it was revised or taken back."""


def in_file(folder: Path, file: EventFile, wanted: Collection[Identifier]) -> list[Sighted]:
    """Look through one file, whatever counts of it. It must stay where it is meanwhile (``files.in_use``)."""
    return [
        Sighted(key, at_us, identifiers_in(text), True)
        for batch in files.read(folder / file.path, columns=_COLUMNS)
        for key, at_us, text in _carrying(batch, wanted)
    ]


def as_of(connection: Connection, file: EventFile, found: Sequence[Sighted]) -> list[Sighted]:
    """Say of what lies in a file what counts now."""
    gone = manifest.gone(connection, file.id) if found else set()
    return [one._replace(counts=one.key not in gone) for one in found]


def in_tail(connection: Connection, wanted: Collection[Identifier]) -> list[Sighted]:
    """Look through the tail."""
    columns = event_tail.c
    carries = or_(*(func.instr(columns.identifiers, pair_text(identifier)) > 0 for identifier in wanted))
    rows = connection.execute(select(columns.key, columns.at_us, columns.identifiers).where(carries))
    return [Sighted(key, at_us, identifiers_in(text), True) for key, at_us, text in rows]


def _carrying(batch: pa.RecordBatch, wanted: Collection[Identifier]) -> Iterator[tuple[bytes, int, str]]:
    texts = batch.column("identifiers")
    found = reduce(pc.or_, (pc.match_substring(texts, pair_text(identifier)) for identifier in wanted))
    chosen = batch.filter(found)
    yield from zip(*(chosen.column(name).to_pylist() for name in _COLUMNS), strict=True)
