"""What only the Google Ads API can do: conversion actions and goals, adjustments, reports on the account.

It needs ``leadup[google-ads]`` (170 MB, two seconds to load), so nothing here imports it: :func:`connect` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadup.errors import NeedsHuman
from leadup_connectors.google_ads.settings import GoogleAdsSettings

if TYPE_CHECKING:
    from leadup_connectors.google_ads.client.ads import GoogleAds


def connect(connection: str, settings: GoogleAdsSettings) -> GoogleAds:
    """Return the client of the Google Ads API. Loads the SDK; asks Google nothing yet.

    Raises:
        NeedsHuman: the SDK is not installed.
    """
    try:
        from leadup_connectors.google_ads.client.ads import GoogleAds
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("google"):
            raise
        raise NeedsHuman(
            f"{connection}: this needs the Google Ads API, whose package is not installed ({error.name})",
            todo="pip install 'leadup[google-ads]'",
        ) from None
    return GoogleAds(settings)
