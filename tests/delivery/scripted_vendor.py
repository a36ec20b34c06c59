"""A vendor in memory, and the destination that speaks to it: real contents, and weather as a script.

It can answer at once, as HubSpot does, or later, as Google does. What it holds changes only by :meth:`Vendor.deliver`
and by others (:attr:`Vendor.foreign`), so that a test may compare it with what was wanted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from leadup.errors import NeedsHuman, Refused, TryLater
from leadup.outgoing import (
    Address,
    Capabilities,
    Change,
    Contact,
    Convert,
    Join,
    Leave,
    Outcome,
    Progress,
    Receipt,
    RemoteId,
    RemoteTarget,
    Restate,
    Status,
    Target,
    Unreachable,
    Upsert,
    Use,
)
from leadup.types import Json, Kind, Purpose

ADDRESS_IN_A_TEXT: Final = "Contact ada@example.com is odd"
"""Vendors put personal data into their error texts."""


class Crash(BaseException):
    """The process is killed."""


@dataclass(slots=True)
class Request:
    """A batch that was taken and is not worked off yet."""

    to: str
    changes: list[Change]
    fate: str
    """``processed``, ``failed``, ``failed for now``, ``partial`` or ``partial for now``."""
    worked: bool = False


class Vendor:
    """A destination of all uses.

    ``together``: one call takes joins and leaves. ``late``: audiences and conversions are accepted now and worked off
    by :meth:`work`.
    """

    def __init__(
        self,
        *,
        late: bool = False,
        together: bool = False,
        batch: int = 1000,
        refresh_after: timedelta | None = None,
    ) -> None:
        uses = frozenset(Use)
        self.can = Capabilities(
            uses=uses,
            together=frozenset({"join", "leave"} if together else ()),
            batch=dict.fromkeys(("join", "leave", "convert", "restate", "upsert"), batch),
            needs=dict.fromkeys(uses, frozenset({Kind.EMAIL})),
            click_ids=frozenset({"gclid"}),
            purposes={
                Use.AUDIENCE: frozenset({Purpose.AD_USER_DATA, Purpose.AD_PERSONALIZATION}),
                Use.CONVERSION: frozenset({Purpose.AD_USER_DATA}),
                Use.PROPERTY: frozenset({Purpose.ANALYTICS}),
            },
            unless_denied={Use.AUDIENCE: frozenset({Purpose.EMAIL_MARKETING})},
            max_age=timedelta(days=90),
        )
        self.late = late
        self.refresh_after = refresh_after
        self.cards: dict[str, str] = {}
        """By e-mail hash, the card it is filed under; several may share one. What is absent has a card of its own."""
        self.unknown: set[str] = set()
        """E-mail hashes the vendor has no card for."""
        self.vanished: set[RemoteId] = set()
        """Cards that were merged into others."""
        self.members: dict[str, set[RemoteId]] = defaultdict(set)
        """By audience."""
        self.foreign: set[RemoteId] = set()
        """Members whom somebody else put there."""
        self.conversions: dict[str, list[tuple[int | None, str | None]]] = {}
        """By transaction id, all values it was given, as (minor, currency)."""
        self.blind: set[str] = set()
        """Transaction ids that a restatement made, since the vendor did not know them: Google counts such a one."""
        self.properties: dict[RemoteId, dict[str, Json]] = defaultdict(dict)
        self.faults: list[str] = []
        """What strikes the next calls, one each: see :meth:`deliver`. An empty list is good weather."""
        self.fates: list[str] = []
        """What becomes of the next accepted batches; left out: ``processed``."""
        self.silence: Exception | None = None
        """What :meth:`poll` raises, if anything."""
        self.requests: dict[str, Request] = {}
        self.sent: list[tuple[str, Change]] = []
        """Every change that ever reached the vendor's door, with the audience, action or property it was for."""
        self.watch: Callable[[str, Change], None] = lambda to, change: None
        """Called for each change before anything is done with it."""

    # ------------------------------------------------------------ the kit's protocol

    def check(self) -> None:
        return

    def prepare(self, target: Target) -> RemoteTarget:
        return RemoteTarget(id=target.name, name=target.remote_name, refresh_after=self.refresh_after)

    def address(self, target: Target, people: Sequence[Contact]) -> Sequence[Address | Unreachable]:
        return [self._address(target, person) for person in people]

    def _address(self, target: Target, person: Contact) -> Address | Unreachable:
        ids = self.ids_of(person.of(Kind.EMAIL))
        if not ids and target.use is not Use.CONVERSION:
            return Unreachable(code="not_found", detail=ADDRESS_IN_A_TEXT)
        return Address(ids)

    def ids_of(self, hashes: Sequence[str]) -> tuple[RemoteId, ...]:
        """Where somebody with these e-mail hashes is filed."""
        cards = {self.cards.get(value, value) for value in hashes if value not in self.unknown}
        return tuple(sorted(RemoteId("card", card) for card in cards))

    def deliver(self, to: RemoteTarget, batch: Sequence[Change]) -> Sequence[Receipt]:
        """Take a batch, in the weather that comes next.

        ``later`` and ``human`` and ``refused`` do nothing and raise, and so does ``busy``, which says that nothing was
        done; ``lost`` does the work and raises TryLater; ``half`` puts the first card of each join in, and no other;
        ``crash`` and ``crash after`` kill the process before and after the work. ``reject`` and ``postpone`` strike
        every other row, the first one among them.
        """
        for change in batch:
            self.sent.append((to.id, change))
            self.watch(to.id, change)
        fault = self.faults.pop(0) if self.faults else ""
        match fault:
            case "later":
                raise TryLater(ADDRESS_IN_A_TEXT)
            case "busy":
                raise TryLater(ADDRESS_IN_A_TEXT, nothing_done=True)
            case "half" if all(isinstance(change, Join) for change in batch):
                return [self._half(to.id, change) for change in batch]
            case "human":
                raise NeedsHuman(ADDRESS_IN_A_TEXT, todo="get a token")
            case "refused":
                raise Refused(ADDRESS_IN_A_TEXT, code="nonsense")
            case "crash":
                raise Crash
        struck = {"reject": Outcome.REJECTED, "postpone": Outcome.LATER}.get(fault)
        odd = Receipt(outcome=struck, code="odd", detail=ADDRESS_IN_A_TEXT) if struck else None
        taken = [change for index, change in enumerate(batch) if odd is None or index % 2]
        done = iter(self._take(to.id, taken))
        receipts = [next(done) if odd is None or index % 2 else odd for index in range(len(batch))]
        if fault == "lost":
            raise TryLater(ADDRESS_IN_A_TEXT)
        if fault == "crash after":
            raise Crash
        return receipts

    def poll(self, handles: Sequence[str]) -> Sequence[Status]:
        if self.silence is not None:
            raise self.silence
        return [self._status(handle, self.requests[handle]) for handle in handles]

    def _status(self, handle: str, request: Request) -> Status:
        if not request.worked:
            return Status(handle=handle, progress=Progress.PROCESSING)
        if request.fate == "processed":
            return Status(handle=handle, progress=Progress.PROCESSED)
        kind, _, for_now = request.fate.partition(" ")
        count = sum(1 for index, _ in enumerate(request.changes) if _falls(request.fate, index))
        return Status(
            handle=handle, progress=Progress(kind), counts={ADDRESS_IN_A_TEXT: count}, retryable=bool(for_now)
        )

    # ------------------------------------------------------------ inside

    def work(self) -> None:
        """Work off what was accepted, in order."""
        for request in self.requests.values():
            if not request.worked:
                request.worked = True
                for index, change in enumerate(request.changes):
                    if not _falls(request.fate, index):
                        self._do(request.to, change)

    def _take(self, to: str, changes: Sequence[Change]) -> list[Receipt]:
        if not self.late or any(isinstance(change, Upsert) for change in changes):
            return [self._receipt(to, change) for change in changes]
        handle = f"r{len(self.requests)}"
        self.requests[handle] = Request(to, list(changes), self.fates.pop(0) if self.fates else "processed")
        return [Receipt(outcome=Outcome.ACCEPTED, handle=handle) for _ in changes]

    def _receipt(self, to: str, change: Change) -> Receipt:
        new = frozenset(change.to.ids) - self.members[to] if isinstance(change, Join) else None
        return Receipt(outcome=self._do(to, change), lost=self._lost(change), brought=new)

    def _half(self, to: str, change: Change) -> Receipt:
        first = set(change.to.ids[:1]) - self.members[to]
        self.members[to] |= first
        return Receipt(outcome=Outcome.LATER, brought=frozenset(first))

    def _lost(self, change: Change) -> bool:
        return isinstance(change, Leave) and not self.vanished.isdisjoint(change.to.ids)

    def _do(self, to: str, change: Change) -> Outcome:
        ids = set(change.to.ids)
        match change:
            case Join():
                new = ids - self.members[to]
                self.members[to] |= ids
                return Outcome.CONFIRMED if new else Outcome.ALREADY
            case Leave():
                gone = ids & self.members[to]
                self.members[to] -= ids
                self.foreign -= ids
                return Outcome.CONFIRMED if gone else Outcome.ALREADY
            case Convert():
                if isinstance(change, Restate) and change.transaction_id not in self.conversions:
                    self.blind.add(change.transaction_id)
                value = change.value
                stated = (value.minor, value.currency) if value else (None, None)
                self.conversions.setdefault(change.transaction_id, []).append(stated)
            case Upsert():
                for each in ids:
                    there = self.properties[each]
                    for name, value in change.properties.items():
                        if value is not None or there.get(name) in change.ours[name]:
                            there[name] = value
        return Outcome.CONFIRMED


def _falls(fate: str, index: int) -> bool:
    """Whether a row of an accepted batch fails: all of a failed one, every other one of a partial one."""
    return fate.startswith("failed") or (fate.startswith("partial") and index % 2 == 0)


class Plain:
    """The vendor as a destination that can do nothing besides; what it can is for a test to add."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.can: Capabilities = vendor.can

    def check(self) -> None:
        self.vendor.check()

    def prepare(self, target: Target) -> RemoteTarget:
        return self.vendor.prepare(target)

    def address(self, target: Target, people: Sequence[Contact]) -> Sequence[Address | Unreachable]:
        return self.vendor.address(target, people)

    def deliver(self, to: RemoteTarget, batch: Sequence[Change]) -> Sequence[Receipt]:
        return self.vendor.deliver(to, batch)
