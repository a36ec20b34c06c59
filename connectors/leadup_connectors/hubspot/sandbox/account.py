"""What an account tells of itself (source: Account information API)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leadup_connectors.hubspot.sandbox.limits import Limits


class Account:
    """The account itself."""

    def __init__(self, portal_id: int, limits: Limits) -> None:
        self.portal_id = portal_id
        self._limits = limits

    def details(self, _request: Request, _body: Any) -> Response:
        offset = self._limits.utc_offset
        sign, minutes = ("-" if offset < timedelta(0) else "+"), abs(offset) // timedelta(minutes=1)
        return JSONResponse(
            {
                "portalId": self.portal_id,
                "accountType": "STANDARD",
                "timeZone": "UTC" if not minutes else f"Etc/GMT{'+' if sign == '-' else '-'}{minutes // 60}",
                "companyCurrency": "EUR",
                "additionalCurrencies": [],
                "utcOffset": f"{sign}{minutes // 60:02d}:{minutes % 60:02d}",
                "utcOffsetMilliseconds": offset // timedelta(milliseconds=1),
                "uiDomain": "app.hubspot.com",
                "dataHostingLocation": "na1",
            }
        )
