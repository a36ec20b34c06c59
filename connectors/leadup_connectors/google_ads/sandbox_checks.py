"""What the emulator refuses at once: the checks of the Data Manager API's fast-fail model, on raw protobuf messages.

Sources: Data Manager API, "Limits and quotas", "Understand API errors", and the field descriptions of the messages.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

MOST_MEMBERS: Final = 10_000
MOST_EVENTS: Final = 2_000
MOST_IDENTIFIERS: Final = 10
MOST_DESTINATIONS: Final = 10
LONGEST_MEMBERSHIP: Final = 540 * 86_400
GOOGLE_ADS: Final = 1
ACCEPTED: Final = 1
HEX: Final = 1
BASE64: Final = 2
NO_CURRENCY: Final = frozenset({"XTS", "XXX"})
"""Codes of ISO 4217 for tests and for no currency: well formed, yet no money."""

_HEX = re.compile(r"([0-9a-fA-F]{2})*")
_BASE64 = re.compile(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


@dataclass(frozen=True, slots=True)
class Violation:
    """One entry of ``BadRequest.field_violations``."""

    field: str
    reason: str


def destinations(request: Any) -> Iterator[Violation]:
    """Check what every ingestion request says of where it goes."""
    if not request.destinations:
        yield Violation("destinations", "REQUIRED_FIELD_MISSING")
    if len(request.destinations) > MOST_DESTINATIONS:
        yield Violation("destinations", "TOO_MANY_DESTINATIONS")
    references = [d.reference for d in request.destinations if d.reference]
    if len(set(references)) < len(references):
        yield Violation("destinations", "DUPLICATE_DESTINATION_REFERENCE")
    for number, destination in enumerate(request.destinations):
        field = f"destinations[{number}]"
        account = destination.operating_account
        if not re.fullmatch(r"[0-9]{10}", account.account_id):
            yield Violation(f"{field}.operating_account.account_id", "INVALID_DESTINATION")
        if account.account_type != GOOGLE_ADS:
            yield Violation(f"{field}.operating_account.account_type", "INVALID_DESTINATION")
        if not destination.product_destination_id:
            yield Violation(f"{field}.product_destination_id", "REQUIRED_FIELD_MISSING")


def joins(request: Any) -> Iterator[Violation]:
    """Check the rows of ``audienceMembers:ingest``."""
    terms = request.terms_of_service.customer_match_terms_of_service_status
    if terms != ACCEPTED and any(row.HasField("user_data") for row in request.audience_members):
        field = "terms_of_service.customer_match_terms_of_service_status"
        yield Violation(field, "TERMS_AND_CONDITIONS_NOT_SIGNED")
    yield from leaves(request)


def remove_all(request: Any) -> Iterator[Violation]:
    """Refuse the one field that is not emulated: when a member was added is not kept."""
    if request.HasField("remove_as_of_time"):
        yield Violation("remove_as_of_time", "INVALID_REMOVE_AS_OF_TIME")


def leaves(request: Any) -> Iterator[Violation]:
    """Check the rows of ``audienceMembers:remove``; they carry no consent and need no terms."""
    rows = request.audience_members
    if not rows:
        yield Violation("audience_members", "REQUIRED_FIELD_MISSING")
    if len(rows) > MOST_MEMBERS:
        yield Violation("audience_members", "TOO_MANY_AUDIENCE_MEMBERS")
        return
    kinds = {row.WhichOneof("data") for row in rows}
    if len(kinds) > 1:
        yield Violation("audience_members", "MULTIPLE_DATA_TYPES_NOT_ALLOWED")
    if "user_data" in kinds:
        yield from _encoding(request)
    for number, row in enumerate(rows):
        field = f"audience_members[{number}]"
        kind = row.WhichOneof("data")
        if kind == "user_data":
            if not row.user_data.user_identifiers:
                yield Violation(f"{field}.user_data.user_identifiers", "REQUIRED_FIELD_MISSING")
            yield from _user_data(row.user_data, field, request.encoding)
        elif kind == "user_id_data":
            if not row.user_id_data.user_id:
                yield Violation(f"{field}.user_id_data.user_id", "REQUIRED_FIELD_MISSING")
        else:
            yield Violation(field, "INVALID_AUDIENCE_MEMBER")


def events(request: Any) -> Iterator[Violation]:
    """Check the rows of ``events:ingest``."""
    if not request.events:
        yield Violation("events", "REQUIRED_FIELD_MISSING")
    if len(request.events) > MOST_EVENTS:
        yield Violation("events", "TOO_MANY_EVENTS")
        return
    if any(event.user_data.user_identifiers for event in request.events):
        yield from _encoding(request)
    for number, event in enumerate(request.events):
        field = f"events[{number}]"
        clicks = [k for k in ("gclid", "gbraid", "wbraid") if getattr(event.ad_identifiers, k)]
        if not event.HasField("event_timestamp"):
            yield Violation(f"{field}.event_timestamp", "REQUIRED_FIELD_MISSING")
        if not clicks and not event.user_data.user_identifiers:
            yield Violation(field, "NO_IDENTIFIERS_PROVIDED")
        if len(clicks) > 1:
            yield Violation(f"{field}.ad_identifiers", "INVALID_EVENT")
        if event.currency and (event.currency in NO_CURRENCY or not re.fullmatch(r"[A-Z]{3}", event.currency)):
            yield Violation(f"{field}.currency", "INVALID_CURRENCY_CODE")
        yield from _user_data(event.user_data, field, request.encoding)


def user_list(new: Any) -> Iterator[Violation]:
    """Check a new user list, but for the uniqueness of its name."""
    if not new.display_name:
        yield Violation("user_list.display_name", "REQUIRED_FIELD_MISSING")
    if not new.ingested_user_list_info.upload_key_types:
        yield Violation("user_list.ingested_user_list_info.upload_key_types", "REQUIRED_FIELD_MISSING")
    if new.membership_duration.seconds % 86_400 or new.membership_duration.nanos:
        yield Violation("user_list.membership_duration", "INVALID_ARGUMENT")
    elif new.membership_duration.seconds > LONGEST_MEMBERSHIP:
        yield Violation("user_list.membership_duration", "MEMBERSHIP_DURATION_TOO_LONG")


def _encoding(request: Any) -> Iterator[Violation]:
    if not request.encoding:
        yield Violation("encoding", "REQUIRED_FIELD_MISSING")
    elif request.encoding not in (HEX, BASE64):
        yield Violation("encoding", "INVALID_ENUM_VALUE")


def _user_data(user_data: Any, row: str, encoding: int) -> Iterator[Violation]:
    field = f"{row}.user_data.user_identifiers"
    form, reason = (_BASE64, "INVALID_BASE64_ENCODING") if encoding == BASE64 else (_HEX, "INVALID_HEX_ENCODING")
    if len(user_data.user_identifiers) > MOST_IDENTIFIERS:
        yield Violation(field, "TOO_MANY_USER_IDENTIFIERS")
    for number, identifier in enumerate(user_data.user_identifiers):
        kind = identifier.WhichOneof("identifier") or "identifier"
        hashed = identifier.email_address or identifier.phone_number
        if not form.fullmatch(hashed):
            yield Violation(f"{field}[{number}].{kind}", reason)
        elif len(plain_hex(hashed, encoding)) != 64:
            yield Violation(f"{field}[{number}].{kind}", "INVALID_SHA256_FORMAT")


def plain_hex(hashed: str, encoding: int) -> str:
    """A hash in hex, however the request wrote it."""
    return base64.b64decode(hashed).hex() if encoding == BASE64 else hashed
