"""The law of edited rules: whom an edit does not concern need not be judged, and nobody can tell the difference.

After any tick the memberships are what judging everybody from scratch by the rules of now gives, whatever rules were
live before, and stay so as time passes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from leadup.engine.gather import gather, watermarks
from leadup.engine.kernel import judge
from leadup.identity import people
from leadup.identity.vault import Vault
from leadup.pipeline import Pipeline
from leadup.rules.loader import load_text
from leadup.rules.program import Program
from leadup.state import open_store
from leadup.state.tables import memberships
from leadup.types import Event, Fact, Identifier, Kind, Page, to_us

START = datetime.fromisoformat("2026-03-01T00:00:00Z")
HOUR = timedelta(hours=1)
VAULT = Vault(Fernet.generate_key().decode())
CHOICES = {
    "a": ["{event: a}", "{event: a, same_within: 3h}", "{any: [{event: a}, {event: d}]}"],
    "b": ["{event: b}", "{event: b, where: {n: {gte: 2}}}"],
    "points": ["{a: 10}", "{a: 10, b: 20}", "{a: {points: 10, at_most: 1}}"],
    "one": ["{did: a, within: 12h}", "{did: a, at_least: 2}", "{started: a, without: b, for: 3h, within: 1d}"],
    "two": [
        "{not: {in_segment: one}}",
        "{did_not: b, within: 8h}",
        "{all: [{did: c}, {person: {stage: {ne: customer}}}]}",
        "{score: s, at_least: 12}",
    ],
    "three": [
        "{did: c, within: 2d}",
        "{sequence: [a, b], span: 10h}",
        "{person: {stage: lead}}",
        "{sessions: {within: 1d}}",
        "{person: {last_channel: direct}}",
    ],
    "out": ["", ", exclude: [one]", ", exclude: [two]"],
    "group": ["", "groups: {g: [one, three]}\n", "groups: {g: [three, two]}\n"],
}
"""Parts of a rule file, and what an edit may make of each."""


def program(**chosen: int) -> Program:
    """The rules with one choice of each part, the first where none is named."""
    part = {name: forms[chosen.get(name, 0) % len(forms)] for name, forms in CHOICES.items()}
    return load_text(
        "version: 1\n"
        f"micro_conversions: {{a: {part['a']}, b: {part['b']}, c: {{event: c}}}}\n"
        f"scores: {{s: {{half_life: 6h, points: {part['points']}}}}}\n"
        "segments:\n"
        f"  one: {{when: {part['one']}}}\n"
        f"  two: {{when: {part['two']}}}\n"
        f"  three: {{when: {part['three']}{part['out']}}}\n"
        f"{part['group']}"
    ).program


programs = st.fixed_dictionaries({name: st.integers(0, 3) for name in CHOICES})
hours = st.integers(0, 48)
who = st.sampled_from(
    [
        *((Identifier(Kind.USER_ID, f"u{number}"),) for number in range(6)),
        (Identifier(Kind.CLIENT_ID, "c1"),),
        (Identifier(Kind.USER_ID, "u1"), Identifier(Kind.CLIENT_ID, "c1")),
    ]
)


@st.composite
def records(draw: st.DrawFn) -> Event | Fact:
    at = START + draw(hours) * HOUR
    if draw(st.integers(0, 5)) == 0:
        stage = draw(st.sampled_from(["lead", "customer"]))
        return Fact(source="t", at=at, identifiers=draw(who), facts={"stage": stage})
    return Event(
        source="t",
        id=str(draw(st.integers(0, 99))),
        name=draw(st.sampled_from(["a", "b", "c", "d", "e", "page_view"])),
        at=at,
        identifiers=draw(who),
        properties={"n": draw(st.integers(1, 3))},
    )


pages = st.lists(records(), min_size=8, max_size=24)
edits = st.tuples(st.sampled_from(sorted(CHOICES)), st.integers(1, 3))
steps = st.lists(st.one_of(edits, edits, hours.map(lambda h: START + h * HOUR)), min_size=4, max_size=12)
"""Mostly one edit of one part after the other: what a page brings would have its persons judged anyway."""


def opened(folder: str, rules: Program) -> Pipeline:
    pipeline = Pipeline(open_store("sqlite://", Path(folder)), VAULT, rules)
    pipeline.use(rules, {}, START)
    return pipeline


def check(pipeline: Pipeline, at: datetime) -> None:
    """Compare with everybody judged from scratch."""
    with pipeline.store.read() as connection:
        standing = {(row.segment, row.person) for row in connection.execute(select(memberships))}
        tables = gather(connection, pipeline.program, people.everyone(connection))
        marks = watermarks(connection, pipeline.program, ())
    rows = judge(pipeline.program, *tables, at=to_us(at), watermarks=marks).to_pylist()
    assert standing == {(n, row["person"]) for row in rows for n in pipeline.program.segments if row[f"in:{n}"]}


@settings(derandomize=True, deadline=None, database=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(programs, pages, steps)
def test_an_edit_judges_whom_it_concerns(
    first: dict[str, int], told: list[Event | Fact], history: Sequence[Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pipeline, now, chosen = opened(folder, program(**first)), START + 30 * HOUR, dict(first)
        pipeline.take("t", Page(records=told, cursor={}, complete_until=now - 2 * HOUR), now)
        pipeline.tick(now)
        for step in history:
            if isinstance(step, tuple):
                part, by = step
                chosen[part] += by
                pipeline.use(program(**chosen), {}, now)
            else:
                now = max(now, step)
            pipeline.tick(now)
            check(pipeline, now)
        for _ in range(12):  # from now on nothing happens but time
            due = pipeline.next_due()
            if due is None:
                break
            now = max(due, now)
            pipeline.tick(now)
            check(pipeline, now)
        pipeline.store.close()


def event(who_: str, name: str, hour: int) -> Event:
    identifiers = (Identifier(Kind.USER_ID, who_),)
    return Event(source="t", id=f"{who_}{name}{hour}", name=name, at=START + hour * HOUR, identifiers=identifiers)


@pytest.mark.parametrize(
    ("edit", "judged"),
    [
        pytest.param({}, 0, id="nothing changed"),
        pytest.param({"b": 1}, 0, id="nothing rests on the pattern"),
        pytest.param({"one": 1}, 2, id="whose events it reads"),
        pytest.param({"three": 1}, 4, id="whose events it reads now, and whose it read before"),
        pytest.param({"three": 3}, 2, id="whose views it reads now, and whose events it read before"),
        pytest.param({"points": 1}, 3, id="whose points it adds up"),
        pytest.param({"a": 2}, 3, id="whose events the pattern matches now, too"),
        pytest.param({"group": 1}, 3, id="who could be in a segment of the group"),
        pytest.param({"two": 1}, 7, id="it holds for who did nothing: everybody"),
    ],
)
def test_only_whom_it_concerns(tmp_path: Path, edit: dict[str, int], judged: int) -> None:
    pipeline = opened(str(tmp_path), program(two=2))
    did = [("u1", "a"), ("u2", "a"), ("u3", "b"), ("u4", "c"), ("u5", "e"), ("u6", "d"), ("u7", "page_view")]
    now = START + 2 * HOUR
    pipeline.take("t", Page(records=[event(*one, 1) for one in did], cursor={}, complete_until=now), now)
    pipeline.tick(now)
    pipeline.use(program(**{"two": 2} | edit), {}, now)
    assert pipeline.tick(now).judged == judged
    pipeline.store.close()
