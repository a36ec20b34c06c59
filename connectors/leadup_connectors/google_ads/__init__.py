"""Google Ads by the Data Manager API: Customer Match audiences and offline conversions. Imports no SDK."""

from leadup.kit import Connector

connector = Connector(
    name="google_ads",
    summary="Customer Match lists and offline conversions, by the Data Manager API",
    settings="leadup_connectors.google_ads.settings:GoogleAdsSettings",
    destination="leadup_connectors.google_ads.destination:GoogleAdsDestination",
    sandbox="leadup_connectors.google_ads.sandbox:GoogleAdsSandbox",
)
