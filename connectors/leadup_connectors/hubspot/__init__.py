"""HubSpot: audiences as lists, scores as contact properties, conversions as events; contacts, forms, deals read."""

from leadup.kit import Connector
from leadup.outgoing import Use
from leadup.types import Purpose

connector = Connector(
    name="hubspot",
    summary="Audiences as lists, scores as contact properties, custom events; reads contacts, forms and deals",
    settings="leadup_connectors.hubspot.settings:HubSpotSettings",
    unless_denied={Use.AUDIENCE: frozenset({Purpose.EMAIL_MARKETING})},
    source="leadup_connectors.hubspot.source:HubSpotSource",
    destination="leadup_connectors.hubspot.destination:HubSpotDestination",
    examine="leadup_connectors.hubspot.checkup:examine",
    sandbox="leadup_connectors.hubspot.sandbox:HubSpotSandbox",
)
