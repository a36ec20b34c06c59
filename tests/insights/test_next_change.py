"""``leadup explain``: when somebody enters or leaves if nothing happens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import histories as h
import oracle
from installation import event, installed
from leadup.clock import parse_instant
from leadup.engine.kernel import judge
from leadup.insights.ahead import AHEAD_US, next_change, only
from leadup.membership import fold
from leadup.rules.program import Program
from leadup.types import to_us


def read_to(program: Program, instant_us: int) -> dict[str, int]:
    """Sources that have been read up to an instant, and no further."""
    return dict.fromkeys(program.patterns, instant_us)


@settings(derandomize=True, deadline=None, database=None, max_examples=50, suppress_health_check=list(HealthCheck))
@given(h.programs(), h.crowds(4), h.moments, st.lists(st.integers(0, 59), max_size=6))
def test_nothing_changes_before_the_next_change_and_then_it_does(
    program: Program, people: list[oracle.Human], at: int, steps: list[int]
) -> None:
    program = replace(program, segments={n: replace(s, stay_at_least=0) for n, s in program.segments.items()})
    who, signals, facts = h.tables(program, people)
    for n in range(len(people)):
        alone = who.slice(n, 1), signals, facts

        def holds(instant_us: int, name: str, alone: tuple = alone) -> bool:
            return judge(program, *alone, at=instant_us, watermarks=read_to(program, instant_us))[f"in:{name}"][
                0
            ].as_py()

        now = fold(program, judge(program, *alone, at=at, watermarks=read_to(program, at)), {}, at)
        for name in program.segments:
            found = next_change(program, alone, name, at, now)
            changes = to_us(parse_instant(found["at"])) if found["at"] else at + AHEAD_US + 1
            for step in steps:
                if at <= (then := at // h.GRID * h.GRID + step * h.GRID) < changes:
                    assert holds(then, name) == now[name].holds[0]
            if found["at"]:
                assert holds(changes - 1, name) == now[name].holds[0]
                assert holds(changes, name) == (found["becomes"] == "in") != now[name].holds[0]


@settings(derandomize=True, deadline=None, database=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(h.programs(), h.crowds(8), h.moments)
def test_a_verdict_rests_on_no_other_segments_than_those_that_are_kept(
    program: Program, people: list[oracle.Human], at: int
) -> None:
    tables = h.tables(program, people)
    whole = judge(program, *tables, at=at, watermarks={})
    for name in program.segments:
        part = judge(only(program, name), *tables, at=at, watermarks={})
        for kind in ("in", "when", "excluded", "until", "waits"):
            assert part[f"{kind}:{name}"].equals(whole[f"{kind}:{name}"])


RULES = """\
version: 1
micro_conversions:
  look: {event: page_view}
  sent: {event: form_submit}
segments:
  lately: {when: {did: look, within: 14d}}
  ever: {when: {did: look}}
  old: {when: {all: [{did: look}, {did_not: look, within: 800d}]}}
  kept: {when: {did: look, within: 1d}, stay_at_least: 3d}
  silent: {when: {all: [{did: look}, {did_not: sent, within: 7d}]}}
"""


@pytest.mark.parametrize(
    ("segment", "said", "told"),
    [
        ("lately", "goes out at 2026-03-15T12:00:00Z, if nothing happens", {"becomes": "out"}),
        ("kept", "goes out at 2026-03-05T11:00:00Z, if nothing happens", {"becomes": "out"}),
        ("ever", "no change by itself\n", {"at": None, "looked_until": None}),
        ("old", "no change by itself before 2027-03-03T12:00:00Z", {"at": None}),
    ],
)
def test_it_is_told(tmp_path: Path, segment: str, said: str, told: dict[str, object]) -> None:
    with installed(tmp_path) as site:
        site.rules(RULES)
        site.drop([event("e1", "page_view", "2026-03-01T12:00:00Z", user_id="u1")])
        site.sync("2026-03-02T11:00:00Z")
        assert f"next: {said}" in site.cli("explain", "u1", segment, now="2026-03-02T12:00:00Z").stdout
        answer = json.loads(site.cli("explain", "u1", segment, "--json", now="2026-03-02T12:00:00Z").stdout)
        assert answer["segments"][segment]["next_change"].items() >= told.items()


def test_who_waits_for_the_sources_enters_once_they_are_read(tmp_path: Path) -> None:
    with installed(tmp_path) as site:
        site.rules(RULES)
        site.drop(
            [
                event("e1", "page_view", "2026-03-01T12:00:00Z", user_id="u1"),
                event("e2", "form_submit", "2026-03-01T12:00:00Z", user_id="u1"),
            ]
        )
        site.sync("2026-03-02T12:00:00Z")
        said = site.cli("explain", "u1", "silent", now="2026-03-20T12:00:00Z").stdout
        assert "next: goes in once the sources are read up to 2026-03-08T12:00:00Z" in said
