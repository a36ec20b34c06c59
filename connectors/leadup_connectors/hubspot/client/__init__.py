"""HubSpot's API as this connector needs it: a few calls, one way to send them, two versions behind it.

With the emulator the only place that knows ``hubspot-api-client`` and ``requests``; ``routes`` is the only one that
knows paths.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from leadup.outgoing import Budget
from leadup_connectors.hubspot.answers import Account
from leadup_connectors.hubspot.client.caller import Caller
from leadup_connectors.hubspot.client.contacts import BATCH, Contacts, Properties
from leadup_connectors.hubspot.client.events import Events
from leadup_connectors.hubspot.client.forms import Forms
from leadup_connectors.hubspot.client.lists import Lists
from leadup_connectors.hubspot.client.objects import Objects
from leadup_connectors.hubspot.client.rights import Rights
from leadup_connectors.hubspot.client.routes import Call
from leadup_connectors.hubspot.client.wire import Wire
from leadup_connectors.hubspot.settings import HubSpotSettings

__all__ = ["BATCH", "HubSpotClient"]

V3: Final = "v3"


class HubSpotClient:
    """The calls, by what they are about. What they raise: :class:`leadup_connectors.hubspot.client.caller.Caller`."""

    def __init__(self, connection: str, settings: HubSpotSettings) -> None:
        self._caller = Caller(connection, settings, _wire(settings))
        self.lists = Lists(self._caller)
        self.events = Events(self._caller)
        self.contacts = Contacts(self._caller)
        self.properties = Properties(self._caller)
        self.objects = Objects(self._caller)
        self.forms = Forms(self._caller)
        self.rights = Rights(self._caller)

    def account(self) -> Account:
        """Return the account ("portal") that the token belongs to."""
        found = Account.read(self._caller.ask(Call.ACCOUNT))
        self._caller.limits.belongs_to(f"hubspot {found.portal}", found.clock)
        return found

    def earlier(self, now: datetime) -> datetime:
        """Return ``now``, or what HubSpot's clock said at its last answer, if that is earlier.

        HubSpot dates all that changes by its clock: what is read up to a later instant is not read whole.
        """
        return min(now, self._caller.clock or now)

    def budget(self) -> Budget | None:
        """Return what is left of the account's day, once answers have told it and :meth:`account` was asked."""
        return self._caller.limits.budget()

    def burst(self) -> tuple[int | None, timedelta]:
        """Return how many calls the app may make in how long, once answers have told it."""
        return self._caller.limits.burst, self._caller.limits.interval


def _wire(settings: HubSpotSettings) -> Wire:
    """Load only what the version needs."""
    if settings.api == V3:
        from leadup_connectors.hubspot.client.sdk import SdkWire

        return SdkWire(settings)
    from leadup_connectors.hubspot.client.dated import DatedWire

    return DatedWire(settings)
