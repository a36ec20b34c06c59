"""The daemon's process as the demo handles it: started, told what time it is, killed at the worst moment."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Any, Self

from leadup.errors import LeadupError


class Process:
    """``leadup.demo.actor`` in a process of its own."""

    def __init__(self, settings: Path, vendors: Sequence[Any]) -> None:
        """``vendors``: the emulators, by whose requests one sees how far the process has come."""
        self._settings, self._vendors = settings, vendors
        self._log = settings.with_name("daemon.log")
        self._child: subprocess.Popen[str] | None = None
        self.url = ""
        """Where the collector listens."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, at: datetime) -> None:
        """Start it, as a service manager does after a crash."""
        self.kill()
        with self._log.open("a", encoding="utf-8") as log:
            self._child = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
                [sys.executable, "-m", "leadup.demo.actor", str(self._settings), at.isoformat()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.url = self._answer()["url"]

    def set_clock(self, at: datetime) -> None:
        """Tell it what time it is."""
        self._ask({"at": at.isoformat()})
        self._answer()

    def turn(self, at: datetime, *, pull: bool, kill_after: int | None = None) -> dict[str, Any] | None:
        """Have the jobs done once; return its answer.

        ``kill_after``: kill it as soon as vendors have had so many requests of this turn; then None, if it was alive.
        """
        before = self.requests()
        self._ask({"at": at.isoformat(), "turn": True, "pull": pull})
        if kill_after is None:
            return self._answer()
        answers: list[dict[str, Any]] = []
        waiting = Thread(target=lambda: answers.append(self._answer(may_die=True)), daemon=True)
        waiting.start()
        while waiting.is_alive() and self.requests() - before < kill_after:
            time.sleep(0.0005)
        killed = waiting.is_alive()
        if killed:
            self.kill()
        waiting.join()
        return None if killed else answers[0] or None  # an answer may have come at the very end

    def requests(self) -> int:
        """How many requests the vendors have had."""
        return sum(len(vendor.weather.log) for vendor in self._vendors)

    def kill(self) -> None:
        """Kill -9: it has no chance to put anything away."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _ask(self, question: dict[str, Any]) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(question) + "\n")
        self._child.stdin.flush()

    def _answer(self, *, may_die: bool = False) -> dict[str, Any]:
        assert self._child is not None
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line.endswith("\n"):
            if may_die:
                return {}
            end = self._log.read_text(encoding="utf-8", errors="replace")[-2_000:]
            raise LeadupError(f"The daemon of the demo ended by itself. The end of its log:\n{end}")
        answer: dict[str, Any] = json.loads(line)
        return answer
