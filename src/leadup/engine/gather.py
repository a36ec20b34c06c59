"""Reads what the kernel judges: people, signals and facts as Arrow tables, for all persons or for some."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, and_, select

from leadup.engine.facts import people_table
from leadup.engine.listed import who_is_on
from leadup.identity import people
from leadup.rules.program import Program
from leadup.rules.signals import signal_table
from leadup.rules.where import text_and_number
from leadup.state.store import chunks
from leadup.state.tables import signals, sources, spans
from leadup.types import EVER, Json


def gather(connection: Connection, program: Program, persons: Collection[int]) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Return the kernel's tables ``people``, ``signals`` and ``facts`` for these persons."""
    known = people.known_from(connection, persons)
    ordered = sorted(known)
    on = who_is_on(connection, program, ordered)
    who = people_table(program, {person: known[person] for person in ordered}, on)
    return who, _signals(connection, program, ordered), fact_table(people.facts_of(connection, ordered))


def _signals(connection: Connection, program: Program, persons: Collection[int]) -> pa.Table:
    s = signals.c
    owned = and_(spans.c.identifier == s.anchor, s.at_us >= spans.c.from_us, s.at_us < spans.c.until_us)
    query = select(spans.c.person, s.pattern, s.at_us, s.event, s.properties).select_from(spans.join(signals, owned))
    rows: list[Any] = []
    for part in chunks(persons):
        rows += connection.execute(query.where(spans.c.person.in_(part))).all()
    known = [row for row in rows if row[1] in program.patterns]
    return signal_table(
        program,
        [row[0] for row in known],
        [row[1] for row in known],
        [row[2] for row in known],
        [row[3].hex() for row in known],
        [row[4] for row in known],
    )


def fact_table(rows: Iterable[tuple[int, str, int, Json]]) -> pa.Table:
    """Build the kernel's table of facts from (person, trait, at in microseconds, value)."""
    listed = list(rows)
    values = [text_and_number(row[3]) for row in listed]
    return pa.table(
        {
            "person": pa.array([row[0] for row in listed], pa.int64()),
            "trait": pa.array([row[1] for row in listed], pa.string()),
            "at": pa.array([row[2] for row in listed], pa.int64()),
            "text": pa.array([text for text, _ in values], pa.string()),
            "num": pa.array([number for _, number in values], pa.float64()),
        }
    )


def watermarks(connection: Connection, program: Program, feeds: Collection[str]) -> Mapping[str, int]:
    """By pattern, the instant up to which the sources that feed it have been read completely.

    ``feeds`` are the connections that are pulled; a feed that was never read completely holds absence back for good.
    Without feeds, what was imported by hand counts.
    """
    query = select(sources.c.connection, sources.c.watermark_us)
    found: dict[str, int | None] = {row.connection: row.watermark_us for row in connection.execute(query)}
    names = set(feeds) or set(found)
    marks = [found.get(name) for name in names]
    lowest = min((mark if mark is not None else EVER for mark in marks), default=EVER)
    return dict.fromkeys(program.patterns, lowest)
