"""How the Google Ads API says no: ``GoogleAdsFailure``, for a whole request or for rows ("Partial failures")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from google.ads.googleads.v26.errors.types import errors as types
from google.rpc import status_pb2

from leadup.sandbox import Fault

FAILURE: Final = types.GoogleAdsFailure.pb()
_CODES: Final = types.ErrorCode.pb().DESCRIPTOR.fields_by_name
_FAULTS: Final[Mapping[int, str]] = {
    401: "authentication_error.OAUTH_TOKEN_EXPIRED",
    403: "authorization_error.USER_PERMISSION_DENIED",
    429: "quota_error.RESOURCE_TEMPORARILY_EXHAUSTED",
    500: "internal_error.INTERNAL_ERROR",
    504: "internal_error.DEADLINE_EXCEEDED",
}
_OFTEN: Final = ("conversion_upload_error", "conversion_adjustment_upload_error", "quota_error", "authorization_error")
"""Where a bare name is looked for first."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One error: its code as ``enum_field.NAME``, and where it is, as ``(field, index or None)`` from the outside."""

    code: str
    path: tuple[tuple[str, int | None], ...] = ()
    message: str = ""
    retry_after: int | None = None


class Refused(Exception):
    """A request that is refused as a whole; ``status`` is the HTTP status that means the gRPC one."""

    def __init__(self, status: int, *errors: Wrong) -> None:
        super().__init__("Request contains an invalid argument." if status == 400 else errors[0].code)
        self.status, self.errors = status, errors


def weathered(status: int, fault: Fault) -> Refused:
    """Return what a fault of this status says; its code may name any error of the API.

    A code of the other API's says nothing here, as a fault may meet all doors.
    """
    code = _FAULTS.get(status, "internal_error.TRANSIENT_ERROR")
    with suppress(ValueError):
        code = full_code(fault.code)
    return Refused(status, Wrong(code, retry_after=fault.retry_after))


def full_code(name: str, *preferred: str) -> str:
    """Return ``enum_field.NAME`` of an error name, looked for in the preferred fields first if it is bare.

    Raises:
        ValueError: the API has no such error.
    """
    field, _, bare = name.rpartition(".")
    for one in [field] if field else [*preferred, *_OFTEN, *_CODES]:
        if one in _CODES and bare in _CODES[one].enum_type.values_by_name:
            return f"{one}.{bare}"
    raise ValueError(f"The Google Ads API has no error {name}")


def failure(errors: Iterable[Wrong], request_id: str = "") -> Any:
    """Return the ``GoogleAdsFailure`` of some errors."""
    made = FAILURE(request_id=request_id)
    for wrong in errors:
        field, _, name = full_code(wrong.code).partition(".")
        error = made.errors.add(message=wrong.message or name.replace("_", " ").capitalize() + ".")
        setattr(error.error_code, field, _CODES[field].enum_type.values_by_name[name].number)
        for part, index in wrong.path:
            element = error.location.field_path_elements.add(field_name=part)
            if index is not None:
                element.index = index
        if field == "quota_error":
            _describe_quota(error.details.quota_error_details, wrong)
    return made


def partial(errors: Sequence[Wrong], request_id: str = "") -> Any:
    """Return the ``partial_failure_error`` of some rows' errors; None when there are none.

    Its message tells the first error alone, as Google's does.
    """
    if not errors:
        return None
    made = failure(errors, request_id)
    where = ".".join(part if index is None else f"{part}[{index}]" for part, index in errors[0].path)
    status = status_pb2.Status(code=3, message=f"{made.errors[0].message}, at {where}")
    if len(errors) > 1:
        status.message = f"Multiple errors in 'details'. First error: {status.message}"
    status.details.add().Pack(made)
    return status


def _describe_quota(details: Any, wrong: Wrong) -> None:
    details.rate_name = "Requests per service per method"
    details.rate_scope = 2  # ACCOUNT
    if wrong.retry_after is not None:
        details.retry_delay.FromSeconds(wrong.retry_after)
