"""Whatever the Google Ads API answers becomes one of leadup's errors, without what was sent; reads are repeated."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from google_ads_scenes import INTEREST, ads_actions, ads_api, ads_destination, ads_settings
from google_scenes import convert
from pydantic import ValidationError

from leadup.errors import LeadupError, NeedsHuman, Refused, TryLater
from leadup.outgoing import RemoteTarget
from leadup_connectors.google_ads.ads.errors import AdsError, translate
from leadup_connectors.google_ads.client.ads import GoogleAds
from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox

FIELDS = ["customer.currency_code"]
TO = RemoteTarget(id="7", name="demo")


@pytest.fixture
def sandbox(sandbox: GoogleAdsSandbox) -> GoogleAdsSandbox:
    sandbox.account.allow_listed = True
    return sandbox


@pytest.fixture(scope="module")
def api(emulator: GoogleAdsSandbox) -> GoogleAds:
    return ads_api(emulator)


def test_a_query_answers_plain_values(sandbox: GoogleAdsSandbox, api: GoogleAds) -> None:
    assert api.search("customer", FIELDS) == [{"customer.currency_code": "EUR"}]


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        ({"kind": "expire_token"}, NeedsHuman, "UNAUTHENTICATED OAUTH_TOKEN_EXPIRED"),
        ({"kind": "fail", "status": 403}, NeedsHuman, "PERMISSION_DENIED USER_PERMISSION_DENIED"),
        (
            {"kind": "fail", "status": 403, "code": "authorization_error.CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION"},
            NeedsHuman,
            "API Center",
        ),
        ({"kind": "fail", "status": 400, "code": "query_error.BAD_LIMIT_VALUE"}, Refused, "BAD_LIMIT_VALUE"),
        ({"kind": "fail", "status": 500}, TryLater, "INTERNAL INTERNAL_ERROR"),
        ({"kind": "fail", "status": 503}, TryLater, "UNAVAILABLE TRANSIENT_ERROR"),
        ({"kind": "rate_limit"}, TryLater, "RESOURCE_EXHAUSTED RESOURCE_TEMPORARILY_EXHAUSTED"),
        ({"kind": "lose_answer"}, TryLater, "UNAVAILABLE"),
    ],
)
def test_what_google_answers_becomes_an_error_of_ours(
    sandbox: GoogleAdsSandbox, api: GoogleAds, fault: dict[str, Any], kind: type[LeadupError], told: str
) -> None:
    sandbox.weather.add(times=-1, **fault)
    with pytest.raises(kind) as raised:
        api.search("customer", FIELDS)
    assert type(raised.value) is kind
    assert told in str(raised.value)
    assert "ask for customer" in str(raised.value)


def test_reads_are_repeated_and_writes_are_not(sandbox: GoogleAdsSandbox, api: GoogleAds) -> None:
    sandbox.weather.add(kind="fail", status=503, times=2)
    assert api.search("customer", FIELDS)
    assert len(sandbox.weather.log) == 3
    sandbox.weather.add(kind="fail", status=503, times=1)
    with pytest.raises(TryLater):
        api.upload("7", [convert(1)])
    assert len(sandbox.weather.log) == 4


def test_google_says_how_long_to_wait(sandbox: GoogleAdsSandbox, api: GoogleAds) -> None:
    """RESOURCE_EXHAUSTED is not wrapped by the SDK: what Google said is found in the trailing metadata."""
    sandbox.weather.add(kind="rate_limit", retry_after=30)
    with pytest.raises(TryLater) as raised:
        api.search("customer", FIELDS)
    assert raised.value.retry_after == timedelta(seconds=30)
    assert len(sandbox.weather.log) == 1  # not repeated at once: Google asked to wait


def test_a_call_that_hangs_ends(sandbox: GoogleAdsSandbox) -> None:
    sandbox.weather.add(kind="hang", seconds=5)
    with pytest.raises(TryLater, match="DEADLINE_EXCEEDED"):
        ads_api(sandbox, timeout=0.3).upload("7", [convert(1)])


def test_nobody_there_is_tried_later(sandbox: GoogleAdsSandbox) -> None:
    with pytest.raises(TryLater, match="UNAVAILABLE"):
        ads_api(sandbox, ads_url="https://localhost:1", timeout=2).upload("7", [convert(1)])


def test_a_version_that_has_had_its_day_says_what_to_install(sandbox: GoogleAdsSandbox, api: GoogleAds) -> None:
    sandbox.sunset = True
    with pytest.raises(NeedsHuman) as raised:
        api.search("customer", FIELDS)
    assert raised.value.todo.startswith("pip install --upgrade 'leadup[google-ads]'")


def test_access_through_a_manager_names_it(sandbox: GoogleAdsSandbox, api: GoogleAds) -> None:
    sandbox.manager = "5556667778"
    with pytest.raises(NeedsHuman, match="USER_PERMISSION_DENIED") as raised:
        api.search("customer", FIELDS)
    assert "login_account" in raised.value.todo
    assert ads_api(sandbox, login_account="555-666-7778").search("customer", FIELDS)


def test_no_error_repeats_what_was_sent(sandbox: GoogleAdsSandbox) -> None:
    sandbox.weather.add(kind="fail", status=400, code="request_error.UNKNOWN", times=-1)
    destination = ads_destination(sandbox, conversion_actions={"interest": "7"}, upload_by="google_ads")
    row = convert(1)
    with pytest.raises(NeedsHuman) as raised:
        destination.deliver(destination.prepare(INTEREST), [row])
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    assert row.to.ids[0].value not in str(raised.value)


def test_a_removed_name_is_not_an_injection(sandbox: GoogleAdsSandbox) -> None:
    """Names are compared here, never written into a query."""
    with pytest.raises(NeedsHuman):
        ads_actions(sandbox).named("x' OR 1 = 1")


@pytest.mark.parametrize(
    ("status", "errors", "kind"),
    [
        ("INVALID_ARGUMENT", [], Refused),
        ("UNIMPLEMENTED", [], NeedsHuman),
        ("PERMISSION_DENIED", [], NeedsHuman),
        ("UNAUTHENTICATED", [], NeedsHuman),
        ("ABORTED", [], TryLater),
        ("INVALID_ARGUMENT", [AdsError("quota_error.RESOURCE_EXHAUSTED")], TryLater),
        ("INVALID_ARGUMENT", [AdsError("not_allowlisted_error.CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE")], NeedsHuman),
        ("PERMISSION_DENIED", [AdsError("header_error.INVALID_LOGIN_CUSTOMER_ID")], NeedsHuman),
    ],
)
def test_a_status_without_details_is_understood(status: str, errors: list[AdsError], kind: type[LeadupError]) -> None:
    assert type(translate("ask", status, errors)) is kind


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"ads_url": "http://localhost:1"}, "by TLS only"),
        ({"ads_url": "https://googleads.googleapis.com"}, "ads_roots"),
        ({"conversion_actions": {"a": {"id": "7", "create": True}}}, "leave out name and create"),
        ({"conversion_actions": {"a": {"currency": "EUR"}}}, "say which action"),
        ({"conversion_actions": {"a": {"create": True, "category": "LEAD"}}}, "SUBMIT_LEAD_FORM"),
    ],
)
def test_settings_that_can_not_be_meant_are_refused(
    sandbox: GoogleAdsSandbox, wrong: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        ads_settings(sandbox, **wrong)
