"""Conditions in plain words."""

import pytest

from leadup.insights.words import describe
from leadup.rules import loader

RULES = """
version: 1
micro_conversions:
  a: {event: a}
  b: {event: b}
  c: {event: c}
funnels:
  path: [a, b]
segments:
  it: {when: CONDITION}
"""


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{did: a, within: {from: 30d, to: 7d}}", "did a from 30d to 7d ago"),
        ("{did: a, at_least: 2, within: {to: 7d}}", "did a at least 2 times up to 7d ago"),
        ("{did_not: a, within: {from: 12h, to: 30m}}", "did not a from 12h to 30m ago"),
        ("{sequence: [a, b], strict: true, without: c}", "a directly then b without c between"),
        ("{dropped_at: a, of: path, for: 1h, within: 1d}", "started a without b for 1h within 1d"),
        ("{sessions: {at_least: 3, within: 7d}}", "at least 3 sessions within 7d"),
        ("{return_visits: {at_most: 2}}", "0 to 2 return visits"),
        ("{return_visits: {exactly: 0, within: {to: 7d}}}", "no return visits up to 7d ago"),
        ("{sequence: [a, b], span: 1h, within: {from: 3d, to: 1d}}", "a then b in 1h from 3d to 1d ago"),
    ],
)
def test_a_condition_in_plain_words(written, said):
    program = loader.load_text(RULES.replace("CONDITION", written)).program
    assert describe(program.segments["it"].when) == said
