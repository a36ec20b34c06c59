"""The Google Ads API as this connector uses it, by gRPC and TLS. Loading this module loads Google's SDK.

Requests are built as raw protobuf messages (``Type.pb()``, ``Type.wrap()``): 2,000 rows take 4 ms, against 50 to 120
as proto-plus objects. The SDK neither retries nor times out these calls by itself; reads are repeated here, by
tenacity, and writes belong to the outbox.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from importlib import import_module
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from google.ads.googleads.client import GoogleAdsClient
from google.ads.googleads.errors import GoogleAdsException
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random_exponential

from leadup.errors import LeadupError, NeedsHuman, TryLater
from leadup.outgoing import Convert, Restate
from leadup.types import Consent, Json, Purpose
from leadup_connectors.google_ads import identifiers
from leadup_connectors.google_ads.ads.errors import AdsError, translate
from leadup_connectors.google_ads.ads.version import API_VERSION
from leadup_connectors.google_ads.client.credentials import credentials
from leadup_connectors.google_ads.errors import CREDENTIALS
from leadup_connectors.google_ads.settings import GoogleAdsSettings

SCOPE: Final = "https://www.googleapis.com/auth/adwords"
ROOTS: Final = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
"""Read by gRPC once in a process, with its first TLS channel."""
MOST_IDENTIFIERS: Final = 5
"""User identifiers of a conversion (reference page of ``ClickConversion``)."""

_FAILURE: Final = f"google.ads.googleads.{API_VERSION}.errors.googleadsfailure-bin"
_ENUM: Final = 14
"""``FieldDescriptor.TYPE_ENUM``."""
_T = TypeVar("_T")
Row = Mapping[str, Json]
"""Of a query's answer: values by field; enums by name, lists of messages as JSON."""

# It logs every refused call with the account, and at DEBUG whole requests, hashed addresses included.
logging.getLogger("google.ads.googleads.client").setLevel(logging.CRITICAL)


class GoogleAds:
    """The calls, with Google's errors as leadup's. Each takes at most ``settings.timeout`` seconds.

    All raise TryLater, NeedsHuman or Refused.
    """

    def __init__(self, settings: GoogleAdsSettings) -> None:
        self._settings = settings
        self._account = settings.operating_account
        self._services: dict[str, Any] = {}

    # ------------------------------------------------------------ queries

    def search(self, resource: str, fields: Sequence[str], where: str = "") -> list[Row]:
        """Return the rows of a query (GAQL) with these fields. ``where`` holds no text of a user's."""
        query = " ".join(("SELECT", ", ".join(fields), "FROM", resource, *(("WHERE", where) if where else ())))
        request = self._new("google_ads_service", "SearchGoogleAdsRequest", query=query)
        ask = self._service("GoogleAdsService").search
        wrapped = _type("google_ads_service", "SearchGoogleAdsRequest").wrap(request)
        found = self._read(f"ask for {resource}", lambda: list(ask(wrapped, **self._plain)))
        return [{name: _value_of(row, name) for name in fields} for row in found]

    # ------------------------------------------------------------ conversion actions and goals

    def create_action(self, name: str, *, category: str, lookback_days: int, currency: str | None) -> None:
        """Create a conversion action for uploads that counts every conversion, by its own value.

        Google makes it primary; only an update can make it secondary (reference page of ``ConversionAction``).

        Raises:
            Refused: with code DUPLICATE_NAME when there is one of this name.
        """
        request = self._new("conversion_action_service", "MutateConversionActionsRequest")
        action = request.operations.add().create
        action.name, action.click_through_lookback_window_days = name, lookback_days
        for field, value in (
            ("type_", "UPLOAD_CLICKS"),
            ("status", "ENABLED"),
            ("category", category),
            ("counting_type", "MANY_PER_CLICK"),
        ):
            _set_enum(action, field, value)
        action.value_settings.always_use_default_value = False
        if currency:
            action.value_settings.default_currency_code = currency
        self._mutate_actions("create a conversion action", request)

    def set_primary(self, action_id: str, *, primary: bool, name: str = "") -> None:
        """Say whether bidding may use an action, if it uses its goal. ``name``: what to call it from then on."""
        request = self._new("conversion_action_service", "MutateConversionActionsRequest")
        operation = request.operations.add()
        operation.update.resource_name = self._name("conversionActions", action_id)
        operation.update.primary_for_goal = primary
        operation.update_mask.paths.append("primary_for_goal")
        if name:
            operation.update.name = name
            operation.update_mask.paths.append("name")
        self._mutate_actions("change a conversion action", request)

    def set_biddable(self, category: str, origin: str, *, biddable: bool) -> None:
        """Say whether the account's bidding uses a goal: all primary actions of a category and origin."""
        service, kind = "customer_conversion_goal_service", "MutateCustomerConversionGoalsRequest"
        request = self._new(service, kind)
        operation = request.operations.add()
        operation.update.resource_name = self._name("customerConversionGoals", f"{category}~{origin}")
        operation.update.biddable = biddable
        operation.update_mask.paths.append("biddable")
        mutate = self._service("CustomerConversionGoalService").mutate_customer_conversion_goals
        self._once("change a goal", lambda: mutate(_type(service, kind).wrap(request), **self._plain))

    # ------------------------------------------------------------ rows

    def upload(self, action_id: str, rows: Sequence[Convert]) -> Mapping[int, Sequence[str]]:
        """Report conversions. Return the errors of the rows that Google did not take, by index; the others counted."""
        service, kind = "conversion_upload_service", "UploadClickConversionsRequest"
        request = self._new(service, kind, partial_failure=True)
        name = self._name("conversionActions", action_id)
        for row in rows:
            new = request.conversions.add(
                conversion_action=name, conversion_date_time=_instant(row.at), order_id=row.transaction_id
            )
            if click := identifiers.click_id(row.click_ids):
                setattr(new, *click)
            for remote_id in row.to.ids[:MOST_IDENTIFIERS]:
                field = "hashed_email" if remote_id.kind == identifiers.EMAIL else "hashed_phone_number"
                setattr(new.user_identifiers.add(), field, remote_id.value)
            if row.value is not None:
                new.conversion_value, new.currency_code = row.value.major, row.value.currency
            _consent(new, row.consent)
        call = self._service("ConversionUploadService").upload_click_conversions
        return self._by_row("report conversions", lambda: call(_type(service, kind).wrap(request), **self._plain))

    def adjust(self, action_id: str, rows: Sequence[Restate]) -> Mapping[int, Sequence[str]]:
        """Change the values of conversions, or take them back. Return errors as :meth:`upload` does."""
        service, kind = "conversion_adjustment_upload_service", "UploadConversionAdjustmentsRequest"
        request = self._new(service, kind, partial_failure=True)
        name = self._name("conversionActions", action_id)
        for row in rows:
            new = request.conversion_adjustments.add(
                conversion_action=name, adjustment_date_time=_instant(_adjusted_at(row)), order_id=row.transaction_id
            )
            _set_enum(new, "adjustment_type", "RETRACTION" if row.taken_back else "RESTATEMENT")
            if not row.taken_back and row.value is not None:
                new.restatement_value.adjusted_value = row.value.major
                new.restatement_value.currency_code = row.value.currency
        call = self._service("ConversionAdjustmentUploadService").upload_conversion_adjustments
        return self._by_row("adjust conversions", lambda: call(_type(service, kind).wrap(request), **self._plain))

    # ------------------------------------------------------------ mechanics

    @cached_property
    def _client(self) -> GoogleAdsClient:
        local = self._settings.ads_is_local
        if local and self._settings.ads_roots:
            os.environ[ROOTS] = self._settings.ads_roots
        return GoogleAdsClient(
            credentials(self._settings, SCOPE, local=local),
            endpoint=urlsplit(self._settings.ads_url).netloc,
            login_customer_id=self._settings.login_account,
            version=API_VERSION,
            use_proto_plus=False,
        )

    def _service(self, name: str) -> Any:
        """Each service is a channel of its own, so it is kept."""
        if name not in self._services:
            self._services[name] = self._client.get_service(name)
        return self._services[name]

    @property
    def _plain(self) -> Mapping[str, Any]:
        return {"retry": None, "timeout": self._settings.timeout}

    def _new(self, service: str, kind: str, **fields: Any) -> Any:
        return _type(service, kind).pb()(customer_id=self._account, **fields)

    def _name(self, collection: str, key: str) -> str:
        return f"customers/{self._account}/{collection}/{key}"

    def _mutate_actions(self, doing: str, request: Any) -> None:
        wrapped = _type("conversion_action_service", "MutateConversionActionsRequest").wrap(request)
        mutate = self._service("ConversionActionService").mutate_conversion_actions
        self._once(doing, lambda: mutate(wrapped, **self._plain))

    def _by_row(self, doing: str, call: Callable[[], Any]) -> Mapping[int, Sequence[str]]:
        """The errors of a partial failure by row. Its own message tells of the first error only, so it is not used.

        Raises:
            LeadupError: an error of it names no row.
        """
        found: dict[int, list[str]] = defaultdict(list)
        elsewhere = []
        for detail in self._once(doing, call).partial_failure_error.details:
            for error in _errors(detail.value):
                if error.row is None:
                    elsewhere.append(error)
                else:
                    found[error.row].append(error.code)
        if elsewhere:
            raise translate(doing, "INVALID_ARGUMENT", elsewhere)
        return found

    def _read(self, doing: str, call: Callable[[], _T]) -> _T:
        """Make an idempotent call: up to three tries, none begun after 30 seconds."""
        tries = Retrying(
            stop=stop_after_attempt(3) | stop_after_delay(30),
            wait=wait_random_exponential(multiplier=0.2, max=5),
            retry=retry_if_exception(lambda error: isinstance(error, TryLater) and error.retry_after is None),
            reraise=True,
        )
        answer: _T = tries(self._once, doing, call)
        return answer

    def _once(self, doing: str, call: Callable[[], _T]) -> _T:
        # "from None": the SDK's exceptions hold the whole request, which no traceback should print.
        try:
            return call()
        except GoogleAdsException as error:
            raise translate(doing, error.error.code().name, _errors(_raw(error.failure).SerializeToString())) from None
        except GoogleAPICallError as error:
            raise _unwrapped(doing, error) from None
        except GoogleAuthError as error:
            raise _no_token(doing, type(error).__name__, passes=error.retryable) from None


def _unwrapped(doing: str, error: GoogleAPICallError) -> LeadupError:
    """INTERNAL and RESOURCE_EXHAUSTED are no GoogleAdsException; what Google said is in the trailing metadata."""
    status = getattr(error.grpc_status_code, "name", "UNKNOWN")
    if "RefreshError" in str(error.message):  # of the credentials, before the call: gRPC calls it UNAVAILABLE
        return _no_token(doing, "RefreshError", passes=False)
    for one in error.errors:
        metadata: Iterable[tuple[str, Any]] = getattr(one, "trailing_metadata", tuple)() or ()
        for key, value in metadata:
            if key == _FAILURE:
                return translate(doing, status, _errors(value))
    return translate(doing, status, [])


def _no_token(doing: str, what: str, *, passes: bool) -> LeadupError:
    if passes:
        return TryLater(f"{doing}: no token could be fetched ({what})")
    return NeedsHuman(f"{doing}: Google does not take the credentials ({what})", todo=CREDENTIALS)


def _errors(failure: bytes) -> list[AdsError]:
    """Read a ``GoogleAdsFailure``."""
    try:
        read = _type("errors", "GoogleAdsFailure", "errors").pb().FromString(failure)
    except DecodeError:
        return []
    return [_error(error) for error in read.errors]


def _error(error: Any) -> AdsError:
    field = error.error_code.WhichOneof("error_code") or "unknown_error"
    name = _enum_name(error.error_code, field) if field != "unknown_error" else "UNKNOWN"
    path = tuple(
        (part.field_name, part.index if part.HasField("index") else None) for part in error.location.field_path_elements
    )
    delay = error.details.quota_error_details.retry_delay
    wait = timedelta(seconds=delay.seconds, microseconds=delay.nanos // 1000)
    return AdsError(f"{field}.{name}", path, wait or None)


@cache
def _type(module: str, name: str, package: str = "services") -> Any:
    """Return a message type of the API version that is spoken."""
    return getattr(import_module(f"google.ads.googleads.{API_VERSION}.{package}.types.{module}"), name)


def _raw(message: Any) -> Any:
    return type(message).pb(message) if hasattr(type(message), "pb") else message


def _value_of(row: Any, name: str) -> Json:
    """A field of a row by its path in the query."""
    holder, value, field = None, _raw(row), None
    for part in name.split("."):
        fields = value.DESCRIPTOR.fields_by_name
        field = fields.get(part) or fields[f"{part}_"]  # what would be a Python keyword ends in "_"
        holder, value = value, getattr(value, field.name)
    assert field is not None, "a path has parts"
    if field.type == _ENUM:
        return _enum_name(holder, field.name)
    if field.message_type is not None:
        return [MessageToDict(one, preserving_proto_field_name=True) for one in value]
    return value  # type: ignore[no-any-return]


def _enum_name(message: Any, field: str) -> str:
    """The name of an enum field's value; the lists grow, so a number may be new."""
    number = getattr(message, field)
    found = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)
    return str(found.name) if found else f"CODE_{number}"


def _set_enum(message: Any, field: str, name: str) -> None:
    values = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_name
    setattr(message, field, values[name].number)


def _consent(row: Any, consent: Consent) -> None:
    """Of a conversion only ``ad_user_data`` may be said (reference page of ``Consent``)."""
    if Purpose.AD_USER_DATA in consent:
        _set_enum(row.consent, "ad_user_data", "GRANTED" if consent[Purpose.AD_USER_DATA] else "DENIED")


def _adjusted_at(row: Restate) -> datetime:
    return row.decided_at or row.at + timedelta(seconds=1)


def _instant(at: datetime) -> str:
    """Write ``yyyy-mm-dd hh:mm:ss+00:00`` ("Date and time format" of conversion uploads)."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}+00:00"
