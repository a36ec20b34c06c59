"""When something held, as spans of time, and what that says at an instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from leadup.rules.occurrences import in_order
from leadup.rules.verdicts import Instants, Mask, Verdicts, absent, known
from leadup.types import EVER, NEVER

_ROUNDED: Final = 1e-9
"""How much a sum in floating point may be off, with room to spare."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans of persons 0 to ``persons - 1``, each from ``begin`` up to and without ``end``.

    In order of person and instant; those of one person neither overlap nor touch.
    """

    person: Instants
    begin: Instants
    end: Instants
    persons: int

    def verdicts(
        self, wake: Instants | None, *, at: int, watermark: int, negate: bool = False, by_absence: bool = False
    ) -> Verdicts:
        """Return whether ``at`` lies in a span, until the next one begins or this one ends.

        The opposite rests on absence; that it does, only if ``by_absence`` says so. ``wake`` is the instant of the
        next signal that is not looked at yet (:attr:`leadup.rules.occurrences.Occurrences.wake`).
        """
        holds: Mask = np.zeros(self.persons, bool)
        until, since = np.full(self.persons, NEVER), np.full(self.persons, EVER)
        # Of equal indices the last assignment stays: the latest span that ended, the earliest that has not begun.
        ended, ahead = np.flatnonzero(self.end <= at), np.flatnonzero(self.begin > at)[::-1]
        since[self.person[ended]], until[self.person[ahead]] = self.end[ended], self.begin[ahead]
        now = np.flatnonzero((self.begin <= at) & (at < self.end))
        who = self.person[now]
        holds[who], since[who], until[who] = True, self.begin[now], self.end[now]
        if wake is not None:
            until = np.minimum(until, wake)
        return absent(holds != negate, until, since, watermark) if negate or by_absence else known(holds, until)


def together(person: Instants, begin: Instants, end: Instants, weight: Instants, level: int, persons: int) -> Spans:
    """Return when the weights of spans, which may overlap, add up to ``level`` or more; it is above 0.

    Sums are integers of 64 bits, so that they come out the same in whatever order they are taken; in between they
    may run over, for what runs over runs back.
    """
    if len(weight) and weight.min() >= 0:
        # Whoever has too little in all never has enough, which most have: they need no sorting.
        rich = (np.bincount(person, weight) >= level * (1 - _ROUNDED))[person]
        person, begin, end, weight = person[rich], begin[rich], end[rich], weight[rich]
    who, when = np.concatenate((person, person)), np.concatenate((begin, end))
    never = when.max(where=when < NEVER, initial=EVER) + 1  # near enough for person and instant to fit into one number
    order = in_order(who, np.minimum(when, never))
    who, when = who[order], when[order]
    total = np.cumsum(np.concatenate((weight, -weight))[order])  # of one person they end at 0
    last = np.ones(len(who), bool)  # of equal instants, the sum after all of them counts
    last[:-1] = (who[1:] != who[:-1]) | (when[1:] != when[:-1])
    enough = total[last] >= level
    turns = np.flatnonzero(np.diff(enough, prepend=False))  # to enough and from enough, in turn
    who, when = who[last][turns], when[last][turns]
    return Spans(who[::2], when[::2], when[1::2], persons)
