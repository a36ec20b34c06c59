"""Reads a HubSpot account: contacts as facts, what forms brought and deals as events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from leadup.errors import NeedsHuman
from leadup.outgoing import Budget
from leadup.types import Cursor, Json, Page
from leadup_connectors.hubspot.client import BATCH, HubSpotClient
from leadup_connectors.hubspot.client.rights import CONTACTS_READ, DEALS_READ, FORMS
from leadup_connectors.hubspot.reading import contacts, deals, forms, scan
from leadup_connectors.hubspot.reading.brought import Brought
from leadup_connectors.hubspot.reading.contacts import Contacts
from leadup_connectors.hubspot.reading.deals import Deals
from leadup_connectors.hubspot.reading.forms import Forms
from leadup_connectors.hubspot.reading.scan import Scan
from leadup_connectors.hubspot.records import from_milliseconds, milliseconds
from leadup_connectors.hubspot.settings import HubSpotSettings

MOST_STEPS: Final = 10
"""Calls without anything new after which it is noted all the same how far the reading is."""
FEW: Final = 2
"""Calls that a step takes, looks at deals without a contact aside."""
PROPERTIES: Final = 1
"""Calls that tell the types of properties, once a process."""
ALONE: Final = 4 * deals.LOOKED_AT // BATCH
"""Calls that such a look takes where all of them have a contact by now."""
SCOPES: Final = {
    "contacts": (CONTACTS_READ,),
    "forms": (FORMS,),
    "deals": (DEALS_READ, CONTACTS_READ),
}
"""What a token must have, by what is read."""


@dataclass(slots=True)
class Stand:
    """How far the account is read."""

    contacts: scan.Stand
    deals: scan.Stand
    waiting: list[str]
    """Deals without a contact."""
    forms: dict[str, forms.Stand] = field(default_factory=dict)
    properties: list[str] = field(default_factory=list)
    """Those that every contact was read with."""
    account: int | None = None
    """The account whose number is in the ids that were read; None: none is in them."""

    @classmethod
    def of(cls, since: Cursor | None) -> Stand:
        """Return what a cursor says."""
        said: Any = since or {}
        return cls(
            scan.Stand.of(said.get("contacts")),
            scan.Stand.of(said.get("deals")),
            list(said.get("waiting", ())),
            {form: forms.Stand.of(one) for form, one in said.get("forms", {}).items()},
            list(said.get("properties", ())),
            said.get("account"),
        )

    def cursor(self) -> dict[str, Json]:
        """Return the cursor that says all this."""
        return {
            "contacts": self.contacts.said(),
            "deals": self.deals.said(),
            "waiting": list(self.waiting),
            "forms": {form: one.said() for form, one in self.forms.items()},
            "properties": list(self.properties),
            "account": self.account,
        }


class HubSpotSource:
    """A ``leadup.kit.Source`` over one account."""

    def __init__(self, connection: str, settings: HubSpotSettings, folder: Path) -> None:
        self._connection, self._settings = connection, settings
        self._lag = timedelta(seconds=settings.index_lag)
        self._every = timedelta(hours=settings.deletions_every)
        self.reserve = settings.daily_reserve
        self.page_calls = FEW * MOST_STEPS + PROPERTIES + (ALONE if "deals" in settings.read else 0)

    def check(self) -> None:
        """See :meth:`leadup.kit.Source.check`: account, all scopes that are missing, and what the settings name."""
        self._look_at_account()
        needed = dict.fromkeys(scope for what in self._settings.read for scope in SCOPES[what])
        missing = [scope for scope in needed if not self._client.rights.has(scope)]
        if missing:
            raise NeedsHuman(
                f"The access token of connection {self._connection!r} lacks what reading "
                f"{', '.join(self._settings.read)} needs.",
                todo=f"give its service key or private app these scopes: {', '.join(missing)}",
            )
        self._look_at_properties()
        if "forms" in self._settings.read:
            self._forms.check()

    def budget(self) -> Budget | None:
        """See :meth:`leadup.kit.Rationed.budget`. OAuth apps are not told."""
        return self._client.budget()

    def pull(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        """Yield what changed since the cursor.

        The last page carries ``complete_until``: the index of HubSpot's search knew of all that had changed by then,
        when the reading began.

        Raises:
            TryLater: HubSpot does not answer, or its limits are met.
            NeedsHuman: a scope or a property is missing, or it is another account.
        """
        self._look_at_account()
        self._look_at_properties()
        stand, now = Stand.of(since), milliseconds(until)
        account = self._settings.portal_id if self._settings.account_in_ids else None
        if account != stand.account:  # what was read is known by other ids
            stand.contacts.begin_anew()
            stand.deals.begin_anew()
            stand.account = account
        complete: list[int] = []
        reads: dict[str, Callable[[Stand, int, list[int]], Iterator[Brought]]] = {
            "contacts": self._read_contacts,
            "forms": self._read_forms,
            "deals": self._read_deals,
        }
        steps = 0
        for what, read in reads.items():
            for brought in read(stand, now, complete) if what in self._settings.read else ():
                steps += 1
                if brought or steps == MOST_STEPS:
                    steps = 0
                    yield Page(
                        records=brought.records,
                        rejected=brought.rejected,
                        taken_back=brought.taken_back,
                        cursor=stand.cursor(),
                        more=True,
                    )
        read_up_to = min([now - self._lag // timedelta(milliseconds=1), *complete])
        yield Page(
            records=[],
            cursor=stand.cursor(),
            complete_until=from_milliseconds(read_up_to),
            progress=1.0,
        )

    def _read_contacts(self, stand: Stand, now: int, complete: list[int]) -> Iterator[Brought]:
        wanted = self._contacts.properties
        if not set(wanted) <= set(stand.properties):
            stand.contacts.begin_anew()  # a contact that does not change would never tell what the settings ask for now
        stand.properties = wanted
        of = self._scan("contacts", contacts.CHANGED, wanted)
        for found in of.changes(stand.contacts, now):
            yield self._contacts.facts(found)
        for found in of.deletions(stand.contacts, now, self._every, self._contacts.identifying):
            yield self._contacts.endings(found)
        complete.append(stand.contacts.done or 0)

    def _read_forms(self, stand: Stand, now: int, complete: list[int]) -> Iterator[Brought]:
        for form in self._forms.wanted():
            of = stand.forms.setdefault(form.id, forms.Stand())
            yield from self._forms.submissions(form, of, now, self._start)
            if of.done is not None:
                complete.append(of.done)

    def _read_deals(self, stand: Stand, now: int, complete: list[int]) -> Iterator[Brought]:
        self._deals.look_up_stages()
        of = self._scan("deals", deals.CHANGED, self._deals.properties, self._start or 0)
        for found in of.changes(stand.deals, now):
            yield self._deals.events(found, stand.waiting)
        yield self._deals.found(stand.waiting)
        for found in of.deletions(stand.deals, now, self._every, deals.KEPT):
            yield self._deals.endings(found, stand.waiting)
        complete.append(stand.deals.done or 0)

    def _scan(self, of: str, changed: str, properties: list[str], start: int | None = None) -> Scan:
        return Scan(self._client, of, changed, properties, self._lag, self._settings.page_size, start)

    def _look_at_account(self) -> None:
        wanted, found = self._settings.portal_id, self._portal  # tells whose day it is as well
        if wanted not in (None, found):
            raise NeedsHuman(
                f"The access token of connection {self._connection!r} belongs to account {found}, not {wanted}.",
                todo="use that account's token, or correct portal_id",
            )

    def _look_at_properties(self) -> None:
        """Or nothing would be read of one that is mistyped, and nobody would know."""
        if not {"contacts", "deals"}.isdisjoint(self._settings.read):
            _ = self._contacts.kinds

    @property
    def _start(self) -> int | None:
        start = self._settings.start
        return None if start is None else milliseconds(datetime.combine(start, time(), UTC))

    @cached_property
    def _portal(self) -> int:
        return self._client.account().portal

    @cached_property
    def _client(self) -> HubSpotClient:
        return HubSpotClient(self._connection, self._settings)

    @cached_property
    def _contacts(self) -> Contacts:
        return Contacts(self._connection, self._settings, self._client)

    @cached_property
    def _forms(self) -> Forms:
        return Forms(self._connection, self._settings, self._client)

    @cached_property
    def _deals(self) -> Deals:
        return Deals(self._connection, self._settings, self._client, self._contacts)
