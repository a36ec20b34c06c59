"""Audiences as MANUAL lists of contacts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from leadup.errors import NeedsHuman
from leadup.types import Change, Leave, Receipt, RemoteId, RemoteTarget, Target
from leadup_connectors.hubspot.answers import HubSpotRefused, ListInfo, Memberships
from leadup_connectors.hubspot.batches import parts, sift
from leadup_connectors.hubspot.client import HubSpotClient
from leadup_connectors.hubspot.people import CONTACT
from leadup_connectors.hubspot.receipts import ALREADY, CONFIRMED, MISSING, contacts_of, gone, unanswered
from leadup_connectors.hubspot.settings import HubSpotSettings


class Audiences:
    """Finds and creates lists, and changes who is in them."""

    def __init__(self, settings: HubSpotSettings, client: HubSpotClient) -> None:
        self._settings, self._client = settings, client

    def prepare(self, target: Target) -> RemoteTarget:
        """Find the list of that name, or create it."""
        name = target.remote_name
        found, created = self._client.lists.find(name), False
        if found is None:
            try:
                found, created = self._client.lists.create(name), True
            except HubSpotRefused as refused:
                found = self._client.lists.find(name)  # another process may have been faster
                if found is None:
                    raise NeedsHuman(
                        f"{refused} So there is no list {name!r}.",
                        todo="see in HubSpot (CRM > Segments) whether the account has all the lists it may have",
                    ) from None
        _must_take_members(found)
        return RemoteTarget(id=found.id, name=found.name, created=created)

    def deliver(self, to: RemoteTarget, batch: Sequence[Change]) -> Mapping[str, Receipt]:
        """Put contacts into a list, or take them out; return a receipt per contact."""
        if isinstance(batch[0], Leave):
            return self._change(to, batch, self._client.lists.leave, ALREADY)
        return self._change(to, batch, self._client.lists.join, MISSING)

    def members(self, of: RemoteTarget) -> Iterator[RemoteId]:
        """Yield who is in a list, whoever put them there."""
        try:
            yield from (RemoteId(CONTACT, contact) for contact in self._client.lists.members(of.id))
        except HubSpotRefused as refused:
            if refused.status != 404:
                raise
            raise gone(f"list {of.name!r}", "restore it in HubSpot within 90 days") from None

    def _change(
        self,
        to: RemoteTarget,
        batch: Sequence[Change],
        send: Callable[[str, Sequence[str]], Memberships],
        missing: Receipt,
    ) -> Mapping[str, Receipt]:
        def still_there() -> None:
            found = self._client.lists.get(to.id)
            if found is None:
                raise gone(f"list {to.name!r}", "restore it in HubSpot within 90 days, or let leadup create a new one")
            _must_take_members(found)

        receipts: dict[str, Receipt] = {}
        contacts = dict.fromkeys(contact for change in batch for contact in contacts_of(change))
        for part in parts(contacts, self._settings.chunk_size):
            sent = sift(part, lambda ids: send(to.id, ids), still_there)
            receipts |= unanswered(sent)
            for asked, answer in sent.answers:
                for contact in asked:
                    receipts[contact] = ALREADY
                    if contact in answer.missing:
                        receipts[contact] = missing
                    elif contact in answer.changed or answer.repeated:
                        receipts[contact] = CONFIRMED
        return receipts


def _must_take_members(found: ListInfo) -> None:
    if found.is_dynamic:
        raise NeedsHuman(
            f"HubSpot's list {found.name!r} is an active one: HubSpot picks its members by filters.",
            todo="rename that list in HubSpot, or give the audience another name in the rules (under activate)",
        )
