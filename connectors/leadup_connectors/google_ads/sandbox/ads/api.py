"""Which methods of the Google Ads API there are, and what all of them check first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.ads.googleads.v26.services.types import conversion_action_service as action_service
from google.ads.googleads.v26.services.types import conversion_adjustment_upload_service as adjustment_service
from google.ads.googleads.v26.services.types import conversion_upload_service as upload_service
from google.ads.googleads.v26.services.types import customer_conversion_goal_service as goal_service
from google.ads.googleads.v26.services.types import google_ads_service, user_data_service
from google.ads.googleads.v26.services.types import offline_user_data_job_service as job_service
from google.protobuf.message import DecodeError

from leadup.sandbox import Fault, Weather
from leadup_connectors.google_ads.sandbox.account import Account
from leadup_connectors.google_ads.sandbox.ads import actions, adjustments, search, uploads
from leadup_connectors.google_ads.sandbox.ads.errors import Refused, Wrong

NOT_ALLOW_LISTED: Final = Wrong("not_allowlisted_error.CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE")


@dataclass(frozen=True, slots=True)
class Call:
    """One request as a method sees it."""

    account: Account
    message: Any
    reject: Fault | None
    """A fault that strikes every n-th row."""

    @property
    def customer(self) -> str:
        return str(self.message.customer_id)


def answer(account: Account, weather: Weather, method: str, body: bytes, permitted: bool) -> bytes:
    """Answer one call, in bytes.

    Raises:
        Refused: what Google answers instead.
    """
    if method not in _METHODS:
        raise Refused(501, Wrong("internal_error.INTERNAL_ERROR", message=f"The emulator has no {method}."))
    kind, do = _METHODS[method]
    try:
        message = kind.pb().FromString(body)
    except DecodeError:
        raise Refused(400, Wrong("request_error.UNKNOWN")) from None
    customer = getattr(message, "customer_id", "") or message.resource_name.split("/")[1]
    if not (customer.isdigit() and len(customer) == 10):
        raise Refused(400, Wrong("request_error.INVALID_CUSTOMER_ID"))
    if not permitted:
        raise Refused(403, Wrong("authorization_error.USER_PERMISSION_DENIED"))
    made: bytes = do(Call(account, message, weather.take(method, "reject"))).SerializeToString()
    return made


def _not_allow_listed(call: Call) -> Any:
    """Refuse Customer Match uploads; those who still may are emulated no further."""
    if call.account.allow_listed:
        raise Refused(501, Wrong("internal_error.INTERNAL_ERROR", message="The emulator has no Customer Match jobs."))
    raise Refused(403, NOT_ALLOW_LISTED)


_METHODS: Final[Mapping[str, tuple[Any, Callable[[Any], Any]]]] = {
    "ConversionActionService/MutateConversionActions": (
        action_service.MutateConversionActionsRequest,
        actions.mutate_actions,
    ),
    "CustomerConversionGoalService/MutateCustomerConversionGoals": (
        goal_service.MutateCustomerConversionGoalsRequest,
        actions.mutate_goals,
    ),
    "ConversionUploadService/UploadClickConversions": (
        upload_service.UploadClickConversionsRequest,
        uploads.upload,
    ),
    "ConversionAdjustmentUploadService/UploadConversionAdjustments": (
        adjustment_service.UploadConversionAdjustmentsRequest,
        adjustments.upload,
    ),
    "GoogleAdsService/Search": (google_ads_service.SearchGoogleAdsRequest, search.search),
    "GoogleAdsService/SearchStream": (google_ads_service.SearchGoogleAdsStreamRequest, search.search_stream),
    "OfflineUserDataJobService/CreateOfflineUserDataJob": (
        job_service.CreateOfflineUserDataJobRequest,
        _not_allow_listed,
    ),
    "OfflineUserDataJobService/AddOfflineUserDataJobOperations": (
        job_service.AddOfflineUserDataJobOperationsRequest,
        _not_allow_listed,
    ),
    "OfflineUserDataJobService/RunOfflineUserDataJob": (
        job_service.RunOfflineUserDataJobRequest,
        _not_allow_listed,
    ),
    "UserDataService/UploadUserData": (user_data_service.UploadUserDataRequest, _not_allow_listed),
}
