"""The operators over occurrences. Each answers for every person at once; ``negate`` asks for the opposite.

An opposite is not the same answer turned round: what rests on absence waits for the watermark, what rests on
something that happened does not. So negation is carried to the operators, and each knows which of its two answers
rests on what.
"""

from __future__ import annotations

from collections.abc import Sequence as Several
from functools import reduce
from typing import Final

import numpy as np

from leadup.rules.occurrences import Occurrences, past
from leadup.rules.program import Did, First, Habit, Measured, Regularly, Resumed, Sequence, Started, Stopped, Visits
from leadup.rules.spans import Spans, together
from leadup.rules.verdicts import Instants, Verdicts, absent, every, known, some, sooner
from leadup.types import EVER, NEVER

_THOUSAND: Final = 1_000
"""Sums count in thousandths, the smallest that currencies have, so that they are exact in any order."""


def at_least(
    done: Occurrences, n: int, within: int | None, *, at: int, watermark: int, negate: bool = False
) -> Verdicts:
    """At least ``n`` in ``(at - within, at]``: until the n-th latest leaves the window. Fewer is absence."""
    nth = done.latest(n)
    holds = nth > (EVER if within is None else max(at - within, EVER))
    until = np.full(len(nth), NEVER) if within is None else np.where(holds, nth + within, NEVER)
    if done.wake is not None:
        until = np.minimum(until, done.wake)
    if not negate:
        return known(holds, until)
    if within is None or watermark >= at:  # fewer since ever, or since an instant that has been read
        return known(~holds, until)
    if n > 1:
        return absent(~holds, until, _became_fewer(done, n, within), watermark)
    # Whoever never did it waits for nothing, not even where nothing was ever read.
    return absent(~holds, until, nth + within, max(watermark, EVER + within))


def _became_fewer(done: Occurrences, n: int, within: int) -> Instants:
    """Return when the window last went from ``n`` to fewer; ``EVER`` if it never held so many."""
    row = np.arange(done.rows)
    last = row + (n - 1)
    full = last < done.end[done.person]
    full[full] = done.at[last[full]] - done.at[row[full]] < within
    held = np.append(np.maximum.accumulate(np.where(full, row, -1)), -1)[done.end - 1]
    return np.where(held >= done.begin, done.at[held] + within, EVER)


def did(done: Occurrences, c: Did | Visits, *, at: int, watermark: int, negate: bool = False) -> Verdicts:
    """Between ``low`` and ``high`` in the window: at least ``low``, and not at least ``high + 1``."""
    bounds = [(c.low, negate)] if c.low > 0 else []
    if c.high is not None:
        bounds.append((c.high + 1, not negate))
    parts = [at_least(done, n, c.within, at=at, watermark=watermark, negate=opposite) for n, opposite in bounds]
    return (some if negate else every)(parts, done.persons)


def measured(done: Occurrences, c: Measured, *, at: int, watermark: int, negate: bool = False) -> Verdicts:
    """A sum, a maximum or a number of different values between ``low`` and ``high``: not reached is absence."""
    bounds = [(c.low, False, negate)] if c.low is not None else []
    if c.high is not None:
        bounds.append((c.high, True, not negate))
    reached = _highest if c.of == "max" else _added_up
    parts = [
        reached(done, c, bound, above=above, at=at, watermark=watermark, negate=opposite)
        for bound, above, opposite in bounds
    ]
    return (some if negate else every)(parts, done.persons)


def _highest(
    done: Occurrences, c: Measured, bound: float, *, above: bool, at: int, watermark: int, negate: bool
) -> Verdicts:
    high = done.only(done.value > bound if above else done.value >= bound)
    return at_least(high, 1, c.within, at=at, watermark=watermark, negate=negate)


def _added_up(
    done: Occurrences, c: Measured, bound: float, *, above: bool, at: int, watermark: int, negate: bool
) -> Verdicts:
    """A sum of thousandths, or a number of different values, of which each counts until it leaves for good."""
    if c.within is not None and (watermark >= at or not negate):  # whoever left long ago says only since when
        done = done.only(done.at[:-1] > at - c.within)
    entered, person = done.at[:-1], done.person
    leaves = np.full(done.rows, NEVER) if c.within is None else entered + c.within
    if c.of == "sum":
        weight, level = np.rint(done.value * _THOUSAND).astype(np.int64), max(round(bound * _THOUSAND), 1 - above)
    else:
        weight, level = np.ones(done.rows, np.int64), int(bound)
        order = np.lexsort((done.value, person))  # stable: equal ones stay in order of time
        same = (np.diff(person[order]) == 0) & (np.diff(done.value[order]) == 0)
        leaves[order[:-1][same]] = np.minimum(leaves[order[:-1][same]], entered[order[1:][same]])
    reached = together(person, entered, leaves, weight, level + above, done.persons)
    return reached.verdicts(done.wake, at=at, watermark=watermark, negate=negate)


def first(done: Occurrences, c: First, *, at: int, watermark: int, negate: bool = False) -> Verdicts:
    """The first ever in the window: until it leaves.

    That it was the first rests on the absence of an earlier one. That the first is older rests on nothing absent.
    """
    at_first = done.begin[done.count > 0]
    begun = done.at[at_first]
    ends = np.full(len(begun), NEVER) if c.within is None else begun + c.within
    span = Spans(done.person[at_first], begun, ends, done.persons)
    wake = None if done.wake is None else np.where(done.count > 0, NEVER, done.wake)
    return span.verdicts(wake, at=at, watermark=NEVER if negate else watermark, negate=negate, by_absence=True)


def stopped(done: Occurrences, c: Stopped, *, at: int, watermark: int, negate: bool = False) -> Verdicts:
    """The latest lies in ``(at - wait - after, at - wait]``: from when it comes of age until it leaves.

    That it holds rests on the absence of a later one. The opposite does not if a later one brought it.
    """
    latest = done.latest(1)
    never, begins = latest == EVER, latest + c.wait
    ends = np.full(done.persons, NEVER) if c.after is None else begins + c.after
    holds = ~never & (begins <= at) & (at < ends)
    until = np.where(begins > at, begins, np.where(holds, ends, NEVER))
    if done.wake is not None:
        until = np.minimum(until, done.wake)
    if negate:
        return absent(~holds, until, np.where(never | (begins > at), EVER, ends), watermark)
    return absent(holds, until, begins, watermark)


def resumed(done: Occurrences, c: Resumed, *, at: int, watermark: int, negate: bool = False) -> Verdicts:
    """One after a pause in the window: until the latest such leaves. The pause rests on absence, and so does none."""
    again = np.zeros(done.rows, bool)
    again[1:] = (done.person[1:] == done.person[:-1]) & (np.diff(done.at[:-1]) >= c.pause)
    person, begun = done.person[again], done.at[:-1][again]
    ends = np.full(len(begun), NEVER) if c.within is None else begun + c.within
    held = together(person, begun, ends, np.ones_like(begun), 1, done.persons)
    return held.verdicts(done.wake, at=at, watermark=watermark, negate=negate, by_absence=True)


def regularly(done: Occurrences, c: Regularly, *, at: int, watermark: int, negate: bool = False) -> Verdicts:
    """Enough in enough of the last periods: until one crosses the edge of a period. Too few is absence."""
    if watermark >= at or not negate:  # whoever left long ago says only since when
        done = done.only(done.at[:-1] > at - c.of_last * c.every)
    enough = together(
        done.person, done.at[:-1], done.at[:-1] + c.every, np.ones(done.rows, np.int64), c.times, done.persons
    )
    # The n-th last period holds enough now if the last one did n periods ago.
    ago = np.repeat(np.arange(c.of_last) * c.every, len(enough.person))
    person, begin, end = (np.tile(part, c.of_last) for part in (enough.person, enough.begin, enough.end))
    often = together(person, begin + ago, end + ago, np.ones_like(begin), c.low, done.persons)
    return often.verdicts(done.wake, at=at, watermark=watermark, negate=negate)


def habit(done: Occurrences, c: Habit, *, at: int, watermark: int, negate: bool = False) -> Verdicts:
    """Answer a condition on a habit by its operator."""
    match c:
        case First():
            return first(done, c, at=at, watermark=watermark, negate=negate)
        case Stopped():
            return stopped(done, c, at=at, watermark=watermark, negate=negate)
        case Resumed():
            return resumed(done, c, at=at, watermark=watermark, negate=negate)
        case Regularly():
            return regularly(done, c, at=at, watermark=watermark, negate=negate)


def started(
    begun: Occurrences,
    ended: Occurrences,
    c: Started,
    *,
    at: int,
    watermark: int,
    end_watermark: int,
    negate: bool = False,
) -> Verdicts:
    """Some ``begun`` in ``(at - within, at - wait]`` and no ``ended`` since.

    ``watermark`` is that of ``begun``, ``end_watermark`` that of ``ended``. That it holds rests on the absence of an
    end since the beginning came of age. The opposite rests on the absence of a beginning if time passing brought it,
    but not if an end did.
    """
    last_end = ended.latest(1)
    young = np.flatnonzero(begun.at[:-1] > at - c.wait)
    owner = begun.person[young]
    # All but the young have come of age, and the young are few: of their owners alone the pointers are put back.
    who, count = np.unique(owner, return_counts=True)
    aged, latest = begun.end.copy(), begun.latest(1).copy()
    aged[who] -= count
    latest[who] = np.where(aged[who] > begun.begin[who], begun.at[aged[who] - 1], EVER)
    holds = latest > (last_end if c.within is None else np.maximum(last_end, at - c.within))
    until = np.full(begun.persons, NEVER)
    open_ = (begun.at[young] > last_end[owner])[::-1]
    # Of equal indices the last assignment stays: from the latest to the earliest.
    until[owner[::-1][open_]] = begun.at[young][::-1][open_] + c.wait
    until = np.where(holds, NEVER if c.within is None else latest + c.within, until)
    wake = sooner(begun.wake, ended.wake)
    if wake is not None:
        until = np.minimum(until, wake)
    if (watermark if negate else end_watermark) >= at:
        return known(holds != negate, until)
    if negate:
        return absent(~holds, until, _lapsed(begun, ended, c, aged), watermark)
    since = np.full(len(holds), EVER)
    since[holds] = _came_of_age(begun, last_end, c, aged, np.flatnonzero(holds))
    return absent(holds, until, since, end_watermark)


def _came_of_age(begun: Occurrences, last_end: Instants, c: Started, aged: Instants, who: Instants) -> Instants:
    """Return of persons for whom the condition holds since when it has held without a break.

    A later beginning carries on if it comes of age no later than the earlier one leaves the window.
    """
    first = past(begun.at, begun.begin[who], begun.end[who], last_end[who])
    if c.within is not None:
        rows = np.arange(begun.rows)
        breaks = np.diff(begun.at[:-1], prepend=EVER) > c.within - c.wait
        breaks[begun.begin[begun.count > 0]] = True
        run = np.append(np.maximum.accumulate(np.where(breaks, rows, 0)), 0)
        first = np.maximum(first, run[aged[who] - 1])
    return begun.at[first] + c.wait


def _lapsed(begun: Occurrences, ended: Occurrences, c: Started, aged: Instants) -> Instants:
    """Return when the window last closed over a condition that held; ``EVER`` if an end came first or it never held."""
    if c.within is None or c.within <= c.wait:
        return np.full(len(aged), EVER)
    person, at, rows = begun.person, begun.at[:-1], np.arange(begun.rows)
    following = past(ended.at, ended.begin[person], ended.end[person], at - 1)
    end = np.where(following < ended.end[person], ended.at[following], NEVER)
    held = np.append(np.maximum.accumulate(np.where(end > at + c.wait, rows, -1)), -1)[aged - 1]
    last = np.where((aged > begun.begin) & (held >= begun.begin), held, begun.rows)
    leaves = begun.at[last] + c.within
    return np.where((last < begun.rows) & (leaves < np.append(end, NEVER)[last]), leaves, EVER)


def sequence(
    steps: Several[Occurrences],
    without: Occurrences | None,
    c: Sequence,
    *,
    at: int,
    watermark: int,
    break_watermark: int,
    negate: bool = False,
) -> Verdicts:
    """The steps in order: until the latest that completed the order leaves the window.

    ``watermark`` is that of the steps, ``break_watermark`` that of what must not lie between them. Where something
    must not, that it holds rests on its absence; the opposite rests on the absence of a step.
    """
    begun, before = steps[0].at, steps[0]
    listed = {id(step): step for step in steps}.values()  # of one pattern there is one object
    for step in steps[1:]:
        # For each row, the latest instant at which an order that it continues can have begun: that of the latest row
        # before it, for a later row never has an earlier beginning.
        row = _before(before, step)
        continues = row >= before.begin[step.person]
        if c.strict:  # whatever of the steps happened last must be the one before
            continues &= before.at[row] == reduce(np.maximum, (_last_before(other, step) for other in listed))
        begun = np.append(np.where(continues, begun[row], EVER), EVER)
        before = step
    completes = begun[:-1] > EVER
    if c.span is not None:
        completes &= before.at[:-1] - begun[:-1] <= c.span
    if without is not None:
        completes &= _last_before(without, before) <= begun[:-1]
    # A later signal of another pattern alone completes and breaks nothing: the last step's own next one is early
    # enough to look.
    done = before.only(completes)
    if negate or not c.broken_by or break_watermark >= at:
        return at_least(done, 1, c.within, at=at, watermark=watermark, negate=negate)
    verdicts = at_least(done, 1, c.within, at=at, watermark=watermark)
    return absent(verdicts.holds, verdicts.until, _became_done(done, c.within), break_watermark)


def _before(rows: Occurrences, other: Occurrences) -> Instants:
    """Return, for each row of ``other``, the pointer to the same person's last of ``rows`` earlier than it.

    Where there is none, it points before the person's first.
    """
    person = other.person
    return past(rows.at, rows.begin[person], rows.end[person], other.at[:-1] - 1) - 1


def _last_before(rows: Occurrences, other: Occurrences) -> Instants:
    """Return the instants that :func:`_before` points to; ``EVER`` where there is none."""
    row = _before(rows, other)
    return np.where(row >= rows.begin[other.person], rows.at[row], EVER)


def _became_done(done: Occurrences, within: int | None) -> Instants:
    """Return since when the window has held one without a break; ``EVER`` for those who never did it."""
    first = done.begin
    if within is not None:  # each carries on if it comes no later than the one before it leaves
        begins = np.diff(done.at[:-1], prepend=EVER) > within
        begins[done.begin[done.count > 0]] = True
        run = np.append(np.maximum.accumulate(np.where(begins, np.arange(done.rows), 0)), 0)
        first = run[done.end - 1]
    return np.where(done.count > 0, done.at[first], EVER)
