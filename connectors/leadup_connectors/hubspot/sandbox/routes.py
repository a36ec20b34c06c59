"""Where each call is: one table, with the paths of version 3 and those of the dated version.

Sources: HubSpot's OpenAPI files (HubSpot-public-api-spec-collection), v3 and 2026-03 of each API. Bodies and answers
are the same but where a handler asks for ``request.state.dated``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

DATED = "2026-03"
PLACES = {
    "account": ("/account-info/v3", f"/account-info/{DATED}"),
    "lists": ("/crm/v3/lists", f"/crm/lists/{DATED}"),
    "objects": ("/crm/v3/objects/{object}", f"/crm/objects/{DATED}/{{object}}"),
    "properties": ("/crm/v3/properties/{object}", f"/crm/properties/{DATED}/{{object}}"),
    "pipelines": ("/crm/v3/pipelines/{object}", f"/crm/pipelines/{DATED}/{{object}}"),
    "associations": ("/crm/v4/associations/{from}/{to}", f"/crm/associations/{DATED}/{{from}}/{{to}}"),
    "owners": ("/crm/v3/owners", f"/crm/owners/{DATED}"),
    "events": ("/events/v3", f"/events/{DATED}"),
    "forms": ("/marketing/v3/forms", "/marketing/forms/2026-09-beta"),
    "submissions": ("/form-integrations/v1/submissions/forms",),
}
"""Where an area lies in version 3 and in the dated version; forms have no dated place but in a beta."""


class Call(NamedTuple):
    """One call. ``scopes``: all are needed, of ``a|b`` one; ``{area}`` is the object type's."""

    verb: str
    area: str
    tail: str
    handler: str
    """Name of the part of the account that answers, and of its method."""
    scopes: tuple[str, ...] = ()

    def paths(self) -> Iterator[tuple[str, bool]]:
        """Yield the call's paths, and whether each is dated. An area itself may be asked with a slash at its end."""
        for dated, place in enumerate(PLACES[self.area]):
            yield place + self.tail, bool(dated)
            if not self.tail:
                yield place + "/", bool(dated)


READ, WRITE = ("crm.lists.read",), ("crm.lists.read", "crm.lists.write")
GET_RECORDS, SET_RECORDS = ("crm.objects.{object}.read",), ("crm.objects.{object}.write",)
GET_SCHEMA = ("crm.objects.{object}.read|crm.schemas.{object}.read",)
SET_SCHEMA = ("crm.schemas.{object}.write",)
SEND_EVENTS = ("analytics.behavioral_events.send",)
DEFINE_EVENTS = ("behavioral_events.event_definitions.read_write",)

CALLS = (
    Call("GET", "account", "/details", "account.details"),
    Call("GET", "account", "/api-usage/daily/private-apps", "account.usage"),
    Call("POST", "lists", "", "lists.create", ("crm.lists.write",)),
    Call("GET", "lists", "", "lists.by_ids", READ),
    Call("POST", "lists", "/search", "lists.search", READ),
    Call("GET", "lists", "/folders", "folders.one", READ),
    Call("POST", "lists", "/folders", "folders.create", WRITE),
    Call("PUT", "lists", "/folders/move-list", "lists.move", WRITE),
    Call("PUT", "lists", "/folders/{folder}/rename", "folders.rename", WRITE),
    Call("PUT", "lists", "/folders/{folder}/move/{parent}", "folders.move", WRITE),
    Call("DELETE", "lists", "/folders/{folder}", "folders.delete", WRITE),
    Call("GET", "lists", "/idmapping", "lists.mapping", READ),
    Call("POST", "lists", "/idmapping", "lists.mappings", READ),
    Call("GET", "lists", "/object-type-id/{type}/name/{name:path}", "lists.by_name", READ),
    Call("GET", "lists", "/records/{type}/{record}/memberships", "lists.of_record", READ),
    Call("GET", "lists", "/{id}", "lists.by_id", READ),
    Call("DELETE", "lists", "/{id}", "lists.delete", WRITE),
    Call("PUT", "lists", "/{id}/restore", "lists.restore", WRITE),
    Call("PUT", "lists", "/{id}/update-list-name", "lists.rename", WRITE),
    Call("GET", "lists", "/{id}/memberships", "lists.memberships", READ),
    Call("DELETE", "lists", "/{id}/memberships", "lists.clear", WRITE),
    Call("GET", "lists", "/{id}/memberships/join-order", "lists.by_time", READ),
    Call("PUT", "lists", "/{id}/memberships/add", "lists.join", WRITE),
    Call("PUT", "lists", "/{id}/memberships/remove", "lists.leave", WRITE),
    Call("PUT", "lists", "/{id}/memberships/add-and-remove", "lists.join_and_leave", WRITE),
    Call("POST", "objects", "/batch/read", "objects.read", GET_RECORDS),
    Call("POST", "objects", "/batch/create", "objects.create", SET_RECORDS),
    Call("POST", "objects", "/batch/update", "objects.update", SET_RECORDS),
    Call("POST", "objects", "/batch/upsert", "objects.upsert", SET_RECORDS),
    Call("POST", "objects", "/gdpr-delete", "objects.gdpr_delete", SET_RECORDS),
    Call("POST", "objects", "/search", "objects.search", GET_RECORDS),
    Call("GET", "objects", "", "objects.page", GET_RECORDS),
    Call("GET", "objects", "/{record}", "objects.one", GET_RECORDS),
    Call("GET", "pipelines", "", "pipelines.list", GET_SCHEMA),
    Call("GET", "pipelines", "/{pipeline}", "pipelines.one", GET_SCHEMA),
    Call("GET", "pipelines", "/{pipeline}/stages", "pipelines.stages_of", GET_SCHEMA),
    Call("POST", "associations", "/batch/read", "associations.read", ("crm.objects.{from}.read",)),
    Call("GET", "owners", "", "owners.list", ("crm.objects.owners.read",)),
    Call("GET", "owners", "/{owner}", "owners.one", ("crm.objects.owners.read",)),
    Call("GET", "forms", "", "forms.list", ("forms",)),
    Call("GET", "forms", "/{form}", "forms.one", ("forms",)),
    Call("GET", "submissions", "/{form}", "forms.submissions", ("forms",)),
    Call("POST", "events", "/send", "events.send", SEND_EVENTS),
    Call("POST", "events", "/send/batch", "events.send_batch", SEND_EVENTS),
    Call("GET", "events", "/event-definitions", "events.all", DEFINE_EVENTS),
    Call("POST", "events", "/event-definitions", "events.create", DEFINE_EVENTS),
    Call("GET", "events", "/event-definitions/{event}", "events.one", DEFINE_EVENTS),
    Call("PATCH", "events", "/event-definitions/{event}", "events.update", DEFINE_EVENTS),
    Call("DELETE", "events", "/event-definitions/{event}", "events.delete", DEFINE_EVENTS),
    Call("POST", "events", "/event-definitions/{event}/property", "events.add_property", DEFINE_EVENTS),
    Call("GET", "properties", "", "properties.all", GET_SCHEMA),
    Call("POST", "properties", "", "properties.create", SET_SCHEMA),
    Call("GET", "properties", "/groups", "properties.all_groups", GET_SCHEMA),
    Call("POST", "properties", "/groups", "properties.create_group", SET_SCHEMA),
    Call("GET", "properties", "/{name}", "properties.one", GET_SCHEMA),
    Call("PATCH", "properties", "/{name}", "properties.update", SET_SCHEMA),
)
