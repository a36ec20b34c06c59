"""When the process is killed, and, with ``--faults``, when which vendor is in which trouble. Seeded."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from leadup.demo.visitors import BEGIN, END

KILLS: Final = 3
KILLS_IN_BAD_WEATHER: Final = 12
TROUBLED: Final = 0.15
"""Share of the turns in which a vendor gets into trouble."""
CALM: Final = timedelta(days=2)
"""At the end nothing happens any more: all must have come right."""
TROUBLES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("hubspot", {"kind": "rate_limit", "retry_after": 1, "times": 2}),
    ("hubspot", {"kind": "fail", "status": 502, "times": 3}),
    ("hubspot", {"kind": "lose_answer", "path": "memberships", "times": 1}),
    ("hubspot", {"kind": "lose_answer", "path": "batch/update", "times": 4}),
    ("hubspot", {"kind": "hang", "seconds": 0.2, "times": 2}),
    ("hubspot", {"kind": "expire_token", "times": 1}),
    ("google_ads", {"kind": "rate_limit", "times": 4}),
    ("google_ads", {"kind": "fail", "status": 503, "times": 3}),
    ("google_ads", {"kind": "lose_answer", "path": ":ingest", "times": 1}),
    ("google_ads", {"kind": "lose_answer", "path": ":remove", "times": 1}),
    ("google_ads", {"kind": "lose_answer", "path": "events:ingest", "times": 1}),
    ("google_ads", {"kind": "hang", "seconds": 0.2, "times": 1}),
    ("google_ads", {"kind": "late", "polls": 3, "times": 2}),
    ("ga4", {"kind": "rate_limit", "times": 6}),
    ("ga4", {"kind": "fail", "status": 500, "times": 5}),
    ("ga4", {"kind": "lose_answer", "path": "/data", "times": 5}),
    ("ga4", {"kind": "hang", "seconds": 0.2, "times": 5}),
    ("ga4", {"kind": "expire_token", "times": 1}),
)


class Weather:
    """What happens to the play from outside."""

    def __init__(self, seed: int, vendors: Mapping[str, Any], *, bad: bool) -> None:
        self._rng = random.Random(f"weather {seed}")  # noqa: S311 - invented trouble, no secrets
        self._vendors, self._bad = vendors, bad
        kills = KILLS_IN_BAD_WEATHER if bad else KILLS
        span = END - CALM - BEGIN
        self._kills = sorted(BEGIN + span * self._rng.random() for _ in range(kills))

    def turn(self, now: datetime) -> int:
        """Make the weather of a turn; return how many troubles are new."""
        if not self._bad:
            return 0
        for vendor in self._vendors.values():
            vendor.weather.clear()
        if now > END - CALM or self._rng.random() > TROUBLED:
            return 0
        name, fault = self._rng.choice(TROUBLES)
        self._vendors[name].weather.add(**fault)
        return 1

    def kill_after(self, now: datetime) -> int | None:
        """After how many requests of this turn the process is killed, if it has so many; None: not in this one."""
        return self._rng.randrange(1, 7) if self._kills and self._kills[0] <= now else None

    def killed(self) -> None:
        """Take note that it was."""
        self._kills.pop(0)

    def after(self, now: datetime) -> datetime:
        """When to go on, if the flow is due at once: in bad weather who was put off is tried a little later."""
        return now + timedelta(minutes=1) if self._bad else now
