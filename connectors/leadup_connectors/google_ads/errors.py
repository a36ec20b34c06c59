"""What Google's refusals mean for the engine: vendor reasons to error families. Imports no SDK.

Source: Data Manager API, "Understand API errors" and the reference page of ``ErrorReason``. The API fails fast: one bad
row and nothing of the request is processed; the answer names rows by field paths such as ``events[3].currency``.

No text made here repeats what Google wrote about a row: it may quote the row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from leadup.errors import LeadupError, NeedsHuman, Refused, TryLater

LATER: Final[Mapping[str, timedelta | None]] = {
    "INTERNAL_ERROR": None,
    "DEADLINE_EXCEEDED": None,
    "RESOURCE_EXHAUSTED": None,
    "RATE_LIMIT_EXCEEDED": None,
    "CONVERSION_ACTION_TOO_RECENTLY_CREATED": timedelta(hours=6),
}
"""Reasons that pass by themselves, and how long that takes where it is known."""

WHAT_TO_DO: Final[Mapping[str, str]] = {
    "TERMS_AND_CONDITIONS_NOT_SIGNED": "accept the Customer Match terms in Google Ads (Tools > Data manager) and set "
    "terms_accepted = true for this connection",
    "ADVERTISER_TOS_NOT_ACCEPTED": "accept the terms of service in Google Ads",
    "NOT_ALLOWLISTED": "ask Google to allow this feature for the account; leadup needs no other right",
    "ADVERTISER_NOT_ALLOWLISTED_FOR_UPLOADED_DATA": "ask Google to allow Customer Match for the account "
    "(it needs a good history of policy and payments)",
    "INVALID_USER_LIST_ID": "look whether the list was removed in Google Ads (Tools > Audience manager); "
    "the next run finds or creates it again by its name",
    "INVALID_USER_LIST_TYPE": "give the audience another name in the rules, or set this connection's key to what the "
    "existing list is keyed by",
    "INVALID_CONVERSION_ACTION_ID": "correct the id under conversion_actions; it must be owned by operating_account "
    "itself, not by a manager account of it",
    "INVALID_CONVERSION_ACTION_TYPE": "name a conversion action of the type Import > from clicks (UPLOAD_CLICKS)",
    "DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS": "turn on enhanced conversions for leads in "
    "Google Ads (Goals > Settings), or set user_data_with_conversions = false",
    "DESTINATION_ACCOUNT_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS": "set user_data_with_conversions = false: "
    "policy keeps this account from sending user data; your Google representative may know more",
    "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED": "accept the customer data terms in Google Ads "
    "(Goals > Settings > Customer data terms)",
    "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED": "declare in Google Ads whether the campaigns carry EU political "
    "advertising",
    "DESTINATION_ACCOUNT_TYPE_MISMATCH": "check operating_account and login_account: they must be Google Ads accounts",
    "INVALID_DESTINATION": "check operating_account and login_account of this connection",
    "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH": "check login_account: it must be the operating account or one that "
    "manages it",
    "USER_LIST_MUTATION_NOT_SUPPORTED": "give the audience another name in the rules; the list of this name is "
    "read-only",
    "SERVICE_DISABLED": "enable the Data Manager API in the Cloud project that the credentials belong to",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "use credentials with the scope https://www.googleapis.com/auth/datamanager",
}
"""Reasons that only a person can remove, and how."""

CREDENTIALS: Final = "check credentials_file (or the application default credentials); they may be expired or revoked"
_ACCESS = (
    "give the credentials' account access to operating_account (Google Ads: Admin > Access and security), "
    "and set login_account when the access is through a manager account"
)
ROW = re.compile(r"(?:events|audience_?members)\[(\d+)\]\.?(.*)", re.IGNORECASE)
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s?")


class Denied(NeedsHuman):
    """Google's answer to a request, which only a person can change: its HTTP status, and the reason it gave."""

    def __init__(self, message: str, *, todo: str, status: int, code: str) -> None:
        super().__init__(message, todo=todo)
        self.status = status
        self.code = code


class Limited(TryLater):
    """More requests than a quota allows (429)."""


class RowsRefused(Refused):
    """A request was refused for the sake of some rows; nothing of it was processed.

    ``rows`` maps the index of a row in the request to (reason, field path inside the row). It is empty when Google did
    not say which rows it meant.
    """

    def __init__(self, code: str, rows: Mapping[int, tuple[str, str]]) -> None:
        super().__init__(f"Google refused {len(rows) or 'some'} rows of a request: {code}", code=code)
        self.rows = rows


@dataclass(frozen=True, slots=True)
class _Violation:
    row: int | None
    path: str
    reason: str


def translate(error: Any, doing: str) -> LeadupError:
    """Return the leadup error for a ``google.api_core.exceptions.GoogleAPICallError`` of a REST call.

    Args:
        error: the SDK's exception; on REST its ``details`` are dicts.
        doing: what was being done, to begin the message with.
    """
    info = _detail(error, "ErrorInfo")
    general = str(info.get("reason") or "")
    violations = list(_violations(error, general))
    rows = {v.row: (v.reason, v.path) for v in violations if v.row is not None}
    elsewhere = [v for v in violations if v.row is None]
    reasons = [*(v.reason for v in elsewhere), general]
    human = next((reason for reason in reasons if reason in WHAT_TO_DO), None)
    code = human or next((v.reason for v in elsewhere or violations if v.reason), general) or f"HTTP_{error.code}"
    told = f"{doing}: Google answered {error.code} {code}"

    if _passes(error.code, reasons):
        known = next((LATER[reason] for reason in reasons if reason in LATER), None)
        limit = (info.get("metadata") or {}).get("quota_limit")
        kind = Limited if error.code == 429 else TryLater
        return kind(f"{told} ({limit})" if limit else told, retry_after=_asked_for(error) or known)
    if human is not None or error.code in (401, 403):
        otherwise = CREDENTIALS if error.code == 401 else _ACCESS
        todo = WHAT_TO_DO[human] if human else otherwise
        return Denied(told, todo=todo, status=error.code, code=code)
    if error.code != 400 and not info:
        return NeedsHuman(told, todo="check base_url and any proxy: what answers there is not the Data Manager API")
    if error.code == 400 and not elsewhere:
        return RowsRefused(code, rows)
    where = ", ".join(v.path for v in elsewhere)
    return Refused(f"{told} ({where})" if where else told, code=code)


def _passes(status: int | None, reasons: Sequence[str]) -> bool:
    """Whether it may pass later by itself: too many requests, the vendor's own trouble, or a reason that says so."""
    return status is None or status in (408, 429) or status >= 500 or any(reason in LATER for reason in reasons)


def _violations(error: Any, general: str) -> Iterator[_Violation]:
    for violation in _detail(error, "BadRequest").get("fieldViolations", ()):
        path = str(violation.get("field") or "")
        reason = str(violation.get("reason") or general)
        found = ROW.search(path)
        yield _Violation(int(found[1]), found[2], reason) if found else _Violation(None, path, reason)


def _detail(error: Any, kind: str) -> Mapping[str, Any]:
    """The first error detail of a kind, e.g. ``ErrorInfo``; empty when there is none."""
    for detail in error.details:
        if isinstance(detail, Mapping) and str(detail.get("@type", "")).endswith(f"/google.rpc.{kind}"):
            return detail
    return {}


def _asked_for(error: Any) -> timedelta | None:
    """How long Google asks to wait: by ``RetryInfo``, or by the ``Retry-After`` header in seconds."""
    headers = getattr(error.response, "headers", {})
    for text in (_detail(error, "RetryInfo").get("retryDelay"), headers.get("Retry-After")):
        if found := _SECONDS.fullmatch(str(text)):
            return timedelta(seconds=float(found[1]))
    return None
