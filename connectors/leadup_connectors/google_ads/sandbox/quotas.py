"""Quotas of the Data Manager API ("Limits and quotas"): writes and reads apart, a minute and a day."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from leadup_connectors.google_ads.sandbox.refusals import Refusal

MINUTE: Final = 60.0
DAY: Final = 86_400.0


class Quotas:
    """Counts requests by kind (``IngestionMutate``, ``IngestionRead``, ``Mutate``, ``Read``).

    ``per_minute`` and ``per_day`` hold for each kind alike and may be changed at any time; ``timer`` gives seconds.
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        self.per_minute = 300
        self.per_day = 100_000
        self._timer = timer
        self._spent: dict[str, deque[float]] = {}

    def spend(self, kind: str) -> None:
        """Count one request.

        Raises:
            Refusal: 429 with the name of the quota that is used up.
        """
        now, spent = self._timer(), self._spent.setdefault(kind, deque())
        while spent and now - spent[0] >= DAY:
            spent.popleft()
        last_minute = 0
        for at in reversed(spent):
            if now - at >= MINUTE:
                break
            last_minute += 1
        for unit, used, most in (("Minute", last_minute, self.per_minute), ("Day", len(spent), self.per_day)):
            if used >= most:
                quota = f"{kind}RequestsPer{unit}PerProject"
                raise Refusal(429, "RATE_LIMIT_EXCEEDED", quota_limit=quota, quota_limit_value=str(most))
        spent.append(now)
