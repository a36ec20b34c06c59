"""Verdicts over time become memberships; memberships become what should stand at a target. Pure.

A person is in a segment's audience if the verdict holds (after ``exclude`` and groups), the destination can find the
person, and consent is given. Each answer carries its reason in plain words, which ``leadup explain`` shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from leadup.consent import permission
from leadup.types import Consent, Identifier, Kind, Purpose


@dataclass(frozen=True, slots=True)
class Move:
    """Someone entered or left a segment."""

    segment: str
    person: int
    entered: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the kernel said of one person and one segment."""

    holds: bool
    """After ``exclude`` and groups."""
    when: bool
    excluded: bool
    until_us: int


def move(segment: str, person: int, was_in: bool, now: Verdict) -> Move | None:
    """Compare one verdict with the membership before it."""
    if now.holds == was_in:
        return None
    if now.holds:
        return Move(segment, person, True, "the rule holds")
    if not now.when:
        return Move(segment, person, False, "the rule no longer holds")
    if now.excluded:
        return Move(segment, person, False, "an excluding segment holds")
    return Move(segment, person, False, "an earlier segment of the group holds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """What an audience asks of a person."""

    needs: frozenset[Kind]
    """Kinds of identifier, of which at least one must be there; empty: none needed."""
    purposes: frozenset[Purpose]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whether a member should stand in an audience: ``basis`` names the contact data to send, None is no."""

    basis: str | None
    reason: str
    step: str
    """The step of the waterfall reached: ``holds``, ``identifier``, ``deliverable``; empty: not even in the segment."""
    urgent: bool = False
    """Consent is missing: who stands there leaves at once, whatever a guard says."""


def wanted(audience: Audience, *, member: bool, identifiers: Collection[Identifier], consent: Consent) -> Wanted:
    """Decide whether one person should stand in one audience."""
    allowed = permission(audience.purposes, consent)
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


def basis(identifiers: Collection[Identifier]) -> str:
    """Name the contact data that an address is made of; it changes when, and only when, they do."""
    return hashlib.sha256("\n".join(sorted(map(str, identifiers))).encode()).hexdigest()[:16]


def waterfall(steps: Mapping[str, int]) -> dict[str, int]:
    """Count how many reach each stage, from how many stop at each (``Wanted.step``)."""
    deliverable = steps.get("deliverable", 0)
    consented = deliverable
    identified = consented + steps.get("identifier", 0)
    return {
        "holds": identified + steps.get("holds", 0),
        "identifier": identified,
        "consent": consented,
        "not held out": deliverable,
    }
