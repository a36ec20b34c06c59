"""Emulators of HubSpot for the tests of its connector: a new account for each test, on a server for each file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hubspot_account import APIS, Stage
from hubspot_http import STYLES, Api

from leadup.sandbox import Server
from leadup_connectors.hubspot.sandbox import HubSpotSandbox


@pytest.fixture(scope="module", params=APIS)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Where accounts are played to a client of each version of the API."""
    with Stage(request.param) as stage:
        yield stage


@pytest.fixture
def server(stage: Stage) -> Server:
    """A new account."""
    return stage.play()


@pytest.fixture
def hubspot(server: Server) -> HubSpotSandbox:
    """Its emulator."""
    return server.sandbox


@pytest.fixture(scope="module")
def raw() -> Iterator[Stage]:
    """Where accounts are played to plain HTTP."""
    with Stage() as stage:
        yield stage


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest) -> str:
    """The paths of a version of the API."""
    return request.param


@pytest.fixture
def api(raw: Stage, style: str) -> Api:
    """Plain HTTP to an account."""
    return Api(raw, style)
