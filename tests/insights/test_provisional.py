"""Provisional memberships, from a source that says how far its rows are final to what is shown of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from leadup.identity.vault import Vault
from leadup.insights.explain import explain
from leadup.insights.open import provisional_members
from leadup.pipeline import Pipeline
from leadup.rules.loader import load_text
from leadup.state import open_store
from leadup.state.tables import memberships
from leadup.types import Event, Identifier, Kind, Page, Part, to_us

START = datetime.fromisoformat("2026-03-01T00:00:00Z")
DAY, LATE = timedelta(days=1), timedelta(days=3)
PROGRAM = load_text("""
version: 1
micro_conversions: {a: {event: a}}
segments:
  did: {when: {did: a}}
  quiet: {when: {did_not: a, within: 2d}}
  patient: {when: {did_not: a, within: 2d}, settle: 3d}
  kept: {when: {did: a, within: 2d}, stay_at_least: 30d}
""").program


class Site:
    """A source whose days are written again for three days."""

    def __init__(self, folder: Path) -> None:
        self.pipeline = Pipeline(open_store("sqlite://", folder), Vault(Fernet.generate_key().decode()), PROGRAM)
        self.pipeline.use(PROGRAM, {}, START)

    def reads(self, day: int, *ago: int, again: int | None = None) -> None:
        """Read up to the end of a day: the events of that day, or those of another one, read ``again``."""
        at = START + day * DAY
        events = [
            Event(
                source="t", id=f"{when}", name="a", at=START + when * DAY, identifiers=(Identifier(Kind.USER_ID, "u"),)
            )
            for when in ago
        ]
        name = str(day if again is None else again)
        part = Part(name=name, reading=f"{name} on day {day}", last=True)
        self.pipeline.take("t", Page(records=events, cursor={}, more=True, part=part), at)
        self.pipeline.take("t", Page(records=[], cursor={}, complete_until=at, final_until=at - LATE), at)
        self.pipeline.tick(at)

    def members(self, day: int) -> tuple[set[str], dict[str, int]]:
        """Who is in, and how many of them provisionally."""
        with self.pipeline.store.read() as connection:
            counts = provisional_members(connection, PROGRAM, list(PROGRAM.segments), to_us(START + day * DAY), ())
            return set(connection.scalars(select(memberships.c.segment))), counts

    def explains(self, day: int) -> dict[str, Any]:
        with self.pipeline.store.read() as connection:
            answer = explain(connection, PROGRAM, 1, list(PROGRAM.segments), to_us(START + day * DAY))
        return {name: one["provisional"] for name, one in answer["segments"].items()}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.pipeline.store.close()


NOBODY = dict.fromkeys(PROGRAM.segments, 0)


def test_it_becomes_final_without_a_change_when_the_late_period_has_closed(site: Site) -> None:
    site.reads(10, 10)
    assert site.members(10) == ({"did", "kept"}, NOBODY)
    for day in (12, 13, 14):
        site.reads(day)
        assert site.members(day) == ({"did", "kept", "quiet"}, NOBODY | {"quiet": 1})
        quiet = {"final_once_up_to": "2026-03-13T00:00:00Z", "final_up_to": f"2026-03-{day - 2:02}T00:00:00Z"}
        assert site.explains(day) == dict.fromkeys(PROGRAM.segments) | {"quiet": quiet}
    site.reads(15)
    assert site.members(15) == ({"did", "kept", "quiet", "patient"}, NOBODY)
    assert site.explains(15) == dict.fromkeys(PROGRAM.segments)


def test_a_late_row_ends_it(site: Site) -> None:
    site.reads(10, 10)
    site.reads(12)
    assert site.members(12)[1]["quiet"] == 1
    site.reads(13, 12, again=12)
    assert site.members(13) == ({"did", "kept"}, NOBODY)


def test_of_a_source_that_is_never_late_nothing_is_provisional(site: Site) -> None:
    site.reads(10, 10)
    now = START + 12 * DAY
    site.pipeline.take("t", Page(records=[], cursor={}, complete_until=now), now)
    site.pipeline.tick(now)
    assert site.members(12) == ({"did", "kept", "quiet"}, NOBODY)
