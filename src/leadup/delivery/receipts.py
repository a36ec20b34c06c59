"""What the vendor said, written down: row states, what stands, and ledger lines, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, and_, delete, select, update

from leadup import plan
from leadup.delivery.book import Line, TargetRow, as_row, write_ledger
from leadup.plan import Standing
from leadup.state.tables import outbox, remote_ids, standings
from leadup.types import Outcome, Progress, Receipt, Status

_MINUTE = 60_000_000
MAX_RESENDS = 5
"""An asynchronous failure that may pass later is sent again this often, then left ``uncertain``."""
RESEND_AFTER_US = 6 * 60 * _MINUTE
"""Google: a click younger than 6 hours is not known yet (Google Ads API, "ConversionUploadError": TOO_RECENT_EVENT)."""


def backoff_us(attempts: int) -> int:
    """Wait before the next try: a minute, doubled each time, at most six hours."""
    return int(min(_MINUTE * 2 ** min(attempts, 12), 6 * 60 * _MINUTE))


def unanswered(before: Mapping[str, Any] | None) -> dict[str, Any]:
    """What stood before a row was sent, once a try of it has had no answer: it may stand already."""
    return {**(before or {}), "standing": Standing.POSSIBLE, "unknown": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Where receipts are written: one target, one instant, one transaction."""

    connection: Connection
    target: TargetRow
    now_us: int
    refresh_us: int | None = None
    """How long after it was confirmed a member must be sent again."""
    poll_us: int = 30 * _MINUTE

    def receipts(self, rows: Sequence[Mapping[str, Any]], receipts: Sequence[Receipt]) -> None:
        """Write one receipt per outbox row, in order."""
        for row, receipt in zip(rows, receipts, strict=True):
            match receipt.outcome:
                case Outcome.CONFIRMED | Outcome.ALREADY:
                    self._done(row, receipt)
                case Outcome.ACCEPTED:
                    self._close(row, "accepted", handle=receipt.handle, next_us=self.now_us + self.poll_us)
                    self._stand(row, sure=False)
                    self._line(row, "accepted", detail=receipt.handle)
                case Outcome.REJECTED:
                    self._undo(row)
                    self._close(row, "failed", code=receipt.code, detail=receipt.detail)
                    self._line(row, "rejected", receipt.code, receipt.detail)
                case Outcome.LATER:
                    self._undo(row, reopen=True)
                    self._again(row, receipt.retry_after, receipt.code, receipt.detail)

    def unknown(self, rows: Sequence[Mapping[str, Any]], detail: str, retry_after: timedelta | None) -> None:
        """No answer came: each row may or may not have been taken. It is sent again under the same key."""
        for row in rows:
            self._again(row, retry_after, "try_later", detail, before=unanswered(row["before"]))

    def untouched(
        self, rows: Sequence[Mapping[str, Any]], code: str, detail: str, retry_after: timedelta | None
    ) -> None:
        """Nothing was done with these rows; with ``retry_after`` they wait, without it they have failed for good."""
        for row in rows:
            self._undo(row, reopen=retry_after is not None)
            if retry_after is not None:
                self._again(row, retry_after, code, detail)
            else:
                self._close(row, "failed", code=code, detail=detail)
                self._line(row, "rejected", code, detail)

    def status(self, rows: Sequence[Mapping[str, Any]], status: Status) -> None:
        """Write what became of an accepted batch. Which rows failed is known only if there is but one, or all did."""
        detail = ", ".join(f"{count} x {reason}" for reason, count in sorted(status.counts.items()))
        code = max(status.counts, key=lambda reason: status.counts[reason], default="")
        failed = sum(status.counts.values())
        for row in rows:
            if status.progress is Progress.PROCESSING:
                age = self.now_us - (row["sent_us"] or self.now_us)
                self._close(row, "accepted", next_us=self.now_us + max(self.poll_us, age // 2))
            elif status.progress is Progress.PROCESSED:
                self._close(row, "processed")
                self._stand(row, sure=True)
                self._line(row, "processed")
            elif status.retryable and row["attempts"] < MAX_RESENDS:
                self._again(row, timedelta(microseconds=RESEND_AFTER_US), code, detail)
            elif status.progress is Progress.FAILED or failed >= len(rows):
                self._undo(row)
                self._close(row, "failed", code=code, detail=detail)
                self._line(row, "failed", code, detail)
            else:
                text = f"of the {len(rows)} rows of this batch {failed} failed: {detail}"
                self._close(row, "uncertain", code=code, detail=text)
                self._line(row, "uncertain", code, text)

    # ------------------------------------------------------------ row and standing

    def _done(self, row: Mapping[str, Any], receipt: Receipt) -> None:
        self._close(row, "processed", code=receipt.code, detail=receipt.detail)
        self._line(row, str(receipt.outcome), receipt.code, receipt.detail)
        before = row["before"] or {}
        first = before.get("standing") == Standing.ABSENT and not before.get("unknown")
        if row["verb"] == "join" and receipt.outcome is Outcome.ALREADY and first and not self._shared(row):
            # Somebody else had put this member there: he is where he should be, and is not ours to remove.
            self._forget(row)
            self._stand(row, sure=True, remote=[])
        else:
            self._stand(row, sure=True)

    def _shared(self, row: Mapping[str, Any]) -> bool:
        ids = [(kind, value) for kind, value in row["remote"] or []]
        for kind, value in ids:
            where = and_(
                remote_ids.c.target == row["target"],
                remote_ids.c.kind == kind,
                remote_ids.c.value == value,
                remote_ids.c.subject != row["subject"],
            )
            if self.connection.scalar(select(remote_ids.c.subject).where(where).limit(1)) is None:
                return False
        return bool(ids)

    def _stand(self, row: Mapping[str, Any], *, sure: bool, remote: list[Any] | None = None) -> None:
        """The row's intent is what stands now."""
        values: dict[str, Any] = {"stands": row["want"]}
        if row["verb"] == "leave":
            values["standing"] = Standing.ABSENT if sure else Standing.LEAVING
            values["refresh_us"] = None
            if sure:
                values["remote"] = None
                self._forget(row)
        else:
            values["standing"] = Standing.PRESENT if sure else Standing.POSSIBLE
            if row["verb"] == "join" and self.refresh_us:
                values["refresh_us"] = self.now_us + self.refresh_us
            if remote is not None:
                values["remote"] = remote
        self._set(row, values)

    def _undo(self, row: Mapping[str, Any], *, reopen: bool = False) -> None:
        """This try did nothing: what stood before stands still, and an earlier try without an answer still may."""
        before = row["before"] or {}
        standing = before.get("standing", Standing.ABSENT)
        values = {"standing": standing, "stands": before.get("stands")}
        if not before.get("unknown"):
            values["remote"] = before.get("remote")
            if standing == Standing.ABSENT and self._is_latest(row):
                self._forget(row)
        self._set(row, values, closed=not reopen)

    def _is_latest(self, row: Mapping[str, Any]) -> bool:
        """Whether nothing newer was planned for this subject since."""
        key = and_(standings.c.target == row["target"], standings.c.subject == row["subject"])
        return bool(self.connection.scalar(select(standings.c.number).where(key)) == row["number"])

    def _set(self, row: Mapping[str, Any], values: dict[str, Any], *, closed: bool = False) -> None:
        """Write what stands now, unless a newer row for this subject has its own word to say."""
        key = and_(standings.c.target == row["target"], standings.c.subject == row["subject"])
        found = self.connection.execute(select(standings).where(key)).mappings().first()
        if found is None or found["number"] != row["number"]:
            return
        current = dict(found)
        after = {**current, **values}
        # A refused row is not planned again until something about the person changes; anything else may be.
        same_intent = current["want"] == row["want"]
        is_open = plan.verb(self.target.target.use, as_row(after, 0)) is not None and not (closed and same_intent)
        self.connection.execute(update(standings).where(key).values(**values, open=is_open))

    def _forget(self, row: Mapping[str, Any]) -> None:
        where = and_(remote_ids.c.target == row["target"], remote_ids.c.subject == row["subject"])
        self.connection.execute(delete(remote_ids).where(where))

    def _close(self, row: Mapping[str, Any], state: str, **values: Any) -> None:
        done = None if state in ("pending", "accepted") else self.now_us
        remote = {"remote": None} if state == "processed" and row["verb"] == "leave" else {}
        self.connection.execute(
            update(outbox).where(outbox.c.id == row["id"]).values(state=state, done_us=done, **remote, **values)
        )

    def _again(
        self,
        row: Mapping[str, Any],
        retry_after: timedelta | None,
        code: str,
        detail: str,
        before: Mapping[str, Any] | None = None,
    ) -> None:
        key = and_(standings.c.target == row["target"], standings.c.subject == row["subject"])
        if not self._is_latest(row) or self.connection.scalar(select(standings.c.want).where(key)) != row["want"]:
            # The intent changed while this was on its way: the plan writes a new row, and this one ends.
            self._close(row, "replaced", code=code, detail=detail)
            self._line(row, "replaced", code, "a newer intent")
            return
        wait = backoff_us(row["attempts"]) if retry_after is None else int(retry_after.total_seconds() * 1e6)
        self._close(
            row,
            "pending",
            attempts=row["attempts"] + 1,
            next_us=self.now_us + wait,
            code=code,
            detail=detail,
            before=dict(before) if before is not None else row["before"],
        )
        self._line(row, "later", code, detail)

    def spared(self, row: Mapping[str, Any], why: str) -> None:
        """A leave with nothing to take out: the intent is met without a call."""
        self._close(row, "processed", code="spared", detail=why)
        self._line(row, "spared", detail=why)
        self._stand(row, sure=True)

    def withheld(self, row: Mapping[str, Any], because: str) -> None:
        """Consent is missing at the moment of sending: the row ends here, unsent."""
        possible = bool((row["before"] or {}).get("unknown"))
        self._close(row, "withheld", code="no_consent", detail=because)
        self._line(row, "withheld", "no_consent", because)
        key = and_(standings.c.target == row["target"], standings.c.subject == row["subject"])
        if not possible:
            self._set(row, {}, closed=True)
        else:
            self.connection.execute(update(standings).where(key).values(standing=Standing.POSSIBLE))

    def _line(self, row: Mapping[str, Any], what: str, code: str = "", detail: str = "") -> None:
        line = Line(row["id"], row["subject"], row["person"], row["verb"], what, code, detail)
        write_ledger(self.connection, self.now_us, self.target.id, [line])
