"""How a batch goes to Google when one bad row refuses a whole request: by the rows that it names, else by halves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from leadup.errors import NeedsHuman, Refused
from leadup.outgoing import Change, Outcome, Receipt
from leadup_connectors.google_ads.client.data_manager import Taken
from leadup_connectors.google_ads.errors import RowsRefused

ROUNDS: Final = 5
"""How often the rows that Google names are taken out and the rest is sent again, before the rest is halved."""
MOST_REQUESTS: Final = 60
"""In one delivery; halving finds one bad row of 2,000 in 23. The minute's quota (300 writes) is for others as well."""

Send: TypeAlias = Callable[[Sequence[Change]], Taken]
Row: TypeAlias = tuple[int, Change]
"""A change, and its number."""


def deliver(send: Send, rows: Sequence[Row]) -> dict[int, Receipt]:
    """Send rows until each has a receipt, by their numbers.

    TryLater is raised even after some rows were taken, since the part that met it may have been taken as well; sending
    all of them again does no harm. Another error, once something is known of some row, only ends the sending.

    A row that Google refuses without naming it is rejected only where it takes others by the same call. Else the call
    may be at fault, and the row waits, ever longer.
    """
    receipts: dict[int, Receipt] = {}
    unnamed: set[int] = set()
    parts = deque([list(rows)])
    requests = 0
    while parts and requests < MOST_REQUESTS:
        part = parts.popleft()
        requests += 1
        try:
            taken = send([change for _, change in part])
        except RowsRefused as refusal:
            named = {part[index][0]: why for index, why in refusal.rows.items() if index < len(part)}
            if not named and len(part) == 1:
                named = {part[0][0]: (refusal.code, "")}
                unnamed |= named.keys()
            receipts.update((number, _rejected(*why)) for number, why in named.items())
            rest = [row for row in part if row[0] not in named]
            middle = len(rest) // 2 if not named or requests >= ROUNDS else 0
            parts.extendleft(filter(None, (rest[middle:], rest[:middle])))
        except (NeedsHuman, Refused):
            if not receipts:
                raise
            break
        else:
            for index, (number, _) in enumerate(part):
                warning = taken.warnings.get(index, "")
                receipts[number] = Receipt(outcome=Outcome.ACCEPTED, handle=taken.request_id, warning=warning)
    if not any(receipt.outcome is Outcome.ACCEPTED for receipt in receipts.values()):
        receipts |= {number: replace(receipts[number], outcome=Outcome.LATER) for number in unnamed}
    return {number: receipts.get(number, _NOT_SENT) for number, _ in rows}


def _rejected(reason: str, path: str) -> Receipt:
    return Receipt(outcome=Outcome.REJECTED, code=reason, detail=f"Google refused {path or 'the row'}")


_NOT_SENT = Receipt(outcome=Outcome.LATER, code="not_sent", detail="the batch was sent in parts, and not to the end")
