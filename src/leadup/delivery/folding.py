"""Signals of what is reported are folded into occurrences and episodes. Works inside the tick's transaction."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from sqlalchemy import Connection, select

from leadup.delivery import stored
from leadup.delivery.ladders import climb
from leadup.rules.program import Program
from leadup.state.store import chunks
from leadup.state.tables import clicks, signals, spans
from leadup.types import Money
from leadup.values.occurrences import Happened, Occurrence, mint, occurrences

DAY_US = 86_400_000_000
CLICK_LOOKBACK_US = 90 * DAY_US
"""A click counts no longer than this (Google Ads Help, "About conversion windows": 90 days at most)."""

Key: TypeAlias = "tuple[str, int]"
"""A pattern's or conversion's name, and a person."""
Click: TypeAlias = "tuple[int, bytes, dict[str, str]]"
"""When it was, the event's key, and its click ids by kind."""


def fold(
    connection: Connection, program: Program, persons: Collection[int], at_us: int
) -> dict[str, list[tuple[int, Occurrence]]]:
    """Fold new signals in, store what changed, and return all that these persons have of each conversion."""
    if not program.conversions:
        return {}
    patterns = {pattern for conversion in program.conversions.values() for pattern in conversion.patterns}
    happened = _happened(connection, patterns, persons, at_us)
    plain = [conversion for conversion in program.conversions.values() if conversion.ladder is None]
    owners = {
        mint(conversion.name, signal.event): person
        for conversion in plain
        for person in persons
        for signal in happened.get((conversion.on, person), ())
    }
    # A signal changes hands when a device turns out to be another one's: its conversion, once minted, goes with it.
    before = stored.read(connection, persons, owners)
    known: dict[Key, list[Occurrence]] = defaultdict(list)
    for transaction_id, (name, person, occurrence) in before.items():
        known[name, owners.get(transaction_id, person)].append(occurrence)
    found: dict[str, list[tuple[int, Occurrence]]] = defaultdict(list)
    for conversion in plain:
        same_within = program.patterns[conversion.on].same_within
        for person in persons:
            mine, signals_ = known.get((conversion.name, person), []), happened.get((conversion.on, person), [])
            if mine or signals_:
                changed = occurrences(conversion.name, same_within, mine, signals_)
                everything = {o.transaction_id: o for o in [*mine, *changed]}
                found[conversion.name] += [(person, occurrence) for occurrence in everything.values()]
    found |= climb(connection, program, persons, happened, before, at_us)
    stored.write(connection, before, found)
    return {
        name: [(person, _valued(occurrence, program.conversions[name].value)) for person, occurrence in occurred]
        for name, occurred in found.items()
    }


def _valued(occurrence: Occurrence, value: Money | None) -> Occurrence:
    """A conversion's own amount counts before that of its pattern."""
    return occurrence if value is None or occurrence.void else replace(occurrence, value=value)


def _happened(
    connection: Connection, patterns: Collection[str], persons: Collection[int], at_us: int
) -> dict[Key, list[Happened]]:
    s = signals.c
    owned = (spans.c.identifier == s.anchor) & (s.at_us >= spans.c.from_us) & (s.at_us < spans.c.until_us)
    query = (
        select(spans.c.person, signals)
        .select_from(spans.join(signals, owned))
        .where(s.pattern.in_(sorted(patterns)), s.at_us <= at_us)
    )
    found: dict[Key, list[Happened]] = defaultdict(list)
    for part in chunks(persons):
        for row in connection.execute(query.where(spans.c.person.in_(part))):
            found[row.pattern, row.person].append(
                Happened(
                    event=row.event.hex(),
                    event_id=str(row.properties.get("event_id") or ""),
                    at_us=row.at_us,
                    value=Money(row.minor, row.currency) if row.minor is not None else None,
                    click_ids=tuple(sorted(row.click_ids.items())),
                    click_us=row.at_us if row.click_ids else None,
                    consent=tuple(sorted(row.consent.items())),
                )
            )
    _carry_clicks(connection, found)
    return found


def _carry_clicks(connection: Connection, happened: Mapping[Key, list[Happened]]) -> None:
    """Give what happened without a click id those of the person's latest click before it.

    A landing page brings the click id, and what follows on the site does not repeat it (GA4, "BigQuery Export schema":
    collected_traffic_source).
    """
    without = {person for (_, person), signals_ in happened.items() if not all(s.click_ids for s in signals_)}
    c = clicks.c
    owned = (spans.c.identifier == c.anchor) & (c.at_us >= spans.c.from_us) & (c.at_us < spans.c.until_us)
    query = select(spans.c.person, c.at_us, c.event, c.ids).select_from(spans.join(clicks, owned))
    found: dict[int, list[Click]] = defaultdict(list)
    for part in chunks(sorted(without)):
        for person, at_us, event, ids in connection.execute(query.where(spans.c.person.in_(part))):
            found[person].append((at_us, event, ids))
    for (_, person), signals_ in happened.items():
        if person in found:
            ordered = sorted(found[person], key=lambda click: click[:2])
            signals_[:] = [s if s.click_ids else _after_click(ordered, s) for s in signals_]


def _after_click(ordered: Sequence[Click], signal: Happened) -> Happened:
    before = bisect_right(ordered, signal.at_us, key=lambda click: click[0])
    if not before or ordered[before - 1][0] <= signal.at_us - CLICK_LOOKBACK_US:
        return signal
    at_us, _, ids = ordered[before - 1]
    return replace(signal, click_ids=tuple(sorted(ids.items())), click_us=at_us)
