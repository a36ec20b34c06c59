"""What working off an accepted request does to the account, row by row, some time after it was accepted."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

from leadup_connectors.google_ads.sandbox.account import Account, Action, Membership
from leadup_connectors.google_ads.sandbox.rows import Accepted, identifiers

GRANTED: Final = 1
DENIED: Final = 2
CLICK_IDS: Final = ("gclid", "gbraid", "wbraid")
CLICK_ID: Final = re.compile(r"[\w.-]+", re.ASCII)
"""What can be a click id; Google decodes it, which nobody else can."""


def work_off(account: Account, until: Accepted | None = None) -> None:
    """Do what was accepted, in order, up to and with this request, or all of it."""
    for accepted in account.accepted.values():
        if accepted.failed is None:
            accepted.failed = [_do(account, accepted, destination) for destination in accepted.message.destinations]
        if accepted is until:
            break


def _do(account: Account, accepted: Accepted, destination: Any) -> Counter[str]:
    target, fault = destination.product_destination_id, accepted.reject
    if fault is not None and "WARNING_REASON_" in fault.code:
        fault = None  # a warned row is worked off like any other
    if accepted.verb == "remove_all":
        _remove_all(account, target, accepted)
    failed: Counter[str] = Counter()
    seen: set[str] = set()
    for number, row in enumerate(accepted.rows(destination), start=1):
        if fault is not None and number % max(fault.every, 1) == 0:
            reason = fault.code
        elif accepted.verb == "convert":
            key = row.transaction_id or f"{accepted.id}/{number}"
            reason = "DUPLICATE_TRANSACTION_ID" if key in seen else _convert(account, destination, key, row, accepted)
            seen.add(key)
        else:
            reason = _member(account, target, row, accepted)
        if reason:
            failed[reason] += 1
    return failed


def _remove_all(account: Account, target: str, accepted: Accepted) -> None:
    """Remove who was last added before the given time; without one, before now (reference page of the request)."""
    if target not in account.lists:
        return
    given = accepted.message.remove_as_of_time
    until = given.ToDatetime(tzinfo=UTC) if accepted.message.HasField("remove_as_of_time") else None
    joined = account.lists[target].joined
    for key in [key for key, one in joined.items() if until is None or one.at < until]:
        del joined[key]


def _member(account: Account, target: str, row: Any, accepted: Accepted) -> str:
    user_list, ids = account.lists.get(target), identifiers(row, getattr(accepted.message, "encoding", 0))
    if user_list is None:
        return "INTERNAL_ERROR"
    held = [key for key in ids if user_list.holds(key, account.clock)]
    if accepted.verb == "leave":
        account.redundant["leave"] += not held
        for key in ids & user_list.joined.keys():
            del user_list.joined[key]
        return ""
    if reason := _consent_fault(account, row, accepted.message, "ad_user_data", "ad_personalization"):
        return reason
    account.redundant["join"] += len(held) == len(ids)
    user_list.joined.update(dict.fromkeys(ids, Membership(accepted.at, frozenset(ids))))
    return ""


def _convert(account: Account, destination: Any, key: str, row: Any, accepted: Accepted) -> str:
    """Same action, same transaction id: another value, not another conversion ("Conversion adjustments")."""
    if reason := _consent_fault(account, row, accepted.message, "ad_user_data"):
        return reason
    action_id = destination.product_destination_id
    held = account.conversions.setdefault(action_id, {})
    new = {
        "value": row.conversion_value if row.HasField("conversion_value") else None,
        "currency": row.currency,
    }
    ids = sorted(identifiers(row, accepted.message.encoding))
    if known := held.get(key):
        restate(account, known, new)
        known["identifiers"] = known["identifiers"] or ids
        return ""
    kind, click_id = next(((k, v) for k in CLICK_IDS if (v := getattr(row.ad_identifiers, k))), ("", ""))
    at, action = row.event_timestamp.ToDatetime(tzinfo=UTC), account.actions.get(action_id, Action(id=action_id))
    if kind and not CLICK_ID.fullmatch(click_id):
        return f"INVALID_{kind.upper()}"
    if kind in ("gbraid", "wbraid") and action.counting == "ONE_PER_CLICK":
        return "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID"
    if reason := account.click_fault(click_id, at, action, destination.operating_account.account_id):
        return reason
    if not click_id and account.unknown_person(ids):
        return "CLICK_NOT_FOUND"
    if not row.transaction_id and click_id and same_click(held, click_id, at):
        return "DUPLICATE_GCLID"
    consent = {GRANTED: True, DENIED: False}.get(_consent(row, accepted.message).ad_user_data)
    held[key] = conversion(new, at, click_id, ids, consent, named=bool(row.transaction_id))
    return ""


def conversion(
    new: dict[str, Any], at: datetime, click_id: str, ids: list[str], consent: bool | None, *, named: bool
) -> dict[str, Any]:
    """A conversion as the account keeps it, from ``{"value": …, "currency": …}`` and the rest.

    ``named``: it came with a transaction id, by which alone it is known from then on.
    """
    return {
        **new,
        "count": 1,
        "at": stamp(at),
        "click_id": click_id,
        "identifiers": ids,
        "ad_user_data": consent,
        "named": named,
        "history": [new],
    }


def stamp(at: datetime) -> str:
    """An instant as protobuf's JSON writes it: ``2026-03-01T12:30:00Z``, with a fraction only if there is one."""
    digits = "seconds" if not at.microsecond else "milliseconds" if at.microsecond % 1000 == 0 else "microseconds"
    return at.astimezone(UTC).isoformat(timespec=digits).replace("+00:00", "Z")


def restate(account: Account, known: dict[str, Any], new: dict[str, Any]) -> None:
    """Overwrite value and currency of a conversion; the count stays."""
    if new == known["history"][-1]:
        account.redundant["convert"] += 1
    else:
        known.update(new)
        known["history"].append(new)


def same_click(held: dict[str, dict[str, Any]], click_id: str, at: datetime) -> bool:
    """Whether there is a conversion of the same click at the same instant."""
    return any(one["click_id"] == click_id and one["at"] == stamp(at) for one in held.values())


def _consent(row: Any, message: Any) -> Any:
    """The row's consent counts, else the request's."""
    return row.consent if row.HasField("consent") else message.consent


def _consent_fault(account: Account, row: Any, message: Any, *signals: str) -> str:
    consent = _consent(row, message)
    given = {getattr(consent, signal) for signal in signals}
    if DENIED in given:
        return "DENIED_CONSENT"
    if given == {GRANTED}:
        return ""
    return {"unknown": "UNKNOWN_CONSENT", "eea": "NO_CONSENT", "elsewhere": ""}[account.people_in]
