"""Contacts in batches, and the properties they may have (source: CRM API, contacts and properties)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from leadup.types import Json
from leadup_connectors.hubspot.answers import Batch, HubSpotRefused, PropertyInfo
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

    def update(self, rows: Mapping[str, Mapping[str, str]]) -> Batch:
        """Write properties by contact id. ``failed`` is by contact id."""
        inputs: Json = [{"id": contact, "properties": dict(values)} for contact, values in rows.items()]
        return Batch.read(self._caller.ask(Call.UPDATE_CONTACTS, {"inputs": inputs}))


class Properties:
    """Calls about contact properties."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

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

    def create(self, name: str, *, label: str, group: str, number: bool) -> PropertyInfo:
        """Create a contact property for numbers or for text."""
        kind, field_type = ("number", "number") if number else ("string", "text")
        body = {"name": name, "label": label, "groupName": group, "type": kind, "fieldType": field_type}
        return PropertyInfo.read(self._caller.ask(Call.CREATE_PROPERTY, body))
