"""Signals of one pattern as arrays: each person's instants in order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from leadup.rules.verdicts import Instants, Mask, sooner
from leadup.types import EVER, NEVER


@dataclass(frozen=True)
class Occurrences:
    """What persons 0 to ``persons - 1`` did of one pattern up to the moment of judging, each occurrence once.

    Rules share them and all that they return: read only.
    """

    at: Instants
    """Ascending within a person. One ``EVER`` more at the very end, so that "no such row" has a place to point to."""
    person: Instants
    """The person of each row, ascending."""
    persons: int
    wake: Instants | None
    """Of each person, the next signal dated after the moment of judging, which no condition sees yet. ``None`` if
    nobody has one."""
    value: npt.NDArray[Any] = field(default_factory=lambda: np.zeros(0))
    """What is measured of each row: a number, or a code that is equal for equal texts. Empty if nothing is."""
    _latest: dict[int, Instants] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def count(self) -> Instants:
        """How many each person has."""
        return np.bincount(self.person, minlength=self.persons)

    @cached_property
    def _starts(self) -> Instants:
        return np.append(0, np.cumsum(self.count))

    @property
    def begin(self) -> Instants:
        """Of each person, the pointer to the first: his are ``at[begin:end]``."""
        return self._starts[:-1]

    @property
    def end(self) -> Instants:
        """Of each person, the pointer past the last."""
        return self._starts[1:]

    @property
    def rows(self) -> int:
        """How many there are, of all persons."""
        return len(self.person)

    def latest(self, n: int) -> Instants:
        """Return each person's n-th latest instant; ``EVER`` where there are fewer."""
        if n not in self._latest:
            latest = np.full(self.persons, EVER)
            if n == 1:
                latest[self.person] = self.at[:-1]  # of equal indices the last assignment stays
            else:
                enough = np.flatnonzero(self.count >= n)
                latest[enough] = self.at[self.end[enough] - n]
            self._latest[n] = latest
        return self._latest[n]

    def later(self, lag: int, *, at: int) -> Occurrences:
        """Return what there would be at the instant ``at``, had each happened ``lag`` later.

        A window that ends ``lag`` ago holds of these what one that ends now holds of those.
        """
        moved = self.at[:-1] + lag
        young = np.flatnonzero(moved > at)[::-1]
        wake = np.full(self.persons, NEVER)
        wake[self.person[young]] = moved[young]  # of equal indices the last assignment stays: that of the earliest
        seen = moved <= at
        there = self.only(seen)
        return replace(there, at=np.append(moved[seen], EVER), wake=sooner(self.wake, wake))

    def only(self, mask: Mask) -> Occurrences:
        """Keep the rows of ``mask``."""
        value = self.value[mask] if len(self.value) else self.value
        return Occurrences(np.append(self.at[:-1][mask], EVER), self.person[mask], self.persons, self.wake, value)


def past(at: Instants, begin: Instants, end: Instants, instant: Instants | int) -> Instants:
    """Return, for many slices ``at[begin:end]`` at once, the pointer past their last row not after ``instant``.

    A binary search in step: as many rounds as the longest slice has binary digits, each of the slices still open.
    """
    found = begin.copy()
    slices = np.flatnonzero(begin < end)
    low, high = begin[slices], end[slices]
    wanted = instant if isinstance(instant, int) else instant[slices]
    while len(slices):
        middle = (low + high) >> 1
        right = at[middle] <= wanted
        low, high = np.where(right, middle + 1, low), np.where(right, high, middle)
        found[slices] = low
        open_ = np.flatnonzero(low < high)
        slices, low, high = slices[open_], low[open_], high[open_]
        if not isinstance(wanted, int):
            wanted = wanted[open_]
    return found


def in_order(person: Instants, at: Instants) -> npt.NDArray[np.intp]:
    """Return the order of rows by person and instant; equal ones in any order."""
    earliest = int(at.min(initial=NEVER))
    span = int(at.max(initial=EVER)) - earliest + 1
    if (int(person.max(initial=0)) + 1) * span < 2**63:  # both fit into one number, which sorts four times as fast
        return np.argsort(person * span + (at - earliest))
    return np.lexsort((at, person))


def first_of_each(person: Instants, at: Instants, same_within: int) -> Instants:
    """Return, for rows in order of person and instant, the row each one counts with: the first of its occurrence.

    A row closer than ``same_within`` to the last row that counted counts with that one.
    """
    rows = np.arange(len(at))
    if not len(at) or same_within <= 0:
        return rows
    # A row far enough from the one before it counts whatever came earlier, so each run of close rows stands alone.
    counts = np.ones(len(at), bool)
    counts[1:] = (person[1:] != person[:-1]) | (at[1:] - at[:-1] >= same_within)
    if counts.all():
        return rows
    begin = np.flatnonzero(counts)
    end = np.append(begin[1:], len(at))
    while len(begin):
        begin = past(at, begin + 1, end, at[begin] + (same_within - 1))
        inside = begin < end
        begin, end = begin[inside], end[inside]
        counts[begin] = True
    return np.maximum.accumulate(np.where(counts, rows, 0))
