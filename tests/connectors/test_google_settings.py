"""Settings and manifest of the Google Ads connector."""

import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from leadup.errors import NeedsHuman
from leadup.registry import load
from leadup_connectors.google_ads import connector
from leadup_connectors.google_ads.client import DataManager
from leadup_connectors.google_ads.settings import GoogleAdsSettings


def settings(**values: Any) -> GoogleAdsSettings:
    return GoogleAdsSettings(**{"operating_account": "1234567890", **values})


def test_accounts_are_taken_as_google_shows_them() -> None:
    found = settings(operating_account="123-456-7890", login_account=9876543210)
    assert (found.operating_account, found.login_account) == ("1234567890", "9876543210")


def test_an_action_is_an_id_or_an_id_with_a_currency() -> None:
    found = settings(conversion_actions={"demo": 11, "won": {"id": "12", "currency": "EUR"}}).conversion_actions
    assert {name: (action.id, action.currency) for name, action in found.items()} == {
        "demo": ("11", None),
        "won": ("12", "EUR"),
    }


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"operating_account": "12345"}, "operating_account"),
        ({"login_account": "customers/1234567890"}, "login_account"),
        ({"base_url": "http://datamanager.googleapis.com"}, "unencrypted"),
        ({"base_url": "http://127.0.0.1.example.com:80"}, "unencrypted"),
        ({"base_url": "datamanager.googleapis.com"}, "not a base URL"),
        ({"base_url": "https://datamanager.googleapis.com/v1"}, "not a base URL"),
        ({"key": "email"}, "key"),
        ({"membership_days": 541}, "membership_days"),
        ({"batch_members": 10_001}, "batch_members"),
        ({"batch_events": 2_001}, "batch_events"),
        ({"conversion_actions": {"demo": "AW-123/abc"}}, "conversion_actions"),
        ({"conversion_actions": {"demo": {"id": "1", "currency": "euro"}}}, "currency"),
        (
            {"conversion_actions": {"a": {"id": "1", "currency": "EUR"}, "b": {"id": "1", "currency": "USD"}}},
            "another currency",
        ),
        ({"developer_token": "x"}, "developer_token"),
    ],
)
def test_what_can_not_be_meant_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        settings(**values)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:8080/", "http://[::1]:8080"])
def test_the_emulator_is_reached_on_loopback(url: str) -> None:
    assert settings(base_url=url).is_local


def test_google_is_reached_by_https() -> None:
    assert not settings().is_local


def test_the_manifest_loads_no_sdk() -> None:
    program = (
        "import json, sys\n"
        "from leadup.registry import find, load\n"
        "load(find('google_ads').settings)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in json.loads(found.stdout)}
    assert loaded & {"google", "grpc", "proto", "requests"} == set()


def test_every_part_of_the_manifest_is_there() -> None:
    for part in (connector.settings, connector.destination, connector.sandbox):
        assert load(part).__name__.startswith("GoogleAds")


def test_credentials_that_can_not_be_read_need_a_human_and_are_not_shown(tmp_path: Any) -> None:
    key = tmp_path / "key.json"
    key.write_text('{"type": "service_account", "private_key": "very secret"}')
    with pytest.raises(NeedsHuman, match=r"key\.json") as raised:
        DataManager(settings(credentials_file=key)).check()
    assert "very secret" not in str(raised.value)
    assert "credentials_file" in raised.value.todo
