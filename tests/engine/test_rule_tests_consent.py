"""Tests of rules that state `consent:`: then consent, `stay_at_least` and holdouts apply."""

from __future__ import annotations

import pytest

from leadup.engine.testing import run
from leadup.errors import RuleError
from leadup.rules.loader import load_text
from leadup.types import Purpose

RULES = """\
version: 1
micro_conversions:
  look: {event: page_view}
  video: {event: video_complete}
segments:
  hot: {when: {did: video, within: 1d}, stay_at_least: 2d, activate: [google_ads]}
  warm:
    when: {did: look, within: 1d}
    stay_at_least: 3d
    holdout: {name: lot, percent: 10}
    activate: [google_ads, {to: hubspot, consent: [analytics_storage]}]
groups: {nurture: [hot, warm]}
tests:
  - name: one
    now: 2026-03-01T12:00:00Z
    events: [{page_view: {}, ago: 0s}]
"""
PURPOSES = {"google_ads": frozenset({Purpose.AD_USER_DATA, Purpose.AD_PERSONALIZATION})}
UNLESS_DENIED = {"hubspot": frozenset({Purpose.EMAIL_MARKETING})}
BOTH = "consent: {ad_user_data: granted, ad_personalization: granted}"


def failures(*lines: str) -> list[str]:
    [result] = run(load_text(RULES + "".join(f"    {line}\n" for line in lines)), PURPOSES, UNLESS_DENIED)
    return [failure.message for failure in result.failures]


@pytest.mark.parametrize(
    "lines",
    [
        ("expect: {in: [warm]}", "later: [{after: 1d, out: [warm]}]"),
        (BOTH, "expect: {in: [warm]}", "later: [{after: 1d, in: [warm]}, {after: 3d, out: [warm]}]"),
        (BOTH, "later: [{after: 3d, out: [warm]}, {after: 71h, in: [warm]}]"),
        (BOTH, "held_out: [lot]", "expect: {out: [warm]}"),
        ("consent: {ad_user_data: granted}", "expect: {out: [warm]}"),
        ("consent: {analytics_storage: granted}", "expect: {in: [warm]}"),
        ("consent: {analytics_storage: denied}", "expect: {out: [warm]}"),
        ("consent: {analytics_storage: granted, email_marketing: granted}", "expect: {in: [warm]}"),
        ("consent: {analytics_storage: granted, email_marketing: denied}", "expect: {out: [warm]}"),
        (BOTH.replace("}", ", email_marketing: denied}"), "expect: {in: [warm]}"),
    ],
)
def test_what_is_stated_applies(lines: tuple[str, ...]) -> None:
    assert failures(*lines) == []


def test_the_group_counts_whom_stay_at_least_keeps() -> None:
    events = "[{video_complete: {}, ago: 0s}, {page_view: {}, ago: 0s}, {page_view: {}, at: 2026-03-02T18:00:00Z}]"
    later = "[{after: 30h, in: [hot], out: [warm]}, {after: 2d, out: [hot], in: [warm]}]"
    text = RULES.replace("[{page_view: {}, ago: 0s}]", events) + f"    {BOTH}\n    later: {later}\n"
    [result] = run(load_text(text), PURPOSES)
    assert [failure.message for failure in result.failures] == []


def test_a_failure_says_what_stood_in_the_way() -> None:
    then = 'At 2026-03-01T12:00:00Z the person is not in "warm": '
    assert failures("consent: {ad_user_data: denied}", "expect: {in: [warm]}") == [
        f"{then}ad_personalization was never stated; ad_user_data was denied."
    ]
    assert failures(BOTH, "held_out: [lot]", "expect: {in: [warm]}") == [f"{then}lot holds the person out."]
    [kept] = failures(BOTH, "later: [{after: 2d, out: [warm]}]")
    assert kept.endswith('is in "warm": `stay_at_least` keeps the person in.')


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("held_out: [lot]",), "does nothing without `consent`"),
        ((BOTH, "held_out: [lott]"), 'There is no holdout "lott".'),
        (("consent: {ad_user_dat: granted}",), "ad_user_dat"),
    ],
)
def test_a_mistake_is_said(lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(RuleError, match=said):
        failures(*lines, "expect: {in: [warm]}")
