"""The law of erasure: what is left is what there would be had her records never been seen.

Over random histories of visitors who log in, share browsers and e-mail addresses, and turn out to be one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from leadup.erasure.ask import ask
from leadup.erasure.work import work
from leadup.identity import people
from leadup.identity.erase import Her, her
from leadup.identity.seal import seal
from leadup.identity.vault import Vault
from leadup.pipeline import Pipeline
from leadup.state import open_store
from leadup.state.tables import (
    clicks,
    erasures,
    facts,
    identifiers,
    links,
    memberships,
    shared,
    signals,
    spans,
    suppressed,
)
from leadup.types import Event, Fact, Page, to_us
from properties.test_pipeline_laws import PROGRAM
from visits import HOUR, START, records

VAULT = Vault(Fernet.generate_key().decode())
END = START + 72 * HOUR

exactly = settings(
    derandomize=True, deadline=None, database=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)


NUMBERED = ("anchor", "number")
"""Columns that say in what order things came in, and nothing of a person."""


@dataclass
class House:
    """One state, and what it has been told."""

    pipeline: Pipeline
    pages: int = 0

    def take(self, told: Sequence[Event | Fact], size: int) -> None:
        for start in range(0, len(told), size):
            self.pages += 1
            page = Page(records=told[start : start + size], cursor={"page": self.pages}, complete_until=END)
            self.pipeline.take("t", page, START + self.pages * HOUR)

    def erase(self, person: int) -> None:
        ask(self.pipeline.store, self.pipeline.log, VAULT, person, END, "ops")
        work(self.pipeline.store, self.pipeline.log, None, to_us(END))

    def all(self) -> dict[str, Any]:
        """All that it holds of people, by identifiers and not by their numbers."""
        self.pipeline.tick(END)
        with self.pipeline.store.read() as connection:
            name = {row.id: f"{row.kind}:{row.value}" for row in connection.execute(select(identifiers))}
            who = people.identifiers_of(connection, people.everyone(connection))
            known = people.known_from(connection, who)
            who = {person: own for person, own in who.items() if own}
            log = {e for batch in self.pipeline.log.read(connection) for e in batch["id"].to_pylist()}
            anchored: dict[str, list[str]] = {}
            for table in (signals, clicks, facts):
                rows = connection.execute(select(table)).mappings()
                anchored[table.name] = sorted(
                    str((name[row["anchor"]], *(value for column, value in row.items() if column not in NUMBERED)))
                    for row in rows
                )
            return {
                "who": sorted((str(own), known[person]) for person, own in who.items()),
                "first": {name[row.id]: row.first_us for row in connection.execute(select(identifiers))},
                "spans": sorted(
                    (name[row.identifier], row.from_us, row.until_us, str(who[row.person]))
                    for row in connection.execute(select(spans))
                ),
                "shared": sorted((name[r.identifier], str(who[r.person])) for r in connection.execute(select(shared))),
                "links": sorted((name[r.a], name[r.b], r.first_us) for r in connection.execute(select(links))),
                "members": sorted(
                    (row.segment, str(who[row.person])) for row in connection.execute(select(memberships))
                ),
                "log": log,
                **anchored,
            }

    def close(self) -> None:
        self.pipeline.store.close()


def opened(folder: str) -> House:
    pipeline = Pipeline(open_store("sqlite://", Path(folder)), VAULT, PROGRAM)
    pipeline.use(PROGRAM, {}, START)
    return House(pipeline)


def of_others(told: Collection[Event | Fact], who: Her) -> list[Event | Fact]:
    return [one for one in told if not who.owns(seal(one).record.identifiers[0], to_us(one.at))]


def unique(told: Sequence[Event | Fact]) -> list[Event | Fact]:
    return list({(r.id if isinstance(r, Event) else (r.at, r.identifiers)): r for r in told}.values())


histories = st.lists(records(), min_size=1, max_size=25).map(unique)


@exactly
@given(histories, st.integers(1, 7), st.integers(0, 3), st.booleans())
def test_what_is_left_is_what_would_be_without_her(
    told: list[Event | Fact], size: int, which: int, in_files: bool
) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        house, without = opened(one), opened(other)
        house.take(told, size)
        house.pipeline.tick(END - timedelta(hours=1))
        if in_files:
            house.pipeline.log.compact(to_us(END), keep_days=0, tail_rows=0)
        with house.pipeline.store.read() as connection:
            everybody = people.everyone(connection)
            who = her(connection, everybody[which % len(everybody)])
        house.erase(who.person)
        without.take(of_others(told, who), size)
        assert house.all() == without.all()
        with house.pipeline.store.read() as connection:
            assert list(connection.scalars(select(erasures.c.state))) == ["done"]
        house.close()
        without.close()


@exactly
@given(histories, st.integers(1, 7), st.integers(0, 3))
def test_what_is_read_again_changes_nothing(told: list[Event | Fact], size: int, which: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        house = opened(folder)
        house.take(told, 100)
        with house.pipeline.store.read() as connection:
            everybody = people.everyone(connection)
        house.erase(everybody[which % len(everybody)])
        left = house.all()
        house.take(told, size)
        assert house.all() == left
        with house.pipeline.store.read() as connection:
            assert connection.scalar(select(suppressed.c.hash).limit(1)) is not None
        house.close()
