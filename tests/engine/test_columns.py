"""Columns: of any anchors, near or far apart, just their signals are read, in whatever way that is done."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadup.engine.columns import Columns, read, write
from leadup.engine.pieces import KEY, Spans, assemble
from leadup.rules import program as p
from leadup.rules.signals import signal_schema
from leadup.types import EVER, NEVER

PROGRAM = p.Program(
    patterns={"look": p.Pattern(name="look", macro=False, any=(p.Match("look"),))},
    segments={"keen": p.Segment(name="keen", when=p.Did(pattern="look", where=(p.Test("path", "eq", "/"),)))},
)
ANCHORS = st.integers(1, 12) | st.integers(1, 10**6)
SIGNALS = st.lists(st.tuples(ANCHORS, st.integers(0, 9), st.sampled_from(["/", "/docs", None])), max_size=40)
OWNED = st.lists(st.tuples(ANCHORS, st.booleans()), max_size=12)


def table_of(signals: list[tuple[int, int, str | None]]) -> pa.Table:
    anchors, instants, paths = ([one[place] for one in signals] for place in range(3))
    numbers = range(1, len(signals) + 1)
    return pa.table(
        {
            "anchor": pa.array(anchors, pa.int64()),
            "at": pa.array(instants, pa.int64()),
            "number": pa.array(numbers, pa.int64()),
            "key": pa.array([number.to_bytes(16) for number in numbers], KEY),
            "text:path": pa.array(paths, pa.string()).dictionary_encode(),
        }
    )


def spans_of(owned: list[tuple[int, bool]]) -> list[tuple[int, int, int, int]]:
    """Person 100 has each of these anchors: from ever to ever, or up to instant 5, after which it is person 200's."""
    spans = []
    for anchor, passed_on in sorted(dict(owned).items()):
        spans.append((anchor, 100, EVER, 5 if passed_on else NEVER))
        if passed_on:
            spans.append((anchor, 200, 5, NEVER))
    return spans


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(signals=SIGNALS, owned=OWNED, gone=st.sets(st.integers(1, 40), max_size=3))
def test_the_signals_of_spans_are_read_and_no_others(
    tmp_path: Path, signals: list[tuple[int, int, str | None]], owned: list[tuple[int, bool]], gone: set[int]
) -> None:
    path = write(tmp_path / "signals", table_of(signals))
    listed = spans_of(owned)
    spans = Spans(*np.array(listed, np.int64).reshape(-1, 4).T.copy())
    pieces = read(
        [("look", Columns.open(path))], spans, np.array(sorted(gone), np.int64), {"look": 0}, {"look": ["path"]}
    )
    path.unlink()
    found = assemble(pieces, ["look"], signal_schema(PROGRAM)).select(["person", "pattern", "at", "key", "text:path"])
    expected = [
        (person, "look", at, number.to_bytes(16), text)
        for number, (anchor, at, text) in enumerate(signals, 1)
        for owner, person, begin, end in listed
        if owner == anchor and begin <= at < end and number not in gone
    ]
    assert sorted((tuple(row.values()) for row in found.to_pylist()), key=repr) == sorted(expected, key=repr)


@pytest.mark.parametrize("anchors", [range(20, 80), range(20, 2_000, 40)], ids=["near", "far apart"])
def test_signals_of_persons_with_one_anchor_each_come_in_order_of_person_and_instant(
    tmp_path: Path, anchors: range
) -> None:
    dice = np.random.default_rng(1)
    signals = [(int(who), int(at), "/") for who, at in zip(dice.integers(0, 2_000, 3_000), range(3_000), strict=True)]
    columns = Columns.open(write(tmp_path, table_of(signals)))
    ids = np.array(anchors)
    spans = Spans(ids, ids, np.full(len(ids), EVER), np.full(len(ids), NEVER))
    (piece,) = read([("look", columns)], spans, np.empty(0, np.int64), {"look": 0}, {"look": []})
    rows = list(zip(piece.person.tolist(), piece.at.tolist(), strict=True))
    assert rows == sorted((who, at) for who, at, _ in signals if who in anchors)
