"""What must agree in a ladder: its steps, what each is worth, and how long an episode may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from leadup.errors import Problem
from leadup.rules import durations, model
from leadup.rules.conversions import Conversion
from leadup.rules.names import Loaded
from leadup.rules.source import Path
from leadup.rules.suggest import did_you_mean
from leadup.types import Money

RESERVE: Final = 2 * durations.UNITS["d"]
"""An episode ends so long before a vendor stops taking new values: time to take its value back."""

Patterns = Mapping[str, model.Pattern]


def errors(files: Sequence[Loaded], patterns: Patterns, limits: Mapping[str, int]) -> Iterator[Problem]:
    """Yield what is wrong with ladders. ``limits``: by connection, how long a conversion's value can be changed."""
    for file in files:
        for name, it in file.rules.conversions.items():
            if it.ladder is not None:
                yield from _steps(file, name, it, it.ladder)
                yield from _amounts(file, name, it, it.ladder, patterns)
                yield from _length(file, name, it, limits)


def warnings(files: Sequence[Loaded], patterns: Patterns) -> Iterator[Problem]:
    """Yield what is allowed in a ladder and probably not meant."""
    for file in files:
        for name, it in file.rules.conversions.items():
            fixed = [
                (step, worth) for step in it.ladder or () if isinstance(worth := _worth(it, step, patterns), Money)
            ]
            for (before, less), (step, more) in pairwise(fixed):
                if more.currency == less.currency and more.minor < less.minor:
                    text = f'"{step}" is worth less ({more}) than the step before it, "{before}" ({less}).'
                    path: Path = ("conversions", name, "ladder", (it.ladder or []).index(step))
                    yield file.document.problem(path, text, "a step nearer to the goal is worth more")


def _steps(file: Loaded, name: str, it: Conversion, steps: Sequence[str]) -> Iterator[Problem]:
    for index, step in enumerate(steps):
        if step in steps[:index]:
            path: Path = ("conversions", name, "ladder", index)
            yield file.document.problem(path, f'"{step}" is already a step of ladder "{name}".', "a step is there once")
    if it.lost in steps:
        text = f'"{it.lost}" is a step of ladder "{name}", and can not be what ends it as well.'
        yield file.document.problem(("conversions", name, "lost"), text)
    for step in it.value if isinstance(it.value, dict) else ():
        if step not in steps:
            hint = did_you_mean(step, steps) or f"steps: {', '.join(steps)}"
            text = f'Ladder "{name}" has no step "{step}".'
            yield file.document.problem(("conversions", name, "value", step), text, hint, at_key=True)


def _amounts(file: Loaded, name: str, it: Conversion, steps: Sequence[str], patterns: Patterns) -> Iterator[Problem]:
    """Each step must be worth something, and amounts that the rules state must have one currency."""
    first: tuple[str, str] | None = ("its `cap`", it.cap.currency) if it.cap else None
    for index, step in enumerate(steps):
        worth = _worth(it, step, patterns)
        own = isinstance(it.value, dict) and step in it.value
        path: Path = ("conversions", name, "value", step) if own else ("conversions", name, "ladder", index)
        if worth is None and step in patterns:
            hint = f"write it under `value`: {{{step}: 4 EUR}}, or give {step} a `value` of its own"
            yield file.document.problem(path, f'Step "{step}" has no amount.', hint)
        if isinstance(worth, Money):
            what, currency = first = first or (f'"{step}"', worth.currency)
            if worth.currency != currency:
                text = f'"{step}" is worth {worth}, and {what} is in {currency}.'
                yield file.document.problem(path, text, "the amounts of a ladder have one currency")


def _worth(it: Conversion, step: str, patterns: Patterns) -> Money | model.ValueOf | None:
    """What the rules say that a step is worth; None: nothing, or the step is not known."""
    own = it.value.get(step) if isinstance(it.value, dict) else None
    return own or (patterns[step].value if step in patterns else None)


def _length(file: Loaded, name: str, it: Conversion, limits: Mapping[str, int]) -> Iterator[Problem]:
    for activation in it.activate or ():
        to = activation if isinstance(activation, str) else activation.to
        if to in limits and (it.episode or 0) > limits[to] - RESERVE:
            text = f"The episode is too long for {to}: {durations.show(limits[to] - RESERVE)} at most."
            why = f"{to} takes new values of a conversion for {durations.show(limits[to])}, and the last takes 2 days"
            yield file.document.problem(("conversions", name, "episode"), text, why)
