"""Signals become occurrences to report. Pure.

One thing that happened may reach us by several roads: signals of one person and pattern closer than ``same_within``, or
with an equal ``event_id``, are one occurrence. Its transaction id is minted from the event that opened it and never
changes: a late event of the same occurrence joins it, even one that is dated earlier.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
    consent: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One conversion of one person. ``events`` are those that reported it, the opening one first."""

    transaction_id: str
    opened_us: int
    events: tuple[str, ...]
    value: Money | None
    click_ids: tuple[tuple[str, str], ...] = ()
    consent: tuple[tuple[str, bool], ...] = ()

    @property
    def retracted(self) -> bool:
        """All its events were taken back."""
        return not self.events


def occurrences(
    conversion: str, same_within: int, known: Sequence[Occurrence], happened: Sequence[Happened]
) -> list[Occurrence]:
    """Fold the person's present signals into the occurrences known so far.

    Returns those that are new or changed. An occurrence that lost all its events comes back with none and no value.
    """
    signals = {signal.event: signal for signal in happened}
    open_ones = _together([replace(o, events=tuple(e for e in o.events if e in signals)) for o in known], same_within)
    taken = {event for occurrence in open_ones.values() for event in occurrence.events}
    for signal in sorted(happened, key=lambda s: (s.at_us, s.event)):
        if signal.event in taken:
            continue
        joined = _same(signal, list(open_ones.values()), signals, same_within)
        if joined is None:
            joined = Occurrence(
                transaction_id=mint(conversion, signal.event),
                opened_us=signal.at_us,
                events=(),
                value=None,
                click_ids=signal.click_ids,
                consent=signal.consent,
            )
            joined = open_ones.get(joined.transaction_id, joined)
        open_ones[joined.transaction_id] = replace(joined, events=(*joined.events, signal.event))
    open_ones = _together(list(open_ones.values()), same_within)  # an event that came back may have reopened its own
    before = {occurrence.transaction_id: occurrence for occurrence in known}
    valued = [replace(o, value=_value(o, signals)) for o in open_ones.values()]
    return [occurrence for occurrence in valued if before.get(occurrence.transaction_id) != occurrence]


def _together(known: Sequence[Occurrence], same_within: int) -> dict[str, Occurrence]:
    """Of occurrences that a merge of persons brought within ``same_within``, the older one goes on with all events."""
    kept: dict[str, Occurrence] = {}
    for occurrence in sorted(known, key=lambda o: (o.opened_us, o.transaction_id)):
        older = next((k for k in kept.values() if k.events and occurrence.opened_us - k.opened_us < same_within), None)
        if older is not None and occurrence.events:
            kept[older.transaction_id] = replace(older, events=(*older.events, *occurrence.events))
            occurrence = replace(occurrence, events=())
        kept[occurrence.transaction_id] = occurrence
    return kept


def _same(
    signal: Happened, known: Sequence[Occurrence], signals: dict[str, Happened], same_within: int
) -> Occurrence | None:
    for occurrence in known:
        if signal.event_id and any(signals[event].event_id == signal.event_id for event in occurrence.events):
            return occurrence
    near = [o for o in known if o.events and abs(signal.at_us - o.opened_us) < same_within]
    return min(near, key=lambda o: (abs(signal.at_us - o.opened_us), o.opened_us), default=None)


def _value(occurrence: Occurrence, signals: dict[str, Happened]) -> Money | None:
    return next((value for event in occurrence.events if (value := signals[event].value) is not None), None)


def mint(conversion: str, event: str) -> str:
    """Make the transaction id: free of personal data, the same for the same conversion and opening event."""
    return hashlib.blake2b(f"{conversion}\0{event}".encode(), digest_size=16).hexdigest()
