"""The laws of the kernel over 20,000 random lives: incremental equals full equals the oracle, and `until` is kept.

Each test follows many lives through several ticks, between which events come late, are revised and taken back, persons
turn out to be one, sources are read further and rules are edited. At every tick

- the kernel says of everybody what the oracle says (:mod:`oracle`, one person at a time, in plain Python);
- what was said last of each person is still so, though only those were judged again of whom something is new, whose
  `until` has come, or whose `waits` a watermark has passed;
- nobody's answer is another just before its `until`, nor at any other instant before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import histories as h
import lives as lv
import oracle
from leadup.engine.kernel import judge
from leadup.rules.program import Program
from leadup.types import EVER, NEVER

ENOUGH = 20_000
"""Lives that `make test` follows, at least."""
SIZE = 64
"""Lives of one program; of those who turn out to be one, one is counted."""
PROGRAMS = 16
SHARE = 800
KINDS = [*h.LEAVES, *(f"composed-{n}" for n in range(14))]

Columns = dict[str, Any]
Tables = tuple[pa.Table, pa.Table, pa.Table]


@pytest.mark.parametrize("kind", KINDS)
def test_many_lives_obey_the_laws(kind: str, record_property: Any) -> None:
    programs, followed = h.programs_of(kind) if kind in h.LEAVES else h.programs(), 0

    @seed(KINDS.index(kind))
    @settings(
        max_examples=PROGRAMS,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(programs, programs), st.integers(0, 2**32))
    def law(programs: tuple[Program, Program], number: int) -> None:
        nonlocal followed
        followed += obeys(lv.story(programs, number, SIZE))

    law()
    record_property("random lives", followed)
    assert followed >= SHARE


def test_they_are_enough() -> None:
    assert len(KINDS) * SHARE >= ENOUGH


def obeys(story: lv.Story) -> int:
    """Put the laws to a story; return how many lives were followed to the last tick.

    Raises:
        AssertionError: with the least of the story that breaks a law.
    """
    try:
        return follow(story)
    except AssertionError as error:
        least = lv.smallest(story, _breaks)
        raise AssertionError(f"{error}\nThe least that breaks a law:\n{least}") from error


def _breaks(story: lv.Story) -> bool:
    try:
        follow(story)
    except AssertionError:
        return True
    return False


def follow(story: lv.Story) -> int:
    """Judge at every tick; return of how many persons the last tick knew."""
    judged: dict[int, int] = {}
    """The row of each person in what stands."""
    stands: Columns = {}
    for number, tick in enumerate(story.ticks):
        lives = [life for life in story.lives if life.known[number] is not None]
        tables = tables_of(tick, lives, number)
        full = judged_at(tick, tables, tick.at)
        says_what_the_oracle_says(tick, lives, number, full)
        stands_until(tick, tables, lives, full, Random(number))
        before = story.ticks[number - 1]
        if judged and tick.program is before.program:
            passed = max((m for name, m in tick.watermarks.items() if m > before.watermarks[name]), default=-1)
            rows = np.array([-1 if life.has_news(number) else judged[life.number] for life in lives], int)
            again = (rows < 0) | (stands["due"][rows] <= tick.at) | (stands["waits"][rows] <= passed)
            chosen = [life for life, yes in zip(lives, again, strict=True) if yes]
            stands = {name: values[rows] for name, values in stands.items()}
            for name, values in judged_at(tick, tables_of(tick, chosen, number), tick.at).items():
                stands[name][again] = values
        else:
            stands = {name: values.copy() for name, values in full.items()}
        for name in verdicts(tick.program):
            wrong = np.flatnonzero(stands[name] != full[name])
            assert not len(wrong), f"{name} of {lives[wrong[0]].number} is old at tick {number}."
        judged = {life.number: row for row, life in enumerate(lives)}
    return len(judged)


def tables_of(tick: lv.Tick, lives: Sequence[lv.Life], number: int) -> Tables:
    return h.tables(tick.program, [life.known[number] for life in lives], numbers=[life.number for life in lives])


def judged_at(tick: lv.Tick, tables: Tables, at: int) -> Columns:
    """Judge; beside the kernel's columns there is ``tier:SCORE``, the number of tiers reached."""
    table = judge(tick.program, *tables, at=at, watermarks=tick.watermarks)
    found = {name: table.column(name).to_numpy() for name in table.column_names}
    for name, score in tick.program.scores.items():
        tiers = [threshold for _, threshold in score.tiers]
        found[f"tier:{name}"] = np.searchsorted(tiers, found[f"score:{name}"], side="right")
    return found


def verdicts(program: Program) -> dict[str, str]:
    """Return the columns that say something of a person, with the one that says until when."""
    of_segments = {
        f"{kind}:{name}": f"until:{name}" for name in program.segments for kind in ("when", "excluded", "in")
    }
    of_properties = {
        f"{kind}:{name}": f"until_last:{name}" for name in program.properties for kind in ("last", "last_at")
    }
    return of_segments | of_properties | {f"tier:{name}": f"until_score:{name}" for name in program.scores}


def says_what_the_oracle_says(tick: lv.Tick, lives: Sequence[lv.Life], number: int, full: Columns) -> None:
    for row, life in enumerate(lives):
        human = life.known[number]
        for name, answer in oracle.judge(tick.program, human, tick.at, tick.watermarks).items():
            said = oracle.Answer(*(bool(full[f"{kind}:{name}"][row]) for kind in ("when", "excluded", "in")))
            assert said == answer, f"{name} of {life.number} at tick {number}: not {said}"
        for name in tick.program.scores:
            mine, score = float(full[f"score:{name}"][row]), oracle.score(tick.program, human, name, tick.at)
            assert abs(mine - score) <= 1e-12 * max(1, abs(score)), f"{name} of {life.number} at tick {number}: {score}"
        for name in tick.program.properties:
            told = int(full[f"last:{name}"][row]), int(full[f"last_at:{name}"][row])
            last = oracle.last(tick.program, human, name, tick.at) or (-1, EVER)
            assert told == last, f"{name} of {life.number} at tick {number}: {last}"


def stands_until(tick: lv.Tick, tables: Tables, lives: Sequence[lv.Life], full: Columns, random: Random) -> None:
    """Look again at some instants just before somebody's `until`, and at some others."""
    limits = np.unique(np.concatenate([full[name] for name in set(verdicts(tick.program).values())]))
    assert not len(limits) or limits[0] > tick.at, "`until` lies ahead"
    ends = [int(limit) - 1 for limit in limits if tick.at + 1 < limit < NEVER]
    anywhere = tick.at + random.randrange(1, 16) * h.GRID - random.choice([0, tick.at % h.GRID])
    for instant in {anywhere, *random.sample(ends, min(len(ends), 2))}:
        later = judged_at(tick, tables, instant)
        for name, until in verdicts(tick.program).items():
            wrong = np.flatnonzero((full[until] > instant) & (full[name] != later[name]))
            assert not len(wrong), f"{name} of {lives[wrong[0]].number} changes by {instant}, not at {until}"
