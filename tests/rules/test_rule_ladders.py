"""Ladders in rule files: what is wrong with them is said at its place, and what is right means what it says."""

from __future__ import annotations

import pytest

from leadup.engine.testing import run
from leadup.errors import Problem, RuleError
from leadup.rules.loader import load_text
from leadup.rules.program import Ladder
from leadup.types import Money

DAY = 86_400_000_000
GOOD = """\
version: 1
micro_conversions:
  price: {event: price}
  video: {event: video}
  lost: {event: lost}
macro_conversions:
  asked: {event: asked, value: 288 EUR}
  won: {event: won, value: {property: amount, currency: currency}}
conversions:
  interest:
    ladder: [price, video, asked, won]
    value: {price: 4 EUR, video: 22 EUR}
    cap: 1500 EUR
    episode: 52d
    lost: lost
    activate: [google_ads]
"""
LIMITS = {"google_ads": 54 * DAY}


def problems_of(old: str, new: str) -> list[Problem]:
    assert GOOD.count(old) == 1
    with pytest.raises(RuleError) as raised:
        load_text(GOOD.replace(old, new), "my.yaml", ["google_ads"], LIMITS)
    return list(raised.value.problems)


def test_a_good_ladder_means_what_it_says() -> None:
    rules = load_text(GOOD, connections=["google_ads"], limits=LIMITS)
    assert not rules.warnings
    assert rules.program.conversions["interest"].ladder == Ladder(
        steps=("price", "video", "asked", "won"),
        worth=(("price", Money(400, "EUR")), ("video", Money(2200, "EUR"))),
        episode=52 * DAY,
        cap=Money(150_000, "EUR"),
        lost="lost",
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "message", "hint"),
    [
        ("video, asked, won]", "vidio, asked, won]", 11, 21, 'no conversion "vidio"', 'did you mean "video"?'),
        ("[price, video,", "[price, price, video,", 11, 21, '"price" is already a step', "a step is there once"),
        ("video: 22 EUR}", "vidoe: 22 EUR, video: 22 EUR}", 12, 27, 'no step "vidoe"', 'did you mean "video"?'),
        (", video: 22 EUR}", "}", 11, 21, 'Step "video" has no amount', "value"),
        ("22 EUR", "22 USD", 12, 34, '"video" is worth 22.00 USD, and its `cap` is in EUR', "one currency"),
        ("1500 EUR", "1500 USD", 11, 28, '"asked" is worth 288.00 EUR, and its `cap` is in USD', "one currency"),
        ("52d", "53d", 14, 14, "too long for google_ads: 52d at most", "for 54d"),
        ("lost: lost\n    ac", "lost: lots\n    ac", 15, 11, 'no conversion "lots"', 'did you mean "lost"?'),
        ("lost: lost\n    ac", "lost: asked\n    ac", 15, 11, '"asked" is a step', ""),
        ("{price: 4 EUR, video: 22 EUR}", "4 EUR", 12, 12, "an amount for each step", "{price: 4.00 EUR"),
        ("{price: 4 EUR, video: 22 EUR}", "learned", 12, 12, '"learned" is part of the language but not', ""),
        ("    episode: 52d\n", "", 10, 3, "A ladder needs `episode`", "episode: 50d"),
        ("    lost: lost\n    ac", "    on: asked\n    ac", 11, 5, "`ladder` and `on` do not go together", ""),
        ("    lost: lost\n    ac", "    looses: lost\n    ac", 15, 5, '"looses" is not a key', "lost"),
        ("[price, video, asked, won]", "[won]", 11, 13, "at least 2 items", ""),
    ],
)
def test_a_mistake_in_a_ladder_is_shown_at_its_place(
    old: str, new: str, line: int, column: int, message: str, hint: str
) -> None:
    problem = problems_of(old, new)[0]
    assert (problem.line, problem.column) == (line, column), problem
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(("key", "value"), [("cap", "3 EUR"), ("episode", "50d"), ("lost", "lost")])
def test_a_word_of_ladders_beside_on_is_refused(key: str, value: str) -> None:
    start = GOOD.index("    ladder:")
    text = GOOD[:start] + f"    on: asked\n    {key}: {value}\n"
    with pytest.raises(RuleError, match=f"`{key}` goes with `ladder`"):
        load_text(text)


def test_amounts_that_fall_are_warned_of() -> None:
    [warning] = load_text(GOOD.replace("22 EUR", "2 EUR")).warnings
    assert (warning.line, warning.column) == (11, 21)
    assert warning.message == '"video" is worth less (2.00 EUR) than the step before it, "price" (4.00 EUR).'


TESTED = """
tests:
  - name: a way up
    now: 2026-03-01T12:00:00Z
    events:
      - {price: {}, ago: 2d}
      - {asked: {}, ago: 1d}
      - {lost: {}, at: 2026-03-05T12:00:00Z}
      - {video: {}, at: 2026-03-06T12:00:00Z}
      - {won: {amount: 12400, currency: EUR}, at: 2026-03-10T12:00:00Z}
    expect: {value: {interest: 288 EUR}}
    later:
      - {after: 4d, value: {interest: 0 EUR}}
      - {after: 5d, value: {interest: 22 EUR}}
      - {after: 60d, value: {interest: 12400 EUR}}
  - name: it lapses
    now: 2026-03-01T12:00:00Z
    events: [{asked: {}, ago: 1d}]
    later:
      - {after: 50d, value: {interest: 288 EUR}}
      - {after: 51d, value: {interest: 0 EUR}}
"""


def test_a_rule_test_may_expect_what_a_ladder_is_worth() -> None:
    assert [result.failures for result in run(load_text(GOOD + TESTED))] == [(), ()]
    capped, lapsed = run(load_text(GOOD.replace("1500 EUR", "100 EUR") + TESTED))
    assert [failure.message for failure in capped.failures] == [
        "At 2026-03-01T12:00:00Z interest is worth 100.00 EUR, not 288.00 EUR."
    ]
    assert [failure.message for failure in lapsed.failures] == [
        "At 2026-04-20T12:00:00Z interest is worth 100.00 EUR, not 288.00 EUR."
    ]
    wrong = TESTED.replace("{after: 51d, value: {interest: 0 EUR}}", "{after: 51d, value: {interest: 1 EUR}}")
    [failure] = run(load_text(GOOD + wrong))[1].failures
    assert failure.message == "At 2026-04-21T12:00:00Z interest reports nothing."
    with pytest.raises(RuleError, match='no reported conversion "intrest"'):
        load_text(GOOD + TESTED.replace("{interest: 288 EUR}", "{intrest: 288 EUR}", 1))
