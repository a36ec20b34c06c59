"""Outbox rows as changes: what a destination is given."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select

from leadup.delivery.book import TargetRow
from leadup.delivery.rows import Row
from leadup.outgoing import Address, Change, Convert, Join, Leave, RemoteId, Restate, Upsert, Use
from leadup.state.store import chunks
from leadup.state.tables import conversions, outbox
from leadup.types import Json, Money, Purpose, from_us


def changes(connection: Connection, target: TargetRow, rows: Sequence[Row]) -> list[Change]:
    """One change per row, in order; of a conversion with the time and click ids of the event that opened it."""
    details: dict[str, Any] = {}
    if target.target.use is Use.PROPERTY:
        return _upserts(connection, target, rows)
    if target.target.use is Use.CONVERSION:
        for part in chunks([row["subject"] for row in rows]):
            query = select(conversions).where(conversions.c.transaction_id.in_(part))
            details |= {row["transaction_id"]: row for row in connection.execute(query).mappings()}
    return [_change(row, details.get(row["subject"])) for row in rows]


def _upserts(connection: Connection, target: TargetRow, rows: Sequence[Row]) -> list[Change]:
    """Values to write. To clear one, a destination is told what of ours may stand there."""
    name = target.target.name
    sent = ever_sent(connection, target, {row["person"] for row in rows if row["want"]["v"] is None})
    return [
        Upsert(
            **_common(row),
            properties={name: row["want"]["v"]},
            ours={name: sent[row["person"]]} if row["want"]["v"] is None else {},
        )
        for row in rows
    ]


def ever_sent(connection: Connection, target: TargetRow, persons: Collection[int]) -> dict[int, list[Json]]:
    """Return the values of a property that were ever sent for each of these persons."""
    sent: dict[int, list[Json]] = defaultdict(list)
    for part in chunks(sorted(persons)):
        ours = (outbox.c.target == target.id) & outbox.c.person.in_(part) & outbox.c.sent_us.is_not(None)
        for person, want in connection.execute(select(outbox.c.person, outbox.c.want).where(ours)):
            if want["v"] is not None and want["v"] not in sent[person]:
                sent[person].append(want["v"])
    return sent


def _common(row: Row) -> dict[str, Any]:
    return {
        "key": row["key"],
        "person": row["person"],
        "to": Address(tuple(RemoteId(kind, value) for kind, value in row["remote"] or [])),
        "consent": {Purpose(name): granted for name, granted in (row["consent"] or {}).items()},
    }


def _change(row: Row, conversion: Any) -> Change:
    common = _common(row)
    match row["verb"]:
        case "join":
            return Join(**common)
        case "leave":
            return Leave(**common)
    amount = row["want"]
    common |= {
        "transaction_id": row["subject"],
        "at": from_us(conversion["opened_us"]),
        "value": Money(amount["minor"], amount["currency"]) if amount.get("minor") is not None else None,
        "click_ids": conversion["click_ids"],
    }
    if row["verb"] != "restate":
        return Convert(**common)
    # Rows of one conversion are planned one after the other, maybe within a second: their numbers keep them apart.
    decided = from_us(row["planned_us"]).replace(microsecond=0) + timedelta(seconds=row["number"])
    return Restate(**common, taken_back=bool(amount.get("gone")), decided_at=decided)
