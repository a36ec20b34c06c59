"""One use of one destination, in the words that the laws of :mod:`leadup.testing.destinations` need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from leadup.errors import TryLater
from leadup.kit import Destination, Pollable
from leadup.outgoing import (
    Address,
    Change,
    Contact,
    Join,
    Leave,
    Outcome,
    Progress,
    Receipt,
    RemoteId,
    RemoteTarget,
    Target,
)
from leadup.sandbox import Server
from leadup.types import Purpose

GRANTED: Final = dict.fromkeys(Purpose, True)
"""Consent to everything."""
DONE: Final = frozenset({Outcome.CONFIRMED, Outcome.ALREADY, Outcome.ACCEPTED})
"""Outcomes after which nothing is left to send."""

Held: TypeAlias = Callable[[], Sequence[Any]]


@dataclass
class Scene:
    """One use of one destination, in the words that the laws need."""

    server: Server
    destination: Destination
    target: Target
    contacts: Sequence[Contact]
    changes: Callable[[Sequence[tuple[Contact, Address]]], Sequence[Change]]
    """First changes for these people: each adds something to what the vendor holds."""
    held: Held
    """What the vendor holds of the target, after its asynchronous work; a thing held twice is there twice."""
    expected: Callable[[Sequence[Change]], Sequence[Any]]
    """What it should hold after these changes."""

    def addressed(self) -> list[tuple[Contact, Address]]:
        """Every contact with its address."""
        found: list[tuple[Contact, Address]] = []
        for contact, address in zip(self.contacts, self.destination.address(self.target, self.contacts), strict=True):
            assert isinstance(address, Address), f"{contact.person} should be found, but is {address}"
            found.append((contact, address))
        return found

    def ready(self) -> tuple[RemoteTarget, Sequence[Change]]:
        """Prepare the target and the first changes, in good weather."""
        remote = self.destination.prepare(self.target)
        return remote, self.changes(self.addressed())

    def deliver(self, remote: RemoteTarget, changes: Sequence[Change]) -> Sequence[Receipt]:
        """Deliver as the engine does it: in batches, until nothing is left to try again, then wait for the vendor."""
        size = self.destination.can.batch[changes[0].verb] if changes else 1
        receipts: list[Receipt] = []
        for start in range(0, len(changes), size):
            batch = changes[start : start + size]
            for _ in range(10):
                try:
                    answers = self.destination.deliver(remote, batch)
                except TryLater:
                    continue
                if all(answer.outcome is not Outcome.LATER for answer in answers):
                    break
            else:
                raise AssertionError("still not delivered after 10 attempts in good weather")
            receipts += answers
        settle(self.destination, receipts)
        return receipts


def settle(destination: Destination, receipts: Sequence[Receipt]) -> None:
    """Poll until the vendor has worked off all that it accepted."""
    handles = sorted({receipt.handle for receipt in receipts if receipt.outcome is Outcome.ACCEPTED})
    if not handles:
        return
    assert isinstance(destination, Pollable), "a destination that answers 'accepted' can be polled"
    for _ in range(100):
        statuses = destination.poll(handles)
        assert [status.handle for status in statuses] == handles, "one status per handle, in order"
        if all(status.progress is not Progress.PROCESSING for status in statuses):
            return
    raise AssertionError("still processing after 100 polls")


def joins(people: Sequence[tuple[Contact, Address]]) -> Sequence[Change]:
    """Return a join for each of these people, all consents granted."""
    return [Join(key=f"join-{c.person}", person=c.person, to=address, consent=GRANTED) for c, address in people]


def leaves(joined: Sequence[Change]) -> Sequence[Change]:
    """Return the leave that undoes each of these joins."""
    return [Leave(key=f"leave-{j.person}", person=j.person, to=j.to, consent=j.consent) for j in joined]


def ids_of(changes: Sequence[Change]) -> Sequence[RemoteId]:
    """Return all identifiers that these changes send."""
    return [remote_id for change in changes for remote_id in change.to.ids]
