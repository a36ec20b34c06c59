"""What becomes of the rows of a batch, once the vendor has said how many of them failed, and not which. Pure."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from leadup.outgoing import Progress, Status

MAX_RESENDS = 5
"""An asynchronous failure that may pass later is sent again this often, then closed."""
RESEND_AFTER = timedelta(hours=6)
_MICROSECOND = timedelta(microseconds=1)


class End(enum.Enum):
    """Where a row goes from ``accepted``."""

    WAITS = enum.auto()
    """The vendor is not done: it is asked again."""
    DONE = enum.auto()
    AGAIN = enum.auto()
    """It is sent again later."""
    FAILED = enum.auto()
    OPEN = enum.auto()
    """It may have been done, and may have failed: ``uncertain``."""


class Fate(NamedTuple):
    """What becomes of one row, and why."""

    end: End
    code: str = ""
    detail: str = ""
    wait_us: int = 0
    known: bool = True
    """Of one that is sent again: it is sure that it was not done."""


def fates(
    rows: Sequence[Mapping[str, Any]],
    status: Status,
    now_us: int,
    poll_us: int,
    within_us: int,
    clicked: Collection[str] = (),
) -> list[Fate]:
    """Say what becomes of each row of a batch, in order.

    Args:
        rows: outbox rows that were accepted under ``status.handle``.
        status: what the vendor says of them.
        now_us: the present instant.
        poll_us: how long after it was sent a batch is asked about first; then each time half its age later.
        within_us: after how long it is no longer asked about.
        clicked: subjects of conversions that went with a click id.
    """
    if status.progress is Progress.PROCESSING:
        return [_unanswered(row, now_us, poll_us, within_us) for row in rows]
    if status.progress is Progress.PROCESSED:
        return [Fate(End.DONE)] * len(rows)
    told = {**status.unmatched, **status.counts}
    failed = sum(told.values())
    every = status.progress is Progress.FAILED or failed >= len(rows)
    counts = ", ".join(f"{count} x {reason}" for reason, count in sorted(told.items()))
    detail = counts if every else f"of the {len(rows)} rows of this batch {failed} failed: {counts}"
    if status.counts or not status.unmatched:
        code = max(status.counts, key=lambda reason: status.counts[reason], default="") or str(status.progress)
        closed = Fate(End.FAILED if every else End.OPEN, code, detail)
        wait = (status.retry_after or RESEND_AFTER) // _MICROSECOND
        again = Fate(End.AGAIN, code, counts, wait, every)
        return [again if status.retryable and row["attempts"] < MAX_RESENDS else closed for row in rows]
    code = max(status.unmatched, key=lambda reason: status.unmatched[reason])
    closed, usual = Fate(End.FAILED if every else End.OPEN, code, detail), Fate(End.DONE, code, counts)
    return [closed if row["subject"] in clicked else usual for row in rows]


def _unanswered(row: Mapping[str, Any], now_us: int, poll_us: int, within_us: int) -> Fate:
    age = now_us - (row["sent_us"] or now_us)
    if age < within_us:
        return Fate(End.WAITS, wait_us=min(max(poll_us, age // 2), within_us - age))
    hours = age // 3_600_000_000
    text = f"{hours} hours after it was sent the vendor had not said what became of it ({row['handle']})"
    return Fate(End.OPEN, "no_answer", text)
