"""Runs one pass of the flow and dies on the way. Started by ``test_crash.py``; not a test by itself.

It reads one JSON object a line: ``folder`` and ``environment`` of the installation, ``at``, and ``die_at``: the number
of the point to die at, 0 for none. Each pass is run by a child that this process forks once everything is imported,
since to start a Python with both SDKs takes longer than the pass. It answers with the child's exit code and, if it came
to the end, the points it came by.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from leadup.app import App
from leadup.clock import parse_instant
from leadup.pipeline import Pipeline
from leadup.settings import load_settings
from leadup.state import Store
from leadup_connectors.google_ads.destination import GoogleAdsDestination
from leadup_connectors.hubspot.destination import HubSpotDestination

DEAD = 9


class Points:
    """Counts the points that this process comes by, and ends it at one of them as ``kill -9`` would."""

    def __init__(self, die_at: int) -> None:
        self.passed: list[str] = []
        self._die_at = die_at

    def __call__(self, name: str) -> None:
        self.passed.append(name)
        if len(self.passed) == self._die_at:
            os._exit(DEAD)


def lay(point: Points) -> None:
    """Lay points around every commit that changes something, every page, and every call that acts at a vendor."""
    write, take = Store.write, Pipeline.take

    @contextmanager
    def watched_write(store: Store) -> Iterator[Any]:
        caller = sys._getframe(2).f_code.co_name
        with write(store) as connection:
            raw = connection.connection.driver_connection
            before = raw.total_changes  # type: ignore[union-attr]
            yield connection
            changed = raw.total_changes != before  # type: ignore[union-attr]
            if changed and caller in ("migrate", "take", "tick"):
                point(f"in the transaction of {caller}")
        if changed:
            point(f"after the commit of {caller}")

    def watched_take(*arguments: Any) -> Any:
        point("a page is read and not taken")
        return take(*arguments)

    Store.write = watched_write  # type: ignore[method-assign]
    Pipeline.take = watched_take  # type: ignore[method-assign]
    for kind, names in (
        (HubSpotDestination, ("prepare", "deliver")),
        (GoogleAdsDestination, ("prepare", "deliver", "poll")),
    ):
        for name in names:
            setattr(kind, name, around(point, f"{kind.__name__}.{name}", getattr(kind, name)))


def around(point: Points, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def watched(*arguments: Any) -> Any:
        answer = call(*arguments)
        if getattr(answer, "created", True):  # to find what is there changes nothing
            point(f"after {name}")
        return answer

    return watched


def run(folder: Path, at: str) -> None:
    """One pass; after an error another one, once the vendor's time is over."""
    app, now = App(load_settings(folder / "leadup.toml")), parse_instant(at)
    while app.sync(now).errors:
        now += timedelta(minutes=2)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what is logged is no answer
    warm: Any = None
    for line in sys.stdin:
        asked = json.loads(line)
        os.environ.update(asked["environment"])
        if not warm:
            # HubSpot's SDK imports its parts when they are looked at; children need not do that each time.
            warm = App(load_settings(Path(asked["folder"]) / "leadup.toml")).destinations
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            point = Points(asked["die_at"])
            lay(point)
            run(Path(asked["folder"]), asked["at"])
            os.write(writing, json.dumps(point.passed).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            passed = pipe.read()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        answers.write(json.dumps({"code": code, "passed": json.loads(passed or "[]")}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
