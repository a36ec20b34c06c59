"""Signals that go. Files may hold them still: whoever deletes some says so here first."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, select
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from leadup.state.tables import signal_gone, signals


def leave_out(connection: Connection, which: ColumnElement[bool]) -> None:
    """Let readers of files leave out these signals, which are about to be deleted."""
    gone = select(signals.c.anchor, signals.c.number).where(which)
    connection.execute(sqlite_insert(signal_gone).from_select(["anchor", "number"], gone).on_conflict_do_nothing())
