"""What a condition says of every person at once, and how answers combine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from leadup.types import EVER, NEVER

Mask: TypeAlias = npt.NDArray[np.bool_]
Instants: TypeAlias = npt.NDArray[np.int64]
"""Microseconds UTC."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The answer for each person, and how long it stands.

    As long as no event, fact or merge arrives, ``holds`` is the same at every instant before ``until`` and at every
    watermark before ``waits``. Both are safe lower bounds: the answer need not change there.
    """

    holds: Mask
    until: Instants
    waits: Instants | None
    """``None``: no watermark changes anybody's answer, which is so wherever the sources are read up to now."""


def lagging(verdicts: Verdicts, lag: int) -> Verdicts:
    """Return an answer about what happened up to ``lag`` ago: reading up to so much earlier is enough."""
    if verdicts.waits is None or not lag:
        return verdicts
    waits = np.where(verdicts.waits < NEVER, verdicts.waits - lag, NEVER)
    return Verdicts(verdicts.holds, verdicts.until, waits)


def known(holds: Mask, until: Instants) -> Verdicts:
    """Return an answer that rests on what happened: it is given at once."""
    return Verdicts(holds, until, None)


def sooner(a: Instants | None, b: Instants | None) -> Instants | None:
    """Return the earlier of two instants for every person; ``None`` is never, for everybody."""
    if a is None or b is None:
        return a if b is None else b
    return np.minimum(a, b)


def absent(holds: Mask, until: Instants, since: Instants, watermark: int) -> Verdicts:
    """Return an answer that rests on what did not happen.

    Where it holds on what is known, it has done so since ``since``; it is given once the sources have been read up
    to there, and those who wait for that carry the instant in ``waits``.
    """
    early = np.flatnonzero(holds & (since > watermark))
    if not len(early):
        return known(holds, until)
    holds, waits = holds.copy(), np.full(len(holds), NEVER)
    holds[early], waits[early] = False, since[early]
    return Verdicts(holds, until, waits)


def every(parts: Sequence[Verdicts], persons: int) -> Verdicts:
    """All of them hold; true of no parts."""
    return reduce(lambda a, b: _join(a, b, decisive=False), parts) if parts else _always(True, persons)


def some(parts: Sequence[Verdicts], persons: int) -> Verdicts:
    """Any of them holds; false of no parts."""
    return reduce(lambda a, b: _join(a, b, decisive=True), parts) if parts else _always(False, persons)


def _always(answer: bool, persons: int) -> Verdicts:
    return known(np.full(persons, answer), np.full(persons, NEVER))


def _join(a: Verdicts, b: Verdicts, *, decisive: bool) -> Verdicts:
    """Join two answers, one of which decides if it equals ``decisive``.

    A decisive part vouches for the whole as long as it stands itself, so the whole takes its ``until`` and its
    ``waits``: both from one part, for two parts could otherwise turn, one by time and one by watermark, unnoticed.
    Of two decisive parts the one that stands longer vouches. Without one, the first change of either counts.
    """
    holds = (a.holds | b.holds) if decisive else (a.holds & b.holds)
    # How long a part vouches for the whole: not at all where it decides nothing.
    until, other = (np.where(part.holds != decisive, EVER, part.until) for part in (a, b))
    np.maximum(until, other, out=until)
    undecided = np.flatnonzero(holds != decisive)
    until[undecided] = np.minimum(a.until[undecided], b.until[undecided])
    waits = sooner(a.waits, b.waits)
    if waits is None:
        return known(holds, until)
    # That is all of it for whoever waits for no watermark, and those who wait are few.
    some_ = np.flatnonzero(waits < NEVER)
    a_until, b_until, waits = a.until[some_], b.until[some_], np.full(len(holds), NEVER)
    a_waits, b_waits = (waits[some_] if part.waits is None else part.waits[some_] for part in (a, b))
    longer = (a_until > b_until) | ((a_until == b_until) & (a_waits >= b_waits))
    a_decides, b_decides = a.holds[some_] == decisive, b.holds[some_] == decisive
    by_a, neither = a_decides & (longer | ~b_decides), ~(a_decides | b_decides)
    until[some_] = np.where(neither, np.minimum(a_until, b_until), np.where(by_a, a_until, b_until))
    waits[some_] = np.where(neither, np.minimum(a_waits, b_waits), np.where(by_a, a_waits, b_waits))
    return Verdicts(holds, until, waits)
