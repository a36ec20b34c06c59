"""The table of signals: which columns it has for a program, and how it is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

import pyarrow as pa

from leadup.rules.program import All, Any, Condition, Not, Program
from leadup.rules.visits import CHANNEL, SESSION_ID, TOLD, asks_channel, asks_visits, properties_of
from leadup.rules.where import property_columns
from leadup.types import Json

EVENT_ID = "event_id"
"""The property by which sources say that two of their events are one occurrence."""
TEXTS: Final = pa.dictionary(pa.int32(), pa.string())
"""Texts of which many are equal: each is stored, and tested, once."""


def properties_read(program: Program) -> frozenset[str]:
    """Return the properties that a signal must carry: those that conditions read, and ``event_id``."""
    conditions = chain.from_iterable(leaves(segment.when) for segment in program.segments.values())
    read = {EVENT_ID}
    for condition in conditions:
        read |= properties_of(condition)
        if asks_visits(condition):
            read.add(SESSION_ID)
        if asks_channel(condition):
            read.add(TOLD)
    return frozenset(read - {CHANNEL})


def leaves(condition: Condition) -> Iterator[Condition]:
    """Yield the conditions that hold no other condition, from left to right."""
    if isinstance(condition, All | Any):
        for part in condition.parts:
            yield from leaves(part)
    elif isinstance(condition, Not):
        yield from leaves(condition.part)
    else:
        yield condition


def signal_schema(program: Program) -> pa.Schema:
    """Return the columns of the table of signals.

    ``person`` int64; ``pattern`` dictionary of strings; ``at`` int64, microseconds UTC; ``key`` string, the event's
    key, which orders signals of one instant; then ``text:NAME`` (dictionary of strings) and ``num:NAME`` (float64) of
    each of :func:`properties_read`.
    """
    base: list[tuple[str, pa.DataType]] = [
        ("person", pa.int64()),
        ("pattern", TEXTS),
        ("at", pa.int64()),
        ("key", pa.string()),
    ]
    for name in sorted(properties_read(program)):
        base += [(f"text:{name}", TEXTS), (f"num:{name}", pa.float64())]
    return pa.schema(base)


def signal_table(
    program: Program,
    person: Sequence[int],
    pattern: Sequence[str],
    at: Sequence[int],
    key: Sequence[str],
    properties: Sequence[Mapping[str, Json]],
) -> pa.Table:
    """Build a table of :func:`signal_schema` from sequences of equal length, without properties that no rule reads."""
    schema = signal_schema(program)
    columns: dict[str, pa.Array] = {
        "person": pa.array(person, pa.int64()),
        "pattern": pa.array(pattern, pa.string()),
        "at": pa.array(at, pa.int64()),
        "key": pa.array(key, pa.string()),
        **property_columns(properties, properties_read(program)),
    }
    columns = {f.name: columns[f.name].dictionary_encode() if f.type == TEXTS else columns[f.name] for f in schema}
    return pa.table(columns, schema=schema)
