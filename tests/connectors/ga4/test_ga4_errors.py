"""Every answer of BigQuery but a good one ends in an error that says what to do next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from ga4_kit import NOON, Property
from pydantic import ValidationError

from installation import Stage
from leadup.errors import NeedsHuman, TryLater
from leadup.sandbox import Server
from leadup_connectors.ga4.sandbox import GA4Sandbox
from leadup_connectors.ga4.settings import GA4Settings
from leadup_connectors.ga4.source import GA4Source


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage("ga4") as stage:
        yield stage


@pytest.fixture
def site(stage: Stage) -> Property:
    site = Property(stage.play())
    site.add(9)
    return site


def pulled(site: Property, **settings: Any) -> int:
    return sum(len(page.records) for page in site.source(**settings).pull(None, NOON))


def asked(site: Property, path: str) -> int:
    return sum(path in one.path for one in site.weather.log)


def test_a_token_that_ends_is_renewed_once(site: Property) -> None:
    site.weather.add(kind="expire_token", path="/bigquery", after=3)
    assert pulled(site) == 9
    assert asked(site, "/token") == 2


def test_a_token_that_is_never_taken_needs_a_human(site: Property) -> None:
    site.weather.add(kind="expire_token", path="/bigquery", times=-1)
    with pytest.raises(NeedsHuman, match=r"list tables: Google does not take the credentials \(authError\)") as error:
        pulled(site)
    assert "connections.feed.credentials_file" in error.value.todo
    assert asked(site, "/bigquery") == 2


def test_no_right_to_read_needs_a_human_who_is_told_which(site: Property) -> None:
    site.weather.add(kind="reject", code="accessDenied", path="28/data", times=-1)
    with pytest.raises(NeedsHuman, match="read table events_20260228: 403 accessDenied: Access Denied") as error:
        site.source().check()
    assert "roles/bigquery.dataViewer" in error.value.todo
    assert "auth/bigquery.readonly" in error.value.todo
    assert asked(site, "28/data") == 1, "what does not pass is not repeated"


@pytest.mark.parametrize("reason", ["quotaExceeded", "rateLimitExceeded"])
def test_a_quota_passes(site: Property, reason: str) -> None:
    site.weather.add(kind="reject", code=reason, path="/tables", times=3)
    assert pulled(site) == 9
    site.weather.add(kind="reject", code=reason, path="/tables", times=4)
    with pytest.raises(TryLater, match=f"403 {reason}"):
        pulled(site)


def test_google_says_how_long_to_wait(site: Property) -> None:
    site.weather.add(kind="rate_limit", path="/tables", retry_after=90, times=-1)
    with pytest.raises(TryLater, match="429 rateLimitExceeded") as error:
        pulled(site)
    assert error.value.retry_after == timedelta(seconds=90)
    assert asked(site, "/bigquery") == 1, "too long to wait for within a call"


def test_a_short_wish_is_kept_within_the_call(site: Property) -> None:
    site.weather.add(kind="rate_limit", path="/tables", retry_after=0, times=3)
    assert pulled(site, pause=20) == 9


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_trouble_at_google_passes(site: Property, status: int) -> None:
    site.weather.add(kind="fail", status=status, path="/tables", times=3)
    assert pulled(site) == 9
    site.weather.add(kind="fail", status=status, path="/token", times=-1)
    with pytest.raises(TryLater, match="Google gave no token"):
        pulled(site)


def test_a_dataset_that_is_not_there_needs_a_human_who_is_told_the_nearest(site: Property) -> None:
    with pytest.raises(NeedsHuman, match=r'no dataset shop.analytics_123465; did you mean "analytics_123456"\?'):
        site.source(dataset="analytics_123465").check()
    with pytest.raises(NeedsHuman, match=r"no dataset shop\.export; there are analytics_123456 \("):
        site.source(dataset="export").check()
    site.weather.add(kind="reject", code="accessDenied", path="/datasets", after=1)
    with pytest.raises(NeedsHuman, match=r"no dataset shop\.export \(Not found"):
        site.source(dataset="export").check()


def test_another_refusal_needs_a_human(site: Property) -> None:
    site.weather.add(kind="reject", code="invalid", path="/tables")
    with pytest.raises(NeedsHuman, match="list tables: 400 invalid") as error:
        pulled(site)
    assert "connection 'feed'" in error.value.todo


def test_an_address_where_nothing_answers() -> None:
    with Server(GA4Sandbox()) as server:
        source = Property(server).source()
    with pytest.raises(TryLater, match="did not answer when asked to list tables: TransportError") as error:
        source.check()
    assert "base_url of connection 'feed'" in str(error.value)


def key(**changes: str) -> str:
    """A service account's key such as Google gives out, made here."""
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made = {
        "type": "service_account",
        "private_key": private.decode(),
        "client_email": "leadup@shop.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return json.dumps({**made, **changes})


def test_a_service_accounts_key_is_used(site: Property) -> None:
    assert pulled(site, credentials=key()) == 9
    token = next(one for one in site.weather.log if one.path == "/token")
    assert b"jwt-bearer" in token.body


@pytest.mark.parametrize("broken", ["", "no JSON", "[]", "{}", '{"type": "service_account"}'])
def test_a_broken_key_is_named_and_never_shown(broken: str) -> None:
    settings = GA4Settings(project="p", dataset="d", property_zone="UTC", credentials=broken)
    with pytest.raises(NeedsHuman, match="the service account's key could not be used") as error:
        GA4Source("web", settings, Path()).check()
    assert "connections.web.credentials_file" in error.value.todo


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "project, dataset, property_zone missing"),
        ({"project": "p", "dataset": "d"}, "property_zone missing"),
        ({"path": "x", "project": "p"}, "the one or the other"),
        ({"path": "x", "consent_from_ads_storage": "yes"}, "'denies' or 'grants'"),
        ({"project": "p", "dataset": "d", "property_zone": "Europe/Berln"}, 'did you mean "Europe/Berlin"'),
        ({"path": "x", "base_url": "http://bigquery.googleapis.com"}, "unencrypted"),
        ({"path": "x", "base_url": "https://x.test/v2"}, "is not a base URL"),
        ({"project": "../p", "dataset": "d", "property_zone": "UTC"}, "project"),
    ],
)
def test_settings_that_can_not_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GA4Settings(**given)
