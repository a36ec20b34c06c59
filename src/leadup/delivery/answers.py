"""What vendors say of whole batches: counts by reason, warnings. Works inside the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, or_, select

from leadup.delivery.rows import Row
from leadup.identity.seal import redact
from leadup.outgoing import Outcome, Progress, Receipt, Status
from leadup.state.store import upsert
from leadup.state.tables import answers, conversions

UNANSWERED = "unanswered"


def note_warnings(
    connection: Connection, target: int, rows: Sequence[Row], receipts: Sequence[Receipt], now_us: int
) -> None:
    """Keep what the vendor warned of when it took a batch."""
    warned: dict[str, Counter[str]] = {}
    taken = [receipt for receipt in receipts if receipt.outcome is Outcome.ACCEPTED]
    for receipt in taken:
        if receipt.warning:
            warned.setdefault(receipt.handle, Counter())[receipt.warning] += 1
    sizes = Counter(receipt.handle for receipt in taken) if warned else Counter[str]()
    lines = [
        _line(target, handle, now_us, rows[0]["verb"], sizes[handle], str(Outcome.ACCEPTED), warned=counts)
        for handle, counts in warned.items()
    ]
    upsert(connection, answers, lines, update=["at_us", "warned"])


def note_status(
    connection: Connection, target: int, rows: Sequence[Row], status: Status, now_us: int, *, given_up: bool
) -> None:
    """Keep what became of a batch; of one that the vendor still works on nothing, unless it is ``given_up``."""
    if not rows or (status.progress is Progress.PROCESSING and not given_up):
        return
    here = (answers.c.target == target) & (answers.c.handle == status.handle)
    before = connection.scalar(select(answers.c.warned).where(here)) or {}
    warned = Counter(before) + Counter(status.warnings)
    progress = UNANSWERED if given_up else str(status.progress)
    line = _line(
        target, status.handle, now_us, rows[0]["verb"], len(rows), progress, status.counts, status.unmatched, warned
    )
    upsert(connection, answers, [line], update=[name for name in line if name not in ("target", "handle")])


def told(connection: Connection, target: int, limit: int = 5) -> list[dict[str, Any]]:
    """The latest batches of a target of which there is something to tell, newest first."""
    empty = [column != {} for column in (answers.c.failed, answers.c.unmatched, answers.c.warned)]
    where = (answers.c.target == target) & or_(*empty, answers.c.progress == UNANSWERED)
    query = select(answers).where(where).order_by(answers.c.at_us.desc(), answers.c.handle).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def with_clicks(connection: Connection, rows: Sequence[Row], click_ids: frozenset[str]) -> set[str]:
    """Subjects of those conversions that went with a click id of these kinds."""
    found: set[str] = set()
    query = select(conversions.c.transaction_id, conversions.c.click_ids)
    for part in [rows[start : start + 500] for start in range(0, len(rows), 500)]:
        here = conversions.c.transaction_id.in_([row["subject"] for row in part])
        found |= {one for one, ids in connection.execute(query.where(here)) if not click_ids.isdisjoint(ids)}
    return found


def _line(
    target: int,
    handle: str,
    now_us: int,
    verb: str,
    rows: int,
    progress: str,
    failed: Mapping[str, int] | None = None,
    unmatched: Mapping[str, int] | None = None,
    warned: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    counts = {"failed": failed, "unmatched": unmatched, "warned": warned}
    return {
        "target": target,
        "handle": handle,
        "at_us": now_us,
        "verb": verb,
        "rows": rows,
        "progress": progress,
        **{name: {redact(reason): count for reason, count in (by or {}).items()} for name, by in counts.items()},
    }
