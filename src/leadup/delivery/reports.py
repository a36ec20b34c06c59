"""Conversions to report: signals are folded into occurrences, and each is worth an amount to a target, or nothing.

Works inside the tick's transaction.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from sqlalchemy import Connection, bindparam, insert, select, update

from leadup.consent import Permission, permission
from leadup.delivery.book import TargetRow, Want, standings_of
from leadup.plan import Standing, retraction
from leadup.rules.program import Program
from leadup.state.store import chunks
from leadup.state.tables import clicks, conversions, outbox, signals, spans
from leadup.types import Consent, Identifier, Json, Money, Purpose
from leadup.values.occurrences import Happened, Occurrence, mint, occurrences

DAY_US = 86_400_000_000
CLICK_LOOKBACK_US = 90 * DAY_US
"""A click counts no longer than this (Google Ads Help, "About conversion windows": 90 days at most)."""

Key: TypeAlias = "tuple[str, int]"
"""A pattern's or conversion's name, and a person."""


def fold(
    connection: Connection, program: Program, persons: Collection[int], at_us: int
) -> dict[str, list[tuple[int, Occurrence]]]:
    """Fold new signals into occurrences, store what changed, and return all of these persons by conversion."""
    if not program.conversions:
        return {}
    happened = _happened(connection, {conversion.on for conversion in program.conversions.values()}, persons, at_us)
    owners = {
        mint(conversion.name, signal.event): person
        for conversion in program.conversions.values()
        for person in persons
        for signal in happened.get((conversion.on, person), ())
    }
    stored = _stored(connection, persons, owners)
    known: dict[Key, list[Occurrence]] = defaultdict(list)
    for transaction_id, (name, person, occurrence) in stored.items():
        known[name, owners.get(transaction_id, person)].append(occurrence)
    found: dict[str, list[tuple[int, Occurrence]]] = defaultdict(list)
    for conversion in program.conversions.values():
        same_within = program.patterns[conversion.on].same_within
        for person in persons:
            mine, signals_ = known.get((conversion.name, person), []), happened.get((conversion.on, person), [])
            if mine or signals_:
                changed = occurrences(conversion.name, same_within, mine, signals_)
                everything = {o.transaction_id: o for o in [*mine, *changed]}
                found[conversion.name] += [(person, occurrence) for occurrence in everything.values()]
    _store(connection, stored, found)
    return {
        name: [(person, _valued(occurrence, program.conversions[name].value)) for person, occurrence in occurred]
        for name, occurred in found.items()
    }


def _valued(occurrence: Occurrence, value: Money | None) -> Occurrence:
    """A conversion's own amount counts before that of its pattern."""
    return occurrence if value is None or occurrence.retracted else replace(occurrence, value=value)


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
    found: dict[int, list[tuple[int, bytes, dict[str, str]]]] = defaultdict(list)
    for part in chunks(sorted(without)):
        for person, at_us, event, ids in connection.execute(query.where(spans.c.person.in_(part))):
            found[person].append((at_us, event, ids))
    for (_, person), signals_ in happened.items():
        if person in found:
            ordered = sorted(found[person], key=lambda click: click[:2])
            signals_[:] = [s if s.click_ids else replace(s, click_ids=_clicked(ordered, s.at_us)) for s in signals_]


def _clicked(ordered: Sequence[tuple[int, bytes, dict[str, str]]], at_us: int) -> tuple[tuple[str, str], ...]:
    before = bisect_right(ordered, at_us, key=lambda click: click[0])
    if not before or ordered[before - 1][0] <= at_us - CLICK_LOOKBACK_US:
        return ()
    return tuple(sorted(ordered[before - 1][2].items()))


Stored: TypeAlias = "tuple[str, int, Occurrence]"
"""A conversion's name, the person it was stored for, and the occurrence."""


def _stored(connection: Connection, persons: Collection[int], minted: Collection[str]) -> dict[str, Stored]:
    """By transaction id, what is known of these persons, and what their signals opened while they were somebody else's.

    A signal changes hands when a device turns out to be another one's: its conversion, once minted, goes with it.
    """
    found: dict[str, Stored] = {}
    for column, values in ((conversions.c.person, persons), (conversions.c.transaction_id, minted)):
        for part in chunks(values):
            for row in connection.execute(select(conversions).where(column.in_(part))):
                occurrence = Occurrence(
                    transaction_id=row.transaction_id,
                    opened_us=row.opened_us,
                    events=tuple(row.events),
                    value=Money(row.minor, row.currency) if row.minor is not None else None,
                    click_ids=tuple(sorted(row.click_ids.items())),
                    consent=tuple(sorted(row.consent.items())),
                )
                found[row.transaction_id] = row.name, row.person, occurrence
    return found


def _store(
    connection: Connection, stored: Mapping[str, Stored], found: Mapping[str, Sequence[tuple[int, Occurrence]]]
) -> None:
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for name, occurred in found.items():
        for person, occurrence in occurred:
            before = stored.get(occurrence.transaction_id)
            if before == (name, person, occurrence):
                continue
            row = {
                "name": name,
                "person": person,
                "transaction_id": occurrence.transaction_id,
                "opened_us": occurrence.opened_us,
                "events": list(occurrence.events),
                "minor": occurrence.value.minor if occurrence.value else None,
                "currency": occurrence.value.currency if occurrence.value else None,
                "click_ids": dict(occurrence.click_ids),
                "consent": dict(occurrence.consent),
            }
            (new if before is None else changed).append(row)
    if new:
        connection.execute(insert(conversions), new)
    if changed:
        here = update(conversions).where(conversions.c.transaction_id == bindparam("known"))
        connection.execute(here, [{"known": row.pop("transaction_id"), **row} for row in changed])


# ---------------------------------------------------------------- what each is worth to a target


def reports(
    connection: Connection,
    target: TargetRow,
    happened: Sequence[tuple[int, Occurrence]],
    who: Mapping[int, Sequence[Identifier]],
    consent: Mapping[int, Consent],
    at_us: int,
) -> list[Want]:
    """What should stand at a target for each occurrence, given with its person; and of each that should not, why."""
    standing = standings_of(connection, target.id, (occurrence.transaction_id for _, occurrence in happened))
    sent = _sent(connection, standing.values())
    wants = []
    for person, occurrence in happened:
        row = standing.get(occurrence.transaction_id)
        stands = row["stands"] if row else None
        own = {Purpose(name): granted for name, granted in occurrence.consent}
        allowed = permission(target.terms.purposes, consent.get(person, {}), own)
        if occurrence.retracted:
            amount, reason = _taken_back(stands, sent.get(row["sent"]) if row else None, allowed)
        else:
            amount, reason = _amount(target, occurrence, stands, who.get(person, ()), allowed, at_us)
        wants.append(Want(occurrence.transaction_id, person, amount, reason))
    return wants


def _sent(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> dict[int, Json]:
    """By outbox row, the amounts that may be counted: they were sent, and the vendor has not answered."""
    unknown = [row["sent"] for row in rows if row["stands"] is None and row["standing"] != Standing.ABSENT]
    found: dict[int, Json] = {}
    for part in chunks(sent for sent in unknown if sent is not None):
        query = select(outbox.c.id, outbox.c.want).where(outbox.c.id.in_(part))
        found |= {row.id: row.want for row in connection.execute(query)}
    return found


def _taken_back(stands: Any, sent: Any, allowed: Permission) -> tuple[Json, str]:
    """What stands is restated to 0. So is what only may stand, if consent allows: the vendor may not know of it yet."""
    if stands is None and sent is not None and not allowed.granted:
        return None, f"the events that reported it were taken back before the vendor answered, but {allowed.because}"
    last = stands or sent
    return (retraction(last["currency"]) if last else None), "the events that reported it were taken back"


def _amount(
    target: TargetRow,
    occurrence: Occurrence,
    stands: Json,
    identifiers: Sequence[Identifier],
    allowed: Permission,
    at_us: int,
) -> tuple[Json, str]:
    """What should stand for one occurrence, and why. What was sent is only ever restated, never taken for unsent."""
    if not allowed.granted:
        return None, f"happened, but {allowed.because}"
    value = occurrence.value
    amount: Json = {"minor": value.minor if value else None, "currency": value.currency if value else None}
    if stands:
        return amount, "the value changed" if stands != amount else "reported"
    if target.terms.max_age_us is not None and at_us - occurrence.opened_us > target.terms.max_age_us:
        return None, f"happened more than {target.terms.max_age_us // DAY_US} days ago, which is not taken there"
    usable = any(i.kind in target.terms.needs for i in identifiers)
    if not usable and not any(name in target.terms.click_ids for name, _ in occurrence.click_ids):
        return None, "happened, but there is no click id and no identifier to report it by"
    return amount, "happened"
