"""Keeps HubSpot lists and contact properties as leadup's segments and scores say.

Contacts are found, never created: in HubSpot a new contact can cost money, and whom to create is a person's decision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from leadup.errors import NeedsHuman, Refused
from leadup.types import (
    Address,
    Capabilities,
    Change,
    Contact,
    Join,
    Json,
    Leave,
    Outcome,
    Receipt,
    RemoteTarget,
    Target,
    Unreachable,
    Upsert,
    Use,
)
from leadup_connectors.hubspot import connector
from leadup_connectors.hubspot.answers import HubSpotRefused, ListInfo, Memberships
from leadup_connectors.hubspot.batches import Sifted, parts, sift
from leadup_connectors.hubspot.client import BATCH, HubSpotClient
from leadup_connectors.hubspot.people import CONTACT, SOON, People
from leadup_connectors.hubspot.settings import EMAIL, HubSpotSettings

GROUP: Final = "leadup"
FITTING: Final = {True: {"number", "string"}, False: {"string", "enumeration"}}
"""Types of an existing property that take a number, or a text."""

_CONFIRMED: Final = Receipt(outcome=Outcome.CONFIRMED)
_ALREADY: Final = Receipt(outcome=Outcome.ALREADY)
_LATER: Final = Receipt(outcome=Outcome.LATER, detail="HubSpot has not said what became of it.", retry_after=SOON)
_MISSING: Final = Receipt(
    outcome=Outcome.REJECTED, code="contact_missing", detail="HubSpot has no such contact, or not any more."
)
_NOBODY: Final = Receipt(outcome=Outcome.REJECTED, code="no_contact", detail="The change names no contact.")
_RANK: Final = (Outcome.LATER, Outcome.CONFIRMED, Outcome.ALREADY, Outcome.REJECTED)


class HubSpotDestination:
    """Audiences are MANUAL lists of contacts, found by name; properties are contact properties in a group of ours."""

    def __init__(self, connection: str, settings: HubSpotSettings) -> None:
        self._connection, self._settings = connection, settings
        self._client = HubSpotClient(connection, settings)
        self._people = People(self._client, settings, self._check_match)
        self._right_account = settings.portal_id is None
        uses = frozenset({Use.AUDIENCE, Use.PROPERTY})
        self.can = Capabilities(
            uses=uses,
            needs=dict.fromkeys(uses, frozenset({settings.kind})),
            unless_denied=connector.unless_denied,
            batch={Join.verb: settings.chunk_size, Leave.verb: settings.chunk_size, Upsert.verb: BATCH},
        )

    # ------------------------------------------------------------ looking

    def check(self) -> None:
        """See :meth:`leadup.kit.Destination.check`: token, account, rights to read, and the property to match on."""
        self._right_account = False
        self._check_account()
        self._client.lists.find("leadup")
        self._check_match()

    def prepare(self, target: Target) -> RemoteTarget:
        """See :meth:`leadup.kit.Destination.prepare`."""
        self._check_account()
        return self._prepare_list(target) if target.use is Use.AUDIENCE else self._prepare_property(target)

    def _check_account(self) -> None:
        """Look, once, whether the token belongs to the account that may be written to."""
        if self._right_account:
            return
        portal, wanted = self._client.account(), self._settings.portal_id
        if wanted not in (None, portal):
            raise NeedsHuman(
                f"The access token of connection {self._connection!r} is for HubSpot account {portal}, not {wanted}.",
                todo=f"use a token of account {wanted}, or set portal_id = {portal}",
            )
        self._right_account = True

    def _check_match(self) -> None:
        name = self._settings.match
        found = self._client.properties.find(name)
        if found is None or not (found.unique or name == EMAIL):
            fault = "does not exist" if found is None else "is not unique: several contacts may share a value"
            raise NeedsHuman(
                f"HubSpot's contact property {name!r}, which connection {self._connection!r} matches on, {fault}.",
                todo="set match to a contact property that requires unique values, or leave it out to match on e-mail",
            )

    def _prepare_list(self, target: Target) -> RemoteTarget:
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

    def _prepare_property(self, target: Target) -> RemoteTarget:
        name = target.name
        found, created = self._client.properties.find(name), False
        if found is None:
            self._client.properties.ensure_group(GROUP, GROUP)
            try:
                label = target.remote_name
                found = self._client.properties.create(name, label=label, group=GROUP, number=target.number)
                created = True
            except HubSpotRefused as refused:
                found = self._client.properties.find(name) if refused.status == 409 else None
                if found is None:
                    raise
        if found.read_only or found.type not in FITTING[target.number]:
            what = "read-only" if found.read_only else f"of type {found.type}"
            raise NeedsHuman(
                f"HubSpot's contact property {name!r} is {what}; "
                f"the rules write {'numbers' if target.number else 'text'} to it.",
                todo="give the property another name in the rules, or delete the one in HubSpot",
            )
        return RemoteTarget(id=found.name, name=target.remote_name, created=created)

    # ------------------------------------------------------------ finding people

    def address(self, target: Target, people: Sequence[Contact]) -> Sequence[Address | Unreachable]:
        """See :meth:`leadup.kit.Destination.address`. A person with several addresses may be several contacts."""
        return self._people.addresses(people)

    def foresee(self, people: Iterator[Contact]) -> None:
        """See :meth:`leadup.kit.Foreseeing.foresee`: who waits for several lists is looked for once."""
        self._people.forget()
        self._check_account()
        self._people.foresee(people)

    # ------------------------------------------------------------ changing

    def deliver(self, to: RemoteTarget, batch: Sequence[Change]) -> Sequence[Receipt]:
        """See :meth:`leadup.kit.Destination.deliver`."""
        if not batch:
            return []
        self._check_account()
        if isinstance(batch[0], Join):
            receipts = self._change_list(to, batch, self._client.lists.join, _MISSING)
        elif isinstance(batch[0], Leave):
            receipts = self._change_list(to, batch, self._client.lists.leave, _ALREADY)
        elif isinstance(batch[0], Upsert):
            receipts = self._update(to, batch)
        else:
            raise Refused(f"HubSpot takes no {batch[0].verb}.", code="not_supported")
        return [_together([receipts[contact] for contact in _contacts(change)]) for change in batch]

    def _change_list(
        self,
        to: RemoteTarget,
        batch: Sequence[Change],
        send: Callable[[str, Sequence[str]], Memberships],
        missing: Receipt,
    ) -> Mapping[str, Receipt]:
        """Return a receipt per contact."""

        def still_there() -> None:
            found = self._client.lists.get(to.id)
            if found is None:
                raise _gone(f"list {to.name!r}", "restore it in HubSpot within 90 days, or let leadup create a new one")
            _must_take_members(found)

        receipts: dict[str, Receipt] = {}
        contacts = dict.fromkeys(contact for change in batch for contact in _contacts(change))
        for part in parts(contacts, self._settings.chunk_size):
            sent = sift(part, lambda ids: send(to.id, ids), still_there)
            receipts |= _unanswered(sent)
            for asked, answer in sent.answers:
                for contact in asked:
                    receipts[contact] = _ALREADY
                    if contact in answer.missing:
                        receipts[contact] = missing
                    elif contact in answer.changed or answer.repeated:
                        receipts[contact] = _CONFIRMED
        return receipts

    def _update(self, to: RemoteTarget, batch: Sequence[Change]) -> Mapping[str, Receipt]:
        """Return a receipt per contact. Where changes of one batch meet in a contact, the last value counts."""
        rows: dict[str, dict[str, str]] = {}
        for change in batch:
            if isinstance(change, Upsert):
                values = {name: _text(value) for name, value in change.properties.items()}
                for contact in _contacts(change):
                    rows.setdefault(contact, {}).update(values)

        def still_there() -> None:
            for name in sorted({name for values in rows.values() for name in values}):
                if self._client.properties.find(name) is None:
                    raise _gone(f"contact property {name!r}", "restore it in HubSpot, or let leadup create it again")

        receipts: dict[str, Receipt] = {}
        for part in parts(rows, BATCH):
            sent = sift(part, lambda ids: self._client.contacts.update({i: rows[i] for i in ids}), still_there)
            receipts |= _unanswered(sent)
            for asked, answer in sent.answers:
                for contact in asked:
                    receipts[contact] = _LATER
                    if contact in answer.failed:
                        receipts[contact] = _rejected(answer.failed[contact])
                    elif contact in answer.records or answer.complete:
                        receipts[contact] = _CONFIRMED
        return receipts


def _contacts(change: Change) -> list[str]:
    return [each.value for each in change.to.ids if each.kind == CONTACT]


def _together(receipts: Sequence[Receipt]) -> Receipt:
    """Return one receipt for all the contacts of a change: it is done where one of them is."""
    return min(receipts, key=lambda receipt: _RANK.index(receipt.outcome), default=_NOBODY)


def _unanswered(sent: Sifted[Any]) -> dict[str, Receipt]:
    return {row: _rejected(code) for row, code in sent.refused.items()} | dict.fromkeys(sent.unsent, _LATER)


def _rejected(code: str) -> Receipt:
    if code == "object_not_found":
        return _MISSING
    return Receipt(outcome=Outcome.REJECTED, code=code, detail="HubSpot refuses this row.")


def _must_take_members(found: ListInfo) -> None:
    if found.is_dynamic:
        raise NeedsHuman(
            f"HubSpot's list {found.name!r} is an active one: HubSpot picks its members by filters.",
            todo="rename that list in HubSpot, or give the audience another name in the rules (under activate)",
        )


def _gone(what: str, todo: str) -> NeedsHuman:
    return NeedsHuman(f"HubSpot's {what} is gone; somebody deleted it.", todo=todo)


def _text(value: Json) -> str:
    """Return a property value as HubSpot takes it, always text: numbers without exponent, "" to clear."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return format(Decimal(repr(value)).normalize(), "f")
    return value if isinstance(value, str) else json.dumps(value)
