"""The HubSpot destination keeps the contract of destinations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest
from hubspot_account import AUDIENCE, DEMO, SCORE, TOKEN, Stage, connect, person

from leadup.outgoing import Contact, RemoteId, Target
from leadup.sandbox import Server
from leadup.testing.destinations import ConversionContract, DestinationContract, PropertyContract
from leadup_connectors.hubspot.destination import HubSpotDestination

PEOPLE = ("ada@example.com", "Grace@Example.com", "emmy@example.org", "lise@example.net")


class _HubSpot:
    """What both uses share."""

    @pytest.fixture
    def server(self, stage: Stage) -> Server:
        stage.play()
        for email in PEOPLE:
            stage.sandbox.add_contact(email)
        return stage

    @pytest.fixture
    def destination(self, server: Server) -> HubSpotDestination:
        return connect(server)

    @pytest.fixture
    def contacts(self) -> Sequence[Contact]:
        return [person(number, email) for number, email in enumerate(PEOPLE)]

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return [TOKEN, *PEOPLE, *(email.lower() for email in PEOPLE)]


class TestAudiences(_HubSpot, DestinationContract):
    @pytest.fixture
    def audience(self) -> Target:
        return AUDIENCE

    @pytest.fixture
    def members(self, server: Server) -> Callable[[], Sequence[RemoteId]]:
        return lambda: [RemoteId("contact", contact) for contact in server.sandbox.members(AUDIENCE.remote_name)]


class TestProperties(_HubSpot, PropertyContract):
    @pytest.fixture
    def property_target(self) -> Target:
        return SCORE

    @pytest.fixture
    def values(self, server: Server) -> Callable[[], Sequence[tuple[RemoteId, str]]]:
        return lambda: [
            (RemoteId("contact", contact), values[SCORE.name])
            for contact, values in server.sandbox.state()["contacts"].items()
            if SCORE.name in values
        ]


class TestEvents(_HubSpot, ConversionContract):
    @pytest.fixture
    def conversion(self) -> Target:
        return DEMO

    @pytest.fixture
    def conversions(self, server: Server) -> Callable[[], Sequence[tuple[str, int]]]:
        return lambda: [
            (each.properties["transaction_id"], int(Decimal(each.properties["value"]) * 100))
            for each in server.sandbox.events
            if each.contact is not None
        ]
