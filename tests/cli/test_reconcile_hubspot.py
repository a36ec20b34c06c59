"""``leadup reconcile hubspot``: what HubSpot's lists hold against what was confirmed, and how that is put right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from installation import SETTINGS, Installation, event

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
segments:
  watched: {when: {did: video}, activate: [hubspot]}
"""
NOW = "2026-03-08T12:00:00Z"
LATER = "2026-03-08T13:00:00Z"
LIST = "leadup: watched"
PEOPLE = ("ada", "bob", "cyd", "dan")


@pytest.fixture
def api() -> str:
    """The version of HubSpot's API; a test may name both."""
    return "v3"


@pytest.fixture
def contacts(site: Installation) -> dict[str, str]:
    """HubSpot's contacts, by first name."""
    return {who: site.hubspot.add_contact(f"{who}@example.com") for who in PEOPLE}


@pytest.fixture
def hub(site: Installation, contacts: dict[str, str], api: str) -> Installation:
    """One whose four people are in the list."""
    site.rules(RULES)
    text = SETTINGS.replace("[connections.hubspot]\n", f'[connections.hubspot]\napi = "{api}"\n')
    (site.folder / "leadup.toml").write_text(text, encoding="utf-8")
    site.drop(event(who, "video_progress", "2026-03-07T12:00:00Z", email=f"{who}@example.com") for who in PEOPLE)
    site.sync(NOW)
    assert site.hubspot.members(LIST) == set(contacts.values())
    return site


def told(site: Installation, *arguments: str) -> dict[str, Any]:
    """What is said of the only audience."""
    done = site.cli("reconcile", "hubspot", "--json", *arguments, now=LATER)
    assert done.exit_code == 0, done.output
    [audience] = json.loads(done.stdout)["audiences"]
    found: dict[str, Any] = audience
    return found


@pytest.mark.parametrize("api", ["v3", "2026-03"])
def test_a_list_that_holds_what_was_confirmed(hub: Installation) -> None:
    audience = told(hub)
    assert audience["counted"] == {"total": 4, "days": None, "note": ""}
    assert audience["holds"]["members"] == audience["holds"]["there"] == 4
    assert not any(audience["holds"][name] for name in ("missing", "moved", "stays", "others", "leaving", "besides"))
    shown = hub.cli("reconcile", "hubspot", now=LATER).output
    assert "there now: 4 members; people: 4 ours" in shown
    assert "--repair" not in shown


@pytest.mark.parametrize("api", ["v3", "2026-03"])
def test_drift_is_listed_and_repaired_on_request(hub: Installation, contacts: dict[str, str]) -> None:
    sandbox = hub.hubspot
    stranger, survivor = sandbox.add_contact("eve@example.com"), sandbox.add_contact("bobby@example.com")
    sandbox.put(LIST, stranger)
    sandbox.take(LIST, contacts["ada"])
    sandbox.merge(survivor, contacts["bob"])
    sandbox.delete_contact(contacts["cyd"])
    before = sandbox.members(LIST)
    audience = told(hub, "--losses")
    holds = audience["holds"]
    assert {name: holds[name] for name in ("members", "there", "missing", "moved", "others")} == {
        "members": 3, "there": 1, "missing": 2, "moved": 1, "others": 1,
    }  # fmt: skip
    assert holds["why_missing"] == {"contact_not_found": 1, "taken_out": 1}
    assert sorted((one["what"], one["code"]) for one in holds["drifts"]) == [
        ("missing", "contact_not_found"),
        ("missing", "taken_out"),
        ("moved", ""),
    ]
    shown = hub.cli("reconcile", "hubspot", "--losses", now=LATER).output
    assert "`leadup reconcile hubspot --repair` puts this right" in shown
    assert "example.com" not in shown + json.dumps(audience)
    assert sandbox.members(LIST) == before

    assert "1 ours, 1 ours by other identifiers, 1 others'" in shown
    repaired = told(hub, "--repair", "--yes")["repaired"]
    assert repaired == {"missing": 2, "moved": 1}
    assert sandbox.members(LIST) == before, "a repair sends nothing by itself"
    hub.sync(LATER)
    assert sandbox.members(LIST) == {contacts["ada"], contacts["dan"], survivor, stranger}
    again = told(hub)["holds"]
    assert (again["there"], again["missing"], again["moved"], again["others"]) == (3, 0, 0, 1)
    ledger = hub.cli("explain", "ada@example.com", now=LATER).output
    assert "reconcile" in ledger


def test_nothing_is_repaired_before_somebody_says_yes(hub: Installation, contacts: dict[str, str]) -> None:
    hub.hubspot.take(LIST, contacts["ada"])
    asked = hub.cli("reconcile", "hubspot", "--repair", now=LATER)
    assert asked.exit_code == 1
    assert "1 confirmed, and not there any more: will be sent again" in asked.output
    assert told(hub)["holds"]["missing"] == 1
    hub.sync(LATER)
    assert contacts["ada"] not in hub.hubspot.members(LIST)


def test_there_may_be_nothing_to_repair(hub: Installation) -> None:
    done = hub.cli("reconcile", "hubspot", "--repair", "--yes", now=LATER)
    assert (done.exit_code, "There is nothing to repair." in done.output) == (0, True)


def test_beside_a_daemon_a_repair_is_sent_by_it(hub: Installation, contacts: dict[str, str]) -> None:
    with hub.daemon() as daemon:
        hub.hubspot.take(LIST, contacts["ada"])
        done = hub.run("reconcile", "hubspot", "--repair", "--yes")
        assert "repaired: 1 missing" in done.stdout
        assert "The daemon sends it." in done.stderr
        daemon.wait_for(lambda: contacts["ada"] in hub.hubspot.members(LIST), "she is back")
    assert hub.hubspot.members(LIST) == set(contacts.values())


def test_a_list_that_is_gone_leaves_the_rest_of_the_account(hub: Installation) -> None:
    hub.hubspot.delete_list(LIST)
    audience = told(hub)
    assert audience["stages"]["processed"] == 4
    assert audience["counted"]["total"] is None
    assert "is gone; somebody deleted it" in audience["counted"]["note"]
    assert "holds" not in audience
    assert told(hub, "--repair", "--yes")["stages"]["processed"] == 4


def test_offline_nobody_is_asked(hub: Installation) -> None:
    calls = len(hub.hubspot.weather.log)
    audience = told(hub, "--offline")
    assert "holds" not in audience
    assert len(hub.hubspot.weather.log) == calls
    done = hub.cli("reconcile", "hubspot", "--offline", "--repair", now=LATER)
    assert (done.exit_code, "leave out --offline" in done.output) == (2, True)
