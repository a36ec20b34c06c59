"""The laws see mistakes: each of these, planted in the operators or the kernel, breaks one of them.

The list says what was planted, with which operator it shows (none: any), in which module, and the two forms.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import test_kernel_laws as laws
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import histories as h
from leadup.engine import kernel
from leadup.rules import operators

MISTAKES = {
    "off by one: n signals are n + 1": ("did", operators, "nth = done.latest(n)", "nth = done.latest(n + 1)"),
    "wrong edge: a window takes in the instant it begins after": (
        "did",
        operators,
        "holds = nth > (EVER if within is None else max(at - within, EVER))",
        "holds = nth >= (EVER + 1 if within is None else max(at - within, EVER + 1))",
    ),
    "lost negation: an upper bound is a lower one": (
        "did",
        operators,
        "bounds.append((c.high + 1, not negate))\n    parts = [at_least",
        "bounds.append((c.high + 1, negate))\n    parts = [at_least",
    ),
    "off by one: at most n is at most n - 1": (
        "did",
        operators,
        "bounds.append((c.high + 1, not negate))\n    parts = [at_least",
        "bounds.append((c.high, not negate))\n    parts = [at_least",
    ),
    "too late: the answer is said to stand until the window's end is past": (
        "did",
        operators,
        "np.where(holds, nth + within, NEVER)",
        "np.where(holds, nth + within + 1, NEVER)",
    ),
    "too late: the next signal ahead is not waited for": (
        "did",
        operators,
        "        until = np.minimum(until, done.wake)\n    if not negate:\n        return known(holds, until)",
        "        pass\n    if not negate:\n        return known(holds, until)",
    ),
    "absence is believed before it was read": (
        "did",
        operators,
        "return absent(~holds, until, nth + within, max(watermark, EVER + within))",
        "return known(~holds, until)",
    ),
    "fewer is believed before it was read": (
        "did",
        operators,
        "return absent(~holds, until, _became_fewer(done, n, within), watermark)",
        "return known(~holds, until)",
    ),
    "wrong edge: a beginning comes of age an instant late": (
        "started",
        operators,
        "young = np.flatnonzero(begun.at[:-1] > at - c.wait)",
        "young = np.flatnonzero(begun.at[:-1] >= at - c.wait)",
    ),
    "dropped tie-break: an end at the instant of the beginning does not end it": (
        "started",
        operators,
        "holds = latest > (last_end if c.within is None",
        "holds = latest >= (np.maximum(last_end, EVER + 1) if c.within is None",
    ),
    "wrong edge: steps of a sequence may be at one instant": (
        "sequence",
        operators,
        "other.at[:-1] - 1) - 1",
        "other.at[:-1]) - 1",
    ),
    "wrong edge: the span of a sequence leaves out its last instant": (
        "sequence",
        operators,
        "before.at[:-1] - begun[:-1] <= c.span",
        "before.at[:-1] - begun[:-1] < c.span",
    ),
    "lost condition: what must not lie between may": (
        "sequence",
        operators,
        "completes &= _last_before(without, before) <= begun[:-1]",
        "pass",
    ),
    "lost condition: strict is not": ("sequence", operators, "if c.strict:", "if False:"),
    "dropped tie-break: equal values count as different": (
        "measured",
        operators,
        "leaves[order[:-1][same]] = ",
        "_ = ",
    ),
    "wrong edge: a pause must be longer than it is": ("resumed", operators, ">= c.pause", "> c.pause"),
    "off by one: a period more is looked at": (
        "regularly",
        operators,
        "np.arange(c.of_last) * c.every",
        "(np.arange(c.of_last) + 1) * c.every",
    ),
    "wrong edge: stopped begins an instant late": ("stopped", operators, "(begins <= at)", "(begins < at)"),
    "lost negation: not is carried half": (
        "",
        kernel,
        "return self.condition(c.part, negate=not negate)",
        "return self.condition(c.part, negate=True)",
    ),
    "lost negation: not all is none": (
        "",
        kernel,
        "join = every if isinstance(c, All) is not negate else some",
        "join = every if isinstance(c, All) else some",
    ),
}

quickly = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=150,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
"""As many histories as it takes, up to so many; a mistake is to be found, not to be explained."""


@contextmanager
def planted(module: ModuleType, right: str, wrong: str) -> Iterator[None]:
    """The module with a mistake in it, its functions made anew in place: all who call them meet the mistake."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    assert source.count(right) == 1, "the line that was to be spoilt is there once"
    try:
        exec(compile(source.replace(right, wrong), str(module.__file__), "exec"), module.__dict__)
        yield
    finally:
        exec(compile(source, str(module.__file__), "exec"), module.__dict__)


def holds_true(law: Any, programs: Any, *drawn: Any) -> None:
    """Put a law to its random histories, with the kernel as it is now."""
    inner = law.hypothesis.inner_test
    judged = sys.modules[inner.__module__]
    before, judged.judge = judged.judge, kernel.judge  # type: ignore[attr-defined]
    try:
        quickly(given(programs, h.crowds(30), h.moments, h.watermarks, *drawn)(inner))()
    finally:
        judged.judge = before  # type: ignore[attr-defined]


def both(operator: str) -> None:
    """Put both laws to programs of one operator, or of all."""
    programs = h.programs_of(operator) if operator else h.programs()
    holds_true(laws.test_the_kernel_says_what_the_oracle_says, programs)
    holds_true(laws.test_nothing_changes_before_until_and_below_waits, programs, st.data())


@pytest.mark.parametrize("what", MISTAKES)
def test_a_planted_mistake_breaks_a_law(what: str) -> None:
    operator, module, right, wrong = MISTAKES[what]
    with planted(module, right, wrong), pytest.raises(AssertionError):
        both(operator)
