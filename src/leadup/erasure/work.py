"""What goes on after a request, until nothing is left; and what is said of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update

from leadup.delivery.book import all_targets
from leadup.delivery.erase import confirm, reopen, shred
from leadup.engine.signal_files import scrub
from leadup.errors import LeadupError
from leadup.events.log import EventLog
from leadup.inbox import Inbox
from leadup.insights.words import instant
from leadup.state import Store
from leadup.state.tables import erased_events, erased_persons, erasure_targets, erasures, outbox, suppressed

OPEN = ("leaving", "clearing")


def waiting(connection: Connection) -> list[int]:
    """Numbers of the requests that are not done."""
    return list(connection.scalars(select(erasures.c.id).where(erasures.c.state.in_(OPEN)).order_by(erasures.c.id)))


def work(store: Store, log: EventLog, inbox: Inbox | None, now_us: int, *, force: bool = False) -> None:
    """Take every open request as far as it goes now. May be called at any time, again and again.

    ``force``: leaves that a vendor refused are planned again now.
    """
    with store.read() as connection:
        asked = waiting(connection)
    for erasure in asked:
        clean = _files(store, log, erasure, now_us)
        with store.write() as connection:
            row = connection.execute(select(erasures).where(erasures.c.id == erasure)).one()
            if row.state != "leaving":
                continue
            numbers = _numbers(connection, erasure)
            reopen(connection, numbers, now_us, force=force)
            out = confirm(connection, erasure, numbers, now_us)
            if out and clean and not (inbox and inbox.kept(row.inbox_until)):
                shred(connection, erasure, numbers)
                connection.execute(update(erasures).where(erasures.c.id == erasure).values(state="clearing"))
    _clear(store, inbox, now_us)


def _files(store: Store, log: EventLog, erasure: int, now_us: int) -> bool:
    """Write the files anew that hold events or signals of hers; return whether none does any more."""
    with store.read() as connection:
        keys = connection.scalars(select(erased_events.c.key).where(erased_events.c.erasure == erasure)).all()
    if not keys:
        return True
    if not (log.rewrite(now_us, keys) and scrub(store)):
        return False
    with store.write() as connection:
        connection.execute(delete(erased_events).where(erased_events.c.erasure == erasure))
    return True


def _clear(store: Store, inbox: Inbox | None, now_us: int) -> None:
    """Overwrite what deleted rows have left in the write-ahead log; who stands in the way is waited for."""
    with store.read() as connection:
        clearing = connection.scalars(select(erasures.c.id).where(erasures.c.state == "clearing")).all()
    if clearing and store.scrub() and (inbox is None or inbox.scrub()):
        with store.write() as connection:
            these = erasures.c.id.in_(clearing)
            connection.execute(update(erasures).where(these).values(state="done", done_us=now_us))


def _numbers(connection: Connection, erasure: int) -> list[int]:
    return list(connection.scalars(select(erased_persons.c.person).where(erased_persons.c.erasure == erasure)))


def lift(connection: Connection, erasure: int, now_us: int) -> int:
    """Let her come in again, should a source bring her; return how many hashes were deleted. What is gone stays gone.

    Raises:
        LeadupError: there is no such request, or it is not done.
    """
    state = connection.scalar(select(erasures.c.state).where(erasures.c.id == erasure))
    if state != "done":
        why = "There is no such request" if state is None else f"It is not done ({state})"
        raise LeadupError(f"Erasure {erasure} can not be lifted: {why}.\n  What to do: see `leadup people erasures`.")
    connection.execute(update(erasures).where(erasures.c.id == erasure).values(lifted_us=now_us))
    return int(connection.execute(delete(suppressed).where(suppressed.c.erasure == erasure)).rowcount)


# ---------------------------------------------------------------- what is said of it


@dataclass(frozen=True, slots=True)
class Receipt:
    """One request, as it stands."""

    id: int
    state: str
    asked_at: str | None
    asked_by: str
    done_at: str | None
    lifted_at: str | None
    audiences: list[dict[str, Any]]
    """By target: when its vendor confirmed that she is out, or what it said last."""
    waits_for: list[str]
    """What stands between this request and its end, in words."""

    def as_json(self) -> dict[str, Any]:
        """What ``--json`` answers."""
        return {name: getattr(self, name) for name in self.__slots__}


def receipts(
    connection: Connection, inbox: Inbox | None, reachable: Collection[str], only: int | None = None
) -> list[Receipt]:
    """Say how all requests stand, or one. ``reachable``: the connections that rows are delivered to."""
    query = select(erasures).order_by(erasures.c.id)
    rows = connection.execute(query if only is None else query.where(erasures.c.id == only)).all()
    return [_receipt(connection, inbox, reachable, row) for row in rows]


def _receipt(connection: Connection, inbox: Inbox | None, reachable: Collection[str], row: Any) -> Receipt:
    targets = {target.id: target.target for target in all_targets(connection)}
    numbers = _numbers(connection, row.id)
    audiences, waits = [], []
    c = erasure_targets.c
    for one in connection.execute(select(erasure_targets).where(c.erasure == row.id).order_by(c.target)):
        target = targets[one.target]
        said = _last_answer(connection, one.target, numbers)
        shown = {"target": target.key, "confirmed_at": instant(one.confirmed_us), "outcome": one.outcome}
        audiences.append({**shown, "last_answer": said if one.confirmed_us is None else None})
        if one.confirmed_us is None:
            gone = "" if target.connection in reachable else f"; {target.connection} is not in leadup.toml any more"
            waits.append(f"{target.key} to confirm that she is out ({said or 'not answered yet'}{gone})")
    if row.state in OPEN:
        waits += _house(connection, inbox, row)
    return Receipt(
        id=row.id,
        state=row.state,
        asked_at=instant(row.asked_us),
        asked_by=row.asked_by,
        done_at=instant(row.done_us),
        lifted_at=instant(row.lifted_us),
        audiences=audiences,
        waits_for=waits,
    )


def _last_answer(connection: Connection, target: int, numbers: Collection[int]) -> str:
    mine = (outbox.c.target == target) & outbox.c.person.in_(numbers)
    query = select(outbox.c.state, outbox.c.code, outbox.c.detail).where(mine).order_by(outbox.c.id.desc())
    row = connection.execute(query).first()
    return " ".join(part for part in row if part) if row else ""


def _house(connection: Connection, inbox: Inbox | None, row: Any) -> list[str]:
    waits = []
    if connection.scalar(select(erased_events.c.key).where(erased_events.c.erasure == row.id).limit(1)) is not None:
        waits.append("the files of the event log to be written anew")
    for name, count in (inbox.kept(row.inbox_until) if inbox else {}).items():
        waits.append(f"{count} requests to the collector {name}, received before, to be read and deleted")
    if row.state == "clearing":
        waits.append("the write-ahead log to be emptied: another process reads the state")
    return waits
