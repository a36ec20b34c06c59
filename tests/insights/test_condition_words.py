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
        ("{did: a, sum: x, at_least: 2.5, within: 7d}", "did a with sum of x at least 2.5 within 7d"),
        ("{did: a, max: x, between: [2, 3]}", "did a with highest x at least 2 and at most 3"),
        (
            "{did: a, distinct: x, at_most: 3, where: {y: 1}, within: {to: 1d}}",
            "did a with different x at most 3 where y eq 1 up to 1d ago",
        ),
        ("{first: a, within: 7d}", "first a within 7d"),
        ("{first: a, within: {to: 7d}}", "first a up to 7d ago"),
        ("{stopped: a, for: 14d}", "stopped a for 14d"),
        ("{stopped: a, for: 14d, after: 30d}", "stopped a for 14d, the last one at most 30d before that"),
        ("{resumed: a, after_pause: 30d, within: 7d}", "resumed a after a pause of 30d within 7d"),
        ("{regularly: a, at_least: 3, of_last: 5, every: 7d}", "did a in at least 3 of the last 5 periods of 7d"),
        (
            "{regularly: a, at_least: 3, of_last: 5, every: 7d, times: 2}",
            "did a at least 2 times in at least 3 of the last 5 periods of 7d",
        ),
        ("{did_not: a, within: {from: 12h, to: 30m}}", "did not a from 12h to 30m ago"),
        ("{sequence: [a, b], strict: true, without: c}", "a directly then b without c between"),
        ("{dropped_at: a, of: path, for: 1h, within: 1d}", "started a without b for 1h within 1d"),
        ("{person: {last_channel: email}}", "person last_channel eq email"),
        ("{sessions: {at_least: 3, within: 7d}}", "at least 3 sessions within 7d"),
        ("{return_visits: {at_most: 2}}", "0 to 2 return visits"),
        ("{return_visits: {exactly: 0, within: {to: 7d}}}", "no return visits up to 7d ago"),
        ("{sequence: [a, b], span: 1h, within: {from: 3d, to: 1d}}", "a then b in 1h from 3d to 1d ago"),
    ],
)
def test_a_condition_in_plain_words(written, said):
    program = loader.load_text(RULES.replace("CONDITION", written)).program
    assert describe(program.segments["it"].when) == said
