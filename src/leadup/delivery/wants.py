"""What should stand at each target for a set of persons, once they have been judged.

Works inside the tick's transaction: reads identifiers and consent, asks the pure rules of :mod:`leadup.membership` and
:mod:`leadup.values`, and records the answers in the book.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select, update

from leadup.consent import permission
from leadup.delivery.book import TargetRow, Want, set_wants
from leadup.identity import people
from leadup.membership import Audience, wanted
from leadup.rules.program import Program
from leadup.state.store import chunks
from leadup.state.tables import conversions, signals, spans, standings
from leadup.types import NEVER, Consent, Identifier, Json, Money, Purpose, Use
from leadup.values.occurrences import Happened, Occurrence, occurrences

DAY_US = 86_400_000_000


@dataclass(slots=True, kw_only=True)
class Judged:
    """What the tick knows of the persons it judged."""

    persons: Sequence[int]
    members: Mapping[str, Collection[int]]
    """By segment."""
    reasons: Mapping[tuple[str, int], str]
    """Why somebody entered or left a segment just now, by segment and person."""
    scores: Mapping[str, Mapping[int, float]]
    """By score, by person."""
    fresh: Collection[int]
    """Persons about whom something is new, as against those whose time had come."""
    daily: dict[int, int] = field(default_factory=dict)
    """Filled here: persons whose decaying property is due again, and when."""


def want_all(
    connection: Connection, program: Program, targets: Sequence[TargetRow], judged: Judged, at_us: int
) -> None:
    """Record what should stand at every active target for these persons."""
    live = [target for target in targets if target.active]
    if not live:
        return
    who = people.identifiers_of(connection, judged.persons)
    consent = people.consent_together(connection, judged.persons)
    happened = _conversions(connection, program, judged.persons, at_us)
    of_person = _standings(connection, [t.id for t in live], map(str, judged.persons))
    for target in live:
        name, standing = target.target.name, of_person.get(target.id, {})
        match target.target.use:
            case Use.AUDIENCE:
                wants = _audience(target, judged, standing, who, consent)
            case Use.PROPERTY:
                wants = _property(program, target, judged, standing, who, consent, at_us)
            case Use.CONVERSION:
                mine = happened.get(name, [])
                reported = _standings(connection, [target.id], [o.transaction_id for _, o in mine])
                wants = _report(target, mine, reported.get(target.id, {}), who, consent, at_us)
        set_wants(connection, target, wants, at_us)


# ---------------------------------------------------------------- audiences


def _audience(
    target: TargetRow,
    judged: Judged,
    standing: Mapping[str, Mapping[str, Any]],
    who: Mapping[int, Sequence[Identifier]],
    consent: Mapping[int, Consent],
) -> list[Want]:
    members = judged.members.get(target.target.name, ())
    asked = Audience(needs=target.terms.needs, purposes=target.terms.purposes)
    wants = []
    for person in judged.persons:
        member = person in members
        if not member and str(person) not in standing:
            continue
        answer = wanted(asked, member=member, identifiers=who.get(person, ()), consent=consent.get(person, {}))
        reason = judged.reasons.get((target.target.name, person), answer.reason)
        moved = member == (answer.basis is not None)
        wants.append(Want(str(person), person, answer.basis, reason if moved else answer.reason, answer.urgent))
    return wants


# ---------------------------------------------------------------- properties


def _property(
    program: Program,
    target: TargetRow,
    judged: Judged,
    standing: Mapping[str, Mapping[str, Any]],
    who: Mapping[int, Sequence[Identifier]],
    consent: Mapping[int, Consent],
    at_us: int,
) -> list[Want]:
    prop = program.properties[target.target.name]
    tiers = program.scores[prop.score].tiers
    wants = []
    for person, score in judged.scores[prop.score].items():
        before = standing.get(str(person))
        value: Json = _tier(tiers, score) if prop.tier else math.floor(score)
        if before is None and not value:
            continue
        if not any(i.kind in target.terms.needs for i in who.get(person, ())):
            continue
        if not permission(target.terms.purposes, consent.get(person, {})).granted:
            continue
        known = before["want"] if before else None
        decayed = not prop.tier and person not in judged.fresh
        stays = known is not None and _stays(known, value, score, tiers, at_us, decayed=decayed)
        if not stays:
            wants.append(Want(str(person), person, {"v": value, "us": at_us}, f"{prop.score} is {score:.1f}"))
        if not prop.tier and value:
            # A value that a day has not changed is looked at again a day later: the next look always lies ahead.
            again = (known["us"] if known is not None and stays else at_us) + DAY_US
            judged.daily[person] = min(judged.daily.get(person, NEVER), again if again > at_us else at_us + DAY_US)
    return wants


def _stays(
    known: Any, value: Json, score: float, tiers: Sequence[tuple[str, float]], at_us: int, *, decayed: bool
) -> bool:
    """Whether what was written last stays: nothing changed, or nothing but decay, within a day and within a tier."""
    early = decayed and at_us - known["us"] < DAY_US
    return bool(known["v"] == value or (early and _tier(tiers, score) == _tier(tiers, float(known["v"]))))


def _tier(tiers: Sequence[tuple[str, float]], score: float) -> str:
    return next((name for name, threshold in reversed(tiers) if score >= threshold), "")


# ---------------------------------------------------------------- conversions


def _conversions(
    connection: Connection, program: Program, persons: Collection[int], at_us: int
) -> dict[str, list[tuple[int, Occurrence]]]:
    """Fold new signals into occurrences, store what changed, and return all occurrences by conversion."""
    if not program.conversions:
        return {}
    patterns = {conversion.on for conversion in program.conversions.values()}
    signals_of = _happened(connection, patterns, persons, at_us)
    known_of = _known(connection, persons)
    found: dict[str, list[tuple[int, Occurrence]]] = defaultdict(list)
    inserts: list[dict[str, Any]] = []
    updates: list[dict[str, Any]] = []
    for conversion in program.conversions.values():
        same_within = program.patterns[conversion.on].same_within
        for person in persons:
            known = known_of.get((conversion.name, person), [])
            happened = signals_of.get((conversion.on, person), [])
            if not known and not happened:
                continue
            changed = {o.transaction_id: o for o in occurrences(conversion.name, same_within, known, happened)}
            stored = {o.transaction_id for o in known}
            for occurrence in changed.values():
                row = _store(conversion.name, person, occurrence)
                (updates if occurrence.transaction_id in stored else inserts).append(row)
            everything = {**{o.transaction_id: o for o in known}, **changed}
            fixed = conversion.value
            found[conversion.name] += [
                (person, o if fixed is None or o.retracted else _with_value(o, fixed)) for o in everything.values()
            ]
    if inserts:
        connection.execute(insert(conversions), inserts)
    for row in updates:
        connection.execute(update(conversions).where(conversions.c.transaction_id == row["transaction_id"]).values(row))
    return found


def _with_value(occurrence: Occurrence, value: Money) -> Occurrence:
    return Occurrence(
        transaction_id=occurrence.transaction_id,
        opened_us=occurrence.opened_us,
        events=occurrence.events,
        value=value,
        click_ids=occurrence.click_ids,
        consent=occurrence.consent,
    )


def _happened(
    connection: Connection, patterns: Collection[str], persons: Collection[int], at_us: int
) -> dict[tuple[str, int], list[Happened]]:
    s = signals.c
    owned = (spans.c.identifier == s.anchor) & (s.at_us >= spans.c.from_us) & (s.at_us < spans.c.until_us)
    query = (
        select(spans.c.person, signals)
        .select_from(spans.join(signals, owned))
        .where(s.pattern.in_(sorted(patterns)), s.at_us <= at_us)
    )
    found: dict[tuple[str, int], list[Happened]] = defaultdict(list)
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
    return found


def _known(connection: Connection, persons: Collection[int]) -> dict[tuple[str, int], list[Occurrence]]:
    found: dict[tuple[str, int], list[Occurrence]] = defaultdict(list)
    for part in chunks(persons):
        for row in connection.execute(select(conversions).where(conversions.c.person.in_(part))):
            found[row.name, row.person].append(
                Occurrence(
                    transaction_id=row.transaction_id,
                    opened_us=row.opened_us,
                    events=tuple(row.events),
                    value=Money(row.minor, row.currency) if row.minor is not None else None,
                    click_ids=tuple(sorted(row.click_ids.items())),
                    consent=tuple(sorted(row.consent.items())),
                )
            )
    return found


def _store(name: str, person: int, occurrence: Occurrence) -> dict[str, Any]:
    return {
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


def _report(
    target: TargetRow,
    happened: Sequence[tuple[int, Occurrence]],
    standing: Mapping[str, Mapping[str, Any]],
    who: Mapping[int, Sequence[Identifier]],
    consent: Mapping[int, Consent],
    at_us: int,
) -> list[Want]:
    wants = []
    for person, occurrence in happened:
        row = standing.get(occurrence.transaction_id)
        stands = row["stands"] if row else None
        amount, reason = _amount(target, occurrence, stands, who.get(person, ()), consent.get(person, {}), at_us)
        if amount is not None or row is not None:
            wants.append(Want(occurrence.transaction_id, person, amount, reason))
    return wants


def _amount(
    target: TargetRow,
    occurrence: Occurrence,
    stands: Any,
    identifiers: Sequence[Identifier],
    consent: Consent,
    at_us: int,
) -> tuple[Json, str]:
    """What should stand for one occurrence, and why. What was sent is only ever restated, never taken for unsent."""
    if occurrence.retracted:
        zero = {"minor": 0, "currency": stands["currency"]} if stands else None
        return zero, "the events that reported it were taken back"
    value = occurrence.value
    amount: Json = {"minor": value.minor if value else None, "currency": value.currency if value else None}
    own = {Purpose(name): granted for name, granted in occurrence.consent}
    allowed = permission(target.terms.purposes, consent, own)
    if not allowed.granted:
        return (dict(stands) if stands else None), f"happened, but {allowed.because}"
    if stands:
        return amount, "the value changed" if stands != amount else "reported"
    if target.terms.max_age_us is not None and at_us - occurrence.opened_us > target.terms.max_age_us:
        return None, f"happened more than {target.terms.max_age_us // DAY_US} days ago, which is not taken there"
    usable = any(i.kind in target.terms.needs for i in identifiers)
    if not usable and not any(name in target.terms.click_ids for name, _ in occurrence.click_ids):
        return None, "happened, but there is no click id and no identifier to report it by"
    return amount, "happened"


def _standings(
    connection: Connection, targets: Collection[int], subjects: Iterable[str]
) -> dict[int, dict[str, Mapping[str, Any]]]:
    """What the book says of these subjects, by target."""
    found: dict[int, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for part in chunks(subjects):
        query = select(standings).where(standings.c.target.in_(targets), standings.c.subject.in_(part))
        for row in connection.execute(query).mappings():
            found[row["target"]][row["subject"]] = dict(row)
    return found
