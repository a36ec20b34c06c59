"""Settings and manifest of the Google Ads connector."""

import json
import subprocess
import sys
import textwrap
import tomllib
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from leadup.errors import LeadupError, NeedsHuman, TryLater
from leadup.registry import load
from leadup.sandbox import Sandbox, Server
from leadup.settings import connect
from leadup_connectors.google_ads import connector
from leadup_connectors.google_ads.client.data_manager import DataManager
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


KEY = {"type": "service_account", "private_key": "very secret", "client_email": "a@b.c", "token_uri": "https://x"}


@pytest.mark.parametrize("text", ["very secret", "[]", '{"private_key": "very secret"}', json.dumps(KEY)])
def test_credentials_that_can_not_be_used_need_a_human_and_are_not_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "key.json").write_text(text)
    table = {"operating_account": "1234567890", "credentials_file": "key.json"}
    found = connect("google_ads", table, str(tmp_path / "leadup.toml")).settings
    assert isinstance(found, GoogleAdsSettings)
    with pytest.raises(NeedsHuman, match="service account's key") as raised:
        DataManager(found).check()
    assert "credentials_file" in raised.value.todo
    for told in (str(raised.value), repr(found), "".join(traceback.format_exception(raised.value))):
        assert "very secret" not in told


class TokenServer(Sandbox):
    """Google's token endpoint, as far as it says no."""

    name = "tokens"

    def routes(self) -> Sequence[BaseRoute]:
        answer = JSONResponse({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        return [Route("/token", lambda _: answer, methods=["POST"])]


@pytest.mark.parametrize(
    ("running", "error", "says"), [(True, NeedsHuman, "RefreshError"), (False, TryLater, "TransportError")]
)
def test_a_key_fetches_a_token_first(*, running: bool, error: type[LeadupError], says: str) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with Server(TokenServer()) as tokens:
        key = {**KEY, "private_key": pem, "token_uri": f"{tokens.url}/token"}
        if not running:
            tokens.stop()
        api = DataManager(settings(credentials=json.dumps(key)))
        with pytest.raises(error, match=says) as raised:
            api.remove_members("1", [])
    told = "".join(traceback.format_exception(raised.value))
    assert not any(line in told for line in pem.splitlines()[1:3])


def test_without_credentials_a_human_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(NeedsHuman, match="application default credentials"):
        DataManager(settings()).check()


def test_the_table_of_the_how_to_is_taken(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "google-ads.md").read_text(encoding="utf-8")
    text = page.split("```toml")[1].split("```")[0]
    (tmp_path / "google-key.json").write_text("{}")
    table = tomllib.loads(textwrap.dedent(text))["connections"]["google_ads"]
    found = connect("google_ads", table, str(tmp_path / "leadup.toml")).settings
    assert isinstance(found, GoogleAdsSettings)
    assert found.terms_accepted
    assert set(found.conversion_actions) == {"demo", "interest"}
