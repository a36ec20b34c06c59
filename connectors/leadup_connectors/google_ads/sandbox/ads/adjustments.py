"""``ConversionAdjustmentUploadService``: conversions retracted, or given another value."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.ads.googleads.v26.services.types import conversion_adjustment_upload_service as service

from leadup_connectors.google_ads.sandbox.account import Action
from leadup_connectors.google_ads.sandbox.ads.actions import COLLECTION
from leadup_connectors.google_ads.sandbox.ads.errors import Refused, Wrong
from leadup_connectors.google_ads.sandbox.ads.names import enum_name, key_of
from leadup_connectors.google_ads.sandbox.ads.rows import MOST, instant, is_personal, repeated, take
from leadup_connectors.google_ads.sandbox.processing import restate, stamp

ERROR: Final = "conversion_adjustment_upload_error"
ADJUSTABLE: Final = frozenset({"UPLOAD_CLICKS", "WEBPAGE", "SALESFORCE"})
LONGEST: Final = timedelta(days=54)
"""An older conversion can not be adjusted any more ("Upload conversion adjustments")."""
MOST_OF_ONE: Final = 54
"""How many adjustments one conversion takes; Google names the error and no number."""


def upload(call: Any) -> Any:
    """Take adjustments row by row; see ``take``."""
    if len(call.message.conversion_adjustments) > MOST:
        raise Refused(400, Wrong(f"{ERROR}.TOO_MANY_ADJUSTMENTS_IN_REQUEST", (("conversion_adjustments", None),)))
    upload = _Upload(call)
    answer = service.UploadConversionAdjustmentsResponse.pb()()
    return take(call, "conversion_adjustments", ERROR, answer, upload.check, upload.done)


class _Upload:
    """One request's rows, which may repeat each other."""

    def __init__(self, call: Any) -> None:
        self._account = call.account
        self._repeated = repeated([_same(row) for row in call.message.conversion_adjustments])

    def check(self, _: int, row: Any) -> str:
        return next(self._wrong(row), "")

    def done(self, row: Any, result: Any) -> None:
        known = self._known(row)
        assert known is not None, "checked"
        known["adjusted"] = [*known.get("adjusted", ()), stamp(_at(row))]
        if enum_name(row, "adjustment_type") == "RETRACTION":
            known["count"] = 0
        else:
            value = row.restatement_value
            new = {"value": value.adjusted_value, "currency": value.currency_code or known["currency"]}
            restate(self._account, known, new)
        result.conversion_action, result.adjustment_date_time = row.conversion_action, row.adjustment_date_time
        result.adjustment_type = row.adjustment_type
        if row.order_id:
            result.order_id = row.order_id
        else:
            result.gclid_date_time_pair.CopyFrom(row.gclid_date_time_pair)

    def _wrong(self, row: Any) -> Iterator[str]:
        yield from _wrong_in_itself(row)
        if _same(row) in self._repeated:
            yield f"{ERROR}.DUPLICATE_ADJUSTMENT_IN_REQUEST"
        action = self._account.action(key_of(row.conversion_action, COLLECTION))
        if action is None:
            yield f"{ERROR}.NO_CONVERSION_ACTION_FOUND conversion_action"
            return
        if action.type not in ADJUSTABLE:
            yield f"{ERROR}.INVALID_CONVERSION_ACTION_TYPE conversion_action"
        if self._account.too_new(action):
            yield f"{ERROR}.TOO_RECENT_CONVERSION_ACTION conversion_action"
        kind = enum_name(row, "adjustment_type")
        if kind == "ENHANCEMENT":
            yield f"{ERROR}.CONVERSION_ACTION_NOT_ELIGIBLE_FOR_ENHANCEMENT conversion_action"
        if kind == "RESTATEMENT":
            yield from _wrong_restatement(row, action)
        known = self._known(row)
        if known is None:
            yield f"{ERROR}.CONVERSION_NOT_FOUND"
            return
        yield from self._wrong_with_known(row, known, kind)

    def _wrong_with_known(self, row: Any, known: dict[str, Any], kind: str) -> Iterator[str]:
        at, converted, before = _at(row), datetime.fromisoformat(known["at"]), known.get("adjusted", ())
        if at <= converted:
            yield f"{ERROR}.ADJUSTMENT_PRECEDES_CONVERSION adjustment_date_time"
        if self._account.clock and self._account.clock - converted > LONGEST:
            yield f"{ERROR}.CONVERSION_EXPIRED"
        if known["count"] == 0:
            yield f"{ERROR}.CONVERSION_ALREADY_RETRACTED"
        if kind == "RESTATEMENT" and stamp(at) in before:
            yield f"{ERROR}.RESTATEMENT_ALREADY_EXISTS adjustment_date_time"
        if kind == "RESTATEMENT" and before and at < datetime.fromisoformat(before[-1]):
            yield f"{ERROR}.MORE_RECENT_RESTATEMENT_FOUND adjustment_date_time"
        if len(before) >= MOST_OF_ONE:
            yield f"{ERROR}.TOO_MANY_ADJUSTMENTS"

    def _known(self, row: Any) -> dict[str, Any] | None:
        """The conversion that is meant; one that has an order id is found by that alone."""
        held: dict[str, dict[str, Any]] = self._account.conversions.get(key_of(row.conversion_action, COLLECTION), {})
        if row.order_id:
            return held.get(row.order_id)
        pair = row.gclid_date_time_pair
        at = instant(pair.conversion_date_time)
        return next(
            (
                one
                for one in held.values()
                if not one["named"] and at and one["click_id"] == pair.gclid and one["at"] == stamp(at)
            ),
            None,
        )


def _wrong_in_itself(row: Any) -> Iterator[str]:
    for field in ("conversion_action", "adjustment_date_time", "adjustment_type"):
        if not getattr(row, field):
            yield f"field_error.REQUIRED {field}"
    if instant(row.adjustment_date_time) is None:
        yield "date_error.INVALID_STRING_DATE_TIME_SECONDS_WITH_OFFSET adjustment_date_time"
    if row.order_id and row.HasField("gclid_date_time_pair"):
        yield f"{ERROR}.GCLID_DATE_TIME_PAIR_AND_ORDER_ID_BOTH_SET"
    if not row.order_id and not row.HasField("gclid_date_time_pair"):
        yield "field_error.REQUIRED order_id"
    if is_personal(row.order_id):
        yield f"{ERROR}.ORDER_ID_CONTAINS_PII order_id"


def _wrong_restatement(row: Any, action: Action) -> Iterator[str]:
    if not row.HasField("restatement_value") or not row.restatement_value.HasField("adjusted_value"):
        yield "field_error.REQUIRED restatement_value"
    if action.always_default:
        code = "CANNOT_RESTATE_CONVERSION_ACTION_THAT_ALWAYS_USES_DEFAULT_CONVERSION_VALUE"
        yield f"{ERROR}.{code} conversion_action"


def _at(row: Any) -> datetime:
    at = instant(row.adjustment_date_time)
    assert at is not None, "checked before"
    return at.astimezone(UTC)


def _same(row: Any) -> tuple[Any, ...]:
    pair = row.gclid_date_time_pair
    which = row.order_id or (pair.gclid, pair.conversion_date_time)
    return (row.conversion_action, which, row.adjustment_type, row.adjustment_date_time)
