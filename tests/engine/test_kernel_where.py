"""Tests of properties, and the matching of events against the catalogue."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle
from leadup.rules import program as p
from leadup.rules.where import match, passes, property_columns, text_and_number
from leadup.types import Json


@pytest.mark.parametrize(
    ("value", "text", "number"),
    [
        (80, "80", 80.0),
        (80.0, "80", 80.0),
        (-0.5, "-0.5", -0.5),
        (1e22, "1e+22", 1e22),
        (10**400, str(10**400), None),
        (float("nan"), None, None),
        (float("inf"), None, None),
        (True, "true", None),
        (False, "false", None),
        (None, None, None),
        ({"a": 1}, None, None),
        ("", "", None),
        ("80", "80", 80.0),
        ("080.50", "080.50", 80.5),
        ("-1.5e3", "-1.5e3", -1500.0),
        (" 80", " 80", None),
        ("80\n", "80\n", None),
        ("+80", "+80", None),
        (".5", ".5", None),
        ("0x10", "0x10", None),
        ("1_000", "1_000", None),
        ("nan", "nan", None),
        ("1e999", "1e999", None),
        ("٣", "٣", None),
        ("half a pair \ud83d", "half a pair ?", None),
    ],
)
def test_text_and_number(value: Json, text: str | None, number: float | None) -> None:
    assert text_and_number(value) == (text, number)
    columns = property_columns([{"x": value}, {}], ["x"])
    assert columns["text:x"].to_pylist() == [text, None]
    assert columns["num:x"].to_pylist() == [number, None]
    assert (columns["text:x"].type, columns["num:x"].type) == (pa.string(), pa.float64())


@pytest.mark.parametrize(
    ("op", "tested", "value", "holds"),
    [
        ("eq", 80, "80.0", True),
        ("eq", "80", 80.0, True),
        ("eq", "80.0", 80, False),
        ("eq", "", "", True),
        ("eq", True, "true", True),
        ("eq", "true", True, True),
        ("eq", 1, True, False),
        ("eq", True, 1, False),
        ("eq", "a", "A", False),
        ("ne", "a", "a", False),
        ("ne", "a", None, True),
        ("ne", 80, "eighty", True),
        ("gte", 75, 75, True),
        ("gt", 75, 75, False),
        ("gt", 75, "100", True),
        ("gt", "75", "100", False),
        ("lt", 75, "none", False),
        ("gte", "2026-03-01", "2026-03-01T12:00:00Z", True),
        ("lt", "2026-03-01", "2026-02-28", True),
        ("gt", "z", "é", True),  # by code point
        ("lte", 75, None, False),
        ("in", ("a", 2, True), "2", True),
        ("in", ("a", 2, True), 2.0, True),
        ("in", ("a", 2, True), True, True),
        ("in", ("a", 2, True), "b", False),
        ("in", ("a", 2, True), None, False),
        ("contains", "ab", "cabin", True),
        ("contains", "a.b", "aab", False),
        ("contains", 5, 1.5, True),
        ("contains", "", None, False),
        ("contains", "ab", ["cabin", "ab"], True),
        ("contains", "ab", ["cabin"], False),
        ("contains", 2, ["a", 2.0], True),
        ("contains", True, [True], True),
        ("contains", "a", [["a"], {"a": 1}, None], False),
        ("contains", "a", [], False),
        ("contains", "a", ["b\x1fa\x1fc"], False),
        ("starts_with", "/pricing", "/pricing/eu", True),
        ("starts_with", "/pricing", "/eu/pricing", False),
        ("starts_with", 8, 80, True),
        ("matches", "ric", "/pricing", True),
        ("matches", "^/(a|pricing)$", "/pricing", True),
        ("matches", "^ric", "/pricing", False),
        ("matches", "", "", True),
        ("matches", ".*", None, False),
        ("exists", True, "", True),
        ("exists", True, False, True),
        ("exists", True, None, False),
        ("exists", False, None, True),
        ("exists", False, 0, False),
        # to all tests but contains, a list is missing
        ("eq", "\x1fa\x1f", ["a"], False),
        ("ne", "a", ["a"], True),
        ("gt", "", ["a"], False),
        ("starts_with", "", ["a"], False),
        ("matches", "a", ["a"], False),
        ("exists", True, ["a"], False),
        ("exists", False, ["a"], True),
    ],
)
def test_tests(op: p.Op, tested: p.Scalar | tuple[p.Scalar, ...], value: Json, holds: bool) -> None:
    columns = property_columns([{"x": value}, {"x": ["more"]}], ["x"])
    assert passes((p.Test("x", op, tested),), columns, 2)[0] == holds


def test_all_tests_must_hold_and_no_test_always_does() -> None:
    columns = property_columns([{"x": 1, "y": "a"}, {"x": 2, "y": "a"}], ["x", "y"])
    where = (p.Test("x", "gt", 1), p.Test("y", "eq", "a"))
    assert passes(where, columns, 2).tolist() == [False, True]
    assert passes((), {}, 2).tolist() == [True, True]


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.text("ab1.-e ", max_size=3) | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("k"), inner, max_size=1),
    max_leaves=3,
)
_scalar = st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.text("ab1.-e ", max_size=2)
_compare = st.builds(p.Test, st.just("x"), st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte", "contains"]), _scalar)


@settings(derandomize=True, deadline=None, database=None, max_examples=300)
@given(st.lists(_json, min_size=1, max_size=8), _compare)
def test_the_oracle_tests_alike(values: list[Json], test: p.Test) -> None:
    columns = property_columns([{"x": value} for value in values], ["x"])
    assert passes((test,), columns, len(values)).tolist() == [oracle.passes(test, value) for value in values]


# ---------------------------------------------------------------- the catalogue


def _catalogue(**patterns: tuple[p.Match, ...]) -> p.Program:
    return p.Program(patterns={name: p.Pattern(name=name, macro=False, any=any_) for name, any_ in patterns.items()})


def _matched(program: p.Program, *events: tuple[str, dict[str, Json]]) -> dict[str, list[int]]:
    found = match(program, [name for name, _ in events], [properties for _, properties in events])
    return {name: rows.tolist() for name, rows in found}


def test_events_match_patterns() -> None:
    program = _catalogue(
        watched=(p.Match("progress", (p.Test("percent", "gte", 75),)), p.Match("complete")),
        half=(p.Match("progress", (p.Test("percent", "gte", 50),)),),
        never=(p.Match("unheard_of"),),
    )
    events: list[tuple[str, dict[str, Json]]] = [
        ("complete", {}),
        ("progress", {"percent": "80"}),
        ("progress", {"percent": 60}),
        ("view", {"percent": 99}),
        ("progress", {}),
        ("complete", {"percent": 1}),
    ]
    assert _matched(program, *events) == {"watched": [0, 1, 5], "half": [1, 2]}
    assert list(_matched(program, *events)) == ["watched", "half"]
    assert _matched(program) == {}


def test_a_row_makes_one_signal_of_a_pattern() -> None:
    program = _catalogue(a=(p.Match("x", (p.Test("n", "gt", 1),)), p.Match("x", (p.Test("n", "gt", 2),)), p.Match("x")))
    rows = [rows for _, rows in match(program, ["x", "y", "x"], [{"n": 3}, {}, {}])]
    assert [r.tolist() for r in rows] == [[0, 2]]
    assert rows[0].dtype == np.int64
