"""Custom events: their definitions, and occurrences (source: Events API, "Define" and "Send custom events")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from leadup.types import Json
from leadup_connectors.hubspot.answers import reading
from leadup_connectors.hubspot.client.caller import Caller
from leadup_connectors.hubspot.client.routes import Call

EVENTS: Final = 500
"""Most occurrences of a call."""


@dataclass(frozen=True, slots=True)
class EventInfo:
    """A defined event."""

    name: str
    full_name: str
    """With the account's prefix, as occurrences name it: ``pe4815162_demo``."""
    properties: frozenset[str]

    @classmethod
    def read(cls, answer: Any) -> EventInfo:
        """Read a definition."""
        with reading("look at an event"):
            properties = frozenset(str(each["name"]) for each in answer.get("properties") or ())
            return cls(str(answer["name"]), str(answer["fullyQualifiedName"]), properties)


class Events:
    """Calls about custom events."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def find(self, name: str) -> EventInfo | None:
        """Return the event with this name."""
        found = self._caller.find(Call.FIND_EVENT, event=name)
        return None if found is None else EventInfo.read(found)

    def create(self, name: str, label: str, properties: Mapping[str, str]) -> EventInfo:
        """Define an event of contacts. ``properties``: type ("number", "string") by name."""
        defined: Json = [_property(*one) for one in properties.items()]
        body: dict[str, Json] = {"name": name, "label": label, "primaryObject": "CONTACT"}
        body |= {"includeDefaultProperties": False, "propertyDefinitions": defined}
        return EventInfo.read(self._caller.ask(Call.CREATE_EVENT, body))

    def add_property(self, event: str, name: str, kind: str) -> None:
        """Give an event one more property."""
        self._caller.ask(Call.CREATE_EVENT_PROPERTY, _property(name, kind), event=event)

    def send(self, occurrences: Sequence[Mapping[str, Json]]) -> None:
        """Send occurrences. HubSpot says that it took them, not that it found whose they are."""
        inputs: Json = [dict(one) for one in occurrences]
        self._caller.ask(Call.SEND_EVENTS, {"inputs": inputs})


def _property(name: str, kind: str) -> Mapping[str, Json]:
    return {"name": name, "label": name, "type": kind}
