"""A whole installation for tests: a folder with settings, rules and events, both emulators, a frozen clock, the CLI."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from starlette.types import ASGIApp, Receive, Scope, Send

from leadup.app import App
from leadup.cli import main
from leadup.clock import FrozenClock, parse_instant
from leadup.passes import Synced
from leadup.registry import find, load
from leadup.sandbox import Sandbox, Server
from leadup.settings import load_settings

GRANTED = {"ad_user_data": "granted", "ad_personalization": "granted"}
SETTINGS = """\
rules = "rules"

[daemon]
pull_every = 0.3
watch_rules_every = 0.3
tick_at_most_every = 0.2

[connections.site]
type = "files"
path = "events/*"

[connections.hubspot]

[connections.google_ads]
operating_account = "1234567890"
terms_accepted = true
conversion_actions = {demo = "7001", won = "7002"}
"""
WATCHED = """\
version: 1
micro_conversions:
  video: {event: video_progress}
macro_conversions:
  requested: {event: generate_lead, value: 288 EUR}
segments:
  watched: {when: {did: video, within: 30d}, activate: [google_ads]}
conversions:
  demo: {on: requested, activate: [google_ads]}
"""
"""Rules that send an audience and a conversion to Google."""


class Installation:
    """Settings, rules and event files in a folder, and the vendors they talk to."""

    def __init__(self, folder: Path, hubspot: Server, google: Server, settings: str = SETTINGS) -> None:
        self.folder = folder
        self.hubspot: Any = hubspot.sandbox
        self.google: Any = google.sandbox
        self.environment = {
            "LEADUP_HUBSPOT_ACCESS_TOKEN": "pat-test",
            "LEADUP_HUBSPOT_BASE_URL": hubspot.url,
            "LEADUP_GOOGLE_ADS_BASE_URL": google.url,
        }
        (folder / "rules").mkdir(parents=True, exist_ok=True)
        (folder / "events").mkdir(exist_ok=True)
        (folder / "leadup.toml").write_text(settings, encoding="utf-8")
        self.google.seed({"actions": {"7001": "UPLOAD_CLICKS", "7002": "UPLOAD_CLICKS"}})

    def rules(self, text: str, name: str = "rules.yaml") -> None:
        """Write a rule file."""
        draft = self.folder / "rules" / f".{name}.part"
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.folder / "rules" / name)

    def drop(self, records: Iterable[Mapping[str, Any]], name: str = "events.jsonl") -> Path:
        """Drop a file of leadup JSONL into the watched folder, whole."""
        path = self.folder / "events" / name
        draft = path.with_name(f".{name}")
        draft.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        draft.replace(path)
        return path

    def app(self) -> App:
        """Open the installation anew, as a process that starts does."""
        os.environ.update(self.environment)
        try:
            return App(load_settings(self.folder / "leadup.toml"))
        finally:
            for name in self.environment:
                del os.environ[name]

    def sync(self, at: datetime | str, **how: Any) -> Synced:
        """One pass in this process, at an instant; a new :class:`App` each time."""
        app = self.app()
        try:
            return app.sync(parse_instant(at) if isinstance(at, str) else at, **how)
        finally:
            app.store.close()

    def settle(self, at: datetime | str) -> None:
        """Let Google work off what it took, and hear of it."""
        self.google.settle()
        app = self.app()
        try:
            app.poll(parse_instant(at) if isinstance(at, str) else at, force=True)
        finally:
            app.store.close()

    def cli(self, *arguments: str, now: str | None = None) -> Result:
        """Run a command in this process, which spares the start of one; not for `run`, which takes over signals."""
        environment = {**self.environment, "LEADUP_NOW": now, "LEADUP_CONFIG": str(self.folder / "leadup.toml")}
        return CliRunner().invoke(main, arguments, env=environment)

    def status(self) -> dict[str, Any]:
        """What ``leadup status --json`` says."""
        answer: dict[str, Any] = json.loads(self.cli("status", "--json").stdout)
        return answer

    def command(self, *arguments: str, now: str | None = None) -> list[str]:
        """The command line that runs ``leadup`` with these arguments."""
        return [sys.executable, "-m", "leadup", *arguments]

    def env(self, now: str | None = None) -> dict[str, str]:
        """The environment for :meth:`command`; ``now`` freezes its clock."""
        return {**os.environ, **self.environment, **({"LEADUP_NOW": now} if now else {})}

    def run(self, *arguments: str, now: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.env(now), capture_output=True, text=True, timeout=120
        )

    @contextmanager
    def running(self, *arguments: str, now: str | None = None) -> Iterator[Running]:
        """A command in a process of its own; it is killed at the end if it still runs."""
        path = self.folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
        with path.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                self.command(*arguments), cwd=self.folder, env=self.env(now), stdout=log, stderr=subprocess.STDOUT
            )
        try:
            yield Running(process, path)
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def daemon(self, *options: str) -> Iterator[Running]:
        """``leadup run``, once it runs."""
        with self.running("run", *options) as process:
            process.wait_for(lambda: "event=running" in process.said(), "the daemon runs")
            yield process


class Running:
    """A process, and what it said."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def said(self) -> str:
        """All that it wrote to standard output and standard error."""
        return self._log.read_text(encoding="utf-8")

    def wait_for(self, condition: Callable[[], object], what: str) -> float:
        """Poll until a condition holds while the process lives; return the seconds that took."""

        def holds() -> object:
            lives = self.process.poll() is None
            met = condition()
            assert met or lives, f"it ended with {self.process.returncode} before {what}:\n{self.said()}"
            return met

        return wait_for(holds, what)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; return the exit code and the seconds until it ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        return code, time.monotonic() - began


class Stage(Server):
    """One server on which one emulator after another plays: to start and stop a server takes longer than most tests."""

    def __init__(self, connector: str) -> None:
        self._understudy = _Understudy()
        super().__init__(self._understudy)
        self._make = load(find(connector).sandbox)

    def play(self) -> Stage:
        """Put on a new, empty account."""
        self.sandbox.close()
        self.sandbox = self._make()
        self._understudy.playing = self.sandbox.app()
        return self


class _Understudy(Sandbox):
    """Passes every request on to the emulator that plays."""

    name = "stage"
    playing: ASGIApp

    def app(self) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self.playing(scope, receive, send)

        return app


@contextmanager
def installed(folder: Path, settings: str = SETTINGS) -> Iterator[Installation]:
    """An installation with both emulators on loopback."""
    hubspot = load(find("hubspot").sandbox)()
    google = load(find("google_ads").sandbox)()
    with Server(hubspot) as one, Server(google) as other:
        yield Installation(folder, one, other, settings)


def event(
    key: str, name: str, at: str, *, properties: Mapping[str, Any] | None = None, consent: Any = GRANTED, **who: str
) -> dict[str, Any]:
    """A record of leadup JSONL: ``event("e1", "page_view", "2026-03-01T12:00:00Z", user_id="u1")``."""
    return {
        "id": key,
        "name": name,
        "at": at,
        "identifiers": who,
        "properties": dict(properties or {}),
        "consent": dict(consent),
    }


def wait_for(condition: Callable[[], object], what: str, *, seconds: float = 120.0) -> float:
    """Poll until a condition holds; return the seconds that took. The limit only tells a hang from a slow machine."""
    began = asked = time.monotonic()
    while not condition():
        now = time.monotonic()
        if now - began > seconds:
            raise AssertionError(f"after {seconds:.0f} s still not: {what}")
        time.sleep(max(0.02, now - asked))  # looking must not keep others from working
        asked = time.monotonic()
    return time.monotonic() - began


__all__ = ["GRANTED", "SETTINGS", "WATCHED", "FrozenClock", "Installation", "event", "installed", "wait_for"]
