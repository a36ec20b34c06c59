"""Each operator at its edges, by hand. Times are seconds."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import histories as h
from leadup.engine.kernel import judge
from leadup.rules import program as p
from leadup.rules.signals import TEXTS, properties_read, signal_schema, signal_table
from leadup.rules.visits import VISIT
from leadup.types import NEVER, Json
from oracle import Human, Signal, Trait

S = 1_000_000
US = 1e-6


def us(seconds: float) -> int:
    return round(seconds * S)


def program(*whens: p.Condition, same_within: float = 0, **rest: Any) -> p.Program:
    segments = {f"s{n}": p.Segment(name=f"s{n}", when=when) for n, when in enumerate(whens)}
    patterns = {
        name: p.Pattern(name=name, macro=False, any=(p.Match(name),), same_within=us(same_within)) for name in "abcn"
    }
    patterns[VISIT] = p.Pattern(name=VISIT, macro=False, any=(p.Match("page_view"),), pause=us(3))
    return p.Program(**{"patterns": patterns, "segments": segments} | rest)


def person(text: str, traits: Sequence[Trait] = (), known_from: float = 0, **properties: Mapping[str, Json]) -> Human:
    """Make a person of ``a@10 b@12.5``, where ``v`` is seen on a visit.

    ``properties`` are by place: ``_0`` is the first signal's.
    """
    happened = [word.replace("v@", f"{VISIT}@").split("@") for word in text.split()]
    signals = [
        Signal(pattern, us(float(at)), f"k{n}", properties.get(f"_{n}", {})) for n, (pattern, at) in enumerate(happened)
    ]
    return Human(us(known_from), tuple(signals), tuple(traits))


def judged(rules: p.Program, *people: Human, at: float, **watermarks: float) -> list[dict[str, Any]]:
    marks = {name: us(mark) for name, mark in watermarks.items()}
    return judge(rules, *h.tables(rules, people), at=us(at), watermarks=marks).to_pylist()


def did(pattern: str = "a", low: int = 1, high: int | None = None, within: float | None = None, **more: Any) -> p.Did:
    return p.Did(pattern=pattern, low=low, high=high, within=None if within is None else us(within), **more)


def started(wait: float, within: float | None = None, without: str = "b") -> p.Started:
    return p.Started(pattern="a", without=without, wait=us(wait), within=None if within is None else us(within))


def visits(again: bool = False, within: float | None = None, **more: Any) -> p.Visits:
    return p.Visits(again=again, within=None if within is None else us(within), **more)


def sequence(*steps: str, span: float | None = None, within: float | None = None, **more: Any) -> p.Sequence:
    return p.Sequence(
        steps=steps, span=None if span is None else us(span), within=None if within is None else us(within), **more
    )


FIRST = p.First(pattern="a", within=us(5))
STOPPED = p.Stopped(pattern="a", wait=us(3), after=us(5))
RESUMED = p.Resumed(pattern="a", pause=us(3), within=us(5))
REGULARLY = p.Regularly(pattern="a", low=2, of_last=3, every=us(4))
CASES: list[tuple[p.Condition, str, float, bool, float | None]] = [
    # did, within 5: the window is open at its old end
    (did(within=5), "a@10", 10 - US, False, 10),
    (did(within=5), "a@10", 10, True, 15),
    (did(within=5), "a@10", 15 - US, True, 15),
    (did(within=5), "a@10", 15, False, None),
    (did(), "a@10", 1e6, True, None),
    (did(), "b@10", 1e6, False, None),
    # the n-th latest counts
    (did(low=2, within=5), "a@10 a@12", 12, True, 15),
    (did(low=2, within=5), "a@10 a@12 a@13", 13, True, 17),
    (did(low=2, within=5), "a@10 a@10", 10, True, 15),
    (did(low=2, within=5), "a@10", 10, False, None),
    # upper bounds include none at all
    (did(low=0, high=1, within=5), "a@10 a@12", 12, False, 15),
    (did(low=0, high=1, within=5), "a@10 a@12", 15, True, None),
    (did(low=0, high=1, within=5), "", 15, True, None),
    (did(low=1, high=1, within=5), "a@10 a@12", 12, False, 15),
    (did(low=1, high=1, within=5), "a@10 a@12", 15, True, 17),
    (did(low=1, high=1, within=5), "a@10 a@12", 17, False, None),
    (did(low=2, high=2), "a@10 a@12 a@13", 17, False, None),
    (did(low=0, high=0, within=5), "a@10", 15 - US, False, 15),
    (did(low=0, high=0, within=5), "a@10", 15, True, None),
    (did(low=0, high=0), "a@10", 1e6, False, None),
    (did(low=0, high=0), "a@10", 9, True, 10),
    # a window that ends 2 ago: open at its old end, closed at its young end
    (did(within=3, lag=us(2)), "a@10", 12 - US, False, 12),
    (did(within=3, lag=us(2)), "a@10", 12, True, 15),
    (did(within=3, lag=us(2)), "a@10", 15, False, None),
    (did(lag=us(2)), "a@10", 12, True, None),
    (did(low=0, high=0, within=3, lag=us(2)), "a@10 a@14", 14, False, 15),
    (did(low=0, high=0, within=3, lag=us(2)), "a@10 a@14", 15, True, 16),
    (did(low=0, high=0, within=3, lag=us(2)), "a@10 a@14", 16, False, 19),
    (did(low=2, within=3, lag=us(2)), "a@10 a@12", 14, True, 15),
    (sequence("a", "b", within=3, lag=us(2)), "a@1 b@10", 12 - US, False, 12),
    (sequence("a", "b", within=3, lag=us(2)), "a@1 b@10", 12, True, 15),
    (sequence("a", "b", within=3, lag=us(2)), "a@1 b@10", 15, False, None),
    # visits: in the window if they begin there; a pause of 3 ends one
    (visits(within=5), "v@10", 10, True, 15),
    (visits(within=5), "v@10 v@12", 14, True, 15),
    (visits(within=5), "v@10 v@12", 15, False, None),
    (visits(low=2), "v@10 v@13", 13, True, None),
    (visits(low=2), "v@10 v@12.5 v@15", 15, False, None),
    (visits(low=0, high=0, within=5), "v@10", 15, True, None),
    (visits(within=3, lag=us(2)), "v@10", 12, True, 15),
    (visits(again=True, within=5), "v@10 v@12", 12, False, None),
    (visits(again=True, within=5), "v@1 v@10", 12, True, 15),
    (visits(again=True, low=2), "v@1 v@10 v@20", 20, True, None),
    (visits(again=True), "v@1 v@10", 9, False, 10),
    # the first ever in the window
    (FIRST, "a@10", 10, True, 15),
    (FIRST, "a@10 a@12", 15, False, None),
    (FIRST, "a@9 a@12", 13, True, 14),
    (FIRST, "", 13, False, None),
    (p.First(pattern="a", within=us(3), lag=us(2)), "a@10", 12 - US, False, 12),
    (p.First(pattern="a", within=us(3), lag=us(2)), "a@10 a@11", 12, True, 15),
    (p.First(pattern="a", within=us(3), lag=us(2)), "a@10 a@14", 16, False, None),
    # none for 3, one in the 5 before that
    (STOPPED, "a@10", 13 - US, False, 13),
    (STOPPED, "a@10", 13, True, 18),
    (STOPPED, "a@10", 18 - US, True, 18),
    (STOPPED, "a@10", 18, False, None),
    (STOPPED, "a@10 a@12", 14, False, 15),
    (STOPPED, "a@10 a@15", 15, False, 18),
    (STOPPED, "", 15, False, None),
    (p.Stopped(pattern="a", wait=us(3)), "a@10", 1e6, True, None),
    # one in 5 whose previous one lies 3 before it
    (RESUMED, "a@10 a@13", 13, True, 18),
    (RESUMED, "a@10 a@13", 13 - US, False, 13),
    (RESUMED, "a@10.000001 a@13", 13, False, None),
    (RESUMED, "a@10 a@13 a@14", 18, False, None),
    (RESUMED, "a@10 a@13 a@17", 17, True, 22),
    (RESUMED, "a@13", 13, False, None),
    (RESUMED, "a@10 a@13 a@13", 13, True, 18),
    (p.Resumed(pattern="a", pause=us(3), within=us(3), lag=us(2)), "a@10 a@13", 15, True, 18),
    # in 2 of the last 3 periods of 4: of (8, 12], (12, 16], (16, 20] at 20
    (REGULARLY, "a@12 a@16", 20, True, 24),
    (REGULARLY, "a@12 a@16", 24, False, None),
    (REGULARLY, "a@12 a@16", 16 - US, False, 16),
    (REGULARLY, "a@8.5 a@12", 20, False, None),  # both in one period
    (REGULARLY, "a@8.5 a@12", 20.5, False, None),
    (REGULARLY, "a@8.5 a@12", 16, False, 16.5),
    (REGULARLY, "a@8.5 a@12", 16.5, True, 20),
    (p.Regularly(pattern="a", low=1, of_last=2, every=us(4), times=2), "a@12 a@16", 17, False, None),
    (p.Regularly(pattern="a", low=1, of_last=2, every=us(4), times=2), "a@12.5 a@16", 17, False, 20),
    (p.Regularly(pattern="a", low=1, of_last=2, every=us(4), times=2), "a@13 a@16", 16, True, 17),
    # started, wait 2, within 9
    (started(2, 9), "a@10", 10, False, 12),
    (started(2, 9), "a@10", 12 - US, False, 12),
    (started(2, 9), "a@10", 12, True, 19),
    (started(2, 9), "a@10", 19 - US, True, 19),
    (started(2, 9), "a@10", 19, False, None),
    (started(2, 9), "a@10", 9, False, 10),
    (started(2), "a@10", 1e6, True, None),
    (started(2, 9), "a@10 b@10", 12, False, None),
    (started(2, 9), "a@10 b@9.5", 12, True, 19),
    (started(2, 9), "a@10 b@11", 11, False, None),
    (started(2, 9), "a@10 b@15", 14, True, 15),
    (started(2, 9), "a@10 b@15", 15, False, None),
    (started(2, 9), "a@10 b@15 a@16", 17, False, 18),
    (started(2, 9), "a@10 a@11", 12, True, 19),
    (started(2, 9), "a@10 a@11", 19, True, 20),
    (started(2, 9, without="a"), "a@10", 12, False, None),
    # sequence: strictly later, span closed, window open at its old end
    (sequence("a", "b"), "a@10 b@11", 11, True, None),
    (sequence("a", "b"), "a@10 b@10", 11, False, None),
    (sequence("a", "b"), "b@10 a@11", 11, False, None),
    (sequence("a", "a"), "a@10 a@11", 11, True, None),
    (sequence("a", "a"), "a@10 a@10", 11, False, None),
    (sequence("a", "b", span=3), "a@10 b@13", 13, True, None),
    (sequence("a", "b", span=3), "a@10 b@13.000001", 14, False, None),
    (sequence("a", "b", span=3), "a@10 a@12 b@14", 14, True, None),
    (sequence("a", "b", "c", span=4), "a@10 b@11 a@12 b@13 c@15", 15, True, None),
    (sequence("a", "b", "c", span=4), "a@10 b@11 a@12 c@15", 15, False, None),
    (sequence("a", "b", within=5), "a@1 b@13", 13, True, 18),
    (sequence("a", "b", within=5), "a@1 b@13", 18, False, None),
    (sequence("a", "b", within=5), "a@1 b@13", 12, False, 13),
    # strict: nothing of the steps between; without: nothing of that between first and last; the edges do no harm
    (sequence("a", "b", "c", strict=True), "a@10 b@11 c@12", 12, True, None),
    (sequence("a", "b", "c", strict=True), "a@10 b@11 n@11 c@12", 12, True, None),
    (sequence("a", "b", "c", strict=True), "a@10 b@11 a@11.5 c@12", 12, False, None),
    (sequence("a", "b", "c", strict=True), "a@10 b@11 b@11.5 c@12", 12, False, None),
    (sequence("a", "b", "c", strict=True), "a@10 a@10.5 b@11 c@12", 12, True, None),
    (sequence("a", "b", "c", strict=True), "a@10 b@11 a@11 c@12", 12, True, None),
    (sequence("a", "b", strict=True, within=5), "a@10 b@11 b@12", 15, True, 16),
    (sequence("a", "b", "c", without="n"), "a@10 b@11 n@11.5 c@12", 12, False, None),
    (sequence("a", "b", "c", without="n"), "a@10 n@10 b@11 c@12 n@12", 12, True, None),
    (sequence("a", "b", without="n"), "a@10 n@11 a@12 b@13", 13, True, None),
    (sequence("a", "b", without="b", within=5), "a@10 b@11 b@12", 15, True, 16),
    (sequence("a", "b", without="n", within=5), "a@10 b@13", 12, False, 13),
    # whole conditions: a part that decides alone says how long the whole stands
    (p.Not(did(within=5)), "a@10", 14, False, 15),
    (p.All((did("n"), did(within=5))), "a@10", 12, False, None),
    (p.All((did(within=5), did(within=7))), "a@10", 12, True, 15),
    (p.Any((did(within=5), did(within=7))), "a@10", 12, True, 17),
    (p.Any((did(within=5), did("n"))), "a@10", 15, False, None),
    (p.Not(p.Any((did(within=5), did("n")))), "a@10", 15, True, None),
    (p.All(()), "", 1, True, None),
    (p.Any(()), "", 1, False, None),
]


def measured(of: Any, low: float | None = None, high: float | None = None, **more: Any) -> p.Measured:
    return p.Measured(pattern="a", of=of, property="v", low=low, high=high, within=us(5), **more)


MEASURED: list[tuple[p.Condition, Sequence[Json], float, bool, float | None]] = [
    # a@10, a@11, ... have these values; within 5
    (measured("sum", 3), [1, 2], 11, True, 15),
    (measured("sum", 3), [1, 2], 15, False, None),
    (measured("sum", 3), [3], 15 - US, True, 15),
    (measured("sum", 3), [1, 3], 14, True, 16),  # until one leaves without which it is not enough
    (measured("sum", 0.3), [0.1, "0.2"], 11, True, 15),  # as decimals, not as doubles
    (measured("sum", 0.301), [0.1, 0.2], 11, False, None),
    (measured("sum", 0.3), [0.2996], 11, True, 15),
    (measured("sum", 3), [2, None, "1 ", True, [1], 2e12], 15, False, None),
    (measured("sum", 3), [5, -2], 11, True, 15),
    (measured("sum", 4), [-2, 5], 11, False, 15),  # the refund leaves first
    (measured("sum", 4), [-2, 5], 15, True, 16),
    (measured("sum", None, 3), [], 11, True, None),
    (measured("sum", None, 3), [2, 1.001], 11, False, 15),
    (measured("sum", None, 3), [2, 1], 11, True, None),
    (measured("sum", 2, 3), [1, 1], 11, True, 15),
    (measured("sum", 2, 3, lag=us(1)), [1, 1], 12, True, 16),
    (measured("max", 3), [3, 2], 11, True, 15),
    (measured("max", 3), [3, 4], 15, True, 16),
    (measured("max", 3), [2.999, "x"], 11, False, None),
    (measured("max", 1, 3), [4, 2], 11, False, 15),
    (measured("max", 1, 4), [4, 2], 11, True, 16),
    (measured("max", 1, 3), [4, 2], 15, True, 16),
    (measured("distinct", 2), ["a", "b", "a"], 12, True, 16),  # until b leaves
    (measured("distinct", 2), ["b", "a", "a"], 12, True, 15),
    (measured("distinct", 2), ["a", "", None, ["a"], {}], 12, False, 13),
    (measured("distinct", 2), [80, "80", "80.0"], 12, True, 16),
    (measured("distinct", 1, 1), [80, "80"], 12, True, 16),
    (measured("distinct", 1, 1), ["a", "b", "a"], 12, False, 16),
    (measured("distinct", None, 1), [], 12, True, None),
]


@pytest.mark.parametrize(("when", "values", "at", "holds", "until"), MEASURED)
def test_measures(when: p.Condition, values: Sequence[Json], at: float, holds: bool, until: float | None) -> None:
    human = person(
        " ".join(f"a@{10 + n}" for n in range(len(values))), **{f"_{n}": {"v": v} for n, v in enumerate(values)}
    )
    [row] = judged(program(when), human, at=at)
    assert row["in:s0"] is holds
    assert row["until:s0"] == (NEVER if until is None else us(until))


@pytest.mark.parametrize(("when", "happened", "at", "holds", "until"), CASES)
def test_operators(when: p.Condition, happened: str, at: float, holds: bool, until: float | None) -> None:
    [row] = judged(program(when), person(happened), at=at)
    assert row["in:s0"] is row["when:s0"] is holds
    assert row["until:s0"] == row["due"] == (NEVER if until is None else us(until))
    assert row["waits:s0"] == row["waits"] == NEVER


# ---------------------------------------------------------------- scores


def scored(
    *points: p.Points, half_life: float = 10, low: float = 10, high: float | None = None, tiers: Sequence[float] = ()
) -> p.Program:
    named = tuple((f"t{n}", tier) for n, tier in enumerate(tiers))
    score = p.Score(name="s", half_life=us(half_life), points=points, tiers=named)
    return program(p.ScoreIs(score="s", low=low, high=high), scores={"s": score})


TWENTY = p.Points(pattern="a", points=20.0)


@pytest.mark.parametrize(
    ("happened", "at", "value", "holds", "until"),
    [
        ("a@100", 99, 0.0, False, 100),
        ("a@100", 100, 20.0, True, 111),
        ("a@100", 110, 10.0, True, 111),  # exactly the threshold reaches it
        ("a@100", 110.9, 10.0, True, 111),  # the age is counted to the last whole second
        ("a@100", 111, 20 * 2**-1.1, False, None),
        ("a@100.5", 100.7, 20.0, True, 111),  # and is at least 0
        ("a@100.5", 101, 20 * 2**-0.05, True, 111),
        ("a@100.5", 110, 20 * 2**-0.95, True, 111),
        ("a@100", 199, 20 * 2**-9.9, False, None),
        ("a@100", 200, 0.0, False, None),  # after ten half-lives nothing is left
        ("a@100 a@110", 110, 30.0, True, 126),
    ],
)
def test_a_score_decays(happened: str, at: float, value: float, holds: bool, until: float | None) -> None:
    [row] = judged(scored(TWENTY), person(happened), at=at)
    assert row["score:s"] == pytest.approx(value, rel=1e-15)
    assert row["in:s0"] is holds
    assert row["until:s0"] == (NEVER if until is None else us(until))


def test_half_lives_halve_exactly() -> None:
    for n in range(10):
        assert judged(scored(TWENTY), person("a@0"), at=10 * n)[0]["score:s"] == 20 / 2**n


def test_of_more_than_at_most_the_latest_count() -> None:
    rules = scored(p.Points(pattern="a", points=8.0, at_most=2), p.Points(pattern="b", points=1.0))
    [row] = judged(rules, person("a@80 a@90 a@100 b@100"), at=100)
    assert row["score:s"] == 4 + 8 + 1


def test_a_tier_is_left_at_the_next_threshold_below() -> None:
    rules = scored(TWENTY, low=5, high=10, tiers=(5, 10))
    rows = [judged(rules, person("a@100"), at=at)[0] for at in (100, 111, 121)]
    assert [row["in:s0"] for row in rows] == [False, True, False]
    assert [row["until_score:s"] for row in rows] == [us(111), us(121), NEVER]


def test_negative_points_count_until_they_are_forgotten() -> None:
    rules = scored(TWENTY, p.Points(pattern="b", points=-512.0), low=19.9, tiers=(19.9,))
    [row] = judged(rules, person("b@10 a@109"), at=109)
    assert row["score:s"] == pytest.approx(20 - 512 * 2**-9.9)
    assert (row["in:s0"], row["until:s0"], row["until_score:s"]) == (False, us(110), us(110))
    assert judged(rules, person("b@10 a@110"), at=110)[0]["in:s0"] is True


def test_a_fall_is_found_before_the_rise_that_hides_it() -> None:
    rules = scored(p.Points(pattern="a", points=3000.0), p.Points(pattern="b", points=-2048.0), low=5)
    human = person("a@80 b@89 a@98")
    assert [judged(rules, human, at=at)[0]["in:s0"] for at in (183, 184, 189, 190)] == [True, False, True, True]
    assert judged(rules, human, at=100)[0]["until:s0"] == us(184)


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40 * 24 * 3600 * 10)), min_size=1, max_size=12),
    st.sampled_from([3600.0, 86400.0, 7 * 86400.0, 100 * 86400.0]),
    st.sampled_from([0.5, 1.0, 5.0, 10.0, 40.0]),
)
def test_a_crossing_is_exact_to_the_second(tenths: list[tuple[str, int]], half_life: float, low: float) -> None:
    rules = scored(TWENTY, p.Points(pattern="b", points=3.0, at_most=4), half_life=half_life, low=low)
    human = person(" ".join(f"{pattern}@{tenth / 10}" for pattern, tenth in tenths))
    at = max(tenth for _, tenth in tenths) / 10
    [now] = judged(rules, human, at=at)
    if now["in:s0"]:
        crossing = now["until:s0"] / S
        assert crossing == int(crossing)
        assert judged(rules, human, at=crossing - US)[0]["score:s"] >= low
        assert judged(rules, human, at=crossing)[0]["score:s"] < low
    else:
        assert now["until:s0"] == NEVER


# ---------------------------------------------------------------- counting once


@pytest.mark.parametrize(
    ("happened", "ids", "count"),
    [
        ("a@10 a@14", {}, 1),
        ("a@10 a@15", {}, 2),  # not closer than 5
        ("a@10 a@12 a@15", {}, 2),
        ("a@10 a@14 a@16", {}, 2),  # counted from the last that counted, not from the last there was
        ("a@10 a@14 a@15 a@16", {}, 2),
        ("a@10 a@14 a@16 a@20 a@22", {}, 3),
        ("a@10 a@10", {}, 1),
        ("a@10 b@11", {}, 1),
        ("a@10 a@90", {0: "x", 1: "x"}, 1),
        ("a@10 a@90", {0: "x", 1: "y"}, 2),
        ("a@10 a@90", {0: "", 1: ""}, 2),
        ("a@10 a@12", {0: "x", 1: "y"}, 1),
        ("a@10 a@12 a@90", {1: "x", 2: "x"}, 1),  # the first is one with the second, and that with the third
        ("a@10 a@90 a@93", {0: "x", 1: "x"}, 2),  # what is taken in by its id opens no new time of its own
        ("a@10 a@90", {0: 7, 1: "7"}, 1),
    ],
)
def test_signals_of_one_occurrence_count_once(happened: str, ids: Mapping[int, Json], count: int) -> None:
    rules = program(did(low=count, high=count), same_within=5)
    human = person(happened, **{f"_{n}": {"event_id": i} for n, i in ids.items()})
    assert judged(rules, human, at=100)[0]["in:s0"] is True


def test_the_first_wins_and_is_completed_from_the_later_ones() -> None:
    tests = [("x", 1), ("y", "two"), ("z", 3), ("x", 9), ("w", 0)]
    rules = program(*(did(where=(p.Test(name, "eq", value),)) for name, value in tests), same_within=5)
    human = person("a@10 a@12 a@13", _0={"x": 1, "y": None}, _1={"x": 9, "y": "two"}, _2={"y": 2, "z": 3})
    assert [judged(rules, human, at=20)[0][f"in:s{n}"] for n in range(5)] == [True, True, True, False, False]
    assert judged(rules, human, at=12)[0]["until:s2"] == us(13)


def test_what_is_one_by_time_and_by_id_is_completed_from_all() -> None:
    rules = program(did(high=1, where=(p.Test("z", "eq", 3),)), same_within=5)
    human = person("a@10 a@12 a@90", _1={"event_id": "x"}, _2={"event_id": "x", "z": 3})
    assert judged(rules, human, at=100)[0]["in:s0"] is True


def test_of_one_instant_the_smaller_key_is_first() -> None:
    rules = program(did(where=(p.Test("x", "eq", "first"),)), same_within=5)
    signals = (Signal("a", S, "k2", {"x": "second"}), Signal("a", S, "k10", {"x": "first"}))
    assert judged(rules, Human(0, signals), at=2)[0]["in:s0"] is True
    assert judged(rules, Human(0, signals[::-1]), at=2)[0]["in:s0"] is True


@pytest.mark.parametrize(
    ("happened", "ids", "begun"),
    [
        ("v@10 v@12.5 v@16", {}, [10, 16]),
        ("v@10 v@20", {0: "x", 1: "x"}, [10]),  # an id carries on over any pause
        ("v@10 v@11", {0: "x", 1: "y"}, [10, 11]),  # and another one ends it
        ("v@10 v@11 v@12 v@13", {0: "x", 1: "y", 2: "x", 3: "y"}, [10, 11]),  # two devices at once
        ("v@10 v@11", {1: "y"}, [10]),  # what has no id may be the same, seen by another source
        ("v@10 v@11", {0: "x"}, [10]),
        ("v@10 v@20 v@22 v@30", {0: "x", 1: "x", 3: "x"}, [10]),  # what has no id follows what carried on
        ("v@10 v@11 v@20", {1: "y", 2: "y"}, [10]),
        ("v@10 v@20", {0: "", 1: ""}, [10, 20]),
        ("v@10 v@11", {0: 7, 1: "7"}, [10]),
    ],
)
def test_where_visits_begin(happened: str, ids: Mapping[int, Json], begun: Sequence[float]) -> None:
    rules = program(visits(low=len(begun), high=len(begun)))
    human = person(happened, **{f"_{n}": {"session_id": i} for n, i in ids.items()})
    assert judged(rules, human, at=100)[0]["in:s0"] is True
    for at in (float(word.split("@")[1]) for word in happened.split()):
        assert judged(program(visits(within=US)), human, at=at)[0]["in:s0"] is (at in begun)


# ---------------------------------------------------------------- absence


DID_NOT = did(low=0, high=0, within=5)


@pytest.mark.parametrize(
    ("when", "happened", "at", "marks", "holds", "waits"),
    [
        (DID_NOT, "a@10", 20, {"a": 15}, True, None),
        (DID_NOT, "a@10", 20, {"a": 15 - US}, False, 15),
        (DID_NOT, "a@10", 20, {"b": 0}, True, None),
        (FIRST, "a@10 a@12", 14, {"a": 9}, False, 10),  # an earlier one may have been missed
        (FIRST, "a@10 a@12", 14, {"a": 10}, True, None),
        (p.Not(FIRST), "a@10 a@12", 16, {"a": 0}, True, None),  # an earlier one would change nothing
        (p.Not(FIRST), "a@10 a@12", 14, {"a": 0}, False, None),
        (STOPPED, "a@10", 14, {"a": 12}, False, 13),
        (STOPPED, "a@10", 14, {"a": 13}, True, None),
        (p.Not(STOPPED), "a@10", 20, {"a": 17}, False, 18),
        (p.Not(STOPPED), "a@10", 20, {"a": 18}, True, None),
        (p.Not(STOPPED), "a@10 a@19", 20, {"a": 0}, True, None),  # a later one ended it
        (p.Not(STOPPED), "", 20, {"a": 0}, True, None),
        (RESUMED, "a@10 a@13", 14, {"a": 12}, False, 13),  # one may have come in the pause
        (RESUMED, "a@10 a@13", 14, {"a": 13}, True, None),
        (RESUMED, "a@10 a@13 a@18", 18, {"a": 13}, True, None),  # without a break
        (p.Not(RESUMED), "a@10 a@13", 20, {"a": 17}, False, 18),
        (p.Not(RESUMED), "a@10 a@13", 20, {"a": 18}, True, None),
        (p.Not(RESUMED), "a@10 a@13", 18, {"a": 17}, False, 18),
        (REGULARLY, "a@12 a@16", 20, {"a": 0}, True, None),
        (p.Not(REGULARLY), "a@12 a@16", 30, {"a": 23}, False, 24),
        (p.Not(REGULARLY), "a@12 a@16", 30, {"a": 24}, True, None),
        (p.Not(REGULARLY), "a@12", 30, {"a": 0}, True, None),
        (DID_NOT, "b@10", 20, {"a": 0}, True, None),  # it never happened: nothing to wait for
        (DID_NOT, "a@10", 14, {"a": 0}, False, None),
        (p.Not(did(within=5)), "a@10", 20, {"a": 14}, False, 15),
        (p.Not(DID_NOT), "a@10", 12, {"a": 0}, True, None),  # what happened is never delayed
        (did(low=1, high=1, within=5), "a@10 a@12", 16, {"a": 14}, False, 15),
        (did(low=1, high=1, within=5), "a@10", 11, {"a": 0}, True, None),
        (did(low=1, high=1, within=5), "a@10 a@15", 16, {"a": 0}, True, None),  # there were never two
        (did(low=1, high=1, within=5), "a@10 a@14 a@19", 20, {"a": 14}, False, 15),
        (started(2, 9), "a@10", 13, {"b": 12}, True, None),
        (started(2, 9), "a@10", 13, {"b": 11}, False, 12),
        (started(2, 9), "a@10", 13, {"a": 0}, True, None),
        (started(2, 9), "a@10 a@17", 20, {"b": 12}, True, None),  # it has held since 12 without a break
        (started(2, 4), "a@10 a@17", 20, {"b": 12}, False, 19),
        (started(2, 9), "a@10 b@11 a@12", 15, {"b": 13}, False, 14),  # but an end breaks it
        (p.Not(started(2, 9)), "a@10", 20, {"a": 18}, False, 19),
        (p.Not(started(2, 9)), "a@10", 20, {"a": 19}, True, None),
        (p.Not(started(2, 9)), "a@10 b@15", 20, {"a": 0}, True, None),  # an end is something that happened
        (p.Not(started(2, 9)), "a@10 b@19", 20, {"a": 0}, True, None),
        (p.Not(started(2, 9)), "a@10 b@11", 20, {"a": 0}, True, None),  # it never held
        (p.Not(started(2, 9)), "a@1 a@12 b@14", 20, {"a": 9}, False, 10),
        (p.Not(sequence("a", "b", within=5)), "a@10 b@12", 20, {"a": 16}, False, 17),
        (p.Not(sequence("a", "b", within=5)), "a@10 b@12", 20, {"b": 16}, False, 17),
        (p.Not(sequence("a", "b", within=5)), "a@10 b@12", 20, {"b": 17}, True, None),
        (p.Not(sequence("a", "b", within=3, lag=us(2))), "a@10 b@12", 20, {"b": 14}, False, 15),
        (p.Not(sequence("a", "b", within=3, lag=us(2))), "a@10 b@12", 20, {"b": 15}, True, None),
        (did(low=0, high=0, within=3, lag=us(2)), "a@10", 20, {"a": 12}, False, 13),  # to where the window ends
        (did(low=0, high=0, within=3, lag=us(2)), "a@10", 20, {"a": 13}, True, None),
        (did(low=0, high=0, within=3, lag=us(2)), "", 20, {"a": -1e6}, True, None),
        (sequence("a", "b", without="n", within=5), "a@10 b@12", 13, {"n": 11}, False, 12),  # one may yet come between
        (sequence("a", "b", without="n", within=5), "a@10 b@12", 13, {"n": 12}, True, None),
        (sequence("a", "b", without="n", within=5), "a@10 b@12", 13, {"a": 0, "b": 0}, True, None),
        (sequence("a", "b", without="n", within=5), "a@10 b@12 b@17", 20, {"n": 12}, True, None),  # without a break
        (sequence("a", "b", without="n", within=5), "a@10 b@12 b@18", 20, {"n": 12}, False, 18),
        (sequence("a", "b", without="n"), "a@10 b@12 b@99", 100, {"n": 12}, True, None),
        (sequence("a", "b", strict=True), "a@10 b@12", 13, {"a": 11}, False, 12),
        (p.Not(sequence("a", "b", without="n", within=5)), "a@10 n@11 b@12", 20, {"a": 0, "b": 0, "n": 0}, True, None),
        (p.Not(sequence("a", "b", without="n", within=5)), "a@10 b@12", 20, {"n": 0, "a": 16}, False, 17),
        (visits(within=5), "v@10", 12, {VISIT: 0}, True, None),
        (visits(low=0, high=0, within=5), "v@10 v@12", 20, {VISIT: 14}, False, 15),
        (visits(low=0, high=0, within=5), "v@10 v@12", 20, {VISIT: 15}, True, None),
        (p.All((did("n"), DID_NOT)), "a@10", 20, {"a": 12}, False, None),  # waiting would change nothing
        (p.All((did("a"), DID_NOT)), "a@10", 20, {"a": 12}, False, 15),
        (p.Not(p.Any((did("n"), did(within=5)))), "a@10", 20, {"a": 12}, False, 15),
    ],
)
def test_absence_needs_a_watermark(
    when: p.Condition, happened: str, at: float, marks: Mapping[str, float], holds: bool, waits: float | None
) -> None:
    [row] = judged(program(when), person(happened), at=at, **marks)
    assert row["in:s0"] is holds
    assert row["waits:s0"] == row["waits"] == (NEVER if waits is None else us(waits))


@pytest.mark.parametrize(
    ("happened", "at", "mark", "holds", "waits"),
    [
        ("a@100", 111, 111, True, None),
        ("a@100", 111, 110.9, False, 111),
        ("a@100", 150, 50, False, 111),
        ("a@100 b@120", 150, 50, False, 111),
        ("a@100 a@130", 150, 112, False, 142),
        ("b@100", 150, 50, True, None),  # it was never above
        ("a@100 n@105", 150, 50, True, None),  # a signal with negative points took it below
        ("a@100 n@112", 150, 50, False, 111),
        ("a@100 n@111", 150, 50, False, 111),  # decay alone would have taken it below then
    ],
)
def test_a_score_below_a_bound_is_absence(
    happened: str, at: float, mark: float, holds: bool, waits: float | None
) -> None:
    points = (TWENTY, p.Points(pattern="b", points=1.0), p.Points(pattern="n", points=-12.0))
    rules = program(p.Not(p.ScoreIs(score="s", low=10.0)), scores=scored(*points).scores)
    [row] = judged(rules, person(happened), at=at, a=mark)
    assert (row["in:s0"], row["waits:s0"]) == (holds, NEVER if waits is None else us(waits))


@pytest.mark.parametrize(
    ("points", "low", "happened", "at", "mark", "waits"),
    [
        # It fell at 101; what came at 101.5 was not enough.
        (1, 20, "a@100 b@101.5", 150, 50, 101),
        (1, 20, "a@100 b@101.5", 150, 100.9, 101),
        # It fell at 108, rose when the negative points were forgotten at 110, and fell again.
        (-2048, 9.5, "b@10 a@100", 109, 50, 108),
        (-2048, 9.5, "b@10 a@100", 150, 50, 111),
    ],
)
def test_a_score_is_below_since_it_last_fell(
    points: float, low: float, happened: str, at: float, mark: float, waits: float
) -> None:
    scores = scored(TWENTY, p.Points(pattern="b", points=points)).scores
    rules = program(p.Not(p.ScoreIs(score="s", low=low)), scores=scores)
    assert judged(rules, person(happened), at=at, a=mark)[0]["waits:s0"] == us(waits)
    assert judged(rules, person(happened), at=at, a=waits)[0]["in:s0"] is True


def test_the_upper_end_of_a_tier_is_absence_and_its_lower_end_is_not() -> None:
    rules = scored(TWENTY, low=5, high=10)
    rows = [judged(rules, person("a@100"), at=112, a=mark)[0] for mark in (110, 111)]
    assert [(row["in:s0"], row["waits:s0"]) for row in rows] == [(False, us(111)), (True, NEVER)]


# ---------------------------------------------------------------- persons, segments, groups


def test_of_each_trait_the_last_fact_counts() -> None:
    stage = [Trait("stage", us(5), "customer"), Trait("stage", us(3), "lead"), Trait("stage", us(9), None)]
    rules = program(
        p.Person(where=(p.Test("stage", "eq", "customer"),)), p.Person(where=(p.Test("stage", "ne", "lead"),))
    )
    rows = {at: judged(rules, person("", stage), at=at)[0] for at in (2, 3, 5, 9)}
    assert [rows[at]["in:s0"] for at in rows] == [False, False, True, False]
    assert [rows[at]["in:s1"] for at in rows] == [True, False, True, True]
    assert [rows[at]["until:s0"] for at in rows] == [us(3), us(5), us(9), NEVER]


def test_of_one_instant_the_last_row_counts() -> None:
    rules = program(p.Person(where=(p.Test("stage", "eq", 2),)))
    assert judged(rules, person("", [Trait("stage", 1, 1), Trait("stage", 1, 2)]), at=1)[0]["in:s0"] is True


def test_exclude_and_groups_take_a_person_out() -> None:
    segments = {
        "x": p.Segment(name="x", when=did("b")),
        "hot": p.Segment(name="hot", when=did("a", within=5)),
        "warm": p.Segment(name="warm", when=did("a", within=9), exclude=("x",)),
        "reads": p.Segment(name="reads", when=p.InSegment(segment="warm")),
        "unlike": p.Segment(name="unlike", when=p.Not(p.InSegment(segment="warm"))),
    }
    rules = program(segments=segments, groups=(p.Group(name="g", segments=("hot", "warm")),))
    row = judged(rules, person("a@10"), at=12)[0]
    assert (row["when:warm"], row["excluded:warm"], row["in:warm"]) == (True, False, False)
    assert (row["in:reads"], row["in:unlike"]) == (True, False)  # a verdict is read before groups
    assert (row["until:warm"], row["until:reads"]) == (us(15), us(19))
    row = judged(rules, person("a@10"), at=15)[0]
    assert (row["in:warm"], row["in:hot"]) == (True, False)
    row = judged(rules, person("a@10 b@11"), at=15)[0]
    assert (row["when:warm"], row["excluded:warm"], row["in:warm"]) == (True, True, False)
    assert (row["in:reads"], row["in:unlike"]) == (False, True)


def test_who_is_not_yet_known_not_to_be_excluded_stays_out() -> None:
    segments = {
        "busy": p.Segment(name="busy", when=did("a", within=5)),
        "calm": p.Segment(name="calm", when=did("b"), exclude=("busy",)),
    }
    rules = program(segments=segments)
    row = judged(rules, person("a@10 b@10"), at=20, a=12)[0]
    assert (row["when:calm"], row["excluded:calm"], row["in:calm"]) == (True, True, False)
    assert (row["in:busy"], row["waits:busy"], row["waits:calm"]) == (False, NEVER, us(15))
    assert judged(rules, person("a@10 b@10"), at=20, a=15)[0]["in:calm"] is True


def test_of_a_person_who_is_known_only_later_nothing_holds() -> None:
    rules = program(did(low=0, high=0), p.Not(did()), scores=scored(TWENTY).scores)
    late, known = person("a@30", known_from=30), person("a@30", known_from=20)
    unseen, seen = judged(rules, late, known, at=20)
    assert (unseen["in:s0"], unseen["when:s1"], unseen["score:s"]) == (False, False, 0.0)
    assert unseen["due"] == unseen["until:s0"] == unseen["until_score:s"] == us(30)
    assert unseen["waits"] == NEVER
    assert (seen["in:s0"], seen["in:s1"], seen["due"]) == (True, True, us(30))


# ---------------------------------------------------------------- tables


def test_truth_and_one_are_different_values_of_a_test() -> None:
    rules = program(did(where=(p.Test("x", "eq", 1),)), did(where=(p.Test("x", "eq", True),)))
    row = judged(rules, person("a@10", _0={"x": True}), at=10)[0]
    assert (row["in:s0"], row["in:s1"]) == (False, True)


def test_signals_carry_what_conditions_test() -> None:
    rules = program(
        p.Not(p.All((did(where=(p.Test("x", "gt", 1),)), p.Any((did(where=(p.Test("y", "exists", True),)),)))))
    )
    assert properties_read(rules) == {"event_id", "x", "y"}
    assert properties_read(program(did())) == {"event_id"}
    table = signal_table(rules, [1], ["a"], [5], ["k"], [{"x": 80.0, "y": ["p", 2], "z": 1}])
    assert table.schema == signal_schema(rules)
    assert table.drop_columns(["person", "pattern", "at", "key"]).to_pylist() == [
        {
            "text:event_id": None,
            "num:event_id": None,
            "text:x": "80",
            "num:x": 80.0,
            "text:y": "\x1fp\x1f2\x1f",
            "num:y": None,
        }
    ]


def test_tables_may_come_in_pieces_and_with_plain_strings() -> None:
    rules = program(did(low=2, high=2, where=(p.Test("x", "eq", 1),)), did("b"))
    who, signals, facts = h.tables(rules, [person("a@10 b@11 a@12", _0={"x": 1}, _2={"x": "1"}), person("b@10 c@9")])
    whole = judge(rules, who, signals, facts, at=us(20), watermarks={})
    assert whole.column("in:s0").to_pylist() == [True, False]
    pieces = pa.concat_tables(
        signal_table(rules, *([v] for v in (row["person"], row["pattern"], row["at"], row["key"], {"x": row["num:x"]})))
        for row in signals.to_pylist()
    )
    plain = signals.cast(pa.schema([f.with_type(pa.string()) if f.type == TEXTS else f for f in signals.schema]))
    for other in (pieces, plain, pa.concat_tables([pieces.slice(2), pieces.slice(0, 2)])):
        assert judge(rules, who, other, facts, at=us(20), watermarks={}).equals(whole)


def test_no_people_no_signals_no_rules() -> None:
    rules = scored(TWENTY)
    who, signals, facts = h.tables(rules, [])
    empty = judge(rules, who, signals, facts, at=0, watermarks={})
    full = judge(rules, *h.tables(rules, [person("a@1")]), at=S, watermarks={})
    assert (empty.num_rows, empty.schema) == (0, full.schema)
    bare = program()
    assert judge(bare, *h.tables(bare, [person("a@1")]), at=S, watermarks={}).to_pylist() == [
        {"person": 100, "due": NEVER, "waits": NEVER}
    ]


def test_signals_of_other_persons_and_patterns_are_left_out() -> None:
    rules = program(did())
    who, signals, facts = h.tables(rules, [person("a@1")])
    others = signal_table(rules, [5, 100, 2**62], ["a", "unheard_of", "a"], [S, S, S], ["1", "2", "3"], [{}] * 3)
    got = judge(rules, who, pa.concat_tables([others, signals]), facts, at=S, watermarks={})
    assert got.column("in:s0").to_pylist() == [True]


def test_a_person_who_is_there_twice_is_refused() -> None:
    rules = program(did())
    who, signals, facts = h.tables(rules, [person("a@1")])
    with pytest.raises(ValueError, match="100 is there twice"):
        judge(rules, pa.concat_tables([who, who]), signals, facts, at=S, watermarks={})


def test_many_persons_and_long_times_do_not_overflow() -> None:
    rules = program(did(within=5), sequence("a", "b"), same_within=2)
    n = 50_000
    century = 100 * 365 * 86_400 * S
    ids = [m * 2**40 - 2**61 for m in range(n)]
    who = pa.table({"person": pa.array(ids, pa.int64()), "known_from": pa.array([-century] * n, pa.int64())})
    signals = signal_table(
        rules,
        [i for i in ids for _ in range(3)],
        ["a", "a", "b"] * n,
        [-century, century, century + 1] * n,
        ["1", "2", "3"] * n,
        [{}] * (3 * n),
    )
    facts = h.tables(rules, [])[2]
    got = judge(rules, who, signals, facts, at=century + 2 * S, watermarks={})
    assert set(got.column("in:s0").to_pylist()) == set(got.column("in:s1").to_pylist()) == {True}
    assert set(got.column("due").to_pylist()) == {century + 5 * S}


# ---------------------------------------------------------------- what it needs


def test_the_kernel_needs_numpy_and_pyarrow_only() -> None:
    seen: set[str] = set()
    outside = {name for name in _imports("leadup.engine.kernel", seen) if name not in sys.stdlib_module_names}
    assert outside == {"numpy", "pyarrow"}
    assert {"leadup.engine.history", "leadup.rules.scores", "leadup.rules.where"} <= seen


def _imports(module: str, seen: set[str]) -> Iterator[str]:
    """Yield the outside packages that a module imports, its own modules of leadup included, but for the nouns."""
    seen.add(module)
    path = import_module(module).__file__
    assert path is not None
    for node in ast.walk(ast.parse(Path(path).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module]
            if node.module in ("leadup.rules", "leadup.engine", "leadup"):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if not name.startswith("leadup."):
                yield name.partition(".")[0]
            elif name not in seen and name not in ("leadup.types", "leadup.rules.program"):
                yield from _imports(name, seen)


def test_habits_are_each_persons_own() -> None:
    rules = program(RESUMED, p.Regularly(pattern="a", low=2, of_last=2, every=us(9)), FIRST)
    one, other = judged(rules, person("a@1 a@2"), person("a@11"), at=12)
    assert [one[f"in:s{n}"] for n in range(3)] == [False, False, False]
    assert [other[f"in:s{n}"] for n in range(3)] == [False, False, True]


def test_signals_that_lie_ages_apart_may_come_in_any_order() -> None:
    """So far apart that person and instant do not fit into one number to sort by."""
    rules = program(did(low=2), sequence("a", "b"))
    signals = signal_table(
        rules, [2, 1, 2, 1], ["b", "a", "a", "a"], [2**61, us(10), -(2**61), us(5)], ["k0", "k1", "k2", "k3"], [{}] * 4
    )
    who, _, facts = h.tables(rules, [person("a@1"), person("a@1")])
    people = who.set_column(0, "person", pa.array([1, 2]))
    verdicts = judge(rules, people, signals, facts, at=2**61, watermarks={})
    assert verdicts.select(["in:s0", "in:s1"]).to_pylist() == [
        {"in:s0": True, "in:s1": False},
        {"in:s0": False, "in:s1": True},
    ]
