"""The traps of HubSpot's limits and rights that the emulator carries.

By plain HTTP, under the paths of version 3 and the dated ones. What the connector makes of them is tested with the
connector.
"""

from __future__ import annotations

import pytest
from hubspot_account import Stage
from hubspot_http import Api, category

# ---------------------------------------------------------------- limits, rights


def test_trap_memberships_need_the_right_to_read_as_well(stage: Stage, style: str) -> None:
    api = Api(stage, style, scopes=["crm.lists.write"])
    assert api.create_list("a").status_code == 200
    answer = api.ask("PUT", "lists", "/1/memberships/add", [])
    assert category(answer) == (403, "MISSING_SCOPES")
    assert answer.json()["errors"][0]["context"] == {"requiredGranularScopes": ["crm.lists.read"]}


def test_trap_memberships_may_need_the_right_to_write_contacts_as_well(api: Api) -> None:
    """RudderStack's page says so, HubSpot's OpenAPI file does not."""
    api.create_list("a")
    api.hubspot.scopes.remove("crm.objects.contacts.write")
    assert api.ask("PUT", "lists", "/1/memberships/add", []).status_code == 200
    api.hubspot.also_needs["/memberships/"] = "crm.objects.contacts.write"
    answer = api.ask("PUT", "lists", "/1/memberships/add", [])
    assert category(answer) == (403, "MISSING_SCOPES")
    assert answer.json()["errors"][0]["context"] == {"requiredGranularScopes": ["crm.objects.contacts.write"]}


def test_trap_the_day_ends_at_midnight_of_the_account(stage: Stage, style: str) -> None:
    api = Api(stage, style, daily=2, time_zone="Africa/Johannesburg")
    assert api.get("account", "/details")["utcOffsetMilliseconds"] == 7_200_000
    api.get("account", "/details")
    for hours, status in ((0, 429), (12.9, 429), (0.2, 200)):
        api.later(hours=hours)
        answer = api.ask("GET", "account", "/details")
        assert answer.status_code == status
    assert answer.headers["X-HubSpot-RateLimit-Daily"] == "2"
    assert answer.headers["X-HubSpot-RateLimit-Daily-Remaining"] == "1"


def test_trap_a_429_has_no_category(stage: Stage, style: str) -> None:
    api = Api(stage, style, burst=1)
    api.get("account", "/details")
    answer = api.ask("GET", "account", "/details")
    assert category(answer) == (429, "")
    assert (answer.json()["policyName"], answer.headers.get("Retry-After")) == ("TEN_SECONDLY_ROLLING", None)


def test_trap_a_429_may_say_when_to_come_again(stage: Stage, style: str) -> None:
    api = Api(stage, style, burst=1, retry_after=3)
    api.get("account", "/details")
    assert api.ask("GET", "account", "/details").headers["Retry-After"] == "3"


@pytest.mark.parametrize(
    ("tier", "burst", "daily"),
    [
        ("free", 100, 250_000),
        ("starter", 100, 250_000),
        ("professional", 190, 650_000),
        ("enterprise", 190, 1_000_000),
    ],
)
def test_trap_the_tier_says_how_many_calls_there_are(stage: Stage, tier: str, burst: int, daily: int) -> None:
    headers = Api(stage, "v3", tier=tier).ask("GET", "account", "/details").headers
    told = [headers[f"X-HubSpot-RateLimit-{name}"] for name in ("Max", "Remaining", "Daily", "Daily-Remaining")]
    assert told == [str(burst), str(burst - 1), str(daily), str(daily - 1)]


def test_trap_the_usage_of_the_day_comes_from_a_cache(api: Api) -> None:
    def usage() -> dict[str, object]:
        return api.get("account", "/api-usage/daily/private-apps")["results"][0]

    first = usage()
    assert first == {
        "name": "private-apps-api-calls-daily",
        "usageLimit": 1_000_000,
        "currentUsage": 1,
        "collectedAt": "2026-03-01T09:00:00.000Z",
        "resetsAt": "2026-03-02T00:00:00.000Z",
        "fetchStatus": "SUCCESS",
    }
    api.later(minutes=4)
    assert usage() == first | {"fetchStatus": "CACHED"}
    api.later(minutes=1)
    assert usage() == first | {"currentUsage": 3, "collectedAt": "2026-03-01T09:05:00.000Z"}
    api.later(hours=15)
    assert usage()["currentUsage"] == 1, "a new day"


def test_trap_the_time_zone_has_summer_time(stage: Stage, style: str) -> None:
    api = Api(stage, style, time_zone="Europe/Rome")
    told = [api.get("account", "/details")]
    api.later(days=60)
    told.append(api.get("account", "/details"))
    assert [(each["timeZone"], each["utcOffset"]) for each in told] == [
        ("Europe/Rome", "+01:00"),
        ("Europe/Rome", "+02:00"),
    ]


@pytest.mark.parametrize("policy", ["DAILY", "SECONDLY", "TEN_SECONDLY_ROLLING"])
def test_trap_a_429_by_the_weather_is_as_recorded(api: Api, policy: str) -> None:
    api.hubspot.weather.add(kind="rate_limit", code=policy)
    answer = api.ask("GET", "account", "/details")
    assert category(answer) == (429, "")
    assert (answer.json()["policyName"], answer.json()["errorType"]) == (policy, "RATE_LIMIT")
    assert answer.json()["message"] == f"You have reached your {policy.lower()} limit."


@pytest.mark.parametrize(("status", "wait"), [(423, None), (477, 7)])
def test_trap_locked_and_moving_accounts_have_statuses_of_their_own(api: Api, status: int, wait: int | None) -> None:
    api.hubspot.weather.add(kind="fail", status=status, retry_after=wait)
    answer = api.ask("GET", "account", "/details")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, wait and str(wait))
    assert api.ask("GET", "account", "/details").status_code == 200


@pytest.mark.parametrize("status", [502, 504, 521, 522, 523, 524])
def test_trap_the_proxy_answers_with_a_page(api: Api, status: int) -> None:
    api.hubspot.weather.add(kind="fail", status=status)
    answer = api.ask("GET", "account", "/details")
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")


def test_trap_too_long_a_url_is_414(api: Api) -> None:
    names = ",".join(f"a_property_with_a_long_name_{n}" for n in range(300))
    assert api.ask("GET", "contacts", properties=names).status_code == 414
    assert api.batch("read", ["1"], properties=names.split(",")).status_code == 207, "names in the body have room"


def test_trap_an_expired_token_is_told_apart_from_a_wrong_one(api: Api) -> None:
    api.hubspot.weather.add(kind="expire_token")
    assert category(api.ask("GET", "account", "/details")) == (401, "EXPIRED_AUTHENTICATION")
    api.line.headers["Authorization"] = "Bearer wrong"
    assert category(api.ask("GET", "account", "/details")) == (401, "INVALID_AUTHENTICATION")


def test_trap_apps_with_oauth_are_not_told_of_the_day(api: Api) -> None:
    api.hubspot.limits.tells_day = False
    told = {name.lower() for name in api.ask("GET", "account", "/details").headers}
    assert "x-hubspot-ratelimit-remaining" in told
    assert not [name for name in told if "daily" in name]


@pytest.mark.parametrize("kind", ["STANDARD", "SANDBOX", "DEVELOPER_TEST"])
def test_trap_the_account_may_be_one_for_tests(stage: Stage, style: str, kind: str) -> None:
    assert Api(stage, style, account_type=kind).get("account", "/details")["accountType"] == kind
