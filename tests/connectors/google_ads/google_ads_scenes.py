"""Short words for the tests of what the connector does by the Google Ads API."""

from __future__ import annotations

from typing import Any

from google_scenes import ACCOUNT

from leadup.outgoing import Target, Use
from leadup_connectors.google_ads.ads import connect
from leadup_connectors.google_ads.ads.actions import Actions
from leadup_connectors.google_ads.client.ads import GoogleAds
from leadup_connectors.google_ads.destination import GoogleAdsDestination
from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox
from leadup_connectors.google_ads.settings import GoogleAdsSettings

INTEREST = Target(connection="google_ads", use=Use.CONVERSION, name="interest", remote_name="leadup: interest")
MADE = {"interest": {"create": True, "category": "SUBMIT_LEAD_FORM", "currency": "EUR"}}


def ads_settings(sandbox: GoogleAdsSandbox, **settings: Any) -> GoogleAdsSettings:
    """Settings that reach the emulated Google Ads API; the Data Manager API is nowhere unless ``base_url`` says so."""
    doors = sandbox.doors()
    values: dict[str, Any] = {
        "operating_account": ACCOUNT,
        "base_url": "http://127.0.0.1:9",
        "ads_url": f"https://{doors['grpc_tls']}",
        "ads_roots": doors["roots"],
        "conversion_actions": MADE,
        "timeout": 10,
    }
    return GoogleAdsSettings(**{**values, **settings})


def ads_api(sandbox: GoogleAdsSandbox, **settings: Any) -> GoogleAds:
    return connect("google_ads", ads_settings(sandbox, **settings))


def ads_actions(sandbox: GoogleAdsSandbox, **settings: Any) -> Actions:
    chosen = ads_settings(sandbox, **settings)
    return Actions("google_ads", chosen, connect("google_ads", chosen))


def ads_destination(sandbox: GoogleAdsSandbox, **settings: Any) -> GoogleAdsDestination:
    return GoogleAdsDestination("google_ads", ads_settings(sandbox, **settings))
