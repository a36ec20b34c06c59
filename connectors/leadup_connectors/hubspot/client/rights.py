"""Which scopes a token has, asked by calls that change nothing (source: Scopes; API reference of each call).

Each one is about something that is not there, or holds no rows: HubSpot looks at the scopes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from leadup.types import Json
from leadup_connectors.hubspot.answers import CONTACTS, Denied, HubSpotRefused
from leadup_connectors.hubspot.client.caller import Caller
from leadup_connectors.hubspot.client.routes import Call
from leadup_connectors.hubspot.client.wire import Request

LISTS_READ: Final = "crm.lists.read"
LISTS_WRITE: Final = "crm.lists.write"
CONTACTS_READ: Final = "crm.objects.contacts.read"
CONTACTS_WRITE: Final = "crm.objects.contacts.write"
SCHEMAS_WRITE: Final = "crm.schemas.contacts.write"
DEALS_READ: Final = "crm.objects.deals.read"
FORMS: Final = "forms"
EVENTS_SEND: Final = "analytics.behavioral_events.send"
EVENTS_DEFINE: Final = "behavioral_events.event_definitions.read_write"

_NO_LIST: Final = "0"
"""No list has this id: it is that of the root of folders."""
_NOBODY: Final[Mapping[str, Json]] = {"inputs": [], "properties": [], "propertiesWithHistory": []}
_ASKS: Final[Mapping[str, Request]] = {
    LISTS_READ: Request(Call.FIND_LIST, {"name": "leadup", "type": CONTACTS}),
    LISTS_WRITE: Request(Call.CHANGE_LIST, {"list": _NO_LIST}, body={"recordIdsToAdd": [], "recordIdsToRemove": []}),
    CONTACTS_READ: Request(Call.READ_CONTACTS, body=_NOBODY),
    CONTACTS_WRITE: Request(Call.UPDATE_CONTACTS, body={"inputs": []}),
    SCHEMAS_WRITE: Request(Call.CREATE_PROPERTY, body={}),
    DEALS_READ: Request(Call.READ_RECORDS, {"objects": "deals"}, body=_NOBODY),
    FORMS: Request(Call.LIST_FORMS, query={"limit": 1}),
    EVENTS_SEND: Request(Call.SEND_EVENTS, body={"inputs": []}),
    EVENTS_DEFINE: Request(Call.FIND_EVENT, {"event": "leadup"}),
}


class Rights:
    """Calls about what a token may do."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def has(self, scope: str) -> bool:
        """Ask whether the token has a scope, one of those above.

        Raises:
            TryLater: HubSpot does not say now.
            Denied: the token is not valid.
        """
        try:
            self._caller.send(_ASKS[scope])
        except HubSpotRefused:
            return True
        except Denied as denied:
            if denied.status != 403:
                raise
            return bool(denied.scopes) and scope not in denied.scopes  # another one may be needed as well
        return True
