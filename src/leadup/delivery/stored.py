"""Occurrences and episodes as the table ``conversions`` holds them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, bindparam, insert, select, update

from leadup.state.store import chunks
from leadup.state.tables import conversions
from leadup.types import Money
from leadup.values.episodes import Episode, State
from leadup.values.occurrences import Occurrence

Stored: TypeAlias = "dict[str, tuple[str, int, Occurrence]]"
"""By transaction id: the conversion's name, the person it was stored for, and the occurrence."""
Found: TypeAlias = "Mapping[str, Sequence[tuple[int, Occurrence]]]"
"""By conversion, what there is of it, each with its person."""


def read(connection: Connection, persons: Collection[int] = (), transaction_ids: Collection[str] = ()) -> Stored:
    """Read what is stored of these persons, and what is stored under these ids."""
    found: Stored = {}
    for column, values in ((conversions.c.person, persons), (conversions.c.transaction_id, transaction_ids)):
        for part in chunks(values):
            for row in connection.execute(select(conversions).where(column.in_(part))).mappings():
                found[row["transaction_id"]] = row["name"], row["person"], _occurrence(dict(row))
    return found


def _occurrence(row: Mapping[str, Any]) -> Occurrence:
    common: dict[str, Any] = {
        "transaction_id": row["transaction_id"],
        "opened_us": row["opened_us"],
        "events": tuple(row["events"]),
        "value": Money(row["minor"], row["currency"]) if row["minor"] is not None else None,
        "click_ids": tuple(sorted(row["click_ids"].items())),
        "click_us": row["click_us"],
        "consent": tuple(sorted(row["consent"].items())),
    }
    if row["episode"] is None:
        return Occurrence(**common)
    return Episode(**common, **{**row["episode"], "state": State(row["episode"]["state"])})


def write(connection: Connection, stored: Stored, found: Found) -> None:
    """Write those of ``found`` that are not ``stored`` just so."""
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
                "click_us": occurrence.click_us,
                "consent": dict(occurrence.consent),
                "episode": _episode(occurrence) if isinstance(occurrence, Episode) else None,
            }
            (new if before is None else changed).append(row)
    if new:
        connection.execute(insert(conversions), new)
    if changed:
        here = update(conversions).where(conversions.c.transaction_id == bindparam("known"))
        connection.execute(here, [{"known": row.pop("transaction_id"), **row} for row in changed])


def _episode(episode: Episode) -> dict[str, Any]:
    names = ("opener", "step", "ends_us", "since_us", "estimate")
    return {"state": str(episode.state), **{name: getattr(episode, name) for name in names}}
