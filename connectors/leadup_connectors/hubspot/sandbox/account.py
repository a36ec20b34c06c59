"""What an account tells of itself (source: Account information API)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leadup_connectors.hubspot.sandbox.answers import stamp
from leadup_connectors.hubspot.sandbox.limits import Limits

COLLECTED = timedelta(minutes=5)
"""How long the usage of the day is told from a cache; that there is one is documented, how old it gets is not."""


class Account:
    """The account itself. ``kind``: STANDARD, SANDBOX, DEVELOPER_TEST or APP_DEVELOPER."""

    def __init__(self, portal_id: int, kind: str, limits: Limits) -> None:
        self.portal_id, self.kind = portal_id, kind
        self._limits = limits
        self._collected: tuple[datetime, int] | None = None

    def details(self, _request: Request, _body: Any) -> Response:
        offset = self._limits.local().utcoffset() or timedelta(0)
        minutes = abs(offset) // timedelta(minutes=1)
        sign = "-" if offset < timedelta(0) else "+"
        return JSONResponse(
            {
                "portalId": self.portal_id,
                "accountType": self.kind,
                "timeZone": self._limits.zone.key,
                "companyCurrency": "EUR",
                "additionalCurrencies": [],
                "utcOffset": f"{sign}{minutes // 60:02d}:{minutes % 60:02d}",
                "utcOffsetMilliseconds": offset // timedelta(milliseconds=1),
                "uiDomain": "app.hubspot.com",
                "dataHostingLocation": "na1",
            }
        )

    def usage(self, _request: Request, _body: Any) -> Response:
        """Answer the calls of today, as they were a while ago."""
        now = self._limits.local()
        cached = self._collected
        fresh = cached is None or now.date() != cached[0].date() or now - cached[0] >= COLLECTED
        if cached is None or fresh:
            cached = self._collected = (now, self._limits.used)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        told = {
            "name": "private-apps-api-calls-daily",
            "usageLimit": self._limits.daily,
            "currentUsage": cached[1],
            "collectedAt": stamp(cached[0]),
            "resetsAt": stamp(midnight),
            "fetchStatus": "SUCCESS" if fresh else "CACHED",
        }
        return JSONResponse({"results": [told]})
