"""What the receipt of a request says of an event that does not say it itself: when it was, and which one it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

from leadup.types import Incoming

AHEAD: Final = timedelta(minutes=5)
"""How far a sender's clock may be ahead."""


def dated(own: datetime | None, request: Incoming) -> datetime:
    """Return when an event was: at its own time; the receipt counts where that is missing, or later by ``AHEAD``."""
    return own if own is not None and own <= request.received_at + AHEAD else request.received_at


def known_by(data: Mapping[str, Any], request: Incoming, number: int, *, has_time: bool) -> str:
    """Return the id of an event that brings none; ``number`` is its place in the body.

    An event with a time is known by its content: sent again, it is the same. One that has neither id nor time is known
    by its place in the inbox: each time it is sent it is another.
    """
    if not has_time:
        return f"{request.id}-{number}"
    return blake2b(json.dumps(data, sort_keys=True).encode(), digest_size=16).hexdigest()
