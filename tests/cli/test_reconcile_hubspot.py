"""``leadup reconcile hubspot``: what HubSpot holds against what was confirmed, and how that is put right."""

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


# ---------------------------------------------------------------- values of properties

PROPERTIES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
scores:
  intent: {half_life: 365d, points: {video: 40}, tiers: {warm: 20, hot: 60}}
segments:
  watched: {when: {did: video, within: 30d}}
  lately: {when: {did: video, within: 7d}}
properties:
  leadup_score: {score: intent, activate: [hubspot]}
  leadup_tier: {tier: intent, activate: [hubspot]}
  leadup_segments: {segments: [watched, lately], activate: [hubspot]}
  leadup_last_at: {last_at: [video], activate: [hubspot]}
"""


@pytest.fixture
def crm(site: Installation, contacts: dict[str, str], api: str) -> Installation:
    """One whose four people have been told of in properties."""
    site.rules(PROPERTIES)
    text = SETTINGS.replace("[connections.hubspot]\n", f'[connections.hubspot]\napi = "{api}"\n')
    (site.folder / "leadup.toml").write_text(text, encoding="utf-8")
    site.drop(event(who, "video_progress", "2026-03-07T12:00:00Z", email=f"{who}@example.com") for who in PEOPLE)
    site.sync(NOW)
    assert site.hubspot.contact(contacts["ada"])["leadup_tier"] == "warm"
    return site


def values(site: Installation, *arguments: str) -> dict[str, dict[str, Any]]:
    """What is said of the properties, by name."""
    done = site.cli("reconcile", "hubspot", "--json", *arguments, now=LATER)
    assert done.exit_code == 0, done.output
    return {one["target"].rpartition("/")[2]: one for one in json.loads(done.stdout)["properties"]}


@pytest.mark.parametrize("api", ["v3", "2026-03"])
def test_values_that_drifted_are_listed_and_written_again_on_request(
    crm: Installation, contacts: dict[str, str]
) -> None:
    sandbox = crm.hubspot
    sandbox.set_property(contacts["ada"], leadup_tier="vip", leadup_score="39.0", firstname="Ada")
    sandbox.set_property(contacts["ada"], leadup_segments="lately;watched", leadup_last_at="1772884800000")
    survivor = sandbox.add_contact("bobby@example.com", leadup_tier="cold, said bob@example.com")
    sandbox.merge(survivor, contacts["bob"])
    sandbox.delete_contact(contacts["cyd"])
    calls = len(sandbox.weather.log)
    found = values(crm, "--losses")
    assert len([one for one in sandbox.weather.log[calls:] if "/batch/read" in one.path]) == 1, "one for a hundred"
    held = {name: one["holds"] for name, one in found.items()}
    assert {name: (one["records"], one["there"], one["changed"], one["missing"]) for name, one in held.items()} == {
        "leadup_score": (3, 3, 0, 1),
        "leadup_tier": (3, 1, 2, 1),
        "leadup_segments": (3, 3, 0, 1),
        "leadup_last_at": (3, 3, 0, 1),
    }
    assert held["leadup_tier"]["why_missing"] == {"contact_not_found": 1}
    listed = sorted((one["what"], one["code"], one["wrote"], *one["there"]) for one in held["leadup_tier"]["drifts"])
    assert listed == [
        ("changed", "", "warm", "cold, said <e-mail>"),
        ("changed", "", "warm", "vip"),
        ("missing", "contact_not_found", "warm"),
    ]
    shown = crm.cli("reconcile", "hubspot", "--property", "leadup_tier", "--losses", now=LATER).output
    assert "there now: 3 records; values: 1 as written" in shown
    assert "`leadup reconcile hubspot --repair` puts this right" in shown
    assert ("leadup_score" in shown, "example.com" in shown + json.dumps(found)) == (False, False)

    repaired = values(crm, "--property", "leadup_tier", "--repair", "--yes")["leadup_tier"]["repaired"]
    assert repaired == {"changed": 2, "missing": 1}
    counts = values(crm, "--offline")["leadup_tier"]
    assert (counts["wanted"], counts["stands"], counts["under_way"]) == (4, 1, 3)
    assert sandbox.contact(contacts["ada"])["leadup_tier"] == "vip", "a repair sends nothing by itself"
    crm.sync(LATER)
    known = [sandbox.contact(one) for one in (contacts["ada"], survivor, contacts["dan"])]
    assert [one["leadup_tier"] for one in known] == ["warm"] * 3
    assert (known[0]["leadup_score"], known[0]["firstname"]) == ("39.0", "Ada"), "what is right is not written again"
    again = values(crm)
    assert (again["leadup_tier"]["holds"]["there"], again["leadup_tier"]["holds"]["under_way"]) == (3, 1)
    assert "reconcile changed" in crm.cli("explain", "ada@example.com", now=LATER).output


def test_a_property_that_is_gone_is_made_again_with_all_its_values(crm: Installation, contacts: dict[str, str]) -> None:
    crm.hubspot.delete_property("leadup_tier")
    assert values(crm)["leadup_tier"]["holds"]["changed"] == 4
    values(crm, "--repair", "--yes")
    crm.sync(LATER)
    assert {crm.hubspot.contact(one)["leadup_tier"] for one in contacts.values()} == {"warm"}


def test_what_can_not_be_read_is_said_and_nothing_else_is_lost(crm: Installation) -> None:
    crm.hubspot.weather.add(kind="fail", status=403, path="/batch/read", times=-1)
    found = values(crm, "--repair", "--yes")
    assert {one["stands"] for one in found.values()} == {4}
    assert not any("holds" in one for one in found.values())
    assert "lacks a right" in found["leadup_tier"]["note"]
    assert "lacks a right" in crm.cli("reconcile", "hubspot", now=LATER).output
    done = crm.cli("reconcile", "hubspot", "--property", "leadup_teir", now=LATER)
    assert (done.exit_code, "No property 'leadup_teir' is sent to hubspot." in done.output) == (1, True)
