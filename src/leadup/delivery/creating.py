"""People whom a vendor does not know yet, and whom somebody has told us to create there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select

from leadup.delivery.book import TargetRow
from leadup.delivery.claim import permissions
from leadup.delivery.ledger import Line, write_ledger
from leadup.delivery.rows import Row
from leadup.identity import people
from leadup.identity.vault import Vault
from leadup.kit import Creating, Destination
from leadup.outgoing import Address, Unreachable
from leadup.state import Store
from leadup.state.tables import ledger
from leadup.types import to_us


def create(
    store: Store,
    vault: Vault,
    destinations: Mapping[str, Destination],
    target: TargetRow,
    rows: Sequence[Row],
    addresses: Mapping[int, Address | Unreachable],
    now: datetime,
) -> dict[int, Address | Unreachable]:
    """Have those people created of whom ``addresses`` says that they could be, and whose row consent lets leave now.

    Works between two transactions, just before the rows are claimed. After a crash in between they are simply found.

    Returns:
        Where those people are found, by person.
    """
    destination = destinations[target.target.connection]
    if not isinstance(destination, Creating) or not destination.creates:
        return {}
    unknown = {person for person, one in addresses.items() if isinstance(one, Unreachable) and one.creatable}
    mine = [row for row in rows if row["person"] in unknown]
    if not mine:
        return {}
    with store.read() as connection:
        allowed = permissions(connection, target, mine)
        persons = sorted({row["person"] for row in mine if allowed[row["id"]].granted})
        contacts = people.contacts(connection, persons, vault)
    found = destination.create(target.target, [contacts[person] for person in sorted(contacts)])
    answers = dict(zip(sorted(contacts), found, strict=True))
    made = {person for person, one in answers.items() if isinstance(one, Address)}
    lines = [
        Line(row["id"], row["subject"], row["person"], row["verb"], "created", detail="was not known there")
        for row in mine
        if row["person"] in made
    ]
    with store.write() as connection:
        warned = (ledger.c.target == target.id) & (ledger.c.verb == "create")
        if lines and connection.scalar(select(ledger.c.id).where(warned).limit(1)) is None:
            lines.append(Line(None, "", None, "create", "begun", detail=destination.creates))
        write_ledger(connection, to_us(now), target.id, lines)
    return answers
