"""The laws of the kernel, over random programs and histories."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import histories as h
import oracle
from leadup.engine.kernel import judge
from leadup.rules.program import Program
from leadup.types import EVER, NEVER

exactly = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@settings(exactly, max_examples=150)
@given(h.programs(), h.crowds(25), h.moments, h.watermarks)
def test_the_kernel_says_what_the_oracle_says(
    program: Program, people: list[oracle.Human], at: int, watermarks: dict[str, int]
) -> None:
    rows = judge(program, *h.tables(program, people), at=at, watermarks=watermarks).to_pylist()
    for human, row in zip(people, rows, strict=True):
        for name, answer in oracle.judge(program, human, at, watermarks).items():
            assert oracle.Answer(*_verdict(row, name)) == answer, (name, human)
        for name in program.scores:
            score = oracle.score(program, human, name, at)
            assert row[f"score:{name}"] == pytest.approx(score, rel=1e-12, abs=1e-12), (name, human)
        for name in program.properties:
            last = oracle.last(program, human, name, at)
            assert (row[f"last:{name}"], row[f"last_at:{name}"]) == (last or (-1, EVER)), (name, human)


@settings(exactly, max_examples=100)
@given(h.programs(), h.crowds(40), h.moments, h.watermarks, st.data())
def test_nothing_changes_before_until_and_below_waits(
    program: Program, people: list[oracle.Human], at: int, watermarks: dict[str, int], data: st.DataObject
) -> None:
    tables = h.tables(program, people)
    before = _arrays(judge(program, *tables, at=at, watermarks=watermarks))
    limits = {int(limit) for name in before if name.startswith("until") for limit in before[name]} - {NEVER}
    assert all(limit > at for limit in limits)
    soon = [at // h.GRID * h.GRID + steps * h.GRID for steps in range(1, 60)]
    instants = st.sampled_from([at, *soon, *sorted(limit - 1 for limit in limits if limit - 1 > at)])
    for instant in data.draw(st.lists(instants, min_size=8, max_size=16, unique=True)):
        marks = data.draw(h.watermarks)
        raised = {name: max(mark, marks.get(name, mark)) for name, mark in watermarks.items()}
        highest = max((mark for name, mark in raised.items() if mark > watermarks[name]), default=-1)
        after = _arrays(judge(program, *tables, at=instant, watermarks=raised))
        for name in program.segments:
            stands = (before[f"until:{name}"] > instant) & (before[f"waits:{name}"] > highest)
            for kind in ("when", "excluded", "in"):
                changed = stands & (before[f"{kind}:{name}"] != after[f"{kind}:{name}"])
                assert not changed.any(), (kind, name, instant, raised, people[int(changed.argmax())])
        for name, score in program.scores.items():
            tiers = [threshold for _, threshold in score.tiers]
            was, now = (np.searchsorted(tiers, rows[f"score:{name}"], side="right") for rows in (before, after))
            changed = (before[f"until_score:{name}"] > instant) & (was != now)
            assert not changed.any(), (name, instant, people[int(changed.argmax())])
        for name in program.properties:
            stands = before[f"until_last:{name}"] > instant
            for kind in ("last", "last_at"):
                changed = stands & (before[f"{kind}:{name}"] != after[f"{kind}:{name}"])
                assert not changed.any(), (kind, name, instant, people[int(changed.argmax())])


@pytest.mark.parametrize("operator", h.LEAVES)
def test_each_operator_alone_obeys_both_laws(operator: str) -> None:
    """In a mixed program an operator's rare cases are rarer still."""
    alone = (h.programs_of(operator), h.crowds(30), h.moments, h.watermarks)
    for law, more in (
        (test_the_kernel_says_what_the_oracle_says, ()),
        (test_nothing_changes_before_until_and_below_waits, (st.data(),)),
    ):
        inner = law.hypothesis.inner_test  # type: ignore[attr-defined]
        settings(exactly, max_examples=40)(given(*alone, *more)(inner))()


def _arrays(table: pa.Table) -> dict[str, Any]:
    return {name: table.column(name).to_numpy() for name in table.column_names}


def _verdict(row: Mapping[str, Any], name: str) -> tuple[bool, bool, bool]:
    return row[f"when:{name}"], row[f"excluded:{name}"], row[f"in:{name}"]


@settings(exactly, max_examples=60)
@given(h.programs(), h.crowds(20), h.moments, h.watermarks, st.integers(0, 99))
def test_no_other_person_and_no_order_matters(
    program: Program, people: list[oracle.Human], at: int, watermarks: dict[str, int], seed: int
) -> None:
    together = judge(program, *h.tables(program, people), at=at, watermarks=watermarks)
    order = list(range(sum(len(human.signals) for human in people)))
    Random(seed).shuffle(order)
    who, signals, facts = h.tables(program, people, order)
    assert judge(program, who, signals, facts, at=at, watermarks=watermarks, block=7).equals(together)
    for n in range(min(len(people), 3)):
        alone = judge(program, who.slice(n, 1), signals, facts, at=at, watermarks=watermarks)
        assert alone.equals(together.slice(n, 1))


@settings(exactly, max_examples=30)
@given(h.programs(), h.crowds(10), h.moments, h.watermarks)
def test_to_judge_who_is_due_is_enough_and_comes_to_an_end(
    program: Program, people: list[oracle.Human], at: int, watermarks: dict[str, int]
) -> None:
    tables = h.tables(program, people)
    latest: list[dict[str, Any]] = [{"due": at}] * len(people)
    judged = [0] * len(people)
    while at < NEVER:
        for n, row in enumerate(judge(program, *tables, at=at, watermarks=watermarks).to_pylist()):
            assert row["due"] == min((row[name] for name in row if name.startswith("until")), default=NEVER)
            assert row["waits"] == min((row[name] for name in row if name.startswith("waits:")), default=NEVER)
            if at == latest[n]["due"]:
                assert row["due"] > at
                latest[n], judged[n] = row, judged[n] + 1
            for name in program.segments:
                assert _verdict(row, name) == _verdict(latest[n], name), (name, at, people[n])
        at = min(row["due"] for row in latest)
    for human, count in zip(people, judged, strict=True):
        assert count <= 4 + len(human.traits) + 20 * len(human.signals)
