"""``leadup rules backtest``: what a segment would have been."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import histories as h
import oracle
from installation import Installation, event, installed
from leadup.engine.kernel import judge
from leadup.insights.backtest import members_at
from leadup.membership import fold
from leadup.rules.program import Program

NOW = "2026-03-20T15:00:00Z"


@settings(derandomize=True, deadline=None, database=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(h.programs(), h.crowds(12), st.lists(h.moments, min_size=1, max_size=6, unique=True).map(sorted))
def test_to_judge_who_is_due_is_to_judge_all(program: Program, people: list[oracle.Human], instants: list[int]) -> None:
    tables = h.tables(program, people)
    for name in program.segments:
        before: dict = {}
        for at, members in zip(instants, members_at(program, tables, name, instants), strict=True):
            all_of = fold(
                program, judge(program, *tables, at=at, watermarks=dict.fromkeys(program.patterns, at)), before, at
            )
            before = {segment: one.entered for segment, one in all_of.items()}
            assert np.array_equal(members, all_of[name].holds)


RULES = """\
version: 1
micro_conversions:
  look: {event: page_view, where: {path: /pricing}}
segments:
  lately:
    when: {did: look, within: 3d}
    activate: [hubspot]
"""


def looks(site: Installation) -> None:
    """Three persons look at the prices, one of them twice, one without an address; one looks at something else."""
    site.drop(
        [
            event(
                "e1",
                "page_view",
                "2026-03-10T12:00:00Z",
                user_id="u1",
                email="a@x.test",
                properties={"path": "/pricing"},
            ),
            event("e2", "page_view", "2026-03-12T12:00:00Z", user_id="u1", properties={"path": "/pricing"}),
            event(
                "e3",
                "page_view",
                "2026-03-12T13:00:00Z",
                user_id="u2",
                email="b@x.test",
                properties={"path": "/pricing"},
            ),
            event("e4", "page_view", "2026-03-12T14:00:00Z", client_id="c3", properties={"path": "/pricing"}),
            event("e5", "page_view", "2026-03-12T14:00:00Z", user_id="u4", email="d@x.test", properties={"path": "/"}),
        ]
    )


@pytest.mark.parametrize("live", [True, False])
def test_days_calls_and_churn(tmp_path: Path, live: bool) -> None:
    with installed(tmp_path) as site:
        site.rules(RULES if live else "version: 1\n")
        looks(site)
        site.sync(NOW)
        site.rules(RULES)
        database = tmp_path / ".leadup" / "state.db"
        before = dump(database)
        result = site.cli("rules", "backtest", "lately", "--days", "12", "--json", now=NOW)
        assert dump(database) == before  # nothing is kept
        answer = json.loads(result.stdout)
    assert [(one["day"][-2:], one["size"], one["joined"], one["left"]) for one in answer["days"]] == [
        ("08", 0, 0, 0),
        ("09", 0, 0, 0),
        ("10", 1, 1, 0),
        ("11", 1, 0, 0),
        ("12", 3, 2, 0),
        ("13", 3, 0, 0),
        ("14", 3, 0, 0),
        ("15", 0, 0, 3),
        ("16", 0, 0, 0),
        ("17", 0, 0, 0),
        ("18", 0, 0, 0),
        ("19", 0, 0, 0),
    ]
    assert (answer["size_before"], answer["size"]) == (0, 0)
    assert (answer["joins_per_day"], answer["leaves_per_day"]) == (0.25, 0.25)
    assert answer["daily_churn"] == 0.2  # of five days that began with members, on one all left
    [target] = answer["targets"]
    assert target == {
        "target": "hubspot/audience/lately",
        "joins": 2,
        "leaves": 2,
        "calls": {"at_least": 3, "at_most": 4},
    }


def dump(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return list(connection.iterdump())


def test_it_is_shown(tmp_path: Path) -> None:
    with installed(tmp_path) as site:
        site.rules(RULES)
        looks(site)
        site.sync(NOW)
        shown = site.cli("rules", "backtest", "lately", "--days", "12", now=NOW).stdout
        wrong = site.cli("rules", "backtest", "latly", now=NOW)
    assert "2026-03-15" in shown
    assert "0.25 join and 0.25 leave a day, 20.0% of the members" in shown
    assert "hubspot/audience/lately: 2 joins, 2 leaves in 3 calls (a batch a day) to 4 (one by one)" in shown
    assert wrong.exit_code == 1
    assert 'did you mean "lately"?' in wrong.stderr


def test_nothing_logged_is_nobody_on_any_day(tmp_path: Path) -> None:
    with installed(tmp_path) as site:
        site.rules(RULES)
        answer = json.loads(site.cli("rules", "backtest", "lately", "--days", "2", "--json", now=NOW).stdout)
    assert [one["size"] for one in answer["days"]] == [0, 0]
    assert answer["daily_churn"] is None
