"""Tells destinations whom they will be asked about, before the first row is claimed.

People who wait at several targets of a connection are then looked for once, in full batches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, case, func, or_, select

from leadup.delivery.book import TargetRow
from leadup.errors import TryLater, unforeseen
from leadup.identity import people
from leadup.identity.seal import redact
from leadup.identity.vault import Vault
from leadup.kit import Destination, Foreseeing
from leadup.outgoing import Contact
from leadup.state import Store
from leadup.state.store import chunks
from leadup.state.tables import outbox
from leadup.types import from_us

log = structlog.get_logger("leadup.delivery")

AT_ONCE = 1_000
"""People whose contact data is in memory."""


def foresee(
    store: Store,
    vault: Vault,
    destinations: Mapping[str, Destination],
    due: Sequence[tuple[TargetRow, Sequence[ColumnElement[bool]]]],
    now: datetime,
) -> dict[str, TryLater | None]:
    """Tell each destination that wishes to know; return the connections that were told, or are to be later.

    ``due``: targets, each with what tells its rows that may be sent now.

    Other trouble stops nothing here: the connection's targets meet it too, and say so.
    """
    of_connection: dict[str, list[Sequence[ColumnElement[bool]]]] = defaultdict(list)
    for target, rows in due:
        of_connection[target.target.connection].append(rows)
    told: dict[str, TryLater | None] = {}
    for name, waiting in of_connection.items():
        destination = destinations[name]
        if not isinstance(destination, Foreseeing):
            continue
        try:
            destination.foresee(_people(store, vault, waiting), now)
            told[name] = None
        except TryLater as error:
            told[name] = error
        except Exception as error:  # noqa: BLE001 - a saving that fails
            log.info("not looked ahead", connection=name, error=redact(unforeseen(error)))
    return told


def _people(
    store: Store, vault: Vault, rows: Sequence[Sequence[ColumnElement[bool]]]
) -> Iterator[tuple[Contact, datetime]]:
    """Yield everybody whom these rows are about, once, with since when the newest of them could have been sent.

    A leave asks for nobody: it goes by what was sent.
    """
    since: dict[int, int] = {}
    for some in chunks(rows, 100):
        due = or_(*(_all(where) for where in some)) & (outbox.c.verb != "leave")
        # What has been sent was looked up for that; what was put off before is to be looked up when it is due.
        ready_us = case((outbox.c.sent_us.is_(None), outbox.c.next_us), else_=outbox.c.planned_us)
        query = select(outbox.c.person, func.max(ready_us)).where(due).group_by(outbox.c.person)
        with store.read() as connection:
            for person, us in connection.execute(query):
                since[person] = max(us, since.get(person, us))
    for part in chunks(sorted(since), AT_ONCE):
        with store.read() as connection:
            found = people.contacts(connection, part, vault)
        yield from ((found[person], from_us(since[person])) for person in sorted(found))


def _all(where: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    first, *others = where
    for one in others:
        first &= one
    return first
