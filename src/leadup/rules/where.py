"""Tests of properties, and the catalogue: which events make a signal of which pattern.

A property arrives as JSON and is kept in two columns: ``text:NAME`` (string, null when it is missing) and ``num:NAME``
(float64, null when it is not a number). :func:`text_and_number` is the one rule for types that do not agree; the
type of the value in the *rule* then decides which of the two is read (:func:`passes`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from leadup.rules.program import Op, Program, Scalar, Test, Where
from leadup.rules.verdicts import Mask
from leadup.types import Json

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_BETWEEN = "\x1f"
"""Stands before, between and after the elements of a list (ASCII's unit separator). No other text begins with it."""


# ---------------------------------------------------------------- JSON to columns


def text_and_number(value: Json) -> tuple[str | None, float | None]:
    """Return what tests compare a JSON value by: its text, and its number if it is one.

    - A number: itself, and its shortest decimal text (``80``, also for ``80.0``).
    - Text: itself, and its number if all of it is a plain decimal number (``80``, ``-1.5``, ``2e3``; not ``" 80"``).
    - A boolean: ``true`` or ``false``, never a number.
    - A list: only the test ``contains`` sees it, by the texts of its scalars; to every other test it is missing.
    - null, an object, NaN or an infinity: missing. A number that a double can not hold has only its text.
    """
    if isinstance(value, str):
        text = value.lstrip(_BETWEEN)
        if not text.isascii():  # JSON can spell half a surrogate pair, which is not text
            text = text.encode("utf-8", "replace").decode("utf-8")
        return text, _double(text) if _NUMBER.fullmatch(text) else None
    if isinstance(value, bool):
        return ("true" if value else "false"), None
    if isinstance(value, int):
        return str(value), _double(value)
    if isinstance(value, float):
        return (repr(value).removesuffix(".0"), value) if math.isfinite(value) else (None, None)
    if isinstance(value, Sequence):
        return _list_text(value), None
    return None, None


def _double(value: str | int) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _list_text(elements: Sequence[Json]) -> str:
    texts = (text_and_number(e)[0] for e in elements if not isinstance(e, list | tuple))
    return _BETWEEN + "".join(text.replace(_BETWEEN, " ") + _BETWEEN for text in texts if text is not None)


def property_columns(properties: Sequence[Mapping[str, Json]], wanted: Iterable[str]) -> dict[str, pa.Array]:
    """Return of each wanted property the columns ``text:NAME`` (string) and ``num:NAME`` (float64), a row a mapping."""
    columns: dict[str, pa.Array] = {}
    for name in sorted(wanted):
        pairs = [text_and_number(row.get(name)) for row in properties]
        columns[f"text:{name}"] = pa.array([text for text, _ in pairs], pa.string())
        columns[f"num:{name}"] = pa.array([number for _, number in pairs], pa.float64())
    return columns


# ---------------------------------------------------------------- tests


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts, of which many are equal: a test looks at each different text once."""

    known: pa.Array
    """The different texts."""
    code: npt.NDArray[np.integer]
    """For each row the place of its text in ``known``; -1 for none."""

    @classmethod
    def of(cls, texts: pa.Array) -> Texts:
        """Return the texts of an Arrow array, plain or dictionary."""
        encoded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
        indices = pc.fill_null(encoded.indices, -1) if encoded.null_count else encoded.indices
        return cls(encoded.dictionary, indices.to_numpy())


def passes(where: Where, columns: Mapping[str, pa.Array | Texts], rows: int) -> Mask:
    """Return, for each of ``rows`` rows, whether all tests hold; ``columns`` are those of :func:`property_columns`.

    A ``text:NAME`` may be :class:`Texts`, which is faster. Only columns that tests read are asked for.

    A number in a rule compares with the property's number, text with its text (by code point, so that ISO dates
    sort), a boolean with ``true`` and ``false``. ``contains``, ``starts_with`` and ``matches`` read the text.
    ``contains`` finds a part of a text, or one whole element of a list. ``matches`` is an RE2 search anywhere in the
    text (source: RE2's syntax page). ``ne`` is not ``eq``: a missing property satisfies ``ne`` and ``exists: false``
    and fails every other test.
    """
    mask: Mask = np.ones(rows, bool)
    for test in where:
        mask &= _pass(test, columns, rows)
    return mask


def _pass(test: Test, columns: Mapping[str, pa.Array | Texts], rows: int) -> Mask:
    mask: Mask = np.zeros(rows, bool)
    for value in test.value if isinstance(test.value, tuple) else (test.value,):
        if test.op in _FUNCTION and isinstance(value, int | float) and not isinstance(value, bool):
            compared = [columns[f"num:{test.property}"], pa.scalar(float(value), pa.float64())]
            mask |= _mask(pc.call_function(_FUNCTION[test.op], compared))
        else:
            mask |= _each(columns[f"text:{test.property}"], partial(_pass_text, test.op, _text(value)))
    return ~mask if test.op == "ne" or (test.op == "exists" and not test.value) else mask


def _each(text: pa.Array | Texts, answer: Callable[[pa.Array], Mask]) -> Mask:
    """Return the answer for every row, false where there is no text."""
    if not isinstance(text, Texts):
        return answer(text)
    mask: Mask = np.append(answer(text.known), False)[text.code]
    return mask


def _pass_text(op: Op, value: str, text: pa.Array) -> Mask:
    """Return which texts pass a test; for ``ne`` those that are equal, for ``exists`` those that are there."""
    if op == "contains":
        return _contains(text, value)
    is_list = _mask(pc.starts_with(text, _BETWEEN))
    if is_list.any():
        text = pc.if_else(pa.array(is_list), pa.scalar(None, pa.string()), text)
    if op == "exists":
        return _mask(pc.is_valid(text))
    if op == "starts_with":
        return _mask(pc.starts_with(text, value))
    if op == "matches":
        return _mask(pc.match_substring_regex(text, value))
    return _mask(pc.call_function(_FUNCTION[op], [text, pa.scalar(value, pa.string())]))


_FUNCTION = {
    "eq": "equal",
    "ne": "equal",
    "in": "equal",
    "gt": "greater",
    "gte": "greater_equal",
    "lt": "less",
    "lte": "less_equal",
}


def _contains(text: pa.Array, value: str) -> Mask:
    is_list = _mask(pc.starts_with(text, _BETWEEN))
    element = _mask(pc.match_substring(text, _BETWEEN + value + _BETWEEN))
    return np.where(is_list, element, _mask(pc.match_substring(text, value)))


def _text(value: Scalar | tuple[Scalar, ...]) -> str:
    return text_and_number(value)[0] or ""


def _mask(answers: pa.Array) -> Mask:
    return np.asarray(pc.fill_null(answers, False).to_numpy(zero_copy_only=False))


# ---------------------------------------------------------------- the catalogue


def match(
    program: Program, names: Sequence[str], properties: Sequence[Mapping[str, Json]]
) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Match a batch of events against the catalogue.

    Yields each pattern that some event matches, in the program's order, with the rows of those events, ascending. A
    row makes at most one signal of a pattern, and may make signals of several patterns. Tests see only the rows of
    their own event name.
    """
    rows = _Rows(program, names, properties)
    for pattern in program.patterns.values():
        found = [rows.matching(m.event, m.where) for m in pattern.any]
        union = np.unique(np.concatenate(found)) if len(found) != 1 else found[0]
        if len(union):
            yield pattern.name, union


class _Rows:
    """The rows of each event name, and the property columns that tests of that name read."""

    def __init__(self, program: Program, names: Sequence[str], properties: Sequence[Mapping[str, Json]]) -> None:
        encoded = pa.array(names, pa.string()).dictionary_encode()
        self._codes = {name: code for code, name in enumerate(encoded.dictionary.to_pylist())}
        self._code_of_row = encoded.indices.to_numpy()
        self._properties = properties
        self._wanted: dict[str, set[str]] = {}
        for pattern in program.patterns.values():
            for m in pattern.any:
                self._wanted.setdefault(m.event, set()).update(test.property for test in m.where)
        self._of: dict[str, tuple[npt.NDArray[np.int64], dict[str, pa.Array]]] = {}

    def matching(self, event: str, where: Where) -> npt.NDArray[np.int64]:
        code = self._codes.get(event)
        if code is None:
            return np.empty(0, np.int64)
        if event not in self._of:
            rows = np.flatnonzero(self._code_of_row == code)
            columns = property_columns([self._properties[row] for row in rows.tolist()], self._wanted[event])
            self._of[event] = rows, columns
        rows, columns = self._of[event]
        return rows[passes(where, columns, len(rows))]
