"""Families of error. The class says what the engine does next; the text says what the person does next."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta


class LeadupError(Exception):
    """Base of all errors that leadup raises on purpose. ``exit_code`` is the command line's."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file, at a place a person can go to."""

    file: str
    line: int
    """1-based."""
    column: int
    """1-based."""
    message: str
    hint: str = ""
    source: str = ""
    """The text of the line."""
    width: int = 1
    """How many characters the caret underlines."""

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: {self.message}"
        if self.source:
            gutter = f"{self.line:>5} | "
            caret = " " * (len(gutter) - 2) + "| " + " " * (self.column - 1) + "^" * max(self.width, 1)
            text += f"\n{gutter}{self.source}\n{caret}"
        return f"{text}\n  {self.hint}" if self.hint else text


class RuleError(LeadupError):
    """Rule files that do not load. All problems found are given at once. The engine keeps the last good rules."""

    exit_code = 3

    def __init__(self, problems: Sequence[Problem], *, watched: Sequence[str] = ()) -> None:
        self.problems = tuple(problems)
        self.watched = tuple(watched)
        """Paths of the files beside the rule files that may have to change before these load."""
        super().__init__("\n".join(str(problem) for problem in problems))


class SettingsError(LeadupError):
    """A setting is missing or wrong. The text names every place that was looked in."""

    exit_code = 4


class TryLater(LeadupError):
    """The vendor can not answer now (rate limit, 5xx, cut line). The engine tries again by itself.

    ``nothing_done``: it is sure that nothing was done. Else it may have been, and the next try may find its work.
    """

    exit_code = 5

    def __init__(self, message: str, *, retry_after: timedelta | None = None, nothing_done: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.nothing_done = nothing_done


class BudgetSpent(TryLater):
    """The vendor takes no more calls from this account today: nothing was done, unless the error says otherwise.

    The engine sends it nothing more before the account's day ends (see :class:`leadup.kit.Budgeted`).
    """

    def __init__(self, message: str, *, retry_after: timedelta | None = None, nothing_done: bool = True) -> None:
        super().__init__(message, retry_after=retry_after, nothing_done=nothing_done)


class NeedsHuman(LeadupError):
    """Nothing helps until a person acts (bad token, missing scope, terms not signed).

    The engine holds the target, tries again rarely, and shows ``todo`` in ``leadup status``.
    """

    exit_code = 6

    def __init__(self, message: str, *, todo: str) -> None:
        super().__init__(f"{message}\n  What to do: {todo}")
        self.todo = todo


class NotOffered(NeedsHuman):
    """The vendor's plan, or what the token may do, does not include what the rules ask for. All else works.

    Nothing is lost: the rows wait, and the target is tried again once a day. It is told once; from then on ``leadup
    status`` and ``leadup doctor`` show it, and ``leadup sync`` counts it as no failure.
    """


class Refused(LeadupError):
    """The vendor will never take this. The engine closes the rows with the reason, but for leaves, and goes on."""

    exit_code = 7

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class Busy(LeadupError):
    """Another process holds the state. The text says which, and since when."""

    exit_code = 8


def unforeseen(error: Exception) -> str:
    """Say where something went wrong that nobody has foreseen; never its text, which may quote a person's data."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"Unexpected {type(error).__name__} in {frame.name} ({frame.filename}:{frame.lineno}).\n"
        "  What to do: report this to whoever maintains the connector, or leadup; it is tried again by itself."
    )


class TurnedAway(LeadupError):
    """A request that a connector's collector does not take. The sender is answered ``status`` (HTTP) and the text."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
