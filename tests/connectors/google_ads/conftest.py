"""Emulators of Google for the tests of its connector: one for each file, as new for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.ads.googleads.client import GoogleAdsClient
from google_ads_kit import connected
from google_scenes import Emulators, connect

from leadup.sandbox import Server
from leadup_connectors.google_ads.destination import GoogleAdsDestination
from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox


@pytest.fixture(scope="module")
def emulators() -> Iterator[Emulators]:
    several = Emulators()
    yield several
    several.close()


@pytest.fixture
def server(emulators: Emulators) -> Server:
    """The Data Manager API, in plain HTTP."""
    return emulators.fresh()


@pytest.fixture
def destination(server: Server) -> GoogleAdsDestination:
    """What talks to it."""
    return connect(server)


@pytest.fixture(scope="module")
def emulator() -> Iterator[GoogleAdsSandbox]:
    one = GoogleAdsSandbox()
    yield one
    one.close()


@pytest.fixture
def sandbox(emulator: GoogleAdsSandbox) -> GoogleAdsSandbox:
    """An emulator whose doors a test opens as it needs them: HTTP, gRPC, TLS."""
    emulator.reset()
    return emulator


@pytest.fixture(scope="module")
def client(emulator: GoogleAdsSandbox) -> GoogleAdsClient:
    """An unmodified client of the Google Ads API, over TLS."""
    return connected(emulator)
