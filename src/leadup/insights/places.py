"""Where a row is on its way to a vendor: the last stage it reached, and what keeps it there. Pure.

A row is a conversion at a target, or a member of an audience. It has one place at a time, by what is intended now: a
conversion that was refused and then got another value waits to be sent again. What surely stands at the vendor has
arrived, also while a new value of it is on its way.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from leadup.plan import Standing


class Kind(enum.StrEnum):
    """What is to be made of a row that has not arrived."""

    UNWANTED = "unwanted"
    """It is not to be sent: no consent, nothing to report it by, held out, taken back."""
    WAITS = "waits"
    """It moves on by itself."""
    HELD = "held"
    """A guard holds it until somebody accepts."""
    LOST = "lost"
    """It was refused, and is not tried again as it is."""
    UNKNOWN = "unknown"
    """It may have arrived: its batch had failures, and the vendor does not say which."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a row came: the stage reached, and why not further; without a kind it went all the way."""

    reached: str
    kind: Kind | None = None
    code: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One row of the outbox, as far as its place hangs on it."""

    verb: str
    state: str
    code: str
    detail: str
    sent: bool
    taken: bool
    """The vendor accepted it once, at least."""
    stood: bool = False
    """What it changes stood there surely before it was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the book says of a row: what should stand, what does, what was planned last, and what was sent last."""

    wanted: bool
    standing: Standing
    open: bool
    reason: str
    planned: Trace | None
    sent: Trace | None


WANTED: Final = "eligible"
SENT, ACCEPTED, PROCESSED = "sent", "accepted", "processed"
CONVERSION: Final = ("judged", WANTED, SENT, ACCEPTED, PROCESSED)
"""Stages of a conversion, in their order."""
AUDIENCE: Final = ("judged", "identifier", "consent", "not held out", SENT, ACCEPTED, PROCESSED)
"""Stages of a member: has an identifier, has given consent, is not held out."""

_TO_PLAN = ("to_be_planned", "goes into the next plan")
_WORKS = "the vendor has taken it and works on it"


def place(known: Known | None, unwanted: str, wanted: str) -> Place:
    """Return the place of a row.

    Args:
        known: what the book says; None: nothing yet.
        unwanted: the stage of what is not to be sent (conversion: ``judged``).
        wanted: the stage of what is to be sent (conversion: ``eligible``).
    """
    if known is None:
        return Place(unwanted, Kind.WAITS, "not_judged", "not judged for this target yet")
    if known.standing is Standing.PRESENT:
        return Place(PROCESSED)
    if known.standing is Standing.POSSIBLE and known.sent is not None and known.sent.verb != "leave":
        return _possible(known, known.sent, unwanted, wanted)
    if known.planned is None or known.planned.verb == "leave" or (known.open and known.planned.state in _OVER):
        return _unsent(known, unwanted, wanted)
    return _by_row(known.planned, known, unwanted, wanted)


_LIVE: Final = frozenset({"held", "pending", "sending"})
_OVER: Final = frozenset({"processed", "failed", "uncertain", "withheld", "replaced"})


def _possible(known: Known, sent: Trace, unwanted: str, wanted: str) -> Place:
    """What was sent may stand: it counts as sent, whatever came of a newer intent."""
    if sent.stood:
        return Place(PROCESSED)
    newer = known.planned if known.planned is not None and known.planned.state in _LIVE else sent
    found = _by_row(newer, known, unwanted, wanted)
    return replace(found, reached=ACCEPTED if sent.taken else SENT) if found.reached in (unwanted, wanted) else found


def _unsent(known: Known, unwanted: str, wanted: str) -> Place:
    if not known.wanted:
        return Place(unwanted, Kind.UNWANTED, "not_eligible", known.reason)
    return Place(wanted, Kind.WAITS, *_TO_PLAN)


def _by_row(row: Trace, known: Known, unwanted: str, wanted: str) -> Place:
    gone = ACCEPTED if row.taken else SENT if row.sent else wanted
    match row.state:
        case "processed":
            return Place(PROCESSED)
        case "held":
            return Place(wanted, Kind.HELD, "held", "a guard holds the plan; see `leadup plan`")
        case "pending":
            return Place(gone, Kind.WAITS, row.code or "pending", row.detail or "waits to be sent")
        case "sending":
            return Place(SENT, Kind.WAITS, "no_answer", "was sent, and no answer has come yet")
        case "accepted":
            return Place(ACCEPTED, Kind.WAITS, row.code or "processing", row.detail if row.code else _WORKS)
        case "failed":
            return Place(ACCEPTED if row.taken else SENT, Kind.LOST, row.code or "failed", row.detail)
        case "uncertain":
            return Place(ACCEPTED, Kind.UNKNOWN, row.code or "uncertain", row.detail)
    # Withheld, or replaced by a newer intent.
    if not row.sent:
        return _unsent(known, unwanted, wanted)
    return Place(gone, Kind.UNWANTED, row.code or row.state, row.detail or known.reason)


# ---------------------------------------------------------------- adding up


@dataclass(slots=True)
class Loss:
    """Rows that are at one place, for one reason."""

    after: str
    kind: Kind
    code: str
    why: str
    """Of the first of them, where they differ."""
    rows: int = 0


@dataclass(slots=True)
class Account:
    """How many rows reached each stage, and where the others are. Each stage is the next one and its losses."""

    stages: Sequence[str]
    arrived: int = 0
    _lost: dict[tuple[str, Kind, str, str], Loss] = field(default_factory=dict)

    def add(self, one: Place) -> None:
        """Count one row."""
        if one.kind is None:
            self.arrived += 1
            return
        told = one.why if one.code in _BY_REASON else ""
        found = self._lost.setdefault(
            (one.reached, one.kind, one.code, told), Loss(one.reached, one.kind, one.code, one.why)
        )
        found.rows += 1

    @property
    def losses(self) -> list[Loss]:
        """By stage, the largest first."""
        order = {stage: index for index, stage in enumerate(self.stages)}
        return sorted(self._lost.values(), key=lambda one: (order[one.after], -one.rows, one.code, one.why))

    @property
    def counts(self) -> dict[str, int]:
        """Rows that reached each stage."""
        return dict(self._counts())

    def _counts(self) -> Iterator[tuple[str, int]]:
        left = self.arrived + sum(loss.rows for loss in self._lost.values())
        for stage in self.stages:
            yield stage, left
            left -= sum(loss.rows for loss in self._lost.values() if loss.after == stage)

    def as_json(self) -> dict[str, Any]:
        """The form that is printed."""
        return {"stages": self.counts, "losses": [loss_as_json(one) for one in self.losses]}


_BY_REASON: Final = frozenset({"not_eligible", "held_out"})
"""Codes whose reason tells rows apart; other texts may differ from row to row."""


def loss_as_json(loss: Loss) -> Mapping[str, Any]:
    """The form that is printed."""
    return {"after": loss.after, "kind": str(loss.kind), "code": loss.code, "why": loss.why, "rows": loss.rows}
