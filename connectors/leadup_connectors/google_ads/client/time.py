"""What time it is at Google."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

import requests

from leadup.errors import TryLater


def server_time(url: str, timeout: float) -> datetime:
    """Return the ``Date`` of an answer, to the second; no credentials are sent.

    Raises:
        TryLater: nothing answers there within ``timeout`` seconds.
    """
    try:
        answer = requests.head(url, timeout=timeout, allow_redirects=False)
        return parsedate_to_datetime(answer.headers["Date"])
    except (requests.RequestException, KeyError, ValueError) as error:
        raise TryLater(f"no answer from {url} ({type(error).__name__})") from None
