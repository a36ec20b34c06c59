"""Conversions and their adjustments by the Google Ads API: each row is taken or refused for itself, at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from leadup.errors import NeedsHuman
from leadup.outgoing import Convert, Outcome, Receipt, Restate
from leadup_connectors.google_ads.ads.errors import ADJUSTMENTS, UPLOADS, Policy, Then, gravest, receipt

if TYPE_CHECKING:
    from leadup_connectors.google_ads.client.ads import GoogleAds


def upload(api: GoogleAds, action_id: str, rows: Sequence[Convert]) -> list[Receipt]:
    """Report conversions; one receipt a row. Sending again does no harm: an order id counts once.

    Raises:
        NeedsHuman: nothing was taken, and a person has to act.
        TryLater, Refused: as they say.
    """
    return _receipts("report conversions", len(rows), api.upload(action_id, rows), UPLOADS)


def adjust(api: GoogleAds, action_id: str, rows: Sequence[Restate]) -> list[Receipt]:
    """Change the values of conversions, or take them back; one receipt a row. Raises as :func:`upload` does.

    A row sent again carries the instant it carried before, by which Google knows that it is the same.
    """
    receipts = _receipts("adjust conversions", len(rows), api.adjust(action_id, rows), ADJUSTMENTS)
    return [
        _GONE if answer.code == "CONVERSION_ALREADY_RETRACTED" and not row.taken_back else answer
        for row, answer in zip(rows, receipts, strict=True)
    ]


_GONE = Receipt(
    outcome=Outcome.REJECTED,
    code="CONVERSION_ALREADY_RETRACTED",
    detail="the conversion was taken back, which is for good: it can have no value again",
)


def _receipts(
    doing: str, count: int, errors: Mapping[int, Sequence[str]], table: Mapping[str, Policy]
) -> list[Receipt]:
    decided = {row: gravest(table, codes) for row, codes in errors.items()}
    stopped = [(name, policy) for name, policy in decided.values() if policy.then is Then.STOP]
    if stopped and len(stopped) == count:
        name, policy = stopped[0]
        raise NeedsHuman(f"{doing}: Google answered {name}", todo=policy.todo)
    taken = Receipt(outcome=Outcome.CONFIRMED)
    return [receipt(*decided[row]) if row in decided else taken for row in range(count)]
