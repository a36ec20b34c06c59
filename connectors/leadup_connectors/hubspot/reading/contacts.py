"""Contacts as facts: who is who, traits, and who opted out of e-mail.

A contact tells all of itself each time, and whatever changes it, leadup's own scores included: so its facts are
snapshots, of which the core takes what is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Final

from leadup.errors import NeedsHuman
from leadup.kit import did_you_mean
from leadup.types import Fact, Identifier, Json, Kind, Purpose
from leadup_connectors.hubspot.client import HubSpotClient
from leadup_connectors.hubspot.reading.brought import Brought, translated
from leadup_connectors.hubspot.records import Record
from leadup_connectors.hubspot.settings import EMAIL, HubSpotSettings

CHANGED: Final = "lastmodifieddate"
OPTED_OUT: Final = "hs_email_optout"
OTHER_EMAILS: Final = "hs_additional_emails"
MERGED: Final = "hs_merged_object_ids"
"""Ids of the contacts that were merged into this one."""
CLICKED: Final = "hs_google_click_id"
"""Source: HubSpot's default contact properties, "Google ad click id"."""
ALWAYS: Final = {"lifecycle_stage": "lifecyclestage", "owner": "hubspot_owner_id"}
"""Traits that are read of every contact, and HubSpot's names of them."""
MOST_MERGED: Final = 50
"""Addresses, and ids, of one contact that are taken."""
_TRUTH: Final = {"true": True, "false": False}


class Contacts:
    """Turns contacts into facts."""

    def __init__(self, connection: str, settings: HubSpotSettings, client: HubSpotClient) -> None:
        self._connection, self._settings, self._client = connection, settings, client

    @property
    def identifying(self) -> list[str]:
        """Properties that say who a contact is."""
        return [EMAIL, OTHER_EMAILS, MERGED, *self._user_ids]

    @property
    def properties(self) -> list[str]:
        """Properties that are read."""
        return [*dict.fromkeys([*self.identifying, OPTED_OUT, *ALWAYS.values(), *self._settings.traits])]

    def facts(self, contacts: Iterable[Record]) -> Brought:
        """Return what contacts say."""
        return translated(contacts, self._tell, lambda one: f"contacts/{one.id}")

    def endings(self, deleted: Iterable[Record]) -> Brought:
        """Return what it means that contacts were deleted: they say nothing any more.

        Who they were and that they opted out stays.
        """
        return translated(deleted, self._end, lambda one: f"contacts/{one.id}")

    def identifiers(self, contact: Record) -> tuple[Identifier, ...]:
        """Return all by which a contact is known; devices are none of it, since a contact does not say when."""
        emails = [contact.properties.get(EMAIL, ""), *contact.several(OTHER_EMAILS)[:MOST_MERGED]]
        return (
            *(
                Identifier(Kind.USER_ID, contact.properties[name])
                for name in self._user_ids
                if name in contact.properties
            ),
            *(Identifier(Kind.EMAIL, email) for email in emails if email),
            *(Identifier(Kind.HUBSPOT_ID, self._settings.id_of(one)) for one in self._ids(contact)),
        )

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """HubSpot's type of each trait of the settings.

        Raises:
            NeedsHuman: there is no such property, or none that a user id is to be read from.
        """
        named = dict.fromkeys(self._settings.traits, "traits") | dict.fromkeys(self._user_ids, "identifiers")
        if self._settings.kind is Kind.USER_ID:
            named[self._settings.match] = "match"
        if not named:
            return {}
        known = self._client.properties.all()
        in_forms = "forms" in self._settings.read  # where such a field may be one that contacts have not
        for name, setting in named.items():
            if name not in known and not (setting == "identifiers" and in_forms):
                hint = did_you_mean(name, known) or "."
                raise NeedsHuman(
                    f"HubSpot has no contact property {name!r}, which {setting} of connection {self._connection!r} "
                    f"names{hint}",
                    todo=f"write its internal name (HubSpot, Settings > Properties), or take it out of `{setting}`",
                )
        return {name: known[name].type for name in self._settings.traits}

    @property
    def _user_ids(self) -> list[str]:
        """Properties that hold a user id."""
        named = [self._settings.identifiers.get("user_id", "")]
        if self._settings.kind is Kind.USER_ID:
            named.append(self._settings.match)
        return [*dict.fromkeys(filter(None, named))]

    def _tell(self, contact: Record, brought: Brought) -> None:
        consent = {}
        if (out := _TRUTH.get(contact.properties.get(OPTED_OUT, ""))) is not None:
            consent[Purpose.EMAIL_MARKETING] = not out
        at = contact.instant(CHANGED)
        brought.records.append(self._fact(contact, at, self._traits(contact), consent))

    def _end(self, contact: Record, brought: Brought) -> None:
        assert contact.archived_at is not None
        brought.records.append(self._fact(contact, contact.archived_at, {}, {}))

    def _fact(self, contact: Record, at: datetime, traits: Mapping[str, Json], consent: Mapping[Purpose, bool]) -> Fact:
        return Fact(
            source=self._connection,
            at=at,
            identifiers=self.identifiers(contact),
            facts=traits,
            consent=consent,
            records=self._ids(contact),
        )

    def _ids(self, contact: Record) -> tuple[str, ...]:
        """A contact's id, and those of the contacts that were merged into it."""
        return (contact.id, *contact.several(MERGED)[:MOST_MERGED])

    def _traits(self, contact: Record) -> dict[str, Json]:
        """Traits by name; one that HubSpot leaves empty has no value."""
        always = {name: contact.properties.get(theirs) for name, theirs in ALWAYS.items()}
        return always | {name: _typed(contact.properties.get(name), kind) for name, kind in self.kinds.items()}


def _typed(value: str | None, kind: str) -> Json:
    """A value as its property's type has it: HubSpot writes all as text."""
    if value is None:
        return None
    if kind == "bool":
        return _TRUTH.get(value, value)
    if kind == "number":
        try:
            return int(value) if value.lstrip("-").isdecimal() else float(value)
        except ValueError:
            return value
    return value
