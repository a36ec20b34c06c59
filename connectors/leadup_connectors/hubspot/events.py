"""Conversions as custom events on the contact's timeline. HubSpot takes them from Enterprise accounts only."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from leadup.errors import NotOffered
from leadup.outgoing import (
    Address,
    Change,
    Contact,
    Convert,
    Outcome,
    Receipt,
    RemoteId,
    RemoteTarget,
    Restate,
    Target,
    Unreachable,
)
from leadup.types import Json, Kind
from leadup_connectors.hubspot.answers import Denied, HubSpotRefused
from leadup_connectors.hubspot.batches import change
from leadup_connectors.hubspot.client import HubSpotClient
from leadup_connectors.hubspot.client.events import EVENTS, EventInfo
from leadup_connectors.hubspot.client.rights import EVENTS_DEFINE, EVENTS_SEND
from leadup_connectors.hubspot.people import CONTACT
from leadup_connectors.hubspot.receipts import CONFIRMED, gone, unanswered

COOKIE: Final = "utk"
"""Kind of the remote id of somebody who is known by HubSpot's tracking cookie alone."""
PROPERTIES: Final[Mapping[str, str]] = {"value": "number", "currency": "string", "transaction_id": "string"}
_NAMESPACE: Final = uuid.UUID("8e9f3c52-6a0e-4d0b-9a0f-5f4f8f6f2b31")
"""Makes our transaction ids the uuids by which HubSpot tells one occurrence from another.

Of those with one uuid and event name the first in a year counts, and the others are dropped (source: Events API, "Send
an event occurrence"). So what may have been taken is sent again.
"""
_FIXED: Final = Receipt(
    outcome=Outcome.REJECTED, code="not_changeable", detail="HubSpot can not change an event that it has taken."
)


class TimelineEvents:
    """Defines events, and sends occurrences."""

    def __init__(self, connection: str, client: HubSpotClient, portal: Callable[[], int]) -> None:
        """``portal`` tells the account's id."""
        self._connection, self._client, self._portal = connection, client, portal

    @staticmethod
    def preparing(targets: Sequence[Target]) -> int:
        """Predict the calls of :meth:`prepare` for these: a look, one that defines it, one to see if it may be sent."""
        return sum(2 if target.known_id else 3 for target in targets)

    def prepare(self, target: Target) -> RemoteTarget:
        """Find the definition of an event, or create it.

        Raises:
            NotOffered: the account or the token has no custom events.
        """
        name = re.sub(r"[^a-z0-9_]+", "_", target.name.lower())
        with self._offered():
            found, created = self._client.events.find(self._full(name)), False
            if found is None:
                found, created = self._define(name, target.remote_name), True
            for missing in sorted(PROPERTIES.keys() - found.properties):
                self._client.events.add_property(found.full_name, missing, PROPERTIES[missing])
            may_send = self._client.rights.has(EVENTS_SEND)
        if not may_send:  # said here, before a row leaves: what HubSpot refuses of a row is for good
            raise self._no_events([EVENTS_SEND])
        return RemoteTarget(id=found.full_name, name=found.full_name, created=created)

    def _define(self, name: str, label: str) -> EventInfo:
        try:
            return self._client.events.create(name, label, PROPERTIES)
        except HubSpotRefused as refused:
            found = self._client.events.find(self._full(name)) if refused.status == 409 else None
            if found is None:
                raise
            return found

    def _full(self, name: str) -> str:
        return f"pe{self._portal()}_{name}"

    @contextmanager
    def _offered(self) -> Iterator[None]:
        """Make calls that need an Enterprise subscription: HubSpot answers 403 without it, or without the scopes."""
        try:
            yield
        except Denied as denied:
            if denied.status != 403:
                raise
            raise self._no_events(denied.scopes) from None

    def _no_events(self, scopes: Collection[str]) -> NotOffered:
        return NotOffered(
            f"HubSpot takes no custom events from connection {self._connection!r}: they need an Enterprise "
            f"subscription, and the scopes {', '.join(sorted(scopes or (EVENTS_SEND, EVENTS_DEFINE)))}.",
            todo=f"if the account has the subscription, add the scopes; else take {self._connection!r} out of "
            "`activate` of the conversion. It is tried again once a day, and all else goes on",
        )

    def address(self, people: Sequence[Contact], found: Sequence[Address | Unreachable]) -> list[Address | Unreachable]:
        """One contact for each person, else his cookie: an event on two timelines would be two events."""
        return [_one(person, known) for person, known in zip(people, found, strict=True)]

    def deliver(self, to: RemoteTarget, batch: Sequence[Change]) -> list[Receipt]:
        """Send occurrences; what was sent is never changed."""
        rows = {
            one.key: _occurrence(to.id, one)
            for one in batch
            if isinstance(one, Convert) and not isinstance(one, Restate)
        }

        def send(keys: Sequence[str]) -> None:
            with self._offered():
                self._client.events.send([rows[key] for key in keys])

        sent = change(rows, EVENTS, send, self._still_defined(to))
        receipts = unanswered(sent) | {key: CONFIRMED for keys, _ in sent.answers for key in keys}
        return [receipts.get(one.key, _FIXED) for one in batch]

    def _still_defined(self, to: RemoteTarget) -> Callable[[], None]:
        def look() -> None:
            if self._client.events.find(to.id) is None:
                raise gone(f"event {to.id!r}", "nothing: leadup defines it again")

        return look


def _one(person: Contact, found: Address | Unreachable) -> Address | Unreachable:
    if isinstance(found, Address):
        return Address(found.ids[:1])
    cookies = person.of(Kind.HUTK)
    return Address((RemoteId(COOKIE, cookies[-1]),)) if cookies else found


def _occurrence(event: str, change: Convert) -> Mapping[str, Json]:
    [to] = change.to.ids
    properties: dict[str, Json] = {"transaction_id": change.transaction_id}
    if change.value is not None:
        properties |= {"value": str(change.value).split()[0], "currency": change.value.currency}
    return {
        "eventName": event,
        ("objectId" if to.kind == CONTACT else "utk"): to.value,
        "occurredAt": change.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "uuid": str(uuid.uuid5(_NAMESPACE, change.transaction_id)),
        "properties": properties,
    }
