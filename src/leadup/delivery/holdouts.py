"""Holdouts: who is drawn, from the first moment at which the person could have been sent.

An assignment is made once and stays. Whoever was sent all the same (before the holdout was there, or as somebody who
turned out to be the same person) is marked as mixed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from leadup.identity import people
from leadup.membership import draws
from leadup.rules.program import Holdout
from leadup.state.store import SALT, chunks, upsert
from leadup.state.tables import holdouts, meta


@dataclass(frozen=True, slots=True)
class Lot:
    """What a holdout means for one person."""

    held: bool
    at_us: int
    """When it was drawn."""
    mixed: bool = False
    """Held out and sent both: tells nothing about what sending does."""


def lots(connection: Connection, name: str, persons: Collection[int]) -> dict[int, Lot]:
    """Return what was drawn for these persons; who could never be sent so far is left out."""
    found: dict[int, Lot] = {}
    for part in chunks(persons):
        query = select(holdouts).where(holdouts.c.name == name, holdouts.c.person.in_(part))
        found |= {row.person: Lot(row.held, row.at_us, row.mixed) for row in connection.execute(query)}
    return found


def draw(
    connection: Connection, holdout: Holdout, deliverable: Iterable[int], sent: Collection[int], at_us: int
) -> set[int]:
    """Draw for whoever could be sent for the first time; return who of ``deliverable`` is held out.

    ``sent``: persons who have been sent to an audience of this holdout at some time.
    """
    asked = sorted(set(deliverable))
    known = lots(connection, holdout.name, asked)
    new = [person for person in asked if person not in known]
    if new:
        salt = str(connection.scalar(select(meta.c.value).where(meta.c.key == SALT)))
        strongest = people.strongest(connection, new)
        known |= {person: Lot(draws(holdout, salt, strongest[person]), at_us) for person in new}
    mixed = {p: replace(lot, mixed=True) for p, lot in known.items() if lot.held and not lot.mixed and p in sent}
    known |= mixed
    rows = [_row(holdout.name, person, known[person]) for person in sorted({*new, *mixed})]
    upsert(connection, holdouts, rows, update=["mixed"])
    return {person for person, lot in known.items() if lot.held}


def pass_on(connection: Connection, merges: Mapping[int, int]) -> None:
    """Of persons who turned out to be one the earliest lot stays; if they were treated unlike, that one is mixed."""
    concerned = holdouts.c.person.in_([*merges, *set(merges.values())])
    together: dict[tuple[str, int], Lot] = {}
    for row in connection.execute(select(holdouts).where(concerned)):
        key, lot = (row.name, merges.get(row.person, row.person)), Lot(row.held, row.at_us, row.mixed)
        other = together.get(key, lot)
        first = min(lot, other, key=lambda one: (one.at_us, not one.held))
        together[key] = replace(first, mixed=lot.mixed or other.mixed or lot.held != other.held)
    connection.execute(delete(holdouts).where(concerned))
    if together:
        connection.execute(insert(holdouts), [_row(name, person, lot) for (name, person), lot in together.items()])


def _row(name: str, person: int, lot: Lot) -> dict[str, Any]:
    return {"name": name, "person": person, "held": lot.held, "at_us": lot.at_us, "mixed": lot.mixed}
