"""Google Ads by the Data Manager API: Customer Match audiences and offline conversions. Imports no SDK."""

from datetime import timedelta

from leadup.kit import Connector
from leadup.outgoing import Use
from leadup.types import Purpose

connector = Connector(
    name="google_ads",
    summary="Customer Match lists and offline conversions, by the Data Manager API",
    settings="leadup_connectors.google_ads.settings:GoogleAdsSettings",
    destination="leadup_connectors.google_ads.destination:GoogleAdsDestination",
    purposes={
        Use.AUDIENCE: frozenset({Purpose.AD_USER_DATA, Purpose.AD_PERSONALIZATION}),
        Use.CONVERSION: frozenset({Purpose.AD_USER_DATA}),
    },
    serves_from=100,  # in 30 days, on each network (Google Ads Help, "About audience segments": size requirements)
    identifiers="leadup_connectors.google_ads.forms:FORMS",
    restates_for=timedelta(days=54),  # Google Ads API, "ConversionAdjustmentUploadError": CONVERSION_EXPIRED
    examine="leadup_connectors.google_ads.checkup:examine",
    commands="leadup_connectors.google_ads.commands:commands",
    sandbox="leadup_connectors.google_ads.sandbox:GoogleAdsSandbox",
)
