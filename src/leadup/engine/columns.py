"""Signals in memory-mapped columns: one file holds signals of one pattern, with an index by anchor. No SQL in here.

A file is one Arrow IPC record batch, not compressed, so that mapping it costs nothing and only the pages that are
asked for are read. It has a row for each anchor, in ascending order:

- ``anchor`` int64;
- ``signals`` large_list of structs: the anchor's signals in order of ``at`` and ``key``. The list's offsets are the
  index by anchor; its values are flat columns, one element a signal: ``at`` int64 (microseconds UTC), ``number``
  int64, ``key`` binary of 16 bytes, and of each property that some signal has ``text:NAME`` (dictionary of strings)
  and ``num:NAME`` (float64), without those that would be null throughout.

:func:`write` makes a file from a flat table, :class:`Columns` reads one, :func:`read` what is whose from several.
Anything that reads Arrow can map such a file::

    table = Columns.open(path).table()        # flat, in order of anchor, at and key
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadup.engine.pieces import KEY, Piece, Rows, Spans, used
from leadup.rules.signals import TEXTS
from leadup.rules.verdicts import Instants
from leadup.rules.where import Texts, property_columns

BASE: Final = pa.schema([("anchor", pa.int64()), ("at", pa.int64()), ("number", pa.int64()), ("key", KEY)])
"""The columns that every table of signals has before it is written; those of properties follow."""
SUFFIX: Final = ".arrow"
DRAFT: Final = ".part"
"""The ending of a file that is being written."""


# ---------------------------------------------------------------- writing


def properties_of(texts: Sequence[str], names: Iterable[str] | None = None) -> dict[str, pa.Array]:
    """Return ``text:NAME`` and ``num:NAME`` of properties given as JSON texts; all that occur when none are named.

    Each different text is decoded once.
    """
    encoded = pa.array(texts, pa.string()).dictionary_encode()
    decoded = [json.loads(text) for text in encoded.dictionary.to_pylist()]
    wanted = {name for properties in decoded for name in properties} if names is None else names
    columns = property_columns(decoded, wanted)
    return {
        name: (column.dictionary_encode() if pa.types.is_string(column.type) else column).take(encoded.indices)
        for name, column in columns.items()
    }


def write(folder: Path, table: pa.Table) -> Path:
    """Write signals, in any order, as a new file; when this returns, it survives a power cut.

    ``table`` has the columns of ``BASE`` and any ``text:NAME`` (dictionary of strings) and ``num:NAME`` (float64).
    """
    ordered = table.sort_by([("anchor", "ascending"), ("at", "ascending"), ("key", "ascending")]).combine_chunks()
    anchors = _one(ordered, "anchor").to_numpy()
    begin = np.flatnonzero(np.append(True, anchors[1:] != anchors[:-1])) if len(anchors) else np.empty(0, np.int64)
    flat = {
        name: _compact(_one(ordered, name)) if ordered.schema.field(name).type == TEXTS else _one(ordered, name)
        for name in ordered.column_names
        if name != "anchor" and (name in BASE.names or ordered[name].null_count < len(ordered))
    }
    signals = pa.StructArray.from_arrays(list(flat.values()), list(flat))
    offsets = pa.array(np.append(begin, len(anchors)), pa.int64())
    batch = pa.record_batch([pa.array(anchors[begin]), pa.LargeListArray.from_arrays(offsets, signals)], _COLUMNS)
    folder.mkdir(parents=True, exist_ok=True)
    name = secrets.token_hex(8)
    draft, path = folder / f".{name}{DRAFT}", folder / f"{name}{SUFFIX}"
    with pa.OSFile(str(draft), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    _sync(draft)
    draft.rename(path)
    for place in (folder, folder.parent):  # which may both be new
        _sync(place)
    return path


_COLUMNS: Final = ["anchor", "signals"]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _one(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _compact(texts: pa.DictionaryArray) -> pa.DictionaryArray:
    """Leave out the texts that no row has any more."""
    known, code = used(Texts.of(texts))
    return pa.DictionaryArray.from_arrays(pa.array(code, pa.int32(), mask=code < 0), known)


# ---------------------------------------------------------------- reading


@dataclass(frozen=True)
class Columns:
    """The signals of one file, mapped into memory."""

    anchors: Instants
    """Ascending, each once."""
    begin: Instants
    """The first signal of each anchor; one more at the end."""
    signals: pa.StructArray

    @classmethod
    def open(cls, path: Path) -> Columns:
        """Map a file.

        Raises:
            OSError: it is not there.
            pyarrow.ArrowInvalid: it is no such file, or was cut off.
        """
        with pa.memory_map(str(path)) as source:
            batch = pa.ipc.open_file(source).get_batch(0)
        if batch.schema.names != _COLUMNS:
            raise pa.ArrowInvalid(f"{path.name} holds no signals.")
        listed = batch.column("signals")
        return cls(batch.column("anchor").to_numpy(), listed.offsets.to_numpy(), listed.values)

    @property
    def rows(self) -> int:
        """How many signals there are."""
        return len(self.signals)

    @cached_property
    def at(self) -> Instants:
        """The instant of each signal."""
        instants: Instants = self.signals.field("at").to_numpy()
        return instants

    @cached_property
    def number(self) -> Instants:
        """The number of each signal, which no other has."""
        numbers: Instants = self.signals.field("number").to_numpy()
        return numbers

    def of(self, spans: Spans) -> tuple[Rows, Instants, Rows | slice]:
        """Return which of the spans have signals of their anchors here, how many each, and their rows, span by span.

        The rows are a slice where they stand together, as those of all anchors from one to another do.
        """
        if not len(spans.anchor):
            return np.empty(0, np.intp), np.empty(0, np.int64), slice(0, 0)
        first, last = np.searchsorted(self.anchors, spans.anchor[[0, -1]], "left").tolist()
        last += 1  # whether it is there or not: a neighbour more is found to be none
        near = self.anchors[first:last]
        which, place = spans.find(near)
        place += first
        begin, end = self.begin[place], self.begin[place + 1]
        count = end - begin
        if len(place) and (begin[1:] == end[:-1]).all():
            return which, count, slice(int(begin[0]), int(end[-1]))
        ahead = np.cumsum(count) - count
        return which, count, np.arange(count.sum()) + np.repeat(begin - ahead, count)

    def piece(self, pattern: int, person: Instants, row: Rows | slice, properties: Collection[str]) -> Piece:
        """Take rows, each for its person."""
        names = {field.name for field in self.signals.type}
        texts, numbers = {}, {}
        for name in properties:
            if f"text:{name}" in names:
                column = self.signals.field(f"text:{name}")
                codes = pc.fill_null(_some(column.indices, row), -1).to_numpy()
                texts[name] = Texts(*used(Texts(column.dictionary, codes)))
            if f"num:{name}" in names:
                numbers[name] = _some(self.signals.field(f"num:{name}"), row)
        return Piece(pattern, person, self.at[row], _some(self.signals.field("key"), row), texts, numbers)

    def table(self) -> pa.Table:
        """Return all signals as a flat table, as :func:`write` takes it, in order of anchor, instant and key."""
        anchor = np.repeat(self.anchors, np.diff(self.begin))
        names = [field.name for field in self.signals.type]
        return pa.table([pa.array(anchor), *self.signals.flatten()], ["anchor", *names])


def _some(array: pa.Array, row: Rows | slice) -> pa.Array:
    return array.slice(row.start, row.stop - row.start) if isinstance(row, slice) else array.take(pa.array(row))


def read(
    mapped: Iterable[tuple[str, Columns]],
    spans: Spans,
    gone: Instants,
    code: Mapping[str, int],
    properties: Mapping[str, Collection[str]],
) -> list[Piece]:
    """Read the signals of spans from columns by pattern, with those of its properties that are asked for.

    ``gone`` are the numbers of signals to leave out. The pieces come in the order of ``code``; if each person has one
    anchor, in the same order, their signals are in order of person and instant.
    """
    pieces = []
    for pattern, columns in sorted(mapped, key=lambda one: code[one[0]]):
        which, count, row = columns.of(spans)
        person = np.repeat(spans.person[which], count)
        if len(gone) or spans.bounded[which].any():
            at, span = columns.at[row], np.repeat(which, count)
            mine = (at >= spans.begin[span]) & (at < spans.end[span]) & ~np.isin(columns.number[row], gone)
            row = np.arange(row.start, row.stop) if isinstance(row, slice) else row
            row, person = row[mine], person[mine]
        if len(person):
            pieces.append(columns.piece(code[pattern], person, row, properties[pattern]))
    return pieces
