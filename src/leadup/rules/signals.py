"""The table of signals: which columns it has for a program, and how it is built."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Listed
from itertools import chain
from typing import Final

import pyarrow as pa

from leadup.rules.program import (
    All,
    Any,
    Condition,
    Did,
    First,
    Measured,
    Not,
    Program,
    Regularly,
    Resumed,
    Sequence,
    Started,
    Stopped,
)
from leadup.rules.visits import CHANNEL, SESSION_ID, TOLD, VISIT, asks_channel, asks_visits, properties_of
from leadup.rules.where import property_columns
from leadup.types import Json

EVENT_ID = "event_id"
"""The property by which sources say that two of their events are one occurrence."""
TEXTS: Final = pa.dictionary(pa.int32(), pa.string())
"""Texts of which many are equal: each is stored, and tested, once."""


def properties_read(program: Program) -> frozenset[str]:
    """Return the properties that signals carry: those that conditions read of some pattern, and ``event_id``."""
    return frozenset[str]({EVENT_ID}).union(*properties_by_pattern(program).values())


def properties_by_pattern(program: Program) -> dict[str, frozenset[str]]:
    """Return, of each pattern, the properties that its signals must carry: those that are read of it.

    ``event_id`` is read of all, since it says that two signals are one occurrence.
    """
    read: dict[str, set[str]] = defaultdict(set)
    for condition in _conditions(program):
        if isinstance(condition, Did | Measured):
            read[condition.pattern] |= properties_of(condition)
        if asks_visits(condition):
            read[VISIT].add(SESSION_ID)
        if asks_channel(condition):
            read[VISIT].add(TOLD)
            if isinstance(condition, Did | Measured):  # in which visit it happened, its own session id may say
                read[condition.pattern].add(SESSION_ID)
    return {name: frozenset(read[name] - {CHANNEL} | {EVENT_ID}) for name in {**program.patterns, **read}}


def patterns_read(program: Program) -> list[str]:
    """Return the patterns that conditions, scores and properties read, in order of their names."""
    read: set[str] = set()
    for condition in _conditions(program):
        if asks_visits(condition):
            read.add(VISIT)
        match condition:
            case Did() | Measured() | First() | Stopped() | Resumed() | Regularly():
                read.add(condition.pattern)
            case Started():
                read |= {condition.pattern, condition.without}
            case Sequence():
                read.update(condition.steps, condition.broken_by)
    for score in program.scores.values():
        read.update(points.pattern for points in score.points)
    for prop in program.properties.values():
        read.update(prop.patterns)
    return sorted(read)


def _conditions(program: Program) -> Iterator[Condition]:
    return chain.from_iterable(leaves(segment.when) for segment in program.segments.values())


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

    ``person`` int64; ``pattern`` dictionary of strings; ``at`` int64, microseconds UTC; ``key`` string (or bytes of
    fixed length), the event's key, which orders signals of one instant; then ``text:NAME`` (dictionary of strings) and
    ``num:NAME`` (float64) of each of :func:`properties_read`.
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
    person: Listed[int],
    pattern: Listed[str],
    at: Listed[int],
    key: Listed[str],
    properties: Listed[Mapping[str, Json]],
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
