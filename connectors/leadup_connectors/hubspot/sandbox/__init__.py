"""An emulator of the HubSpot calls that leadup makes, under the paths of version 3 and under the dated ones.

Lists with their folders, contacts, deals, properties, pipelines, forms, owners and custom events; with the limits,
scopes and error bodies of HubSpot.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from leadup.sandbox import Fault, Sandbox
from leadup.types import Json
from leadup_connectors.hubspot.sandbox.account import Account
from leadup_connectors.hubspot.sandbox.answers import Now, Problem, invalid, limit_reached, missing_scope, not_found
from leadup_connectors.hubspot.sandbox.associations import Associations
from leadup_connectors.hubspot.sandbox.contacts import Contacts
from leadup_connectors.hubspot.sandbox.deals import Deals
from leadup_connectors.hubspot.sandbox.events import Events
from leadup_connectors.hubspot.sandbox.forms import Forms
from leadup_connectors.hubspot.sandbox.hands import Hands
from leadup_connectors.hubspot.sandbox.limits import AMPLE, TIERS, Limits, check_length, check_scopes, check_token
from leadup_connectors.hubspot.sandbox.lists import Lists
from leadup_connectors.hubspot.sandbox.objects import Objects
from leadup_connectors.hubspot.sandbox.owners import Owners
from leadup_connectors.hubspot.sandbox.routes import CALLS, Call

SCOPES = frozenset(
    f"crm.{area}.{right}"
    for area in ("lists", "objects.contacts", "schemas.contacts", "objects.deals", "schemas.deals")
    for right in ("read", "write")
) | {
    "analytics.behavioral_events.send",
    "behavioral_events.event_definitions.read_write",
    "crm.objects.owners.read",
    "forms",
}
FROM_THE_PROXY = frozenset({502, 504, 520, 521, 522, 523, 524})
"""Statuses that come from the proxy before HubSpot, as a web page."""


class HubSpotSandbox(Hands, Sandbox):
    """One HubSpot account. What it holds can be looked at and changed from Python while it serves."""

    name = "hubspot"

    def __init__(
        self,
        *,
        portal_id: int = 4815162,
        token: str = "",
        scopes: Iterable[str] = SCOPES,
        tier: str = "",
        burst: int | None = None,
        interval: float = 10.0,
        daily: int | None = None,
        retry_after: int | None = None,
        max_lists: int = 1000,
        clock: Now | None = None,
        time_zone: str = "UTC",
        account_type: str = "STANDARD",
    ) -> None:
        """``burst`` calls per ``interval`` seconds and ``daily`` a day; a ``token`` of "" lets any token in.

        A ``tier`` of :data:`TIERS` says how many calls the account has, unless ``burst`` and ``daily`` do; "" has all
        that Enterprise has, and calls enough for a demo. ``retry_after`` is what a 429 says in its ``Retry-After``
        header, which HubSpot does not promise: None, nothing. ``clock`` tells every instant the account keeps, the
        machine's by default; ``time_zone`` is the account's, in which days end.
        """
        super().__init__()
        self.clock: Now = clock or (lambda: datetime.now(UTC))
        self.token, self.scopes, self.retry_after = token, set(scopes), retry_after
        self.also_needs: dict[str, str] = {}
        """Scopes that calls need besides the documented ones, by a part of their paths."""
        each_burst, each_day = TIERS.get(tier, AMPLE)
        burst, daily = each_burst if burst is None else burst, each_day if daily is None else daily
        self.limits = Limits(self.now, burst, interval, daily, time_zone)
        self._account = Account(portal_id, account_type, self.limits)
        self._contacts = Contacts(self.now, self._refused)
        self._deals = Deals(self.now, self._refused)
        self._associations = Associations(self._contacts, self._deals, self.now)
        for each in (self._contacts, self._deals):
            each.associated = partial(self._associations.basic, each)
        self._lists = Lists(self._contacts, self._refused, max_lists, self.now)
        enterprise = tier in ("", "enterprise")
        self._events = Events(portal_id, self._contacts, self.now, enterprise=enterprise)
        self._contacts.vanished = self._lists.drop
        self._forms, self._owners = Forms(self._contacts, self.now), Owners(self.now)
        self._correlations = itertools.count(1)
        self._lock = threading.RLock()

    def seed(self, data: Mapping[str, Any]) -> None:
        """Take what :meth:`Hands.plant` takes."""
        super().seed(self.plant(data))

    @property
    def search_lag(self) -> timedelta:
        """How long the search does not know of a change. HubSpot tells of a few moments."""
        return self._contacts.searching.lag

    @search_lag.setter
    def search_lag(self, lag: timedelta) -> None:
        for each in (self._contacts, self._deals):
            each.searching.lag = lag

    @property
    def size_lag(self) -> timedelta:
        """How long the size of a list does not know of a change to its members."""
        return self._lists.size_lag

    @size_lag.setter
    def size_lag(self, lag: timedelta) -> None:
        self._lists.size_lag = lag

    def state(self) -> Json:
        """All there is, and how often each membership was changed or asked for in vain."""
        with self._lock:
            return {
                "portalId": self._account.portal_id,
                "lists": self._lists.content(),
                "folders": self._lists.folders.content(),
                "contacts": {contact: dict(values) for contact, values in self._contacts.values.items()},
                "properties": {name: str(each["type"]) for name, each in self._contacts.properties.known.items()},
                "memberships": self._lists.counts(),
                "deals": {deal: dict(values) for deal, values in self._deals.values.items()},
                "forms": self._forms.content(),
                "events": self._events.content(),
            }

    # ------------------------------------------------------------ the door

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route(path, self._endpoint(call, dated=dated), methods=[call.verb])
            for call in CALLS
            for path, dated in call.paths()
        ]

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

    def _endpoint(self, call: Call, *, dated: bool) -> Callable[[Request], Awaitable[Response]]:
        search = call.handler == "objects.search"  # whose answers tell no limits

        async def endpoint(request: Request) -> Response:
            raw = await request.body()
            request.state.dated = dated
            with self._lock:
                try:
                    check_length(request)
                    check_token(request, self.token)
                    objects = self._objects(request.path_params.get("object", "contacts"))
                    places = {**request.path_params, "object": objects.name}
                    also = [scope for part, scope in self.also_needs.items() if part in request.url.path]
                    check_scopes([*(scope.format_map(places) for scope in call.scopes), *also], self.scopes)
                    self.limits.take(search=search)
                    answer = self._handler(call, objects)(request, _parse(raw))
                except Problem as problem:
                    return self._answer(problem, told=not search)
                return answer if search else self.limits.tell(answer)

        return endpoint

    def _objects(self, name: str) -> Objects:
        for each in (self._contacts, self._deals):
            if name in (each.name, each.type_id):
                return each
        raise invalid(f"Unable to infer object type from: {name}")

    def _handler(self, call: Call, objects: Objects) -> Callable[[Request, Any], Response]:
        part, _, method = call.handler.partition(".")
        parts = {
            "account": self._account,
            "lists": self._lists,
            "folders": self._lists.folders,
            "objects": objects,
            "properties": objects.properties,
            "pipelines": self._deals.pipelines,
            "associations": self._associations,
            "owners": self._owners,
            "forms": self._forms,
            "events": self._events,
        }
        handler: Callable[[Request, Any], Response] | None = getattr(parts[part], method, None)
        if handler is None:
            raise not_found("The call")
        return handler

    def _answer(self, problem: Problem, *, told: bool = True) -> Response:
        correlation = f"00000000-0000-4000-8000-{next(self._correlations):012d}"
        answer: Response = JSONResponse({**problem.body, "correlationId": correlation}, problem.status)
        if told:
            self.limits.tell(answer)
        if problem.status == 429 and self.retry_after is not None:
            answer.headers["Retry-After"] = str(self.retry_after)
        return answer

    def now(self) -> datetime:
        return self.clock()

    def _refused(self, request: Request, rows: Sequence[str]) -> Mapping[str, str]:
        fault = self.weather.take(request.url.path, "reject")
        if fault is None:
            return {}
        step = max(fault.every, 1)
        return dict.fromkeys(rows[step - 1 :: step], fault.code or "VALIDATION_ERROR")


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else {}
    except ValueError:
        raise invalid("Invalid input JSON") from None
