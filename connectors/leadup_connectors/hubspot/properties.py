"""Scores, tiers, segments and what was done last as contact properties, in a group of ours."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Final

from leadup.errors import NeedsHuman
from leadup.outgoing import Change, Outcome, Receipt, RemoteTarget, Target, Upsert, ValueKind
from leadup.types import Json
from leadup_connectors.hubspot.answers import Batch, HubSpotRefused, PropertyInfo
from leadup_connectors.hubspot.batches import change, parts, sift
from leadup_connectors.hubspot.client import BATCH, HubSpotClient
from leadup_connectors.hubspot.receipts import (
    ALREADY,
    CONFIRMED,
    LATER,
    VANISHED,
    contacts_of,
    failed,
    gone,
    together,
    unanswered,
)
from leadup_connectors.hubspot.records import instant

GROUP: Final = "leadup"
FITTING: Final[Mapping[ValueKind, Collection[str]]] = {
    ValueKind.NUMBER: {"number", "string"},
    ValueKind.TEXT: {"string", "enumeration"},
    ValueKind.INSTANT: {"datetime", "string"},
    ValueKind.CHOICES: {"enumeration"},
}
"""Types of an existing property that take such values."""
_WORDS: Final[Mapping[ValueKind, str]] = {
    ValueKind.NUMBER: "numbers",
    ValueKind.TEXT: "text",
    ValueKind.INSTANT: "instants",
    ValueKind.CHOICES: "several choices",
}
_LEFT: Final = Receipt(
    outcome=Outcome.ALREADY, code="not_ours", detail="Somebody else has written another value there; it is left."
)


class ContactProperties:
    """Finds and creates contact properties, and writes their values."""

    def __init__(self, client: HubSpotClient) -> None:
        self._client = client

    @staticmethod
    def preparing(targets: Sequence[Target]) -> int:
        """Predict the calls of :meth:`prepare` for these: a look, one for the group, one that creates it."""
        return sum(1 if target.known_id else 3 for target in targets)

    def prepare(self, target: Target) -> RemoteTarget:
        """Find the property, or create it in a group of ours. Choices that it has not are added; none is taken away."""
        found, created = self._client.properties.find(target.name), False
        if found is None:
            self._client.properties.ensure_group(GROUP, GROUP)
            try:
                found = self._client.properties.create(
                    target.name, label=target.remote_name, group=GROUP, values=target.values, options=target.options
                )
                created = True
            except HubSpotRefused as refused:
                found = self._client.properties.find(target.name) if refused.status == 409 else None
                if found is None:
                    raise
        if fault := unfit(found, target):
            raise NeedsHuman(f"HubSpot's contact property {target.name!r} {fault[0]}.", todo=fault[1])
        if set(target.options) - {option["value"] for option in found.options}:
            self._client.properties.add_options(found, target.options)
        return RemoteTarget(id=found.name, name=target.remote_name, created=created)

    def deliver(self, to: RemoteTarget, batch: Sequence[Change]) -> list[Receipt]:
        """Write values. Where changes of one batch meet in a contact, the last value counts."""
        rows: dict[str, _Row] = {}
        for one in batch:
            if isinstance(one, Upsert):
                for contact in contacts_of(one):
                    rows.setdefault(contact, _Row()).take(one)
        receipts = self._spare({contact: row for contact, row in rows.items() if row.clears})
        to_write = {contact: row.values for contact, row in rows.items() if contact not in receipts}

        def write(contacts: Sequence[str]) -> Batch:
            return self._client.contacts.update({contact: to_write[contact] for contact in contacts})

        sent = change(to_write, BATCH, write, lambda: self._still_there(to_write.values()))
        receipts |= unanswered(sent)
        for asked, answer in sent.answers:
            for contact in asked:
                receipts[contact] = LATER
                if contact in answer.failed:
                    receipts[contact] = failed(answer.failed[contact])
                elif contact in answer.records or answer.complete:
                    receipts[contact] = CONFIRMED
        return [together(one, receipts) for one in batch]

    def _still_there(self, rows: Iterable[Mapping[str, str]]) -> None:
        for name in sorted({name for values in rows for name in values}):
            if self._client.properties.find(name) is None:
                raise gone(f"contact property {name!r}", "restore it in HubSpot, or let leadup create it again")

    def _spare(self, rows: Mapping[str, _Row]) -> dict[str, Receipt]:
        """Look at what is to be cleared: what somebody else wrote stays.

        Returns:
            Receipts of contacts that are done, or that HubSpot does not show: nothing is cleared unseen.
        """
        receipts: dict[str, Receipt] = {}
        names = sorted({name for row in rows.values() for name in row.clears})
        for part in parts(rows, BATCH):
            sent = sift(
                part,
                lambda contacts: self._client.contacts.read_records(contacts, names),
                lambda: self._still_there(row.values for row in rows.values()),
            )
            receipts |= unanswered(sent)
            for asked, answer in sent.answers:
                receipts |= dict.fromkeys(asked, VANISHED)
                receipts |= {one: failed(code) for one, code in answer.failed.items() if one in rows}
                for contact in answer.records.keys() & rows.keys():
                    said = rows[contact].spare(answer.records[contact])
                    if rows[contact].values:
                        del receipts[contact]
                    else:
                        receipts[contact] = said
        return receipts


@dataclass(slots=True)
class _Row:
    """What is to be written to one contact."""

    values: dict[str, str] = field(default_factory=dict)
    clears: dict[str, Sequence[Json]] = field(default_factory=dict)
    """Of the properties to be cleared, what of ours may stand there."""

    def take(self, change: Upsert) -> None:
        for name, value in change.properties.items():
            self.values[name] = text(value)
            earlier = self.clears.pop(name, ())
            if value is None:
                self.clears[name] = [*earlier, *change.ours.get(name, ())]

    def spare(self, there: Mapping[str, str | None]) -> Receipt:
        """Leave out what is empty already, or not ours; say which it was. Of boxes to tick, only ours are taken out."""
        said = ALREADY
        for name, ours in self.clears.items():
            stands = there.get(name) or ""
            left = _without(stands, ours)
            if left != stands:
                self.values[name] = left
                continue
            if stands:
                said = _LEFT
            del self.values[name]
        return said


def unfit(found: PropertyInfo, target: Target) -> tuple[str, str] | None:
    """Why a contact property does not take a target's values, and what to do about it; None: it does."""
    kind, several = f"of type {found.type}", target.values is ValueKind.CHOICES
    if several and found.type == "enumeration" and found.field != "checkbox":
        kind = f"shown as {found.field}, which takes one choice"
    elif not found.read_only and found.type in FITTING[target.values]:
        return None
    as_text = ", or write `as: text` there" if several and found.type == "string" else ""
    return (
        f"is {'read-only' if found.read_only else kind}; the rules write {_WORDS[target.values]} to it",
        f"give the property another name in the rules{as_text}, or delete the one in HubSpot",
    )


def text(value: Json) -> str:
    """Return a property value as HubSpot takes it, always text.

    Numbers have no exponent, choices are separated by semicolons, instants are ISO 8601 in UTC, and "" clears (source:
    CRM API, "Properties").
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return format(Decimal(repr(value)).normalize(), "f")
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return ";".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def value(held: str | None, kind: ValueKind) -> Json:
    """Return what a property holds as its kind of values says; as text where it is none of that kind.

    HubSpot gives every value as text: numbers, choices separated by semicolons, instants as ISO 8601 or as milliseconds
    since 1970, "" or null for none (source: CRM API, "Properties").
    """
    if not held:
        return None
    match kind:
        case ValueKind.NUMBER:
            return _number(held)
        case ValueKind.CHOICES:
            return held.split(";")
        case ValueKind.INSTANT:
            at = _instant(held)
            return held if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case ValueKind.TEXT:
            return held


def _number(text: str) -> Json:
    try:
        number = float(text)
    except ValueError:
        return text
    if not isfinite(number):
        return text
    return int(number) if number.is_integer() else number


def _without(stands: str, ours: Sequence[Json]) -> str:
    """Return what is left of a value without ours: nothing if it is one of them; of several choices, the others."""
    if any(_same(stands, text(one)) for one in ours):
        return ""
    options = {option for one in ours if isinstance(one, list | tuple) for option in one}
    return ";".join(option for option in stands.split(";") if option not in options)


def _same(stands: str, ours: str) -> bool:
    """Whether two values are one: HubSpot keeps no order of choices, and tells instants in its own way."""
    if stands == ours or sorted(stands.split(";")) == sorted(ours.split(";")):
        return True
    at = _instant(stands)
    return at is not None and at == _instant(ours)


def _instant(text: str) -> datetime | None:
    try:
        return instant(text)
    except ValueError:
        return None
