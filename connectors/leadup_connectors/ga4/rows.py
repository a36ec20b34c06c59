"""Decodes BigQuery's rows: ``{"f": [{"v": ...}, ...]}`` by the table's schema to plain objects.

Source: BigQuery REST reference, "tabledata.list" and "TableSchema". Numbers stay the texts that the wire has (64-bit
integers do not fit JSON's numbers); who uses a value knows its type, as with rows of an exported file.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

Field: TypeAlias = Mapping[str, Any]
"""``name``, ``type``, ``mode`` and, of a record, ``fields``."""
Wanted: TypeAlias = Mapping[str, "Wanted | None"]
"""Columns by name; of a record those inside, or None for all of them."""

_RECORDS: Final = ("RECORD", "STRUCT")
_pauses = threading.Lock()
_paused = 0
_was_on = False


def prune(schema: Sequence[Field], wanted: Wanted) -> list[Field]:
    """Return the wanted part of a schema, in the schema's order; wanted columns it lacks are left out."""
    kept: list[Field] = []
    for field in schema:
        if field["name"] not in wanted:
            continue
        inside = wanted[field["name"]]
        if inside is None or field["type"] not in _RECORDS:
            kept.append(field)
        elif fields := prune(field["fields"], inside):
            kept.append({**field, "fields": fields})
    return kept


def selected_fields(fields: Sequence[Field], wanted: Wanted) -> str:
    """Return what ``tabledata.list`` takes as ``selectedFields`` for a pruned schema, e.g. ``a,e.d.f``."""
    return ",".join(_paths(fields, wanted))


def _paths(fields: Sequence[Field], wanted: Wanted) -> Iterator[str]:
    for field in fields:
        name = field["name"]
        inside = wanted[name]
        if inside is None or field["type"] not in _RECORDS:
            yield name
        else:
            yield from (f"{name}.{path}" for path in _paths(field["fields"], inside))


def decoder(fields: Sequence[Field]) -> Callable[[Any], dict[str, Any]]:
    """Return a function from a row to an object with the names of ``fields``.

    The function raises ``ValueError`` for a row that does not have the schema's shape.
    """
    record = _record(fields)

    def decode(row: Any) -> dict[str, Any]:
        try:
            return record(row)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ValueError("the row does not have the shape of its table's schema") from None

    return decode


def _record(fields: Sequence[Field]) -> Callable[[Any], dict[str, Any]]:
    pairs = [(field["name"], _value(field)) for field in fields]

    def decode(row: Any) -> dict[str, Any]:
        return {
            name: cell["v"] if inner is None else inner(cell["v"])
            for (name, inner), cell in zip(pairs, row["f"], strict=True)
        }

    return decode


def _value(field: Field) -> Callable[[Any], Any] | None:
    """How to read a value; None for one that is read as it stands."""
    inner = _record(field["fields"]) if field["type"] in _RECORDS else None
    if field.get("mode") == "REPEATED":
        if inner is None:
            return lambda items: [item["v"] for item in items or ()]
        return lambda items: [inner(item["v"]) for item in items or ()]
    if inner is None:
        return None
    return lambda value: None if value is None else inner(value)


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause the cyclic garbage collector while a page is decoded.

    A page is some hundred thousand small objects and no cycle; collections that set in while they are made double the
    time. Safe to use from several threads: it goes on when the last of them is done, if it was on before the first.
    """
    global _paused, _was_on  # the collector, too, is one per process
    with _pauses:
        if not _paused:
            _was_on = gc.isenabled()
            gc.disable()
        _paused += 1
    try:
        yield
    finally:
        with _pauses:
            _paused -= 1
            if not _paused and _was_on:
                gc.enable()
