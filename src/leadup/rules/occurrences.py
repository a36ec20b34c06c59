"""Signals of one pattern as arrays: each person's instants in order, and pointers to where they begin."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from leadup.rules.verdicts import Instants, Mask
from leadup.types import EVER


@dataclass(frozen=True)
class Occurrences:
    """What persons 0 to P - 1 did of one pattern up to the moment of judging, each occurrence once."""

    at: Instants
    """Ascending within a person. One ``EVER`` more at the very end, so that "no such row" has a place to point to."""
    starts: Instants
    """P + 1 pointers: those of person p are ``at[starts[p]:starts[p + 1]]``."""
    wake: Instants | None
    """P instants: the person's next signal dated after the moment of judging, which no condition sees yet. ``None``
    if nobody has one."""
    _latest: dict[int, Instants] = field(default_factory=dict, init=False, repr=False)

    @property
    def begin(self) -> Instants:
        """Of each person, the pointer to the first."""
        return self.starts[:-1]

    @property
    def end(self) -> Instants:
        """Of each person, the pointer past the last."""
        return self.starts[1:]

    @property
    def rows(self) -> int:
        """How many there are, of all persons."""
        return len(self.at) - 1

    @property
    def persons(self) -> int:
        """How many persons."""
        return len(self.starts) - 1

    @cached_property
    def count(self) -> Instants:
        """How many each person has."""
        return np.diff(self.starts)

    @cached_property
    def person(self) -> Instants:
        """The person of each row."""
        return np.repeat(np.arange(self.persons), self.count)

    def latest(self, n: int) -> Instants:
        """Return each person's n-th latest instant; ``EVER`` where there are fewer. Rules share one array: read it."""
        if n not in self._latest:
            self._latest[n] = np.full(self.persons, EVER)
            enough = np.flatnonzero(self.count >= n)  # most persons never did most things
            self._latest[n][enough] = self.at[self.end[enough] - n]
        return self._latest[n]

    def only(self, mask: Mask) -> Occurrences:
        """Keep the rows of ``mask``."""
        starts = np.concatenate(([0], np.cumsum(mask)))[self.starts]
        return Occurrences(np.append(self.at[:-1][mask], EVER), starts, self.wake)


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
    begin = np.flatnonzero(counts)
    end = np.append(begin[1:], len(at))
    while len(begin):
        begin = past(at, begin + 1, end, at[begin] + (same_within - 1))
        inside = begin < end
        begin, end = begin[inside], end[inside]
        counts[begin] = True
    return np.maximum.accumulate(np.where(counts, rows, 0))
