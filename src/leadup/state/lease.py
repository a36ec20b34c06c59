"""One process at a time: a lease row, worth as much as the process that holds it.

On the machine of the holder that is looked up, so that a killed process frees the state at once, and one that is busy,
or was asleep with its machine, keeps it. Where it can not be looked up, the lease ends by its expiry.
"""

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
from sqlalchemy.exc import OperationalError

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
    """Process and machine, e.g. ``process 4242 on web-1``."""
    what: str
    """The command."""
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
    mine = (leases.c.name == NAME) & (leases.c.holder == me)

    def beat() -> None:
        while not done.wait(BEAT_SECONDS):
            renew = update(leases).where(mine).values(expires_us=to_us(clock.now()) + TTL_US)
            with suppress(Busy), store.write() as connection:  # someone writes for long: at the next beat
                if not connection.execute(renew).rowcount:
                    lost.set()
                    return

    thread = Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join(timeout=BEAT_SECONDS)
        with suppress(OperationalError), store.engine.connect() as connection:
            # Whoever stops does not wait for another's long write; that this process is gone will do.
            connection.detach()
            connection.exec_driver_sql("PRAGMA busy_timeout=1000")
            connection.execute(delete(leases).where(mine))


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
    if row is None:
        return None
    alive = _is_alive(row.holder)
    if alive is None:
        alive = row.expires_us > to_us(now)
    if not alive:
        return None
    return Held(row.holder.partition(" (")[0], row.what, from_us(row.since_us), from_us(row.expires_us))


def _me() -> str:
    pid = os.getpid()
    return f"process {pid} on {socket.gethostname()} ({_pids()}, started {_started(pid)})"


def _is_alive(text: str) -> bool | None:
    """Whether that very process runs; None where that can not be looked up from here."""
    name, _, marks = text.partition(" (")
    process, _, host = name.partition(" on ")
    pids, _, started = marks.removesuffix(")").partition(", started ")
    if host != socket.gethostname() or pids != _pids():
        return None
    found = _started(int(process.removeprefix("process ")))
    return None if "?" in (found, started) and found else found == started


def _pids() -> str:
    """Name the set of process numbers that this process sees; containers may share a host name and not these."""
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return "pid"


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks, so that a number used again is told apart.

    Empty: no such process; ``?``: there is one, and that is all that can be said.
    """
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        return "?"
    return "?"
