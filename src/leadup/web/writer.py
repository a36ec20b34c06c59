"""Writes requests into the inbox: those that come while one commit is under way share the next."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final

import structlog

from leadup.clock import Clock
from leadup.inbox import Inbox, Sent

log = structlog.get_logger("leadup.web")

BATCH: Final = 500
"""Requests in one commit."""
LOOK_EVERY: Final = 1.0
"""Seconds."""


class Writer:
    """A thread with the inbox open."""

    def __init__(self, inbox: Inbox, clock: Clock, limit: int, arrived: Callable[[], None]) -> None:
        """``limit``: bytes that the inbox may hold. ``arrived`` is called after each commit."""
        self._inbox = inbox
        self._clock = clock
        self._limit = limit
        self._arrived = arrived
        self._held = inbox.size()
        self._look_again = 0.0
        self._waiting: SimpleQueue[tuple[Sent, Future[None]] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    def is_full(self) -> bool:
        """Whether the inbox holds all it may. Looks at it when it seems so, which takes time: once a second at most."""
        if self._held >= self._limit and time.monotonic() >= self._look_again:
            self._held = self._inbox.size()
            self._look_again = time.monotonic() + LOOK_EVERY
        return self._held >= self._limit

    @property
    def lives(self) -> bool:
        """Whether it can still write."""
        return self._thread.is_alive()

    def put(self, sent: Sent) -> Future[None]:
        """Hand a request in; the future is done once it is on disk.

        It ends in ``sqlite3.Error`` when it can not be written (a full disk).
        """
        done: Future[None] = Future()
        self._waiting.put((sent, done))
        return done

    def close(self) -> None:
        """Write what is there, and end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        with closing(self._inbox.open()) as connection:
            while batch := self._next():
                self._write(connection, batch)

    def _next(self) -> list[tuple[Sent, Future[None]]]:
        """Wait for requests; none: it is time to end."""
        batch = []
        one = self._waiting.get()
        while one is not None:
            if one[1].set_running_or_notify_cancel():
                batch.append(one)
            if len(batch) == BATCH:
                return batch
            try:
                one = self._waiting.get_nowait()
            except Empty:
                return batch
        if batch:
            self._waiting.put(None)  # the end, which comes after these
        return batch

    def _write(self, connection: sqlite3.Connection, batch: list[tuple[Sent, Future[None]]]) -> None:
        try:
            self._held += self._inbox.put(connection, [sent for sent, _ in batch], self._clock)
        except sqlite3.Error as error:
            log.error("inbox can not be written", error=str(error))
            for _, done in batch:
                done.set_exception(error)
            return
        self._arrived()
        for _, done in batch:
            done.set_result(None)
