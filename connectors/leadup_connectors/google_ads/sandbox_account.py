"""What the emulated Google Ads account holds, and what working off an accepted request does to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from leadup.sandbox import Fault
from leadup_connectors.google_ads.sandbox_checks import Violation, plain_hex

GRANTED: Final = 1
DENIED: Final = 2
KEY_OF: Final = {"user_data": 1, "user_id_data": 3}
"""The ``UploadKeyType`` a list needs, by the kind of data of a member."""


@dataclass
class UserList:
    """A user list with its members' identifiers."""

    message: Any
    account: str
    members: set[str] = field(default_factory=set)

    @property
    def key_types(self) -> set[int]:
        return set(self.message.ingested_user_list_info.upload_key_types)


@dataclass
class Accepted:
    """A request that was accepted."""

    id: str
    verb: str
    message: Any
    polls: int
    reject: Fault | None
    """A fault that strikes when it is worked off."""
    failed: list[Counter[str]] | None = None
    """Once it is worked off: failed rows by reason, for each destination."""

    def rows(self, destination: Any) -> list[Any]:
        """The rows that go to a destination: those that name it, or name none."""
        rows = rows_of(self.message)[1]
        return [r for r in rows if not r.destination_references or destination.reference in r.destination_references]


def rows_of(message: Any) -> tuple[str, Any]:
    """The name of the field that holds a request's rows, and the rows."""
    name = "events" if hasattr(message, "events") else "audience_members"
    return name, getattr(message, name, ())


class Account:
    """User lists, conversions and the requests on their way. Not thread-safe by itself."""

    def __init__(self) -> None:
        self.actions: Mapping[str, str] | None = None
        self.lists: dict[str, UserList] = {}
        self.conversions: dict[str, dict[str, dict[str, Any]]] = {}
        self.accepted: dict[str, Accepted] = {}
        self.redundant: Counter[str] = Counter()

    def unknown_lists(self, message: Any) -> Iterator[Violation]:
        """Destinations that are no list of the account, or one of another key."""
        kinds = {row.WhichOneof("data") for row in rows_of(message)[1]}
        for number, destination in enumerate(message.destinations):
            place = f"destinations[{number}].product_destination_id"
            found = self.lists.get(destination.product_destination_id)
            if found is None or found.account != destination.operating_account.account_id:
                yield Violation(place, "INVALID_USER_LIST_ID")
            elif not {KEY_OF[kind] for kind in kinds if kind in KEY_OF} <= found.key_types:
                yield Violation(place, "INVALID_USER_LIST_TYPE")

    def unknown_actions(self, message: Any) -> Iterator[Violation]:
        """Destinations that are no conversion action, or one that takes no uploads."""
        for number, destination in enumerate(message.destinations):
            action, place = destination.product_destination_id, f"destinations[{number}].product_destination_id"
            kind = self.actions.get(action) if self.actions is not None else "UPLOAD_CLICKS"
            if kind is None or not action.isdigit():
                yield Violation(place, "INVALID_CONVERSION_ACTION_ID")
            elif kind != "UPLOAD_CLICKS":
                yield Violation(place, "INVALID_CONVERSION_ACTION_TYPE")

    def work_off(self, until: Accepted | None = None) -> None:
        """Do what was accepted, in order, up to and with this request, or all of it."""
        for accepted in self.accepted.values():
            if accepted.failed is None:
                accepted.failed = [self._do(accepted, destination) for destination in accepted.message.destinations]
            if accepted is until:
                break

    def _do(self, accepted: Accepted, destination: Any) -> Counter[str]:
        target, fault = destination.product_destination_id, accepted.reject
        if accepted.verb == "remove_all" and target in self.lists:
            self.lists[target].members.clear()
        failed: Counter[str] = Counter()
        seen: set[str] = set()
        for number, row in enumerate(accepted.rows(destination), start=1):
            if fault is not None and number % max(fault.every, 1) == 0:
                reason = fault.code
            elif accepted.verb == "convert":
                key = row.transaction_id or f"{accepted.id}/{number}"
                reason = "DUPLICATE_TRANSACTION_ID" if key in seen else self._convert(target, key, row, accepted)
                seen.add(key)
            else:
                reason = self._member(target, row, accepted)
            if reason:
                failed[reason] += 1
        return failed

    def _member(self, target: str, row: Any, accepted: Accepted) -> str:
        user_list, ids = self.lists.get(target), identifiers(row, accepted.message.encoding)
        if user_list is None:
            return "INTERNAL_ERROR"
        if accepted.verb == "leave":
            self.redundant["leave"] += ids.isdisjoint(user_list.members)
            user_list.members -= ids
            return ""
        if reason := _consent_fault(row, accepted.message, "ad_user_data", "ad_personalization"):
            return reason
        self.redundant["join"] += ids <= user_list.members
        user_list.members |= ids
        return ""

    def _convert(self, action: str, key: str, row: Any, accepted: Accepted) -> str:
        """Same action, same transaction id: another value, not another conversion ("Conversion adjustments")."""
        if reason := _consent_fault(row, accepted.message, "ad_user_data"):
            return reason
        new = {
            "value": row.conversion_value if row.HasField("conversion_value") else None,
            "currency": row.currency,
        }
        known = self.conversions.setdefault(action, {}).get(key)
        if known is None:
            clicks = [getattr(row.ad_identifiers, kind) for kind in ("gclid", "gbraid", "wbraid")]
            self.conversions[action][key] = {
                **new,
                "count": 1,
                "at": row.event_timestamp.ToJsonString(),
                "click_id": next(filter(None, clicks), ""),
                "identifiers": sorted(identifiers(row, accepted.message.encoding)),
                "history": [new],
            }
            return ""
        if new == known["history"][-1]:
            self.redundant["convert"] += 1
        else:
            known.update(new)
            known["history"].append(new)
        known["identifiers"] = known["identifiers"] or sorted(identifiers(row, accepted.message.encoding))
        return ""


def identifiers(row: Any, encoding: int) -> set[str]:
    """The hashes (in hex, however they came) or the user id of a member or an event."""
    if hasattr(row, "user_id_data") and row.user_id_data.user_id:
        return {row.user_id_data.user_id}
    return {plain_hex(i.email_address or i.phone_number, encoding) for i in row.user_data.user_identifiers}


def _consent_fault(row: Any, message: Any, *signals: str) -> str:
    """The row's consent counts, else the request's; what is not granted is not processed, as in the EEA."""
    consent = row.consent if row.HasField("consent") else message.consent
    given = {getattr(consent, signal) for signal in signals}
    if DENIED in given:
        return "DENIED_CONSENT"
    return "" if given == {GRANTED} else "UNKNOWN_CONSENT"
