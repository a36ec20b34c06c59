"""Keeps below HubSpot's limits: calls in ten seconds, searches in a second, calls in a day.

Source: page "API usage guidelines and limits". What HubSpot's answers tell counts, since other processes and other apps
use up the same limits.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta, tzinfo
from typing import Final
from weakref import WeakValueDictionary

from leadup.errors import BudgetSpent
from leadup.outgoing import Budget

INTERVAL: Final = timedelta(seconds=10)
"""The burst limit's window, until an answer tells another one."""
SEARCHES: Final = 5
"""Searches in a second, by account (source: CRM search). Their answers tell no limits."""
SECOND: Final = timedelta(seconds=1)
LEAST_PAUSE: Final = 0.01

_MAX = "X-HubSpot-RateLimit-Max"
_REMAINING = "X-HubSpot-RateLimit-Remaining"
_INTERVAL = "X-HubSpot-RateLimit-Interval-Milliseconds"
_DAILY = "X-HubSpot-RateLimit-Daily"
_DAILY_REMAINING = "X-HubSpot-RateLimit-Daily-Remaining"
_lock: Final = threading.Lock()
"""One for all limits: those of one account share a window. It is never held for long."""


@dataclass(slots=True, weakref_slot=True)
class _Window:
    """A rolling limit. Whoever uses it holds the lock."""

    interval: timedelta
    room: int | None
    """Calls of this process that fit into one window; None: not known yet, and nothing waits."""
    under_way: int = 0
    answered: deque[float] = field(default_factory=deque)
    """When calls were answered: later than HubSpot counted them, which is the safe side."""

    @property
    def taken(self) -> int:
        return self.under_way + len(self.answered)

    def pause(self, now: float) -> float:
        """Seconds until one call more may fit; 0: it does."""
        self.forget(now)
        if self.room is None or self.taken < self.room:
            return 0
        if not self.answered:
            return LEAST_PAUSE
        return max(LEAST_PAUSE, self.answered[0] + self.interval.total_seconds() - now)

    def forget(self, now: float) -> None:
        while self.answered and self.answered[0] <= now - self.interval.total_seconds():
            self.answered.popleft()

    def end(self, now: float) -> None:
        self.under_way -= 1
        self.answered.append(now)

    def take_in(self, other: _Window) -> None:
        """Count what was answered in another window of the same limit, and keep to the smaller room."""
        self.answered = deque(sorted([*self.answered, *other.answered]))
        self.room = min((room for room in (self.room, other.room) if room is not None), default=None)


class Limits:
    """The limits of one account and token. Safe to use from several threads.

    The burst limit is by app, the search limit and the day by account; the day ends at midnight in the account's zone.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        *,
        place: str = "",
    ) -> None:
        """``clock``: seconds that only grow. ``sleep``: waits so many of them. ``place``: where the API answers."""
        self.zone: tzinfo | None = None
        """The account's, once it is known."""
        self._clock, self._sleep = clock, sleep
        self._burst, self._searches = _Window(INTERVAL, None), _Window(SECOND, SEARCHES)
        self._place, self._account = place, ""
        self._most: int | None = None
        self._daily: int | None = None
        self._left: int | None = None
        self._told = 0
        self._told_at = 0.0
        self._opens = 0.0
        """When the account takes calls again, once its day is used up."""

    @property
    def interval(self) -> timedelta:
        """The burst limit's window."""
        return self._burst.interval

    @property
    def burst(self) -> int | None:
        """Calls in one window, by HubSpot's word: all that the app may make; None: it has not told."""
        return self._most

    def searches(self, most: int) -> None:
        """Make so many searches in a second, of those that the account may make with all its apps."""
        with _lock:
            self._searches.room = most

    def belongs_to(self, account: str, zone: tzinfo) -> None:
        """Note whose limits these are, and whose midnight ends their day.

        From then on searches are counted together with those of the account's other tokens.
        """
        with _lock:
            self._account, self.zone = account, zone
            own, self._searches = self._searches, SEARCHING.setdefault(f"{self._place} {account}", self._searches)
            if self._searches is not own:
                self._searches.take_in(own)

    @contextmanager
    def call(self, *, search: bool = False) -> Iterator[None]:
        """Wait until one call more meets no limit, then hold its room while it lasts and one window longer.

        Raises:
            BudgetSpent: the account takes no more calls today.
        """
        windows = [self._burst, self._searches] if search else [self._burst]
        while pause := self._take(windows):
            self._sleep(pause)
        try:
            yield
        finally:
            with _lock:
                now = self._clock()
                for window in windows:
                    window.end(now)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take note of an answer's headers, inside :meth:`call`. A search's answer has none, and counts all the same.

        OAuth apps are not told of the day.
        """
        most, left, window = (integer(headers.get(name)) for name in (_MAX, _REMAINING, _INTERVAL))
        left_today = integer(headers.get(_DAILY_REMAINING))
        with _lock:
            if window:
                self._burst.interval = timedelta(milliseconds=window)
            self._most = most or self._most
            if most and left is not None:
                self._burst.forget(self._clock())
                by_others = max(0, most - left - self._burst.taken)
                self._burst.room = max(1, most - by_others)
            if left_today is not None:
                self._daily = integer(headers.get(_DAILY))
                self._tell(left_today)
            elif self._left is not None:
                self._left, self._told = max(0, self._left - 1), self._told + 1  # it is as old as the word before

    def spent(self, wait: timedelta) -> None:
        """Make no call for so long: HubSpot has said that the account's day is used up."""
        with _lock:
            self._tell(0)
            self._opens = self._clock() + wait.total_seconds()

    def budget(self) -> Budget | None:
        """What is left of the account's day; None: no answer has told it, or it is not known whose day that is."""
        with _lock:
            if self._left is None or self.zone is None:
                return None
            age = timedelta(seconds=self._clock() - self._told_at)
            return Budget(
                account=self._account, limit=self._daily, left=self._left, zone=self.zone, told=self._told, age=age
            )

    def _tell(self, left: int) -> None:
        self._left, self._told, self._told_at = left, self._told + 1, self._clock()

    def _take(self, windows: Sequence[_Window]) -> float:
        """Take room for a call and return 0, or return the seconds to wait."""
        with _lock:
            now = self._clock()
            if now < self._opens:
                raise BudgetSpent(
                    "HubSpot takes no more calls from this account today: those of its day are used up.",
                    retry_after=timedelta(seconds=self._opens - now),
                )
            if pause := max(window.pause(now) for window in windows):
                return pause
            for window in windows:
                window.under_way += 1
            return 0


SHARED: Final[WeakValueDictionary[str, Limits]] = WeakValueDictionary()
"""By account and token, as a digest: what this process uses now."""
SEARCHING: Final[WeakValueDictionary[str, _Window]] = WeakValueDictionary()
"""By account: the searches of its tokens."""


def limits(base_url: str, token: str) -> Limits:
    """Return the limits that all who work with this token share, as long as one of them does."""
    key = hashlib.sha256(f"{base_url}\n{token}".encode()).hexdigest()
    with _lock:
        found = SHARED.get(key)
        if found is None:
            found = SHARED[key] = Limits(place=base_url)
        return found


def integer(text: str | None) -> int | None:
    """Return a header's whole number, None where there is none."""
    return int(text) if text and text.isdecimal() else None
