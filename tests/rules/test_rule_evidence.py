"""Rules that load, held against what has come in so far."""

from __future__ import annotations

from pathlib import Path

import pytest

from leadup.errors import Problem
from leadup.outgoing import Use
from leadup.rules import loader
from leadup.rules.checks import MOST_REPORTED
from leadup.rules.evidence import Asked, Evidence, doubts
from leadup.rules.visits import VISIT
from leadup.types import Purpose

DEMO = Path(__file__).parents[2] / "rules" / "demo.yaml"
ADS = {
    "ads": Asked(
        purposes={
            Use.AUDIENCE: frozenset({Purpose.AD_USER_DATA, Purpose.AD_PERSONALIZATION}),
            Use.CONVERSION: frozenset({Purpose.AD_USER_DATA}),
        },
        serves_from=100,
    ),
    "crm": Asked(),
}
SENT = """\
version: 1
micro_conversions:
  seen: {event: page_view}
segments:
  warm:
    when: {did: seen}
    activate: [crm, {to: ads, name: Warm}]
  cold: {when: {did_not: seen}, activate: [ads]}
conversions:
  look: {on: seen, activate: [ads, crm]}
"""


def unseen(rules: loader.Rules, events: set[str]) -> list[Problem]:
    return doubts(rules, Evidence(events=events, granted=set(Purpose)), {})


def marked(problem: Problem) -> tuple[int, str]:
    return problem.line, problem.source[problem.column - 1 :][: problem.width]


def test_events_that_nobody_has_sent() -> None:
    rules = loader.load([DEMO])
    known = {match.event for pattern in rules.program.patterns.values() for match in pattern.any}
    known = known - {"video_progress", "deal_won"} | {"video_progres"}
    found = {problem.message: (*marked(problem), problem.hint) for problem in unseen(rules, known)}
    video = found['No event "video_progress" has come in so far.']
    assert video[1:] == ("video_progress", 'did you mean "video_progres"?')
    assert found['No event "deal_won" has come in so far.'][2] == "look at how the source spells it"
    assert len(found) == 2
    assert unseen(rules, known | {"video_progress", "deal_won"}) == []


def test_before_anything_came_in_nothing_is_doubted() -> None:
    assert doubts(loader.load([DEMO]), Evidence(events=(), granted=(), members={"warm": 1}), ADS) == []


def test_visits_need_events_that_they_are_made_of() -> None:
    rules = loader.load_text("version: 1\nsegments:\n  back: {when: {not: {return_visits: {}}}}\n")
    assert set(rules.program.patterns) == {VISIT}
    (problem,) = unseen(rules, {"generate_lead"})
    assert (problem.line, problem.column) == (3, 23)
    assert "page_view, screen_view, session_start" in problem.message
    assert unseen(rules, {"session_start"}) == []


def test_consent_that_nobody_has_given() -> None:
    rules = loader.load_text(SENT)
    evidence = Evidence(events={"page_view"}, granted={Purpose.AD_USER_DATA})
    assert [(*marked(problem), problem.message) for problem in doubts(rules, evidence, ADS)] == [
        (7, "ads", "Nobody has consented to ad_personalization so far, which ads needs."),
        (8, "ads", "Nobody has consented to ad_personalization so far, which ads needs."),
    ]
    given = Evidence(events={"page_view"}, granted=set(Purpose))
    assert doubts(rules, given, ADS) == []


def test_consent_that_the_rules_themselves_ask_for() -> None:
    rules = loader.load_text(SENT.replace("name: Warm", "consent: [ad_personalization]"))
    evidence = Evidence(events={"page_view"}, granted={Purpose.AD_USER_DATA})
    (problem,) = doubts(rules, evidence, {"ads": Asked()})
    assert marked(problem) == (7, "ads")


@pytest.mark.parametrize(("size", "warned"), [(0, True), (99, True), (100, False)])
def test_an_audience_too_small_to_reach_anybody(size: int, warned: bool) -> None:
    evidence = Evidence(events={"page_view"}, granted=set(Purpose), members={"warm": size, "cold": 1_000})
    problems = doubts(loader.load_text(SENT), evidence, ADS)
    assert [problem.message for problem in problems] == [
        f'{size} people are in "warm" now; an audience at ads reaches nobody below 100.'
    ] * warned


@pytest.mark.parametrize("more", [0, 1])
def test_more_micro_conversions_reported_than_bidding_can_tell_apart(more: int) -> None:
    names = [f"m{n}" for n in range(MOST_REPORTED + more)]
    micro = "".join(f"  {name}: {{event: {name}}}\n" for name in names)
    reported = "".join(f"  r{name}: {{on: {name}}}\n" for name in [*names, "sold"])
    text = (
        f"version: 1\nmicro_conversions:\n{micro}macro_conversions:\n  sold: {{event: order}}\nconversions:\n{reported}"
    )
    messages = [(problem.line, problem.message) for problem in loader.load_text(text).warnings]
    assert (
        messages
        == [(len(names) + 5, f"Bidding would learn from 8 micro conversions at once: {', '.join(names)}.")] * more
    )
