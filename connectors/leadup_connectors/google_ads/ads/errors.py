"""What the Google Ads API's errors mean for the engine. Imports no SDK.

An error is called ``enum_field.NAME``, as ``conversion_upload_error.TOO_RECENT_EVENT``: the field of ``ErrorCode``, and
the name in its enum. Sources: the reference pages of these enums (v26), "Understand API errors", "Partial failures".
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from leadup.errors import LeadupError, NeedsHuman, Refused, TryLater
from leadup.outgoing import Outcome, Receipt
from leadup_connectors.google_ads.errors import CREDENTIALS

SETTLED: Final = timedelta(hours=6)
"""After so long a click, and a new conversion action, is known everywhere ("Troubleshoot conversion uploads")."""
A_DAY: Final = timedelta(hours=24)
"""So long a conversion may be on its way before it can be adjusted ("Upload conversion adjustments")."""


class Then(enum.Enum):
    """What is done about a row that Google did not take."""

    WAIT = "it passes by itself"
    DONE = "it was so already"
    OURS = "leadup should not have sent it; please report this"
    DROP = "it can never be taken"
    STOP = "no row can be taken until a person acts"


@dataclass(frozen=True, slots=True)
class Policy:
    """What to do about one error of a row. ``todo``: for a person, if one has to act."""

    then: Then
    wait: timedelta | None = None
    todo: str = ""


@dataclass(frozen=True, slots=True)
class AdsError:
    """One error as Google gave it; ``path`` names the place in the request: field names, with an index or None."""

    code: str
    path: tuple[tuple[str, int | None], ...] = ()
    wait: timedelta | None = None
    """Of an exhausted quota: how long Google asks to wait."""

    @property
    def row(self) -> int | None:
        """The index of the operation or row that is meant."""
        return self.path[0][1] if self.path else None


_OWNER = 'name the account that owns the conversion action (its "Google Ads conversion customer") as operating_account'
_TERMS = "accept the customer data terms in Google Ads (Goals > Settings > Customer data terms)"
_LEADS = (
    "turn on enhanced conversions for leads in Google Ads (Goals > Settings), or set user_data_with_conversions = false"
)
NOT_ALLOWED: Final = (
    "since 2026 Google takes this by the Google Ads API only from accounts that did so before: set upload_by = "
    '"data_manager" (the default), which is open to all'
)


def _all(then: Then, *names: str, wait: timedelta | None = None) -> dict[str, Policy]:
    return {name: Policy(then, wait) for name in names}


UPLOADS: Final[Mapping[str, Policy]] = {
    **_all(Then.WAIT, "TOO_RECENT_EVENT", "TOO_RECENT_CONVERSION_ACTION", "TOO_RECENT_CALL", wait=SETTLED),
    **_all(Then.DONE, "CLICK_CONVERSION_ALREADY_EXISTS", "ORDER_ID_ALREADY_IN_USE"),
    **_all(
        Then.OURS,
        "DUPLICATE_ORDER_ID",
        "DUPLICATE_CLICK_CONVERSION_IN_REQUEST",
        "GBRAID_WBRAID_BOTH_SET",
        "INVALID_USER_IDENTIFIER",
        "UNSUPPORTED_USER_IDENTIFIER",
        "ORDER_ID_CONTAINS_PII",
        "CUSTOM_VARIABLE_VALUE_CONTAINS_PII",
        "TOO_MANY_CONVERSIONS_IN_REQUEST",
        "INVALID_JOB_ID",
    ),
    **_all(
        Then.DROP,
        "UNPARSEABLE_GCLID",
        "UNPARSEABLE_WBRAID",
        "UNPARSEABLE_GBRAID",
        "EXPIRED_EVENT",
        "CONVERSION_PRECEDES_EVENT",
        "EVENT_NOT_FOUND",
        "CLICK_NOT_FOUND",
        "CONVERSION_NOT_COMPLIANT_WITH_ATT_POLICY",
        "CONVERSION_TRACKING_NOT_ENABLED_AT_IMPRESSION_TIME",
    ),
    "NO_CONVERSION_ACTION_FOUND": Policy(Then.STOP, todo=f"correct the id under conversion_actions; {_OWNER}"),
    "INVALID_CONVERSION_ACTION_TYPE": Policy(
        Then.STOP, todo="name a conversion action of the type Import > from clicks (UPLOAD_CLICKS)"
    ),
    "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID": Policy(
        Then.STOP,
        todo="let the conversion action count every conversion in Google Ads (Goals > the action > Count); the "
        "transaction id keeps them single",
    ),
    "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS": Policy(Then.STOP, todo=_TERMS),
    "CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS": Policy(Then.STOP, todo=_LEADS),
    "CUSTOMER_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS": Policy(
        Then.STOP, todo="set user_data_with_conversions = false: policy keeps this account from sending user data"
    ),
    "UNAUTHORIZED_CUSTOMER": Policy(Then.STOP, todo=_OWNER),
    "INVALID_CUSTOMER_FOR_CLICK": Policy(
        Then.STOP, todo=f"the clicks belong to an account that does not use this conversion action: {_OWNER}"
    ),
    "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE": Policy(Then.STOP, todo=NOT_ALLOWED),
}
"""Rows of ``UploadClickConversions`` (``ConversionUploadError``, ``NotAllowlistedError``), by name."""

ADJUSTMENTS: Final[Mapping[str, Policy]] = {
    **_all(Then.WAIT, "TOO_RECENT_CONVERSION_ACTION", "TOO_RECENT_CONVERSION", wait=SETTLED),
    "CONVERSION_NOT_FOUND": Policy(Then.WAIT, A_DAY),
    **_all(Then.DONE, "CONVERSION_ALREADY_RETRACTED", "RESTATEMENT_ALREADY_EXISTS"),
    **_all(
        Then.OURS,
        "ADJUSTMENT_PRECEDES_CONVERSION",
        "DUPLICATE_ADJUSTMENT_IN_REQUEST",
        "GCLID_DATE_TIME_PAIR_AND_ORDER_ID_BOTH_SET",
        "TOO_MANY_ADJUSTMENTS_IN_REQUEST",
        "ORDER_ID_CONTAINS_PII",
        "INVALID_JOB_ID",
    ),
    **_all(Then.DROP, "CONVERSION_EXPIRED", "MORE_RECENT_RESTATEMENT_FOUND", "TOO_MANY_ADJUSTMENTS"),
    "CANNOT_RESTATE_CONVERSION_ACTION_THAT_ALWAYS_USES_DEFAULT_CONVERSION_VALUE": Policy(
        Then.STOP, todo="let the conversion action use different values in Google Ads (Goals > the action > Value)"
    ),
    "NO_CONVERSION_ACTION_FOUND": UPLOADS["NO_CONVERSION_ACTION_FOUND"],
    "INVALID_CONVERSION_ACTION_TYPE": UPLOADS["INVALID_CONVERSION_ACTION_TYPE"],
    "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS": Policy(Then.STOP, todo=_TERMS),
    "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE": Policy(Then.STOP, todo='set adjust_by = "data_manager"'),
}
"""Rows of ``UploadConversionAdjustments`` (``ConversionAdjustmentUploadError``), by name."""

_UNKNOWN: Final = Policy(Then.DROP)
_GRAVITY: Final = (Then.STOP, Then.OURS, Then.DROP, Then.DONE, Then.WAIT)
"""Several errors may name one row: the gravest decides."""


def gravest(table: Mapping[str, Policy], codes: Sequence[str]) -> tuple[str, Policy]:
    """Return the bare name that decides about a row, and its policy."""
    named = [(code.rpartition(".")[2], code) for code in codes]
    found = [(name, table.get(name, _passing(code))) for name, code in named]
    return min(found, key=lambda one: _GRAVITY.index(one[1].then))


def _passing(code: str) -> Policy:
    return Policy(Then.WAIT) if code.startswith(("internal_error.", "quota_error.")) else _UNKNOWN


def receipt(name: str, policy: Policy) -> Receipt:
    """Return what a row's error means. A STOP says that the row waits: the others of the request were taken."""
    match policy.then:
        case Then.DONE:
            return Receipt(outcome=Outcome.ALREADY, code=name)
        case Then.WAIT | Then.STOP:
            detail = f"Google does not take it yet; {policy.todo or 'it passes by itself'}"
            return Receipt(outcome=Outcome.LATER, code=name, detail=detail, retry_after=policy.wait)
        case Then.OURS:
            return Receipt(outcome=Outcome.REJECTED, code=name, detail=f"Google refused it: {policy.then.value}")
    return Receipt(outcome=Outcome.REJECTED, code=name, detail="Google refused it")


# ---------------------------------------------------------------- whole requests

_ACCESS: Final = (
    "give the credentials' account access to operating_account (Google Ads: Admin > Access and security), "
    "and set login_account when the access is through a manager account"
)
_PASSES: Final = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED", "RESOURCE_EXHAUSTED", "CANCELLED", "UNKNOWN"}
)
_WHAT_TO_DO: Final[Mapping[str, str]] = {
    "not_allowlisted_error": NOT_ALLOWED,
    "authentication_error": f"{CREDENTIALS}; the scope https://www.googleapis.com/auth/adwords is needed besides",
    "authorization_error": _ACCESS,
    "request_error.UNSUPPORTED_VERSION": "pip install --upgrade 'leadup[google-ads]': Google no longer answers the "
    "version of its API that this leadup speaks",
    "authorization_error.CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION": "apply for access of the Cloud project to the "
    "Google Ads API (API Center of a manager account); Explorer access is enough",
    "header_error.INVALID_LOGIN_CUSTOMER_ID": "check login_account of this connection",
    "request_error.INVALID_CUSTOMER_ID": "check operating_account of this connection",
}
"""By error, or by the enum field of a whole family of errors."""


def translate(doing: str, status: str, errors: Sequence[AdsError]) -> LeadupError:
    """Return the leadup error for a request that failed as a whole.

    Args:
        doing: what was being done, to begin the message with.
        status: the gRPC status, e.g. ``RESOURCE_EXHAUSTED``.
        errors: what the ``GoogleAdsFailure`` says, if there is one.
    """
    codes = [error.code for error in errors]
    code = codes[0].rpartition(".")[2] if codes else status
    told = f"{doing}: Google answered {status} {code}" if codes else f"{doing}: Google answered {status}"
    for found in codes:
        for key in (found, found.partition(".")[0]):
            if key in _WHAT_TO_DO:
                return NeedsHuman(f"{told} ({found})", todo=_WHAT_TO_DO[key])
    if status in _PASSES or any(found.startswith(("quota_error.", "internal_error.")) for found in codes):
        return TryLater(told, retry_after=next((error.wait for error in errors if error.wait), None))
    if status == "UNAUTHENTICATED":
        return NeedsHuman(told, todo=_WHAT_TO_DO["authentication_error"])
    if status == "PERMISSION_DENIED":
        return NeedsHuman(told, todo=f"enable the Google Ads API in the credentials' Cloud project, and {_ACCESS}")
    if status == "UNIMPLEMENTED":
        return NeedsHuman(told, todo="check ads_url and any proxy: what answers there is not the Google Ads API")
    return Refused(f"{told} ({', '.join(codes)})" if codes else told, code=code)
