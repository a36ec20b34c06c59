"""The laws of the flow, over random histories, pages and ticks, in a real SQLite state.

- Incremental equals full: after any tick the memberships are what judging everybody from scratch gives, though only the
  dirty and the due were judged.
- A state that saw the records late, out of order, twice and page by page ends as one that saw them at once.
- A tick with nothing new and nobody due judges nobody.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

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
from leadup.state import open_store
from leadup.state.tables import memberships
from leadup.types import Event, Fact, Page, to_us
from visits import HOUR, START, records, steps

VAULT = Vault(Fernet.generate_key().decode())
PROGRAM = load_text(
    """
version: 1
micro_conversions:
  a: {event: a, same_within: 2h}
  b: {event: b, where: {n: {gte: 2}}}
  c: {any: [{event: c}, {event: d}]}
scores:
  s: {half_life: 6h, points: {a: 10, b: {points: 20, at_most: 2}}}
segments:
  did_a: {when: {did: a, at_least: 2, within: 12h}}
  lapsed: {when: {all: [{did: a, within: 3d}, {did_not: b, within: 8h}]}}
  left: {when: {started: a, without: c, for: 3h, within: 1d}}
  path: {when: {sequence: [a, b, c], span: 10h, within: 1d}}
  straight: {when: {sequence: [a, b], strict: true, without: c, within: 1d}}
  back: {when: {all: [{return_visits: {within: 1d}}, {not: {sessions: {at_least: 3, within: 8h}}}]}}
  by_ads: {when: {all: [{did: a, within: 2d, where: {channel: paid_search}}, {person: {last_channel: {ne: email}}}]}}
  warm: {when: {score: s, at_least: 15}, exclude: [left]}
  cold: {when: {not: {in_segment: warm}}}
  lead: {when: {all: [{person: {stage: {ne: customer}}}, {did: c}]}}
groups:
  first: [did_a, path, lead]
"""
).program

exactly = settings(
    derandomize=True, deadline=None, database=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)


def opened(folder: str) -> Pipeline:
    store = open_store("sqlite://", Path(folder))
    pipeline = Pipeline(store, VAULT, PROGRAM)
    pipeline.use(PROGRAM, {}, START)
    return pipeline


def standing(pipeline: Pipeline) -> set[tuple[str, int]]:
    with pipeline.store.read() as connection:
        return {(row.segment, row.person) for row in connection.execute(select(memberships))}


def judged_from_scratch(pipeline: Pipeline, at: datetime) -> set[tuple[str, int]]:
    with pipeline.store.read() as connection:
        tables = gather(connection, PROGRAM, people.everyone(connection))
        marks = watermarks(connection, PROGRAM, ())
    rows = judge(PROGRAM, *tables, at=to_us(at), watermarks=marks).to_pylist()
    return {(name, row["person"]) for row in rows for name in PROGRAM.segments if row[f"in:{name}"]}


@exactly
@given(steps)
def test_incremental_equals_full_at_every_tick(history: Sequence[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pipeline, now, page = opened(folder), START, 0
        for step in history:
            if isinstance(step, list):
                page += 1
                read_up_to = now - timedelta(hours=page % 3)
                pipeline.take("t", Page(records=step, cursor={"page": page}, complete_until=read_up_to), now)
                continue
            now = max(now, step)
            pipeline.tick(now)
            assert standing(pipeline) == judged_from_scratch(pipeline, now)
            assert pipeline.tick(now).judged == 0, "nothing is new, nobody is due"
        for _ in range(30):  # from now on nothing happens but time
            due = pipeline.next_due()
            if due is None:
                break
            now = max(due, now)
            pipeline.tick(now)
            assert standing(pipeline) == judged_from_scratch(pipeline, now)
        pipeline.store.close()


@exactly
@given(st.lists(records(), min_size=1, max_size=30), st.randoms(use_true_random=False), st.integers(1, 7))
def test_the_road_does_not_matter(told: list[Event | Fact], random: Any, size: int) -> None:
    """Records that come late, shuffled and twice end in the same memberships by the same identifiers."""
    unique = list({(r.id if isinstance(r, Event) else (r.at, r.identifiers)): r for r in told}.values())
    shuffled = [*unique, *unique[: len(unique) // 2]]
    random.shuffle(shuffled)
    end = START + 72 * HOUR
    answers = []
    for order, step in ((unique, len(unique)), (shuffled, size)):
        with tempfile.TemporaryDirectory() as folder:
            pipeline = opened(folder)
            for start in range(0, len(order), step):
                now = START + timedelta(hours=min(start, 48))
                pipeline.take("t", Page(records=order[start : start + step], cursor={}, complete_until=now), now)
                pipeline.tick(now)
            pipeline.take("t", Page(records=[], cursor={}, complete_until=end), end)
            pipeline.tick(end)
            with pipeline.store.read() as connection:
                known = people.contacts(connection, people.everyone(connection), VAULT)
            answers.append({(segment, known[person].identifiers) for segment, person in standing(pipeline)})
            pipeline.store.close()
    assert answers[0] == answers[1]
