"""Verdicts over time become memberships; memberships become what should stand at a target. Pure.

A person is in a segment if the verdict holds, or did and ``stay_at_least`` is not over, and no earlier segment of its
group has the person: :func:`fold` moves that on from one instant of judging to the next. A member should stand in an
audience if the destination can find the person and consent is given: :func:`wanted`. Each answer carries its reason in
plain words, which ``leadup explain`` shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

import numpy as np
import pyarrow as pa

from leadup.consent import permission
from leadup.rules.program import Group, Holdout, Program
from leadup.rules.verdicts import Instants, Mask
from leadup.types import EVER, NEVER, Consent, Identifier, Kind, Purpose

OUT: Final = NEVER
"""The ``entered`` of whoever is not in a segment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """One segment's memberships at an instant, one element a person."""

    entered: Instants
    """Since when each is in, without a break; :data:`OUT` for who is not."""
    kept: Mask
    """In by ``stay_at_least`` alone: the rule holds no longer."""
    outdone: Mask
    """Out because an earlier segment of the group has the person."""
    until: Instants
    """Nothing here changes by itself before it."""

    @property
    def holds(self) -> Mask:
        """Who is in."""
        return np.not_equal(self.entered, OUT)


def fold(program: Program, verdicts: pa.Table, before: Mapping[str, Instants], at: int) -> dict[str, Members]:
    """Move memberships on by one instant of judging: verdict, then ``stay_at_least``, then group.

    ``verdicts`` is what the kernel said at ``at`` (microseconds UTC), ``before`` the ``entered`` of each segment by
    the rows of that table (a segment left out had nobody). Equal verdicts at equal instants give equal memberships,
    and folding at an instant before the earliest ``until`` changes nothing.

    Whom ``stay_at_least`` keeps holds the place in the group. It keeps nobody who is excluded, and nobody whom an
    earlier segment of the group takes.
    """
    persons = verdicts.num_rows
    nobody, never = np.zeros(persons, bool), np.full(persons, NEVER)
    claims, expires = {}, {}
    for name, segment in program.segments.items():
        excluded = _column(verdicts, f"excluded:{name}")
        holds = _column(verdicts, f"when:{name}") & ~excluded
        entered = before.get(name)
        if segment.stay_at_least and entered is not None:
            ends = np.where(entered == OUT, EVER, entered + np.where(entered == OUT, 0, segment.stay_at_least))
            kept = ~holds & ~excluded & (ends > at)
            claims[name], expires[name] = holds | kept, np.where(kept, ends, NEVER)
        else:
            claims[name], expires[name] = holds, never
    found = {}
    for name in program.segments:
        earlier = [other for group in program.groups if name in group.segments for other in _before(group, name)]
        outdone = reduce(np.logical_or, (claims[other] for other in earlier), nobody) & claims[name]
        holds, entered = claims[name] & ~outdone, before.get(name, never)
        until = reduce(np.minimum, (expires[n] for n in (name, *earlier)), _column(verdicts, f"until:{name}"))
        found[name] = Members(
            entered=np.where(holds, np.where(entered == OUT, at, entered), OUT),
            kept=holds & (expires[name] != NEVER),
            outdone=outdone,
            until=until,
        )
    return found


def _before(group: Group, name: str) -> tuple[str, ...]:
    return group.segments[: group.segments.index(name)]


def _column(table: pa.Table, name: str) -> Any:
    return table[name].to_numpy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """What an audience asks of a person."""

    needs: frozenset[Kind]
    """Kinds of identifier, of which at least one must be there; empty: none needed."""
    purposes: frozenset[Purpose]
    """Purposes that must have been granted."""
    unless_denied: frozenset[Purpose] = frozenset()
    """Purposes that must not have been denied."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whether a member should stand in an audience: ``basis`` names the contact data to send, None is no."""

    basis: str | None
    reason: str
    step: str
    """The step of the waterfall reached: ``holds``, ``identifier``, ``consent``, ``deliverable``; empty: not even in
    the segment."""
    urgent: bool = False
    """Consent is missing, or was taken back: who stands there leaves at once, whatever a guard says."""


def wanted(audience: Audience, *, member: bool, identifiers: Collection[Identifier], consent: Consent) -> Wanted:
    """Decide whether one person should stand in one audience."""
    allowed = permission(audience.purposes, consent, unless_denied=audience.unless_denied)
    if not member:
        return Wanted(None, "not in the segment", "", urgent=not allowed.granted)
    usable = [i for i in identifiers if i.kind in audience.needs]
    if audience.needs and not usable:
        kinds = " or ".join(kind for kind in Kind if kind in audience.needs)
        reason = f"in the segment, but there is no {kinds} to be found by"
        return Wanted(None, reason, "holds", urgent=not allowed.granted)
    if not allowed.granted:
        return Wanted(None, f"in the segment, but {allowed.because}", "identifier", urgent=True)
    return Wanted(basis(usable), "in the segment", "deliverable")


def held_out(holdout: str) -> Wanted:
    """The answer for a member who could be sent, but for a holdout."""
    return Wanted(None, f"in the segment, but held out by {holdout}", "consent")


def draws(holdout: Holdout, salt: str, who: Identifier) -> bool:
    """Whether the lot of a holdout falls on a person, by the strongest identifier. The same each time it is asked."""
    drawn = hashlib.sha256(f"{salt}\n{holdout.name}\n{who}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") < holdout.share * 2**64


def basis(identifiers: Collection[Identifier]) -> str:
    """Name the contact data that an address is made of; it changes when, and only when, they do."""
    return hashlib.sha256("\n".join(sorted(map(str, identifiers))).encode()).hexdigest()[:16]


def waterfall(steps: Mapping[str, int]) -> dict[str, int]:
    """Count how many reach each stage, from how many stop at each (``Wanted.step``)."""
    deliverable = steps.get("deliverable", 0)
    consented = deliverable + steps.get("consent", 0)
    identified = consented + steps.get("identifier", 0)
    return {
        "holds": identified + steps.get("holds", 0),
        "identifier": identified,
        "consent": consented,
        "not held out": deliverable,
    }
