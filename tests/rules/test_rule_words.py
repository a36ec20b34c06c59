"""Durations and suggestions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadup.rules import durations
from leadup.rules.suggest import did_you_mean, nearest


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("0s", 0),
        ("1s", 1_000_000),
        ("30m", 1_800_000_000),
        ("1h", 3_600_000_000),
        ("14d", 1_209_600_000_000),
        ("2w", 1_209_600_000_000),
        ("5200w", durations.LONGEST),
    ],
)
def test_durations(text, us):
    assert durations.parse(text) == us


@pytest.mark.parametrize(
    "text", ["", "d", "1", "1 d", "1D", "1.5h", "-1d", "1d ", "1h30m", "1y", "٣d", "1d\n", "5201w", "9" * 5000 + "d"]
)
def test_no_durations(text):
    with pytest.raises(ValueError, match=r"write a whole number and a unit|the longest duration is 5200w"):
        durations.parse(text)


@given(st.integers(0, durations.LONGEST // 1_000_000).map(lambda s: s * 1_000_000))
def test_a_duration_that_is_shown_reads_as_itself(us):
    shown = durations.show(us)
    if int(shown[:-1]) < 10**9:
        assert durations.parse(shown) == us


@pytest.mark.parametrize(
    ("word", "words", "near"),
    [
        ("at_leest", ["at_least", "at_most"], "at_least"),
        ("At-Least", ["at_least", "at_most"], "at_least"),
        ("pricing view", ["pricing_view", "guide"], "pricing_view"),
        ("xyz", ["at_least", "at_most"], None),
        ("x", [], None),
        ("", ["a"], None),
    ],
)
def test_the_nearest_word(word, words, near):
    assert nearest(word, words) == near
    assert did_you_mean(word, words) == (f'did you mean "{near}"?' if near else "")
