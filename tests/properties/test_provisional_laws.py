"""The law of provisional memberships: what rests on a period still open for late rows is said to, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings

import histories as h
import oracle
from leadup.engine.provisional import final_from, provisional, rest_open
from leadup.rules.program import Program
from oracle import GRID

exactly = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
PATTERNS = (*h.PATTERNS, h.VISIT)


def unsettled(program: Program) -> Program:
    return replace(program, segments={name: replace(it, settle=0) for name, it in program.segments.items()})


def holds(program: Program, human: oracle.Human, at: int, marks: dict[str, int]) -> dict[str, bool]:
    """Whom the oracle sees in each segment, before groups."""
    return {name: one.when and not one.excluded for name, one in oracle.judge(program, human, at, marks).items()}


@exactly
@given(h.programs(), h.crowds(12), h.moments, h.watermarks, h.instants)
def test_provisional_is_who_would_not_be_in_by_what_is_final(
    program: Program, people: list[oracle.Human], at: int, read: dict[str, int], final: int
) -> None:
    marks = {name: read.get(name, at) for name in PATTERNS}
    open_ = {name: min(mark, final) for name, mark in marks.items()}
    tables = h.tables(program, people)
    found = provisional(program, tables, at=at, watermarks=marks, final=open_)
    for row, human in enumerate(people):
        now, sure = holds(program, human, at, marks), holds(unsettled(program), human, at, open_)
        for name in program.segments:
            assert found[name][row] == (now[name] and not sure[name]), (name, human)


@exactly
@given(h.programs(), h.crowds(8), h.moments, h.watermarks, h.instants)
def test_when_no_late_row_comes_it_becomes_final_at_the_instant_that_was_named(
    program: Program, people: list[oracle.Human], at: int, read: dict[str, int], final: int
) -> None:
    marks = {name: read.get(name, at) for name in PATTERNS}
    open_ = {name: min(mark, final) for name, mark in marks.items()}
    for human in people:
        tables = h.tables(program, [human])
        found = provisional(program, tables, at=at, watermarks=marks, final=open_)
        assert rest_open(marks, open_) or not any(found[name][0] for name in program.segments)
        for name in program.segments:
            if found[name][0]:
                once = final_from(program, tables, name, at=at, final=open_)
                assert once is not None
                closed = {pattern: max(own, once) for pattern, own in open_.items()}
                assert holds(unsettled(program), human, at, closed)[name]
                before = {pattern: max(own, once - GRID) for pattern, own in open_.items()}
                assert before == open_ or not holds(unsettled(program), human, at, before)[name]
