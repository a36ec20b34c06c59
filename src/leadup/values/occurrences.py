"""Signals become occurrences to report. Pure.

One thing that happened may reach us by several roads: signals of one person and pattern closer than ``same_within``, or
with an equal ``event_id``, are one occurrence. Its transaction id is minted from the event that opened it and never
changes: a late event of the same occurrence joins it, even one that is dated earlier.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from leadup.types import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One signal of the pattern that a conversion is reported on."""

    event: str
    """The event's key, in hex."""
    event_id: str
    """The site's own id of the occurrence (property ``event_id``); may be empty."""
    at_us: int
    value: Money | None
    click_ids: tuple[tuple[str, str], ...] = ()
    click_us: int | None = None
    """When the click was: its own instant, or that of the earlier visit whose click ids it carries."""
    consent: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One conversion of one person. ``events`` are those that reported it, the opening one first."""

    transaction_id: str
    opened_us: int
    events: tuple[str, ...]
    value: Money | None
    click_ids: tuple[tuple[str, str], ...] = ()
    click_us: int | None = None
    """When the click was."""
    consent: tuple[tuple[str, bool], ...] = ()

    @property
    def void(self) -> str:
        """Why nothing should stand for it; empty: something should."""
        return "" if self.events else "the events that reported it were taken back"


def occurrences(
    conversion: str, same_within: int, known: Sequence[Occurrence], happened: Sequence[Happened]
) -> list[Occurrence]:
    """Fold the person's present signals into the occurrences known so far.

    Returns those that are new or changed. An occurrence that lost all its events comes back with none and no value. Of
    occurrences that turn out to be one (persons merged), the one opened first goes on with all events.
    """
    signals = {signal.event: signal for signal in happened}
    folded = {o.transaction_id: replace(o, events=tuple(e for e in o.events if e in signals)) for o in known}
    while True:
        ledger = _Opened(conversion, same_within, signals)
        for occurrence in sorted(folded.values(), key=lambda o: (o.opened_us, o.transaction_id)):
            ledger.take_up(occurrence)
        for signal in sorted(happened, key=lambda s: (s.at_us, s.event)):
            ledger.place(signal)
        if ledger.all == folded:
            break
        folded = ledger.all  # what has joined may bring others together: again, until nothing moves
    before = {occurrence.transaction_id: occurrence for occurrence in known}
    valued = [replace(o, value=_value(o, signals)) for o in folded.values()]
    return [occurrence for occurrence in valued if before.get(occurrence.transaction_id) != occurrence]


class _Opened:
    """Occurrences of one person, to be found by event id and by the time they opened."""

    def __init__(self, conversion: str, same_within: int, signals: Mapping[str, Happened]) -> None:
        self.all: dict[str, Occurrence] = {}
        self._conversion, self._same_within, self._signals = conversion, same_within, signals
        self._by_event_id: dict[str, str] = {}
        self._by_time: list[tuple[int, str]] = []
        """Those that have events, none closer than ``same_within`` to another, in order."""
        self._placed: set[str] = set()

    def take_up(self, occurrence: Occurrence) -> None:
        """Add an occurrence; if it is the same as one that is here, that one takes its events."""
        ids = [self._signals[event].event_id for event in occurrence.events]
        same = self._same(occurrence.opened_us, ids) if occurrence.events else None
        self.all[occurrence.transaction_id] = occurrence if same is None else replace(occurrence, events=())
        if occurrence.events and same is None:
            insort(self._by_time, (occurrence.opened_us, occurrence.transaction_id))
        self._join(same or occurrence.transaction_id, occurrence.events, known=same is None)

    def place(self, signal: Happened) -> None:
        """Let a signal that has no place yet join its occurrence, or open one."""
        if signal.event in self._placed:
            return
        same = self._same(signal.at_us, [signal.event_id])
        if same is not None:
            self._join(same, [signal.event])
            return
        opened = Occurrence(
            transaction_id=mint(self._conversion, signal.event),
            opened_us=signal.at_us,
            events=(),
            value=None,
            click_ids=signal.click_ids,
            click_us=signal.click_us,
            consent=signal.consent,
        )
        opened = self.all.get(opened.transaction_id, opened)  # its own events were taken back, and one came again
        self.take_up(replace(opened, events=(signal.event,)))

    def _join(self, transaction_id: str, events: Sequence[str], *, known: bool = False) -> None:
        if not known:
            joined = self.all[transaction_id]
            self.all[transaction_id] = replace(joined, events=(*joined.events, *events))
        self._placed.update(events)
        for event in events:
            if event_id := self._signals[event].event_id:
                self._by_event_id.setdefault(event_id, transaction_id)

    def _same(self, at_us: int, event_ids: Iterable[str]) -> str | None:
        """An equal event id is stronger than time; of several that are near, the nearest counts."""
        named = next((self._by_event_id[each] for each in event_ids if each in self._by_event_id), None)
        if named is not None:
            return named
        after = bisect_left(self._by_time, (at_us, ""))
        near = [
            (abs(at_us - opened_us), opened_us, transaction_id)
            for opened_us, transaction_id in self._by_time[max(after - 1, 0) : after + 1]
            if abs(at_us - opened_us) < self._same_within
        ]
        return min(near)[2] if near else None


def _value(occurrence: Occurrence, signals: Mapping[str, Happened]) -> Money | None:
    return next((value for event in occurrence.events if (value := signals[event].value) is not None), None)


def mint(conversion: str, event: str) -> str:
    """Make the transaction id: free of personal data, the same for the same conversion and opening event."""
    return hashlib.blake2b(f"{conversion}\0{event}".encode(), digest_size=16).hexdigest()
