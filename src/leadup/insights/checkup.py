"""What is well with an installation, and what is not: its state, its rules, its sources and what it sends to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic.util.exc import CommandError
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DatabaseError

from leadup import registry
from leadup.delivery.book import TargetRow, all_targets
from leadup.errors import LeadupError, NeedsHuman, unforeseen
from leadup.insights.words import instant
from leadup.kit import Checkup
from leadup.outgoing import Finding, Grade, Target
from leadup.pipeline import STEP_BACK_US, is_live, judged_up_to
from leadup.state.lease import holder
from leadup.state.tables import ledger, sources
from leadup.types import from_us, to_us

if TYPE_CHECKING:
    from leadup.app import App
    from leadup.settings import Connection as Configured

LITTLE: Final = 200 << 20
"""Bytes of free disk space below which writing may soon fail."""
SOME: Final = 1 << 30
STALE: Final = timedelta(hours=24)
WAITS: Final = timedelta(minutes=5)
"""How long a request to a collector may wait to be read while a daemon runs."""
_DAY_US: Final = 86_400_000_000
_NEXT_DAY: Final = "nothing; if that happens often, look what else makes calls there, or read less"
_OTHERWISE: Final = "correct what it says, and run `leadup doctor` again"


def look(name: str, grade: Grade, text: str, todo: str = "") -> Finding:
    """A finding, in one line."""
    return Finding(name=name, grade=grade, text=text, todo=todo)


def of_error(name: str, error: Exception) -> Finding:
    """What an error says, as a problem."""
    if not isinstance(error, LeadupError):
        text, _, todo = unforeseen(error).partition("\n  What to do: ")
        return look(name, Grade.PROBLEM, text, todo)
    text, _, todo = str(error).partition("\n  What to do: ")
    return look(name, Grade.PROBLEM, text, error.todo if isinstance(error, NeedsHuman) else todo or _OTHERWISE)


# ---------------------------------------------------------------- the installation


def installation(app: App, now: datetime, machine: datetime) -> Iterator[Finding]:
    """Look at the state, the rules, the sources and the targets. Asks no vendor.

    ``now`` is the instant that is judged at; ``machine`` what the machine's own clock says, which leases go by.
    """
    folder = app.settings.state_folder
    yield _writable(folder)
    yield _space(folder)
    try:
        held = holder(app.store, machine)
        _ = app.vault
        running = held is not None and held.what == "leadup run"
    except CommandError:
        yield look(
            "state", Grade.PROBLEM, "it was written by a newer leadup, whose tables this one does not know",
            "pip install --upgrade leadup",
        )  # fmt: skip
        return
    except (LeadupError, DatabaseError, OSError) as error:
        yield of_error("state", error)
        return
    yield look("state", Grade.OK, "it opens, and its tables are those of this version")
    if held is None:
        yield look("daemon", Grade.WARNING, "none runs: nothing is judged or sent by itself", "start `leadup run`")
    else:
        yield look("daemon", Grade.OK, f"{held.what} ({held.holder}) since {held.since:%Y-%m-%d %H:%M:%S} UTC")
    with app.store.read() as connection:
        yield _clock(connection, now)
        yield _rules(app, connection)
        yield from _sources(app, connection, now, running=running)
        yield from _targets(all_targets(connection))
    yield from _inbox(app, now, running=running)


def _writable(folder: Path) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"leadup")
    except OSError as error:
        return look(
            "state_folder", Grade.PROBLEM, f"{folder} can not be written to ({error.strerror})",
            "let the user that leadup runs as own it, or name another folder under [state]",
        )  # fmt: skip
    return look("state_folder", Grade.OK, f"{folder} can be written to")


def _space(folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return look("disk", Grade.UNKNOWN, f"free space is not known ({error.strerror})")
    grade = Grade.PROBLEM if free < LITTLE else Grade.WARNING if free < SOME else Grade.OK
    todo = "" if grade is Grade.OK else "make room on the disk that holds the state"
    return look("disk", grade, f"{free / (1 << 30):.1f} GiB are free", todo)


def _clock(connection: Connection, now: datetime) -> Finding:
    latest = judged_up_to(connection)
    if latest is None:
        return look("clock", Grade.OK, "nobody was judged yet")
    if latest - to_us(now) > STEP_BACK_US:
        return look(
            "clock",
            Grade.PROBLEM,
            f"it says {now:%Y-%m-%d %H:%M:%S} UTC, and people were judged at {instant(latest)} already: nobody is "
            "judged until then",
            "set the clock of this machine (or LEADUP_NOW) right; if the later time was the wrong one, "
            "`leadup sync --accept clock`",
        )
    age = now - from_us(latest)
    if age > STALE:
        return look("clock", Grade.WARNING, f"people were judged last at {instant(latest)}", "start `leadup run`")
    return look("clock", Grade.OK, f"people were judged last at {instant(latest)}")


def _rules(app: App, connection: Connection) -> Finding:
    try:
        live = is_live(connection, app.rules.program)
    except LeadupError as error:
        first = str(error).splitlines()[0]
        return look("rules", Grade.PROBLEM, f"they do not load: {first}", "`leadup rules check` shows all mistakes")
    if not live:
        return look("rules", Grade.WARNING, "those on disk are not those in use", "`leadup sync` takes them up")
    return look("rules", Grade.OK, "those on disk are in use")


def _sources(app: App, connection: Connection, now: datetime, *, running: bool) -> Iterator[Finding]:
    for row in connection.execute(select(sources).order_by(sources.c.connection)).mappings():
        name = f"{row['connection']}: reading"
        read = row["pulled_us"]
        if row["connection"] not in app.settings.connections:
            continue
        if row["error"]:
            text, _, todo = str(row["error"]).partition("\n  What to do: ")
            yield look(name, Grade.PROBLEM, text, todo or "`leadup sync` tries again now")
        elif row["waits_us"] is not None:
            yield look(name, Grade.WARNING, f"waits: {row['waits']}", _NEXT_DAY)
        elif read is not None and to_us(now) - read > STALE // timedelta(microseconds=1):
            todo = "look at the daemon's log" if running else "start `leadup run`"
            yield look(name, Grade.WARNING, f"was read last at {instant(read)}", todo)
        else:
            yield look(name, Grade.OK, f"was read last at {instant(read) or 'no time yet'}")


def _inbox(app: App, now: datetime, *, running: bool) -> Iterator[Finding]:
    for name, backlog in app.backlog().items() if app.pushes else ():
        late = backlog.oldest is not None and now - backlog.oldest > WAITS
        text = f"{backlog.requests} requests wait to be read"
        if late and backlog.oldest is not None:
            todo = "look at the daemon's log" if running else "start `leadup run`"
            yield look(f"{name}: inbox", Grade.WARNING, f"{text}, since {backlog.oldest:%Y-%m-%d %H:%M:%S} UTC", todo)
        else:
            yield look(f"{name}: inbox", Grade.OK, text)


def _targets(found: list[TargetRow]) -> Iterator[Finding]:
    for target in found:
        if not target.active:
            continue
        if target.error:
            text, _, todo = target.error.partition("\n  What to do: ")
            yield look(target.target.key, Grade.PROBLEM, text, todo or "`leadup sync` tries again now")
        if target.guard:
            yield look(
                target.target.key, Grade.WARNING, f"held by its guard {target.guard}: {target.guard_text}",
                f"look at `leadup plan {target.target.name}`; "
                f"`leadup sync {target.target.key} --accept {target.guard}` sends it",
            )  # fmt: skip


# ---------------------------------------------------------------- connections


def connection_findings(app: App, configured: Configured, now: datetime) -> Iterator[Finding]:
    """Look at one connection by what its connector offers. What fails to be looked at is a finding."""
    name = configured.name
    try:
        if configured.connector.examine:
            for one in registry.load(configured.connector.examine)(_checkup(app, configured, now)):
                yield Finding(name=f"{name}: {one.name}", grade=one.grade, text=one.text, todo=one.todo)
            return
        for part in (app.destinations.get(name), app.sources.get(name)):
            if part is not None and hasattr(part, "check"):
                part.check()
    except Exception as error:  # noqa: BLE001 - a connector's mistake is a finding of its own
        yield of_error(f"{name}: check", error)
    else:
        yield look(f"{name}: check", Grade.OK, "it answers")


def _checkup(app: App, configured: Configured, now: datetime) -> Checkup:
    name = configured.name
    coming = _coming(app, name)
    try:
        with app.store.read() as connection:
            known = {t.target.key: t for t in all_targets(connection) if t.target.connection == name}
            active = {t.id for t in known.values() if t.active}
            batches = batches_taken(connection, active, to_us(now) - _DAY_US)
    except (LeadupError, CommandError, DatabaseError, OSError):  # the installation's own findings say so
        known, batches = {}, 0
    mine = [(t.target, t.remote_id) for key, t in known.items() if t.active or key in coming]
    new = [(target, None) for key, target in coming.items() if key not in known]
    return Checkup(connection=name, settings=configured.settings, now=now, targets=[*mine, *new], batches=batches)


def _coming(app: App, connection: str) -> dict[str, Target]:
    """What the rules on disk send there, by key: what they need is looked at before they are in use."""
    try:
        return {target.key: target for target in app.activations(app.rules) if target.connection == connection}
    except LeadupError:  # the installation's own findings say so
        return {}


def batches_taken(connection: Connection, targets: set[int], since_us: int) -> int:
    """Count the batches that a vendor has taken since an instant, by the ledger's handles.

    Costs what was written since then, not the whole ledger.
    """
    lines = (
        select(func.count(ledger.c.detail.distinct()))
        .where(ledger.c.id >= first_line(connection, since_us), ledger.c.what == "accepted")
        .where(ledger.c.target.in_(targets))
    )
    return connection.scalar(lines) or 0


def first_line(connection: Connection, since_us: int) -> int:
    """The id of the first ledger line written at an instant or later: ids grow as time does, so it is halved for."""
    low, high = 1, (connection.scalar(select(func.max(ledger.c.id))) or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            select(ledger.c.id, ledger.c.at_us).where(ledger.c.id >= middle).order_by(ledger.c.id).limit(1)
        ).one()
        low, high = (row.id + 1, high) if row.at_us < since_us else (low, middle)
    return low
