"""Keeps below HubSpot's burst limit."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

LEAST_PAUSE = 0.01


class Burst:
    """Waits where one call more would meet the burst limit that HubSpot's headers tell, so that 429 stays rare.

    The limit is rolling and counts the calls of one app, some of which other processes may make (source: API usage
    guidelines). Until the first answer nothing is known and nothing waits. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self.interval = timedelta(seconds=10)
        self._room: int | None = None
        """Calls of this process that fit into one window."""
        self._under_way = 0
        self._answered: deque[float] = deque()
        """When calls were answered: later than HubSpot counted them, which is the safe side."""
        self._lock = threading.Lock()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Wait for room, then hold it while the call lasts and one interval longer."""
        while pause := self._take():
            time.sleep(pause)
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                self._answered.append(time.monotonic())

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take note of an answer's headers, inside :meth:`call`. Some endpoints send none."""
        most = integer(headers.get("X-HubSpot-RateLimit-Max"))
        left = integer(headers.get("X-HubSpot-RateLimit-Remaining"))
        window = integer(headers.get("X-HubSpot-RateLimit-Interval-Milliseconds"))
        with self._lock:
            if window:
                self.interval = timedelta(milliseconds=window)
            if most and left is not None:
                self._forget()
                by_others = max(0, most - left - self._under_way - len(self._answered))
                self._room = max(1, most - by_others)

    def _take(self) -> float:
        """Take room for a call and return 0, or return the seconds to wait."""
        with self._lock:
            now = self._forget()
            if self._room is None or self._under_way + len(self._answered) < self._room:
                self._under_way += 1
                return 0
            if not self._answered:
                return LEAST_PAUSE
            return max(LEAST_PAUSE, self._answered[0] + self.interval.total_seconds() - now)

    def _forget(self) -> float:
        now = time.monotonic()
        while self._answered and self._answered[0] <= now - self.interval.total_seconds():
            self._answered.popleft()
        return now


def integer(text: str | None) -> int | None:
    """Return a header's whole number, None where there is none."""
    return int(text) if text and text.isdecimal() else None
