"""The courier: takes planned rows to their destination, and brings back what the vendor said.

Each batch goes through three steps, of which the first and the last are one transaction each:

1. *claim*: rows become ``sending``, with the identifiers and the consent they are sent with;
2. *send*: the call itself;
3. *receipts*: row states, what stands, ledger lines.

A crash between them leaves rows ``sending``: the next run sends exactly those again, under the same keys.
"""

from __future__ import annotations

import traceback
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Connection, and_, bindparam, select, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from leadup.consent import permission
from leadup.delivery.book import Line, TargetRow, all_targets, plan_all, with_work, write_ledger
from leadup.delivery.receipts import Book, unanswered
from leadup.errors import Busy, LeadupError, NeedsHuman, Refused, TryLater
from leadup.identity import people
from leadup.identity.vault import Vault
from leadup.kit import Destination, Pollable
from leadup.plan import Standing
from leadup.state import Store
from leadup.state.store import chunks
from leadup.state.tables import conversions, outbox, remote_ids, standings, targets
from leadup.types import (
    Address,
    Change,
    Convert,
    Join,
    Leave,
    Money,
    Purpose,
    RemoteId,
    RemoteTarget,
    Restate,
    Target,
    Unreachable,
    Upsert,
    Use,
    from_us,
    to_us,
)

log = structlog.get_logger("leadup.delivery")

ORDER = ("join", "upsert", "convert", "restate", "leave")
"""Joins before leaves: what a join has just sent, a leave must spare."""

Row = Mapping[str, Any]


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
        reports = []
        for target in found:
            if target.target.connection not in self._destinations or (only is not None and target.id not in only):
                continue
            if target.id not in busy:
                continue
            if target.retry_us is not None and target.retry_us > to_us(now) and not force:
                continue
            reports.append(self._deliver_target(target, now, force=force))
        return reports

    def poll(self, now: datetime, *, force: bool = False) -> int:
        """Ask what became of accepted batches; return how many rows were settled."""
        now_us, settled = to_us(now), 0
        with self._store.read() as connection:
            found = {target.id: target for target in all_targets(connection)}
            where = [outbox.c.state == "accepted"] + ([] if force else [outbox.c.next_us <= now_us])
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
            except LeadupError as error:
                log.warning("poll failed", connection=name, error=str(error))
                again = to_us(now + _pause(error))
                waiting = and_(outbox.c.state == "accepted", outbox.c.handle.in_(list(asked)))
                with self._store.write() as connection:
                    connection.execute(update(outbox).where(waiting).values(next_us=again))
                continue
            for status in statuses:
                target = found[asked[status.handle]]
                with self._store.write() as connection:
                    rows = _rows(connection, outbox.c.handle == status.handle, outbox.c.state == "accepted")
                    self._book(connection, target, now_us).status(rows, status)
                    settled += len(rows) if status.progress != "processing" else 0
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
                for verb in self._verbs(target, now, force=force):
                    for batch in self._claims(target, verb, now, force=force):
                        self._send(target, batch, now, report)
        except LeadupError as error:
            self._prepared.pop(target.target, None)  # it may be gone: found or made again at the next try
            report.error, report.todo, retry = str(error), isinstance(error, NeedsHuman | Refused), _pause(error)
        except Exception as error:  # noqa: BLE001 - a connector's mistake is the trouble of its own targets
            self._prepared.pop(target.target, None)
            report.error, report.todo, retry = _mistake(error), True, timedelta(hours=1)
        if report.error:
            log.warning("delivery stopped", target=target.target.key, error=report.error)
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

    def _book(self, connection: Connection, target: TargetRow, now_us: int) -> Book:
        refresh = connection.scalar(select(targets.c.refresh_us).where(targets.c.id == target.id))
        poll_after = self._destinations[target.target.connection].can.poll_after
        return Book(
            connection=connection,
            target=target,
            now_us=now_us,
            refresh_us=refresh,
            poll_us=int(poll_after.total_seconds() * 1e6),
        )

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
                rows = _rows(connection, *due, limit=size)
            if not rows:
                return
            after = rows[-1]["id"]
            self._prepare(target, now)
            addresses = {} if verb == "leave" else self._addresses(target, rows)
            with self._store.write() as connection:
                claimed = self._claim(connection, target, rows, addresses, to_us(now))
            if claimed:
                yield claimed

    def _addresses(self, target: TargetRow, rows: Sequence[Row]) -> dict[int, Address | Unreachable]:
        with self._store.read() as connection:
            contacts = people.contacts(connection, sorted({row["person"] for row in rows}), self._vault)
        persons = sorted(contacts)
        answers = self._destinations[target.target.connection].address(target.target, [contacts[p] for p in persons])
        return dict(zip(persons, answers, strict=True))

    def _claim(
        self,
        connection: Connection,
        target: TargetRow,
        candidates: Sequence[Row],
        addresses: Mapping[int, Address | Unreachable],
        now_us: int,
    ) -> list[Row]:
        """Mark as ``sending`` what may leave now; settle what may not. Returns the rows to send, as stored."""
        ids = [row["id"] for row in candidates]
        rows = [row for part in chunks(ids) for row in _rows(connection, outbox.c.id.in_(part))]
        rows = [row for row in rows if row["state"] == "pending"]
        book, batch = self._book(connection, target, now_us), uuid.uuid4().hex
        statements = people.consent_together(connection, sorted({row["person"] for row in rows}))
        of_event = self._event_consent(connection, target, rows)
        standing = {
            row["subject"]: dict(row)
            for part in chunks([row["subject"] for row in rows])
            for row in connection.execute(
                select(standings).where(standings.c.target == target.id, standings.c.subject.in_(part))
            ).mappings()
        }
        purposes = target.terms.purposes
        claimed: list[dict[str, Any]] = []
        for row in rows:
            stands = standing[row["subject"]]
            before = row["before"] or {key: stands[key] for key in ("standing", "stands", "remote")}
            sent: dict[str, Any] = {**row, "before": before, "batch": batch, "consent": None}
            if row["verb"] == "leave":
                sent["remote"] = self._spare(connection, target, row["subject"], stands)
                if not sent["remote"]:
                    self._settle_leave(book, sent, stands)
                    continue
                claimed.append(sent)
                continue
            address = addresses.get(row["person"])
            if address is None or isinstance(address, Unreachable):
                self._unreachable(connection, target, row, address, now_us)
                continue
            allowed = permission(purposes, statements.get(row["person"], {}), of_event.get(row["subject"]))
            if not allowed.granted and not _lowers(row, before):
                book.withheld(sent, allowed.because)
                continue
            sent["consent"] = {str(purpose): granted for purpose, granted in allowed.statement.items()}
            sent["remote"] = [[i.kind, i.value] for i in address.ids]
            claimed.append(sent)
        self._mark(connection, target, claimed, standing, now_us)
        return list(claimed)

    def _mark(
        self,
        connection: Connection,
        target: TargetRow,
        claimed: Sequence[dict[str, Any]],
        standing: Mapping[str, Any],
        now_us: int,
    ) -> None:
        if not claimed:
            return
        columns = ("remote", "consent", "before", "batch")
        connection.execute(
            update(outbox)
            .where(outbox.c.id == bindparam("i"))
            .values(state="sending", sent_us=now_us, **{name: bindparam(name) for name in columns}),
            [{"i": row["id"], **{name: row[name] for name in columns}} for row in claimed],
        )
        marks, held = [], []
        for row in claimed:
            known = standing[row["subject"]]["remote"] or []
            together = (
                known if row["verb"] == "leave" else sorted([*known, *(i for i in row["remote"] if i not in known)])
            )
            present = standing[row["subject"]]["standing"] == Standing.PRESENT
            state = Standing.PRESENT if present else Standing.POSSIBLE
            marks.append({"s": row["subject"], "remote": together, "standing": state})
            if row["verb"] == "join":
                held += [
                    {"target": target.id, "kind": kind, "value": value, "subject": row["subject"]}
                    for kind, value in row["remote"]
                ]
        connection.execute(
            update(standings)
            .where(standings.c.target == target.id, standings.c.subject == bindparam("s"))
            .values(remote=bindparam("remote"), standing=bindparam("standing")),
            marks,
        )
        if held:
            connection.execute(sqlite_insert(remote_ids).on_conflict_do_nothing(), held)
        lines = [Line(r["id"], r["subject"], r["person"], r["verb"], "sent", detail=r["reason"]) for r in claimed]
        write_ledger(connection, now_us, target.id, lines)

    def _spare(self, connection: Connection, target: TargetRow, subject: str, stands: Row) -> list[list[str]]:
        """Identifiers to take out: those that were sent, without those that another current member also sent.

        When consent was withdrawn the strictest statement counts, so nothing is spared.
        """
        ids = [list(i) for i in stands["remote"] or []]
        if stands["urgent"]:
            return ids
        kept = []
        for kind, value in ids:
            others = (
                select(remote_ids.c.subject)
                .join(
                    standings,
                    and_(standings.c.target == remote_ids.c.target, standings.c.subject == remote_ids.c.subject),
                )
                .where(
                    remote_ids.c.target == target.id,
                    remote_ids.c.kind == kind,
                    remote_ids.c.value == value,
                    remote_ids.c.subject != subject,
                    standings.c.want.is_not(None),
                )
            )
            if connection.scalar(others.limit(1)) is None:
                kept.append([kind, value])
        return kept

    def _settle_leave(self, book: Book, row: Row, stands: Row) -> None:
        why = "another member still needs these identifiers" if stands["remote"] else "was there before us"
        book.spared(row, why)

    def _unreachable(
        self, connection: Connection, target: TargetRow, row: Row, address: Unreachable | None, now_us: int
    ) -> None:
        found = address or Unreachable(code="nobody", detail="the person is no longer known")
        again = now_us + int(found.again.total_seconds() * 1e6)
        connection.execute(
            update(outbox).where(outbox.c.id == row["id"]).values(code=found.code, detail=found.detail, next_us=again)
        )
        if row["code"] != found.code:
            line = Line(row["id"], row["subject"], row["person"], row["verb"], "unreachable", found.code, found.detail)
            write_ledger(connection, now_us, target.id, [line])

    def _event_consent(
        self, connection: Connection, target: TargetRow, rows: Sequence[Row]
    ) -> dict[str, dict[Purpose, bool]]:
        if target.target.use is not Use.CONVERSION:
            return {}
        query = select(conversions.c.transaction_id, conversions.c.consent)
        found = {}
        for part in chunks([row["subject"] for row in rows]):
            for transaction_id, consent in connection.execute(query.where(conversions.c.transaction_id.in_(part))):
                found[transaction_id] = {Purpose(name): bool(granted) for name, granted in consent.items()}
        return found

    # ------------------------------------------------------------ send

    def _resend(self, target: TargetRow, now: datetime, report: Delivered) -> None:
        """Send again what a crash left on its way: the same rows, identifiers and keys, if consent still stands."""
        with self._store.write() as connection:
            rows = _rows(connection, outbox.c.target == target.id, outbox.c.state == "sending")
            statements = people.consent_together(connection, sorted({row["person"] for row in rows}))
            of_event = self._event_consent(connection, target, rows)
            purposes = target.terms.purposes
            book, batches = self._book(connection, target, to_us(now)), defaultdict(list)
            for row in rows:
                allowed = permission(purposes, statements.get(row["person"], {}), of_event.get(row["subject"]))
                again = {**row, "before": unanswered(row["before"])}
                if row["verb"] != "leave" and not allowed.granted and not _lowers(row, row["before"]):
                    book.withheld(again, allowed.because)
                else:
                    batches[row["batch"], row["verb"]].append(again)
        for batch in batches.values():
            self._send(target, batch, now, report)

    def _send(self, target: TargetRow, rows: Sequence[Row], now: datetime, report: Delivered) -> None:
        destination, now_us = self._destinations[target.target.connection], to_us(now)
        changes = self._changes(target, rows)
        report.sent += len(rows)
        remote = self._prepare(target, now)
        try:
            receipts = destination.deliver(remote, changes)
        except TryLater as error:
            with self._store.write() as connection:
                self._book(connection, target, now_us).unknown(rows, str(error), error.retry_after)
            raise
        except NeedsHuman as error:
            with self._store.write() as connection:
                self._book(connection, target, now_us).untouched(rows, "needs_human", str(error), timedelta(0))
            raise
        except Refused as error:
            with self._store.write() as connection:
                self._book(connection, target, now_us).untouched(rows, error.code, str(error), None)
            report.outcomes["rejected"] += len(rows)
            return
        with self._store.write() as connection:
            self._book(connection, target, now_us).receipts(rows, receipts)
        for receipt in receipts:
            report.outcomes[str(receipt.outcome)] += 1

    def _changes(self, target: TargetRow, rows: Sequence[Row]) -> list[Change]:
        details: dict[str, Any] = {}
        if target.target.use is Use.CONVERSION:
            with self._store.read() as connection:
                for part in chunks([row["subject"] for row in rows]):
                    query = select(conversions).where(conversions.c.transaction_id.in_(part))
                    details |= {row["transaction_id"]: row for row in connection.execute(query).mappings()}
        return [_change(target, row, details.get(row["subject"])) for row in rows]


def _pause(error: LeadupError) -> timedelta:
    """How long a target, or a vendor that was asked, is left alone after an error."""
    match error:
        case TryLater():
            return error.retry_after or timedelta(minutes=1)
        case Busy():
            return timedelta(minutes=1)
        case Refused():
            return timedelta(hours=24)
    return timedelta(hours=1)


def _mistake(error: Exception) -> str:
    """Say where something went wrong that nobody has foreseen; never its text, which may quote a person's data."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"Unexpected {type(error).__name__} in {frame.name} ({frame.filename}:{frame.lineno}).\n"
        "  What to do: report this to whoever maintains the connector, or leadup; it is tried again by itself."
    )


def _lowers(row: Row, before: Row) -> bool:
    """Whether a restatement takes value away; that may leave without consent."""
    stood = before.get("stands")
    return row["verb"] == "restate" and stood is not None and (row["want"]["minor"] or 0) <= (stood["minor"] or 0)


def _change(target: TargetRow, row: Row, conversion: Any) -> Change:
    common: dict[str, Any] = {
        "key": row["key"],
        "person": row["person"],
        "to": Address(tuple(RemoteId(kind, value) for kind, value in row["remote"] or [])),
        "consent": {Purpose(name): granted for name, granted in (row["consent"] or {}).items()},
    }
    match row["verb"]:
        case "join":
            return Join(**common)
        case "leave":
            return Leave(**common)
        case "upsert":
            return Upsert(**common, properties={target.target.name: row["want"]["v"]})
    amount = row["want"]
    return (Restate if row["verb"] == "restate" else Convert)(
        **common,
        transaction_id=row["subject"],
        at=from_us(conversion["opened_us"]),
        value=Money(amount["minor"], amount["currency"]) if amount.get("minor") is not None else None,
        click_ids=conversion["click_ids"],
    )


def _due(target: TargetRow, now: datetime, *, force: bool) -> list[ColumnElement[bool]]:
    """Rows of a target that may be sent now; with ``force`` also those that wait for a later try."""
    where = [outbox.c.target == target.id, outbox.c.state == "pending"]
    return where if force else [*where, outbox.c.next_us <= to_us(now)]


def _rows(connection: Connection, *where: Any, limit: int | None = None) -> list[Row]:
    query = select(outbox).where(*where).order_by(outbox.c.id).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]
