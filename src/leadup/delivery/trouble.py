"""What to say of an error, and how long to wait after it."""

from __future__ import annotations

from datetime import timedelta

from leadup.errors import Busy, LeadupError, NotOffered, Refused, TryLater, unforeseen
from leadup.identity.seal import redact


def trouble(error: Exception) -> tuple[str, timedelta]:
    """What to say of an error, and how long a target, or a vendor that was asked, is left alone after it."""
    if isinstance(error, LeadupError):
        return redact(str(error)), _pause(error)
    return unforeseen(error), timedelta(hours=1)


def _pause(error: LeadupError) -> timedelta:
    match error:
        case TryLater():
            return error.retry_after or timedelta(minutes=1)
        case Busy():
            return timedelta(minutes=1)
        case Refused() | NotOffered():
            return timedelta(hours=24)
    return timedelta(hours=1)
