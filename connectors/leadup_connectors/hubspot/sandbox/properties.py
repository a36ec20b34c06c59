"""The properties that the records of one object type may have (source: Properties API).

The names of most error codes are as recorded; HubSpot documents none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leadup_connectors.hubspot.sandbox.answers import Problem, invalid, not_found, require, stamp

UNIQUE_PROPERTIES = 10
"""Most unique properties of an object type, besides those that HubSpot defines."""
ALWAYS_UNIQUE = {"hs_object_id", "email"}
FIELD_TYPES = {
    "string": ("text", "textarea", "phonenumber", "html", "file"),
    "number": ("number", "calculation_equation"),
    "bool": ("booleancheckbox",),
    "enumeration": ("select", "radio", "checkbox", "booleancheckbox"),
    "date": ("date",),
    "datetime": ("date",),
}
"""Which ``fieldType`` goes with which ``type``."""
CHANGEABLE = {
    "label",
    "type",
    "fieldType",
    "groupName",
    "description",
    "options",
    "displayOrder",
    "hidden",
    "formField",
}


class Properties:
    """Definitions of properties and their groups."""

    def __init__(self, group: str, label: str, defined: Callable[[str], None]) -> None:
        """``group`` holds what HubSpot itself defines; ``defined`` is told the name of each new unique property."""
        self.known: dict[str, dict[str, Any]] = {}
        self.groups = {group: label}
        self._group, self._defined = group, defined

    def define(
        self,
        name: str,
        kind: str = "string",
        *,
        unique: bool = False,
        read_only: bool = False,
        options: Iterable[str] = (),
        field_type: str = "",
    ) -> None:
        """Define a property."""
        listed = [{"label": o, "value": o, "displayOrder": i, "hidden": False} for i, o in enumerate(options)]
        body: dict[str, Any] = {"name": name, "label": name, "type": kind, "groupName": self._group}
        body |= {"fieldType": field_type or FIELD_TYPES[kind][0], "hasUniqueValue": unique, "options": listed}
        self.known[name] = _property(body, read_only=read_only)
        if unique:
            self._defined(name)

    def is_unique(self, name: str) -> bool:
        """Whether a record is found by this property."""
        return name in self.known and bool(self.known[name]["hasUniqueValue"])

    # ------------------------------------------------------------ values

    def check(self, values: Mapping[str, Any]) -> None:
        """Refuse values that may not be written."""
        for name, value in values.items():
            code = self._mistake(name, value)
            if code:
                detail = {"message": "was not valid", "code": code, "context": {"propertyName": [name]}}
                raise invalid(f"Property values were not valid: {value!r}", errors=[detail])

    def _mistake(self, name: str, value: Any) -> str:
        known = self.known.get(name)
        if known is None:
            return "PROPERTY_DOESNT_EXIST"
        if known["modificationMetadata"]["readOnlyValue"]:
            return "READ_ONLY_VALUE"
        if not isinstance(value, str):
            return "INVALID_STRING"  # a property value is text, whatever the property's type
        return self._misfit(known, value) if value else ""

    def _misfit(self, known: Mapping[str, Any], value: str) -> str:
        kind = known["type"]
        if known["name"] == "email" and not _is_address(value):
            return "INVALID_EMAIL"
        if kind == "number" and not _is_number(value):
            return "INVALID_DOUBLE"
        if kind == "bool" and value not in ("true", "false"):
            return "INVALID_BOOLEAN"
        if kind in ("date", "datetime") and parse_time(value) is None:
            return "INVALID_DATE"
        if kind == "enumeration":
            chosen = [one for one in value.split(";") if one] if known["fieldType"] == "checkbox" else [value]
            if not {each["value"] for each in known["options"]}.issuperset(chosen):
                return "INVALID_OPTION"
        return ""

    def stored(self, name: str, value: str, before: str = "") -> str:
        """Return a value as HubSpot keeps it.

        A multi-checkbox value that starts with a semicolon adds to what was there (source: Properties API, "Add values
        to multiple checkboxes properties").
        """
        known = self.known[name]
        if name == "email":
            return value.strip().lower()
        if known["type"] == "datetime" and value:
            at = parse_time(value)
            return stamp(at) if at else value
        if known["fieldType"] == "checkbox" and value:
            kept = before.split(";") if value.startswith(";") else []
            return ";".join(dict.fromkeys(filter(None, [*kept, *value.split(";")])))
        return value

    # ------------------------------------------------------------ calls

    def one(self, request: Request, _body: Any) -> Response:
        return JSONResponse(self._one(request))

    def all(self, _request: Request, _body: Any) -> Response:
        return JSONResponse({"results": list(self.known.values())})

    def create(self, request: Request, body: Any) -> Response:
        require(body, "name", "label", "type", "fieldType", "groupName")
        name: str = body["name"]
        if not (name.isidentifier() and name.isascii() and name == name.lower()):
            raise invalid("A property's name is made of lower-case letters, digits and underscores.")
        self._check_definition(request, body)
        if name in self.known:
            raise Problem(409, "OBJECT_ALREADY_EXISTS", f"A property named '{name}' already exists.")
        unique = sum(known["hasUniqueValue"] for name, known in self.known.items() if name not in ALWAYS_UNIQUE)
        if body.get("hasUniqueValue") and unique >= UNIQUE_PROPERTIES:
            raise invalid(f"An object has at most {UNIQUE_PROPERTIES} unique properties.")
        self.known[name] = _property(body)
        if body.get("hasUniqueValue"):
            self._defined(name)
        return JSONResponse(self.known[name], 201)

    def update(self, request: Request, body: Any) -> Response:
        """Change a definition. ``options`` replaces all there were."""
        known = self._one(request)
        require(body)
        if known["modificationMetadata"]["readOnlyDefinition"]:
            raise invalid("A property that HubSpot defines is not changed.")
        changed = known | {name: value for name, value in body.items() if name in CHANGEABLE}
        self._check_definition(request, changed)
        known |= changed
        return JSONResponse(known)

    def create_group(self, _request: Request, body: Any) -> Response:
        require(body, "name", "label")
        if body["name"] in self.groups:
            raise Problem(409, "OBJECT_ALREADY_EXISTS", f"A property group named '{body['name']}' already exists.")
        self.groups[body["name"]] = body["label"]
        return JSONResponse(_group(body["name"], body["label"]), 201)

    def all_groups(self, _request: Request, _body: Any) -> Response:
        return JSONResponse({"results": [_group(*each) for each in self.groups.items()]})

    def _one(self, request: Request) -> dict[str, Any]:
        known = self.known.get(request.path_params["name"])
        if known is None:
            raise not_found("Property")
        return known

    def _check_definition(self, request: Request, body: Mapping[str, Any]) -> None:
        if body["fieldType"] not in FIELD_TYPES.get(body["type"], ()):
            raise invalid("type and fieldType do not go together.")
        if body["groupName"] not in self.groups:
            raise invalid("The property group does not exist.")
        options = body.get("options") or []
        needed = {"label", "value", "hidden"} | ({"displayOrder"} if request.state.dated else set())
        if any(not isinstance(each, dict) or needed - each.keys() for each in options):
            raise invalid(f"Some required fields were not set: {sorted(needed)}")
        values = [each["value"] for each in options]
        if len(set(values)) < len(values):
            raise invalid("Two options have the same value.")
        if body["type"] == "enumeration" and not values:
            raise invalid("An enumeration needs options.")


def parse_time(text: str) -> datetime | None:
    """Return the instant that milliseconds or ISO 8601 write, None for neither."""
    try:
        if text.lstrip("-").isdecimal():
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    name, _, domain = text.strip().partition("@")
    return bool(name) and "." in domain.strip(".") and not {" ", "@", ","} & set(domain) and " " not in name


def _property(body: Mapping[str, Any], *, read_only: bool = False) -> dict[str, Any]:
    metadata = {"archivable": True, "readOnlyDefinition": read_only, "readOnlyValue": read_only}
    defaults = {"hasUniqueValue": False, "description": "", "options": []}
    return {**defaults, **body, "archived": False, "modificationMetadata": metadata}


def _group(name: str, label: str) -> dict[str, Any]:
    return {"name": name, "label": label, "displayOrder": -1, "archived": False}
