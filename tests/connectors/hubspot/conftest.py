"""Emulators of HubSpot for the tests of its connector: a new account for each test, on a server for each file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hubspot_account import APIS, Stage
from hubspot_crm import Crm
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
def raw(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Where accounts are played to plain HTTP, and to clients of version 3 (of each: see ``of_each_api``)."""
    with Stage(getattr(request, "param", "v3")) as stage:
        yield stage


@pytest.fixture
def crm(raw: Stage) -> Crm:
    """A new account that lives by a clock of its own, and what is read of it."""
    return Crm(raw)


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest) -> str:
    """The paths of a version of the API."""
    return request.param


@pytest.fixture
def api(raw: Stage, style: str) -> Api:
    """Plain HTTP to an account."""
    return Api(raw, style)
