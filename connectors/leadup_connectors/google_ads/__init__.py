"""Google Ads by the Data Manager API: Customer Match audiences and offline conversions. Imports no SDK."""

from leadup.kit import Connector
from leadup.types import Purpose

connector = Connector(
    name="google_ads",
    summary="Customer Match lists and offline conversions, by the Data Manager API",
    settings="leadup_connectors.google_ads.settings:GoogleAdsSettings",
    destination="leadup_connectors.google_ads.destination:GoogleAdsDestination",
    audience_purposes=frozenset({Purpose.AD_USER_DATA, Purpose.AD_PERSONALIZATION}),
    sandbox="leadup_connectors.google_ads.sandbox:GoogleAdsSandbox",
)
