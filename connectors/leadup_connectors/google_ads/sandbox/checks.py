"""What the Data Manager API refuses at once: the checks of its fast-fail model, on raw protobuf messages.

Sources: Data Manager API, "Limits and quotas", "Understand API errors", and the field descriptions of the messages.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Any, Final

from leadup_connectors.google_ads.sandbox.account import Account
from leadup_connectors.google_ads.sandbox.refusals import Violation
from leadup_connectors.google_ads.sandbox.rows import BASE64, rows_of

MOST_MEMBERS: Final = 10_000
MOST_EVENTS: Final = 2_000
MOST_IDENTIFIERS: Final = 10
MOST_DESTINATIONS: Final = 10
LONGEST_MEMBERSHIP: Final = 540 * 86_400
GOOGLE_ADS: Final = 1
ACCEPTED: Final = 1
HEX: Final = 1
KEY_OF: Final = {"user_data": 1, "user_id_data": 3}
"""The ``UploadKeyType`` a list needs, by the kind of data of a member."""
AHEAD: Final = timedelta(minutes=5)
"""How far ahead of the emulator's clock an event may be; Google gives no number."""
NO_CURRENCY: Final = frozenset({"XTS", "XXX"})
"""Codes of ISO 4217 for tests and for no currency: well formed, yet no money."""

_SHA256_BYTES = 32
_HEX = re.compile(r"([0-9a-fA-F]{2})*")


def destinations(request: Any, account: Account) -> Iterator[Violation]:
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
        operating = destination.operating_account
        if not account.eu_political_declared:
            yield Violation(f"{field}.operating_account", "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED")
        if not re.fullmatch(r"[0-9]{10}", operating.account_id):
            yield Violation(f"{field}.operating_account.account_id", "INVALID_DESTINATION")
        if operating.account_type != GOOGLE_ADS:
            yield Violation(f"{field}.operating_account.account_type", "INVALID_DESTINATION")
        if not destination.product_destination_id:
            yield Violation(f"{field}.product_destination_id", "REQUIRED_FIELD_MISSING")


def unknown_lists(request: Any, account: Account) -> Iterator[Violation]:
    """Find destinations that are no list of the account, or one of another key."""
    kinds = {row.WhichOneof("data") for row in rows_of(request)[1]}
    for number, destination in enumerate(request.destinations):
        place = f"destinations[{number}].product_destination_id"
        found = account.lists.get(destination.product_destination_id)
        if found is None or found.account != destination.operating_account.account_id:
            yield Violation(place, "INVALID_USER_LIST_ID")
        elif not {KEY_OF[kind] for kind in kinds if kind in KEY_OF} <= found.key_types:
            yield Violation(place, "INVALID_USER_LIST_TYPE")


def unusable_actions(request: Any, account: Account) -> Iterator[Violation]:
    """Find destinations that are no conversion action of the operating account, or one that takes no uploads yet."""
    for number, destination in enumerate(request.destinations):
        place = f"destinations[{number}].product_destination_id"
        action = account.action(destination.product_destination_id)
        if action is None or action.owner not in ("", destination.operating_account.account_id):
            yield Violation(place, "INVALID_CONVERSION_ACTION_ID")
        elif action.type != "UPLOAD_CLICKS":
            yield Violation(place, "INVALID_CONVERSION_ACTION_TYPE")
        elif account.too_new(action):
            yield Violation(place, "CONVERSION_ACTION_TOO_RECENTLY_CREATED")


def joins(request: Any, account: Account) -> Iterator[Violation]:
    """Check the rows of ``audienceMembers:ingest``."""
    terms = request.terms_of_service.customer_match_terms_of_service_status
    accepted = terms == ACCEPTED and account.customer_match_terms
    if not accepted and any(row.HasField("user_data") for row in request.audience_members):
        field = "terms_of_service.customer_match_terms_of_service_status"
        yield Violation(field, "TERMS_AND_CONDITIONS_NOT_SIGNED")
    yield from leaves(request, account)


def remove_all(request: Any, account: Account) -> Iterator[Violation]:
    """Check the time of ``audienceMembers:removeAll``, which must not be ahead."""
    if request.HasField("remove_as_of_time") and request.remove_as_of_time.ToDatetime(tzinfo=UTC) > account.now():
        yield Violation("remove_as_of_time", "INVALID_REMOVE_AS_OF_TIME")


def leaves(request: Any, _: Account) -> Iterator[Violation]:
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


def events(request: Any, account: Account) -> Iterator[Violation]:
    """Check the rows of ``events:ingest``."""
    if not request.events:
        yield Violation("events", "REQUIRED_FIELD_MISSING")
    if len(request.events) > MOST_EVENTS:
        yield Violation("events", "TOO_MANY_EVENTS")
        return
    if any(event.user_data.user_identifiers for event in request.events):
        yield from _encoding(request)
        yield from _enhanced(request, account)
    for number, event in enumerate(request.events):
        yield from _event(event, f"events[{number}]", request, account)


def _enhanced(request: Any, account: Account) -> Iterator[Violation]:
    """Check that the account may take user data with conversions."""
    prefix = "DESTINATION_ACCOUNT_"
    for number in range(len(request.destinations)):
        field = f"destinations[{number}].operating_account"
        if not account.data_policy_ok:
            yield Violation(field, f"{prefix}DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS")
        elif not account.data_terms:
            yield Violation(field, f"{prefix}ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED")
        elif not account.enhanced_conversions:
            yield Violation(field, f"{prefix}NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS")


def _event(event: Any, field: str, request: Any, account: Account) -> Iterator[Violation]:
    clicks = [k for k in ("gclid", "gbraid", "wbraid") if getattr(event.ad_identifiers, k)]
    if not event.HasField("event_timestamp"):
        yield Violation(f"{field}.event_timestamp", "REQUIRED_FIELD_MISSING")
    elif account.clock and event.event_timestamp.ToDatetime(tzinfo=UTC) > account.clock + AHEAD:
        yield Violation(f"{field}.event_timestamp", "EVENT_TIME_INVALID")
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
    if len(user_data.user_identifiers) > MOST_IDENTIFIERS:
        yield Violation(field, "TOO_MANY_USER_IDENTIFIERS")
    for number, identifier in enumerate(user_data.user_identifiers):
        kind = identifier.WhichOneof("identifier") or "identifier"
        if kind == "address":
            yield from _address(identifier.address, f"{field}[{number}].address", encoding)
        else:
            yield from _hashed(getattr(identifier, kind, ""), f"{field}[{number}].{kind}", encoding)


def _address(address: Any, field: str, encoding: int) -> Iterator[Violation]:
    """Check an address: names are hashed, the region and the postal code are not; all four are needed."""
    for part in ("given_name", "family_name", "region_code", "postal_code"):
        if not getattr(address, part):
            yield Violation(f"{field}.{part}", "REQUIRED_FIELD_MISSING")
        elif part.endswith("_name"):
            yield from _hashed(getattr(address, part), f"{field}.{part}", encoding)
    if address.region_code and not re.fullmatch(r"[A-Z]{2}", address.region_code):
        yield Violation(f"{field}.region_code", "INVALID_REGION_CODE")


def _hashed(text: str, field: str, encoding: int) -> Iterator[Violation]:
    if encoding == BASE64:
        try:
            length = len(base64.b64decode(text, validate=True))
        except binascii.Error:
            yield Violation(field, "INVALID_BASE64_ENCODING")
            return
        if length != _SHA256_BYTES:
            yield Violation(field, "INVALID_SHA256_FORMAT")
    elif not _HEX.fullmatch(text):
        yield Violation(field, "INVALID_HEX_ENCODING")
    elif len(text) != 2 * _SHA256_BYTES:
        yield Violation(field, "INVALID_SHA256_FORMAT")
