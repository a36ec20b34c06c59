"""Rows of the outbox: how they are read, what is known of their tries, and how long they wait for the next one."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, select

from leadup.state.tables import outbox

LOST: Final = "lost"
"""Code of a leave whose identifiers the vendor knows no more."""
NEEDS_HUMAN: Final = "needs_human"
"""Code of rows that wait until a person has acted."""
TRY_LATER: Final = "try_later"
"""Code of rows that a vendor did not answer for."""
BROKEN_OFF: Final = "broken_off"
"""Code of rows that a process sent which ended before it knew the answer."""
MINUTE_US: Final = 60_000_000
_HOUR_US: Final = 60 * MINUTE_US

Row: TypeAlias = dict[str, Any]


def rows_of(connection: Connection, *where: Any, limit: int | None = None) -> list[Row]:
    """Outbox rows, oldest first."""
    query = select(outbox).where(*where).order_by(outbox.c.id).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def unanswered(row: Row) -> bool:
    """Whether some try of this row has had no answer: it may have been done."""
    return bool(row["before"] and row["before"].get("unknown"))


def backoff_us(attempts: int) -> int:
    """Wait before the next try: a minute, doubled each time, at most six hours."""
    return int(min(MINUTE_US * 2 ** min(attempts, 12), 6 * _HOUR_US))


def persistence_us(attempts: int) -> int:
    """Wait before a leave that was refused is sent again: an hour, doubled each time, at most a day."""
    return int(min(_HOUR_US * 2 ** min(attempts, 5), 24 * _HOUR_US))
