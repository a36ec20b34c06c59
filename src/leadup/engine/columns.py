"""Signals in memory-mapped columns: one file holds signals of one pattern, with an index by anchor. No SQL in here.

A file is one Arrow IPC record batch, not compressed, so that mapping it costs nothing and only the pages that are
asked for are read. It has a row for each anchor, in ascending order:

- ``anchor`` int64;
- ``signals`` large_list of structs: the anchor's signals in order of ``at`` and ``key``. The list's offsets are the
  index by anchor; its values are flat columns, one element a signal: ``at`` int64 (microseconds UTC), ``number``
  int64, ``key`` binary of 16 bytes, and of each property that some signal has ``text:NAME`` (dictionary of strings)
  and ``num:NAME`` (float64), without those that would be null throughout.

:func:`write` makes a file from a flat table, :class:`Columns` reads one, :func:`assemble` makes the kernel's table of
what was read from several. Anything that reads Arrow can map such a file::

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
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from leadup.rules.signals import TEXTS
from leadup.rules.verdicts import Instants
from leadup.rules.where import Texts, property_columns

Rows = npt.NDArray[np.intp]
KEY: Final = pa.binary(16)
BASE: Final = pa.schema([("anchor", pa.int64()), ("at", pa.int64()), ("number", pa.int64()), ("key", KEY)])
"""The columns that every table of signals has before it is written; those of properties follow."""
SUFFIX: Final = ".arrow"
DRAFT: Final = ".part"
"""The ending of a file that is being written."""
_HEX: Final = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)


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
    known, code = _used(Texts.of(texts))
    return pa.DictionaryArray.from_arrays(pa.array(code, pa.int32(), mask=code < 0), known)


def _used(texts: Texts) -> tuple[pa.Array, npt.NDArray[np.integer]]:
    """Return the texts that some row has, and each row's place among them, -1 for none."""
    used = np.unique(texts.code)
    used = used[used >= 0]
    return texts.known.take(pa.array(used)), np.where(texts.code < 0, -1, np.searchsorted(used, texts.code))


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

    def of(self, anchors: Instants) -> tuple[Rows, Rows]:
        """Return the signals of these anchors (ascending), each as the place of its anchor in them, and its row."""
        nothing = np.empty(0, np.intp)
        if not len(self.anchors) or not len(anchors):
            return nothing, nothing
        place = np.minimum(np.searchsorted(self.anchors, anchors), len(self.anchors) - 1)
        which = np.flatnonzero(self.anchors[place] == anchors)
        begin, end = self.begin[place[which]], self.begin[place[which] + 1]
        count = end - begin
        ahead = np.cumsum(count) - count
        row = np.arange(count.sum()) + np.repeat(begin - ahead, count)
        return np.repeat(which, count), row

    def piece(self, pattern: int, person: Instants, row: Rows, properties: Collection[str]) -> Piece:
        """Take rows, each for its person."""
        taken = pa.array(row)
        names = {field.name for field in self.signals.type}
        texts, numbers = {}, {}
        for name in properties:
            if f"text:{name}" in names:
                column = self.signals.field(f"text:{name}")
                codes = pc.fill_null(column.indices.take(taken), -1).to_numpy()
                texts[name] = Texts(*_used(Texts(column.dictionary, codes)))
            if f"num:{name}" in names:
                numbers[name] = self.signals.field(f"num:{name}").take(taken)
        keys = self.signals.field("key").take(taken)
        return Piece(np.full(len(row), pattern, np.int32), person, self.at[row], keys, texts, numbers)

    def table(self) -> pa.Table:
        """Return all signals as a flat table, as :func:`write` takes it, in order of anchor, instant and key."""
        anchor = np.repeat(self.anchors, np.diff(self.begin))
        names = [field.name for field in self.signals.type]
        return pa.table([pa.array(anchor), *self.signals.flatten()], ["anchor", *names])


@dataclass(frozen=True, slots=True)
class Piece:
    """Some signals, each of its person."""

    pattern: npt.NDArray[np.int32]
    """The place of each one's pattern in the list that :func:`assemble` is given."""
    person: Instants
    at: Instants
    key: pa.Array
    """``KEY``."""
    texts: Mapping[str, Texts]
    """By property; where one is left out, no signal has it."""
    numbers: Mapping[str, pa.Array]


def assemble(pieces: Sequence[Piece], patterns: Sequence[str], schema: pa.Schema) -> pa.Table:
    """Put pieces together to a table as :func:`leadup.rules.signals.signal_schema` describes it."""
    sizes = [len(piece.at) for piece in pieces]
    code = _joined([piece.pattern for piece in pieces], np.int32)
    columns: dict[str, Any] = {
        "person": _joined([piece.person for piece in pieces], np.int64),
        "pattern": pa.DictionaryArray.from_arrays(pa.array(code), pa.array(patterns, pa.string())),
        "at": _joined([piece.at for piece in pieces], np.int64),
        "key": _hex(pa.concat_arrays([piece.key for piece in pieces]) if pieces else pa.array([], KEY)),
    }
    for field in schema:
        kind, _, name = field.name.partition(":")
        if kind == "text":
            columns[field.name] = _texts([piece.texts.get(name) for piece in pieces], sizes)
        elif kind == "num":
            missing = (pa.nulls(size, pa.float64()) for size in sizes)
            parts = [piece.numbers.get(name, none) for piece, none in zip(pieces, missing, strict=True)]
            columns[field.name] = pa.concat_arrays(parts) if parts else pa.array([], pa.float64())
    return pa.table([columns[field.name] for field in schema], schema=schema)


def _joined(arrays: Sequence[npt.NDArray[Any]], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.empty(0, kind)


def _texts(found: Sequence[Texts | None], sizes: Sequence[int]) -> pa.DictionaryArray:
    """Join texts; each different one is known once."""
    there = [texts for texts in found if texts is not None]
    known = pa.concat_arrays([texts.known.cast(pa.string()) for texts in there]) if there else pa.array([], pa.string())
    encoded = known.dictionary_encode()
    place = np.append(encoded.indices.to_numpy(), np.int32(-1)).astype(np.int32)
    codes, ahead = [], 0
    for texts, size in zip(found, sizes, strict=True):
        if texts is None:
            codes.append(np.full(size, -1, np.int32))
        else:
            codes.append(place[np.where(texts.code < 0, -1, texts.code + ahead)])
            ahead += len(texts.known)
    code = _joined(codes, np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(code, pa.int32(), mask=code < 0), encoded.dictionary)


def _hex(keys: pa.Array) -> pa.Array:
    """Return keys as the kernel has them: 32 digits each."""
    raw = np.frombuffer(keys.buffers()[1] if len(keys) else b"", np.uint8)
    raw = raw[16 * keys.offset : 16 * (keys.offset + len(keys))]
    offsets = pa.py_buffer(np.arange(0, 32 * len(keys) + 1, 32, dtype=np.int32))
    return pa.StringArray.from_buffers(len(keys), offsets, pa.py_buffer(_HEX[raw]))
