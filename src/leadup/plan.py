"""Should be minus what is, as changes, and the guards that look at them first. Pure.

A :class:`Row` holds both sides for one subject at one target; what is in flight already counts as standing, because a
row is ``possible`` there from the moment it is sent.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leadup.outgoing import Use
from leadup.types import Json


class Standing(enum.StrEnum):
    """How sure it is that something of ours stands at the destination."""

    ABSENT = "absent"
    POSSIBLE = "possible"
    """It was sent, and the answer is still out, lost, or does not say which rows of a batch failed."""
    PRESENT = "present"
    LEAVING = "leaving"
    """A leave was accepted, and the vendor has not said yet that it is done."""


GUARDS = ("max_leave", "min_size", "adopt")

MIN_LEAVES = 20
"""A guard on shares does not look at fewer leaves than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Both sides of one subject (a person, or a transaction id) at one target."""

    subject: str
    person: int
    want: Json
    """What should stand there. None: nobody in an audience; of a conversion or property, nothing more is to be sent."""
    stands: Json
    """What was sent last and not refused; None: nothing."""
    standing: Standing
    number: int
    """Counts what was planned for this subject so far."""
    reason: str
    refresh_due: bool = False
    urgent: bool = False
    """A leave that no guard may hold, because consent was withdrawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One planned change, before it has an address."""

    subject: str
    person: int
    verb: str
    want: Json
    number: int
    reason: str
    urgent: bool = False


def retraction(currency: str | None, *, gone: bool = False) -> Json:
    """The amount of a conversion that was taken back: what was, or may have been, counted is restated to it.

    What was not stays unsent. ``gone``: nothing tells of it any more, so that it should not even count as one.
    """
    amount: dict[str, Json] = {"minor": 0, "currency": currency, "retracted": True}
    return amount | {"gone": True} if gone else amount


def verb(use: Use, row: Row) -> str | None:
    """Say what has to be done about a row; None: nothing."""
    if use is Use.AUDIENCE:
        if row.want is None:
            return "leave" if row.standing in (Standing.POSSIBLE, Standing.PRESENT) else None
        return "join" if row.want != row.stands or row.refresh_due else None
    if row.want is None or row.want == row.stands:
        return None
    if use is Use.PROPERTY:
        return "upsert"
    if row.stands is not None:
        return "restate"
    if isinstance(row.want, Mapping) and row.want.get("retracted"):
        return None if row.standing is Standing.ABSENT else "restate"
    return "convert"


def steps(use: Use, rows: Sequence[Row]) -> list[Step]:
    """Turn the rows that differ into steps, joins before leaves."""
    found = [
        Step(
            subject=row.subject,
            person=row.person,
            verb=what,
            want=row.want,
            number=row.number + 1,
            reason=row.reason,
            urgent=row.urgent,
        )
        for row in rows
        if (what := verb(use, row)) is not None
    ]
    return sorted(found, key=lambda step: (step.verb == "leave", step.subject))


@dataclass(frozen=True, slots=True)
class Trip:
    """A guard that holds a target."""

    guard: str
    text: str


def guard(leaves: int, size: int, max_leave: float) -> Trip | None:
    """Hold an audience of ``size`` members if more than ``max_leave`` of it would leave at once.

    ``leaves``: how many would, without those by withdrawn consent, which no guard holds.
    """
    if leaves < MIN_LEAVES or leaves <= max_leave * size:
        return None
    return Trip(
        "max_leave",
        f"{leaves} of {size} members would leave ({leaves / max(size, 1):.0%}); the limit is {max_leave:.0%}",
    )


def too_small(size: int, min_size: int) -> Trip | None:
    """Hold an audience that was never sent and would have ``size`` members, if that is below ``min_size``."""
    if not 0 < size < min_size:
        return None
    return Trip("min_size", f"{size} people could be sent; the audience is made once there are {min_size}")


def fingerprint(planned: Sequence[Step]) -> str:
    """Name a plan by its content, so that what is accepted is what was shown."""
    lines = sorted(json.dumps([s.subject, s.verb, s.number, s.want], sort_keys=True) for s in planned)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
