"""The process that the demo plays with, and kills: ``leadup run`` with a clock that jumps when it is told to.

One JSON object a line comes in, one goes out. ``{"at": INSTANT}`` sets the clock; with ``"turn": true`` the daemon's
jobs are done once, those that ask sources only with ``"pull": true``. The answer to that tells when to come again.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import select

from leadup.app import App
from leadup.clock import FrozenClock, parse_instant
from leadup.daemon import Daemon
from leadup.settings import load_settings
from leadup.state.tables import sources, targets


def main(settings: Path, at: datetime) -> None:
    """Serve until the standard input ends."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # what it says goes to standard output
    app, clock = App(load_settings(settings)), FrozenClock(at)
    daemon = Daemon(app, clock)
    with ExitStack() as door:
        url = daemon.open_door(door)
        app.go_live(app.rules, at)
        _say({"url": url})
        for line in sys.stdin:
            asked = json.loads(line)
            clock.set(parse_instant(asked["at"]))
            if asked.get("turn"):
                daemon.turn(pull=asked["pull"])
            _say(_answer(app) if asked.get("turn") else {})
    app.store.close()


def _answer(app: App) -> dict[str, Any]:
    due = [at.isoformat() for at in (app.pipeline.next_due(), app.pipeline.next_try()) if at is not None]
    with app.store.read() as connection:
        query = select(sources.c.connection, sources.c.error).where(sources.c.error.is_not(None))
        unread = {row.connection: row.error for row in connection.execute(query)}
        wrong = select(targets.c.connection, targets.c.name, targets.c.error).where(targets.c.error.is_not(None))
        troubles = [f"{vendor}/{name}: {error}" for vendor, name, error in connection.execute(wrong)]
    troubles += [f"{name}: {error}" for name, error in unread.items()]
    return {"due": min(due, default=None), "unread": bool(unread), "troubles": troubles}


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), parse_instant(sys.argv[2]))
