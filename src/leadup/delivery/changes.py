"""Outbox rows as changes: what a destination is given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select

from leadup.delivery.book import TargetRow
from leadup.delivery.states import Row
from leadup.state.store import chunks
from leadup.state.tables import conversions
from leadup.types import (
    Address,
    Change,
    Convert,
    Join,
    Leave,
    Money,
    Purpose,
    RemoteId,
    Restate,
    Upsert,
    Use,
    from_us,
)


def changes(connection: Connection, target: TargetRow, rows: Sequence[Row]) -> list[Change]:
    """One change per row, in order; of a conversion with the time and click ids of the event that opened it."""
    details: dict[str, Any] = {}
    if target.target.use is Use.CONVERSION:
        for part in chunks([row["subject"] for row in rows]):
            query = select(conversions).where(conversions.c.transaction_id.in_(part))
            details |= {row["transaction_id"]: row for row in connection.execute(query).mappings()}
    return [_change(target, row, details.get(row["subject"])) for row in rows]


def _change(target: TargetRow, row: Row, conversion: Any) -> Change:
    common: dict[str, Any] = {
        "key": row["key"],
        "person": row["person"],
        "to": Address(tuple(RemoteId(kind, value) for kind, value in row["remote"] or [])),
        "consent": {Purpose(name): granted for name, granted in (row["consent"] or {}).items()},
    }
    match row["verb"]:
        case "join":
            return Join(**common)
        case "leave":
            return Leave(**common)
        case "upsert":
            return Upsert(**common, properties={target.target.name: row["want"]["v"]})
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
