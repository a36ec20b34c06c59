"""``leadup doctor``: each thing that can be wrong has a finding of its own, which says what to do."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from installation import SETTINGS, WATCHED, Installation, event
from leadup_connectors.google_ads.sandbox import Action

AT = datetime.now(UTC).replace(microsecond=0)
"""The emulator answers with the machine's time, so that these run in the present."""
Findings = Mapping[str, Mapping[str, Any]]


@pytest.fixture
def running(site: Installation) -> Installation:
    """One that has sent a member and a conversion."""
    moment = f"{AT - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    events = (event(name, name, moment, email="ada@example.com") for name in ("video_progress", "generate_lead"))
    site.drop(events)
    site.sync(AT)
    site.google.settle()
    return site


def doctor(site: Installation, *arguments: str, now: str | None = None) -> tuple[int, Findings]:
    """The exit code, and the findings by name."""
    done = site.cli("doctor", *arguments, "--json", now=now)
    told = json.loads(done.stdout)
    assert done.exit_code == (1 if told["problems"] else 0)
    assert told["problems"] == sum(one["grade"] == "problem" for one in told["findings"])
    for one in told["findings"]:
        assert one["text"]
        assert one["todo"] or one["grade"] in ("ok", "unknown"), f"says what to do: {one}"
    names = [one["name"].removeprefix("google_ads: ") for one in told["findings"]]
    return done.exit_code, dict(zip(names, told["findings"], strict=True))


def with_settings(site: Installation, more: str) -> None:
    """Write settings into the connection to Google, which comes last in the file."""
    (site.folder / "leadup.toml").write_text(SETTINGS + more, encoding="utf-8")


# ---------------------------------------------------------------- the installation


def test_all_is_well_but_that_no_daemon_runs(running: Installation) -> None:
    code, found = doctor(running)
    grades = {name: one["grade"] for name, one in found.items() if one["grade"] != "ok"}
    assert grades.pop("disk", "warning") == "warning", "this machine's own"
    assert grades == {"daemon": "warning", "list watched": "warning", "google_ads_api": "unknown"}
    assert code == 0
    assert {"state_folder", "state", "clock", "rules", "site: reading", "site: check", "hubspot: token"} <= set(found)


def test_it_reads_as_a_list_with_what_to_do(site: Installation) -> None:
    site.google.weather.add(kind="fail", status=403, times=-1)
    done = site.cli("doctor", "google_ads")
    assert done.exit_code == 1
    assert "problem  google_ads: access  look at the account: Google answered 403" in done.output
    assert "What to do: give the credentials' account access to operating_account" in done.output
    assert "hubspot" not in done.output


def test_a_connection_is_named_by_name_or_type(site: Installation) -> None:
    done = site.cli("doctor", "googel_ads")
    assert done.exit_code == 4
    assert "There is no connection 'googel_ads'; did you mean \"google_ads\"?" in done.output


def test_a_clock_that_was_set_back(running: Installation) -> None:
    before = f"{AT - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    _, found = doctor(running, "site", now=before)
    assert found["clock"]["grade"] == "problem"
    assert "--accept clock" in found["clock"]["todo"]


def test_rules_that_do_not_load(running: Installation) -> None:
    running.rules(WATCHED.replace("did: video", "did: vidoe"))
    code, found = doctor(running, "site")
    assert (code, found["rules"]["grade"]) == (1, "problem")
    assert "rules.yaml:7:" in found["rules"]["text"]


def test_a_state_that_a_newer_version_wrote(running: Installation) -> None:
    with sqlite3.connect(running.folder / ".leadup" / "state.db") as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    connection.close()
    code, found = doctor(running, "site")
    assert (code, found["state"]["grade"]) == (1, "problem")
    assert found["state"]["todo"] == "pip install --upgrade leadup"


def test_a_state_folder_that_is_a_file(site: Installation) -> None:
    (site.folder / ".leadup").write_text("not a folder", encoding="utf-8")
    code, found = doctor(site, "site")
    assert (code, found["state_folder"]["grade"], found["state"]["grade"]) == (1, "problem", "problem")


def test_what_a_target_failed_with_last(site: Installation) -> None:
    site.drop([event("e1", "video_progress", f"{AT:%Y-%m-%dT%H:%M:%SZ}", email="ada@example.com")])
    site.google.weather.add(kind="fail", status=403, times=-1)
    site.sync(AT)
    site.google.weather.faults.clear()
    _, found = doctor(site, "site")
    assert found["google_ads/audience/watched"]["grade"] == "problem"
    assert "operating_account" in found["google_ads/audience/watched"]["todo"]


# ---------------------------------------------------------------- Google: credentials, accounts, clock, quota


@pytest.mark.parametrize(
    ("fault", "name", "todo"),
    [
        ({"kind": "expire_token"}, "credentials", "check credentials_file"),
        ({"status": 401}, "credentials", "check credentials_file"),
        ({"status": 403, "code": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}, "scope", "auth/datamanager"),
        ({"status": 403, "code": "SERVICE_DISABLED"}, "api_enabled", "enable the Data Manager API"),
        ({"status": 403}, "access", "operating_account"),
        ({"status": 404}, "access", "base_url"),
        ({"status": 400, "code": "INVALID_DESTINATION"}, "access", "check operating_account and login_account"),
        (
            {"status": 400, "code": "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH"},
            "access",
            "check login_account",
        ),
    ],
)
def test_what_google_says_of_access_is_named(site: Installation, fault: dict[str, Any], name: str, todo: str) -> None:
    site.google.weather.add(**{"kind": "fail", "times": -1, "path": "userLists", **fault})
    code, found = doctor(site, "google_ads")
    assert (code, found[name]["grade"]) == (1, "problem")
    assert todo in found[name]["todo"]
    assert found["targets"]["grade"] == "unknown", "what hangs on access is not asked"


def test_an_account_that_is_reached_by_a_manager_only(site: Installation) -> None:
    site.google.seed({"manager": "9999999999"})
    _, found = doctor(site, "google_ads")
    assert found["access"]["grade"] == "problem"
    assert "set login_account" in found["access"]["todo"]
    with_settings(site, 'login_account = "999-999-9999"\n')
    _, found = doctor(site, "google_ads")
    assert found["access"]["grade"] == "ok"
    assert "by way of manager account 9999999999" in found["accounts"]["text"]


def test_a_quota_that_is_used_up_is_no_problem_of_access(running: Installation) -> None:
    running.google.weather.add(kind="rate_limit", times=-1, path="userLists")
    code, found = doctor(running, "google_ads")
    assert (code, found["quota"]["grade"], found["requests"]["grade"]) == (0, "warning", "warning")
    assert found["requests"]["text"].startswith("2 batches were taken in 24 hours")


@pytest.mark.parametrize(
    ("off", "grade", "way"),
    [
        (timedelta(minutes=3), "warning", "ahead of"),
        (timedelta(hours=-2), "problem", "behind"),
    ],
)
def test_a_clock_that_is_off(site: Installation, off: timedelta, grade: str, way: str) -> None:
    _, found = doctor(site, "google_ads", now=f"{datetime.now(UTC) + off:%Y-%m-%dT%H:%M:%SZ}")
    assert found["clock"]["grade"] == "ok", "the installation's own: nobody was judged later"
    assert found["clock_there"]["grade"] == grade
    assert f"{way} Google's" in found["clock_there"]["text"]


def test_without_a_network_it_says_what_it_could_not_ask(site: Installation) -> None:
    site.environment["LEADUP_GOOGLE_ADS_BASE_URL"] = "http://127.0.0.1:9"
    code, found = doctor(site, "google_ads")
    assert (code, found["network"]["grade"], found["clock_there"]["grade"]) == (1, "problem", "unknown")
    assert "nothing is lost" in found["network"]["text"]


# ---------------------------------------------------------------- Google: terms, conversion actions, lists


@pytest.mark.parametrize(
    ("seed", "name", "todo"),
    [
        ({"actions": {"7001": "WEBPAGE"}}, "reporting demo", "Import > from clicks"),
        ({"data_terms": False}, "data_terms", "customer data terms"),
        ({"enhanced_conversions": False}, "enhanced_conversions", "turn on enhanced conversions for leads"),
        ({"eu_political_declared": False}, "eu_political_ads", "political"),
    ],
)
def test_what_keeps_conversions_out_is_named(running: Installation, seed: dict[str, Any], name: str, todo: str) -> None:
    before = running.google.conversions("7001")
    running.google.seed(seed)
    code, found = doctor(running, "google_ads")
    assert (code, found[name]["grade"]) == (1, "problem")
    assert todo in found[name]["todo"]
    running.google.settle()
    assert running.google.conversions("7001") == before, "what is tried is not kept"


def test_an_action_of_another_account(running: Installation) -> None:
    running.google.account.actions["7001"] = Action(id="7001", owner="5555555555")
    _, found = doctor(running, "google_ads")
    assert found["reporting demo"]["grade"] == "problem"
    assert "owned by operating_account" in found["reporting demo"]["todo"]


def test_a_conversion_without_an_action(running: Installation) -> None:
    text = SETTINGS.replace('demo = "7001", ', "")
    (running.folder / "leadup.toml").write_text(text, encoding="utf-8")
    _, found = doctor(running, "google_ads")
    assert found["reporting demo"]["grade"] == "problem"


def test_terms_that_are_not_accepted(running: Installation) -> None:
    text = SETTINGS.replace("terms_accepted = true\n", "")
    (running.folder / "leadup.toml").write_text(text, encoding="utf-8")
    _, found = doctor(running, "google_ads")
    assert found["terms"]["grade"] == "problem"
    assert "terms_accepted = true" in found["terms"]["todo"]


def test_a_list_that_is_gone_or_closed(running: Installation) -> None:
    _, found = doctor(running, "google_ads")
    assert found["list watched"]["grade"] in ("ok", "warning")
    [one] = running.google.account.lists.values()
    one.message.membership_status = 2
    _, found = doctor(running, "google_ads")
    assert found["list watched"]["text"] == "is closed, and takes no members"
    running.google.account.lists.clear()
    _, found = doctor(running, "google_ads")
    assert "was removed there" in found["list watched"]["text"]


def test_the_google_ads_api_tells_what_only_it_can(running: Installation) -> None:
    doors = running.google.doors()
    more = f'ads_url = "https://{doors["grpc_tls"]}"\nads_roots = "{doors["roots"]}"\n'
    with_settings(running, more)
    _, found = doctor(running, "google_ads")
    assert "google_ads_api" not in found
    told = {name: found[name]["grade"] for name in ("owner", "data_terms", "enhanced_conversions", "action demo")}
    assert set(told.values()) == {"ok"}
    running.google.seed({"actions": {"7001": "WEBPAGE"}, "conversion_customer": "5555555555"})
    _, found = doctor(running, "google_ads")
    assert (found["owner"]["grade"], found["action demo"]["grade"]) == ("problem", "problem")
    assert "its type is WEBPAGE" in found["action demo"]["text"]


def test_no_finding_tells_of_a_person_or_a_secret(running: Installation) -> None:
    told = running.cli("doctor", "--json").stdout
    assert "ada@example.com" not in told
    assert "pat-test" not in told
