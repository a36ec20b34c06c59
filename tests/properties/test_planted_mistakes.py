"""The laws see mistakes: each of these, planted in the operators, the kernel or the fold, breaks one of them.

The list says what was planted, with which operator it shows (none: any), in which module, and the two forms.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
import test_kernel_laws as laws
import test_many_histories as many
import test_membership_laws as memberships
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import histories as h
import lives
from leadup import membership
from leadup.engine import kernel
from leadup.rules import occurrences, operators, scores, visits
from leadup.rules.program import Program

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
    "wrong edge: a range leaves out the instant it ends at": (
        "did",
        occurrences,
        "seen = moved <= at",
        "seen = moved < at",
    ),
    "wrong edge: a visit goes on after exactly the pause": (
        "visits",
        visits,
        "(np.diff(at) >= pause)",
        "(np.diff(at) > pause)",
    ),
    "off by one: the first visit counts as a return": (
        "visits",
        visits,
        "begins[self.seen.begin[self.seen.count > 0]] = False",
        "begins[self.seen.begin[self.seen.count > 0]] = True",
    ),
    "off by one: one signal more than at_most gives points": (
        "score",
        scores,
        "counts = np.arange(done.rows) >= (done.end - points.at_most)[done.person]",
        "counts = np.arange(done.rows) >= (done.end - points.at_most - 1)[done.person]",
    ),
    "lost condition: exclude takes nobody out": (
        "",
        kernel,
        "excluded, holds = ~clear.holds, holds & clear.holds",
        "excluded, holds = ~clear.holds, holds",
    ),
    "lost condition: settle waits for nothing": ("", kernel, "max(mark - later, EVER)", "mark"),
    "too late: whoever settles is said to wait for an earlier watermark, or a later one": (
        "",
        kernel,
        "verdicts.waits + (settle - self._settle)",
        "verdicts.waits + 2 * (settle - self._settle)",
    ),
    "dropped tie-break: of two that happened last at one instant the one named last is told": (
        "",
        kernel,
        "later = done.latest(1) > at",
        "later = done.latest(1) >= at",
    ),
    "too late: what is dated ahead is not waited for by what tells of the last": (
        "",
        kernel,
        "until = until if done.wake is None else np.minimum(until, done.wake)",
        "pass",
    ),
    "wrong edge: stay_at_least keeps an instant longer": ("", membership, "(ends > at)", "(ends >= at)"),
    "lost condition: stay_at_least keeps the excluded": (
        "",
        membership,
        "kept = ~holds & ~excluded & ",
        "kept = ~holds & ",
    ),
    "dropped tie-break: two segments of a group have one person": (
        "",
        membership,
        "holds, entered = claims[name] & ~outdone,",
        "holds, entered = claims[name],",
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
    """The module with a mistake in it. Its functions get other code and stay themselves: all who call them meet it."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    assert source.count(right) == 1, "the line that was to be spoilt is there once"
    spoilt = ModuleType(module.__name__)
    with patched(sys.modules, module.__name__, spoilt):  # dataclasses look for the module they are made in
        exec(compile(source.replace(right, wrong), str(module.__file__), "exec"), spoilt.__dict__)
    before = [(mine, mine.__code__) for mine, _ in functions(module, spoilt)]
    try:
        for mine, theirs in functions(module, spoilt):
            mine.__code__ = theirs.__code__
        yield
    finally:
        for mine, code in before:
            mine.__code__ = code


@contextmanager
def patched(mapping: Any, key: str, value: Any) -> Iterator[None]:
    before = mapping[key]
    mapping[key] = value
    try:
        yield
    finally:
        mapping[key] = before


def functions(one: Any, other: Any) -> Iterator[tuple[FunctionType, FunctionType]]:
    """The functions and methods of a module, side by side with those of its twin."""
    for name, mine in vars(one).items():
        theirs = vars(other).get(name)
        if isinstance(mine, FunctionType) and mine.__module__ == getattr(one, "__module__", one.__name__):
            if mine.__code__.co_filename == theirs.__code__.co_filename:  # not one that a decorator wrote
                yield mine, theirs
        elif isinstance(one, ModuleType) and isinstance(mine, type) and mine.__module__ == one.__name__:
            yield from functions(mine, theirs)


def holds_true(law: Any, *drawn: Any) -> None:
    """Put a law to its random histories."""
    quickly(given(*drawn)(law.hypothesis.inner_test))()


def put(what: str) -> None:
    """Put the law that a mistake breaks to programs of its operator, or of all."""
    operator = MISTAKES[what][0]
    judged = h.programs_of(operator) if operator else h.programs(), h.crowds(30), h.moments, h.watermarks
    match law_of(what):
        case "memberships":
            histories = st.lists(memberships.moments, min_size=1, max_size=12)
            holds_true(memberships.test_memberships_are_a_fold_of_the_verdicts, memberships.programs(), histories)
        case "until":
            holds_true(laws.test_nothing_changes_before_until_and_below_waits, *judged, st.data())
            quickly(given(st.tuples(judged[0], judged[0]), st.integers(0, 2**32))(in_many_lives))()
        case _:
            holds_true(laws.test_the_kernel_says_what_the_oracle_says, *judged)
            quickly(given(st.tuples(judged[0], judged[0]), st.integers(0, 2**32))(in_many_lives))()


def in_many_lives(programs: tuple[Program, Program], number: int) -> None:
    many.follow(lives.story(programs, number, 64))


def law_of(what: str) -> str:
    """The law that a mistake breaks: what a fold does, what is said until when, or what is said at all."""
    if MISTAKES[what][1] is membership:
        return "memberships"
    return "until" if what.startswith("too late") else "verdicts"


@pytest.mark.parametrize("what", MISTAKES)
def test_a_planted_mistake_breaks_a_law(what: str) -> None:
    _, module, right, wrong = MISTAKES[what]
    with planted(module, right, wrong), pytest.raises(AssertionError):
        put(what)


def test_the_docs_list_them() -> None:
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "laws.md").read_text(encoding="utf-8")
    rows = [f"| {what} | {MISTAKES[what][0] or 'any'} | {law_of(what)} |" for what in MISTAKES]
    assert page[page.index("| mistake |") :].splitlines()[2:] == rows
