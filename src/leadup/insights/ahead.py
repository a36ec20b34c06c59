"""When a person will enter or leave a segment if nothing happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa

from leadup.engine.kernel import judge
from leadup.insights.words import instant
from leadup.membership import Members, fold
from leadup.rules.program import InSegment, Program, ScoreIs
from leadup.rules.signals import leaves
from leadup.types import NEVER

AHEAD_US: Final = 366 * 86_400_000_000
"""How far ahead a change is looked for."""
STEPS: Final = 2_000
"""How often it is judged again at most: an ``until`` may come before anything changes."""


def next_change(
    program: Program,
    tables: tuple[pa.Table, pa.Table, pa.Table],
    name: str,
    at_us: int,
    members: Mapping[str, Members],
    waits_us: int = NEVER,
) -> dict[str, Any]:
    """Judge one person again at each ``until`` until the answer differs from ``members``, those of ``at_us``.

    ``waits_us`` is the kernel's ``waits`` of the segment. In what lies ahead sources count as read up to each instant.
    The answer has

    - ``at``, ISO 8601, and ``becomes``, ``in`` or ``out``; both None when nothing changes by itself;
    - ``once_read_up_to``: the change needs no time but that the sources have been read so far; else None;
    - ``looked_until``: how far was looked; None when it changes, or never changes.
    """
    needed, holds, instant_us = only(program, name), bool(members[name].holds[0]), at_us
    answer: dict[str, Any] = dict.fromkeys(("at", "becomes", "once_read_up_to", "looked_until"))
    for _ in range(STEPS):
        verdicts = judge(needed, *tables, at=instant_us, watermarks=dict.fromkeys(needed.patterns, instant_us))
        members = fold(needed, verdicts, {one: members[one].entered for one in needed.segments}, instant_us)
        if bool(members[name].holds[0]) != holds:
            waits = instant(waits_us) if instant_us == at_us else None
            return answer | {"at": instant(instant_us), "becomes": "out" if holds else "in", "once_read_up_to": waits}
        instant_us = min(int(members[name].until[0]), verdicts[f"waits:{name}"][0].as_py())
        if instant_us >= NEVER:
            return answer
        if instant_us > at_us + AHEAD_US:
            return answer | {"looked_until": instant(at_us + AHEAD_US)}
    return answer | {"looked_until": instant(instant_us)}


def only(program: Program, name: str) -> Program:
    """Return the program with no more segments and scores than the verdict on this one rests on, and no properties."""
    needed, scores, waiting = set[str](), set[str](), [name]
    for group in program.groups:
        if name in group.segments:
            waiting += group.segments[: group.segments.index(name)]
    while waiting:
        segment = waiting.pop()
        if segment not in needed:
            needed.add(segment)
            waiting += [name for name in program.segments[segment].exclude if name in program.segments]
            tests = list(leaves(program.segments[segment].when))
            waiting += [c.segment for c in tests if isinstance(c, InSegment)]
            scores.update(c.score for c in tests if isinstance(c, ScoreIs))
    groups = [replace(g, segments=tuple(one for one in g.segments if one in needed)) for g in program.groups]
    segments = {one: segment for one, segment in program.segments.items() if one in needed}
    return replace(
        program,
        segments=segments,
        scores={one: score for one, score in program.scores.items() if one in scores},
        properties={},
        groups=tuple(group for group in groups if group.segments),
    )
