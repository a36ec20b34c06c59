"""One process at a time: a lease row with an expiry, given up at once when its holder is found dead on this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import Connection, delete, insert, select, update

from leadup.clock import SystemClock
from leadup.errors import Busy
from leadup.state.store import Store
from leadup.state.tables import leases
from leadup.types import from_us, to_us

NAME = "state"
TTL_US = 30_000_000
BEAT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds the lease."""

    holder: str
    what: str
    since: datetime
    expires: datetime


def holder(store: Store, now: datetime) -> Held | None:
    """Who holds the lease at ``now``; None when nobody does."""
    with store.read() as connection:
        return _current(connection, now)


@contextmanager
def lease(store: Store, what: str) -> Iterator[Event]:
    """Hold the lease while the block runs, renewing it from a thread. Yields an event that is set should it be lost.

    Raises:
        Busy: another process holds it; the text says which, and since when.
    """
    clock, me = SystemClock(), _me()
    _take(store, me, what, clock.now())
    lost, done = Event(), Event()

    def beat() -> None:
        while not done.wait(BEAT_SECONDS):
            with store.write() as connection:
                mine = (leases.c.name == NAME) & (leases.c.holder == me)
                kept = connection.execute(
                    update(leases).where(mine).values(expires_us=to_us(clock.now()) + TTL_US)
                ).rowcount
            if not kept:
                lost.set()
                return

    thread = Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join(timeout=BEAT_SECONDS)
        with store.write() as connection:
            connection.execute(delete(leases).where((leases.c.name == NAME) & (leases.c.holder == me)))


def _take(store: Store, me: str, what: str, now: datetime) -> None:
    with store.write() as connection:
        held = _current(connection, now)
        if held is not None:
            raise Busy(
                f"`{held.what}` holds this state ({held.holder}, since {held.since:%Y-%m-%d %H:%M:%S} UTC).\n"
                "  What to do: stop it first, or work beside it (`leadup sync` hands its work to a running daemon)."
            )
        connection.execute(delete(leases).where(leases.c.name == NAME))
        row = {"name": NAME, "holder": me, "what": what, "since_us": to_us(now), "expires_us": to_us(now) + TTL_US}
        connection.execute(insert(leases), [row])


def _current(connection: Connection, now: datetime) -> Held | None:
    row = connection.execute(select(leases).where(leases.c.name == NAME)).first()
    if row is None or row.expires_us <= to_us(now) or _is_dead(row.holder):
        return None
    return Held(row.holder, row.what, from_us(row.since_us), from_us(row.expires_us))


def _me() -> str:
    return f"{socket.gethostname()} process {os.getpid()} started {_started(os.getpid())}"


def _is_dead(text: str) -> bool:
    host, _, rest = text.partition(" process ")
    pid, _, started = rest.partition(" started ")
    return host == socket.gethostname() and _started(int(pid)) != started


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks, so that a number used again is told apart; empty: no such one."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    with suppress(OSError):
        os.kill(pid, 0)
        return "?"
    return ""
