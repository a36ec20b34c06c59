"""``ConversionUploadService``: click conversions of accounts that are still allowed to upload them here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from google.ads.googleads.v26.services.types import conversion_upload_service as service

from leadup_connectors.google_ads.sandbox.account import Action
from leadup_connectors.google_ads.sandbox.ads.actions import COLLECTION
from leadup_connectors.google_ads.sandbox.ads.errors import Refused, Wrong
from leadup_connectors.google_ads.sandbox.ads.names import enum_name, key_of
from leadup_connectors.google_ads.sandbox.ads.rows import MOST, instant, is_personal, repeated, take, wrong_identifiers
from leadup_connectors.google_ads.sandbox.processing import CLICK_ID, CLICK_IDS, conversion, same_click

ERROR: Final = "conversion_upload_error"
_MOST_IDENTIFIERS: Final = 5
_NOT_LISTED: Final = "not_allowlisted_error.CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"
_CLICK_FAULTS: Final = {
    "EVENT_TOO_OLD": "EXPIRED_EVENT",
    "CLICK_NOT_FOUND": "EVENT_NOT_FOUND",
    "INVALID_CLICK": "CONVERSION_TRACKING_NOT_ENABLED_AT_IMPRESSION_TIME",
    "INVALID_OPERATING_ACCOUNT_FOR_CLICK": "INVALID_CUSTOMER_FOR_CLICK",
    "CONVERSION_PRECEDES_CLICK": "CONVERSION_PRECEDES_EVENT",
    "TOO_RECENT_CLICK": "TOO_RECENT_EVENT",
}
"""The same in this API's words."""


def upload(call: Any) -> Any:
    """Take conversions row by row; see ``take``."""
    if not call.account.allow_listed:
        raise Refused(403, Wrong(_NOT_LISTED))
    if len(call.message.conversions) > MOST:
        raise Refused(400, Wrong(f"{ERROR}.TOO_MANY_CONVERSIONS_IN_REQUEST", (("conversions", None),)))
    upload = _Upload(call)
    answer = service.UploadClickConversionsResponse.pb()()
    return take(call, "conversions", ERROR, answer, upload.check, upload.done)


class _Upload:
    """One request's rows, which may repeat each other."""

    def __init__(self, call: Any) -> None:
        rows = call.message.conversions
        self._account, self._customer = call.account, call.customer
        self._orders = repeated([(r.conversion_action, r.order_id) if r.order_id else None for r in rows])
        self._clicks = repeated([None if r.order_id else _click_of(r) for r in rows])

    def check(self, _: int, row: Any) -> str:
        return next(self._wrong(row), "")

    def done(self, row: Any, result: Any) -> None:
        action = key_of(row.conversion_action, COLLECTION)
        at = instant(row.conversion_date_time)
        assert at is not None, "checked"
        held = self._account.conversions.setdefault(action, {})
        new = {
            "value": row.conversion_value if row.HasField("conversion_value") else None,
            "currency": row.currency_code,
        }
        consent = {"GRANTED": True, "DENIED": False}.get(enum_name(row.consent, "ad_user_data"))
        held[row.order_id or f"upload-{len(held) + 1}"] = conversion(
            new, at, _click_id(row)[1], sorted(_identifiers(row)), consent, named=bool(row.order_id)
        )
        for field in (*CLICK_IDS, "conversion_action", "conversion_date_time"):
            if getattr(row, field):
                setattr(result, field, getattr(row, field))

    def _wrong(self, row: Any) -> Iterator[str]:
        yield from _wrong_fields(row)
        yield from _wrong_click_ids(row)
        action = self._account.action(key_of(row.conversion_action, COLLECTION))
        if action is None:
            yield f"{ERROR}.NO_CONVERSION_ACTION_FOUND conversion_action"
            return
        if action.type != "UPLOAD_CLICKS":
            yield f"{ERROR}.INVALID_CONVERSION_ACTION_TYPE conversion_action"
        if self._account.too_new(action):
            yield f"{ERROR}.TOO_RECENT_CONVERSION_ACTION conversion_action"
        if (row.conversion_action, row.order_id) in self._orders:
            yield f"{ERROR}.DUPLICATE_ORDER_ID order_id"
        if not row.order_id and _click_of(row) in self._clicks:
            yield f"{ERROR}.DUPLICATE_CLICK_CONVERSION_IN_REQUEST"
        if row.user_identifiers:
            yield from self._wrong_account()
        yield from self._wrong_click(row, action)

    def _wrong_account(self) -> Iterator[str]:
        if not self._account.data_policy_ok:
            yield f"{ERROR}.CUSTOMER_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS"
        if not self._account.data_terms:
            yield f"{ERROR}.CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS"
        if not self._account.enhanced_conversions:
            yield f"{ERROR}.CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS"

    def _wrong_click(self, row: Any, action: Action) -> Iterator[str]:
        kind, click_id = _click_id(row)
        at = instant(row.conversion_date_time)
        assert at is not None, "checked before"
        if kind in ("gbraid", "wbraid") and action.counting == "ONE_PER_CLICK":
            yield f"{ERROR}.ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID {kind}"
        if fault := self._account.click_fault(click_id, at, action, self._customer):
            yield f"{ERROR}.{_CLICK_FAULTS[fault]}"
        if not click_id and self._account.unknown_person(_identifiers(row)):
            yield f"{ERROR}.CLICK_NOT_FOUND"
        held = self._account.conversions.get(action.id, {})
        if row.order_id in held:
            yield f"{ERROR}.ORDER_ID_ALREADY_IN_USE order_id"
        if not row.order_id and click_id and same_click(held, click_id, at):
            yield f"{ERROR}.CLICK_CONVERSION_ALREADY_EXISTS"


def _wrong_fields(row: Any) -> Iterator[str]:
    if row.user_ip_address or row.WhichOneof("session_attributes"):
        yield _NOT_LISTED
    for field in ("conversion_action", "conversion_date_time"):
        if not getattr(row, field):
            yield f"field_error.REQUIRED {field}"
    if instant(row.conversion_date_time) is None:
        yield "date_error.INVALID_STRING_DATE_TIME_SECONDS_WITH_OFFSET conversion_date_time"
    if len(row.user_identifiers) > _MOST_IDENTIFIERS:
        yield "collection_size_error.TOO_MANY user_identifiers"
    yield from wrong_identifiers(row.user_identifiers, ERROR)
    if is_personal(row.order_id):
        yield f"{ERROR}.ORDER_ID_CONTAINS_PII order_id"
    if any(is_personal(variable.value) for variable in row.custom_variables):
        yield f"{ERROR}.CUSTOM_VARIABLE_VALUE_CONTAINS_PII custom_variables"
    if row.currency_code and not re.fullmatch(r"[A-Z]{3}", row.currency_code):
        yield "currency_code_error.UNSUPPORTED currency_code"


def _wrong_click_ids(row: Any) -> Iterator[str]:
    if row.gbraid and row.wbraid:
        yield f"{ERROR}.GBRAID_WBRAID_BOTH_SET"
    if row.gclid and (row.gbraid or row.wbraid):
        yield "field_error.VALUE_MUST_BE_UNSET gclid"
    for kind in CLICK_IDS:
        if (value := getattr(row, kind)) and not CLICK_ID.fullmatch(value):
            yield f"{ERROR}.UNPARSEABLE_{kind.upper()} {kind}"
    if not _click_id(row)[1] and not row.user_identifiers:
        yield "field_error.REQUIRED gclid"


def _click_id(row: Any) -> tuple[str, str]:
    return next(((kind, value) for kind in CLICK_IDS if (value := getattr(row, kind))), ("", ""))


def _click_of(row: Any) -> tuple[str, str, str] | None:
    click_id = _click_id(row)[1]
    return (row.conversion_action, click_id, row.conversion_date_time) if click_id else None


def _identifiers(row: Any) -> set[str]:
    return {one.hashed_email or one.hashed_phone_number for one in row.user_identifiers}
