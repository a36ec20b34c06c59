"""What Google's reasons for rows that failed in processing mean, and what is done about them. Imports no SDK.

Google counts them by request and never names rows, so each is answered for the whole batch. Sending a batch again does
no harm: events carry transaction ids, and who is a member stays one.

Pages of the Data Manager API: "Diagnostics" (how to retry, what may be ignored), the reference page of
``ProcessingErrorReason`` (what each means), "Send events" (types and owners of actions), "Conversion adjustments". Of
the Google Ads API: "ConversionUploadError", whose reasons of the same meaning say what may pass.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from leadup.outgoing import Progress, Status

DIAGNOSTICS: Final = "Diagnostics"
REASONS: Final = "ProcessingErrorReason"
UPLOADS: Final = "ConversionUploadError"
EVENTS: Final = "Send events"


class Answer(enum.Enum):
    """What is done about a reason."""

    AGAIN = "sent again later"
    USUAL = "no failure of rows that go by contact data alone"
    DROPPED = "kept as failed"
    STOPPED = "the destination waits for a person"


class Reason(NamedTuple):
    """A reason's answer, the page it rests on, and for whom the destination waits: what there is to do."""

    answer: Answer
    page: str
    todo: str = ""


AGAIN_AFTER: Final = timedelta(hours=6)
"""A click younger than that is not known yet ("ConversionUploadError": TOO_RECENT_EVENT)."""
STOPPED_FOR: Final = timedelta(hours=24)
"""Then it is tried whether somebody has seen to it."""

_OWNER = "check operating_account: the clicks belong to another account, which has to own the action that they convert"
_ENCRYPTED = "leadup does not encrypt user data; look who else sends to this account"


def _stopped(page: str, todo: str) -> Reason:
    return Reason(Answer.STOPPED, page, todo)


_DROP = Reason(Answer.DROPPED, REASONS)

TABLE: Final[Mapping[str, Reason]] = {
    "TOO_RECENT_CLICK": Reason(Answer.AGAIN, DIAGNOSTICS),
    "INTERNAL_ERROR": Reason(Answer.AGAIN, DIAGNOSTICS),
    "CLICK_NOT_FOUND": Reason(Answer.USUAL, DIAGNOSTICS),
    "DENIED_CONSENT": _DROP,
    "NO_CONSENT": _DROP,
    "UNKNOWN_CONSENT": _DROP,
    "EVENT_TOO_OLD": Reason(Answer.DROPPED, UPLOADS),
    "CONVERSION_PRECEDES_CLICK": Reason(Answer.DROPPED, UPLOADS),
    "INVALID_CLICK": Reason(Answer.DROPPED, UPLOADS),
    "INVALID_GCLID": Reason(Answer.DROPPED, UPLOADS),
    "INVALID_GBRAID": Reason(Answer.DROPPED, UPLOADS),
    "INVALID_WBRAID": Reason(Answer.DROPPED, UPLOADS),
    "DUPLICATE_GCLID": _DROP,
    "DUPLICATE_TRANSACTION_ID": _DROP,
    "ORIGINAL_CONVERSIONS_NOT_FOUND": Reason(Answer.DROPPED, "Conversion adjustments"),
    "INVALID_EVENT": _DROP,
    "INVALID_FORMAT": _DROP,
    "INVALID_AD_IDENTIFIERS": _DROP,
    "INVALID_CUSTOM_VARIABLE": _DROP,
    "INVALID_MERCHANT_ID": _DROP,
    "INVALID_MOBILE_ID_FORMAT": _DROP,
    "MATCH_ID_NOT_FOUND": _DROP,
    "USER_ID_NOT_FOUND": _DROP,
    "USER_ID_NOT_FOUND_FOR_GCLID": _DROP,
    "USER_ID_NOT_FOUND_FOR_DCLID": _DROP,
    "USER_ID_NOT_FOUND_FOR_MATCH_ID": _DROP,
    "USER_ID_NOT_FOUND_FOR_IMPRESSION_ID": _DROP,
    "EVENT_ID_DECODE_ERROR": _DROP,
    "INSUFFICIENT_TRANSACTIONS": _DROP,
    "INSUFFICIENT_MATCHED_TRANSACTIONS": _DROP,
    "CUSTOM_VARIABLE_NOT_ENABLED": _DROP,
    "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID": _stopped(
        UPLOADS, "let the conversion action count every conversion, not one a click; transaction ids keep them single"
    ),
    "OPERATING_ACCOUNT_MISMATCH_FOR_AD_IDENTIFIER": _stopped(EVENTS, _OWNER),
    "INVALID_OPERATING_ACCOUNT_FOR_CLICK": _stopped(EVENTS, _OWNER),
    "EXTERNAL_ATTRIBUTION_DATA_MISSING": _stopped(
        REASONS, "name a conversion action without external attribution: Google takes no such data here"
    ),
    "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED": _stopped(
        UPLOADS, "accept the customer data terms in Google Ads (Goals > Settings > Customer data terms)"
    ),
    **dict.fromkeys(
        (
            *("DECRYPTION_ERROR", "DEK_DECRYPTION_ERROR", "USER_IDENTIFIER_DECRYPTION_ERROR", "INVALID_WIP"),
            *("INVALID_KEK", "WIP_AUTH_FAILED", "KEK_PERMISSION_DENIED", "AWS_AUTH_FAILED"),
        ),
        _stopped(REASONS, _ENCRYPTED),
    ),
}
"""By reason, without ``PROCESSING_ERROR_REASON_``. One that is not here is dropped: the list grows."""


def status_of(
    handle: str, progress: Progress, counts: Mapping[str, int], warnings: Mapping[str, int] | None = None
) -> Status:
    """What counts by reason mean.

    A batch in which any row may pass later is sent again whole; one that needs a person waits for that.
    """
    found = {reason: TABLE.get(reason, _DROP) for reason in counts}
    usual = {reason: count for reason, count in counts.items() if found[reason].answer is Answer.USUAL}
    todo = next((one.todo for one in found.values() if one.answer is Answer.STOPPED), "")
    again = any(one.answer is Answer.AGAIN for one in found.values())
    return Status(
        handle=handle,
        progress=progress,
        counts={reason: count for reason, count in counts.items() if reason not in usual},
        unmatched=usual,
        warnings=warnings or {},
        retryable=again or bool(todo),
        retry_after=STOPPED_FOR if todo else AGAIN_AFTER if again else None,
        todo=todo,
    )
