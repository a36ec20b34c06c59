"""Contacts (source: CRM API, contacts)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from leadup_connectors.hubspot.sandbox.answers import Now, invalid, require
from leadup_connectors.hubspot.sandbox.objects import Objects, Refuses

STAGES = (
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "evangelist",
    "other",
)
"""Lifecycle stages, in their order."""
GIVEN: Mapping[str, Mapping[str, Any]] = {
    "email": {"unique": True},
    "firstname": {},
    "lastname": {},
    "phone": {},
    "company": {},
    "hubspot_owner_id": {},
    "lifecyclestage": {"kind": "enumeration", "options": STAGES, "field_type": "radio"},
    "hs_email_optout": {"kind": "bool", "read_only": True},
    "hs_marketable_status": {"kind": "bool", "read_only": True},
    "hs_google_click_id": {},
    "hs_additional_emails": {"read_only": True},
    "hs_merged_object_ids": {"read_only": True},
    "recent_conversion_event_name": {"read_only": True},
    "recent_conversion_date": {"kind": "datetime", "read_only": True},
}
MERGED = {"email", "hs_object_id", "hs_additional_emails", "hs_merged_object_ids"}
"""Properties for which a merge has rules of its own."""
SHOWN = ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname")


class Contacts(Objects):
    """All contacts of the account. E-mail addresses are unique, whatever their case."""

    name, type_id, kind, first = "contacts", "0-1", "CONTACT", 1501
    group, changed = ("contactinformation", "Contact information"), "lastmodifieddate"
    given, shown = GIVEN, SHOWN

    def __init__(self, now: Now, refuses: Refuses) -> None:
        super().__init__(now, refuses)
        self.vanished: Callable[[str], None] = lambda _contact: None
        """Told of each contact that a call deletes."""
        self.blocked: set[str] = set()
        """Addresses that a GDPR deletion has barred for ever."""
        self.wanted: set[str] = set()
        """Properties that the account wants of a new contact; HubSpot publishes no code for one that lacks them."""

    def refuse(self, values: Mapping[str, Any], record: str | None) -> None:
        super().refuse(values, record)
        if str(values.get("email", "")).strip().lower() in self.blocked:
            raise invalid("This contact was permanently deleted, and its email address can not be used again.")
        if record is None and (missing := sorted(self.wanted - {name for name, value in values.items() if value})):
            detail = {"message": "is required", "code": "REQUIRED_PROPERTY", "context": {"propertyName": missing}}
            raise invalid("Required properties are missing.", errors=[detail])

    def write(self, record: str, values: Mapping[str, str], at: datetime | None = None) -> None:
        """Set properties. The lifecycle stage does not move backward unless it was cleared before."""
        now, then = self.values[record].get("lifecyclestage", ""), values.get("lifecyclestage", "")
        if {now, then} <= {*STAGES} and STAGES.index(then) < STAGES.index(now):
            values = {**values, "lifecyclestage": now}
        super().write(record, values, at)

    def aliases(self, by: str, record: str) -> list[str]:
        return self.values[record].get("hs_additional_emails", "").split(";") if by == "email" else []

    def merge(self, keep: str, gone: str) -> None:
        """``gone`` vanishes; its addresses become additional ones of ``keep``, its values fill what is empty there."""
        addresses = [self.values[gone].get("email", ""), *self.aliases("email", gone)]
        theirs_alone = {
            name: value
            for name, value in self.values[gone].items()
            if not self.values[keep].get(name) and name in self.properties.known and name not in MERGED
        }
        self.remove(gone)
        theirs = [*self.aliases("email", keep), *addresses]
        for address in filter(None, addresses):
            self.alias("email", address, keep)
        merged = (self.values[keep].get("hs_merged_object_ids", ""), gone)
        self.write(
            keep,
            theirs_alone
            | {
                "hs_additional_emails": ";".join(filter(None, theirs)),
                "hs_merged_object_ids": ";".join(filter(None, merged)),
            },
        )

    def remove(self, record: str) -> None:
        """Let a contact vanish without a trace."""
        self.forget(record)
        del self.values[record], self.lives[record]

    def gdpr_delete(self, _request: Request, body: Any) -> Response:
        """Delete for good; an address that is nobody's goes on the blocklist (source: Contacts API, GDPR delete)."""
        require(body, "objectId")
        key, by = str(body["objectId"]), body.get("idProperty") or "hs_object_id"
        holder = self.find(by, key)
        if holder:
            self.remove(holder)
            self.vanished(holder)
        elif by == "email":
            self.blocked.add(key.strip().lower())
        return Response(status_code=204)
