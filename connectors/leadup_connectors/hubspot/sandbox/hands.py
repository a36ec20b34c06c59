"""What people do in an account besides the API: for tests, demos and seeds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from leadup_connectors.hubspot.sandbox.associations import Associations
from leadup_connectors.hubspot.sandbox.contacts import Contacts
from leadup_connectors.hubspot.sandbox.deals import Deals
from leadup_connectors.hubspot.sandbox.events import Events, Occurrence
from leadup_connectors.hubspot.sandbox.folders import ROOT
from leadup_connectors.hubspot.sandbox.forms import Forms
from leadup_connectors.hubspot.sandbox.lists import Lists
from leadup_connectors.hubspot.sandbox.memberships import CONTACTS, Asked
from leadup_connectors.hubspot.sandbox.owners import Owners
from leadup_connectors.hubspot.sandbox.properties import parse_time


class Hands:
    """The account's content, looked at and changed from Python; safe while the emulator serves.

    Instants may be written as ISO 8601; left out, they are the account's present one.
    """

    _contacts: Contacts
    _deals: Deals
    _associations: Associations
    _lists: Lists
    _forms: Forms
    _owners: Owners
    _events: Events
    _lock: threading.RLock

    def plant(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Take a seed, and return of it what is none of this.

        ``unique`` names unique contact properties. ``owners``, ``contacts``, ``pipelines``, ``deals``, ``forms`` and
        ``submissions`` hold the arguments of the methods that make one each.
        """
        makers: dict[str, Callable[..., Any]] = {
            "unique": lambda name: self.add_property(name, unique=True),
            "owners": self.add_owner,
            "contacts": self.add_contact,
            "pipelines": self.add_pipeline,
            "deals": self.add_deal,
            "forms": self.add_form,
            "submissions": self.submit_form,
        }
        for kind, make in makers.items():
            for each in data.get(kind, ()):
                make(**each) if isinstance(each, dict) else make(each)
        return {key: value for key, value in data.items() if key not in makers}

    # ------------------------------------------------------------ contacts

    def add_property(self, name: str, kind: str = "string", **how: Any) -> None:
        """Define a contact property; ``unique``, ``read_only``, ``options`` and ``field_type`` say how."""
        with self._lock:
            self._contacts.properties.define(name, kind, **how)

    def contact_property(self, name: str) -> Mapping[str, Any]:
        """Return a copy of the definition of a contact property."""
        with self._lock:
            return dict(self._contacts.properties.known[name])

    def delete_property(self, name: str) -> None:
        """Delete a contact property."""
        with self._lock:
            del self._contacts.properties.known[name]

    def add_contact(self, email: str = "", **properties: str) -> str:
        """Create a contact and return its id; properties that are not there become text properties."""
        with self._lock:
            return self._contacts.add({"email": email, **properties})

    def set_property(self, contact: str, *, at: datetime | str | None = None, **properties: str) -> None:
        """Set properties of a contact; "" takes a value away."""
        with self._lock:
            self._contacts.write(contact, properties, _instant(at))

    def opt_out(self, contact: str) -> None:
        """Let a contact unsubscribe from all e-mail."""
        self.set_property(contact, hs_email_optout="true")

    def contact(self, contact: str) -> Mapping[str, str]:
        """Return a copy of a contact's properties."""
        with self._lock:
            return dict(self._contacts.values[contact])

    def delete_contact(self, contact: str) -> None:
        """Delete a contact; it leaves all lists."""
        with self._lock:
            self._contacts.archive(contact)
            self._lists.drop(contact)

    def block(self, email: str) -> None:
        """Put an address on the blocklist, as a GDPR deletion does: it can never be used again."""
        with self._lock:
            self._contacts.blocked.add(email.strip().lower())

    def want(self, name: str) -> None:
        """Want a property of each new contact, as an administrator can (enforced for calls since 2026-09)."""
        with self._lock:
            self._contacts.wanted.add(name)

    def merge(self, keep: str, gone: str) -> None:
        """Merge two contacts: ``gone`` vanishes, ``keep`` gets its address, its deals and its places in lists."""
        with self._lock:
            self._contacts.merge(keep, gone)
            self._lists.drop(gone, heir=keep)
            self._associations.drop(gone, heir=keep)

    def add_owner(self, email: str, first: str = "", last: str = "") -> str:
        """Create a user who can own records, and return the owner's id."""
        with self._lock:
            return self._owners.add(email, first, last)

    # ------------------------------------------------------------ lists

    def add_list(self, name: str, processing: str = "MANUAL", *, objects: str = CONTACTS, used: int = 0) -> str:
        """Create a list of a type of object and return its id; ``used``: in how many places of the account."""
        with self._lock:
            return self._lists.add(name, processing, objects=objects, used=used).id

    def make_active(self, name: str) -> None:
        """Make a list an active one, whose members HubSpot picks."""
        with self._lock:
            self._lists.living()[name].processing = "DYNAMIC"

    def process_list(self, name: str, *, done: bool = False) -> None:
        """Let HubSpot work on a list, which takes no changes meanwhile; or be done with it."""
        with self._lock:
            self._lists.living()[name].processing_status = "COMPLETE" if done else "PROCESSING"

    def rename_list(self, name: str, to: str) -> None:
        """Rename a list."""
        with self._lock:
            self._lists.living()[name].name = to

    def delete_list(self, name: str) -> None:
        """Delete a list."""
        with self._lock:
            self._lists.living()[name].deleted = self._lists.now()

    def members(self, name: str) -> set[str]:
        """Return the ids of the contacts in the list of that name; no such list: nobody."""
        with self._lock:
            found = self._lists.living().get(name)
            return set(found.members) if found else set()

    def put(self, name: str, *contacts: str) -> None:
        """Put contacts into the list of that name."""
        with self._lock:
            self._lists.put(self._lists.living()[name], contacts)

    def take(self, name: str, *contacts: str) -> None:
        """Take contacts out of the list of that name."""
        with self._lock:
            self._lists.take(self._lists.living()[name], contacts)

    def add_folder(self, name: str, *, parent: str = ROOT) -> str:
        """Create a folder for lists below another one, and return its id."""
        with self._lock:
            return self._lists.folders.add(name, parent)

    def delete_folder(self, name: str) -> None:
        """Delete a folder that is empty."""
        with self._lock:
            self._lists.folders.drop(name)

    def move_folder(self, name: str, *, to: str) -> None:
        """Move a folder below another one."""
        with self._lock:
            next(each for each in self._lists.folders.all.values() if each.name == name).parent = to

    @property
    def asked(self) -> Sequence[Asked]:
        """Every wish of a call to change a membership that met a known contact, in order."""
        with self._lock:
            return list(self._lists.asked)

    # ------------------------------------------------------------ deals

    def add_pipeline(self, pipeline: str, label: str, stages: Mapping[str, Sequence[Any]]) -> None:
        """Create a pipeline of deals; ``stages``: label, probability and whether it is closed, by the stage's id."""
        with self._lock:
            told = {stage: (str(name), float(chance), bool(closed)) for stage, (name, chance, closed) in stages.items()}
            self._deals.pipelines.add(pipeline, label, told)
            self._deals.know_stages()

    def add_deal(
        self,
        dealname: str = "",
        *,
        stage: str = "appointmentscheduled",
        amount: str = "",
        currency: str = "EUR",
        contacts: Sequence[str] = (),
        at: datetime | str | None = None,
        **properties: str,
    ) -> str:
        """Create a deal of these contacts, each told by id or e-mail address, and return the deal's id."""
        values = {"dealname": dealname, "dealstage": stage, "amount": amount, "deal_currency_code": currency}
        with self._lock:
            deal = self._deals.add({**values, **properties}, _instant(at))
            for contact in contacts:
                self.associate(deal, contact)
            return deal

    def associate(self, deal: str, contact: str, label: str = "") -> None:
        """Let a deal belong to a contact, told by id or e-mail address."""
        with self._lock:
            self._associations.add(deal, self._contacts.find("email", contact) or contact, label)

    def move_deal(self, deal: str, stage: str, *, at: datetime | str | None = None) -> None:
        """Move a deal to a stage, of whatever pipeline; a closed one sets the close date."""
        self.set_deal(deal, dealstage=stage, at=at)

    def set_deal(self, deal: str, *, at: datetime | str | None = None, **properties: str) -> None:
        """Set properties of a deal; "" takes a value away."""
        with self._lock:
            self._deals.write(deal, properties, _instant(at))

    def deal(self, deal: str) -> Mapping[str, str]:
        """Return a copy of a deal's properties."""
        with self._lock:
            return dict(self._deals.values[deal])

    def delete_deal(self, deal: str) -> None:
        """Delete a deal."""
        with self._lock:
            self._deals.archive(deal)

    # ------------------------------------------------------------ forms

    def add_form(self, name: str, kind: str = "hubspot", guid: str = "", fields: Sequence[str] = ()) -> str:
        """Create a form and return its id, which depends on the name unless it is given; ``fields``: their names."""
        with self._lock:
            return self._forms.add(name, kind, guid, fields)

    def submit_form(
        self, form: str, values: Mapping[str, str], page: str = "", *, at: datetime | str | None = None
    ) -> str:
        """Send a form from a page and return the submission's id; ``email`` among the values makes a contact."""
        with self._lock:
            return self._forms.submit(form, values, page, _instant(at))

    # ------------------------------------------------------------ events

    def know_cookie(self, utk: str, contact: str) -> None:
        """Let the tracking code know whose cookie that is."""
        with self._lock:
            self._events.cookies[utk] = contact

    @property
    def events(self) -> Sequence[Occurrence]:
        """Every custom event that was accepted, in order."""
        with self._lock:
            return list(self._events.sent)


def _instant(at: datetime | str | None) -> datetime | None:
    return parse_time(at) if isinstance(at, str) else at
