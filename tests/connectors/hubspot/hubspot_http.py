"""Raw HTTP to the HubSpot emulator, under the paths of version 3 or under the dated ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from hubspot_account import TOKEN, Stage

from leadup.clock import FrozenClock
from leadup_connectors.hubspot.sandbox import HubSpotSandbox

STYLES = ("v3", "2026-03")
PLACES = {
    "v3": {
        "account": "/account-info/v3",
        "lists": "/crm/v3/lists",
        "contacts": "/crm/v3/objects/contacts",
        "deals": "/crm/v3/objects/deals",
        "properties": "/crm/v3/properties/contacts",
        "pipelines": "/crm/v3/pipelines/deals",
        "associations": "/crm/v4/associations",
        "owners": "/crm/v3/owners",
        "forms": "/marketing/v3/forms",
        "events": "/events/v3",
    },
    "2026-03": {
        "account": "/account-info/2026-03",
        "lists": "/crm/lists/2026-03",
        "contacts": "/crm/objects/2026-03/contacts",
        "deals": "/crm/objects/2026-03/deals",
        "properties": "/crm/properties/2026-03/contacts",
        "pipelines": "/crm/pipelines/2026-03/deals",
        "associations": "/crm/associations/2026-03",
        "owners": "/crm/owners/2026-03",
        "forms": "/marketing/v3/forms",  # has no dated form but a beta of 2026-09
        "events": "/events/2026-03",
    },
}
BEGIN = datetime(2026, 3, 1, 9, tzinfo=UTC)
INVALID, GONE = (400, "VALIDATION_ERROR"), (404, "OBJECT_NOT_FOUND")
"""What :func:`category` says of most refusals."""


def category(answer: requests.Response) -> tuple[int, str]:
    """Return an error's status and category."""
    return answer.status_code, answer.json().get("category", "")


class Api:
    """An account with a frozen clock, and the calls to it. ``style``: which paths they take."""

    def __init__(self, stage: Stage, style: str, **how: Any) -> None:
        self.stage, self.style = stage, style
        self.clock = FrozenClock(BEGIN)
        stage.play(**{"interval": 10.0, "clock": self.clock.now, **how})
        self.hubspot: HubSpotSandbox = stage.sandbox
        self.line = requests.Session()
        self.line.headers["Authorization"] = f"Bearer {TOKEN}"

    def ask(self, method: str, area: str, tail: str = "", json: Any = None, **query: Any) -> requests.Response:
        """Ask an area of the API."""
        path = PLACES[self.style].get(area, area)
        return self.line.request(
            method, f"{self.stage.url}{path}{tail}", json=json, params=query, timeout=60, allow_redirects=False
        )

    def get(self, area: str, tail: str = "", **query: Any) -> Any:
        """Ask for what is there, and return the answer's body."""
        answer = self.ask("GET", area, tail, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def create_list(self, name: str, **more: Any) -> requests.Response:
        """Create a list."""
        return self.ask("POST", "lists", "", {"name": name, "objectTypeId": "0-1", "processingType": "MANUAL", **more})

    def members(self, list_id: str) -> list[str]:
        """Return the ids of a list's members."""
        return [each["recordId"] for each in self.get("lists", f"/{list_id}/memberships")["results"]]

    def batch(self, verb: str, inputs: Iterable[Any], area: str = "contacts", **more: Any) -> requests.Response:
        """Send a batch; a text stands for a record's id."""
        rows = [each if isinstance(each, Mapping) else {"id": each} for each in inputs]
        needed = {"properties": [], "propertiesWithHistory": []} if verb == "read" else {}
        return self.ask("POST", area, f"/batch/{verb}", {**needed, "inputs": rows, **more})

    def search(self, area: str, *filters: tuple[str, str, str], **more: Any) -> requests.Response:
        """Search for records that meet all filters."""
        met = [{"propertyName": name, "operator": operator, "value": value} for name, operator, value in filters]
        body = {"filterGroups": [{"filters": met}] if met else [], "properties": [], "sorts": [], "limit": 100}
        return self.ask("POST", area, "/search", {**body, **more})

    def later(self, **span: float) -> None:
        """Let time pass."""
        self.clock.advance(timedelta(**span))
