"""Snapshots: what a CRM tells again is no news, and leaving it out changes no answer."""

from __future__ import annotations

import itertools
import json
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


def snapshot(
    hours: int, who: Sequence[Identifier] = ADA, *, of: Sequence[str] = ("1",), consent: Any = None, **facts: Json
) -> Fact:
    at = START + timedelta(hours=hours)
    return Fact(source="crm", at=at, identifiers=tuple(who), facts=facts, consent=consent or {}, records=tuple(of))


def erp(hours: int, **facts: Json) -> Fact:
    """What another source says of Ada."""
    return Fact(source="erp", at=START + timedelta(hours=hours), identifiers=ADA, facts=facts)


def known_by(email: str, contact: str) -> tuple[Identifier, ...]:
    return Identifier(Kind.EMAIL, email), Identifier(Kind.HUBSPOT_ID, contact)


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


# ---------------------------------------------------------------- several records of one person

OTHER = (Identifier(Kind.USER_ID, "u1"), *known_by("ada@old.example", "102"))
HERS = (Identifier(Kind.USER_ID, "u1"), *ADA)


def test_a_trait_ends_only_where_no_record_that_is_left_says_it(pipeline: Pipeline) -> None:
    take(pipeline, snapshot(1, HERS, stage="lead"), snapshot(2, OTHER, of="2", stage="customer", owner="7"))
    assert said(pipeline) == {"stage": "customer", "owner": "7"}
    assert take(pipeline, snapshot(3, OTHER, of="2")).facts == 1
    assert said(pipeline) == {"stage": "lead", "owner": None}
    assert not settled(pipeline)
    assert take(pipeline, snapshot(3, OTHER, of="2")).facts == 0
    take(pipeline, snapshot(4, HERS))
    assert said(pipeline) == {"stage": None, "owner": None}


def test_a_duplicate_that_says_nothing_new_takes_nothing_back(pipeline: Pipeline) -> None:
    take(pipeline, snapshot(1, HERS, stage="lead"), snapshot(2, OTHER, of="2", stage="customer"))
    for hour in (3, 5):
        again = snapshot(hour, HERS, stage="lead"), snapshot(hour, OTHER, of="2", stage="customer")
        assert take(pipeline, *again).facts == 0
    assert said(pipeline) == {"stage": "customer"}


def test_what_was_merged_into_a_record_says_nothing_any_more(pipeline: Pipeline) -> None:
    take(pipeline, snapshot(1, stage="lead"), snapshot(2, known_by("ada@old.example", "102"), of="2", stage="customer"))
    merged = (*ADA, *known_by("ada@old.example", "102"))
    take(pipeline, snapshot(3, merged, of="12", stage="lead"))
    assert said(pipeline) == {"stage": "lead"}
    assert take(pipeline, snapshot(2, known_by("ada@old.example", "102"), of="2", stage="customer")).facts == 0
    assert said(pipeline) == {"stage": "lead"}, "as the index of a search may still have it"


def test_who_turns_out_to_be_one_later_has_what_the_records_say_that_are_left(pipeline: Pipeline) -> None:
    other = known_by("ada@old.example", "102")
    take(pipeline, snapshot(1, stage="lead"), snapshot(2, other, of="2", stage="customer"))
    take(pipeline, snapshot(3, other, of="2"))
    at = START + timedelta(hours=4)
    take(pipeline, Event(source="site", id="e", name="login", at=at, identifiers=(ADA[0], other[0])))
    assert said(pipeline) == {"stage": "lead"}


def test_facts_go_with_their_record_when_it_carries_another_identifier(pipeline: Pipeline) -> None:
    take(pipeline, snapshot(1, stage="lead", owner="7"))
    take(pipeline, erp(2, stage="customer"))
    renamed = known_by("ada@new.example", "101")
    take(pipeline, snapshot(3, renamed, stage="lead"))
    assert said(pipeline) == {"stage": "customer", "owner": None}, "a new address dates nothing anew, nor keeps it"


def test_a_record_that_is_anothers_now_tells_of_him_alone(pipeline: Pipeline) -> None:
    no = {Purpose.EMAIL_MARKETING: False}
    take(pipeline, snapshot(1, HERS, stage="lead", consent=no))
    take(pipeline, snapshot(2, (Identifier(Kind.USER_ID, "u2"), *ADA), stage="lead", consent=no))
    with pipeline.store.read() as connection:
        his = people.find(connection, "user_id:u2")
        told = [(person, value) for person, _, _, value in people.facts_of(connection, people.everyone(connection))]
        assert told == [(his[0], "lead")]
        assert people.consent_of(connection, his) == {his[0]: no}
    assert not settled(pipeline)


def test_an_older_state_of_a_record_is_no_news(pipeline: Pipeline) -> None:
    """A search's index is late: what a list has told already comes once more as it was before."""
    take(pipeline, snapshot(5, stage="customer", consent={Purpose.EMAIL_MARKETING: False}))
    take(pipeline, snapshot(4, stage="lead", consent={Purpose.EMAIL_MARKETING: True}))
    assert said(pipeline) == {"stage": "customer"}
    with pipeline.store.read() as connection:
        [stated] = people.consent_of(connection, people.everyone(connection)).values()
    assert stated == {Purpose.EMAIL_MARKETING: False}
    assert take(pipeline, snapshot(6, stage="lead")).facts == 1
    assert said(pipeline) == {"stage": "lead"}


def test_the_opt_out_of_a_record_is_not_ended_by_another_one_that_never_opted_out(pipeline: Pipeline) -> None:
    take(pipeline, snapshot(1, HERS, consent={Purpose.EMAIL_MARKETING: False}))
    take(pipeline, snapshot(2, OTHER, of="2", consent={Purpose.EMAIL_MARKETING: True}))
    with pipeline.store.read() as connection:
        [stated] = people.consent_of(connection, people.everyone(connection)).values()
    assert stated == {Purpose.EMAIL_MARKETING: False}


@pytest.mark.parametrize("told_first", [True, False])
def test_an_older_change_never_outdoes_a_newer_one_of_another_source(pipeline: Pipeline, told_first: bool) -> None:
    """A contact is dated by its last change, and may be read long after it."""
    tell = [lambda: take(pipeline, snapshot(2, stage="lead")), lambda: take(pipeline, erp(3, stage="customer"))]
    for one in tell if told_first else reversed(tell):
        one()
    take(pipeline, snapshot(2, stage="lead", plan="pro"))  # all are read once more, as another trait is asked for
    assert said(pipeline) == {"stage": "customer", "plan": "pro"}
    take(pipeline, snapshot(4, stage="opportunity", plan="pro"))
    assert said(pipeline) == {"stage": "opportunity", "plan": "pro"}
    take(pipeline, snapshot(5, plan="pro"))
    assert said(pipeline) == {"stage": "customer", "plan": "pro"}, "what is said no more leaves what stands besides"


# ---------------------------------------------------------------- laws

values = st.sampled_from(["lead", "customer", None, 1, True])
readings = st.lists(st.fixed_dictionaries({"stage": values, "owner": values}), min_size=1, max_size=8)
law = settings(derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
RECORDS, COUNT = 3, itertools.count(1)
record = st.integers(0, RECORDS - 1)
steps = st.one_of(
    st.tuples(st.just("set"), record, values),
    st.tuples(st.just("pull"), st.permutations(range(RECORDS)), st.integers(1, RECORDS)),
    st.tuples(st.just("late"), record, st.integers(0, 9)),
    st.tuples(st.just("address"), record, st.none()),
    st.tuples(st.just("delete"), record, st.none()),
    st.tuples(st.just("merge"), record, record),
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Pipeline]:
    """One state for many people: to make it takes longer than to ask it."""
    with tempfile.TemporaryDirectory() as folder:
        made = _pipeline(Path(folder))
        yield made
        made.store.close()


def of_person(pipeline: Pipeline, who: Identifier) -> dict[str, Json]:
    """The traits that somebody has."""
    with pipeline.store.read() as connection:
        told = people.facts_of(connection, people.find(connection, str(who)))
    return {trait: value for trait, value in {t: v for _, t, _, v in told}.items() if value is not None}


def text(traits: Mapping[str, Json]) -> str:
    """Traits to compare: True is not 1."""
    return json.dumps(traits, sort_keys=True)


@settings(law, max_examples=30)
@given(readings)
def test_leaving_out_what_is_no_news_changes_no_answer(shared: Pipeline, read: Sequence[Mapping[str, Json]]) -> None:
    number = next(COUNT)
    who = (Identifier(Kind.HUBSPOT_ID, f"{number}-0"),)
    for hour, traits in enumerate(read):
        for _ in range(2):
            take(shared, snapshot(hour, who, of=(f"{number}-0",), **traits))
        has = {name: value for name, value in traits.items() if value is not None}
        assert text(of_person(shared, *who)) == text(has)


class Crm:
    """Records of one person as people edit them, what was pulled of them, and what that says of her."""

    def __init__(self, pipeline: Pipeline, number: int) -> None:
        self.pipeline, self.number, self.hour = pipeline, number, 0
        self.versions: list[list[Fact]] = [[] for _ in range(RECORDS)]
        self.merged: list[list[int]] = [[one] for one in range(RECORDS)]
        self.emails = [f"{number}-{one}@example.com" for one in range(RECORDS)]
        self.stages: list[Json] = ["lead", "customer", True]
        self.living = [True] * RECORDS
        self.pulled = [0] * RECORDS
        self.told: dict[int, tuple[int, Json]] = {}
        """By record: since when it has been seen to say its stage."""
        for one in range(RECORDS):
            self.edit(one)

    def hub(self, one: int) -> Identifier:
        return Identifier(Kind.HUBSPOT_ID, f"{self.number}-{one}")

    def edit(self, one: int) -> None:
        self.hour += 1
        all_of = self.merged[one]
        who = (*(Identifier(Kind.EMAIL, self.emails[each]) for each in all_of), *map(self.hub, all_of))
        names = [self.hub(each).value for each in all_of]
        traits = {"stage": self.stages[one]} if self.living[one] else {}
        self.versions[one].append(snapshot(self.hour, who, of=names, **traits))

    def step(self, what: str, one: Any, other: Any) -> None:
        if what == "pull":
            self.pull(one, other)
        elif what == "late" and self.pulled[one]:
            take(self.pipeline, self.versions[one][other % self.pulled[one]])  # as an index still has it
        elif not self.living[one] or what == "late":
            return
        elif what == "set":
            self.stages[one] = other
            self.edit(one)
        elif what == "address":
            self.emails[one] = f"{self.hour}-{self.emails[one]}"
            self.edit(one)
        elif what == "delete":
            self.living[one] = False
            self.edit(one)
        elif what == "merge" and other != one and self.living[other]:
            self.living[other] = False
            self.merged[one] = [*self.merged[one], *self.merged[other]]
            self.pulled[other] = len(self.versions[other])  # it vanishes, and only the other one says so
            self.edit(one)

    def pull(self, order: Sequence[int], size: int) -> None:
        changed = [one for one in order if self.pulled[one] < len(self.versions[one])]
        for at in range(0, len(changed), size):
            take(self.pipeline, *(self.versions[one][-1] for one in changed[at : at + size]))
        for one in changed:
            self.pulled[one] = len(self.versions[one])
            if one not in self.told or text({"is": self.told[one][1]}) != text({"is": self.stages[one]}):
                self.told[one] = self.hour_of(one), self.stages[one]

    def hour_of(self, one: int) -> int:
        return (self.versions[one][-1].at - START) // timedelta(hours=1)

    def stands(self) -> dict[str, Json]:
        """What those who live say: of all the last by date."""
        said = [told for one, told in self.told.items() if self.living[one] and told[1] is not None]
        return {"stage": max(said, key=lambda told: told[0])[1]} if said else {}


@settings(law, max_examples=60)
@given(st.lists(steps, min_size=4, max_size=12), st.booleans())
def test_traits_are_what_the_records_that_live_say_the_last_by_date(
    shared: Pipeline, history: Sequence[tuple[str, Any, Any]], known_early: bool
) -> None:
    crm = Crm(shared, next(COUNT))
    one_person = Fact(source="site", at=START, identifiers=tuple(map(crm.hub, range(RECORDS))))
    if known_early:
        take(shared, one_person)
    for step in history:
        crm.step(*step)
        if known_early and step[0] == "pull":
            assert text(of_person(shared, crm.hub(0))) == text(crm.stands())
    crm.pull(range(RECORDS), 1)
    take(shared, one_person)
    assert text(of_person(shared, crm.hub(0))) == text(crm.stands())
