"""The one table that knows HubSpot's paths: each call in version 3 of the API and in the dated form that follows it.

HubSpot supports version 3 until September 2027; a dated version for 18 months (source: changelog, "Legacy APIs and
legacy apps"; API reference, "Overview"). The two have the same bodies and answers (source: the OpenAPI files of both).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final
from urllib.parse import quote

SUPPORTED_UNTIL: Final = {"v3": date(2027, 9, 1), "2026-03": date(2027, 9, 1)}
"""When each version becomes unsupported (source: changelog, "Legacy APIs and legacy apps"; "Developer platform and API
versioning": 18 months after its release). It then gets no more fixes; when it stops to answer is not said."""


@dataclass(frozen=True, slots=True)
class Route:
    """One call. ``{names}`` in a path are filled with :attr:`leadup_connectors.hubspot.client.wire.Request.place`."""

    what: str
    """What it asks for, as a verb: "create a list"."""
    method: str
    v3: str
    dated: str
    """With ``{version}``."""
    repeat: bool = True
    """Whether doing it twice does no harm."""
    search: bool = False
    """Whether it is one of the CRM search's, of which there may be few in a second."""

    def path(self, api: str, place: Mapping[str, str]) -> str:
        """Return the path in a version of the API: ``v3``, or a dated one."""
        filled = {name: quote(value, safe="") for name, value in place.items()}
        return self.v3.format(**filled) if api == "v3" else self.dated.format(version=api, **filled)


_LISTS, _LISTS_DATED = "/crm/v3/lists", "/crm/lists/{version}"
_CONTACTS, _CONTACTS_DATED = "/crm/v3/objects/contacts", "/crm/objects/{version}/contacts"
_OBJECTS, _OBJECTS_DATED = "/crm/v3/objects/{objects}", "/crm/objects/{version}/{objects}"
_SUBMISSIONS = "/form-integrations/v1/submissions/forms"
_PROPERTIES, _PROPERTIES_DATED = "/crm/v3/properties/contacts", "/crm/properties/{version}/contacts"

_EVENTS, _EVENTS_DATED = "/events/v3/event-definitions", "/events/{version}/event-definitions"


class Call(enum.Enum):
    """The calls that leadup makes."""

    ACCOUNT = Route("tell the account's details", "GET", "/account-info/v3/details", "/account-info/{version}/details")

    FIND_LIST = Route(
        "find a list",
        "GET",
        f"{_LISTS}/object-type-id/{{type}}/name/{{name}}",
        f"{_LISTS_DATED}/object-type-id/{{type}}/name/{{name}}",
    )
    GET_LIST = Route("look at a list", "GET", f"{_LISTS}/{{list}}", f"{_LISTS_DATED}/{{list}}")
    SEARCH_LISTS = Route("search for lists", "POST", f"{_LISTS}/search", f"{_LISTS_DATED}/search")
    CREATE_LIST = Route("create a list", "POST", _LISTS, _LISTS_DATED, repeat=False)
    MEMBERS = Route(
        "tell who is in a list", "GET", f"{_LISTS}/{{list}}/memberships", f"{_LISTS_DATED}/{{list}}/memberships"
    )
    CHANGE_LIST = Route(
        "change who is in a list",
        "PUT",
        f"{_LISTS}/{{list}}/memberships/add-and-remove",
        f"{_LISTS_DATED}/{{list}}/memberships/add-and-remove",
    )
    FOLDERS = Route("tell the folders of lists", "GET", f"{_LISTS}/folders", f"{_LISTS_DATED}/folders")
    CREATE_FOLDER = Route(
        "create a folder of lists", "POST", f"{_LISTS}/folders", f"{_LISTS_DATED}/folders", repeat=False
    )

    READ_CONTACTS = Route("look contacts up", "POST", f"{_CONTACTS}/batch/read", f"{_CONTACTS_DATED}/batch/read")
    UPSERT_CONTACTS = Route("create contacts", "POST", f"{_CONTACTS}/batch/upsert", f"{_CONTACTS_DATED}/batch/upsert")
    UPDATE_CONTACTS = Route("update contacts", "POST", f"{_CONTACTS}/batch/update", f"{_CONTACTS_DATED}/batch/update")

    LIST_PROPERTIES = Route("list the properties", "GET", _PROPERTIES, _PROPERTIES_DATED)
    FIND_PROPERTY = Route("find a property", "GET", f"{_PROPERTIES}/{{name}}", f"{_PROPERTIES_DATED}/{{name}}")
    CREATE_PROPERTY = Route("create a property", "POST", _PROPERTIES, _PROPERTIES_DATED, repeat=False)
    UPDATE_PROPERTY = Route("change a property", "PATCH", f"{_PROPERTIES}/{{name}}", f"{_PROPERTIES_DATED}/{{name}}")
    CREATE_GROUP = Route(
        "create a property group", "POST", f"{_PROPERTIES}/groups", f"{_PROPERTIES_DATED}/groups", repeat=False
    )

    LIST_RECORDS = Route("list records", "GET", _OBJECTS, _OBJECTS_DATED)
    SEARCH_RECORDS = Route("search for records", "POST", f"{_OBJECTS}/search", f"{_OBJECTS_DATED}/search", search=True)
    READ_RECORDS = Route("read records", "POST", f"{_OBJECTS}/batch/read", f"{_OBJECTS_DATED}/batch/read")
    READ_ASSOCIATIONS = Route(
        "read who belongs to deals",
        "POST",
        "/crm/v4/associations/{from}/{to}/batch/read",
        "/crm/associations/{version}/{from}/{to}/batch/read",
    )
    PIPELINES = Route("read the pipelines", "GET", "/crm/v3/pipelines/{objects}", "/crm/pipelines/{version}/{objects}")
    # Of forms there is no dated version before 2026-09, which is a beta, and of submissions none at all.
    LIST_FORMS = Route("list the forms", "GET", "/marketing/v3/forms", "/marketing/v3/forms")
    LIST_SUBMISSIONS = Route("read what forms brought", "GET", f"{_SUBMISSIONS}/{{form}}", f"{_SUBMISSIONS}/{{form}}")

    # Twice does no harm where each occurrence has a uuid.
    SEND_EVENTS = Route("send events", "POST", "/events/v3/send/batch", "/events/{version}/send/batch")
    FIND_EVENT = Route("find an event", "GET", f"{_EVENTS}/{{event}}", f"{_EVENTS_DATED}/{{event}}")
    CREATE_EVENT = Route("define an event", "POST", _EVENTS, _EVENTS_DATED, repeat=False)
    CREATE_EVENT_PROPERTY = Route(
        "define a property of an event",
        "POST",
        f"{_EVENTS}/{{event}}/property",
        f"{_EVENTS_DATED}/{{event}}/property",
        repeat=False,
    )

    @property
    def what(self) -> str:
        """What it asks for, as a verb."""
        return str(self.value.what)
