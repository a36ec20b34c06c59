"""Resolves sightings of identifiers to persons, page by page.

Who is who depends on the set of records seen and on nothing else: not on their order, nor on how they were paged. Late
records, late logins and first sights that turn out to be earlier are taken in as if they had always been known. The
rules, and why so little has to be kept and looked at, stand in :mod:`leadup.identity.ownership`.

A record is stored under its **anchor**, its strongest identifier, which never changes; persons own identifiers for
spans of time. So a merge moves spans and rewrites no event, signal, fact or consent.

**Cost.** A page costs what its records cost, plus a new division of what hangs together with a link whose two ends have
different owners; a page of known identifiers at home divides nothing. A device that thousands of users share, or an
e-mail address on thousands of devices, is divided anew by each page that brings it someone new: linear in its links,
some ten microseconds each.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from leadup.identity.bulk import among, next_numbers
from leadup.identity.links import hanging_together, store_links
from leadup.identity.ownership import Division, Link, divide
from leadup.identity.register import Register, Sighting, Stretch, owner_at
from leadup.state.store import upsert
from leadup.state.tables import dirty, persons, shared, spans


@dataclass(frozen=True, slots=True)
class Absorbed:
    """What a page of sightings did."""

    anchors: list[int | None]
    """For each sighting, in order, the number of its strongest identifier; None: it carried none."""
    merges: list[tuple[int, int]]
    """(old person, the person he turned out to be), sorted. Also in ``persons.merged_into``."""


def absorb(connection: Connection, sightings: Sequence[Sighting]) -> Absorbed:
    """Take in what a page of records says about who is who. Needs a transaction that may write.

    Every person who got a record, or whose identifiers or spans changed, is put into ``dirty``; so is one who was
    merged away, for what is still kept under his number.
    """
    register = Register(connection)
    register.enrol(sightings)
    concerned, found = hanging_together(register, store_links(register, sightings))
    concerned.update(register.fresh)
    merges = _settle(register, concerned, found)
    anchors = [register.numbers[seen[0]] if seen else None for seen, _ in sightings]
    register.soiled.update(
        owner_at(register.owners[anchor], at_us)
        for anchor, (_, at_us) in zip(anchors, sightings, strict=True)
        if anchor is not None
    )
    upsert(connection, dirty, [{"person": person} for person in sorted(register.soiled)], update=())
    return Absorbed(anchors, sorted(merges.items()))


def redivide(connection: Connection, start: Collection[int]) -> None:
    """Divide anew what hangs together with these identifiers (no user ids), after links were taken away.

    Every person whose identifiers or spans changed is put into ``dirty``.
    """
    register = Register(connection)
    register.look_up(start)
    _settle(register, *hanging_together(register, set(start)))
    upsert(connection, dirty, [{"person": person} for person in sorted(register.soiled)], update=())


def _settle(register: Register, concerned: Collection[int], found: Sequence[Link]) -> dict[int, int]:
    """Divide these identifiers by these links, and write it down; return which persons merge into which."""
    if not concerned:
        return {}
    division = divide({number: register.known[number] for number in concerned}, found)
    seats, merges = _seat(register, division)
    _rename(register, merges)
    _write_spans(register, division, seats)
    _write_shared(register, division)
    return merges


def _seat(register: Register, division: Division) -> tuple[list[int], dict[int, int]]:
    """Say which person each group is, and which persons merge into which.

    Each person sits where his strongest identifier now is (best kind, then first seen, then text; a device counts by
    the first instant he owned it). Of several in a group the smallest number stays; an empty group gets a new one.
    """
    strongest: dict[int, tuple[int, int, str, int, int]] = {}
    for number in division.shares:
        identifier = register.known[number]
        for from_us, _, person in register.owners.get(number, ()):
            claim = (identifier.kind.strength, register.first_us[number], identifier.value, from_us, number)
            strongest[person] = min(strongest.get(person, claim), claim)
    seated: dict[int, list[int]] = defaultdict(list)
    for person, (*_, from_us, number) in strongest.items():
        shares = division.shares[number]
        seated[shares[bisect_right(shares, from_us, key=lambda share: share.from_us) - 1].group].append(person)
    empty = [group for group in range(len(division.groups)) if group not in seated]
    new = next_numbers(register.connection, persons.c.id, len(empty))
    if empty:
        register.connection.execute(insert(persons), [{"id": person} for person in new])
    seated.update((group, [person]) for group, person in zip(empty, new, strict=True))
    seats = [min(seated[group]) for group in range(len(division.groups))]
    return seats, {person: seats[group] for group in seated for person in seated[group] if person != seats[group]}


def _rename(register: Register, merges: Mapping[int, int]) -> None:
    """Give one person all that the other has, also what was not divided anew."""
    if not merges:
        return
    connection = register.connection
    rows = [{"old": person, "into": other} for person, other in merges.items()]
    old, into = bindparam("old", type_=persons.c.id.type), bindparam("into", type_=persons.c.id.type)
    connection.execute(update(persons).where(persons.c.id == old).values(merged_into=into), rows)
    connection.execute(update(spans).where(spans.c.person == old).values(person=into), rows)
    connection.execute(update(shared).where(shared.c.person == old).values(person=into), rows)
    register.soiled.update(merges.keys(), merges.values())


def _write_spans(register: Register, division: Division, seats: Sequence[int]) -> None:
    """Write the spans that changed, and let the register know."""
    gone, rows = [], []
    for number, shares in division.shares.items():
        new = [Stretch(from_us, until_us, seats[group]) for from_us, until_us, group in shares]
        old = register.owners.get(number, ())
        if new == old:
            continue
        register.owners[number] = new
        lost, won = set(old).difference(new), set(new).difference(old)
        starts = {stretch.from_us for stretch in won}
        gone += [{"number": number, "start_us": lost_.from_us} for lost_ in lost if lost_.from_us not in starts]
        rows += [{"identifier": number, **stretch._asdict()} for stretch in won]
        register.soiled.update(stretch.person for stretch in lost | won)
    if gone:
        start = (spans.c.identifier == bindparam("number")) & (spans.c.from_us == bindparam("start_us"))
        register.connection.execute(delete(spans).where(start), gone)
    upsert(register.connection, spans, rows, update=("until_us", "person"))


def _write_shared(register: Register, division: Division) -> None:
    """Write who else can be reached by contact data."""
    numbers: Collection[int] = division.shares.keys() - register.fresh
    query = select(shared.c.identifier, shared.c.person).where(shared.c.identifier.in_(among(numbers)))
    old = {(number, person) for number, person in register.connection.execute(query)}
    new = {(contact, register.owners[user][0].person) for contact, user in division.shared}
    if gone := old - new:
        row = (shared.c.identifier == bindparam("contact")) & (shared.c.person == bindparam("reader"))
        rows = [{"contact": contact, "reader": person} for contact, person in sorted(gone)]
        register.connection.execute(delete(shared).where(row), rows)
    rows = [{"identifier": contact, "person": person} for contact, person in sorted(new - old)]
    upsert(register.connection, shared, rows, update=())
    # Whoever shares an address is judged anew with it: of their consents the strictest counts.
    changed = {number for number, _ in old ^ new}
    register.soiled.update(person for number, person in old | new if number in changed)
    register.soiled.update(stretch.person for number in changed for stretch in register.owners.get(number, ()))
