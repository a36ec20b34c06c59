"""Reads what the kernel judges: people, signals and facts as Arrow tables, for all persons or for some."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, Text, and_, func, select, type_coerce

from leadup.engine.columns import properties_of, read
from leadup.engine.facts import people_table
from leadup.engine.listed import who_is_on
from leadup.engine.pieces import KEY, Piece, Spans, assemble
from leadup.engine.signal_files import Manifest, SignalFiles, manifest
from leadup.identity import people
from leadup.identity.bulk import among
from leadup.rules.program import Program
from leadup.rules.signals import patterns_read, properties_by_pattern, properties_read, signal_schema
from leadup.rules.verdicts import Instants
from leadup.rules.where import Texts, text_and_number
from leadup.state.tables import identifiers, signal_gone, signals, sources, spans
from leadup.types import EVER, NEVER, Json


def gather(
    connection: Connection, program: Program, persons: Collection[int], files: SignalFiles | None = None
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Return the kernel's tables ``people``, ``signals`` and ``facts`` for these persons.

    Only signals of patterns that the program reads. With ``files``, those that they hold are read from there.
    """
    owned, since = _owned(connection, persons)
    known = _known(owned, since)
    who = people_table(program, known, who_is_on(connection, program, known.keys()))
    return who, _signals(connection, program, persons, owned, files), fact_table(people.facts_of(connection, persons))


def _owned(connection: Connection, persons: Collection[int]) -> tuple[Spans, Instants]:
    """Return which identifiers are whose and when, and when each person was first seen under each."""
    query = (
        select(spans.c.identifier, spans.c.person, spans.c.from_us, spans.c.until_us, identifiers.c.first_us)
        .join(identifiers, identifiers.c.id == spans.c.identifier)
        .where(spans.c.person.in_(among(persons)))
    )
    rows = np.array([tuple(row) for row in connection.execute(query)], np.int64).reshape(-1, 5)
    identifier, person, begin, end, first = rows[np.argsort(rows[:, 0], kind="stable")].T.copy()
    return Spans(identifier, person, begin, end), np.where(begin == EVER, first, begin)


def _known(owned: Spans, since: Instants) -> dict[int, int]:
    """Return when each person was first seen, in order of the persons."""
    persons, row = np.unique(owned.person, return_inverse=True)
    known = np.full(len(persons), NEVER)
    np.minimum.at(known, row, since)
    return dict(zip(persons.tolist(), known.tolist(), strict=True))


def _signals(
    connection: Connection, program: Program, persons: Collection[int], owned: Spans, files: SignalFiles | None
) -> pa.Table:
    patterns = patterns_read(program)
    code = {name: place for place, name in enumerate(patterns)}
    properties = properties_by_pattern(program)
    held = manifest(connection) if files else Manifest(0, 0, ())
    mapped, broken = files.mapped(file for file in held.files if file.pattern in code) if files else ([], set[str]())
    gone = _gone(connection, owned.anchor) if mapped else np.empty(0, np.int64)
    pieces = read(mapped, owned, gone, code, properties)
    names = sorted(properties_read(program))
    pieces += _from_table(connection, persons, code, names, 0 if broken else held.upto, held.upto, broken)
    return assemble(pieces, patterns, signal_schema(program))


def _gone(connection: Connection, anchors: Instants) -> Instants:
    """Return the numbers of the signals of these anchors that are gone."""
    if connection.scalar(select(signal_gone.c.number).limit(1)) is None:
        return np.empty(0, np.int64)
    query = select(signal_gone.c.number).where(signal_gone.c.anchor.in_(among(anchors.tolist())))
    return np.array(connection.scalars(query).all(), np.int64)


def _from_table(
    connection: Connection,
    persons: Collection[int],
    code: Mapping[str, int],
    properties: Collection[str],
    above: int,
    upto: int,
    broken: Collection[str],
) -> list[Piece]:
    """Read the signals that no file holds: those numbered above ``upto``, and all of the patterns in ``broken``."""
    s = signals.c
    owned = and_(spans.c.identifier == s.anchor, s.at_us >= spans.c.from_us, s.at_us < spans.c.until_us)
    query = (
        select(spans.c.person, s.pattern, s.at_us, s.event, type_coerce(s.properties, Text), s.number)
        .select_from(spans.join(signals, owned))
        .where(spans.c.person.in_(among(persons)), s.number > above)
    )
    rows = connection.execute(query).all()
    wanted = [row for row in rows if row[1] in code and (row[5] > upto or row[1] in broken)]
    if not wanted:
        return []
    person, pattern, at, key, texts, _ = zip(*wanted, strict=True)
    found = properties_of(texts, properties)
    return [
        Piece(
            np.array([code[name] for name in pattern], np.int32),
            np.array(person, np.int64),
            np.array(at, np.int64),
            pa.array(key, KEY),
            {name: Texts.of(found[f"text:{name}"]) for name in properties},
            {name: found[f"num:{name}"] for name in properties},
        )
    ]


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


def watermarks(
    connection: Connection, program: Program, feeds: Collection[str], *, final: bool = False
) -> Mapping[str, int]:
    """By pattern, the instant up to which the sources that feed it have been read completely.

    ``final``: up to which, besides, no row can come late any more.

    ``feeds`` are the connections that are pulled; a feed that was never read completely holds absence back for good.
    Without feeds, what was imported by hand counts.
    """
    mark = func.coalesce(sources.c.final_us, sources.c.watermark_us) if final else sources.c.watermark_us
    query = select(sources.c.connection, mark.label("mark"))
    found: dict[str, int | None] = {row.connection: row.mark for row in connection.execute(query)}
    names = set(feeds) or set(found)
    marks = [found.get(name) for name in names]
    lowest = min((mark if mark is not None else EVER for mark in marks), default=EVER)
    return dict.fromkeys(program.patterns, lowest)
