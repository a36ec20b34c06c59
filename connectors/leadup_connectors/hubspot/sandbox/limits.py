"""What an account may ask: token, scopes, and calls per second, 10 seconds and day (source: Usage guidelines)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import date, datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from leadup_connectors.hubspot.sandbox.answers import Now, Problem, limit_reached, missing_scope

TIERS = {
    "free": (100, 250_000),
    "starter": (100, 250_000),
    "professional": (190, 650_000),
    "enterprise": (190, 1_000_000),
}
"""Calls per ten seconds and app, and per day and account, of each tier of account."""
AMPLE = (100_000, 1_000_000)
"""More calls than any tier has, for demos."""
SEARCHES = 5
"""Searches per second and account."""
LONGEST_URL = 8192
"""Characters of path and query; HubSpot answers 414 beyond, but does not say where that begins."""


class Limits:
    """Counts calls. The short windows go by ``seconds``, the day by the account's clock."""

    def __init__(self, now: Now, burst: int, interval: float, daily: int, zone: str) -> None:
        self.burst, self.interval, self.daily, self.used = burst, interval, daily, 0
        self.zone = ZoneInfo(zone)
        """Of the account, whose midnight ends the day."""
        self.searches = SEARCHES
        self.seconds: Callable[[], float] = time.monotonic
        """The machine's clock; a test may have it stand still."""
        self.tells_day = True
        """Whether answers tell of the day; those to apps with OAuth do not."""
        self._now = now
        self._day = self._today()
        self._calls: deque[float] = deque()
        self._searched: deque[float] = deque()

    @property
    def left(self) -> int:
        """Calls that the day still has."""
        return max(0, self.daily - self.used)

    def take(self, *, search: bool) -> None:
        """Count a call, or refuse it."""
        self.new_day()
        if not self.left:
            raise limit_reached("DAILY")
        now = self.seconds()
        if len(_within(self._calls, now - self.interval)) >= self.burst:
            raise limit_reached("TEN_SECONDLY_ROLLING")
        if search and len(_within(self._searched, now - 1)) >= self.searches:
            raise limit_reached("SECONDLY")
        self._calls.append(now)
        if search:
            self._searched.append(now)
        self.used += 1

    def new_day(self) -> None:
        """Start to count anew after midnight in the account's time zone."""
        today = self._today()
        if today != self._day:
            self._day, self.used = today, 0

    def tell(self, answer: Response) -> Response:
        """Put the limits into an answer's headers."""
        headers = {
            "Max": self.burst,
            "Remaining": max(0, self.burst - len(self._calls)),
            "Interval-Milliseconds": int(self.interval * 1000),
        } | ({"Daily": self.daily, "Daily-Remaining": self.left} if self.tells_day else {})
        for name, value in headers.items():
            answer.headers[f"X-HubSpot-RateLimit-{name}"] = str(value)
        return answer

    def local(self) -> datetime:
        """Return the present instant in the account's time zone."""
        return self._now().astimezone(self.zone)

    def _today(self) -> date:
        return self.local().date()


def check_length(request: Request) -> None:
    """Refuse a call whose path and query are too long."""
    if len(request.url.path) + len(request.url.query) > LONGEST_URL:
        raise Problem(414, "", "URI Too Long")


def check_token(request: Request, token: str) -> None:
    """Refuse a call without the token; "" lets any token in."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind != "Bearer" or not given or token not in ("", given):
        raise Problem(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")


def check_scopes(needed: Iterable[str], granted: Iterable[str]) -> None:
    """Refuse a call that lacks a scope; ``a|b`` needs one of the two."""
    for scope in needed:
        if not {*scope.split("|")} & {*granted}:
            raise missing_scope(*scope.split("|"))


def _within(calls: deque[float], since: float) -> deque[float]:
    while calls and calls[0] <= since:
        calls.popleft()
    return calls
