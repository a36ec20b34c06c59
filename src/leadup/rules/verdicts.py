"""What a condition says of every person at once, and how answers combine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from leadup.types import NEVER

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
    early = holds & (since > watermark)
    if not early.any():
        return known(holds, until)
    return Verdicts(holds & ~early, until, np.where(early, since, NEVER))


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
    if a.waits is None and b.waits is None:
        agreed = np.where(holds == decisive, np.maximum(a.until, b.until), np.minimum(a.until, b.until))
        differ = np.where(a.holds == decisive, a.until, b.until)
        return known(holds, np.where(a.holds == b.holds, agreed, differ))
    a_waits, b_waits = (np.full(len(holds), NEVER) if part.waits is None else part.waits for part in (a, b))
    a_decides, b_decides = a.holds == decisive, b.holds == decisive
    longer = (a.until > b.until) | ((a.until == b.until) & (a_waits >= b_waits))
    by_a = a_decides & (longer | ~b_decides)
    undecided = ~(a_decides | b_decides)
    until = np.where(by_a, a.until, b.until)
    waits = np.where(by_a, a_waits, b_waits)
    np.minimum(a.until, b.until, out=until, where=undecided)
    np.minimum(a_waits, b_waits, out=waits, where=undecided)
    return Verdicts(holds, until, waits)
