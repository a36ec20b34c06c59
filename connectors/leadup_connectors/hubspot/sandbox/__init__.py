"""An emulator of the HubSpot calls that leadup makes.

Lists, contacts in batches and properties, with HubSpot's limits, scopes and error bodies.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from leadup.sandbox import Fault, Sandbox
from leadup.types import Json
from leadup_connectors.hubspot.sandbox.answers import Problem, invalid, limit_reached, missing_scope
from leadup_connectors.hubspot.sandbox.contacts import Contacts
from leadup_connectors.hubspot.sandbox.lists import Asked, Lists

SCOPES = frozenset(
    f"crm.{area}.{right}" for area in ("lists", "objects.contacts", "schemas.contacts") for right in ("read", "write")
)
FROM_THE_PROXY = frozenset({502, 504, 520, 521, 522, 523, 524})
"""Statuses that come from the proxy before HubSpot, as a web page."""

Handler = Callable[[Request, Any], Response]


class HubSpotSandbox(Sandbox):
    """One HubSpot account. What it holds can be looked at and changed from Python while it serves."""

    name = "hubspot"

    def __init__(
        self,
        *,
        portal_id: int = 4815162,
        token: str = "",
        scopes: Iterable[str] = SCOPES,
        burst: int = 100_000,
        interval: float = 10.0,
        daily: int = 1_000_000,
        retry_after: int | None = None,
        max_lists: int = 1000,
    ) -> None:
        """``burst`` calls per ``interval`` seconds and ``daily`` in all; a ``token`` of "" lets any token in.

        HubSpot allows 100 to 250 calls per 10 s, by tier (source: API usage guidelines); the default lets a demo run.
        ``retry_after`` is what a 429 says in its ``Retry-After`` header, which HubSpot does not promise: None, nothing.
        """
        super().__init__()
        self.portal_id, self.token, self.scopes = portal_id, token, set(scopes)
        self.burst, self.interval, self.daily, self.retry_after = burst, interval, daily, retry_after
        self._contacts = Contacts(self._refused)
        self._lists = Lists(self._contacts, self._refused, max_lists)
        self._calls: deque[float] = deque()
        self._correlations = itertools.count(1)
        self._lock = threading.RLock()

    def seed(self, data: Mapping[str, Any]) -> None:
        """Take ``unique`` (names of unique contact properties) and ``contacts`` (a mapping of properties each)."""
        for name in data.get("unique", ()):
            self.add_property(name, unique=True)
        for contact in data.get("contacts", ()):
            self.add_contact(**contact)
        super().seed({key: value for key, value in data.items() if key not in ("unique", "contacts")})

    # ------------------------------------------------------------ from Python

    def add_property(self, name: str, kind: str = "string", **how: Any) -> None:
        """Define a contact property, as a person does in HubSpot; ``unique``, ``read_only`` and ``options`` say how."""
        with self._lock:
            self._contacts.define(name, kind, **how)

    def delete_property(self, name: str) -> None:
        """Delete a contact property, as a person does in HubSpot."""
        with self._lock:
            del self._contacts.properties[name]

    def add_contact(self, email: str = "", **properties: str) -> str:
        """Create a contact and return its id; properties that are not there become text properties."""
        with self._lock:
            return self._contacts.add(email, properties)

    def contact(self, contact_id: str) -> Mapping[str, str]:
        """Return a copy of a contact's properties."""
        with self._lock:
            return dict(self._contacts.values[contact_id])

    def delete_contact(self, contact_id: str) -> None:
        """Delete a contact; it leaves all lists."""
        with self._lock:
            del self._contacts.values[contact_id]
            self._lists.drop(contact_id)

    def merge(self, keep: str, gone: str) -> None:
        """Merge two contacts: ``gone`` vanishes, ``keep`` gets its address and its places in lists."""
        with self._lock:
            self._contacts.merge(keep, gone)
            self._lists.drop(gone, heir=keep)

    def add_list(self, name: str, processing: str = "MANUAL") -> str:
        """Create a list, as a person does in HubSpot, and return its id."""
        with self._lock:
            return self._lists.add(name, processing).id

    def delete_list(self, name: str) -> None:
        """Delete a list, as a person does in HubSpot."""
        with self._lock:
            self._lists.living()[name].deleted = True

    def members(self, name: str) -> set[str]:
        """Return the ids of the contacts in the list of that name; no such list: nobody."""
        with self._lock:
            found = self._lists.living().get(name)
            return set(found.members) if found else set()

    @property
    def asked(self) -> Sequence[Asked]:
        """Every wish to change a membership that met a known contact, in order."""
        with self._lock:
            return list(self._lists.asked)

    def state(self) -> Json:
        """Lists with members, contacts, properties, and how often each membership was changed or asked for in vain."""
        with self._lock:
            return {
                "portalId": self.portal_id,
                "lists": self._lists.content(),
                "contacts": {contact: dict(values) for contact, values in self._contacts.values.items()},
                "properties": {name: str(each["type"]) for name, each in self._contacts.properties.items()},
                "memberships": self._lists.counts(),
            }

    # ------------------------------------------------------------ the door

    def routes(self) -> Sequence[BaseRoute]:
        lists, contacts, properties = "/crm/v3/lists", "/crm/v3/objects/contacts/batch", "/crm/v3/properties/contacts"
        table: list[tuple[str, str, str, Handler]] = [
            ("GET", "/account-info/v3/details", "", self._account),
            ("POST", lists, "crm.lists.write", self._lists.create),
            ("POST", f"{lists}/", "crm.lists.write", self._lists.create),
            ("POST", f"{lists}/search", "crm.lists.read", self._lists.search),
            ("GET", f"{lists}/object-type-id/{{type}}/name/{{name:path}}", "crm.lists.read", self._lists.by_name),
            ("GET", f"{lists}/{{id}}", "crm.lists.read", self._lists.by_id),
            ("GET", f"{lists}/{{id}}/memberships", "crm.lists.read", self._lists.memberships),
            ("PUT", f"{lists}/{{id}}/memberships/add", "crm.lists.write", self._lists.join),
            ("PUT", f"{lists}/{{id}}/memberships/remove", "crm.lists.write", self._lists.leave),
            ("POST", f"{contacts}/create", "crm.objects.contacts.write", self._contacts.create),
            ("POST", f"{contacts}/read", "crm.objects.contacts.read", self._contacts.read),
            ("POST", f"{contacts}/update", "crm.objects.contacts.write", self._contacts.update),
            ("GET", f"{properties}/{{name}}", "crm.objects.contacts.read", self._contacts.property),
            ("POST", properties, "crm.schemas.contacts.write", self._contacts.create_property),
            ("POST", f"{properties}/groups", "crm.schemas.contacts.write", self._contacts.create_group),
        ]
        return [Route(path, self._endpoint(scope, handler), methods=[verb]) for verb, path, scope, handler in table]

    def error(self, status: int, fault: Fault | None = None) -> Response:
        code = fault.code if fault else ""
        with self._lock:
            if status in FROM_THE_PROXY:
                return HTMLResponse(b"<html><body>Passerelle d\xe9faillante</body></html>", status)
            if status == 401:
                return self._answer(Problem(401, "EXPIRED_AUTHENTICATION", "The token used to make this call expired."))
            if status == 403:
                return self._answer(missing_scope(code or "crm.lists.write"))
            if status == 429:
                return self._answer(limit_reached(code or "TEN_SECONDLY_ROLLING"))
            return self._answer(Problem(status, code or "INTERNAL_ERROR", "internal error"))

    def _endpoint(self, scope: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            raw = await request.body()
            with self._lock:
                try:
                    self._admit(request, scope)
                    answer = handler(request, _parse(raw))
                except Problem as problem:
                    return self._answer(problem)
                return self._with_limits(answer)

        return endpoint

    def _admit(self, request: Request, scope: str) -> None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or not token or self.token not in ("", token):
            raise Problem(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
        if scope and scope not in self.scopes:
            raise missing_scope(scope)
        if self.daily <= 0:
            raise limit_reached("DAILY")
        now = time.monotonic()
        while self._calls and self._calls[0] <= now - self.interval:
            self._calls.popleft()
        if len(self._calls) >= self.burst:
            raise limit_reached("TEN_SECONDLY_ROLLING")
        self._calls.append(now)
        self.daily -= 1

    def _answer(self, problem: Problem) -> Response:
        correlation = f"00000000-0000-4000-8000-{next(self._correlations):012d}"
        answer = self._with_limits(JSONResponse({**problem.body, "correlationId": correlation}, problem.status))
        if problem.status == 429 and self.retry_after is not None:
            answer.headers["Retry-After"] = str(self.retry_after)
        return answer

    def _with_limits(self, answer: Response) -> Response:
        answer.headers["X-HubSpot-RateLimit-Max"] = str(self.burst)
        answer.headers["X-HubSpot-RateLimit-Remaining"] = str(max(0, self.burst - len(self._calls)))
        answer.headers["X-HubSpot-RateLimit-Interval-Milliseconds"] = str(int(self.interval * 1000))
        answer.headers["X-HubSpot-RateLimit-Daily-Remaining"] = str(self.daily)
        return answer

    def _refused(self, request: Request, rows: Sequence[str]) -> Mapping[str, str]:
        fault = self.weather.take(request.url.path, "reject")
        if fault is None:
            return {}
        step = max(fault.every, 1)
        return dict.fromkeys(rows[step - 1 :: step], fault.code or "VALIDATION_ERROR")

    def _account(self, _request: Request, _body: Any) -> Response:
        return JSONResponse(
            {
                "portalId": self.portal_id,
                "accountType": "STANDARD",
                "timeZone": "UTC",
                "companyCurrency": "EUR",
                "additionalCurrencies": [],
                "utcOffset": "+00:00",
                "utcOffsetMilliseconds": 0,
                "uiDomain": "app.hubspot.com",
                "dataHostingLocation": "na1",
            }
        )


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else {}
    except ValueError:
        raise invalid("Invalid input JSON") from None
