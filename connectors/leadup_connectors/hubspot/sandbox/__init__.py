"""An emulator of the HubSpot calls that leadup makes, under the paths of version 3 and under the dated ones.

Lists with their folders, contacts and properties, with HubSpot's limits, scopes and error bodies.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from leadup.sandbox import Fault, Sandbox
from leadup.types import Json
from leadup_connectors.hubspot.sandbox.account import Account
from leadup_connectors.hubspot.sandbox.answers import Now, Problem, invalid, limit_reached, missing_scope, not_found
from leadup_connectors.hubspot.sandbox.contacts import Contacts
from leadup_connectors.hubspot.sandbox.limits import Limits, check_scopes, check_token
from leadup_connectors.hubspot.sandbox.lists import Asked, Lists
from leadup_connectors.hubspot.sandbox.objects import Objects
from leadup_connectors.hubspot.sandbox.routes import CALLS, Call

SCOPES = frozenset(
    f"crm.{area}.{right}" for area in ("lists", "objects.contacts", "schemas.contacts") for right in ("read", "write")
)
FROM_THE_PROXY = frozenset({502, 504, 520, 521, 522, 523, 524})
"""Statuses that come from the proxy before HubSpot, as a web page."""


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
        clock: Now | None = None,
        utc_offset: timedelta = timedelta(0),
    ) -> None:
        """``burst`` calls per ``interval`` seconds and ``daily`` a day; a ``token`` of "" lets any token in.

        HubSpot allows 100 to 250 calls per 10 s, by tier (source: API usage guidelines); the default lets a demo run.
        ``retry_after`` is what a 429 says in its ``Retry-After`` header, which HubSpot does not promise: None, nothing.
        ``clock`` tells every instant the account keeps, the machine's by default; ``utc_offset`` is of its time zone,
        in which days end.
        """
        super().__init__()
        self.clock: Now = clock or (lambda: datetime.now(UTC))
        self.token, self.scopes, self.retry_after = token, set(scopes), retry_after
        self.limits = Limits(self._now, burst, interval, daily, utc_offset)
        self._account = Account(portal_id, self.limits)
        self._contacts = Contacts(self._now, self._refused)
        self._lists = Lists(self._contacts, self._refused, max_lists, self._now)
        self._correlations = itertools.count(1)
        self._lock = threading.RLock()

    def seed(self, data: Mapping[str, Any]) -> None:
        """Take ``unique`` (names of unique contact properties) and ``contacts`` (a mapping of properties each)."""
        for name in data.get("unique", ()):
            self.add_property(name, unique=True)
        for contact in data.get("contacts", ()):
            self.add_contact(**contact)
        super().seed({key: value for key, value in data.items() if key not in ("unique", "contacts")})

    # ------------------------------------------------------------ from Python: contacts

    def add_property(self, name: str, kind: str = "string", **how: Any) -> None:
        """Define a contact property, as a person does in HubSpot.

        ``unique``, ``read_only``, ``options`` and ``field_type`` say how.
        """
        with self._lock:
            self._contacts.properties.define(name, kind, **how)

    def delete_property(self, name: str) -> None:
        """Delete a contact property, as a person does in HubSpot."""
        with self._lock:
            del self._contacts.properties.known[name]

    def add_contact(self, email: str = "", **properties: str) -> str:
        """Create a contact and return its id; properties that are not there become text properties."""
        with self._lock:
            return self._contacts.add({"email": email, **properties})

    def set_property(self, contact_id: str, **properties: str) -> None:
        """Set properties of a contact, as a person does in HubSpot; "" takes a value away."""
        with self._lock:
            self._contacts.write(contact_id, properties)

    def opt_out(self, contact_id: str) -> None:
        """Let a contact unsubscribe from all e-mail."""
        self.set_property(contact_id, hs_email_optout="true")

    def contact(self, contact_id: str) -> Mapping[str, str]:
        """Return a copy of a contact's properties."""
        with self._lock:
            return dict(self._contacts.values[contact_id])

    def delete_contact(self, contact_id: str) -> None:
        """Delete a contact; it leaves all lists."""
        with self._lock:
            self._contacts.archive(contact_id)
            self._lists.drop(contact_id)

    def block(self, email: str) -> None:
        """Put an address on the blocklist, as a GDPR deletion does: it can never be used again."""
        with self._lock:
            self._contacts.blocked.add(email.strip().lower())

    def merge(self, keep: str, gone: str) -> None:
        """Merge two contacts: ``gone`` vanishes, ``keep`` gets its address and its places in lists."""
        with self._lock:
            self._contacts.merge(keep, gone)
            self._lists.drop(gone, heir=keep)

    # ------------------------------------------------------------ from Python: lists

    def add_list(self, name: str, processing: str = "MANUAL", *, used: int = 0) -> str:
        """Create a list, as a person does in HubSpot, and return its id; ``used``: in how many places."""
        with self._lock:
            return self._lists.add(name, processing, used=used).id

    def rename_list(self, name: str, to: str) -> None:
        """Rename a list, as a person does in HubSpot."""
        with self._lock:
            self._lists.living()[name].name = to

    def delete_list(self, name: str) -> None:
        """Delete a list, as a person does in HubSpot."""
        with self._lock:
            self._lists.living()[name].deleted = self._now()

    def members(self, name: str) -> set[str]:
        """Return the ids of the contacts in the list of that name; no such list: nobody."""
        with self._lock:
            found = self._lists.living().get(name)
            return set(found.members) if found else set()

    def put(self, name: str, *contacts: str) -> None:
        """Put contacts into the list of that name, as a person does in HubSpot."""
        with self._lock:
            self._lists.put(self._lists.living()[name], contacts)

    def take(self, name: str, *contacts: str) -> None:
        """Take contacts out of the list of that name, as a person does in HubSpot."""
        with self._lock:
            self._lists.take(self._lists.living()[name], contacts)

    def add_folder(self, name: str) -> str:
        """Create a folder for lists and return its id."""
        with self._lock:
            return self._lists.folders.add(name)

    @property
    def asked(self) -> Sequence[Asked]:
        """Every wish of a call to change a membership that met a known contact, in order."""
        with self._lock:
            return list(self._lists.asked)

    def state(self) -> Json:
        """Lists with members, contacts, properties, and how often each membership was changed or asked for in vain."""
        with self._lock:
            return {
                "portalId": self._account.portal_id,
                "lists": self._lists.content(),
                "folders": self._lists.folders.content(),
                "contacts": {contact: dict(values) for contact, values in self._contacts.values.items()},
                "properties": {name: str(each["type"]) for name, each in self._contacts.properties.known.items()},
                "memberships": self._lists.counts(),
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
                    check_token(request, self.token)
                    objects = self._objects(request.path_params.get("object", "contacts"))
                    check_scopes((scope.format(object=objects.name) for scope in call.scopes), self.scopes)
                    self.limits.take(search=search)
                    answer = self._handler(call, objects)(request, _parse(raw))
                except Problem as problem:
                    return self._answer(problem, told=not search)
                return answer if search else self.limits.tell(answer)

        return endpoint

    def _objects(self, name: str) -> Objects:
        for each in (self._contacts,):
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

    def _now(self) -> datetime:
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
