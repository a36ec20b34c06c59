"""Finds people's contacts by batch look-ups, never by search: the search index lags behind (source: CRM search)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from leadup.outgoing import Address, Contact, RemoteId, Unreachable
from leadup.types import Kind
from leadup_connectors.hubspot.answers import HOUR, Batch
from leadup_connectors.hubspot.batches import parts, sift
from leadup_connectors.hubspot.client import BATCH, HubSpotClient
from leadup_connectors.hubspot.named import lasts
from leadup_connectors.hubspot.settings import EMAIL, HubSpotSettings

CONTACT: Final = "contact"
"""Kind of the remote ids: a contact's record id."""
OTHER_EMAILS: Final = "hs_additional_emails"
"""The property with a contact's further addresses, which merges leave behind; separated by semicolons."""
OPT_OUT: Final = "hs_email_optout"
"""The property that says whether a contact opted out of all e-mail."""
SOON: Final = timedelta(minutes=10)
DAY: Final = timedelta(hours=24)
MARKETING: Final = (
    "People whom HubSpot does not know become contacts. Whether these are marketing contacts, which cost money, is set "
    "in HubSpot: Settings > Integrations > Marketing contacts."
)
"""Source: HubSpot's knowledge base, "Manage marketing contacts settings for your integrations"."""
CREATION: Final = 2
"""Calls that creating a batch of contacts takes: one creates them, one finds them."""
FRESH: Final = timedelta(minutes=15)
"""How long a look-up counts for what has waited since before it: trouble with a list lets people wait."""
_UNDATED: Final = datetime.max.replace(tzinfo=UTC)
"""Of look-ups for the moment, which nobody remembers."""
REMEMBERED: Final = 200_000
"""Most addresses of which it is remembered whose they are: some 40 MB."""


class People:
    """Finds contacts, and remembers those of the work that was foreseen."""

    def __init__(
        self,
        client: HubSpotClient,
        settings: HubSpotSettings,
        check_match: Callable[[], None],
        besides: Sequence[str] = (),
    ) -> None:
        """``check_match`` raises where the property that people are found by is not as it must be.

        ``besides``: other properties that are read with the same calls.
        """
        self._client, self._settings, self._check_match, self._besides = client, settings, check_match, besides
        self.told: dict[str, Mapping[str, str | None]] = {}
        """By contact, what the properties ``besides`` hold, of all that were looked at."""
        self._foreseen = _Found()
        """What the look ahead brought for the work at hand."""
        self._earlier = _Found()
        """What earlier ones brought, and nobody has asked for since."""

    def foresee(self, people: Iterator[tuple[Contact, datetime]], now: datetime) -> None:
        """See :meth:`leadup.kit.Foreseeing.foresee`. A look ahead that was cut short goes on where it ended."""
        self._earlier.add(self._foreseen)
        self._earlier.keep({key for key, at in self._earlier.asked.items() if now - FRESH < at <= now})
        self._foreseen = _Found()
        for part in parts(_unique(self._unanswered(people)), BATCH):
            self._look_up(part, self._foreseen, now)
            if len(self._foreseen.asked) >= REMEMBERED:
                break

    def _unanswered(self, people: Iterator[tuple[Contact, datetime]]) -> Iterator[str]:
        """Yield what is to be asked; answers that are younger than all that waits still count."""
        earlier = self._earlier
        for person, since in people:
            for key in self._keys(person):
                if key in earlier.asked and earlier.asked[key] >= since:
                    earlier.move(key, self._foreseen)
                elif key not in self._foreseen.asked:
                    yield key

    def lose(self, contacts: Collection[str]) -> None:
        """Remember these contacts no longer: HubSpot does not take them as they were found."""
        lost = {key for key, found in self._foreseen.contacts.items() if not frozenset(contacts).isdisjoint(found)}
        self._foreseen.drop(lost)

    def addresses(self, people: Sequence[Contact], *, joining: bool = False) -> list[Address | Unreachable]:
        """Say of each person, in order, where he is found. A person with several addresses may be several contacts.

        ``joining``: who opted out of e-mail is not to be found. Who is not found by a key may be so by a record id.
        """
        wanted = [self._keys(person) for person in people]
        found = _Found()
        keys = (key for own in wanted for key in own if key not in self._foreseen.asked)
        for part in parts(sorted(set(keys)), BATCH):
            self._look_up(part, found, _UNDATED)
        lost = (person for person, own in zip(people, wanted, strict=True) if not self._contacts(own, found))
        ids = {record for person in lost for record in self._records(person)}
        for part in parts(sorted(ids, key=int), BATCH):
            self._look_at(part, found)
        return [
            self._address(
                self._contacts(own, found) or found.records & self._records(person), own, found, joining=joining
            )
            for person, own in zip(people, wanted, strict=True)
        ]

    def create(self, people: Sequence[Contact], *, joining: bool = False) -> list[Address | Unreachable]:
        """Create contacts of people who were not found, by their first e-mail address; answer as :meth:`addresses`.

        An address on HubSpot's blocklist is refused for good: its contact was deleted for privacy.
        """
        first = [(self._keys(person) or [""])[0] for person in people]
        refused: dict[str, str] = {}
        doubted: dict[str, str] = {}
        about: dict[str, frozenset[str]] = {}
        for part in parts(sorted({email for email in first if email}), BATCH):
            sent = sift(part, self._client.contacts.upsert, _nothing)
            refused |= sent.refused
            doubted |= sent.doubted
            about |= sent.about
            for _, answer in sent.answers:
                refused |= answer.failed
                about |= answer.about
        self._look_again(first)
        answers = self.addresses(people, joining=joining)
        told = {
            email: _not_created(code, about.get(email, frozenset()), sure=email in refused)
            for email, code in {**doubted, **refused}.items()
        }
        return [
            told.get(email, answer) if isinstance(answer, Unreachable) else answer
            for email, answer in zip(first, answers, strict=True)
        ]

    def _look_again(self, keys: Iterable[str]) -> None:
        """Look once more for those whom the look ahead did not find; what else they wait for need not ask again."""
        before = {key: at for key in keys if (at := self._foreseen.asked.get(key)) is not None}
        self._foreseen.drop(before)
        for part in parts(sorted(before), BATCH):
            self._look_up(part, self._foreseen, min(before[key] for key in part))

    def _keys(self, person: Contact) -> list[str]:
        """Return what HubSpot may be asked for. It knows no hashes, so an e-mail must be held in the clear."""
        if self._settings.match == EMAIL:
            values = [email.address.get_secret_value().strip().lower() for email in person.emails if email.address]
        else:
            values = [value.strip() for value in person.of(self._settings.kind)]
        return [value for value in values if value]

    def _records(self, person: Contact) -> set[str]:
        """Record ids of this account that a person is known by."""
        return {record for one in person.of(Kind.HUBSPOT_ID) if (record := self._settings.record_of(one))}

    def _contacts(self, keys: Sequence[str], found: _Found) -> set[str]:
        known = [self._foreseen if key in self._foreseen.asked else found for key in keys]
        return {contact for key, of in zip(keys, known, strict=True) for contact in of.contacts.get(key, ())}

    def _address(
        self, contacts: Collection[str], keys: Sequence[str], found: _Found, *, joining: bool
    ) -> Address | Unreachable:
        known = [self._foreseen if key in self._foreseen.asked else found for key in keys]
        heeds = joining and self._settings.respect_opt_outs
        place = Address(tuple(sorted(RemoteId(CONTACT, contact) for contact in contacts)))
        if heeds and any(contact in self._foreseen.opted_out or contact in found.opted_out for contact in contacts):
            return Unreachable(code="opted_out", detail="The contact opted out of all e-mail in HubSpot.", at=place)
        if contacts:
            return place
        name = self._settings.match
        if not keys and name == EMAIL:
            return Unreachable(code="no_email", detail="No e-mail address of this person is known in the clear.")
        if not keys:
            return Unreachable(code="no_identifier", detail=f"This person has no {self._settings.kind}.")
        if any(key in of.unasked for key, of in zip(keys, known, strict=True)):
            return Unreachable(
                code="not_asked", detail="HubSpot refused too much else at once.", again=SOON, unsure=True
            )
        if again := [of.refused[key] for key, of in zip(keys, known, strict=True) if key in of.refused]:
            wait = min(again)  # an hour only where it is not sure that the key is at fault
            return Unreachable(code="refused", detail=f"HubSpot takes no such {name}.", again=wait, unsure=wait < DAY)
        detail = f"HubSpot has no contact with this {name}."
        return Unreachable(code="contact_not_found", detail=detail, creatable=joining and self._settings.create_missing)

    def _look_up(self, keys: Sequence[str], found: _Found, at: datetime) -> None:
        read = sift(keys, self._read, self._check_match)
        found.refused |= dict.fromkeys(read.refused, DAY) | dict.fromkeys(read.doubted, HOUR)
        found.unasked |= set(read.unsent)
        unclear: set[str] = set()
        for asked, answer in read.answers:
            unclear |= found.take(asked, answer, self._settings.match)
        for key in sorted(unclear):
            alone = self._read([key])
            found.contacts[key] = tuple(alone.records)  # asked alone, the answer can be about nobody else
        found.asked |= dict.fromkeys(keys, at)  # only now: what an error cut short was not asked

    def _look_at(self, records: Sequence[str], found: _Found) -> None:
        """See which of these record ids still are contacts' own."""
        wanted = [OPT_OUT, *self._besides]
        read = sift(records, lambda ids: self._client.contacts.read_records(ids, wanted), _nothing)
        for asked, answer in read.answers:
            self._note(answer)
            found.records |= answer.records.keys() & set(asked)
            found.note_opt_outs(answer)

    def _read(self, keys: Sequence[str]) -> Batch:
        wanted = [EMAIL, OTHER_EMAILS] if self._settings.match == EMAIL else [self._settings.match]
        if self._settings.respect_opt_outs:
            wanted.append(OPT_OUT)
        answer = self._client.contacts.read(self._settings.match, keys, [*wanted, *self._besides])
        self._note(answer)
        return answer

    def _note(self, answer: Batch) -> None:
        if self._besides:
            self.told |= {one: {name: held.get(name) for name in self._besides} for one, held in answer.records.items()}


def _nothing() -> None:
    """There is nothing else than a row that could be at fault."""


def _not_created(code: str, about: frozenset[str], *, sure: bool) -> Unreachable:
    """What is wrong with an address stays wrong; what else HubSpot refuses is tried again.

    That is a conflict, or that the account wants new contacts to have more than an address. ``about``: the properties
    that HubSpot names, if it does. ``sure``: it is this row that is at fault, and not the call.
    """
    if others := about - {EMAIL}:
        detail = f"HubSpot did not make a contact of this address, because of {', '.join(sorted(others))}."
        return Unreachable(code=f"not_created_{code}", detail=detail)
    if not lasts(code) or not (about or sure):
        return Unreachable(code=f"not_created_{code}", detail="HubSpot did not make a contact of this address.")
    detail = "HubSpot takes no contact with this address: it is not valid, or was deleted there for good (GDPR)."
    return Unreachable(code=f"not_created_{code}", detail=detail, for_good=True)


def _unique(keys: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for key in keys:
        if key not in seen:
            seen.add(key)
            yield key


@dataclass(slots=True)
class _Found:
    """What look-ups brought, by the key that was asked for."""

    asked: dict[str, datetime] = field(default_factory=dict)
    """And when."""
    contacts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: dict[str, timedelta] = field(default_factory=dict)
    """And when to ask again."""
    unasked: set[str] = field(default_factory=set)
    """Still mixed with bad ones when patience ended."""
    records: set[str] = field(default_factory=set)
    """Record ids that were asked for, and live."""
    opted_out: set[str] = field(default_factory=set)
    """Contacts that want no e-mail."""

    def drop(self, keys: Iterable[str]) -> None:
        """Forget the answers to these keys, where there are any."""
        for key in keys:
            self.asked.pop(key, None)
            self.contacts.pop(key, None)
            self.refused.pop(key, None)
            self.unasked.discard(key)

    def keep(self, keys: Collection[str]) -> None:
        """Forget the answers to all other keys."""
        self.drop(self.asked.keys() - keys)

    def add(self, later: _Found) -> None:
        """Take in later answers, which count in place of these."""
        self.drop(later.asked)
        self.opted_out -= {contact for found in later.contacts.values() for contact in found}
        self.asked |= later.asked
        self.contacts |= later.contacts
        self.refused |= later.refused
        self.unasked |= later.unasked
        self.opted_out |= later.opted_out

    def move(self, key: str, to: _Found) -> None:
        """Hand an answer over."""
        to.asked[key] = self.asked[key]
        if found := self.contacts.get(key):
            to.contacts[key] = found
            to.opted_out |= self.opted_out.intersection(found)
        if (again := self.refused.get(key)) is not None:
            to.refused[key] = again
        to.unasked |= self.unasked & {key}
        self.drop([key])

    def note_opt_outs(self, answer: Batch) -> None:
        """Note who wants no e-mail."""
        self.opted_out |= {one for one, values in answer.records.items() if values.get(OPT_OUT) == "true"}

    def take(self, asked: Sequence[str], answer: Batch, match: str) -> set[str]:
        """Note whose contacts these are, by value and never by position; return the keys for which that is not clear.

        A contact may answer under another address than the one that was asked for: merged contacts have several.
        """
        wanted, strangers = set(asked), False
        self.note_opt_outs(answer)
        for contact, values in answer.records.items():
            told = [values.get(match) or ""]
            if match == EMAIL:
                told = [each.strip().lower() for each in (*told, *(values.get(OTHER_EMAILS) or "").split(";"))]
            strangers = strangers or not wanted.intersection(told)
            for key in wanted.intersection(told):
                self.contacts[key] = (*self.contacts.get(key, ()), contact)
        return wanted - self.contacts.keys() - answer.failed.keys() if strangers else set()
