"""What leadup is told of each change, and what the ways to change something share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from leadup.errors import NeedsHuman
from leadup.outgoing import Change, Join, Outcome, Receipt, RemoteId
from leadup_connectors.hubspot.batches import Sifted
from leadup_connectors.hubspot.named import lasts
from leadup_connectors.hubspot.people import CONTACT, SOON

CONFIRMED: Final = Receipt(outcome=Outcome.CONFIRMED)
ALREADY: Final = Receipt(outcome=Outcome.ALREADY)
LATER: Final = Receipt(outcome=Outcome.LATER, detail="HubSpot has not said what became of it.", retry_after=SOON)
VANISHED: Final = Receipt(
    outcome=Outcome.LATER, code="contact_missing", detail="This contact was merged or deleted: it is looked for again."
)
"""An id that was good a moment ago. The next try looks the person up again: by e-mail, a merged contact is found."""
LOST: Final = Receipt(
    outcome=Outcome.ALREADY, detail="This contact was merged or deleted: it is looked for again.", lost=True
)
"""The same of a leave: a deleted contact is out of all lists, one that was merged left its places to another."""
NOBODY: Final = Receipt(outcome=Outcome.REJECTED, code="no_contact", detail="The change names no contact.")
_RANK: Final = (Outcome.LATER, LOST, Outcome.CONFIRMED, Outcome.ALREADY, VANISHED, Outcome.REJECTED)


def contacts_of(change: Change) -> list[str]:
    """Record ids of the contacts that a change is about."""
    return [each.value for each in change.to.ids if each.kind == CONTACT]


def together(change: Change, receipts: Mapping[str, Receipt]) -> Receipt:
    """Return one receipt for all the contacts of a change: it is done where one of them is, and none is lost.

    Of a join it tells which of them are in the list by it, where not all are alike.
    """
    own = {contact: receipts[contact] for contact in contacts_of(change)}
    one = min(own.values(), key=_rank, default=NOBODY)
    brought = [contact for contact, receipt in own.items() if receipt.outcome is Outcome.CONFIRMED]
    if not isinstance(change, Join) or len(brought) in (0, len(own)):
        return one
    return replace(one, brought=frozenset(RemoteId(CONTACT, contact) for contact in brought))


def _rank(receipt: Receipt) -> int:
    return _RANK.index(receipt if receipt in (VANISHED, LOST) else receipt.outcome)


def unanswered(sent: Sifted[Any]) -> dict[str, Receipt]:
    """Receipts of the rows that HubSpot refused, or that were not sent. What is in doubt is tried again, ever later."""
    told = {row: _rejected(code) for row, code in sent.refused.items()}
    told |= {row: replace(_rejected(code), outcome=Outcome.LATER) for row, code in sent.doubted.items()}
    return told | dict.fromkeys(sent.unsent, LATER)


def failed(code: str) -> Receipt:
    """The receipt of a row that failed for this reason while others of its batch did not.

    Only what is wrong with the row stays wrong: a conflict, or trouble at HubSpot, may have passed at the next try.
    """
    if lasts(code) or code == "object_not_found":
        return _rejected(code)
    return Receipt(outcome=Outcome.LATER, code=code, detail="HubSpot did not take this row.")


def _rejected(code: str) -> Receipt:
    if code == "object_not_found":
        return VANISHED
    return Receipt(outcome=Outcome.REJECTED, code=code, detail="HubSpot refuses this row.")


def gone(what: str, todo: str) -> NeedsHuman:
    """The error for something that somebody deleted."""
    return NeedsHuman(f"HubSpot's {what} is gone; somebody deleted it.", todo=todo)
