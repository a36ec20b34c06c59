"""The courier: takes planned rows to their destination, and brings back what the vendor said.

Each batch goes through three steps, of which the first and the last are one transaction each:

1. *claim*: rows become ``sending``, with the identifiers and the consent they are sent with;
2. *send*: the call itself;
3. *receipts*: row states, what stands, ledger lines.

A crash between them leaves rows ``sending``: the next run sends exactly those again, under the same keys.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, Connection, select, update

from leadup.delivery.ahead import foresee
from leadup.delivery.answers import note_status, note_warnings, with_clicks
from leadup.delivery.book import TargetRow, all_targets
from leadup.delivery.changes import changes
from leadup.delivery.claim import claim, may_leave, permissions
from leadup.delivery.fates import End, fates
from leadup.delivery.ledger import Line, write_ledger
from leadup.delivery.planning import plan_all, with_work
from leadup.delivery.replacing import finish
from leadup.delivery.sizes import measure
from leadup.delivery.states import Row, States, rows_of
from leadup.errors import Busy, LeadupError, NeedsHuman, Refused, TryLater, unforeseen
from leadup.identity import people
from leadup.identity.seal import redact
from leadup.identity.vault import Vault
from leadup.kit import Destination, Pollable
from leadup.state import Store
from leadup.state.store import chunks
from leadup.state.tables import outbox, targets
from leadup.types import Address, Progress, RemoteTarget, Status, Target, Unreachable, to_us

log = structlog.get_logger("leadup.delivery")

ORDER = ("join", "upsert", "convert", "restate", "leave")
"""Joins before leaves: what a join has just sent, a leave must spare."""


_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)


@dataclass(slots=True)
class Delivered:
    """What a run did at one target."""

    target: Target
    sent: int = 0
    outcomes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    error: str = ""
    todo: bool = False
    """Whether a person has to act."""


class Courier:
    """Delivers to the destinations it was given, by connection name."""

    def __init__(self, store: Store, vault: Vault, destinations: Mapping[str, Destination]) -> None:
        self._store = store
        self._vault = vault
        self._destinations = destinations
        self._prepared: dict[Target, RemoteTarget] = {}

    def deliver(self, now: datetime, only: Collection[int] | None = None, *, force: bool = False) -> list[Delivered]:
        """Plan and deliver what is due, target by target. One target's trouble never stops another.

        ``only``: target ids. ``force``: also what waits for a later try.
        """
        with self._store.read() as connection:
            found = all_targets(connection)
            busy = {target.id for target in found} if force else with_work(connection, to_us(now))
        serve = []
        for target in found:
            if target.target.connection not in self._destinations or (only is not None and target.id not in only):
                continue
            if target.id not in busy:
                continue
            if target.retry_us is not None and target.retry_us > to_us(now) and not force:
                continue
            serve.append(target)
        due = [(target, _due(target, now, force=force)) for target in serve]
        foresee(self._store, self._vault, self._destinations, due)
        return [self._deliver_target(target, now, force=force) for target in serve]

    def poll(self, now: datetime, *, force: bool = False) -> int:
        """Ask what became of accepted batches; return how many rows were settled."""
        now_us, settled = to_us(now), 0
        with self._store.read() as connection:
            found = {target.id: target for target in all_targets(connection)}
            where = [outbox.c.state == "accepted"] + ([] if force else [outbox.c.next_us <= now_us])
            where.append(outbox.c.target.in_(found))  # so that the index serves
            due = list(connection.execute(select(outbox.c.target, outbox.c.handle).where(*where).distinct()))
        handles: dict[str, dict[str, int]] = defaultdict(dict)
        for target_id, handle in due:
            if found[target_id].target.connection in self._destinations:
                handles[found[target_id].target.connection][handle] = target_id
        for name, asked in handles.items():
            destination = self._destinations[name]
            if not isinstance(destination, Pollable):
                continue
            try:
                statuses = destination.poll(list(asked))
            except Exception as error:  # noqa: BLE001 - nor is another vendor left unasked
                self._not_told(name, asked, error, now)
                continue
            for status in statuses:
                target = found[asked[status.handle]]
                here = (outbox.c.target == target.id) & (outbox.c.handle == status.handle)
                with self._states(target, now, here & (outbox.c.state == "accepted")) as (connection, states):
                    settled += self._settle(connection, target, states, status, now_us)
        finish(self._store, self._destinations, list(found.values()), now)
        measure(self._store, self._destinations, list(found.values()), now)
        return settled

    def _settle(self, connection: Connection, target: TargetRow, states: States, status: Status, now_us: int) -> int:
        """Take in what a vendor says of a batch; return how many rows that settles."""
        can = self._destinations[target.target.connection].can
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

    def _not_told(self, connection_name: str, asked: Mapping[str, int], error: Exception, now: datetime) -> None:
        """The vendor did not say what became of these batches: their rows say why, and it is asked again later."""
        text, pause = _trouble(error)
        log.warning("poll failed", connection=connection_name, error=text)
        values = {"next_us": to_us(now + pause), "code": "poll_failed", "detail": text}
        waiting = (outbox.c.state == "accepted") & outbox.c.target.in_(set(asked.values()))
        with self._store.write() as connection:
            for part in chunks(asked):
                connection.execute(update(outbox).where(waiting, outbox.c.handle.in_(part)).values(**values))

    # ------------------------------------------------------------ one target

    def _deliver_target(self, target: TargetRow, now: datetime, *, force: bool) -> Delivered:
        report = Delivered(target.target)
        retry: timedelta | None = None
        try:
            self._resend(target, now, report)
            before = -1
            while report.sent != before:
                before = report.sent
                self._plan(target, now)
                for verb in self._verbs(target, now, force=force):
                    for batch in self._claims(target, verb, now, force=force):
                        self._send(target, batch, now, report)
                        batch.clear()  # before the next one is there
                force = False  # what has just been put off is not due again
        except Exception as error:  # noqa: BLE001 - a connector's mistake is the trouble of its own targets
            self._prepared.pop(target.target, None)  # it may be gone: found or made again at the next try
            report.error, retry = _trouble(error)
            report.todo = not isinstance(error, LeadupError) or isinstance(error, NeedsHuman | Refused)
        with self._store.write() as connection:
            retry_us = to_us(now + retry) if retry else None
            connection.execute(
                update(targets).where(targets.c.id == target.id).values(error=report.error or None, retry_us=retry_us)
            )
        return report

    def _plan(self, target: TargetRow, now: datetime) -> None:
        with self._store.write() as connection:
            fresh = next(row for row in all_targets(connection) if row.id == target.id)
            plan_all(connection, [fresh], to_us(now))

    def _prepare(self, target: TargetRow, now: datetime) -> RemoteTarget:
        """Find or create the target, once a process, and again after an error."""
        if target.target in self._prepared:
            return self._prepared[target.target]
        remote = self._destinations[target.target.connection].prepare(target.target)
        refresh = remote.refresh_after
        values = {"remote_id": remote.id, "refresh_us": int(refresh.total_seconds() * 1e6) if refresh else None}
        with self._store.write() as connection:
            connection.execute(update(targets).where(targets.c.id == target.id).values(**values))
            if remote.created:
                line = Line(None, "", None, "prepare", "created", detail=f"{remote.name} ({remote.id})")
                write_ledger(connection, to_us(now), target.id, [line])
        self._prepared[target.target] = remote
        return remote

    @contextmanager
    def _states(
        self, target: TargetRow, now: datetime, rows: Sequence[Row] | ColumnElement[bool]
    ) -> Iterator[tuple[Connection, States]]:
        """Open the states of some rows in a transaction of their own, and write them in the end."""
        poll_after = self._destinations[target.target.connection].can.poll_after
        with self._store.write() as connection:
            states = States(
                connection,
                target,
                rows_of(connection, rows) if isinstance(rows, ColumnElement) else rows,
                to_us(now),
                refresh_us=connection.scalar(select(targets.c.refresh_us).where(targets.c.id == target.id)),
                poll_us=poll_after // timedelta(microseconds=1),
            )
            yield connection, states
            states.write()

    # ------------------------------------------------------------ claim

    def _verbs(self, target: TargetRow, now: datetime, *, force: bool) -> list[str]:
        """What is to be done there now, in the order in which it must be."""
        with self._store.read() as connection:
            query = select(outbox.c.verb).where(*_due(target, now, force=force)).distinct()
            found = set(connection.scalars(query))
        return [verb for verb in ORDER if verb in found]

    def _claims(self, target: TargetRow, verb: str, now: datetime, *, force: bool) -> Iterator[list[Row]]:
        """Yield claimed batches of one verb until nothing is due."""
        size = self._destinations[target.target.connection].can.batch.get(verb, 0)
        after = 0
        while size:
            due = [*_due(target, now, force=force), outbox.c.verb == verb, outbox.c.id > after]
            with self._store.read() as connection:
                rows = rows_of(connection, *due, limit=size)
            if not rows:
                return
            after = rows[-1]["id"]
            self._prepare(target, now)
            addresses = {} if verb == "leave" else self._addresses(target, rows)
            # Who was asked about may have changed meanwhile: only what still waits is claimed.
            still = outbox.c.id.in_([row["id"] for row in rows]) & (outbox.c.state == "pending")
            with self._states(target, now, still) as (connection, states):
                claimed = claim(connection, states, target, addresses, uuid.uuid4().hex)
            rows, addresses = [], {}  # a batch of 10,000 takes 100 MB with all that is known of it
            if claimed:
                yield claimed

    def _addresses(self, target: TargetRow, rows: Sequence[Row]) -> dict[int, Address | Unreachable]:
        with self._store.read() as connection:
            contacts = people.contacts(connection, sorted({row["person"] for row in rows}), self._vault)
        persons = sorted(contacts)
        answers = self._destinations[target.target.connection].address(target.target, [contacts[p] for p in persons])
        return dict(zip(persons, answers, strict=True))

    # ------------------------------------------------------------ send

    def _resend(self, target: TargetRow, now: datetime, report: Delivered) -> None:
        """Send again what a crash left on its way: the same rows, identifiers and keys, if consent still stands."""
        here = (outbox.c.target == target.id) & (outbox.c.state == "sending")
        batches: dict[tuple[str, str], list[Row]] = defaultdict(list)
        with self._states(target, now, here) as (connection, states):
            states.in_doubt(states.rows)
            allowed = permissions(connection, target, states.rows)
            for row in states.rows:
                if may_leave(row, states, allowed[row["id"]]):
                    batches[row["batch"], row["verb"]].append(row)
                else:
                    states.withheld(row, allowed[row["id"]].because)
        for batch in batches.values():
            self._send(target, batch, now, report)

    def _send(self, target: TargetRow, rows: Sequence[Row], now: datetime, report: Delivered) -> None:
        destination = self._destinations[target.target.connection]
        remote = self._prepare(target, now)
        with self._store.read() as connection:
            batch = changes(connection, target, rows)
        report.sent += len(rows)
        try:
            receipts = destination.deliver(remote, batch)
        except TryLater as error:
            with self._states(target, now, rows) as (_, states):
                states.no_answer(str(error), error.retry_after)
            raise
        except NeedsHuman as error:
            with self._states(target, now, rows) as (_, states):
                states.untouched("needs_human", str(error))
            raise
        except Refused as error:
            with self._states(target, now, rows) as (_, states):
                states.refused(error.code, str(error))
            report.outcomes["rejected"] += len(rows)
            return
        with self._states(target, now, rows) as (connection, states):
            states.receipts(receipts)
            note_warnings(connection, target.id, rows, receipts, to_us(now))
        for receipt in receipts:
            report.outcomes[str(receipt.outcome)] += 1


def _trouble(error: Exception) -> tuple[str, timedelta]:
    """What to say of an error, and how long a target, or a vendor that was asked, is left alone after it."""
    if isinstance(error, LeadupError):
        return redact(str(error)), _pause(error)
    return unforeseen(error), timedelta(hours=1)


def _pause(error: LeadupError) -> timedelta:
    match error:
        case TryLater():
            return error.retry_after or timedelta(minutes=1)
        case Busy():
            return timedelta(minutes=1)
        case Refused():
            return timedelta(hours=24)
    return timedelta(hours=1)


def _due(target: TargetRow, now: datetime, *, force: bool) -> list[ColumnElement[bool]]:
    """Rows of a target that may be sent now; with ``force`` also those that wait for a later try."""
    where = [outbox.c.target == target.id, outbox.c.state == "pending"]
    return where if force else [*where, outbox.c.next_us <= to_us(now)]
