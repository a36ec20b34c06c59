"""Audiences as MANUAL lists of contacts, in a folder of ours.

A list is found by its name once, and known by its id from then on: people rename and move lists.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from leadup.errors import LeadupError, NeedsHuman, Refused, TryLater
from leadup.outgoing import Change, Found, Join, Leave, Receipt, RemoteId, RemoteTarget, Size, Target
from leadup_connectors.hubspot.answers import HubSpotRefused, ListInfo, Memberships
from leadup_connectors.hubspot.batches import change, did_nothing
from leadup_connectors.hubspot.client import HubSpotClient
from leadup_connectors.hubspot.people import CONTACT
from leadup_connectors.hubspot.receipts import (
    ALREADY,
    CONFIRMED,
    LATER,
    LOST,
    VANISHED,
    contacts_of,
    gone,
    together,
    unanswered,
)
from leadup_connectors.hubspot.settings import HubSpotSettings

RESTORABLE: Final = "restore it in HubSpot, which can be done for 90 days after it was deleted (CRM > Segments)"
"""Source: Lists API, "Restore a list"."""
BUILT_IN: Final = timedelta(minutes=5)
"""How long to wait for a list that HubSpot is still working on."""
_OTHER: Final = "rename that list in HubSpot, or give the audience another name in the rules (under activate)"


def static_again(key: str) -> str:
    """What to do about a list of ours, known by its id, that takes contacts no more."""
    return f"make it static again in HubSpot; or delete it, then `leadup sync {key} --accept recreate`"


class Audiences:
    """Finds and creates lists, and changes who is in them."""

    def __init__(self, connection: str, settings: HubSpotSettings, client: HubSpotClient) -> None:
        self._connection, self._settings, self._client = connection, settings, client
        self._folder_id: str | None = None
        self._seen: dict[str, ListInfo | None] = {}
        """Lists without an id of ours that were looked for a moment ago, by name; None: it is about to be created."""

    # ------------------------------------------------------------ the list

    def prepare(self, target: Target) -> RemoteTarget:
        """Find the list of an audience, or create it."""
        seen = not target.known_id and target.remote_name in self._seen
        looked = self._seen.pop(target.remote_name, None)
        found, created = looked if seen else self._find(target), False
        if found is None and target.known_id:
            todo = f"{RESTORABLE}; or have a new one made: `leadup sync {target.key} --accept recreate`"
            raise gone(f"list {target.remote_name!r} (id {target.known_id})", todo)
        if found is None:
            found, created = self._create(target.remote_name)
        _must_take_members(found, self._other(target))
        return RemoteTarget(id=found.id, name=found.name, created=created)

    def look(self, target: Target) -> Found | None:
        """Find the list and tell of it; None: it is not there, or not any more."""
        found = self._find(target)
        if not target.known_id:
            self._seen[target.remote_name] = found
        if found is None:
            return None
        _must_take_members(found, self._other(target))
        info = self._described(found)
        if not info.size:
            info = replace(info, size=0 if self._client.lists.is_empty(info.id) else 1)
        return Found(id=info.id, size=_size(info))

    def preparing(self, targets: Sequence[Target]) -> int:
        """Predict the calls of :meth:`look` and :meth:`prepare` for these, from here on."""
        calls, new = 0, False
        for target in targets:
            seen = self._seen.get(target.remote_name)
            if target.known_id:
                calls += 1
            elif target.name in self._settings.lists:  # described, and looked at whether anybody is in it
                calls += 0 if seen else 3
            elif not seen:
                new, calls = True, calls + (1 if target.remote_name in self._seen else 2)
        folder = new and self._settings.folder and self._folder_id is None
        return calls + (2 if folder else 0)

    def size(self, of: RemoteTarget) -> Size:
        """Tell how many contacts are in a list, by HubSpot's count, and what else it tells of it."""
        found = self._client.lists.get(of.id)
        if found is None:
            raise Refused(f"HubSpot's list {of.name!r} (id {of.id}) is gone.", code="list_gone")
        return _size(self._described(found))

    def _find(self, target: Target) -> ListInfo | None:
        lists, known, chosen = self._client.lists, target.known_id, self._settings.lists.get(target.name)
        place = f"lists.{target.name} of connection {self._connection!r}"
        by_id = known or chosen
        found = lists.get(by_id) if by_id else lists.find(target.remote_name)
        if found is not None and known and chosen not in (None, known):
            raise NeedsHuman(
                f"The audience {target.name!r} is kept in HubSpot's list {known}, and {place} names {chosen}.",
                todo=f"correct {place}; or delete list {known} in HubSpot, then `leadup sync {target.key} "
                "--accept recreate`",
            )
        if found is None and chosen and not known:
            raise NeedsHuman(
                f"HubSpot has no list with the id {chosen}, which {place} names.",
                todo="write the id from the address of the list's page (…/objectLists/ID); ids of the old v1 API are "
                "others",
            )
        return found

    def _other(self, target: Target) -> str:
        """What to do to get another list: a name changes nothing where the list is told by its id."""
        if target.known_id:
            return static_again(target.key)
        if target.name not in self._settings.lists:
            return _OTHER
        return f"name another list in lists.{target.name} of connection {self._connection!r}, or take that setting out"

    def _described(self, found: ListInfo) -> ListInfo:
        """Add what only a search tells, where the search knows the list already."""
        told = self._client.lists.described([found.id]).get(found.id, found)
        return replace(told, name=found.name, size=told.size if found.size is None else found.size)

    def _create(self, name: str) -> tuple[ListInfo, bool]:
        known, folder = self._folder_id, self._folder()
        try:
            return self._client.lists.create(name, folder), True
        except HubSpotRefused as refused:
            self._folder_id = None
            found = self._client.lists.find(name)  # another process may have been faster
            if found is not None:
                return found, False
            if known is not None:  # somebody may have deleted it since
                return self._create(name)
            raise NeedsHuman(
                f"{refused.said} So connection {self._connection!r} has no list {name!r}.",
                todo="see in HubSpot (CRM > Segments) whether a list of companies or deals is called so, or the "
                "account has all the lists it may have",
            ) from None

    def _folder(self) -> str | None:
        name = self._settings.folder
        if name and self._folder_id is None:
            found = next((folder for folder, called in self._client.lists.folders() if called == name), None)
            self._folder_id = found or self._client.lists.create_folder(name)
        return self._folder_id

    # ------------------------------------------------------------ who is in it

    def members(self, of: RemoteTarget) -> Iterator[RemoteId]:
        """Yield who is in a list, whoever put them there."""
        try:
            yield from (RemoteId(CONTACT, contact) for contact in self._client.lists.members(of.id))
        except HubSpotRefused as refused:
            if refused.status != 404:
                raise
            raise gone(f"list {of.name!r} (id {of.id})", RESTORABLE) from None

    def deliver(self, to: RemoteTarget, batch: Sequence[Change]) -> list[Receipt]:
        """Put contacts into a list and take others out, in one call where that is possible."""
        joins = _contacts(one for one in batch if isinstance(one, Join))
        leaves = _contacts(one for one in batch if isinstance(one, Leave))
        told = self._change(to, joins | leaves, joins)
        # Nothing says what becomes of a contact that one call names twice.
        twice = sorted(joins.keys() & leaves.keys())
        try:
            out = told | self._change(to, twice, ())
        except LeadupError as error:
            if not did_nothing(error):
                raise
            out = told | dict.fromkeys(twice, LATER)
        return [together(one, out if isinstance(one, Leave) else told) for one in batch]

    def _change(self, to: RemoteTarget, contacts: Collection[str], joins: Collection[str]) -> dict[str, Receipt]:
        """Put those of these contacts in that are among ``joins``, take the others out; return a receipt for each."""

        def still_there() -> None:
            found = self._client.lists.get(to.id)
            if found is None:
                raise gone(f"list {to.name!r} (id {to.id})", RESTORABLE)
            _must_take_members(found, static_again("AUDIENCE"))
            if found.is_processing:
                raise TryLater(
                    f"HubSpot is still working on the list {to.name!r} (id {to.id}), and refuses changes of it.",
                    retry_after=BUILT_IN,
                    nothing_done=True,
                )

        def put(ids: Sequence[str]) -> Memberships:
            return self._client.lists.change(to.id, [i for i in ids if i in joins], [i for i in ids if i not in joins])

        sent = change(contacts, self._settings.chunk_size, put, still_there)
        receipts = unanswered(sent)
        for asked, answer in sent.answers:
            for contact in asked:
                receipts[contact] = ALREADY
                if contact in answer.missing:
                    receipts[contact] = VANISHED if contact in joins else LOST
                elif contact in answer.changed or answer.doubtful:
                    receipts[contact] = CONFIRMED
        return receipts


def _contacts(changes: Iterable[Change]) -> dict[str, None]:
    return dict.fromkeys(contact for one in changes for contact in contacts_of(one))


def _size(info: ListInfo) -> Size:
    details = {"kind": info.processing}
    if info.folder:
        details["folder"] = info.folder
    if info.references is not None:
        details["used in"] = f"{info.references} places"
    return Size(members={} if info.size is None else {"contacts": info.size}, name=info.name, details=details)


def _must_take_members(found: ListInfo, todo: str) -> None:
    if found.unfit:
        raise NeedsHuman(f"HubSpot's list {found.name!r} is {found.unfit}.", todo=todo)
