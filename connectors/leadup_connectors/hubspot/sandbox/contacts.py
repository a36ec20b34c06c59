"""Contacts in batches, and their properties (source: CRM API, objects and properties, v3)."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leadup_connectors.hubspot.sandbox.answers import Problem, batch, invalid, not_found, now, require, unknown

BATCH = 100
"""Most inputs of a batch."""
UNIQUE_PROPERTIES = 10
FIELD_TYPES = {
    "string": ("text", "textarea", "phonenumber", "html", "file"),
    "number": ("number", "calculation_equation"),
    "bool": ("booleancheckbox",),
    "enumeration": ("select", "radio", "checkbox", "booleancheckbox"),
    "date": ("date",),
    "datetime": ("date",),
}
"""Which ``fieldType`` goes with which ``type``."""

Refuses = Callable[[Request, Sequence[str]], Mapping[str, str]]


class Contacts:
    """All contacts of the account, and the properties they may have. ``refuses`` gives rows the weather refuses."""

    def __init__(self, refuses: Refuses) -> None:
        self.values: dict[str, dict[str, str]] = {}
        self.properties: dict[str, dict[str, Any]] = {}
        self.groups = {"contactinformation": "Contact information"}
        self._refuses = refuses
        self._ids = itertools.count(1501)
        for name in ("email", "firstname", "lastname", "phone"):
            self.define(name)
        self.define("hs_object_id", "number", unique=True, read_only=True)
        self.define("hs_additional_emails", read_only=True)

    # ------------------------------------------------------------ from Python

    def define(
        self,
        name: str,
        kind: str = "string",
        *,
        unique: bool = False,
        read_only: bool = False,
        options: Iterable[str] = (),
    ) -> None:
        """Define a property."""
        body: dict[str, Any] = {"name": name, "label": name, "type": kind, "fieldType": FIELD_TYPES[kind][0]}
        body |= {"groupName": "contactinformation"}
        body |= {"hasUniqueValue": unique, "options": [{"label": each, "value": each} for each in options]}
        self.properties[name] = _property(body, read_only=read_only)

    def add(self, email: str, properties: Mapping[str, str]) -> str:
        """Create a contact; properties that are not there become text properties."""
        for name in properties.keys() - self.properties.keys():
            self.define(name)
        contact = str(next(self._ids))
        values = {**properties, "email": email.lower(), "hs_object_id": contact}
        self.values[contact] = {name: value for name, value in values.items() if value}
        return contact

    def merge(self, keep: str, gone: str) -> None:
        """``gone`` vanishes; its address becomes an additional one of ``keep``."""
        lost = self.values.pop(gone)
        addresses = (self.values[keep].get("hs_additional_emails", ""), lost.get("email", ""))
        self.values[keep]["hs_additional_emails"] = ";".join(filter(None, addresses))

    # ------------------------------------------------------------ batches

    def read(self, _request: Request, body: Any) -> Response:
        inputs, by = _inputs(body), body.get("idProperty") or "hs_object_id"
        if by not in self.properties:
            raise invalid(f'Property "{by}" does not exist', errors=[{"code": "PROPERTY_DOESNT_EXIST"}])
        if by != "email" and not self.properties[by]["hasUniqueValue"]:
            raise invalid("Unable to perform read by non-unique 0-1 property")
        index = self._index(by)
        keys = [each["id"].lower() if by == "email" else each["id"] for each in inputs]
        found = dict.fromkeys(index[key] for key in keys if key in index)
        lost = [each["id"] for each, key in zip(inputs, keys, strict=True) if key not in index]
        wanted = {"hs_object_id", *body.get("properties", ())} & self.properties.keys()
        # HubSpot promises no order, so a client that counts on one should notice here.
        results = [self._record(contact, wanted) for contact in reversed(found)]
        return batch(results, [unknown(lost)] if lost else [])

    def update(self, request: Request, body: Any) -> Response:
        inputs = _inputs(body)
        for each in inputs:
            self._validate(each.get("properties") or {})
        refused = self._refuses(request, [each["id"] for each in inputs])
        lost = [each["id"] for each in inputs if each["id"] not in self.values and each["id"] not in refused]
        done = [each for each in inputs if each["id"] in self.values and each["id"] not in refused]
        for each in done:
            self.values[each["id"]] |= each["properties"]
        errors = [unknown(lost)] if lost else []
        errors += [
            {"status": "error", "category": code, "message": "refused", "context": {"ids": [row]}}
            for row, code in refused.items()
        ]
        return batch([self._record(each["id"], each["properties"]) for each in done], errors)

    def create(self, _request: Request, body: Any) -> Response:
        inputs = [each.get("properties") or {} for each in _rows(body)]
        for values in inputs:
            self._validate(values)
        unique = ["email", *(name for name, known in self.properties.items() if known["hasUniqueValue"])]
        for values, name in itertools.product(inputs, unique):
            holder = self._index(name).get(values.get(name, "").lower() if name == "email" else values.get(name, ""))
            if holder:  # only the first one is named, and nobody is created
                raise Problem(409, "CONFLICT", f"Contact already exists. Existing ID: {holder}")
        created = [self.add(values.get("email", ""), values) for values in inputs]
        return batch([self._record(contact, self.values[contact]) for contact in created], [], 201)

    def _index(self, by: str) -> Mapping[str, str]:
        index = {values[by]: contact for contact, values in self.values.items() if by in values}
        if by == "email":
            for contact, values in self.values.items():
                index |= dict.fromkeys(filter(None, values.get("hs_additional_emails", "").split(";")), contact)
        return index

    def _record(self, contact: str, wanted: Iterable[str]) -> dict[str, Any]:
        properties = {name: self.values[contact].get(name) for name in sorted(wanted)}
        return {"id": contact, "properties": properties, "createdAt": now(), "updatedAt": now(), "archived": False}

    def _validate(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            code = self._mistake(name, value)
            if code:
                detail = {"message": "was not valid", "code": code, "context": {"propertyName": [name]}}
                raise invalid(f"Property values were not valid: {value!r}", errors=[detail])

    def _mistake(self, name: str, value: Any) -> str:
        known = self.properties.get(name)
        if known is None:
            return "PROPERTY_DOESNT_EXIST"
        if known["modificationMetadata"]["readOnlyValue"]:
            return "READ_ONLY_VALUE"
        if not isinstance(value, str):
            return "INVALID_STRING"  # a property value is text, whatever the property's type
        if known["type"] == "number" and value and not _is_number(value):
            return "INVALID_DOUBLE"
        if known["type"] == "enumeration" and value and value not in {each["value"] for each in known["options"]}:
            return "INVALID_OPTION"
        return ""

    # ------------------------------------------------------------ properties

    def property(self, request: Request, _body: Any) -> Response:
        known = self.properties.get(request.path_params["name"])
        if known is None:
            raise not_found("Property")
        return JSONResponse(known)

    def create_property(self, _request: Request, body: Any) -> Response:
        require(body, "name", "label", "type", "fieldType", "groupName")
        name: str = body["name"]
        if not (name.isidentifier() and name.isascii() and name == name.lower()):
            raise invalid("A property's name is made of lower-case letters, digits and underscores.")
        if body["fieldType"] not in FIELD_TYPES.get(body["type"], ()):
            raise invalid("type and fieldType do not go together.")
        if body["groupName"] not in self.groups:
            raise invalid("The property group does not exist.")
        if name in self.properties:
            raise Problem(409, "OBJECT_ALREADY_EXISTS", f"A property named '{name}' already exists.")
        unique = sum(known["hasUniqueValue"] for known in self.properties.values()) - 1  # but for the record id
        if body.get("hasUniqueValue") and unique >= UNIQUE_PROPERTIES:
            raise invalid(f"An object has at most {UNIQUE_PROPERTIES} unique properties.")
        self.properties[name] = _property(body)
        return JSONResponse(self.properties[name], 201)

    def create_group(self, _request: Request, body: Any) -> Response:
        require(body, "name", "label")
        if body["name"] in self.groups:
            raise Problem(409, "OBJECT_ALREADY_EXISTS", f"A property group named '{body['name']}' already exists.")
        self.groups[body["name"]] = body["label"]
        return JSONResponse({"name": body["name"], "label": body["label"], "displayOrder": -1, "archived": False}, 201)


def _inputs(body: Any) -> list[dict[str, Any]]:
    inputs = _rows(body)
    if not all(isinstance(each.get("id"), str) for each in inputs):
        raise invalid("Each input needs an id.")
    times = Counter(each["id"].lower() for each in inputs)
    twice = [key for key, count in times.items() if count > 1]
    if twice:
        message = f"Duplicate IDs found in batch input: [{', '.join(twice)}]. IDs must be unique"
        raise invalid(message, context={"ids": twice})
    return inputs


def _rows(body: Any) -> list[dict[str, Any]]:
    require(body, "inputs")
    inputs: list[dict[str, Any]] = body["inputs"]
    if len(inputs) > BATCH:
        raise invalid(f"The batch has {len(inputs)} inputs; {BATCH} are allowed.")
    return inputs


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _property(body: Mapping[str, Any], *, read_only: bool = False) -> dict[str, Any]:
    metadata = {"archivable": True, "readOnlyDefinition": False, "readOnlyValue": read_only}
    defaults = {"hasUniqueValue": False, "description": "", "options": []}
    return {**defaults, **body, "archived": False, "modificationMetadata": metadata}
