"""Identifiers as they were sent to an audience, or with a value that stands, of a property.

By subject they are in ``standings.remote``, by identifier in ``remote_ids``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeAlias

from sqlalchemy import Connection, bindparam, delete, insert, select, tuple_, update

from leadup.identity.bulk import among
from leadup.outgoing import Outcome, Receipt, Use
from leadup.state.store import chunks
from leadup.state.tables import budgets, remote_ids, standings, targets

Pair: TypeAlias = "tuple[str, str]"
"""An identifier's kind and value."""


def pairs(remote: Any) -> set[Pair]:
    """Identifiers as they are stored, as a set."""
    return {(kind, value) for kind, value in remote or ()}


def stored(identifiers: Iterable[Pair]) -> list[list[str]] | None:
    """Identifiers as they are stored; None when there are none."""
    return [list(pair) for pair in sorted(set(identifiers))] or None


def holders(
    connection: Connection, target: int, rows: Iterable[Mapping[str, Any]], *where: Any
) -> dict[Pair, set[str]]:
    """Which subjects sent each identifier that one of these rows sends."""
    wanted = sorted({pair for row in rows for pair in pairs(row["remote"])})
    found: dict[Pair, set[str]] = {}
    for part in chunks(wanted, 5_000):
        query = select(remote_ids.c.kind, remote_ids.c.value, remote_ids.c.subject).where(
            remote_ids.c.target == target, tuple_(remote_ids.c.kind, remote_ids.c.value).in_(part), *where
        )
        for kind, value, subject in connection.execute(query):
            found.setdefault((kind, value), set()).add(subject)
    return found


def brought(remote: Any, receipt: Receipt) -> set[Pair]:
    """What of a join's identifiers is in the audience by it, as the vendor says."""
    if receipt.brought is not None:
        return {(one.kind, one.value) for one in receipt.brought}
    return pairs(remote) if receipt.outcome is Outcome.CONFIRMED else set()


def known_as_ours(
    connection: Connection, target: int, rows: Collection[Mapping[str, Any]], joined: Iterable[set[Pair]]
) -> set[Pair]:
    """Identifiers that are there by us, or may be: by these rows (``joined``), earlier ones, or other persons'."""
    earlier = (pairs(row["before"]["remote"]) for row in rows if row["before"])
    mine = {row["subject"] for row in rows}
    others = {pair for pair, subjects in holders(connection, target, rows).items() if subjects - mine}
    return others.union(*joined, *earlier)


def hold(connection: Connection, target: int, changes: Mapping[str, tuple[set[Pair], set[Pair]]]) -> None:
    """Keep ``remote_ids`` as ``standings.remote`` says: by subject, the identifiers before and now."""
    gone = [(subject, pair) for subject, (before, now) in changes.items() for pair in sorted(before - now)]
    new = [(subject, pair) for subject, (before, now) in changes.items() for pair in sorted(now - before)]
    if gone:
        columns = {"target": "t", "kind": "k", "value": "v", "subject": "s"}
        statement = delete(remote_ids).where(*(remote_ids.c[name] == bindparam(to) for name, to in columns.items()))
        connection.execute(statement, [{"t": target, "k": kind, "v": value, "s": s} for s, (kind, value) in gone])
    if new:
        rows = [{"target": target, "kind": kind, "value": value, "subject": s} for s, (kind, value) in new]
        connection.execute(insert(remote_ids), rows)


def follow(connection: Connection, merged: Mapping[tuple[str, str], tuple[str, str]], persons: Collection[int]) -> None:
    """Take what was sent to audiences as records that the vendor has merged into others since as sent as those.

    So a later leave goes to the record that is left, also after an erasure, when nobody can be looked up any more.
    The vendor keeps places in audiences at a merge; what a property holds it chooses, so those are left alone.
    One connection may read what another of the same account writes: which those are, the vendor told with its calls.

    Args:
        connection: a transaction that may write.
        merged: by connection and record, the connection and record that it was merged into.
        persons: those who have such records.
    """
    told = connection.execute(select(budgets.c.connection, budgets.c.account))
    account: dict[str, str] = {row.connection: row.account for row in told}
    into: dict[tuple[str, str], str] = {}
    for (vendor, record), (_, left) in merged.items():
        for one in {vendor, *(name for name, its in account.items() if its == account.get(vendor))}:
            into[one, record] = left
    query = (
        select(standings.c.target, standings.c.subject, standings.c.remote, targets.c.connection)
        .join(targets, targets.c.id == standings.c.target)
        .where(standings.c.person.in_(among(persons)), standings.c.remote.is_not(None))
        .where(targets.c.use == Use.AUDIENCE, targets.c.connection.in_({vendor for vendor, _ in into}))
    )
    for target, subject, remote, vendor in connection.execute(query).all():
        now = {(kind, into.get((vendor, value), value)) for kind, value in pairs(remote)}
        if now != pairs(remote):
            here = (standings.c.target == target) & (standings.c.subject == subject)
            connection.execute(update(standings).where(here).values(remote=stored(now)))
            hold(connection, target, {subject: (pairs(remote), now)})
