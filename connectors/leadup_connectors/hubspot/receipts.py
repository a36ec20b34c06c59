"""What leadup is told of each change, and what the ways to change something share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from leadup.errors import NeedsHuman
from leadup.outgoing import Change, Outcome, Receipt
from leadup_connectors.hubspot.batches import Sifted
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


def together(receipts: Sequence[Receipt]) -> Receipt:
    """Return one receipt for all the contacts of a change: it is done where one of them is, and none is lost."""
    return min(receipts, key=_rank, default=NOBODY)


def _rank(receipt: Receipt) -> int:
    return _RANK.index(receipt if receipt in (VANISHED, LOST) else receipt.outcome)


def unanswered(sent: Sifted[Any]) -> dict[str, Receipt]:
    """Receipts of the rows that HubSpot refused, or that were not sent."""
    return {row: rejected(code) for row, code in sent.refused.items()} | dict.fromkeys(sent.unsent, LATER)


def rejected(code: str) -> Receipt:
    """The receipt of a row that HubSpot refuses for this reason."""
    if code == "object_not_found":
        return VANISHED
    return Receipt(outcome=Outcome.REJECTED, code=code, detail="HubSpot refuses this row.")


def gone(what: str, todo: str) -> NeedsHuman:
    """The error for something that somebody deleted."""
    return NeedsHuman(f"HubSpot's {what} is gone; somebody deleted it.", todo=todo)
