"""Memberships in the tick's transaction: reads what was, folds it on, writes what is and why it changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, delete, insert, select

from leadup.identity.bulk import among
from leadup.membership import OUT, Members, fold
from leadup.rules.program import Program
from leadup.rules.verdicts import Instants
from leadup.state.store import upsert_plain
from leadup.state.tables import membership_log, memberships
from leadup.types import NEVER


@dataclass(frozen=True, slots=True)
class Move:
    """Someone entered or left a segment."""

    segment: str
    person: int
    entered: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What became of the memberships of the persons who were judged."""

    members: Mapping[str, set[int]]
    """Who is in now, by segment."""
    moves: Sequence[Move]
    due: Mapping[int, int]
    """When a membership changes by itself, by person: those without such an instant are left out."""


def move(connection: Connection, program: Program, persons: Sequence[int], verdicts: pa.Table, at_us: int) -> Moved:
    """Move the memberships of ``persons`` on by what the kernel said of them; who is not in its table is in nothing."""
    ids: list[int] = verdicts["person"].to_pylist()
    index = {person: row for row, person in enumerate(ids)}
    was, until = _read(connection, persons)
    now = fold(program, verdicts, entered(was, index), at_us)
    members = {name: {ids[row] for row in np.flatnonzero(one.holds)} for name, one in now.items()}
    moves = [
        Move(name, person, True, "the rule holds")
        if person in members[name]
        else Move(name, person, False, _why_left(now[name], verdicts[f"excluded:{name}"], index.get(person)))
        for name in program.segments
        for person in sorted(members[name] ^ was.get(name, {}).keys())
    ]
    _write(connection, now, ids, moves, until, at_us)
    ends = reduce(np.minimum, (one.until for one in now.values()), np.full(len(ids), NEVER))
    due = {ids[row]: int(ends[row]) for row in np.flatnonzero(ends != NEVER)}
    return Moved(members=members, moves=moves, due=due)


def read(connection: Connection, persons: Collection[int]) -> dict[str, dict[int, int]]:
    """Since when these persons are in which segments: by segment, by person."""
    return _read(connection, persons)[0]


_Instants: TypeAlias = "dict[str, dict[int, int]]"
"""By segment, by person."""


def _read(connection: Connection, persons: Collection[int]) -> tuple[_Instants, _Instants]:
    """Return since when these persons are in which segments, and until when at least that was to stand."""
    since: _Instants = defaultdict(dict)
    until: _Instants = defaultdict(dict)
    c = memberships.c
    query = select(c.segment, c.person, c.entered_us, c.until_us).where(c.person.in_(among(persons)))
    for segment, person, entered_us, until_us in connection.execute(query):
        since[segment][person] = entered_us
        until[segment][person] = until_us
    return since, until


def entered(was: Mapping[str, Mapping[int, int]], index: Mapping[int, int]) -> dict[str, Instants]:
    """The same as :func:`leadup.membership.fold` takes it; ``index`` gives the row of each person."""
    found = {}
    for segment, since in was.items():
        found[segment] = np.full(len(index), OUT)
        known = [(row, entered_us) for person, entered_us in since.items() if (row := index.get(person)) is not None]
        rows, instants = np.array(known, np.int64).reshape(-1, 2).T
        found[segment][rows] = instants
    return found


def forget_segments(connection: Connection, program: Program, at_us: int) -> None:
    """Let everybody leave the segments that are not in the rules any more."""
    gone = memberships.c.segment.not_in(list(program.segments))
    rows = connection.execute(select(memberships.c.segment, memberships.c.person).where(gone)).all()
    _log(connection, [Move(r.segment, r.person, False, "the segment left the rules") for r in rows], at_us)
    connection.execute(delete(memberships).where(gone))


def _why_left(now: Members, excluded: pa.ChunkedArray, row: int | None) -> str:
    if row is not None and now.outdone[row]:
        return "an earlier segment of the group holds"
    if row is not None and excluded[row].as_py():
        return "an excluding segment holds"
    return "the rule no longer holds"


def _write(
    connection: Connection,
    now: Mapping[str, Members],
    ids: Sequence[int],
    moves: Sequence[Move],
    before: Mapping[str, Mapping[int, int]],
    at_us: int,
) -> None:
    """Write what changed. ``before``: the ``until`` of those who were in, by segment and person."""
    left: dict[str, list[int]] = defaultdict(list)
    for one in moves:
        if not one.entered:
            left[one.segment].append(one.person)
    for name, gone in left.items():
        connection.execute(
            delete(memberships).where(memberships.c.segment == name, memberships.c.person.in_(among(gone)))
        )
    rows = []
    for name, members in now.items():
        known, holds = before.get(name, {}), np.flatnonzero(members.holds)
        entered_us, until_us = members.entered[holds].tolist(), members.until[holds].tolist()
        rows += [
            (name, ids[row], since, until)
            for row, since, until in zip(holds.tolist(), entered_us, until_us, strict=True)
            if known.get(ids[row]) != until
        ]
    upsert_plain(connection, memberships, ["segment", "person", "entered_us", "until_us"], rows, update=["until_us"])
    _log(connection, moves, at_us)


def _log(connection: Connection, moves: Sequence[Move], at_us: int) -> None:
    rows = [
        {"at_us": at_us, "segment": one.segment, "person": one.person, "entered": one.entered, "reason": one.reason}
        for one in moves
    ]
    if rows:
        connection.execute(insert(membership_log), rows)
