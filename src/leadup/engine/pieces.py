"""Signals on their way from columns to the kernel: whose they are, pieces of them, and one table of all pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadup.rules.signals import TEXTS
from leadup.rules.verdicts import Instants, Mask
from leadup.rules.where import Texts
from leadup.types import EVER, NEVER

Rows = npt.NDArray[np.intp]
KEY: Final = pa.binary(16)
_DENSE: Final = 4
"""Numbers that lie so near, in the mean, are looked up in a list of all there could be."""


@dataclass(frozen=True)
class Spans:
    """Whose an anchor's signals are, and when: one element a span of time."""

    anchor: Instants
    """Ascending."""
    person: Instants
    begin: Instants
    end: Instants
    """Past the last instant."""

    def find(self, anchors: Instants) -> tuple[Rows, Rows]:
        """Return the spans of these anchors (ascending, each once), each with the place of its anchor in them."""
        if not len(anchors):
            return np.empty(0, np.intp), np.empty(0, np.intp)
        if self._place is not None:
            which = self._place[np.clip(anchors - self.anchor[0], -1, len(self._place) - 1)]
            place = np.flatnonzero(which >= 0)
            return which[place], place
        if self._once and len(anchors) < len(self.anchor):
            which = np.minimum(np.searchsorted(self.anchor, anchors), len(self.anchor) - 1)
            place = np.flatnonzero(self.anchor[which] == anchors)
            return which[place], place
        place = np.minimum(np.searchsorted(anchors, self.anchor), len(anchors) - 1)
        which = np.flatnonzero(anchors[place] == self.anchor)
        return which, place[which]

    @cached_property
    def bounded(self) -> Mask:
        """Which of the spans do not last from ever to ever."""
        bounded: Mask = (self.begin > EVER) | (self.end < NEVER)
        return bounded

    @cached_property
    def _once(self) -> bool:
        """Whether no anchor has two spans."""
        return bool((self.anchor[1:] > self.anchor[:-1]).all())

    @cached_property
    def _place(self) -> Rows | None:
        """The span of each anchor between the first and the last, -1 for none: where they lie so near that it pays."""
        between = int(self.anchor[-1] - self.anchor[0]) + 1
        if not self._once or between > _DENSE * len(self.anchor):
            return None
        place = np.full(between + 1, -1)  # the last one for those before the first and after the last
        place[self.anchor - self.anchor[0]] = np.arange(len(self.anchor))
        return place


@dataclass(frozen=True, slots=True)
class Piece:
    """Some signals, each of its person."""

    pattern: int | npt.NDArray[np.int32]
    """The place of each one's pattern, or of that of all, in the list that :func:`assemble` is given."""
    person: Instants
    at: Instants
    key: pa.Array
    """``KEY``."""
    texts: Mapping[str, Texts]
    """By property; where one is left out, no signal has it."""
    numbers: Mapping[str, pa.Array]


def assemble(pieces: Sequence[Piece], patterns: Sequence[str], schema: pa.Schema) -> pa.Table:
    """Put pieces together to a table as :func:`leadup.rules.signals.signal_schema` describes it, with keys as bytes."""
    sizes = [len(piece.at) for piece in pieces]
    code = _joined([np.broadcast_to(np.int32(piece.pattern), len(piece.at)) for piece in pieces], np.int32)
    columns: dict[str, Any] = {
        "person": _joined([piece.person for piece in pieces], np.int64),
        "pattern": pa.DictionaryArray.from_arrays(pa.array(code), pa.array(patterns, pa.string())),
        "at": _joined([piece.at for piece in pieces], np.int64),
        "key": pa.concat_arrays([piece.key for piece in pieces]) if pieces else pa.array([], KEY),
    }
    for field in schema:
        kind, _, name = field.name.partition(":")
        if kind == "text":
            columns[field.name] = _texts([piece.texts.get(name) for piece in pieces], sizes)
        elif kind == "num":
            columns[field.name] = _numbers([piece.numbers.get(name) for piece in pieces], sizes)
    return pa.table(columns, schema=schema.set(schema.get_field_index("key"), pa.field("key", KEY)))


def _joined(arrays: Sequence[npt.NDArray[Any]], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.empty(0, kind)


def _texts(found: Sequence[Texts | None], sizes: Sequence[int]) -> pa.DictionaryArray:
    """Join texts; each different one is known once."""
    there = [texts for texts in found if texts is not None]
    if not there:
        return pa.nulls(sum(sizes), TEXTS)
    encoded = pa.concat_arrays([texts.known.cast(pa.string()) for texts in there]).dictionary_encode()
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


def _numbers(found: Sequence[pa.Array | None], sizes: Sequence[int]) -> pa.Array:
    if all(numbers is None for numbers in found):
        return pa.nulls(sum(sizes), pa.float64())
    return pa.concat_arrays(
        [pa.nulls(size, pa.float64()) if one is None else one for one, size in zip(found, sizes, strict=True)]
    )


def used(texts: Texts) -> tuple[pa.Array, npt.NDArray[np.integer]]:
    """Return the texts that some row has, and each row's place among them, -1 for none."""
    if len(texts.known) > _DENSE * len(texts.code):
        used = np.unique(texts.code)
        used = used[used >= 0]
        return texts.known.take(pa.array(used)), np.where(texts.code < 0, -1, np.searchsorted(used, texts.code))
    there = np.zeros(len(texts.known) + 1, bool)
    there[texts.code] = True
    there[-1] = False  # where those without a text point to
    if there[:-1].all():
        return texts.known, texts.code
    place = np.where(there, np.cumsum(there) - 1, -1)
    return texts.known.filter(pa.array(there[:-1])), place[texts.code]
