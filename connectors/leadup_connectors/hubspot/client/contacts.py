"""Contacts in batches, and the properties they may have (source: CRM API, contacts and properties)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from leadup.outgoing import ValueKind
from leadup.types import Json
from leadup_connectors.hubspot.answers import Batch, HubSpotRefused, PropertyInfo, reading
from leadup_connectors.hubspot.client.caller import Caller
from leadup_connectors.hubspot.client.routes import Call

BATCH: Final = 100
"""Most contacts of a batch (source: CRM API, contacts)."""


class Contacts:
    """Calls about contacts."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def read(self, by: str, keys: Sequence[str], properties: Sequence[str]) -> Batch:
        """Look contacts up by a unique property. ``failed`` is by key."""
        inputs = [{"id": key} for key in keys]
        wanted = {"idProperty": by, "properties": list(properties), "propertiesWithHistory": []}
        return Batch.read(self._caller.ask(Call.READ_CONTACTS, {**wanted, "inputs": inputs}))

    def read_records(self, contacts: Sequence[str], properties: Sequence[str]) -> Batch:
        """Read contacts by their record ids. ``failed`` is by contact id."""
        wanted = {"properties": list(properties), "propertiesWithHistory": []}
        inputs: Json = [{"id": contact} for contact in contacts]
        return Batch.read(self._caller.ask(Call.READ_CONTACTS, {**wanted, "inputs": inputs}))

    def upsert(self, emails: Sequence[str]) -> Batch:
        """Create contacts by e-mail; those that are there are left as they are. ``failed`` is by address."""
        inputs: Json = [{"id": email, "idProperty": "email", "properties": {"email": email}} for email in emails]
        return Batch.read(self._caller.ask(Call.UPSERT_CONTACTS, {"inputs": inputs}))

    def update(self, rows: Mapping[str, Mapping[str, str]]) -> Batch:
        """Write properties by contact id. ``failed`` is by contact id."""
        inputs: Json = [{"id": contact, "properties": dict(values)} for contact, values in rows.items()]
        return Batch.read(self._caller.ask(Call.UPDATE_CONTACTS, {"inputs": inputs}))


class Properties:
    """Calls about contact properties."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def all(self) -> dict[str, PropertyInfo]:
        """Return all contact properties, by name."""
        answer = self._caller.ask(Call.LIST_PROPERTIES)
        with reading(Call.LIST_PROPERTIES.what):
            return {found.name: found for found in map(PropertyInfo.read, answer["results"])}

    def find(self, name: str) -> PropertyInfo | None:
        """Return the contact property with this name."""
        found = self._caller.find(Call.FIND_PROPERTY, name=name)
        return None if found is None else PropertyInfo.read(found)

    def ensure_group(self, name: str, label: str) -> None:
        """Create a group of contact properties unless it is there."""
        try:
            self._caller.ask(Call.CREATE_GROUP, {"name": name, "label": label})
        except HubSpotRefused as refused:
            if refused.status != 409:
                raise

    def create(
        self, name: str, *, label: str, group: str, values: ValueKind, options: Sequence[str] = ()
    ) -> PropertyInfo:
        """Create a contact property for such values."""
        kind, field_type = _MADE_AS[values]
        body: dict[str, Json] = {"name": name, "label": label, "groupName": group}
        body |= {"type": kind, "fieldType": field_type}
        if options:
            body["options"] = _options((), options)
        return PropertyInfo.read(self._caller.ask(Call.CREATE_PROPERTY, body))

    def add_options(self, to: PropertyInfo, options: Sequence[str]) -> None:
        """Give an enumeration those of these options that it has not. All that it has go along, or they would go."""
        self._caller.ask(Call.UPDATE_PROPERTY, {"options": _options(to.options, options)}, name=to.name)


_MADE_AS: Final[Mapping[ValueKind, tuple[str, str]]] = {
    ValueKind.NUMBER: ("number", "number"),
    ValueKind.TEXT: ("string", "text"),
    ValueKind.INSTANT: ("datetime", "date"),
    ValueKind.CHOICES: ("enumeration", "checkbox"),
}
"""HubSpot's ``type`` and ``fieldType`` (source: CRM API, "Properties")."""


def _options(there: Sequence[Mapping[str, Any]], wanted: Sequence[str]) -> list[Json]:
    """Return the options that are there, and after them those that are missing."""
    known = {option["value"] for option in there}
    last = max((int(option.get("displayOrder") or 0) for option in there), default=-1)
    fresh = [name for name in wanted if name not in known]
    added: list[Json] = [
        {"label": name, "value": name, "displayOrder": place, "hidden": False}
        for place, name in enumerate(fresh, start=last + 1)
    ]
    return [*map(dict, there), *added]
