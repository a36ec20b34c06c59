"""Finds people's contacts by batch look-ups, never by search: the search index lags behind (source: CRM search)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from leadup.types import Address, Contact, RemoteId, Unreachable
from leadup_connectors.hubspot.answers import Batch
from leadup_connectors.hubspot.batches import parts, sift
from leadup_connectors.hubspot.client import BATCH, HubSpotClient
from leadup_connectors.hubspot.settings import EMAIL, HubSpotSettings

CONTACT: Final = "contact"
"""Kind of the remote ids: a contact's record id."""
OTHER_EMAILS: Final = "hs_additional_emails"
"""The property with a contact's further addresses, which merges leave behind; separated by semicolons."""
SOON: Final = timedelta(minutes=10)
REMEMBERED: Final = 200_000
"""Most addresses of which it is remembered whose they are: some 40 MB."""


class People:
    """Finds contacts, and remembers those of the work that was foreseen."""

    def __init__(self, client: HubSpotClient, settings: HubSpotSettings, check_match: Callable[[], None]) -> None:
        """``check_match`` raises where the property that people are found by is not as it must be."""
        self._client, self._settings, self._check_match = client, settings, check_match
        self._foreseen = _Found()
        self._cut_short = False

    def foresee(self, people: Iterator[Contact]) -> None:
        """See :meth:`leadup.kit.Foreseeing.foresee`; after :meth:`forget`."""
        self._cut_short = True
        keys = (key for person in people for key in self._keys(person) if key not in self._foreseen.asked)
        for part in parts(_unique(keys), BATCH):
            self._look_up(part, self._foreseen)
            if len(self._foreseen.asked) >= REMEMBERED:
                break
        self._cut_short = False

    def forget(self) -> None:
        """Let what was foreseen no longer count, but for contacts that a look ahead found before it was cut short."""
        found = self._foreseen.contacts if self._cut_short else {}
        self._foreseen = _Found(asked=set(found), contacts=found)
        self._cut_short = False

    def addresses(self, people: Sequence[Contact]) -> list[Address | Unreachable]:
        """Say of each person, in order, where he is found. A person with several addresses may be several contacts."""
        wanted = [self._keys(person) for person in people]
        found = _Found()
        keys = (key for own in wanted for key in own if key not in self._foreseen.asked)
        for part in parts(sorted(set(keys)), BATCH):
            self._look_up(part, found)
        return [self._address(own, found) for own in wanted]

    def _keys(self, person: Contact) -> list[str]:
        """Return what HubSpot may be asked for. It knows no hashes, so an e-mail must be held in the clear."""
        if self._settings.match == EMAIL:
            values = [email.address.get_secret_value().strip().lower() for email in person.emails if email.address]
        else:
            values = [value.strip() for value in person.of(self._settings.kind)]
        return [value for value in values if value]

    def _address(self, keys: Sequence[str], found: _Found) -> Address | Unreachable:
        known = [self._foreseen if key in self._foreseen.asked else found for key in keys]
        contacts = {contact for key, of in zip(keys, known, strict=True) for contact in of.contacts.get(key, ())}
        if contacts:
            return Address(tuple(sorted(RemoteId(CONTACT, contact) for contact in contacts)))
        name = self._settings.match
        if not keys and name == EMAIL:
            return Unreachable(code="no_email", detail="No e-mail address of this person is known in the clear.")
        if not keys:
            return Unreachable(code="no_identifier", detail=f"This person has no {self._settings.kind}.")
        if any(key in of.unasked for key, of in zip(keys, known, strict=True)):
            return Unreachable(code="not_asked", detail="HubSpot refused too much else at once.", again=SOON)
        if any(key in of.refused for key, of in zip(keys, known, strict=True)):
            return Unreachable(code="refused", detail=f"HubSpot takes no such {name}.")
        return Unreachable(code="contact_not_found", detail=f"HubSpot has no contact with this {name}.")

    def _look_up(self, keys: Sequence[str], found: _Found) -> None:
        read = sift(keys, self._read, self._check_match)
        found.refused |= read.refused.keys()
        found.unasked |= set(read.unsent)
        unclear: set[str] = set()
        for asked, answer in read.answers:
            unclear |= found.take(asked, answer, self._settings.match)
        for key in sorted(unclear):
            alone = self._read([key])
            found.contacts[key] = tuple(alone.records)  # asked alone, the answer can be about nobody else
        found.asked.update(keys)  # only now: what an error cut short was not asked

    def _read(self, keys: Sequence[str]) -> Batch:
        wanted = [EMAIL, OTHER_EMAILS] if self._settings.match == EMAIL else [self._settings.match]
        return self._client.contacts.read(self._settings.match, keys, wanted)


def _unique(keys: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for key in keys:
        if key not in seen:
            seen.add(key)
            yield key


@dataclass(slots=True)
class _Found:
    """What look-ups brought, by the key that was asked for."""

    asked: set[str] = field(default_factory=set)
    contacts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    unasked: set[str] = field(default_factory=set)
    """Still mixed with bad ones when patience ended."""

    def take(self, asked: Sequence[str], answer: Batch, match: str) -> set[str]:
        """Note whose contacts these are, by value and never by position; return the keys for which that is not clear.

        A contact may answer under another address than the one that was asked for: merged contacts have several.
        """
        wanted, strangers = set(asked), False
        for contact, values in answer.records.items():
            told = [values.get(match) or ""]
            if match == EMAIL:
                told = [each.strip().lower() for each in (*told, *(values.get(OTHER_EMAILS) or "").split(";"))]
            strangers = strangers or not wanted.intersection(told)
            for key in wanted.intersection(told):
                self.contacts[key] = (*self.contacts.get(key, ()), contact)
        return wanted - self.contacts.keys() - answer.failed.keys() if strangers else set()
