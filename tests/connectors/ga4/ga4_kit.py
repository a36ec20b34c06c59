"""Rows as GA4 exports them, and a property with its emulator."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from leadup.sandbox import Server, Weather
from leadup.types import to_us
from leadup_connectors.ga4.sandbox import GA4Sandbox
from leadup_connectors.ga4.settings import GA4Settings
from leadup_connectors.ga4.source import GA4Source

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS = ("20260226", "20260227", "20260228")


def params(**given: object) -> list[dict[str, Any]]:
    """Parameters as a row has them."""
    slots = {str: "string_value", int: "int_value", float: "double_value"}
    return [{"key": key, "value": {slots[type(value)]: value}} for key, value in given.items()]


def row(number: int, name: str = "page_view", *, at: datetime | None = None, **columns: Any) -> dict[str, Any]:
    """A row of visitor ``number``."""
    when = at or datetime(2026, 2, 26, tzinfo=UTC) + timedelta(minutes=number)
    return {
        "event_date": f"{when:%Y%m%d}",
        "event_timestamp": to_us(when),
        "event_name": name,
        "event_params": params(page_location=f"https://shop.test/pricing?n={number}", ga_session_id=17),
        "event_bundle_sequence_id": number,
        "user_pseudo_id": f"1234567890.{1_700_000_000 + number}",
        "stream_id": "99",
        "platform": "WEB",
        **columns,
    }


class Property:
    """A property that is exported to an emulator; new events go to each day in turn."""

    def __init__(self, server: Server) -> None:
        self.server, self.sandbox = server, cast("GA4Sandbox", server.sandbox)
        self.rows: dict[str, list[Mapping[str, Any]]] = {}
        self._count = 0

    @property
    def weather(self) -> Weather:
        return self.sandbox.weather

    def settings(self, **given: Any) -> GA4Settings:
        base: dict[str, Any] = {
            "project": "shop",
            "dataset": self.sandbox.dataset,
            "property_zone": "UTC",
            "base_url": self.server.url,
            "page_size": 3,
            "pause": 0,
        }
        return GA4Settings(**{**base, **given})

    def source(self, **given: Any) -> GA4Source:
        return GA4Source("feed", self.settings(**given), Path())

    def add(self, count: int) -> Sequence[Hashable]:
        new = [row(self._count + n) for n in range(count)]
        self._count += count
        touched: dict[str, list[Mapping[str, Any]]] = {}
        for n, one in enumerate(new):
            touched.setdefault(DAYS[n * len(DAYS) // count], []).append(one)
        for day, rows in touched.items():
            self.rows[day] = [*self.rows.get(day, []), *rows]
            self.sandbox.put_table(day, self.rows[day])
        return [one["user_pseudo_id"] for one in new]

    def take_back(self, count: int) -> Sequence[Hashable]:
        gone = []
        for day in sorted(self.rows):
            part = self.rows[day][: count - len(gone)]
            if part:
                gone += [one["user_pseudo_id"] for one in part]
                self.rows[day] = self.rows[day][len(part) :]
                self.sandbox.put_table(day, self.rows[day])
        return gone
