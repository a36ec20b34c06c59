"""What uploads of conversions and of adjustments have in common: checks of the request, and of one field at a time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from leadup_connectors.google_ads.sandbox.account import Upload
from leadup_connectors.google_ads.sandbox.ads.errors import Refused, Wrong, full_code, partial
from leadup_connectors.google_ads.sandbox.ads.names import key_of

MOST: Final = 2_000
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_PERSONAL: Final = re.compile(r"[^@\s]+@[^@\s]+\.\w+")
"""Google says that it detects personal data and not how; an e-mail address certainly is some."""
_FIRST_JOB: Final = 2**31
"""Job ids that Google chooses begin here."""

Path = tuple[tuple[str, int | None], ...]


def take(
    call: Any, field: str, error: str, answer: Any, check: Callable[[int, Any], str], done: Callable[[Any, Any], None]
) -> Any:
    """Take the rows of a request: ``check`` names what is wrong with one ("" or ``enum_field.NAME[ field]``).

    ``done`` does the work of a good row and fills its result. ``error`` is the enum field of the service's own errors.
    """
    request, rows = call.message, getattr(call.message, field)
    if not request.partial_failure:
        raise Refused(400, Wrong("partial_failure_error.PARTIAL_FAILURE_MODE_REQUIRED"))
    if request.job_id < 0:
        raise Refused(400, Wrong(f"{error}.INVALID_JOB_ID", (("job_id", None),)))
    wrongs: list[Wrong] = []
    codes: list[tuple[str, str]] = []
    for number, row in enumerate(rows):
        result = answer.results.add()
        struck = call.reject is not None and (number + 1) % max(call.reject.every, 1) == 0
        code = full_code(call.reject.code, error) if struck else check(number, row)
        code, _, place = code.partition(" ")
        codes.append((key_of(row.conversion_action, "conversionActions"), code))
        if code:
            path: Path = ((field, number),)
            wrongs.append(Wrong(code, (*path, (place, None)) if place else path))
        elif not request.validate_only:
            done(row, result)
    if request.validate_only:
        del answer.results[:]
    else:
        answer.job_id = request.job_id or _FIRST_JOB + len(call.account.uploads)
        call.account.uploads.append(Upload(call.account.now(), answer.job_id, tuple(codes)))
    if failure := partial(wrongs):
        answer.partial_failure_error.CopyFrom(failure)
    return answer


def instant(text: str) -> datetime | None:
    """Read ``yyyy-mm-dd hh:mm:ss+|-hh:mm``; None when it is not of that form."""
    try:
        return datetime.fromisoformat(text) if _INSTANT.fullmatch(text) else None
    except ValueError:
        return None


def is_personal(text: str) -> bool:
    """Whether a text holds personal data that Google would find."""
    return _PERSONAL.search(text) is not None


def wrong_identifiers(found: Sequence[Any], error: str) -> Iterator[str]:
    """Name what is wrong with hashed e-mail addresses and phone numbers."""
    for identifier in found:
        kind = identifier.WhichOneof("identifier")
        if kind not in ("hashed_email", "hashed_phone_number"):
            yield f"{error}.UNSUPPORTED_USER_IDENTIFIER user_identifiers"
        elif not _SHA256.fullmatch(getattr(identifier, kind)):
            yield f"{error}.INVALID_USER_IDENTIFIER user_identifiers"


def repeated(keys: Sequence[Any]) -> set[Any]:
    """Keys that are there more than once; None is no key."""
    counts = Counter(key for key in keys if key is not None)
    return {key for key, count in counts.items() if count > 1}
