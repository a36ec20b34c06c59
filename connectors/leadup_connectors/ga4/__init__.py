"""Google Analytics 4 by its BigQuery export: every event of every visitor, day by day. Imports no SDK."""

from leadup.kit import Connector

connector = Connector(
    name="ga4",
    summary="Events from the BigQuery export of Google Analytics 4, or from files of it",
    settings="leadup_connectors.ga4.settings:GA4Settings",
    source="leadup_connectors.ga4.source:GA4Source",
    sandbox="leadup_connectors.ga4.sandbox:GA4Sandbox",
)
