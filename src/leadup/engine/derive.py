"""Events become signals: the catalogue is matched against what is new, or against the log when the catalogue changed.

Signals are narrow, derived and can be rebuilt at will. They hang on the anchor of their event (the strongest identifier
it carried), which never changes, so that a merge of persons rewrites nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from leadup.engine import signal_files
from leadup.events.log import EventLog
from leadup.identity import people
from leadup.normal import is_nobody
from leadup.rules.program import Pattern, Program, ValueOf
from leadup.rules.signals import EVENT_ID, properties_by_pattern
from leadup.rules.visits import SESSION_ID, viewed
from leadup.rules.where import match
from leadup.state.gone import leave_out
from leadup.state.store import chunks, upsert
from leadup.state.tables import clicks, dirty, meta, signals, spans
from leadup.types import Event, Json, Money, minor_digits, to_us

_BATCH = 10_000
_META = "patterns"


def derive(connection: Connection, program: Program, events: Sequence[tuple[bytes, Event, int]]) -> int:
    """Write the signals of events given as (key, event, anchor); return how many there are.

    The events must have no signals yet (see :func:`drop`).
    """
    read, rows = properties_by_pattern(program), list[dict[str, Any]]()
    properties = [event.properties for _, event, _ in events]
    for name, found in match(program, [event.name for _, event, _ in events], properties):
        pattern = program.patterns[name]
        for index in found.tolist():
            key, event, anchor = events[index]
            value = amount(pattern, event)
            rows.append(
                {
                    "event": key,
                    "pattern": name,
                    "anchor": anchor,
                    "at_us": to_us(event.at),
                    "minor": value.minor if value else None,
                    "currency": value.currency if value else None,
                    "properties": _kept(viewed(name, event.properties, event.click_ids), read[name]),
                    "click_ids": dict(event.click_ids),
                    "consent": {str(purpose): granted for purpose, granted in event.consent.items()},
                }
            )
    if rows:
        numbers = signal_files.next_numbers(connection, len(rows))
        connection.execute(insert(signals), [{**row, "number": n} for row, n in zip(rows, numbers, strict=True)])
    return len(rows)


def note_clicks(connection: Connection, events: Sequence[tuple[bytes, Event, int]]) -> None:
    """Keep the click ids of events given as (key, event, anchor), for what their persons do later."""
    rows = [
        {"event": key, "anchor": anchor, "at_us": to_us(event.at), "ids": dict(event.click_ids)}
        for key, event, anchor in events
        if event.click_ids
    ]
    upsert(connection, clicks, rows, update=["anchor", "at_us", "ids"])


def _kept(properties: Mapping[str, Json], read: Collection[str]) -> dict[str, Json]:
    """The properties that rules read. An id such as "undefined" names no occurrence and no session: it is left out."""
    kept = {name: properties[name] for name in read if name in properties}
    for name in (EVENT_ID, SESSION_ID):
        if is_nobody(str(kept.get(name, "")).strip()):
            kept.pop(name, None)
    return kept


def drop(connection: Connection, events: Collection[bytes]) -> None:
    """Remove the signals and click ids of events that were revised or taken back; whose they were is judged again."""
    s = signals.c
    owned = (spans.c.identifier == s.anchor) & (s.at_us >= spans.c.from_us) & (s.at_us < spans.c.until_us)
    for part in chunks(events):
        owners = select(spans.c.person).select_from(spans.join(signals, owned)).where(s.event.in_(part)).distinct()
        upsert(connection, dirty, [{"person": person} for person in connection.scalars(owners)], update=())
        leave_out(connection, s.event.in_(part))
        connection.execute(delete(signals).where(s.event.in_(part)))
        connection.execute(delete(clicks).where(clicks.c.event.in_(part)))


def amount(pattern: Pattern, event: Event) -> Money | None:
    """The amount of one signal: the pattern's own, or read from the event's properties (major units, rounded half up).

    None when the property is missing or no number, or its currency is missing: an unknown amount is not zero.
    """
    if not isinstance(pattern.value, ValueOf):
        return pattern.value
    currency = pattern.value.currency or event.properties.get(pattern.value.currency_property)
    raw = event.properties.get(pattern.value.property)
    if not isinstance(currency, str) or raw is None or isinstance(raw, bool):
        return None
    return _money(raw, currency.strip().upper())


def _money(raw: Json, currency: str) -> Money | None:
    try:
        minor = (Decimal(str(raw)) * 10 ** minor_digits(currency)).quantize(Decimal(1), ROUND_HALF_UP)
    except InvalidOperation:
        return None
    return Money(int(minor), currency) if minor.is_finite() and len(currency) == 3 else None


def rederive(connection: Connection, program: Program, log: EventLog) -> int:
    """Bring the signals in line with the catalogue: only patterns that are new, changed or gone are touched.

    Returns how many events were read.
    """
    before: dict[str, str] = connection.scalar(select(meta.c.value).where(meta.c.key == _META)) or {}
    after = fingerprints(program)
    stale = [name for name in before if before[name] != after.get(name)]
    if stale:
        signal_files.forget(connection, stale)
        connection.execute(delete(signals).where(signals.c.pattern.in_(stale)))
    fresh = {name for name in after if before.get(name) != after[name]}
    read = 0
    if fresh:
        part = Program(
            patterns={name: program.patterns[name] for name in program.patterns if name in fresh},
            segments=program.segments,
        )
        names = {match.event for pattern in part.patterns.values() for match in pattern.any}
        for events in _logged(connection, log, names):
            anchors = people.anchors_of(connection, [event.identifiers for _, event in events])
            items = [(k, e, a) for (k, e), a in zip(events, anchors, strict=True) if a is not None]
            derive(connection, part, items)
            read += len(events)
    connection.execute(delete(meta).where(meta.c.key == _META))
    connection.execute(insert(meta), [{"key": _META, "value": after}])
    return read


def _logged(connection: Connection, log: EventLog, names: Collection[str]) -> Iterator[list[tuple[bytes, Event]]]:
    batch: list[tuple[bytes, Event]] = []
    for found in log.read(connection, names=names):
        for item in log.events_of(found):
            batch.append(item)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def is_derived(connection: Connection, program: Program) -> bool:
    """Whether the signals of all its patterns stand as this program reads them."""
    before: dict[str, str] = connection.scalar(select(meta.c.value).where(meta.c.key == _META)) or {}
    return fingerprints(program).items() <= before.items()


def fingerprints(program: Program) -> dict[str, str]:
    """Name the meaning of each pattern, as far as its stored signals depend on it."""
    read = properties_by_pattern(program)
    return {
        name: hashlib.blake2b(
            repr((pattern.any, pattern.value, sorted(read[name]))).encode(), digest_size=16
        ).hexdigest()
        for name, pattern in program.patterns.items()
    }
