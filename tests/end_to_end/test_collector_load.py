"""``kill -9`` under load: whatever the daemon acknowledged is in the event log, once.

Senders send at a fixed rate, whether they are answered or not, and try again what was not acknowledged. Rates and times
are shown by ``pytest -rP``; they decide nothing.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collecting import SECRET
from installation import Installation, event, installed, wait_for

SETTINGS = """\
[web]
listen = "127.0.0.1:{port}"

[connections.push]
type = "collector"
"""
RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
segments:
  seen: {when: {did: video, at_least: 2, within: 30d}}
"""
RATE = 300
"""Requests per second."""
PEOPLE = 1000
AGAIN = 0.5
"""Seconds until a sender tries again what was not acknowledged."""


class Senders:
    """They send events numbered from 0; each comes with an id, or with its own time and no id."""

    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        self.total = int(RATE * seconds)
        self.acknowledged: set[int] = set()
        self.waited: list[tuple[int, float]] = []
        """Tries, and seconds from the moment a request was due to its answer; in the order of the answers."""
        self.took = 0.0
        self.strike: Callable[[], None] = lambda: None
        """Called at the very moment when half of the events are acknowledged."""
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="senders")

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def join(self) -> None:
        """Wait until each event was acknowledged."""
        self._thread.join(300)
        assert not self._thread.is_alive(), f"{len(self.acknowledged)} of {self.total} were acknowledged"

    async def _run(self) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for n in range(self.total):
                due = began + n / RATE
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                tasks.create_task(self._send(n, due))
        self.took = time.monotonic() - began
        for _, writer in self._idle:
            writer.close()

    async def _send(self, n: int, due: float) -> None:
        body = json.dumps(_record(n)).encode()
        head = f"POST /collect/push HTTP/1.1\r\nHost: x\r\nX-Webhook-Secret: {SECRET}\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        tries = 0
        while True:
            tries += 1
            try:
                status = await asyncio.wait_for(self._ask(head.encode() + body), 30)
            except (OSError, EOFError, TimeoutError):
                status = 0
            if status == 204:
                break
            assert status in (0, 429, 503), f"answered {status}"
            await asyncio.sleep(AGAIN)
        self.waited.append((tries, time.monotonic() - due))
        self.acknowledged.add(n)
        if len(self.acknowledged) == self.total // 2:
            self.strike()

    async def _ask(self, request: bytes) -> int:
        """Send over a line that is open, or a new one; return the status of the answer."""
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(request)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = head.partition("content-length: ")[2].partition("\r")[0]
            await reader.readexactly(int(length or 0))
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return int(head.split(" ", 2)[1])


AT = datetime.now(UTC).isoformat()


def _record(n: int) -> dict[str, object]:
    record: dict[str, object] = event(
        f"e{n}", "video_progress", AT, properties={"n": n}, email=f"p{n % PEOPLE}@example.com"
    )
    if n % 10 == 0:
        del record["id"]
    return record


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def site(tmp_path: Path, port: int) -> Iterator[Installation]:
    with installed(tmp_path, SETTINGS.format(port=port)) as installation:
        installation.rules(RULES)
        installation.environment |= {"LEADUP_PUSH_SECRET": SECRET}
        yield installation


@pytest.mark.parametrize("seconds", [3.0, pytest.param(30.0, marks=pytest.mark.slow)])
def test_what_was_acknowledged_is_in_the_log_once_though_the_daemon_was_killed(
    site: Installation, port: int, seconds: float
) -> None:
    senders = Senders(port, seconds)
    with site.daemon() as first:
        senders.strike = first.process.kill
        senders.start()
        assert first.process.wait(60) == -signal.SIGKILL
        before = len(senders.acknowledged)
    with site.daemon() as second:
        senders.join()
        assert senders.acknowledged == set(range(senders.total))
        wait_for(lambda: [one["waiting"] for one in site.status()["inbox"]] == [0], "all of it is read")
        logged = ids(site)
        assert second.end()[0] == 0
        assert "job failed" not in second.said()
    assert len(logged) == len(set(logged)) == senders.total
    assert {f"e{n}" for n in range(senders.total) if n % 10} < set(logged)
    (source,) = site.status()["sources"]
    assert (source["events"], source["rejected"], source["error"]) == (senders.total, 0, None)
    report(senders, before)


def ids(site: Installation) -> list[str]:
    app = site.app()
    with app.store.read() as connection:
        found = [key for batch in app.log.read(connection) for key in batch["id"].to_pylist()]
    app.store.close()
    return found


def report(senders: Senders, before: int) -> None:
    quiet = sorted(seconds for _, seconds in senders.waited[:before])
    again = [tries for tries, _ in senders.waited if tries > 1]
    sys.stdout.write(
        f"{senders.total} events in {senders.took:.1f} s: {senders.total / senders.took:.0f}/s of {RATE}/s asked for; "
        f"up to the kill after {before}, answers took {quiet[before // 2] * 1000:.0f} ms (p50) and "
        f"{quiet[before * 99 // 100] * 1000:.0f} ms (p99); {len(again)} needed {sum(again)} tries; "
        f"the slowest was answered after {max(seconds for _, seconds in senders.waited):.1f} s\n"
    )
