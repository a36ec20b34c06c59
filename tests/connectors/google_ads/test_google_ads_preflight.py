"""What the account says of itself becomes findings, each with what to do; by the SDK, over TLS."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from google_ads_scenes import ads_destination, ads_settings
from google_scenes import ACCOUNT, AT, convert

from leadup.outgoing import Finding, Grade, RemoteTarget
from leadup_connectors.google_ads.ads import connect
from leadup_connectors.google_ads.ads.preflight import Day, counted, findings
from leadup_connectors.google_ads.ads.version import SUNSET, WARN_BEFORE, sunset_warning
from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox
from leadup_connectors.google_ads.sandbox.account import Action

TODAY = date(2026, 11, 1)


@pytest.fixture
def sandbox(sandbox: GoogleAdsSandbox) -> GoogleAdsSandbox:
    sandbox.account.any_action = False
    sandbox.account.add_action(Action(id="7", name="Demo", owner=ACCOUNT))
    sandbox.account.allow_listed = True
    return sandbox


def look(sandbox: GoogleAdsSandbox, today: date = TODAY, **settings: Any) -> dict[str, Finding]:
    chosen = ads_settings(sandbox, **{"conversion_actions": {"demo": "7"}, **settings})
    found = findings("google_ads", chosen, connect("google_ads", chosen), today)
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def test_a_sound_account_is_sound(sandbox: GoogleAdsSandbox) -> None:
    found = look(sandbox)
    assert {name: one.grade for name, one in found.items()} == dict.fromkeys(
        ("api_version", "owner", "data_terms", "enhanced_conversions", "action demo"), Grade.OK
    )
    assert not any(one.todo for one in found.values())
    assert found["action demo"].text == "Demo (7) takes conversions; it is bid for"


@pytest.mark.parametrize(
    ("account", "name", "todo"),
    [
        ({"conversion_customer": "1112223334"}, "owner", "operating_account = '1112223334'"),
        ({"data_terms": False}, "data_terms", "accept them"),
        ({"enhanced_conversions": False}, "enhanced_conversions", "turn them on"),
        ({"actions": {}}, "action demo", "leadup google-ads actions"),
        ({"actions": {"7": "WEBPAGE"}}, "action demo", "Import > from clicks"),
        ({"actions": {"7": {"status": "HIDDEN"}}}, "action demo", "enable it"),
        ({"actions": {"7": {"owner": "1112223334"}}}, "action demo", f"name an action of {ACCOUNT}"),
        ({"actions": {"7": {"always_default": True}}}, "action demo", "use different values"),
    ],
)
def test_what_keeps_conversions_out_is_a_problem(
    sandbox: GoogleAdsSandbox, account: dict[str, Any], name: str, todo: str
) -> None:
    sandbox.seed(account)
    found = look(sandbox)
    assert found[name].grade is Grade.PROBLEM
    assert todo in found[name].todo
    assert all(one.grade is Grade.OK for one in found.values() if one.name != name)


def test_without_user_data_its_terms_are_no_problem(sandbox: GoogleAdsSandbox) -> None:
    sandbox.seed({"data_terms": False})
    assert look(sandbox, user_data_with_conversions=False)["data_terms"].grade is Grade.OK


def test_counting_once_a_click_costs_braids(sandbox: GoogleAdsSandbox) -> None:
    sandbox.seed({"actions": {"7": {"counting": "ONE_PER_CLICK"}}})
    found = look(sandbox)["action demo"]
    assert found.grade is Grade.WARNING
    assert "gbraid" in found.text


def test_one_that_will_be_made_is_no_problem(sandbox: GoogleAdsSandbox) -> None:
    assert look(sandbox, conversion_actions={"new": {"create": True}})["action new"].grade is Grade.OK


def test_uploads_are_counted_by_action_and_day(sandbox: GoogleAdsSandbox) -> None:
    sandbox.set_clock(AT + timedelta(hours=1))
    destination = ads_destination(sandbox, conversion_actions={"demo": "7"}, upload_by="google_ads")
    late = convert(2, at=AT - timedelta(days=100))
    destination.deliver(RemoteTarget(id="7", name="demo"), [convert(1), late, convert(3)])
    found = look(sandbox)["uploads"]
    assert found.grade is Grade.WARNING
    assert "2 of 3 taken" in found.text
    assert "EXPIRED_EVENT (33%)" in found.text
    api = connect("google_ads", ads_settings(sandbox))
    assert counted(api) == [Day(action="7", day=AT.date(), taken=2, failed=1, pending=0)]


def test_the_end_of_the_version_is_told_sixty_days_before(sandbox: GoogleAdsSandbox) -> None:
    assert sunset_warning(SUNSET - WARN_BEFORE - timedelta(days=1)) == ""
    assert f"ends about {SUNSET}" in sunset_warning(SUNSET - WARN_BEFORE)
    assert "may have ended" in sunset_warning(SUNSET)
    found = look(sandbox, today=SUNSET - WARN_BEFORE)["api_version"]
    assert (found.grade, found.todo) == (Grade.WARNING, "pip install --upgrade 'leadup[google-ads]'")
