<<<<<<< HEAD
"""HubSpot: audiences as lists of contacts, scores, segments and what was done last as contact properties."""
=======
"""HubSpot: audiences as lists of contacts, scores as contact properties; contacts, forms and deals are read."""
>>>>>>> 520f6bf (Read HubSpot's contacts, forms and deals)

from leadup.kit import Connector
from leadup.types import Purpose, Use

connector = Connector(
    name="hubspot",
<<<<<<< HEAD
    summary="Audiences as HubSpot lists, scores and segments as contact properties",
=======
    summary="Audiences as HubSpot lists, scores as contact properties; reads contacts, forms and deals",
>>>>>>> 520f6bf (Read HubSpot's contacts, forms and deals)
    settings="leadup_connectors.hubspot.settings:HubSpotSettings",
    unless_denied={Use.AUDIENCE: frozenset({Purpose.EMAIL_MARKETING})},
    source="leadup_connectors.hubspot.source:HubSpotSource",
    destination="leadup_connectors.hubspot.destination:HubSpotDestination",
    examine="leadup_connectors.hubspot.checkup:examine",
    sandbox="leadup_connectors.hubspot.sandbox:HubSpotSandbox",
)
