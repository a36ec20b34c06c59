"""Which version of the Google Ads API is spoken, and until when Google answers it. The one place that names it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

API_VERSION: Final = "v26"
"""Released 2026-10-14; package google-ads 34."""
SUNSET: Final = date(2027, 10, 13)
"""A major version lives for about twelve months ("Deprecation and sunset"; Google names the day later)."""
WARN_BEFORE: Final = timedelta(days=60)


def sunset_warning(today: date) -> str:
    """Say that the version will soon be refused, from 60 days before; "" while that is far away."""
    if today < SUNSET - WARN_BEFORE:
        return ""
    end = "may have ended" if today >= SUNSET else "ends"
    return (
        f"Google's support of its Ads API {API_VERSION} {end} about {SUNSET}\n"
        "  What to do: pip install --upgrade 'leadup[google-ads]'"
    )
