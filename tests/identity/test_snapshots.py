"""Snapshots: what a CRM tells again is no news, and leaving it out changes no answer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadup.identity import people
from leadup.identity.vault import Vault
from leadup.pipeline import Pipeline, Taken
from leadup.rules.loader import load_text
from leadup.state import open_store
from leadup.types import Event, Fact, Identifier, Json, Kind, Page, Purpose

START = datetime(2026, 3, 1, tzinfo=UTC)
VAULT = Vault(Fernet.generate_key().decode())
PROGRAM = load_text("version: 1\nmicro_conversions:\n  won: {event: deal_won}\n").program
ADA = (Identifier(Kind.EMAIL, "ada@example.com"), Identifier(Kind.HUBSPOT_ID, "101"))


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    made = _pipeline(tmp_path)
    yield made
    made.store.close()


def _pipeline(folder: Path) -> Pipeline:
    store = open_store("sqlite://", folder)
    made = Pipeline(store, VAULT, PROGRAM)
    made.use(PROGRAM, {}, START)
    return made


def snapshot(hours: int, who: Sequence[Identifier] = ADA, *, consent: Any = None, **facts: Json) -> Fact:
    at = START + timedelta(hours=hours)
    return Fact(source="crm", at=at, identifiers=tuple(who), facts=facts, consent=consent or {}, snapshot=True)


def take(pipeline: Pipeline, *records: Event | Fact, **page: Any) -> Taken:
    now = START + timedelta(days=9)
    return pipeline.take("crm", Page(records=records, cursor={}, **page), now)


def settled(pipeline: Pipeline) -> bool:
    """Whether nobody waits to be judged, after those who did have been."""
    news = pipeline.has_news()
    pipeline.tick(START + timedelta(days=9))
    return not news


def said(pipeline: Pipeline) -> dict[str, Json]:
    with pipeline.store.read() as connection:
        return {trait: value for _, trait, _, value in people.facts_of(connection, people.everyone(connection))}


def test_what_stood_before_is_no_news(pipeline: Pipeline) -> None:
    assert take(pipeline, snapshot(1, stage="lead", score=3)).facts == 1
    assert not settled(pipeline)
    assert take(pipeline, snapshot(2, stage="lead", score=3)).facts == 0
    assert settled(pipeline)


def test_only_what_changed_is_told(pipeline: Pipeline) -> None:
    take(pipeline, snapshot(1, stage="lead", owner="7"))
    take(pipeline, snapshot(2, stage="customer", owner="7"))
    with pipeline.store.read() as connection:
        told = [(trait, value) for _, trait, _, value in people.facts_of(connection, people.everyone(connection))]
    assert told == [("owner", "7"), ("stage", "lead"), ("stage", "customer")]


def test_true_is_not_one(pipeline: Pipeline) -> None:
    take(pipeline, snapshot(1, vip=1))
    assert take(pipeline, snapshot(2, vip=True)).facts == 1


def test_a_value_that_is_gone_is_news_once_and_where_there_was_none_it_is_not(pipeline: Pipeline) -> None:
    take(pipeline, snapshot(1, stage="lead", owner=None))
    assert said(pipeline) == {"stage": "lead"}
    assert take(pipeline, snapshot(2, stage=None, owner=None)).facts == 1
    assert said(pipeline) == {"stage": None}
    assert take(pipeline, snapshot(3, stage=None, owner=None)).facts == 0


def test_what_another_source_said_since_is_not_outdone_by_a_telling_of_no_news(pipeline: Pipeline) -> None:
    take(pipeline, snapshot(1, stage="lead", owner=None, consent={Purpose.EMAIL_MARKETING: False}))
    at = START + timedelta(hours=2)
    yes = {Purpose.EMAIL_MARKETING: True}
    take(pipeline, Fact(source="erp", at=at, identifiers=ADA, facts={"stage": "customer", "owner": "7"}, consent=yes))
    assert take(pipeline, snapshot(3, stage="lead", owner=None, consent={Purpose.EMAIL_MARKETING: False})).facts == 0
    assert said(pipeline) == {"stage": "customer", "owner": "7"}
    with pipeline.store.read() as connection:
        assert list(people.consent_of(connection, people.everyone(connection)).values()) == [yes]


def test_an_identifier_that_is_new_is_news(pipeline: Pipeline) -> None:
    take(pipeline, snapshot(1, stage="lead"))
    assert settled(pipeline) is False
    merged = (*ADA, Identifier(Kind.HUBSPOT_ID, "99"))
    assert take(pipeline, snapshot(2, merged, stage="lead")).facts == 1
    assert not settled(pipeline)
    with pipeline.store.read() as connection:
        assert people.find(connection, "hubspot_id:99") == people.find(connection, "ada@example.com")
    assert take(pipeline, snapshot(3, merged, stage="lead")).facts == 0


def test_an_opt_out_is_news_once(pipeline: Pipeline) -> None:
    out: Mapping[Purpose, bool] = {Purpose.EMAIL_MARKETING: False}
    assert take(pipeline, snapshot(1, consent=out)).facts == 1
    assert take(pipeline, snapshot(2, consent=out)).facts == 0
    assert take(pipeline, snapshot(3, consent={Purpose.EMAIL_MARKETING: True})).facts == 1


def test_that_somebody_has_not_opted_out_is_no_consent(pipeline: Pipeline) -> None:
    take(pipeline, snapshot(1, stage="lead", consent={Purpose.EMAIL_MARKETING: True}))
    with pipeline.store.read() as connection:
        assert not any(people.consent_of(connection, people.everyone(connection)).values())
    assert take(pipeline, snapshot(2, stage="lead", consent={Purpose.EMAIL_MARKETING: False})).facts == 1
    with pipeline.store.read() as connection:
        [said] = people.consent_of(connection, people.everyone(connection)).values()
    assert said == {Purpose.EMAIL_MARKETING: False}


def test_facts_that_are_no_snapshots_are_taken_as_they_are(pipeline: Pipeline) -> None:
    at = START + timedelta(hours=1)
    for _ in range(2):
        assert take(pipeline, Fact(source="crm", at=at, identifiers=ADA, facts={"stage": "lead"})).facts == 1


def test_an_event_that_is_none_is_taken_back(pipeline: Pipeline) -> None:
    won = Event(source="crm", id="deal-1-won", name="deal_won", at=START, identifiers=ADA)
    take(pipeline, won)
    assert not settled(pipeline)
    assert take(pipeline, taken_back=["deal-1-won", "deal-2-won"]).gone == 1
    assert not settled(pipeline)
    assert take(pipeline, taken_back=["deal-1-won"]).gone == 0
    assert take(pipeline, won).new == 1


values = st.sampled_from(["lead", "customer", None, 1, True])
readings = st.lists(st.fixed_dictionaries({"stage": values, "owner": values}), min_size=1, max_size=8)


@settings(derandomize=True, deadline=None, database=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(readings)
def test_leaving_out_what_is_no_news_changes_no_answer(read: Sequence[Mapping[str, Json]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pipeline = _pipeline(Path(folder))
        for hour, traits in enumerate(read):
            take(pipeline, snapshot(hour, **traits))
            take(pipeline, snapshot(hour, **traits))
            assert {name: value for name, value in said(pipeline).items() if value is not None} == {
                name: value for name, value in traits.items() if value is not None
            }
        pipeline.store.close()
