"""What tests of rules expect of properties, and what `rules check` doubts in them."""

from __future__ import annotations

import pytest

from leadup.engine.testing import run
from leadup.rules.loader import load_text
from leadup.types import Purpose

RULES = """\
version: 1
micro_conversions:
  look: {event: page_view}
  video: {event: video_complete, same_within: 1h}
scores:
  heat: {half_life: 7d, points: {look: 10}, tiers: {low: 5, high: 15}}
segments:
  hot: {when: {did: video, within: 1d}, stay_at_least: 3d}
  warm: {when: {did: look, within: 1d}, holdout: {name: lot, percent: 10}, activate: [google_ads]}
properties:
  points: {score: heat}
  level: {tier: heat}
  marks: {segments: [hot, warm]}
  text: {segments: [hot, warm], as: text}
  last: {last: [look, video]}
  last_at: {last_at: [look, video]}
  drawn: {holdout: lot}
tests:
  - name: one
    now: 2026-03-01T12:00:00Z
    events: [{page_view: {}, ago: 2h}, {video_complete: {}, ago: 1h}, {video_complete: {}, ago: 30m}]
"""
NEEDED = {"google_ads": frozenset({Purpose.AD_USER_DATA})}
GRANTED = "consent: {ad_user_data: granted}"


def failures(*lines: str) -> list[str]:
    [result] = run(load_text(RULES + "".join(f"    {line}\n" for line in lines)), NEEDED)
    return [failure.message for failure in result.failures]


@pytest.mark.parametrize(
    "lines",
    [
        ("expect: {properties: {points: 9, level: low}}", "later: [{after: 30d, properties: {points: 0, level: ''}}]"),
        ("expect: {properties: {marks: [warm, hot], text: hot;warm}}",),
        ("expect: {in: [hot]}", "later: [{after: 2d, properties: {marks: [], text: ''}}]"),
        ("expect: {properties: {last: video, last_at: 2026-03-01T12:00:00+01:00}}",),
        (GRANTED, "later: [{after: 2d, properties: {marks: [hot], text: hot}}]"),
        (GRANTED, "held_out: [lot]", "expect: {properties: {marks: [hot], drawn: held_out}}"),
        (GRANTED, "expect: {properties: {marks: [hot, warm], drawn: sent}}"),
        ("consent: {ad_user_data: denied}", "expect: {properties: {drawn: ''}}"),
    ],
)
def test_what_properties_tell_is_compared(lines: tuple[str, ...]) -> None:
    assert failures(*lines) == []


def test_a_failure_says_what_is_told_instead() -> None:
    expect = "expect: {properties: {marks: [warm], last: look, last_at: '', level: high, points: 10, text: warm}}"
    then = "At 2026-03-01T12:00:00Z"
    assert failures(expect) == [
        f"{then} marks is hot, warm, not warm.",
        f"{then} last is video, not look.",
        f"{then} last_at is 2026-03-01T11:00:00.000Z, not nothing.",
        f"{then} level is low, not high.",
        f"{then} points is 9, not 10.",
        f"{then} text is hot;warm, not warm.",
    ]


def test_a_tier_of_a_score_without_tiers_is_doubted() -> None:
    rules = RULES.replace(", tiers: {low: 5, high: 15}", "") + "    expect: {in: [warm]}\n"
    [doubt] = load_text(rules).warnings
    assert (doubt.message, doubt.hint) == (
        'Score "heat" has no tiers, so nothing is ever written.',
        "give it `tiers`, or write its points: {score: heat}",
    )
    assert doubt.source[doubt.column - 1 :].startswith("heat")


def test_a_segment_that_is_only_marked_holds_people_out_too() -> None:
    rules = RULES.replace(", activate: [google_ads]", "") + "    expect: {in: [warm]}\n"
    assert load_text(rules).warnings == ()
    unmarked = rules.replace("[hot, warm]}", "[hot]}").replace("[hot, warm], as: text", "[hot], as: text")
    [doubt] = load_text(unmarked).warnings
    assert doubt.message == 'Segment "warm" is sent nowhere, so nobody is held out.'
