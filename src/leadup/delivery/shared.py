"""Records that several persons share, as contacts that a vendor has merged: one's value there outlives another's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, update

from leadup.delivery.book import TargetRow, standings_of
from leadup.delivery.remote import Pair, holders
from leadup.delivery.rows import Row
from leadup.outgoing import Address, Unreachable
from leadup.plan import Standing
from leadup.state.store import chunks
from leadup.state.tables import standings


def clears(row: Row) -> bool:
    """Whether a row takes a property's value back."""
    return bool(row["verb"] == "upsert" and row["want"]["v"] is None)


def shared_values(
    connection: Connection, target: TargetRow, rows: Sequence[Row], addresses: Mapping[int, Address | Unreachable]
) -> dict[Pair, set[str]]:
    """Return at which of the records where these rows are to clear a value others have one, with their subjects.

    Others have one there if it was sent there last, or is by these very rows, and still is to stand. So ``rows`` are
    those which consent lets leave: what is withheld comes nowhere.
    """
    cleared = {row["subject"] for row in rows if clears(row)}
    if not cleared:
        return {}
    places = {row["subject"]: identifiers(addresses.get(row["person"])) for row in rows}
    found = holders(connection, target.id, [{"remote": places[subject]} for subject in cleared])
    book = standings_of(connection, target.id, set().union(*found.values()) - places.keys())
    valued = {subject for subject, row in book.items() if row["want"] is not None and row["want"]["v"] is not None}
    theirs = {pair: subjects & valued for pair, subjects in found.items()}
    for subject in places.keys() - cleared:
        for pair in places[subject]:
            theirs.setdefault(pair, set()).add(subject)
    return {pair: subjects for pair, subjects in theirs.items() if subjects}


def send_anew(
    connection: Connection, target: TargetRow, theirs: Mapping[Pair, Collection[str]], rows: Sequence[Row]
) -> None:
    """Have the values of these others sent once more: the one that is not cleared may have been written over theirs."""
    others = set().union(*theirs.values()) - {row["subject"] for row in rows}
    for part in chunks(sorted(others)):
        here = (standings.c.target == target.id) & standings.c.subject.in_(part)
        anew = {"stands": None, "standing": Standing.POSSIBLE, "open": True}
        connection.execute(update(standings).where(here).values(**anew))


def identifiers(address: Address | Unreachable | None) -> set[Pair]:
    """Where a person is found, as it is stored."""
    return {(one.kind, one.value) for one in address.ids} if isinstance(address, Address) else set()
