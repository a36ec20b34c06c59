"""The states of outbox rows, and what stands for their subjects: read once, moved in memory, written at once.

::

    held -> pending -> sending -> processed                       the vendor answered
                    |          |- accepted -> processed           the vendor answers later
                    |          |              failed, uncertain
                    |          |- failed                          it will never pass; but a leave has to
                    |          |- pending                         it may pass later
                    |- replaced                                   a newer intent took its place
                    |- withheld                                   consent is missing

While a row is on its way it remembers in ``before`` what stood when it was sent. "Nothing was done" puts that back.
"Nobody knows" (no answer, a crash) makes what may stand now the new ``before``: it is not undone again, and a leave
follows it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Connection, bindparam, update

from leadup import plan
from leadup.delivery.book import TargetRow, as_row, standings_of
from leadup.delivery.erase import being_erased
from leadup.delivery.fates import End, Fate
from leadup.delivery.ledger import Line, write_ledger
from leadup.delivery.remote import Pair, brought, hold, known_as_ours, pairs, stored
from leadup.delivery.rows import LOST, MINUTE_US, TRY_LATER, Row, backoff_us, persistence_us, unanswered
from leadup.identity.seal import redact
from leadup.outgoing import Outcome, Receipt, Use
from leadup.plan import Standing
from leadup.state.store import chunks, upsert
from leadup.state.tables import dirty, outbox, standings

_STANDS = ("standing", "stands", "remote", "sent")
"""What a row changes of a standing by being sent, and what is put back when nothing was done."""
_STANDING_COLUMNS = (*_STANDS, "refresh_us", "open", "want", "urgent", "reason")
_ROW_COLUMNS = (
    *("state", "batch", "handle", "attempts", "next_us", "sent_us", "done_us"),
    *("remote", "consent", "before", "code", "detail"),
)
_AT_ONCE = 1_000
"""Rows that are written by one statement: more would be no faster, and take memory by the thousand."""
_WAITING = ("pending", "sending", "accepted")


def _takes_back(row: Row) -> bool:
    return row["verb"] == "restate" and bool(row["want"].get("retracted"))


class States:
    """Some outbox rows of one target. Call :meth:`write` in the end, in the transaction they were read in."""

    def __init__(
        self,
        connection: Connection,
        target: TargetRow,
        rows: Iterable[Row],
        now_us: int,
        *,
        refresh_us: int | None = None,
        poll_us: int = 30 * MINUTE_US,
    ) -> None:
        """Read what stands for these rows.

        ``refresh_us``: how long after it was confirmed a member must be sent again; None: never. ``poll_us``: how long
        after it was accepted the vendor is asked about a row.
        """
        self.rows = list(rows)
        self._connection, self._target, self._now_us = connection, target, now_us
        self._refresh_us, self._poll_us = refresh_us, poll_us
        self._found = standings_of(connection, target.id, sorted({row["subject"] for row in self.rows}))
        self._sent_before = {subject: pairs(standing["remote"]) for subject, standing in self._found.items()}
        self._moved: dict[int, Row] = {}
        self._touched: set[str] = set()
        self._closed: set[str] = set()
        self._lines: list[Line] = []

    def standing(self, row: Row) -> Row:
        """What should stand, and what does, for the subject of a row."""
        return self._found[row["subject"]]

    # ------------------------------------------------------------ on the way

    def send(self, row: Row, remote: Iterable[Pair], consent: Mapping[str, bool], batch: str) -> None:
        """The row leaves now, with these identifiers and this consent."""
        standing = self.standing(row)
        if not unanswered(row):
            row["before"] = {name: standing[name] for name in _STANDS}
        row |= {"state": "sending", "sent_us": self._now_us, "batch": batch, "consent": dict(consent)}
        row["remote"] = stored(remote)
        standing["sent"] = row["id"]
        if row["verb"] == "leave":
            standing |= {"standing": Standing.POSSIBLE, "stands": None}
        elif standing["standing"] != Standing.PRESENT:
            standing["standing"] = Standing.POSSIBLE
        if row["verb"] == "join":
            standing["remote"] = stored(pairs(standing["remote"]) | set(remote))
        elif row["verb"] == "upsert":
            standing["remote"] = row["remote"]
        self._touched.add(row["subject"])
        self._move(row, "sent", detail=row["reason"])

    def in_doubt(self, rows: Iterable[Row]) -> None:
        """No answer came: what may stand now is what is known from here on."""
        for row in rows:
            standing = self.standing(row)
            if standing["standing"] == Standing.LEAVING and self._counts(row):
                standing["standing"] = Standing.POSSIBLE
                self._touched.add(row["subject"])
            row["before"] = {**{name: standing[name] for name in _STANDS}, "unknown": True}

    def found_anew(self, row: Row, now: Collection[Pair]) -> None:
        """The vendor knows no more what was sent; the person is found there by ``now``, or by nothing."""
        standing = self.standing(row)
        standing["remote"] = stored(set(now) - pairs(standing["remote"]))
        self._touched.add(row["subject"])

    # ------------------------------------------------------------ not sent

    def spared(self, row: Row, why: str, what: str = "spared") -> None:
        """A leave with nothing to take out: the intent is met without a call, or nobody can meet it (``what``)."""
        self.standing(row)["sent"] = row["id"]
        self._stands(row, sure=True)
        self._end(row, "processed", what, what, why)

    def unreachable(self, row: Row, code: str, detail: str, wait_us: int) -> None:
        """Nobody is found there now: the row waits. The ledger says so once."""
        said = row["code"] == code
        row["next_us"] = self._now_us + wait_us
        self._move(row, "" if said else "unreachable", code, detail)

    def asked_again(self, row: Row, code: str, detail: str, wait: timedelta) -> None:
        """The vendor did not say where somebody is: the row waits under its code."""
        row["next_us"] = self._now_us + wait // timedelta(microseconds=1)
        self._move(row, "later", code, detail)

    def unknowable(self, row: Row, code: str, detail: str) -> None:
        """Nobody will ever be found there: the row ends unsent, and the same intent is not planned again."""
        self._close(row)
        self._end(row, "failed", "rejected", code, detail)

    def withheld(self, row: Row, because: str) -> None:
        """Consent is missing: the row ends unsent, and nothing is wanted any more until a tick finds it granted."""
        standing = self.standing(row)
        if standing["want"] == row["want"]:
            standing |= {"want": None, "urgent": True, "reason": because}
            self._touched.add(row["subject"])
        self._end(row, "withheld", "withheld", "no_consent", because)

    # ------------------------------------------------------------ answers

    def receipts(self, receipts: Sequence[Receipt]) -> None:
        """One receipt per row, in order."""
        answered = list(zip(self.rows, receipts, strict=True))
        joined = {row["id"]: brought(row["remote"], receipt) for row, receipt in answered if row["verb"] == "join"}
        done = (Outcome.CONFIRMED, Outcome.ALREADY)
        strangers = [  # were there before us: they are where they should be, and not ours to remove
            row
            for row, receipt in answered
            if row["verb"] == "join" and receipt.outcome in done and pairs(row["remote"]) - joined[row["id"]]
        ]
        if strangers:
            ours = known_as_ours(self._connection, self._target.id, self.rows, joined.values())
            for row in strangers:
                self.standing(row)["remote"] = stored(pairs(row["before"]["remote"]) | (pairs(row["remote"]) & ours))
        for row, receipt in answered:
            match receipt.outcome:
                case Outcome.CONFIRMED | Outcome.ALREADY if receipt.lost and row["verb"] == "leave":
                    self._restore(row)
                    self._again(row, timedelta(0), LOST, receipt.detail, tried=False)
                case Outcome.CONFIRMED | Outcome.ALREADY:
                    self._stands(row, sure=True)
                    self._end(row, "processed", str(receipt.outcome), receipt.code, receipt.detail)
                case Outcome.ACCEPTED:
                    self._stands(row, sure=False)
                    row |= {"state": "accepted", "handle": receipt.handle, "next_us": self._now_us + self._poll_us}
                    self._move(row, "accepted", receipt.warning, receipt.handle)
                case Outcome.REJECTED:
                    self._fail(row, "rejected", receipt.code, receipt.detail)
                case Outcome.LATER:
                    self._restore(row)
                    if row["verb"] == "join" and joined[row["id"]]:
                        self._partly_there(row, joined[row["id"]])
                    self._again(row, receipt.retry_after, receipt.code, receipt.detail)

    def no_answer(self, detail: str, retry_after: timedelta | None, code: str = TRY_LATER) -> None:
        """Each row may or may not have been taken. It is sent again under the same key."""
        self.in_doubt(self.rows)
        for row in self.rows:
            self._again(row, retry_after, code, detail)

    def untouched(self, detail: str, retry_after: timedelta | None, code: str) -> None:
        """Nothing was done with these rows: they wait. That is no try, but where the pause grows with each."""
        for row in self.rows:
            self._restore(row)
            self._again(row, retry_after, code, detail, tried=retry_after is None)

    def refused(self, code: str, detail: str) -> None:
        """Nothing was done with these rows, and never will be; leaves are tried again all the same."""
        for row in self.rows:
            self._fail(row, "rejected", code, detail)

    def settle(self, fates: Sequence[Fate]) -> None:
        """What an accepted batch came to, row by row, in order."""
        for row, fate in zip(self.rows, fates, strict=True):
            match fate.end:
                case End.WAITS:
                    row |= {"next_us": self._now_us + fate.wait_us, "code": "", "detail": row["handle"]}
                    self._move(row)
                case End.DONE:
                    self._stands(row, sure=True)
                    self._end(row, "processed", "processed", fate.code, fate.detail)
                case End.AGAIN:
                    if fate.known:
                        self._restore(row)
                    else:
                        self.in_doubt([row])
                    self._again(row, timedelta(microseconds=fate.wait_us), fate.code, fate.detail)
                case End.FAILED:
                    self._fail(row, "failed", fate.code, fate.detail)
                case End.OPEN:
                    self._leave_open(row, fate.code, fate.detail)

    # ------------------------------------------------------------ one row

    def _stands(self, row: Row, *, sure: bool) -> None:
        """The row's intent is what stands now; or it was accepted, and will."""
        standing = self.standing(row)
        if not self._counts(row):
            return
        self._touched.add(row["subject"])
        standing["stands"] = row["want"]
        if row["verb"] == "leave":
            standing |= {"standing": Standing.ABSENT if sure else Standing.LEAVING, "refresh_us": None}
            if sure:
                standing["remote"] = None
        else:
            standing["standing"] = Standing.PRESENT if sure else Standing.POSSIBLE
            if row["verb"] == "upsert" and row["want"]["v"] is None and sure:
                standing["remote"] = None
            if row["verb"] == "join":
                standing["refresh_us"] = self._now_us + self._refresh_us if self._refresh_us else None

    def _counts(self, row: Row) -> bool:
        """Whether a row is the last that was sent for its subject: what came of older ones matters no more."""
        return bool(self.standing(row)["sent"] == row["id"])

    def _restore(self, row: Row) -> None:
        """Nothing was done: what stood before stands still. An earlier try without an answer may have been done."""
        if self._counts(row):
            self._touched.add(row["subject"])
            self.standing(row).update({name: row["before"][name] for name in _STANDS})
        if not unanswered(row):
            row["before"] = None

    def _partly_there(self, row: Row, there: Collection[Pair]) -> None:
        """Some of a join was done, and some not yet: what is there by it is ours from here on."""
        standing = self.standing(row)
        standing["remote"] = stored({*pairs(standing["remote"]), *there})
        if standing["standing"] != Standing.PRESENT:
            standing["standing"] = Standing.POSSIBLE
        self._touched.add(row["subject"])
        if unanswered(row):
            self.in_doubt([row])

    def _fail(self, row: Row, what: str, code: str, detail: str) -> None:
        counts = self._counts(row)
        self._restore(row)
        if row["verb"] == "leave":
            self._persist(row, code, detail)
            return
        if counts:
            self._close(row)
            if (self.standing(row)["refresh_us"] or self._now_us) <= self._now_us:
                self.standing(row)["refresh_us"] = None  # else it would be due again at once
        self._end(row, "failed", what, code, detail)

    def _leave_open(self, row: Row, code: str, detail: str) -> None:
        """Some rows of a batch failed, and nobody says which: this one may stand, and may be gone."""
        if row["verb"] == "leave":
            self.in_doubt([row])
            self._persist(row, code, detail)
            return
        if self._counts(row):
            self._close(row)
            self.standing(row)["standing"] = Standing.POSSIBLE
        self._end(row, "uncertain", "uncertain", code, detail)

    def _persist(self, row: Row, code: str, detail: str) -> None:
        """A leave is never given up: whoever must be out, by a withdrawn consent for one, has to get out."""
        self._again(row, timedelta(microseconds=persistence_us(row["attempts"])), code, detail)

    def _close(self, row: Row) -> None:
        """A refused intent is not planned again until it changes."""
        self._touched.add(row["subject"])
        if self.standing(row)["want"] == row["want"]:
            self._closed.add(row["subject"])

    def _again(self, row: Row, retry_after: timedelta | None, code: str, detail: str, *, tried: bool = True) -> None:
        """Try again later; or not, if the intent has changed meanwhile. ``tried``: it counts as a try."""
        if self._is_overtaken(row):
            self._end(row, "replaced", "replaced", code, "a newer intent")
            return
        wait = backoff_us(row["attempts"]) if retry_after is None else retry_after // timedelta(microseconds=1)
        row |= {"state": "pending", "attempts": row["attempts"] + tried, "next_us": self._now_us + wait}
        self._move(row, "later", code, detail)

    def _is_overtaken(self, row: Row) -> bool:
        """Whether something newer is wanted than a row that has come back.

        Only a conversion that may have been counted is tried until the vendor answers, since its next value is to be
        reported as another one of the same conversion.
        """
        standing = self.standing(row)
        settles = self._target.target.use is Use.CONVERSION and unanswered(row)
        return bool(standing["number"] != row["number"] or (standing["want"] != row["want"] and not settles))

    def _end(self, row: Row, state: str, what: str, code: str = "", detail: str = "") -> None:
        """The row has come to its end, and keeps no identifiers."""
        row |= {"state": state, "remote": None, "before": None}
        self._move(row, what, code, detail)

    def _move(self, row: Row, what: str = "", code: str = "", detail: str = "") -> None:
        row["done_us"] = None if row["state"] in _WAITING else self._now_us
        if what:
            row |= {"code": redact(code), "detail": redact(detail)}
            self._lines.append(Line(row["id"], row["subject"], row["person"], row["verb"], what, code, detail))
        self._moved[row["id"]] = row

    # ------------------------------------------------------------ writing

    def write(self) -> None:
        """Write all that has moved: rows, standings, whose identifiers they are, and the ledger."""
        for part in chunks(self._moved.values(), _AT_ONCE):
            rows = [{"i": row["id"], **{name: row[name] for name in _ROW_COLUMNS}} for row in part]
            self._connection.execute(update(outbox).where(outbox.c.id == bindparam("i")), rows)
        touched = [self._found[subject] for subject in sorted(self._touched)]
        for standing in touched:
            differs = plan.verb(self._target.target.use, as_row(standing, 0)) is not None
            standing["open"] = differs and standing["subject"] not in self._closed
        here = (standings.c.target == bindparam("t")) & (standings.c.subject == bindparam("s"))
        for some in chunks(touched, _AT_ONCE):
            rows = [
                {"t": s["target"], "s": s["subject"], **{name: s[name] for name in _STANDING_COLUMNS}} for s in some
            ]
            self._connection.execute(update(standings).where(here), rows)
        # What else is reported of these persons may wait for what was taken back (see `leadup.delivery.reports`).
        back = {row["person"] for row in self._moved.values() if row["state"] not in _WAITING and _takes_back(row)}
        back -= being_erased(self._connection, back) if back else set()
        upsert(self._connection, dirty, [{"person": person} for person in sorted(back)], update=())
        changes = {s["subject"]: (self._sent_before[s["subject"]], pairs(s["remote"])) for s in touched}
        hold(self._connection, self._target.id, changes)
        for lines in chunks(self._lines, _AT_ONCE):
            write_ledger(self._connection, self._now_us, self._target.id, lines)
