"""The courier: takes planned rows to their destination, and brings back what the vendor said.

Each batch goes through three steps, of which the first and the last are one transaction each:

1. *claim*: rows become ``sending``, with the identifiers and the consent they are sent with;
2. *send*: the call itself;
3. *receipts*: row states, what stands, ledger lines.

A crash between them leaves rows ``sending``: the next run sends exactly those again, under the same keys.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, Connection, func, select, update

from leadup.delivery.ahead import foresee
from leadup.delivery.answers import note_status, note_warnings, with_clicks
from leadup.delivery.book import TargetRow, all_targets
from leadup.delivery.budgets import CODE, LEAVE, Budgets
from leadup.delivery.changes import changes
from leadup.delivery.claim import claim, may_leave, permissions
from leadup.delivery.fates import End, fates
from leadup.delivery.ledger import Line, write_ledger
from leadup.delivery.planning import plan_all, with_work
from leadup.delivery.replacing import finish
from leadup.delivery.sizes import measure
from leadup.delivery.states import Row, States, rows_of
from leadup.delivery.trouble import trouble
from leadup.errors import BudgetSpent, LeadupError, NeedsHuman, Refused, TryLater
from leadup.identity import people
from leadup.identity.seal import redact
from leadup.identity.vault import Vault
from leadup.kit import Destination, Pollable
from leadup.state import Store
from leadup.state.store import chunks
from leadup.state.tables import outbox, targets
from leadup.types import Address, Progress, RemoteTarget, Status, Target, Unreachable, to_us

log = structlog.get_logger("leadup.delivery")

ORDER = ("join", "upsert", "convert", "restate", LEAVE)
"""Joins before leaves: what a join has just sent, a leave must spare. Where a vendor's day is too short for both, the
leaves have their calls all the same (:meth:`leadup.delivery.budgets.Budgets.allows`)."""

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
    notice: str = ""
    """Why rows wait for the vendor's next day; said once a day."""


class Courier:
    """Delivers to the destinations it was given, by connection name."""

    def __init__(self, store: Store, vault: Vault, destinations: Mapping[str, Destination]) -> None:
        self._store = store
        self._vault = vault
        self._destinations = destinations
        self._prepared: dict[Target, RemoteTarget] = {}
        self._budgets = Budgets(store, destinations)
        self._ahead: dict[str, TryLater | None] = {}
        """Connections that were told whom they will be asked about, or why that has to wait."""

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
        tight = self._budgets.open(serve, now, *_waiting(now, force=force))
        ahead = [target for target in serve if target.target.connection not in tight]
        due = [(target, _due(target, now, force=force)) for target in ahead]
        self._ahead = foresee(self._store, self._vault, self._destinations, due)
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
        self._budgets.keep(now)
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
        text, pause = trouble(error)
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
                    for batch in self._claims(target, verb, now, report, force=force):
                        self._send(target, batch, now, report)
                        batch.clear()  # before the next one is there
                force = False  # what has just been put off is not due again
        except BudgetSpent as error:
            self._put_off(target, now, report, pause=error.retry_after)
        except Exception as error:  # noqa: BLE001 - a connector's mistake is the trouble of its own targets
            self._prepared.pop(target.target, None)  # it may be gone: found or made again at the next try
            report.error, retry = trouble(error)
            report.todo = not isinstance(error, LeadupError) or isinstance(error, NeedsHuman | Refused)
        with self._store.write() as connection:
            retry_us = to_us(now + retry) if retry else None
            connection.execute(
                update(targets).where(targets.c.id == target.id).values(error=report.error or None, retry_us=retry_us)
            )
        self._budgets.leaving(target, 0)
        self._budgets.keep(now)
        return report

    def _put_off(
        self, target: TargetRow, now: datetime, report: Delivered, verb: str = "", pause: timedelta | None = None
    ) -> None:
        """Let due rows, of one verb or all, wait for the vendor's next day; ``pause`` where its end is not known."""
        name = target.target.connection
        until = self._budgets.until(name, now) or now + (pause or timedelta(hours=1))
        where = [*_due(target, now, force=False), *([outbox.c.verb == verb] if verb else [])]
        if self._budgets.put_off(name, until, now, *where):
            report.notice = self._budgets.why(name)

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
            query = select(outbox.c.verb, func.count()).where(*_due(target, now, force=force))
            found = Counter({row[0]: row[1] for row in connection.execute(query.group_by(outbox.c.verb))})
        self._budgets.leaving(target, found[LEAVE])
        return [verb for verb in ORDER if verb in found]

    def _claims(
        self, target: TargetRow, verb: str, now: datetime, report: Delivered, *, force: bool
    ) -> Iterator[list[Row]]:
        """Yield claimed batches of one verb until nothing is due, or the vendor's day has no room for more."""
        size = self._destinations[target.target.connection].can.batch.get(verb, 0)
        after = 0
        while size:
            due = [*_due(target, now, force=force), outbox.c.verb == verb, outbox.c.id > after]
            with self._store.read() as connection:
                rows = rows_of(connection, *due, limit=size)
            if not rows:
                return
            after = rows[-1]["id"]
            if self._fits(target, verb, len(rows), now):
                self._prepare(target, now)  # the first answer tells what is left of a day
            if not self._fits(target, verb, len(rows), now):
                self._put_off(target, now, report, verb)
                return
            addresses = {} if verb == LEAVE else self._addresses(target, rows)
            # Who was asked about may have changed meanwhile: only what still waits is claimed.
            still = outbox.c.id.in_([row["id"] for row in rows]) & (outbox.c.state == "pending")
            with self._states(target, now, still) as (connection, states):
                claimed = claim(connection, states, target, addresses, uuid.uuid4().hex)
            rows, addresses = [], {}  # a batch of 10,000 takes 100 MB with all that is known of it
            if claimed:
                yield claimed

    def _fits(self, target: TargetRow, verb: str, rows: int, now: datetime) -> bool:
        return self._budgets.allows(target, verb, rows, now, found=target.target.connection in self._ahead)

    def _addresses(self, target: TargetRow, rows: Sequence[Row]) -> dict[int, Address | Unreachable]:
        if late := self._ahead.get(target.target.connection):
            raise late
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
        for (_, verb), batch in batches.items():
            if self._budgets.allows(target, verb, len(batch), now, found=True):
                self._send(target, batch, now, report)
            else:
                self._no_answer(target, batch, now, BudgetSpent(self._budgets.why(target.target.connection)))
                self._put_off(target, now, report, verb)

    def _send(self, target: TargetRow, rows: Sequence[Row], now: datetime, report: Delivered) -> None:
        destination = self._destinations[target.target.connection]
        remote = self._prepare(target, now)
        with self._store.read() as connection:
            batch = changes(connection, target, rows)
        report.sent += len(rows)
        try:
            receipts = destination.deliver(remote, batch)
        except TryLater as error:
            self._no_answer(target, rows, now, error)
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

    def _no_answer(self, target: TargetRow, rows: Sequence[Row], now: datetime, error: TryLater) -> None:
        """Have rows sent again under the same keys, later; or when the vendor's day is over."""
        pause, code = error.retry_after, "try_later"
        if isinstance(error, BudgetSpent):
            until, code = self._budgets.until(target.target.connection, now), CODE
            pause = until - now if until else pause
        with self._states(target, now, rows) as (_, states):
            states.no_answer(str(error), pause, code)


def _due(target: TargetRow, now: datetime, *, force: bool) -> list[ColumnElement[bool]]:
    """Rows of a target that may be sent now; with ``force`` also those that wait for a later try."""
    return [outbox.c.target == target.id, *_waiting(now, force=force)]


def _waiting(now: datetime, *, force: bool) -> list[ColumnElement[bool]]:
    pending = outbox.c.state == "pending"
    return [pending] if force else [pending, outbox.c.next_us <= to_us(now)]
