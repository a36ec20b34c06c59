"""Settings of a HubSpot connection, and what the manifest loads."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from leadup import registry
from leadup.types import Kind
from leadup_connectors.hubspot.settings import HubSpotSettings

TOKEN = "pat-eu1-5ec7e7"


def settings(**given: Any) -> HubSpotSettings:
    return HubSpotSettings(access_token=TOKEN, **given)


def test_a_token_is_enough() -> None:
    found = settings()
    assert (found.base_url, found.match, found.kind, found.chunk_size) == (
        "https://api.hubapi.com",
        "email",
        Kind.EMAIL,
        500,
    )
    assert TOKEN not in f"{found!r} {found} {found.model_dump_json()}"


@pytest.mark.parametrize(
    "url",
    ["https://api.hubapi.com", "http://127.0.0.1:8080/", "http://localhost:1", "http://[::1]:1", "http://127.8.9.1"],
)
def test_the_token_may_travel_to(url: str) -> None:
    assert settings(base_url=url).base_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.hubapi.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://10.0.0.1",
        "ftp://localhost",
        "api.hubapi.com",
        "https://",
        "https://user@api.hubapi.com",
        "https://api.hubapi.com?x=1",
    ],
)
def test_the_token_may_not_travel_to(url: str) -> None:
    with pytest.raises(ValidationError):
        settings(base_url=url)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"match": "external_id"}, Kind.USER_ID),
        ({"match": "ga_client", "match_with": "client_id"}, Kind.CLIENT_ID),
        ({"match": "email", "match_with": "email"}, Kind.EMAIL),
    ],
)
def test_who_is_matched_with_what(given: dict[str, str], kind: Kind) -> None:
    assert settings(**given).kind is kind


@pytest.mark.parametrize(
    "given",
    [
        {"match_with": "user_id"},
        {"match": "External Id"},
        {"match": "external_id", "match_with": "cookie"},
        {"access_token": ""},
        {"chunk_size": 0},
        {"read_timeout": 0},
        {"tries": 0},
        {"list_prefix": "x"},
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HubSpotSettings(**{"access_token": TOKEN, **given})


def test_the_manifest_is_found_and_all_it_names_is_there() -> None:
    manifest = registry.find("hubspot")
    assert registry.load(manifest.settings) is HubSpotSettings
    assert registry.load(manifest.destination).__name__ == "HubSpotDestination"
    assert registry.load(manifest.sandbox)().name == "hubspot"


@pytest.mark.parametrize(
    "module", ["hubspot", "hubspot.settings", "hubspot.limits", "hubspot.answers", "hubspot.batches"]
)
def test_looking_at_the_connector_loads_no_sdk(module: str) -> None:
    code = (
        f"import sys, leadup_connectors.{module}; "
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'hubspot', 'urllib3', 'requests'}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
