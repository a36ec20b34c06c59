"""Signals in the orders in which they come: split by pattern, by person, or in none."""

import numpy as np
import pyarrow as pa

from leadup.engine.kernel import judge
from leadup.rules import program as p
from leadup.rules.signals import signal_table

NO_FACTS = pa.schema(
    {"person": pa.int64(), "trait": pa.string(), "at": pa.int64(), "text": pa.string(), "num": pa.float64()}
).empty_table()


def test_signals_may_come_split_by_pattern() -> None:
    """In order of pattern, person and instant, which needs no sorting: ties are still put in order of their keys."""
    program = p.Program(
        patterns={name: p.Pattern(name=name, macro=False, any=(p.Match(name),), same_within=1) for name in ("a", "b")},
        segments={
            "last": p.Segment(name="last", when=p.Sequence(steps=("a", "b"), within=9)),
            "both": p.Segment(name="both", when=p.Did(pattern="a", low=2, within=6)),
            "value": p.Segment(name="value", when=p.Did(pattern="a", where=(p.Test("n", "eq", 0),))),
        },
    )
    rows = [(n, name, n % 3 + m, m % 2) for n in range(70) for name in ("a", "b") for m in range(n % 4)]
    rows += [(n, "a", n % 3, 5) for n in range(0, 70, 2)]
    rows.sort(key=lambda row: (row[1], row[0], row[2], -row[3]))  # of one instant in no order of keys
    whose, what, when, number = zip(*rows, strict=True)
    keys = [f"{n:02}{m}" for n, _, _, m in rows]
    split = signal_table(program, whose, what, when, keys, [{"n": n} for n in number])
    people = pa.table({"person": list(range(70)), "known_from": [0] * 70})
    shuffled = split.take(pa.array(np.random.default_rng(1).permutation(len(rows))))
    answers = [
        judge(program, people, table, NO_FACTS, at=7, watermarks={}, block=block)
        for table in (split, shuffled, split.sort_by([("person", "ascending"), ("at", "ascending")]))
        for block in (7, 70)
    ]
    assert all(answer.equals(answers[0]) for answer in answers)
    assert 0 < sum(answers[0]["in:last"].to_pylist()) < 70
    assert 0 < sum(answers[0]["in:value"].to_pylist()) < 70
