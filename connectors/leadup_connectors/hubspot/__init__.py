"""HubSpot: audiences as lists of contacts, scores, segments and what was done last as contact properties."""

from leadup.kit import Connector
from leadup.types import Purpose, Use

connector = Connector(
    name="hubspot",
    summary="Audiences as HubSpot lists, scores and segments as contact properties",
    settings="leadup_connectors.hubspot.settings:HubSpotSettings",
    unless_denied={Use.AUDIENCE: frozenset({Purpose.EMAIL_MARKETING})},
    destination="leadup_connectors.hubspot.destination:HubSpotDestination",
    examine="leadup_connectors.hubspot.checkup:examine",
    sandbox="leadup_connectors.hubspot.sandbox:HubSpotSandbox",
)
