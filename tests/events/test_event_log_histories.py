"""Random histories: whatever is appended, revised, removed and compacted, the log equals a dict at every step."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from event_log_model import DAY, NOW, START, Model, append_and_fail, before_next_write, check, named, on_disk, open_log
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from leadup.events.rows import key_of
from leadup.types import Event, Identifier, Kind, Purpose, to_us

names = st.tuples(st.sampled_from(["web", "app"]), st.sampled_from([f"e{n}" for n in range(30)]))
contents = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["page_view", "generate_lead"]),
        "at": st.builds(
            lambda day, hour: START + timedelta(days=day, hours=hour), st.integers(0, 2), st.sampled_from([0, 23])
        ),
        "identifiers": st.sampled_from([(Identifier(Kind.CLIENT_ID, "a"),), ()]),
        "properties": st.sampled_from([{}, {"percent": 75}, {"percent": 75.0, "deep": {"x": [1, None]}}]),
        "consent": st.sampled_from([{}, {Purpose.AD_USER_DATA: True}]),
    }
)
events = st.builds(lambda name, content: Event(source=name[0], id=name[1], **content), names, contents)
pages = st.one_of(st.lists(events, max_size=3), st.lists(events, min_size=12, max_size=40))
terms = st.fixed_dictionaries(
    {
        "keep_days": st.sampled_from([7, 8, 9, 10]),
        "tail_rows": st.sampled_from([3, 1000]),
        "file_rows": st.sampled_from([10, 1000]),
        "gone_share": st.sampled_from([0, 0.3, 1]),
    }
)


class Histories(RuleBasedStateMachine):
    """A log with small thresholds beside its model."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.log = open_log(self.folder, bulk=8)
        self.model = Model()

    def teardown(self) -> None:
        self.log.store.close()
        shutil.rmtree(self.folder)

    @rule(page=pages)
    def append(self, page: list[Event]) -> None:
        with self.log.store.write() as connection:
            said = self.log.append(connection, page, NOW)
        assert (dict(said.new), set(said.revised), said.same) == self.model.append(page)
        assert len(said.new) == len(dict(said.new))

    @rule(page=st.lists(events, min_size=8, max_size=20))
    def append_but_roll_back(self, page: list[Event]) -> None:
        with pytest.raises(ZeroDivisionError):
            append_and_fail(self.log, page)

    @rule(gone=st.lists(names, max_size=10))
    def remove(self, gone: list[tuple[str, str]]) -> None:
        with self.log.store.write() as connection:
            removed = self.log.remove(connection, [key_of(*name) for name in gone])
        assert removed == self.model.remove(gone)

    @rule(terms=terms)
    def compact(self, terms: dict[str, Any]) -> None:
        self.log.compact(NOW, **terms)

    @rule(terms=terms, page=pages)
    def append_while_compacting(self, terms: dict[str, Any], page: list[Event]) -> None:
        with before_next_write(self.log.store, lambda: self.append(page)):
            self.log.compact(NOW, **terms)

    @rule(terms=terms, gone=st.lists(names, max_size=10))
    def remove_while_compacting(self, terms: dict[str, Any], gone: list[tuple[str, str]]) -> None:
        with before_next_write(self.log.store, lambda: self.remove(gone)):
            self.log.compact(NOW, **terms)

    @rule(terms=terms, others=terms)
    def compact_while_compacting(self, terms: dict[str, Any], others: dict[str, Any]) -> None:
        with before_next_write(self.log.store, lambda: self.log.compact(NOW, **others)):
            self.log.compact(NOW, **terms)

    @rule()
    def purge(self) -> None:
        """What an erasure does: afterwards no file holds a row that does not count."""
        self.log.compact(NOW, tail_rows=0, gone_share=0)
        self.log.sweep(NOW, grace_us=0)
        assert on_disk(self.log) == named(self.log)
        with self.log.store.read() as connection:
            in_files = connection.exec_driver_sql("SELECT sum(rows) FROM event_files").scalar() or 0
            assert in_files == len(self.model.events)

    @rule(day=st.integers(0, 3), span=st.integers(0, 3))
    def filter(self, day: int, span: int) -> None:
        since, until = START + day * DAY, START + (day + span) * DAY
        with self.log.store.read() as connection:
            batches = self.log.read(connection, names=["generate_lead"], since_us=to_us(since), until_us=to_us(until))
            found = {key: event for batch in batches for key, event in self.log.events_of(batch)}
        expected = self.model.by_key().items()
        assert found == {k: e for k, e in expected if e.name == "generate_lead" and since <= e.at < until}

    @invariant()
    def equals_the_model(self) -> None:
        check(self.log, self.model)


def play(examples: int, steps: int) -> None:
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Histories,
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=quiet),
    )


def test_the_log_equals_a_dict_over_random_histories() -> None:
    play(examples=15, steps=10)


@pytest.mark.slow
def test_the_log_equals_a_dict_over_many_long_histories() -> None:
    play(examples=100, steps=30)
