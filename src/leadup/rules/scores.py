"""Scores: sums of points that decay by half-lives, in steps of whole seconds.

The age of a signal is counted to the last whole second not after the moment of judging, and is at least 0; from ten
half-lives on a signal gives nothing. So a person's score is a function of the whole second alone and crosses a
threshold on a whole second exactly. By itself it falls; it rises only when negative points are forgotten. Thresholds
are positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from leadup.rules.occurrences import Occurrences, past
from leadup.rules.program import Points, Score, ScoreIs
from leadup.rules.verdicts import Instants, Mask, Verdicts, absent, every, known, some
from leadup.types import EVER, NEVER

Values = npt.NDArray[np.float64]
_Held: TypeAlias = tuple[float, Instants, Instants]
"""Of a pattern: the points of a signal, and of each signal that counts its owner (a place among the persons who are
looked at) and its instant."""

SECOND: Final = 1_000_000
HALF_LIVES: Final = 10
"""How far a score looks back."""
_MANY: Final = 8
"""Of more persons than an eighth of all, signals are found by a look at every one."""
_GUIDED: Final = 6
"""Probes that decay tells, before bounds are halved."""
_LEAST: Final = 1e-9
_NEVER: Final = NEVER // SECOND
"""The last whole second there is."""


class Scoring:
    """One score of every person at the moment of judging, and what becomes of it."""

    def __init__(self, score: Score, occurrences: Sequence[Occurrences], persons: int, *, at: int) -> None:
        """``occurrences``: those of each of the score's points, in their order."""
        self._score = score
        self._parts: tuple[tuple[Points, Occurrences], ...] = tuple(zip(score.points, occurrences, strict=True))
        self._at = at
        self._lookback = HALF_LIVES * score.half_life
        self._now = np.full(persons, at // SECOND)
        everyone = np.arange(persons)
        self._everyone = [self._of_everyone(points, done) for points, done in self._parts]
        self.value: Values = self._sum(self._everyone, self._now)
        # Until then the score can only fall: neither a signal dated ahead nor the end of negative points lifts it.
        rises = self._forgets(everyone, self._now, None)
        self._wake: Instants = np.where(rises < _NEVER, rises * SECOND, NEVER)
        for done in occurrences:
            if done.wake is not None:
                np.minimum(self._wake, done.wake, out=self._wake)
        self._reached: dict[float, tuple[Mask, Instants]] = {}

    def judge(self, c: ScoreIs, *, watermark: int, negate: bool = False) -> Verdicts:
        """The score lies in ``[low, high)``. That it lies below a bound rests on absence."""
        parts = [self._at_least(c.low, watermark, negate=negate)]
        if c.high is not None:
            parts.append(self._at_least(c.high, watermark, negate=not negate))
        return (some if negate else every)(parts, len(self.value))

    def next_tier(self) -> Instants:
        """Return when the score falls out of its tier by itself; it has then reached the next lower one, or none."""
        thresholds = np.array([threshold for _, threshold in self._score.tiers])
        tier = np.zeros(len(self.value), np.intp)
        for threshold in thresholds:  # they are few, and ascend
            tier += self.value >= threshold
        who = np.flatnonzero(tier)
        until = self._wake.copy()
        falls = self._falls(who, self._now[who], None, self.value[who], thresholds[tier[who] - 1])
        until[who] = np.minimum(until[who], falls * SECOND)
        return until

    def _at_least(self, threshold: float, watermark: int, *, negate: bool) -> Verdicts:
        holds, until = self._reaches(threshold)
        if negate:
            return absent(~holds, until, self._fell(threshold, ~holds, watermark), watermark)
        return known(holds, until)

    def _reaches(self, threshold: float) -> tuple[Mask, Instants]:
        if threshold not in self._reached:
            holds, until = self.value >= threshold, self._wake.copy()
            who = np.flatnonzero(holds)
            falls = self._falls(who, self._now[who], None, self.value[who], np.full(len(who), threshold))
            until[who] = np.minimum(until[who], falls * SECOND)
            self._reached[threshold] = holds, until
        return self._reached[threshold]

    def _values(self, who: Instants, second: Instants, cut: Instants | None) -> Values:
        """Return the scores of the persons ``who``, each at his own whole second.

        ``cut``: signals after it are not seen. Each person's sum is made in the order of the points, and of the
        instants within them, so that no other person and no order of input can change its last bit.
        """
        return self._sum(self._held(who, cut), second)

    def _of_everyone(self, points: Points, done: Occurrences) -> _Held:
        # By rows, of which there are fewer than persons: most of them never did most things.
        if points.at_most is None:
            return points.points, done.person, done.at[:-1]
        counts = np.arange(done.rows) >= (done.end - points.at_most)[done.person]
        return points.points, done.person[counts], done.at[:-1][counts]

    def _held(self, who: Instants, cut: Instants | None) -> list[_Held]:
        """Return the signals that count, for a search that asks for the scores at many seconds."""
        held: list[_Held] = []
        if cut is None and len(who) > len(self._now) // _MANY:
            place = np.full(len(self._now), -1)
            place[who] = np.arange(len(who))
            for worth, owner, at in self._everyone:
                mine = np.flatnonzero(place[owner] >= 0)
                held.append((worth, place[owner[mine]], at[mine]))
            return held
        for points, done in self._parts:
            begin, end = self._counted(points, done, who, cut)
            count = end - begin
            some_ = np.flatnonzero(count > 0)
            count = count[some_]
            owner = np.repeat(some_, count)
            row = np.arange(len(owner)) + np.repeat(end[some_] - np.cumsum(count), count)
            held.append((points.points, owner, done.at[row]))
        return held

    def _sum(self, held: Sequence[_Held], second: Instants) -> Values:
        total, instant = np.zeros(len(second)), second * SECOND
        for points, owner, at in held:
            age = instant[owner]
            age -= at
            np.maximum(age, 0, out=age)
            worth = age / self._score.half_life
            np.exp2(np.negative(worth, out=worth), out=worth)
            worth *= points
            worth *= age < self._lookback
            total += np.bincount(owner, worth, minlength=len(second))
        return total

    def _counted(
        self, points: Points, done: Occurrences, who: Instants, cut: Instants | None
    ) -> tuple[Instants, Instants]:
        begin, end = done.begin[who], done.end[who]
        if cut is not None:
            end = past(done.at, begin, end, cut)
        return (begin if points.at_most is None else np.maximum(begin, end - points.at_most)), end

    def _latest(self, who: Instants, cut: Instants | None) -> Instants:
        """Return the last instant, of all the score's patterns, not after ``cut``; ``EVER`` if there is none."""
        latest = np.full(len(who), EVER)
        for _, done in self._parts:
            begin, end = done.begin[who], done.end[who]
            if cut is not None:
                end = past(done.at, begin, end, cut)
            np.maximum(latest, done.at[np.where(end > begin, end - 1, done.rows)], out=latest)
        return latest

    def _forgets(self, who: Instants, second: Instants, cut: Instants | None) -> Instants:
        """Return the next whole second after ``second`` at which a signal with negative points is forgotten."""
        forgets = np.full(len(who), _NEVER)
        for points, done in self._parts:
            if points.points < 0:
                begin, end = self._counted(points, done, who, cut)
                first = past(done.at, begin, end, second * SECOND - self._lookback)
                np.minimum(forgets, self._forgotten(done.at[first]), out=forgets, where=first < end)
        return forgets

    def _forgot(self, who: Instants, limit: Instants) -> Instants:
        """Return the last instant, not after ``limit``, at which a signal with negative points was forgotten."""
        forgot = np.full(len(who), EVER)
        for points, done in self._parts:
            if points.points < 0:
                horizon = limit // SECOND * SECOND - self._lookback
                last = past(done.at, done.begin[who], done.end[who], horizon) - 1
                np.maximum(forgot, self._forgotten(done.at[last]) * SECOND, out=forgot, where=last >= done.begin[who])
        return forgot

    def _forgotten(self, at: Instants) -> Instants:
        """Return the first whole second at which a signal of that instant counts no more."""
        return -(-(at + self._lookback) // SECOND)

    def _falls(
        self, who: Instants, second: Instants, cut: Instants | None, value: Values, threshold: Values
    ) -> Instants:
        """Return the first whole second after ``second`` at which a score that reaches ``threshold`` does not.

        ``value``: the score at ``second``.
        Found by bisection with the very sums that will be judged then. Pure decay tells where to look: from a value
        above the threshold when it would get there, from one below when it was there. So two probes are enough unless
        signals are forgotten in between, and a few more draw the bounds so near that halving ends soon.
        What it would be after negative points are forgotten is not looked at: then that second is the answer.
        """
        if not len(who):
            return second
        low = second.copy()
        high = np.minimum(self._forgotten(self._latest(who, cut)), self._forgets(who, second, cut))
        half_life = self._score.half_life / SECOND
        guess = low + np.floor(np.log2(value / threshold) * half_life).astype(np.int64)
        open_, held, guided = np.arange(len(who)), self._held(who, cut), _GUIDED
        while len(still := np.flatnonzero(high - low > 1)):
            if len(still) < len(open_):
                open_, held = still, self._held(who[still], None if cut is None else cut[still])
            bottom, top = low[open_], high[open_]
            middle = np.clip(guess[open_], bottom + 1, top - 1) if guided > 0 else (bottom + top) >> 1
            guided -= 1
            found = self._sum(held, middle)
            reaches = found >= threshold[open_]
            low[open_[reaches]] = middle[reaches]
            high[open_[~reaches]] = middle[~reaches]
            if guided > 0:  # nothing is left of a score only where nothing is left to find
                left = np.log2(np.maximum(found, _LEAST) / threshold[open_]) * half_life
                guess[open_] = middle + np.floor(left).astype(np.int64)
        return high

    def _fell(self, threshold: float, below: Mask, watermark: int) -> Instants:
        """Return, of those ``below``, when decay took them there.

        ``EVER`` where that was not after ``watermark``, and where it was a signal with negative points that did: for
        that is something that happened. The score rises only at signals, and when negative points are forgotten: so
        it is looked at there, from the latest back to the watermark.
        """
        fell = np.full(len(below), EVER)
        if watermark >= self._at:
            return fell
        most = np.zeros(len(below))
        for points, done in self._parts:
            count = done.count
            most += max(points.points, 0.0) * (count if points.at_most is None else np.minimum(count, points.at_most))
        who = np.flatnonzero(below & (most >= threshold * (1 - 1e-9)))
        limit, later = np.full(len(who), self._at), np.full(len(who), NEVER)
        while len(who):
            change = np.maximum(self._latest(who, limit), self._forgot(who, limit))
            seen = np.maximum(change, watermark)
            value = self._values(who, seen // SECOND, seen)
            reached = value >= threshold
            found, at = who[reached], seen[reached]
            falls = self._falls(found, at // SECOND, at, value[reached], np.full(len(found), threshold)) * SECOND
            fell[found] = np.where(falls <= later[reached], falls, EVER)
            further = ~reached & (change > watermark)
            who, later, limit = who[further], seen[further], seen[further] - 1
        return fell
