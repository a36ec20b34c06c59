"""The courier: takes planned rows to their destination, and brings back what the vendor said.

Each batch goes through three steps, of which the first and the last are one transaction each:

1. *claim*: rows become ``sending``, with the identifiers and the consent they are sent with;
2. *send*: the call itself;
3. *receipts*: row states, what stands, ledger lines.

A crash between them leaves rows ``sending``, which may have been done. The next run sends them again, under the same
keys: conversions just as they were, all else after another look at where the person is.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, select, update

from leadup.delivery.adopting import is_ours, must_be_free, note_name
from leadup.delivery.ahead import foresee
from leadup.delivery.answers import note_warnings
from leadup.delivery.book import TargetRow, all_targets
from leadup.delivery.broken_off import wait_again
from leadup.delivery.budgets import CODE, Budgets
from leadup.delivery.changes import changes
from leadup.delivery.claim import claim, may_leave, permissions
from leadup.delivery.creating import create
from leadup.delivery.ledger import Line, write_ledger
from leadup.delivery.planning import plan_all, with_work
from leadup.delivery.predicting import JOIN, LEAVE
from leadup.delivery.replacing import finish
from leadup.delivery.rows import LOST, NEEDS_HUMAN, TRY_LATER, Row, rows_of
from leadup.delivery.settling import opened, settle
from leadup.delivery.sizes import ASKING, measure
from leadup.delivery.states import States
from leadup.delivery.trouble import trouble
from leadup.errors import BudgetSpent, LeadupError, NeedsHuman, NotOffered, Refused, TryLater
from leadup.identity import people
from leadup.identity.vault import Vault
from leadup.kit import Destination
from leadup.outgoing import Address, RemoteTarget, Target, Unreachable
from leadup.state import Store
from leadup.state.tables import outbox, targets
from leadup.types import to_us

ORDER = (JOIN, "upsert", "convert", "restate", LEAVE)
"""Joins before leaves: what a join has just sent, a leave must spare. Where a vendor's day is too short for both, the
leaves have their calls all the same (:meth:`leadup.delivery.budgets.Budgets.allows`)."""


@dataclass(slots=True)
class Delivered:
    """What a run did at one target."""

    target: Target
    sent: int = 0
    outcomes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    error: str = ""
    todo: bool = False
    """Whether a person has to act."""
    lacks: str = ""
    """The error again, where it is that the vendor's plan does not offer this (:class:`leadup.errors.NotOffered`)."""
    told: bool = False
    """Whether that was told before: it is no news then, and no failure."""
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
        wait_again(self._store, self._destinations, serve, now)
        tight = self._budgets.open(serve, now, *_waiting(now, force=force), prepared=self._prepared)
        ahead = [target for target in serve if target.target.connection not in tight]
        due = [(target, _due(target, now, force=force)) for target in ahead]
        self._ahead = foresee(self._store, self._vault, self._destinations, due, now)
        return [self._deliver_target(target, now, force=force) for target in serve]

    def poll(self, now: datetime, *, force: bool = False) -> int:
        """Ask what became of accepted batches; return how many rows were settled."""
        with self._store.read() as connection:
            found = all_targets(connection)
        settled = settle(self._store, self._destinations, found, now, force=force)
        finish(self._store, self._destinations, found, now)
        measure(self._store, self._destinations, [one for one in found if self._budgets.spares(one, ASKING, now)], now)
        self._budgets.keep(now)
        return settled

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
                due = self._verbs(target, now, force=force)
                if due and not self._may_write(target, now):
                    break
                for verbs in due:
                    for batch in self._claims(target, verbs, now, report, force=force):
                        self._send(target, batch, now, report)
                        batch.clear()  # before the next one is there
                force = False  # what has just been put off is not due again
        except BudgetSpent as error:
            self._budgets.refused(target.target.connection, now)
            self._put_off(target, now, report, pause=error.retry_after)
        except Exception as error:  # noqa: BLE001 - a connector's mistake is the trouble of its own targets
            if not isinstance(error, TryLater):
                self._prepared.pop(target.target, None)  # it may be gone: found or made again at the next try
            report.error, retry = trouble(error)
            report.todo = not isinstance(error, LeadupError) or isinstance(error, NeedsHuman | Refused)
            report.lacks = report.error if isinstance(error, NotOffered) else ""
            report.told = bool(report.lacks) and report.lacks == target.lacks
        values = {"error": report.error or None, "retry_us": to_us(now + retry) if retry else None}
        if report.lacks or not report.error:  # other trouble in between does not make it news again
            values["lacks"] = report.lacks or None
        with self._store.write() as connection:
            connection.execute(update(targets).where(targets.c.id == target.id).values(**values))
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

    def _may_write(self, target: TargetRow, now: datetime) -> bool:
        """Whether what there is at the vendor is ours, or was looked at before; or may not even be looked at today."""
        if target.target in self._prepared or not self._budgets.allows(target, LEAVE, 0, now, prepared=False):
            return True
        return is_ours(self._store, self._destinations, target, now, self._budgets.keep)

    def _prepare(self, target: TargetRow, now: datetime) -> RemoteTarget:
        """Find or create the target, once a process, and again after an error."""
        if target.target in self._prepared:
            return self._prepared[target.target]
        first = target.remote_id is None
        remote = self._destinations[target.target.connection].prepare(target.target)
        refresh = remote.refresh_after
        values = {"remote_id": remote.id, "refresh_us": int(refresh.total_seconds() * 1e6) if refresh else None}
        if first:
            self._budgets.keep(now)
        with self._store.write() as connection:
            if first:
                must_be_free(connection, target, remote.id, self._destinations)
            connection.execute(update(targets).where(targets.c.id == target.id).values(**values))
            note_name(connection, target.id, remote.name, to_us(now))
            if remote.created:
                line = Line(None, "", None, "prepare", "created", detail=f"{remote.name} ({remote.id})")
                write_ledger(connection, to_us(now), target.id, [line])
        self._prepared[target.target] = remote
        return remote

    def _states(
        self, target: TargetRow, now: datetime, rows: Sequence[Row] | ColumnElement[bool]
    ) -> AbstractContextManager[tuple[Connection, States]]:
        return opened(self._store, self._destinations, target, now, rows)

    # ------------------------------------------------------------ claim

    def _verbs(self, target: TargetRow, now: datetime, *, force: bool) -> list[list[str]]:
        """What is to be done there now, in the order in which it must be; together what may go together."""
        with self._store.read() as connection:
            query = select(outbox.c.verb, func.count()).where(*_due(target, now, force=force))
            found = Counter({row[0]: row[1] for row in connection.execute(query.group_by(outbox.c.verb))})
        self._budgets.leaving(target, found[LEAVE])
        together = self._destinations[target.target.connection].can.together
        verbs = [verb for verb in ORDER if verb in found]
        one = [verb for verb in verbs if verb in together]
        return [[verb] for verb in verbs if verb not in one] + ([one] if one else [])

    def _claims(
        self, target: TargetRow, verbs: Sequence[str], now: datetime, report: Delivered, *, force: bool
    ) -> Iterator[list[Row]]:
        """Yield claimed batches until nothing is due, or the vendor's day has no room for more.

        The last batch of a verb is filled up with rows of the next one. So a leave is claimed after all joins: they
        tell what of it another member still needs. Where people can not be looked up, leaves go all the same, and what
        is claimed is sent; then the trouble is told.
        """
        most = self._destinations[target.target.connection].can.batch
        batch: list[Row] = []
        name = uuid.uuid4().hex
        late: LeadupError | None = None
        for verb in verbs:
            after = 0
            while (room := most.get(verb, 0) - len(batch)) > 0:
                due = [*_due(target, now, force=force), outbox.c.verb == verb, outbox.c.id > after]
                with self._store.read() as connection:
                    rows = rows_of(connection, *due, limit=room)
                if not rows:
                    break
                after, full = rows[-1]["id"], len(rows) == room
                if self._fits(target, verb, len(rows), now):
                    self._prepare(target, now)  # the first answer tells what is left of a day
                if not self._fits(target, verb, len(rows), now):
                    self._put_off(target, now, report, verb)
                    break
                rows, addresses, late = self._found(target, verb, rows, now, late)
                if late is not None and verb != LEAVE:
                    break
                # Who was asked about may have changed meanwhile: only what still waits is claimed.
                still = outbox.c.id.in_([row["id"] for row in rows]) & (outbox.c.state == "pending")
                with self._states(target, now, still) as (connection, states):
                    batch += claim(connection, states, target, addresses, name)
                rows, addresses = [], {}  # a batch of 10,000 takes 100 MB with all that is known of it
                if full and batch:
                    yield batch
                    batch, name = [], uuid.uuid4().hex
        if batch:
            yield batch
        if late is not None:
            raise late

    def _found(
        self, target: TargetRow, verb: str, rows: list[Row], now: datetime, late: LeadupError | None
    ) -> tuple[list[Row], dict[int, Address | Unreachable], LeadupError | None]:
        """Return the rows that can go, where their people are found, and what trouble there was (``late``: before)."""
        asked = [row for row in rows if verb != LEAVE or row["code"] == LOST]
        try:
            if asked and late is not None:
                raise late
            addresses = self._addresses(target, asked) if asked else {}
            if verb != LEAVE:
                addresses |= create(self._store, self._vault, self._destinations, target, rows, addresses, now)
        except LeadupError as error:
            return [row for row in rows if verb == LEAVE and row["code"] != LOST], {}, error
        return rows, addresses, late

    def _fits(self, target: TargetRow, verb: str, rows: int, now: datetime) -> bool:
        found, prepared = target.target.connection in self._ahead, target.target in self._prepared
        return self._budgets.allows(target, verb, rows, now, found=found, prepared=prepared)

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
        """Send conversions again that a crash left on their way: the same rows and keys, if consent still stands."""
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
            prepared = target.target in self._prepared
            if self._budgets.allows(target, verb, len(batch), now, addressed=True, prepared=prepared):
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
                states.untouched(str(error), timedelta(0), NEEDS_HUMAN)
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
        """Have rows sent again under the same keys, later; or when the vendor's day is over.

        They are in doubt, unless it is sure that nothing was done.
        """
        pause, code = error.retry_after, TRY_LATER
        if isinstance(error, BudgetSpent):
            until, code = self._budgets.until(target.target.connection, now), CODE
            pause = until - now if until else pause
        with self._states(target, now, rows) as (_, states):
            (states.untouched if error.nothing_done else states.no_answer)(str(error), pause, code)


def _due(target: TargetRow, now: datetime, *, force: bool) -> list[ColumnElement[bool]]:
    """Rows of a target that may be sent now; with ``force`` also those that wait for a later try."""
    return [outbox.c.target == target.id, *_waiting(now, force=force)]


def _waiting(now: datetime, *, force: bool) -> list[ColumnElement[bool]]:
    pending = outbox.c.state == "pending"
    return [pending] if force else [pending, outbox.c.next_us <= to_us(now)]
