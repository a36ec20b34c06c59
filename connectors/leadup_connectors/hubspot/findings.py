"""How findings of ``leadup doctor`` about HubSpot are told."""

from __future__ import annotations

from typing import Final

from leadup.errors import BudgetSpent, LeadupError, TryLater
from leadup.outgoing import Finding, Grade

TOMORROW: Final = "nothing: it goes on after midnight; if that happens often, look what else makes calls there"
"""What to do when the calls of the day are spent."""
_PASSES: Final = "nothing if it passes, since it is tried again"


def graded(name: str, grade: Grade, text: str, todo: str = "") -> Finding:
    """A finding, in one line."""
    return Finding(name=name, grade=grade, text=text, todo=todo)


def of_error(name: str, error: LeadupError) -> Finding:
    """An error as a finding: what happened, and what to do."""
    text, _, todo = str(error).partition("\n  What to do: ")
    if isinstance(error, BudgetSpent):
        return graded(name, Grade.WARNING, text, TOMORROW)
    passes = isinstance(error, TryLater) and name != "network"
    return graded(name, Grade.UNKNOWN if passes else Grade.PROBLEM, text, todo or (_PASSES if passes else ""))
