"""What is known of persons: identifiers, contact data, consent, facts, and who is meant by a text.

All reads are by person; spans decide which of an identifier's records are his.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from pydantic import SecretStr
from sqlalchemy import Connection, and_, delete, func, select, tuple_

from leadup.consent import strictest
from leadup.identity.bulk import among
from leadup.identity.normalise import normalise
from leadup.identity.vault import Vault
from leadup.outgoing import Contact, Email
from leadup.state.store import chunks, upsert
from leadup.state.tables import consents, dirty, facts, identifiers, persons, shared, spans, vault
from leadup.types import EVER, Identifier, Json, Kind, Purpose

NOBODY: Final = 0
"""What an erased person has turned out to be."""

_KINDS = sorted(Kind, key=lambda kind: kind.strength)
_STRENGTH = {str(kind): place for place, kind in enumerate(_KINDS)}

# ---------------------------------------------------------------- who there is


def everyone(connection: Connection) -> list[int]:
    """All persons but those who turned out to be others."""
    return list(connection.scalars(select(persons.c.id).where(persons.c.merged_into.is_(None)).order_by(persons.c.id)))


def current(connection: Connection, asked: Collection[int]) -> dict[int, int]:
    """Whom each person has turned out to be; himself, if nobody else; :data:`NOBODY` who was erased."""
    stays = {person: person for person in asked}
    front = set(asked)
    while front:
        merged = persons.c.id.in_(among(front)) & persons.c.merged_into.is_not(None)
        moved = {row.id: row.merged_into for row in connection.execute(select(persons).where(merged))}
        if moved:
            stays = {person: moved.get(now, now) for person, now in stays.items()}
        front = set(moved.values())
    return stays


def known_from(connection: Connection, asked: Collection[int]) -> dict[int, int]:
    """When each person was first seen, in microseconds; a person who owns nothing is left out."""
    found: dict[int, int] = {}
    for part in chunks(asked):
        query = (
            select(spans.c.person, spans.c.from_us, identifiers.c.first_us)
            .join(identifiers, identifiers.c.id == spans.c.identifier)
            .where(spans.c.person.in_(part))
        )
        for person, from_us, first_us in connection.execute(query):
            seen = first_us if from_us == EVER else from_us
            found[person] = min(found.get(person, seen), seen)
    return found


def identifiers_of(connection: Connection, asked: Collection[int]) -> dict[int, list[Identifier]]:
    """Identifiers of each person, strongest first; contact data that he shares with another person included."""
    found: dict[int, set[tuple[int, str]]] = {person: set() for person in asked}
    for owned in (spans, shared):
        query = (
            select(owned.c.person, identifiers.c.kind, identifiers.c.value)
            .join(identifiers, identifiers.c.id == owned.c.identifier)
            .where(owned.c.person.in_(among(asked)))
        )
        for person, kind, value in connection.execute(query):
            found[person].add((_STRENGTH[kind], value))
    return {person: [Identifier(_KINDS[rank], value) for rank, value in sorted(own)] for person, own in found.items()}


def strongest(connection: Connection, asked: Collection[int]) -> dict[int, Identifier]:
    """The strongest identifier of each person (of several of one kind, the one seen first)."""
    found: dict[int, tuple[int, int, str]] = {}
    for part in chunks(asked):
        query = (
            select(spans.c.person, identifiers.c.kind, identifiers.c.value, identifiers.c.first_us)
            .join(identifiers, identifiers.c.id == spans.c.identifier)
            .where(spans.c.person.in_(part))
        )
        for person, kind, value, first_us in connection.execute(query):
            rank = (Kind(kind).strength, first_us, value)
            found[person] = min(found.get(person, rank), rank)
    kinds = list(Kind)
    return {person: Identifier(kinds[strength], value) for person, (strength, _, value) in found.items()}


def find(connection: Connection, text: str, *, region: str | None = None) -> list[int]:
    """Persons whom ``text`` tells: ``p17``, ``kind:value``, or a bare identifier of any kind."""
    number = text.removeprefix("p")
    if text.startswith("p") and number.isdigit():
        known = current(connection, [int(number)])
        exists = connection.scalar(select(persons.c.id).where(persons.c.id == int(number)))
        return [known[int(number)]] if exists is not None and known[int(number)] != NOBODY else []
    found: list[int] = []
    for pair in ((str(meant.kind), meant.value) for meant in meant_by(text, region=region)):
        query = (
            select(spans.c.person)
            .join(identifiers, identifiers.c.id == spans.c.identifier)
            .where(tuple_(identifiers.c.kind, identifiers.c.value) == tuple_(*pair))
        )
        found += [person for person in connection.scalars(query) if person not in found]
    return found


def meant_by(text: str, *, region: str | None = None) -> list[Identifier]:
    """Identifiers that ``text`` may mean: ``kind:value``, or a bare one, which may be of any kind."""
    kind, colon, value = text.partition(":")
    named = [(Kind(kind), value)] if colon and kind in set(Kind) else [(kind_, text) for kind_ in Kind]
    meant = [Identifier(k, sealed) for k, raw in named if (sealed := normalise(k, raw, region=region)) is not None]
    return meant + [Identifier(k, raw.lower()) for k, raw in named if k in (Kind.EMAIL, Kind.PHONE)]


# ---------------------------------------------------------------- anchors


def anchors_of(connection: Connection, sealed: Sequence[Sequence[Identifier]]) -> list[int | None]:
    """The anchor of each record, from its sealed identifiers (strongest first); None: it has none that is known."""
    wanted = {(str(seen[0].kind), seen[0].value) for seen in sealed if seen}
    number: dict[tuple[str, str], int] = {}
    pair = tuple_(identifiers.c.kind, identifiers.c.value)
    for part in chunks(sorted(wanted)):
        query = select(identifiers.c.kind, identifiers.c.value, identifiers.c.id).where(pair.in_(part))
        number |= {(kind, value): id_ for kind, value, id_ in connection.execute(query)}
    return [number.get((str(seen[0].kind), seen[0].value)) if seen else None for seen in sealed]


def owners_of(connection: Connection, sealed: Collection[Identifier]) -> set[int]:
    """Persons who own one of these identifiers at any time, and all who turned out to be one of them."""
    numbers = [number for number in anchors_of(connection, [[one] for one in sealed]) if number is not None]
    front = set(connection.scalars(select(spans.c.person).where(spans.c.identifier.in_(among(numbers)))))
    found = set(front)
    while front:
        front = set(connection.scalars(select(persons.c.id).where(persons.c.merged_into.in_(among(front))))) - found
        found |= front
    return found


# ---------------------------------------------------------------- contact data


def contacts(connection: Connection, asked: Collection[int], box: Vault) -> dict[int, Contact]:
    """Contact data of each person, with e-mail addresses in the clear where the vault holds them."""
    who = identifiers_of(connection, asked)
    emails = sorted({i.value for own in who.values() for i in own if i.kind is Kind.EMAIL})
    addresses: dict[str, SecretStr] = {}
    for part in chunks(emails):
        query = (
            select(identifiers.c.value, vault.c.cipher)
            .join(vault, vault.c.identifier == identifiers.c.id)
            .where(identifiers.c.kind == Kind.EMAIL, identifiers.c.value.in_(part))
        )
        addresses |= {value: box.decrypt(cipher) for value, cipher in connection.execute(query)}
    return {
        person: Contact(
            person=person,
            identifiers=tuple(own),
            emails=tuple(Email(i.value, addresses.get(i.value)) for i in own if i.kind is Kind.EMAIL),
        )
        for person, own in who.items()
    }


# ---------------------------------------------------------------- consent


def put_consents(connection: Connection, rows: Iterable[tuple[int, Purpose, int, bool]]) -> None:
    """Store statements given as (anchor, purpose, at in microseconds, granted); at one instant a denial wins.

    Of an identifier that never changes hands only the newest statement is kept.
    """
    stated: dict[tuple[int, str, int], bool] = {}
    for anchor, purpose, at_us, granted in rows:
        key = (anchor, str(purpose), at_us)
        stated[key] = stated.get(key, True) and granted
    if not stated:
        return
    denied = [_consent(key, False) for key, granted in stated.items() if not granted]
    upsert(connection, consents, denied, update=["granted"])
    upsert(connection, consents, [_consent(key, True) for key, granted in stated.items() if granted], update=())
    _mark_sharers(connection, {anchor for anchor, _, _ in stated})
    anchors = sorted({anchor for anchor, _, _ in stated})
    devices = [str(kind) for kind in Kind if kind.is_device]
    for part in chunks(anchors):
        steady = select(identifiers.c.id).where(identifiers.c.id.in_(part), identifiers.c.kind.not_in(devices))
        newer = consents.alias()
        older = (
            select(newer.c.anchor)
            .where(
                newer.c.anchor == consents.c.anchor,
                newer.c.purpose == consents.c.purpose,
                newer.c.at_us > consents.c.at_us,
            )
            .exists()
        )
        connection.execute(delete(consents).where(consents.c.anchor.in_(steady), older))


def _consent(key: tuple[int, str, int], granted: bool) -> dict[str, object]:
    return {"anchor": key[0], "purpose": key[1], "at_us": key[2], "granted": granted}


def consent_of(connection: Connection, asked: Collection[int]) -> dict[int, dict[Purpose, bool]]:
    """The latest statement of each person by purpose; of several at one instant a denial counts."""
    latest: dict[tuple[int, str], tuple[int, bool]] = {}
    owned = and_(
        consents.c.anchor == spans.c.identifier,
        consents.c.at_us >= spans.c.from_us,
        consents.c.at_us < spans.c.until_us,
    )
    query = (
        select(spans.c.person, consents.c.purpose, consents.c.at_us, consents.c.granted)
        .select_from(spans.join(consents, owned))
        .where(spans.c.person.in_(among(asked)))
    )
    for person, purpose, at_us, granted in connection.execute(query):
        before = latest.get((person, purpose))
        if before is None or (at_us, not granted) > (before[0], not before[1]):
            latest[person, purpose] = (at_us, granted)
    found: dict[int, dict[Purpose, bool]] = defaultdict(dict)
    for (person, purpose), (_, granted) in latest.items():
        found[person][Purpose(purpose)] = granted
    return dict(found)


def consent_together(connection: Connection, asked: Collection[int]) -> dict[int, dict[Purpose, bool]]:
    """As :func:`consent_of`; for persons who share contact data the strictest statement of them all counts."""
    circle = _sharers(connection, asked)
    stated = consent_of(connection, {*asked, *(other for others in circle.values() for other in others)})
    return {
        person: strictest([stated.get(other, {}) for other in (person, *circle.get(person, ()))]) for person in asked
    }


def _sharers(connection: Connection, asked: Collection[int]) -> dict[int, set[int]]:
    """With whom each person shares an e-mail address or phone number."""
    if connection.scalar(select(func.count()).select_from(shared)) == 0:
        return {}
    holders = (
        select(shared.c.identifier, shared.c.person)
        .union(
            select(spans.c.identifier, spans.c.person).where(
                spans.c.identifier.in_(select(shared.c.identifier).distinct())
            )
        )
        .subquery()
    )
    one, other = holders.alias(), holders.alias()
    found: dict[int, set[int]] = defaultdict(set)
    for part in chunks(asked):
        query = (
            select(one.c.person, other.c.person.label("with_whom"))
            .join(other, and_(other.c.identifier == one.c.identifier, other.c.person != one.c.person))
            .where(one.c.person.in_(part))
        )
        for row in connection.execute(query):
            found[row.person].add(row.with_whom)
    return found


def _mark_sharers(connection: Connection, anchors: Collection[int]) -> None:
    """Mark those as dirty who share contact data with whom a statement is about."""
    concerned: set[int] = set()
    for part in chunks(sorted(anchors)):
        concerned |= set(connection.scalars(select(spans.c.person).where(spans.c.identifier.in_(part))))
    others = {other for group in _sharers(connection, concerned).values() for other in group}
    upsert(connection, dirty, [{"person": person} for person in sorted(others)], update=())


# ---------------------------------------------------------------- facts


def put_facts(connection: Connection, rows: Iterable[tuple[int, str, int, Json, str]]) -> None:
    """Store facts given as (anchor, trait, at in microseconds, value, record); of one instant, the last counts.

    ``record``: of a snapshot, which record of which source says it; else "".
    """
    told: Mapping[tuple[int, str, int, str], Json] = {(a, t, at, record): value for a, t, at, value, record in rows}
    stored = [
        {"anchor": a, "trait": t, "at_us": at, "record": record, "value": value}
        for (a, t, at, record), value in told.items()
    ]
    upsert(connection, facts, stored, update=["value"])


def facts_of(connection: Connection, asked: Collection[int]) -> list[tuple[int, str, int, Json]]:
    """Facts of persons as (person, trait, at in microseconds, value), by instant; the last of a trait counts.

    Of several at one instant the one under the strongest identifier comes last, in whatever order they arrived. When a
    record says nothing any more, what was said last of all that still stands holds again.
    """
    owned = and_(
        facts.c.anchor == spans.c.identifier, facts.c.at_us >= spans.c.from_us, facts.c.at_us < spans.c.until_us
    )
    told = facts.c.trait, facts.c.at_us, facts.c.value, facts.c.record
    query = (
        select(spans.c.person, *told, identifiers.c.kind, identifiers.c.value)
        .select_from(spans.join(facts, owned).join(identifiers, identifiers.c.id == facts.c.anchor))
        .where(spans.c.person.in_(among(asked)))
    )
    rows = [
        ((at_us, -_STRENGTH[kind], text, record), person, trait, value)
        for person, trait, at_us, value, record, kind, text in connection.execute(query)
    ]
    found: list[tuple[int, str, int, Json]] = []
    standing: dict[tuple[int, str], dict[str, Json]] = defaultdict(dict)
    for (at_us, *_, record), person, trait, value in sorted(rows, key=lambda row: row[0]):
        stands = standing[person, trait]  # by record, the one that was said last at the end
        ends = bool(record) and value is None
        counted = next(reversed(stands), None) == record
        stands.pop(record, None)
        if not ends:
            stands[record] = value
        if counted or not ends:
            found.append((person, trait, at_us, next(reversed(stands.values()), None)))
    return found
