"""Scores and tiers as contact properties, in a group of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from leadup.errors import NeedsHuman
from leadup.types import Change, Json, Receipt, RemoteTarget, Target, Upsert
from leadup_connectors.hubspot.answers import HubSpotRefused, PropertyInfo
from leadup_connectors.hubspot.batches import parts, sift
from leadup_connectors.hubspot.client import BATCH, HubSpotClient
from leadup_connectors.hubspot.receipts import CONFIRMED, LATER, contacts_of, gone, rejected, unanswered

GROUP: Final = "leadup"
FITTING: Final = {True: {"number", "string"}, False: {"string", "enumeration"}}
"""Types of an existing property that take a number, or a text."""


class ContactProperties:
    """Finds and creates contact properties, and writes their values."""

    def __init__(self, client: HubSpotClient) -> None:
        self._client = client

    def prepare(self, target: Target) -> RemoteTarget:
        """Find the property, or create it in a group of ours."""
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
        if fault := unfit(found, target):
            raise NeedsHuman(f"HubSpot's contact property {name!r} {fault[0]}.", todo=fault[1])
        return RemoteTarget(id=found.name, name=target.remote_name, created=created)

    def deliver(self, to: RemoteTarget, batch: Sequence[Change]) -> Mapping[str, Receipt]:
        """Return a receipt per contact. Where changes of one batch meet in a contact, the last value counts."""
        rows: dict[str, dict[str, str]] = {}
        for change in batch:
            if isinstance(change, Upsert):
                values = {name: _text(value) for name, value in change.properties.items()}
                for contact in contacts_of(change):
                    rows.setdefault(contact, {}).update(values)

        def still_there() -> None:
            for name in sorted({name for values in rows.values() for name in values}):
                if self._client.properties.find(name) is None:
                    raise gone(f"contact property {name!r}", "restore it in HubSpot, or let leadup create it again")

        receipts: dict[str, Receipt] = {}
        for part in parts(rows, BATCH):
            sent = sift(part, lambda ids: self._client.contacts.update({i: rows[i] for i in ids}), still_there)
            receipts |= unanswered(sent)
            for asked, answer in sent.answers:
                for contact in asked:
                    receipts[contact] = LATER
                    if contact in answer.failed:
                        receipts[contact] = rejected(answer.failed[contact])
                    elif contact in answer.records or answer.complete:
                        receipts[contact] = CONFIRMED
        return receipts


def unfit(found: PropertyInfo, target: Target) -> tuple[str, str] | None:
    """Why a contact property does not take a target's values, and what to do about it; None: it does."""
    if not found.read_only and found.type in FITTING[target.number]:
        return None
    what = "read-only" if found.read_only else f"of type {found.type}"
    return (
        f"is {what}; the rules write {'numbers' if target.number else 'text'} to it",
        "give the property another name in the rules, or delete the one in HubSpot",
    )


def _text(value: Json) -> str:
    """Return a property value as HubSpot takes it, always text: numbers without exponent, "" to clear."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return format(Decimal(repr(value)).normalize(), "f")
    return value if isinstance(value, str) else json.dumps(value)
