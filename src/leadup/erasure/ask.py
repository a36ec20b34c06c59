"""What is held of a person, and the commit by which she is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Table, delete, func, insert, select

from leadup.delivery.book import all_targets
from leadup.delivery.erase import withdraw
from leadup.errors import Busy, LeadupError
from leadup.events.log import EventLog
from leadup.events.search import Sighted
from leadup.identity import erase
from leadup.identity.bulk import among
from leadup.identity.erase import Her, forget, her
from leadup.identity.suppress import Door, close
from leadup.identity.vault import Vault
from leadup.outgoing import Use
from leadup.plan import Standing
from leadup.state import Store
from leadup.state.store import chunks, upsert
from leadup.state.tables import (
    conversions,
    erased_events,
    erasures,
    holdouts,
    memberships,
    part_events,
    rejects,
    spans,
    standings,
    vault,
)
from leadup.types import Identifier, to_us

_TRIES: Final = 5
Found = dict[int, list[Sighted]]
"""What files of the log were found to hold, by their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is held of a person."""

    person: int
    identifiers: Mapping[str, int]
    """By kind."""
    shared: int
    """How many of them others use too: those stay theirs."""
    records: Mapping[str, int]
    """By what they are: events, signals, facts, ..."""
    segments: tuple[str, ...]
    """In which she is now."""
    audiences: Mapping[str, str]
    """By target, how sure it is that she is there: ``present``, ``possible``, ``leaving``."""
    reported: Mapping[str, int]
    """By target, conversions and properties that stand there. They stay as they are."""


def held(store: Store, log: EventLog, person: int) -> Held:
    """Say what is held of a person, and where."""
    with store.read() as connection:
        who = her(connection, person)
        events = sum(one.counts and _is_hers(who, one) for one in log.carrying(connection, list(who.stretches), {}))
        records = {"events": events}
        owned = spans.c.person == person
        for table in erase.BY_ANCHOR:
            mine = (spans.c.identifier == table.c.anchor) & (table.c.at_us >= spans.c.from_us)
            query = select(func.count()).select_from(table.join(spans, mine & (table.c.at_us < spans.c.until_us)))
            records[table.name] = connection.scalar(query.where(owned)) or 0
        secrets = select(func.count()).where(vault.c.identifier.in_(among(who.known)))
        records["encrypted addresses"] = connection.scalar(secrets) or 0
        for name, of in (("conversions", conversions), ("holdouts", holdouts)):
            records[name] = _count(connection, of, who)
        inside = select(memberships.c.segment).where(memberships.c.person.in_(who.numbers))
        targets = {target.id: target.target for target in all_targets(connection)}
        rows = connection.execute(select(standings).where(standings.c.person.in_(who.numbers))).all()
        there = [row for row in rows if targets[row.target].use is Use.AUDIENCE and row.standing != Standing.ABSENT]
        told = [row for row in rows if targets[row.target].use is not Use.AUDIENCE and row.stands is not None]
        return Held(
            person=person,
            identifiers=Counter(str(identifier.kind) for identifier in who.stretches),
            shared=len(who.stretches) - len(who.alone),
            records={name: count for name, count in records.items() if count},
            segments=tuple(sorted(set(connection.scalars(inside)))),
            audiences={targets[row.target].key: row.standing for row in there},
            reported=Counter(targets[row.target].key for row in told),
        )


def _count(connection: Connection, table: Table, who: Her) -> int:
    return connection.scalar(select(func.count()).select_from(table).where(table.c.person.in_(who.numbers))) or 0


def _is_hers(who: Her, one: Sighted) -> bool:
    return who.owns(one.identifiers[0], one.at_us)


def ask(
    store: Store,
    log: EventLog,
    box: Vault,
    person: int,
    now: datetime,
    by: str,
    *,
    region: str | None = None,
    inbox_until: int = 0,
) -> int:
    """Erase a person, as far as it is ours to do, and plan what the vendors have to; return the request's number.

    One commit, before which the files of the log are read, so that the write lock is held shortly.

    Args:
        store: the state.
        log: its events.
        box: keeps the key of the suppression list.
        person: her number.
        now: the present instant. Later events of a browser that was hers are not kept away.
        by: who asked, for the receipt.
        region: as in :func:`leadup.identity.normalise.normalise`, to find her in rejected lines.
        inbox_until: the last request in the collector's inbox, which may tell of her.

    Raises:
        LeadupError: she is nobody any more.
        Busy: what is known of her keeps changing.
    """
    known: frozenset[Identifier] = frozenset()
    found: Found = {}
    for _ in range(_TRIES):
        with store.read() as connection:
            who = her(connection, person)
            if (wanted := _wanted(who)) != known:
                known, found = wanted, {}
            log.carrying(connection, known, found)
        with store.write() as connection:
            who = her(connection, person)
            if not who.known:
                raise LeadupError(f"p{person} is nobody any more: erased, or merged into another person meanwhile.")
            if _wanted(who) != known:
                continue
            values = {"state": "leaving", "asked_us": to_us(now), "asked_by": by, "inbox_until": inbox_until}
            added = connection.execute(insert(erasures).values(**values))
            erasure = int(added.inserted_primary_key[0])  # type: ignore[index]
            _erase(connection, log, box, erasure, who, found, to_us(now), region)
            return erasure
    raise Busy(f"What is known of p{person} keeps changing.\n  What to do: try again.")


def _wanted(who: Her) -> frozenset[Identifier]:
    return frozenset({*who.stretches, *who.beside.values()})


def _erase(
    connection: Connection,
    log: EventLog,
    box: Vault,
    erasure: int,
    who: Her,
    found: Found,
    now_us: int,
    region: str | None,
) -> None:
    sighted = log.carrying(connection, _wanted(who), found)
    hers = [one for one in sighted if _is_hers(who, one)]
    first_us: dict[Identifier, int] = {}
    for one in sighted:
        if one.counts and not _is_hers(who, one):
            for identifier in one.identifiers:
                first_us[identifier] = min(first_us.get(identifier, one.at_us), one.at_us)
    close(connection, box, who.closed(erasure, now_us))
    upsert(
        connection, erased_events, [{"erasure": erasure, "key": key} for key in {one.key for one in hers}], update=()
    )
    counting = [one.key for one in hers if one.counts]
    for part in chunks(counting):
        connection.execute(delete(part_events).where(part_events.c.key.in_(part)))
    log.remove(connection, counting)
    forget(connection, who, first_us)
    withdraw(connection, erasure, who.numbers, now_us)
    door = Door(connection, box)
    rejected = connection.execute(select(rejects.c.id, rejects.c.text)).all()
    for part in chunks(row.id for row in rejected if door.names(row.text, region)):
        connection.execute(delete(rejects).where(rejects.c.id.in_(part)))
