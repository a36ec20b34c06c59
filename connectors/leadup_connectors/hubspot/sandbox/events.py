"""Custom events: definitions, and what was sent (source: "Send custom event occurrences", "Define custom events").

How HubSpot refuses an account below Enterprise, or an event that nobody defined, is documented nowhere: both are ours.
"""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leadup.types import Json
from leadup_connectors.hubspot.sandbox.answers import Now, Problem, invalid, not_found, number, require, rows_of, stamp
from leadup_connectors.hubspot.sandbox.contacts import Contacts
from leadup_connectors.hubspot.sandbox.properties import FIELD_TYPES, parse_time

BATCH = 500
PROPERTIES, NAME_LENGTH, VALUE_LENGTH, URL_LENGTH = 50, 50, 256, 1024
"""Most properties of an occurrence; characters of a name, of a value, and of one that is a URL or referrer."""
DEFINITIONS = 500
"""Most definitions of an account."""
REMEMBERED = timedelta(days=365)
"""How long an occurrence's ``uuid`` bars others with the same (source: OpenAPI file of the event completions)."""
TYPES = ("string", "number", "enumeration", "datetime")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Occurrence:
    """One event that was accepted. ``contact`` is whose it is; None: nobody's, which no answer tells."""

    name: str
    contact: str | None
    at: datetime
    sent: datetime
    properties: Mapping[str, str]
    uuid: str


class Events:
    """All custom events of the account."""

    def __init__(self, portal_id: int, contacts: Contacts, now: Now, *, enterprise: bool) -> None:
        self.sent: list[Occurrence] = []
        self.defined: dict[str, dict[str, Any]] = {}
        """By the name without the account's prefix."""
        self.cookies: dict[str, str] = {}
        """The visitor's ``utk`` -> contact, where the tracking code knows both."""
        self._prefix, self._contacts, self._now, self._enterprise = f"pe{portal_id}_", contacts, now, enterprise
        self._ids = itertools.count(1)
        self._seen: dict[tuple[str, str], datetime] = {}

    def content(self) -> list[dict[str, Json]]:
        """All that was sent, in order."""
        return [
            {"name": each.name, "contact": each.contact, "at": stamp(each.at), "properties": dict(each.properties)}
            for each in self.sent
        ]

    # ------------------------------------------------------------ occurrences

    def send(self, _request: Request, body: Any) -> Response:
        return self._accept([body])

    def send_batch(self, _request: Request, body: Any) -> Response:
        return self._accept(rows_of(body, BATCH))

    def _accept(self, rows: list[Any]) -> Response:
        """Take all rows or none; the answer does not say whose an event is, nor that it is known already."""
        self._need_enterprise()
        for row in rows:
            self._check(row)
        now = self._now()
        for row in rows:
            key = (row["eventName"], row.get("uuid") or str(uuid.UUID(int=len(self._seen) + 1)))
            if key in self._seen and now - self._seen[key] < REMEMBERED:
                continue
            self._seen[key] = now
            at = parse_time(str(row["occurredAt"])) if row.get("occurredAt") else now
            known = {p["name"] for p in self.defined[self._bare(row["eventName"])]["properties"]}
            told = {name: value for name, value in row["properties"].items() if name in known or name[:3] == "hs_"}
            self.sent.append(Occurrence(row["eventName"], self._whose(row), at or now, now, told, key[1]))
        return Response(status_code=204)

    def _check(self, row: Any) -> None:
        require(row, "eventName")
        if not isinstance(row.get("properties"), dict):
            raise invalid("Some required fields were not set: ['properties']")
        if not row["eventName"].startswith(self._prefix) or self._bare(row["eventName"]) not in self.defined:
            raise invalid(f"There is no event {row['eventName']}.")
        if not any(row.get(name) for name in ("objectId", "email", "utk")):
            raise invalid("email, utk, or objectId is required.")
        if row.get("occurredAt") and parse_time(str(row["occurredAt"])) is None:
            raise invalid("occurredAt is no instant.")
        if len(row["properties"]) > PROPERTIES:
            raise invalid(f"An event has at most {PROPERTIES} properties.")
        for name, value in row["properties"].items():
            longest = URL_LENGTH if "url" in name or "referrer" in name else VALUE_LENGTH
            if not _NAME.fullmatch(name) or len(name) > NAME_LENGTH:
                raise invalid("A property's name is made of lower-case letters, digits and underscores.")
            if not isinstance(value, str) or len(value) > longest:
                raise invalid(f"A property's value is text of at most {longest} characters.")

    def _whose(self, row: Mapping[str, Any]) -> str | None:
        """Return the contact by the first of the keys that are given, in HubSpot's order."""
        if row.get("objectId"):
            return str(row["objectId"]) if row["objectId"] in self._contacts else None
        if row.get("email"):
            return self._contacts.find("email", row["email"])
        contact = self.cookies.get(row["utk"])
        return contact if contact in self._contacts else None

    # ------------------------------------------------------------ definitions

    def all(self, request: Request, _body: Any) -> Response:
        self._need_enterprise()
        limit, after = number(request, "limit", 20, 100), int(request.query_params.get("after") or 0)
        sought = request.query_params.get("searchString", "")
        found = [each for name, each in self.defined.items() if sought in name]
        end = after + limit
        paging = {"paging": {"next": {"after": str(end)}}} if end < len(found) else {}
        return JSONResponse({"total": len(found), "results": found[after:end], **paging})

    def one(self, request: Request, _body: Any) -> Response:
        return JSONResponse(self._one(request))

    def create(self, _request: Request, body: Any) -> Response:
        """Define an event."""
        self._need_enterprise()
        require(body, "label")
        if {"includeDefaultProperties", "propertyDefinitions"} - body.keys():
            raise invalid("Some required fields were not set: [includeDefaultProperties, propertyDefinitions]")
        name = body.get("name") or re.sub(r"\W+", "_", body["label"].lower())
        if not _NAME.fullmatch(name) or len(name) > NAME_LENGTH:
            raise invalid("An event's name is made of lower-case letters, digits and underscores.")
        if name in self.defined:
            raise Problem(409, "CONFLICT", f"An event named '{name}' already exists.")
        if len(self.defined) >= DEFINITIONS:
            raise invalid(f"An account has at most {DEFINITIONS} events.")
        number_, now = next(self._ids), stamp(self._now())
        self.defined[name] = {
            "id": str(number_),
            "name": name,
            "fullyQualifiedName": f"{self._prefix}{name}",
            "labels": {"singular": body["label"]},
            "description": body.get("description", ""),
            "primaryObject": body.get("primaryObject", "CONTACT"),
            "objectTypeId": f"6-{number_}",
            "trackingType": "MANUAL",
            "properties": [self._property(each) for each in body["propertyDefinitions"]],
            "associations": [],
            "archived": False,
            "createdAt": now,
            "updatedAt": now,
        }
        return JSONResponse(self.defined[name], 201)

    def update(self, request: Request, body: Any) -> Response:
        """Change label or description. HubSpot answers 201, although nothing is created."""
        found = self._one(request)
        require(body)
        if "label" in body:
            found["labels"]["singular"] = body["label"]
        found |= {name: body[name] for name in ("description",) if name in body}
        found["updatedAt"] = stamp(self._now())
        return JSONResponse(found, 201)

    def delete(self, request: Request, _body: Any) -> Response:
        del self.defined[self._one(request)["name"]]
        return Response(status_code=204)

    def add_property(self, request: Request, body: Any) -> Response:
        found, new = self._one(request), self._property(body)
        if new["name"] in {each["name"] for each in found["properties"]}:
            raise Problem(409, "CONFLICT", f"A property named '{new['name']}' already exists.")
        found["properties"].append(new)
        return JSONResponse(new, 201)

    def _one(self, request: Request) -> dict[str, Any]:
        self._need_enterprise()
        found = self.defined.get(self._bare(request.path_params["event"]))
        if found is None:
            raise not_found("Event")
        return found

    def _property(self, body: Any) -> dict[str, Any]:
        require(body, "label", "type")
        name = body.get("name") or re.sub(r"\W+", "_", body["label"].lower())
        if body["type"] not in TYPES or not _NAME.fullmatch(name) or len(name) > NAME_LENGTH:
            raise invalid("The property's type or name is not allowed.")
        return {
            "name": name,
            "label": body["label"],
            "type": body["type"],
            "fieldType": FIELD_TYPES[body["type"]][0],
            "groupName": "eventproperties",
            "description": body.get("description", ""),
            "options": body.get("options", []),
            "archived": False,
        }

    def _bare(self, name: str) -> str:
        return name.removeprefix(self._prefix)

    def _need_enterprise(self) -> None:
        if not self._enterprise:
            raise Problem(403, "FORBIDDEN", "Custom events need an Enterprise subscription.")
