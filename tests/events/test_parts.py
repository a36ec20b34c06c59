"""A part of a source that is read again whole: what it brings no more is taken back, with all that came of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from leadup.delivery.book import Terms
from leadup.identity.vault import Vault
from leadup.outgoing import Target, Use
from leadup.pipeline import Pipeline
from leadup.rules.loader import load_text
from leadup.state import open_store
from leadup.state.tables import conversions, memberships, part_events, standings
from leadup.types import Event, Identifier, Kind, Page, Part, Purpose

NOW = datetime.fromisoformat("2026-03-02T00:05:00Z")
DAY = timedelta(days=1)
PROGRAM = load_text(
    """
version: 1
micro_conversions:
  seen: {event: seen}
macro_conversions:
  asked: {event: asked, value: 288 EUR}
segments:
  watched: {when: {all: [{did: seen, within: 90d}, {did_not: asked, within: 14d}]}}
conversions:
  demo: {on: asked, activate: [ads]}
""",
    connections=["ads"],
).program
ADS = Target(connection="ads", use=Use.CONVERSION, name="demo", remote_name="demo")
VAULT = Vault(Fernet.generate_key().decode())


def event(key: str, name: str, who: str = "u1", hour: int = 0, **more: str) -> Event:
    granted = dict.fromkeys(Purpose, True)
    identifiers = (Identifier(Kind.USER_ID, who),)
    at = NOW - DAY + timedelta(hours=hour)
    return Event(source="s", id=key, name=name, at=at, identifiers=identifiers, consent=granted, click_ids=more)


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    store = open_store("sqlite://", tmp_path)
    made = Pipeline(store, VAULT, PROGRAM)
    made.use(PROGRAM, {ADS: terms()}, NOW)
    yield made
    store.close()


def terms() -> Terms:
    return Terms(
        needs=frozenset({Kind.USER_ID}),
        purposes=frozenset(),
        click_ids=frozenset({"gclid"}),
        max_age_us=None,
        max_leave=1.0,
    )


def read(pipeline: Pipeline, reading: str, *pages: Sequence[Event], part: str = "day", at: datetime = NOW) -> int:
    """Read a part to its end, page by page; return how many events were taken back."""
    gone = 0
    for number, records in enumerate(pages, 1):
        of = Part(name=part, reading=reading, last=number == len(pages))
        page = Page(records=records, cursor={reading: number}, part=of, complete_until=at)
        gone += pipeline.take("s", page, at).gone
    return gone


def ids(pipeline: Pipeline) -> list[str]:
    with pipeline.store.read() as connection:
        return sorted(key for batch in pipeline.log.read(connection) for key in batch["id"].to_pylist())


def test_what_a_rewritten_part_brings_no_more_never_happened(pipeline: Pipeline) -> None:
    read(pipeline, "1", [event("a", "seen"), event("b", "asked", hour=1)])
    pipeline.tick(NOW)
    with pipeline.store.read() as connection:
        assert not connection.execute(select(memberships)).all()
        assert connection.execute(select(standings.c.want)).scalar_one()["minor"] == 28_800
    assert read(pipeline, "2", [event("a", "seen")], [event("c", "seen", hour=2)], at=NOW + DAY) == 1
    pipeline.tick(NOW + DAY)
    assert ids(pipeline) == ["a", "c"]
    with pipeline.store.read() as connection:
        assert [row.segment for row in connection.execute(select(memberships))] == ["watched"]
        assert connection.execute(select(conversions.c.events)).scalar_one() == []
        assert connection.execute(select(standings.c.want)).scalar_one() is None, "nothing was sent: nothing to restate"
    assert read(pipeline, "3", [event("a", "seen"), event("b", "asked", hour=1)], at=NOW + 2 * DAY) == 1
    pipeline.tick(NOW + 2 * DAY)
    assert ids(pipeline) == ["a", "b"]
    with pipeline.store.read() as connection:
        assert connection.execute(select(standings.c.want)).scalar_one()["minor"] == 28_800, "it is back, as the same"
        assert connection.scalar(select(func.count()).select_from(conversions)) == 1


def test_a_reading_that_is_overtaken_takes_nothing_back(pipeline: Pipeline) -> None:
    read(pipeline, "1", [event("a", "seen"), event("b", "seen")])
    half = Page(records=[event("c", "seen")], cursor={}, part=Part(name="day", reading="2"))
    pipeline.take("s", half, NOW)
    assert ids(pipeline) == ["a", "b", "c"]
    assert read(pipeline, "3", [event("a", "seen")], [event("b", "seen")]) == 1, "what only the broken reading brought"
    assert ids(pipeline) == ["a", "b"]


def test_an_event_is_there_while_one_part_has_it(pipeline: Pipeline) -> None:
    read(pipeline, "1", [event("a", "seen")], part="monday")
    read(pipeline, "1", [event("a", "seen")], part="tuesday")
    assert read(pipeline, "2", [], part="monday") == 0
    assert read(pipeline, "2", [], part="tuesday") == 1
    assert ids(pipeline) == []


def test_a_settled_part_keeps_its_events_and_no_books(pipeline: Pipeline) -> None:
    read(pipeline, "1", [event("a", "seen")])
    pipeline.take("s", Page(records=[], cursor={}, settled=["day", "unknown"]), NOW)
    assert ids(pipeline) == ["a"]
    with pipeline.store.read() as connection:
        assert not connection.execute(select(part_events)).all()


def test_who_lost_an_event_to_somebody_else_is_judged_again(pipeline: Pipeline) -> None:
    read(pipeline, "1", [event("a", "seen", "u1"), event("z", "other", "u2")])
    pipeline.tick(NOW)
    read(pipeline, "2", [event("a", "seen", "u2"), event("z", "other", "u2")], at=NOW + DAY)
    pipeline.tick(NOW + DAY)
    with pipeline.store.read() as connection:
        assert len(connection.execute(select(memberships)).all()) == 1, "the revision made it another person's"


@pytest.mark.parametrize(("days", "found"), [(1, {"gclid": "first"}), (91, {})], ids=["within", "beyond"])
def test_a_conversion_carries_the_click_of_the_visit(pipeline: Pipeline, days: int, found: dict[str, str]) -> None:
    landed = [event("l1", "page_view", hour=1, gclid="first"), event("l2", "page_view", hour=40 * 24, gclid="later")]
    asked = event("a", "asked", hour=24 * days)
    read(pipeline, "1", [asked, *landed] if days == 1 else [asked, landed[0]], at=NOW + 100 * DAY)
    pipeline.tick(NOW + 100 * DAY)
    with pipeline.store.read() as connection:
        assert connection.execute(select(conversions.c.click_ids)).scalar_one() == found


contents = st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["seen", "asked"]), st.sampled_from(["u1", "u2"])))


@settings(derandomize=True, deadline=None, database=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(["monday", "tuesday"]), contents, st.integers(0, 9)), max_size=6))
def test_the_last_whole_readings_are_the_truth(
    readings: Sequence[tuple[str, list[tuple[int, str, str]], int]],
) -> None:
    """However a part was rewritten, and wherever a reading broke off: its last whole reading is what counts."""
    whole: dict[str, list[Event]] = {}
    with tempfile.TemporaryDirectory() as folder:
        answers = []
        store = open_store("sqlite://", Path(folder, "one"))
        flow = Pipeline(store, VAULT, PROGRAM)
        flow.use(PROGRAM, {}, NOW)
        for number, (part, content, broken) in enumerate(readings):
            events = [event(f"{part}-{key}", name, who, key) for key, name, who in content]
            if broken < 3:
                page = Page(records=events[:broken], cursor={}, part=Part(name=part, reading=str(number)))
                flow.take("s", page, NOW)
            read(flow, f"{number}!", *[[one] for one in events], [], part=part)
            flow.tick(NOW)
            whole[part] = events
        for part in {"monday", "tuesday"} - whole.keys():
            whole[part] = []
        fresh_store = open_store("sqlite://", Path(folder, "two"))
        fresh = Pipeline(fresh_store, VAULT, PROGRAM)
        fresh.use(PROGRAM, {}, NOW)
        read(fresh, "only", [one for events in whole.values() for one in events])
        fresh.tick(NOW)
        for each in (flow, fresh):
            there = ids(each)
            with each.store.read() as connection:
                answers.append((there, connection.scalar(select(func.count()).select_from(memberships))))
            each.store.close()
    assert answers[0] == answers[1]
