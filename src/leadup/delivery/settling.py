"""Asks vendors what became of accepted batches, and keeps what they say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, Connection, select, update

from leadup.delivery.answers import note_status, with_clicks
from leadup.delivery.book import TargetRow
from leadup.delivery.fates import End, fates
from leadup.delivery.rows import Row, rows_of
from leadup.delivery.states import States
from leadup.delivery.trouble import trouble
from leadup.identity.seal import redact
from leadup.kit import Destination, Pollable
from leadup.outgoing import Progress, Status
from leadup.state import Store
from leadup.state.store import chunks
from leadup.state.tables import outbox, targets
from leadup.types import to_us

log = structlog.get_logger("leadup.delivery")

_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)

Destinations = Mapping[str, Destination]
"""By connection."""


@contextmanager
def opened(
    store: Store,
    destinations: Destinations,
    target: TargetRow,
    now: datetime,
    rows: Sequence[Row] | ColumnElement[bool],
) -> Iterator[tuple[Connection, States]]:
    """Open the states of some rows in a transaction of their own, and write them in the end."""
    poll_after = destinations[target.target.connection].can.poll_after
    with store.write() as connection:
        states = States(
            connection,
            target,
            rows_of(connection, rows) if isinstance(rows, ColumnElement) else rows,
            to_us(now),
            refresh_us=connection.scalar(select(targets.c.refresh_us).where(targets.c.id == target.id)),
            poll_us=poll_after // _MICROSECOND,
        )
        yield connection, states
        states.write()


def settle(
    store: Store, destinations: Destinations, of: Sequence[TargetRow], now: datetime, *, force: bool = False
) -> int:
    """Ask about batches whose time has come, or with ``force`` about all; return how many rows were settled."""
    now_us, settled = to_us(now), 0
    found = {target.id: target for target in of}
    with store.read() as connection:
        where = [outbox.c.state == "accepted"] + ([] if force else [outbox.c.next_us <= now_us])
        where.append(outbox.c.target.in_(found))  # so that the index serves
        due = list(connection.execute(select(outbox.c.target, outbox.c.handle).where(*where).distinct()))
    handles: dict[str, dict[str, int]] = defaultdict(dict)
    for target_id, handle in due:
        if found[target_id].target.connection in destinations:
            handles[found[target_id].target.connection][handle] = target_id
    for name, asked in handles.items():
        destination = destinations[name]
        if not isinstance(destination, Pollable):
            continue
        try:
            statuses = destination.poll(list(asked))
        except Exception as error:  # noqa: BLE001 - nor is another vendor left unasked
            _not_told(store, name, asked, error, now)
            continue
        for status in statuses:
            target = found[asked[status.handle]]
            here = (outbox.c.target == target.id) & (outbox.c.handle == status.handle) & (outbox.c.state == "accepted")
            with opened(store, destinations, target, now, here) as (connection, states):
                settled += _take_in(connection, destination, target, states, status, now_us)
    return settled


def _take_in(
    connection: Connection, destination: Destination, target: TargetRow, states: States, status: Status, now_us: int
) -> int:
    """Take in what a vendor says of a batch; return how many rows that settles."""
    can = destination.can
    clicked = with_clicks(connection, states.rows, target.terms.click_ids) if status.unmatched else ()
    spans = can.poll_after // _MICROSECOND, can.answered_within // _MICROSECOND
    found = fates(states.rows, status, now_us, *spans, clicked)
    over = [fate for fate in found if fate.end is not End.WAITS]
    given_up = bool(over) and status.progress is Progress.PROCESSING
    note_status(connection, target.id, states.rows, status, now_us, given_up=given_up)
    states.settle(found)
    if status.todo:
        text = f"{', '.join(sorted(status.counts))}\n  What to do: {status.todo}; then `leadup sync`."
        values = {"error": redact(text), "retry_us": now_us + (status.retry_after or _DAY) // _MICROSECOND}
        connection.execute(update(targets).where(targets.c.id == target.id).values(**values))
    return len(over)


def _not_told(store: Store, connection_name: str, asked: Mapping[str, int], error: Exception, now: datetime) -> None:
    """The vendor did not say what became of these batches: their rows say why, and it is asked again later."""
    text, pause = trouble(error)
    log.warning("poll failed", connection=connection_name, error=text)
    values = {"next_us": to_us(now + pause), "code": "poll_failed", "detail": text}
    waiting = (outbox.c.state == "accepted") & outbox.c.target.in_(set(asked.values()))
    with store.write() as connection:
        for part in chunks(asked):
            connection.execute(update(outbox).where(waiting, outbox.c.handle.in_(part)).values(**values))
