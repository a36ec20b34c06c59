"""The law of memberships: the same verdicts at the same instants give the same memberships.

A plain fold, one person and one segment at a time, says what they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from leadup.engine.gather import gather, watermarks
from leadup.engine.kernel import judge
from leadup.identity import people
from leadup.identity.vault import Vault
from leadup.membership import OUT, fold
from leadup.pipeline import Pipeline
from leadup.rules.loader import load_text
from leadup.rules.program import All, Group, Program, Segment
from leadup.state import open_store
from leadup.state.tables import memberships
from leadup.types import NEVER, Page, to_us
from visits import START, steps

exactly = settings(derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Said:
    """A verdict."""

    when: bool
    excluded: bool


def plain_fold(
    program: Program, said: Mapping[str, Said], before: Mapping[str, int], at: int
) -> Iterator[tuple[str, int]]:
    """Yield the segments that one person is in after ``at``, each with since when."""
    claims = set()
    for name, segment in program.segments.items():
        stays = name in before and at < before[name] + segment.stay_at_least
        if not said[name].excluded and (said[name].when or stays):
            claims.add(name)
    for name in claims:
        group = next((group.segments for group in program.groups if name in group.segments), (name,))
        if next(one for one in group if one in claims) == name:
            yield name, before.get(name, at)


# ---------------------------------------------------------------- over random verdicts

NAMES = "abcde"
PERSONS = 6
flags = st.lists(st.booleans(), min_size=PERSONS, max_size=PERSONS)
moments = st.tuples(
    st.integers(1, 9),
    st.fixed_dictionaries({name: st.tuples(flags, flags) for name in NAMES}),
)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    stays = {name: draw(st.sampled_from([0, 0, 3, 10])) for name in NAMES}
    order = draw(st.permutations(NAMES))
    cut = draw(st.integers(0, len(NAMES)))
    parts = [part for part in (order[:cut], order[cut:]) if draw(st.booleans()) and len(part) > 1]
    return Program(
        segments={name: Segment(name=name, when=All(()), stay_at_least=stays[name]) for name in NAMES},
        groups=tuple(Group(name=f"g{i}", segments=tuple(part)) for i, part in enumerate(parts)),
    )


def table(said: Mapping[str, tuple[Sequence[bool], Sequence[bool]]]) -> pa.Table:
    columns = {}
    for name, (when, excluded) in said.items():
        columns |= {f"when:{name}": pa.array(when), f"excluded:{name}": pa.array(excluded)}
        columns[f"until:{name}"] = pa.array([NEVER] * PERSONS)
    return pa.table(columns)


@settings(exactly, max_examples=300)
@given(programs(), st.lists(moments, min_size=1, max_size=12))
def test_memberships_are_a_fold_of_the_verdicts(
    program: Program, history: list[tuple[int, Mapping[str, tuple[list[bool], list[bool]]]]]
) -> None:
    at, entered = 0, dict[str, Any]()
    plain: list[dict[str, int]] = [{} for _ in range(PERSONS)]
    for wait, said in history:
        at += wait
        members = fold(program, table(said), entered, at)
        entered = {name: one.entered for name, one in members.items()}
        for person in range(PERSONS):
            of_person = {name: Said(said[name][0][person], said[name][1][person]) for name in NAMES}
            plain[person] = dict(plain_fold(program, of_person, plain[person], at))
            assert {name: int(e[person]) for name, e in entered.items() if e[person] != OUT} == plain[person]
            for name, one in members.items():
                in_by_stay = name in plain[person] and not of_person[name].when
                assert one.kept[person] == in_by_stay
        limits = np.unique(np.concatenate([one.until for one in members.values()]))
        for soon in {at + 1, int(limits[0]) - 1} - {NEVER - 1}:
            again = fold(program, table(said), entered, soon)
            for name, one in again.items():
                stands = members[name].until > soon
                assert (one.entered == entered[name])[stands].all(), "nothing changes before `until`"


# ---------------------------------------------------------------- over many histories of verdicts

CROWD = 500
"""Histories of one program."""
CROWDS = 40
MOMENTS = 12


@pytest.mark.parametrize("number", range(CROWDS))
def test_many_histories_fold_alike_whomever_a_tick_looks_at(number: int, record_property: Any) -> None:
    """Folding only those whose verdict is another or whose `until` has come is folding everybody, and is the plain
    fold of each."""
    random = np.random.default_rng(number)
    program = _any_program(random)
    said = {name: random.random((2, CROWD)) < 0.5 for name in NAMES}
    plain: list[dict[str, int]] = [{} for _ in range(CROWD)]
    stands = {name: np.full(CROWD, OUT) for name in NAMES}
    until = np.zeros(CROWD, np.int64)
    full, at = dict[str, Any](), 0
    for _ in range(MOMENTS):
        at += int(random.integers(1, 10))
        news = random.random(CROWD) < 0.5
        for flags_ in said.values():
            flags_ ^= news & (random.random((2, CROWD)) < 0.4)
        full = {name: one.entered for name, one in fold(program, _verdicts(said), full, at).items()}
        looked = np.flatnonzero(news | (until <= at))
        some = {name: flags_[:, looked] for name, flags_ in said.items()}
        found = fold(program, _verdicts(some), {name: entered[looked] for name, entered in stands.items()}, at)
        for name, one in found.items():
            stands[name][looked] = one.entered
        until[looked] = np.min([one.until for one in found.values()], axis=0)
        assert all((stands[name] == full[name]).all() for name in NAMES), "who was not looked at stands as before"
        for person in range(CROWD):
            of_person = {name: Said(*map(bool, said[name][:, person])) for name in NAMES}
            plain[person] = dict(plain_fold(program, of_person, plain[person], at))
            assert {name: int(e[person]) for name, e in full.items() if e[person] != OUT} == plain[person]
    record_property("random histories of memberships", CROWD)


def test_the_histories_of_memberships_are_enough() -> None:
    assert CROWD * CROWDS >= 20_000


def _any_program(random: np.random.Generator) -> Program:
    stays = {name: int(random.choice([0, 0, 3, 10, 25])) for name in NAMES}
    order, cut = list(random.permutation(list(NAMES))), int(random.integers(0, len(NAMES)))
    parts = [part for part in (order[:cut], order[cut:]) if len(part) > 1 and random.random() < 0.8]
    return Program(
        segments={name: Segment(name=name, when=All(()), stay_at_least=stays[name]) for name in NAMES},
        groups=tuple(Group(name=f"g{i}", segments=tuple(map(str, part))) for i, part in enumerate(parts)),
    )


def _verdicts(said: Mapping[str, Any]) -> pa.Table:
    columns = {}
    for name, (when, excluded) in said.items():
        columns |= {f"when:{name}": pa.array(when), f"excluded:{name}": pa.array(excluded)}
        columns[f"until:{name}"] = pa.array(np.full(len(when), NEVER))
    return pa.table(columns)


# ---------------------------------------------------------------- over random histories

VAULT = Vault(Fernet.generate_key().decode())
PROGRAM = load_text(
    """
version: 1
micro_conversions:
  a: {event: a, same_within: 2h}
  b: {event: b, where: {n: {gte: 2}}}
  c: {any: [{event: c}, {event: d}]}
segments:
  one: {when: {did: a, within: 2h}, stay_at_least: 5h}
  two: {when: {did: c, within: 6h}, exclude: [lead], stay_at_least: 12h}
  three: {when: {did_not: b, within: 8h}, stay_at_least: 1h, settle: 2h}
  four: {when: {all: [{did: b, within: 1d}, {did_not: c, within: 4h}]}, stay_at_least: 9h}
  lead: {when: {all: [{person: {stage: {ne: customer}}}, {did: c, at_least: 2, within: 12h}]}}
groups:
  first: [one, two, three]
"""
).program


@settings(exactly, max_examples=40)
@given(steps)
def test_ticks_fold_the_verdicts_whomever_they_judge(history: Sequence[Any]) -> None:
    """Only the dirty and the due are judged, persons merge, sources lag: the memberships are those of a full fold."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store("sqlite://", Path(folder))
        pipeline, plain = Pipeline(store, VAULT, PROGRAM), dict[int, dict[str, int]]()
        pipeline.use(PROGRAM, {}, START)
        now, page = START, 0
        for step in history:
            if isinstance(step, list):
                page += 1
                read_up_to = now - timedelta(hours=page % 3)
                pipeline.take("t", Page(records=step, cursor={"page": page}, complete_until=read_up_to), now)
                continue
            now = max(now, step)
            plain = ticked(pipeline, plain, now)
            assert pipeline.tick(now).judged == 0, "nothing is new, nobody is due"
        for _ in range(40):  # from now on nothing happens but time
            due = pipeline.next_due()
            if due is None:
                break
            now = max(due, now)
            plain = ticked(pipeline, plain, now)
        store.close()


def ticked(pipeline: Pipeline, before: Mapping[int, dict[str, int]], now: datetime) -> dict[int, dict[str, int]]:
    """Tick; return the memberships, which must be those of the plain fold over everybody."""
    pipeline.tick(now)
    with pipeline.store.read() as connection:
        tables = gather(connection, PROGRAM, people.everyone(connection))
        marks = watermarks(connection, PROGRAM, ())
        merged = people.current(connection, before)
        standing: dict[int, dict[str, int]] = {}
        for row in connection.execute(select(memberships)):
            standing.setdefault(row.person, {})[row.segment] = row.entered_us
    was: dict[int, dict[str, int]] = {}
    for person, segments in before.items():
        together = was.setdefault(merged[person], {})
        for name, since in segments.items():
            together[name] = min(since, together.get(name, since))
    expected = {}
    for row in judge(PROGRAM, *tables, at=to_us(now), watermarks=marks).to_pylist():
        said = {name: Said(row[f"when:{name}"], row[f"excluded:{name}"]) for name in PROGRAM.segments}
        mine = dict(plain_fold(PROGRAM, said, was.get(row["person"], {}), to_us(now)))
        if mine:
            expected[row["person"]] = mine
    assert standing == expected
    return standing
