"""The laws of the kernel, over random programs and histories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import histories as h
import oracle
from leadup.engine.kernel import judge
from leadup.rules.program import Program
from leadup.types import NEVER

exactly = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@settings(exactly, max_examples=400)
@given(h.programs(), h.people, h.moments, h.watermarks)
def test_the_kernel_says_what_the_oracle_says(
    program: Program, people: list[oracle.Human], at: int, watermarks: dict[str, int]
) -> None:
    rows = judge(program, *h.tables(program, people), at=at, watermarks=watermarks).to_pylist()
    for human, row in zip(people, rows, strict=True):
        for name, answer in oracle.judge(program, human, at, watermarks).items():
            said = oracle.Answer(row[f"when:{name}"], row[f"excluded:{name}"], row[f"in:{name}"])
            assert said == answer, name
        for name in program.scores:
            assert row[f"score:{name}"] == pytest.approx(oracle.score(program, human, name, at), rel=1e-12, abs=1e-12)


@settings(exactly, max_examples=250)
@given(h.programs(), h.people, h.moments, h.watermarks, st.data())
def test_nothing_changes_before_until_and_below_waits(
    program: Program, people: list[oracle.Human], at: int, watermarks: dict[str, int], data: st.DataObject
) -> None:
    tables = h.tables(program, people)
    before = judge(program, *tables, at=at, watermarks=watermarks).to_pylist()
    limits = sorted({row[name] for row in before for name in row if name.startswith("until:")} - {NEVER})
    assert all(limit > at for limit in limits)
    later = st.integers(1, 80).map(lambda steps: at // h.GRID * h.GRID + steps * h.GRID)
    if limits:
        later |= st.sampled_from([limit - 1 for limit in limits if limit - 1 > at] or [at + 1])
    for instant in sorted(data.draw(st.sets(later | st.just(at), min_size=3, max_size=8))):
        raised = watermarks | data.draw(st.just({}) | h.watermarks)
        raised = {name: max(mark, watermarks.get(name, mark)) for name, mark in raised.items() if name in watermarks}
        highest = max((mark for name, mark in raised.items() if mark != watermarks[name]), default=-1)
        after = judge(program, *tables, at=instant, watermarks=raised).to_pylist()
        for was, now in zip(before, after, strict=True):
            for name in program.segments:
                if instant < was[f"until:{name}"] and highest < was[f"waits:{name}"]:
                    assert _verdict(now, name) == _verdict(was, name), (name, instant)
            for name in program.scores:
                if instant < was[f"until_score:{name}"]:
                    assert _tier(program, name, now) == _tier(program, name, was), (name, instant)


def _verdict(row: Mapping[str, Any], name: str) -> tuple[bool, bool, bool]:
    return row[f"when:{name}"], row[f"excluded:{name}"], row[f"in:{name}"]


def _tier(program: Program, name: str, row: Mapping[str, Any]) -> list[bool]:
    return [row[f"score:{name}"] >= threshold for _, threshold in program.scores[name].tiers]


@settings(exactly, max_examples=120)
@given(h.programs(), h.people, h.moments, h.watermarks, st.randoms(use_true_random=False))
def test_no_other_person_and_no_order_matters(
    program: Program, people: list[oracle.Human], at: int, watermarks: dict[str, int], random: Any
) -> None:
    together = judge(program, *h.tables(program, people), at=at, watermarks=watermarks)
    order = list(range(sum(len(human.signals) for human in people)))
    random.shuffle(order)
    shuffled = judge(program, *h.tables(program, people, order), at=at, watermarks=watermarks, block=2)
    assert shuffled.equals(together)
    who, signals, facts = h.tables(program, people, order)
    alone = [judge(program, who.slice(n, 1), signals, facts, at=at, watermarks=watermarks) for n in range(len(people))]
    assert pa.concat_tables(alone).equals(together)


@settings(exactly, max_examples=60)
@given(h.programs(), h.humans, h.moments, h.watermarks)
def test_going_from_due_to_due_comes_to_an_end(
    program: Program, human: oracle.Human, at: int, watermarks: dict[str, int]
) -> None:
    tables = h.tables(program, [human])
    most = 10 + 60 * (1 + len(human.signals)) + len(human.traits)
    for _ in range(most):
        row = judge(program, *tables, at=at, watermarks=watermarks).to_pylist()[0]
        assert row["due"] == min(row[name] for name in row if name.startswith("until"))
        assert row["waits"] == min(row[name] for name in row if name.startswith("waits:"))
        assert row["due"] > at
        if row["due"] == NEVER:
            return
        at = row["due"]
    pytest.fail("judged too often")
