"""Keeps HubSpot lists and contact properties as leadup's segments and scores say.

Contacts are found, and created only on request: in HubSpot a new contact can cost money.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil

from leadup.errors import NeedsHuman
from leadup.outgoing import (
    Address,
    Budget,
    Capabilities,
    Change,
    Contact,
    Convert,
    Found,
    Join,
    Leave,
    Outcome,
    Receipt,
    Records,
    RemoteId,
    RemoteTarget,
    Restate,
    Size,
    Target,
    Unreachable,
    Upsert,
    Use,
)
from leadup.types import Kind
from leadup_connectors.hubspot import connector
from leadup_connectors.hubspot.audiences import Audiences
from leadup_connectors.hubspot.client import BATCH, HubSpotClient
from leadup_connectors.hubspot.client.events import EVENTS
from leadup_connectors.hubspot.events import TimelineEvents
from leadup_connectors.hubspot.people import CREATION, MARKETING, People
from leadup_connectors.hubspot.properties import ContactProperties, value
from leadup_connectors.hubspot.receipts import contacts_of
from leadup_connectors.hubspot.settings import EMAIL, HubSpotSettings


class HubSpotDestination:
    """Audiences are MANUAL lists of contacts, found by name; properties are contact properties in a group of ours."""

    def __init__(self, connection: str, settings: HubSpotSettings) -> None:
        self._connection, self._settings = connection, settings
        self._client = HubSpotClient(connection, settings)
        self._people = People(self._client, settings, self._check_match)
        self._audiences = Audiences(connection, settings, self._client)
        self._properties = ContactProperties(self._client)
        self._portal: int | None = None
        """The account's id, once it is known to be the right one."""
        self._matches = settings.match == EMAIL
        """Whether people can be found by the property to match on, as far as is known; each account has e-mail."""
        self._events = TimelineEvents(connection, self._client, self._check_account)
        self.reserve = settings.daily_reserve
        self.creates = MARKETING if settings.create_missing else ""
        known_by = frozenset({settings.kind, Kind.HUBSPOT_ID})
        self.can = Capabilities(
            uses=frozenset(Use),
            needs={
                Use.AUDIENCE: known_by,
                Use.PROPERTY: known_by,
                Use.CONVERSION: known_by | {Kind.HUTK},
            },
            restates_for=timedelta(0),
            unless_denied=connector.unless_denied,
            together=frozenset({Join.verb, Leave.verb}),
            batch={
                **dict.fromkeys((Join.verb, Leave.verb), settings.chunk_size),
                **dict.fromkeys((Convert.verb, Restate.verb), EVENTS),
                Upsert.verb: BATCH,
            },
        )

    # ------------------------------------------------------------ looking

    def check(self) -> None:
        """See :meth:`leadup.kit.Destination.check`: token, account, rights to read, and the property to match on."""
        self._portal = None
        self._check_account()
        self._client.lists.find("leadup")
        self._check_match()

    def prepare(self, target: Target) -> RemoteTarget:
        """See :meth:`leadup.kit.Destination.prepare`.

        The property to match on is looked at first: with a mistyped one nobody is found, and all would leave.
        """
        self._check_account()
        if not self._matches:
            self._check_match()
        if target.use is Use.AUDIENCE:
            return self._audiences.prepare(target)
        return (self._events if target.use is Use.CONVERSION else self._properties).prepare(target)

    def look(self, target: Target) -> Found | None:
        """See :meth:`leadup.kit.Adopting.look`."""
        self._check_account()
        return self._audiences.look(target)

    def size(self, of: RemoteTarget) -> Size:
        """See :meth:`leadup.kit.Sized.size`."""
        return self._audiences.size(of)

    def _check_account(self) -> int:
        """Look, once, whether the token belongs to the account that may be written to; return its id."""
        if self._portal is not None:
            return self._portal
        portal, wanted = self._client.account().portal, self._settings.portal_id
        if wanted not in (None, portal):
            raise NeedsHuman(
                f"The access token of connection {self._connection!r} is for HubSpot account {portal}, not {wanted}.",
                todo=f"use a token of account {wanted}, or set portal_id = {portal}",
            )
        self._portal = portal
        return portal

    def _check_match(self) -> None:
        name = self._settings.match
        found = self._client.properties.find(name)
        if found is None or not (found.unique or name == EMAIL):
            fault = "does not exist" if found is None else "is not unique: several contacts may share a value"
            raise NeedsHuman(
                f"HubSpot's contact property {name!r}, which connection {self._connection!r} matches on, {fault}.",
                todo="set match to a contact property that requires unique values, or leave it out to match on e-mail",
            )
        self._matches = True

    def address(self, target: Target, people: Sequence[Contact]) -> Sequence[Address | Unreachable]:
        """See :meth:`leadup.kit.Destination.address`."""
        found = self._people.addresses(people, joining=target.use is Use.AUDIENCE)
        return self._events.address(people, found) if target.use is Use.CONVERSION else found

    def create(self, target: Target, people: Sequence[Contact]) -> Sequence[Address | Unreachable]:
        """See :meth:`leadup.kit.Creating.create`: for audiences, if the settings say so."""
        self._check_account()
        return self._people.create(people, joining=target.use is Use.AUDIENCE)

    def foresee(self, people: Iterator[tuple[Contact, datetime]], now: datetime) -> None:
        """See :meth:`leadup.kit.Foreseeing.foresee`: who waits for several lists is looked for once."""
        self._check_account()
        self._people.foresee(people, now)

    def budget(self) -> Budget | None:
        """See :meth:`leadup.kit.Budgeted.budget`. OAuth apps are not told."""
        return self._client.budget()

    def calls(self, target: Target, changes: Mapping[str, int]) -> int:
        """See :meth:`leadup.kit.Budgeted.calls`."""
        members = sum(changes.get(verb, 0) for verb in self.can.together)
        others = (ceil(count / self.can.batch[v]) for v, count in changes.items() if v not in self.can.together)
        return ceil(members / self._settings.chunk_size) + sum(others)

    def look_ups(self, people: int) -> int:
        """See :meth:`leadup.kit.Budgeted.look_ups`."""
        return ceil(people / BATCH)

    def preparing(self, targets: Collection[Target]) -> int:
        """See :meth:`leadup.kit.Budgeted.preparing`. Account and property to match on are looked at once."""
        by_use: dict[Use, list[Target]] = {use: [one for one in targets if one.use is use] for use in Use}
        calls = (self._portal is None) + (not self._matches) if targets else 0
        calls += self._audiences.preparing(by_use[Use.AUDIENCE])
        calls += self._properties.preparing(by_use[Use.PROPERTY])
        return calls + self._events.preparing(by_use[Use.CONVERSION])

    def creating(self, people: int, batches: Collection[int]) -> int:
        """See :meth:`leadup.kit.Budgeted.creating`: who is created in one batch is known in the next."""
        if not self.creates:
            return 0
        each, together = sum(ceil(size / BATCH) for size in batches), (people + (BATCH - 1) * len(batches)) // BATCH
        return CREATION * min(each, together)

    def members(self, of: RemoteTarget) -> Iterator[RemoteId]:
        """See :meth:`leadup.kit.Readable.members`."""
        self._check_account()
        yield from self._audiences.members(of)

    def values(self, of: Sequence[Target], people: Sequence[Contact]) -> Sequence[Records | Unreachable]:
        """See :meth:`leadup.kit.Inspectable.values`: the calls that find contacts bring the values as well."""
        self._check_account()
        reader = People(self._client, self._settings, self._check_match, [target.name for target in of])
        found = reader.addresses(people)
        return [
            place
            if isinstance(place, Unreachable)
            else {one: {t.name: value(reader.told[one.value].get(t.name), t.values) for t in of} for one in place.ids}
            for place in found
        ]

    def deliver(self, to: RemoteTarget, batch: Sequence[Change]) -> Sequence[Receipt]:
        """See :meth:`leadup.kit.Destination.deliver`."""
        if not batch:
            return []
        self._check_account()
        if isinstance(batch[0], Join | Leave):
            receipts: Sequence[Receipt] = self._audiences.deliver(to, batch)
        elif isinstance(batch[0], Upsert):
            receipts = self._properties.deliver(to, batch)
        else:
            receipts = self._events.deliver(to, batch)
        done = (Outcome.CONFIRMED, Outcome.ALREADY)
        odd = [one for one, told in zip(batch, receipts, strict=True) if told.lost or told.outcome not in done]
        if odd:
            self._people.lose({contact for change in odd for contact in contacts_of(change)})
        return receipts
