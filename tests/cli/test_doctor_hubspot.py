"""``leadup doctor hubspot``: token, account, scopes, lists and properties, each with a finding of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from installation import SETTINGS, Installation, event

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
scores:
  intent: {points: {video: 10}, half_life: 7d}
segments:
  watched: {when: {did: video, within: 30d}, activate: [hubspot]}
properties:
  leadup_score: {score: intent, activate: [hubspot]}
"""
NOW = "2026-03-08T12:00:00Z"
LIST = "leadup: watched"
BOTH = pytest.mark.parametrize("api", ["v3", "2026-03"])
Findings = Mapping[str, Mapping[str, Any]]


@pytest.fixture
def api() -> str:
    """The version of HubSpot's API; a test may name both."""
    return "v3"


@pytest.fixture
def hub(site: Installation, api: str) -> Installation:
    """One that sends to HubSpot."""
    site.rules(RULES)
    with_settings(site, f'api = "{api}"')
    return site


@pytest.fixture
def running(hub: Installation) -> Installation:
    """One that has sent a member and a score."""
    hub.hubspot.add_contact("ada@example.com")
    hub.drop([event("e1", "video_progress", "2026-03-08T11:00:00Z", email="ada@example.com")])
    hub.sync(NOW)
    assert len(hub.hubspot.members(LIST)) == 1
    return hub


def live(site: Installation) -> None:
    """Let the rules judge, and send nothing yet."""
    app = site.app()
    app.go_live(app.rules, datetime(2026, 3, 8, tzinfo=UTC))
    app.store.close()


def with_settings(site: Installation, more: str) -> None:
    """Write settings into the connection to HubSpot."""
    text = SETTINGS.replace("[connections.hubspot]\n", f"[connections.hubspot]\n{more}\n")
    (site.folder / "leadup.toml").write_text(text, encoding="utf-8")


def doctor(site: Installation, now: str = NOW) -> tuple[int, Findings]:
    """The exit code, and the findings about HubSpot by name."""
    done = site.cli("doctor", "hubspot", "--json", now=now)
    told = json.loads(done.stdout)
    for one in told["findings"]:
        assert one["text"]
        assert one["todo"] or one["grade"] in ("ok", "unknown"), f"says what to do: {one}"
    here = [one for one in told["findings"] if one["name"].startswith("hubspot: ")]
    return done.exit_code, {one["name"].removeprefix("hubspot: "): one for one in here}


def grades(found: Findings) -> dict[str, str]:
    return {name: one["grade"] for name, one in found.items() if one["grade"] != "ok"}


@BOTH
def test_all_is_well(running: Installation) -> None:
    before = running.hubspot.state()
    code, found = doctor(running)
    assert (code, grades(found)) == (0, {})
    assert {"token", "account", "api_version", "match email", "list watched", "property leadup_score"} <= found.keys()
    assert {name for name in found if name.startswith("scope ")} == {
        f"scope crm.{scope}"
        for scope in (
            "lists.read",
            "lists.write",
            "objects.contacts.read",
            "objects.contacts.write",
            "schemas.contacts.write",
        )
    }
    assert found["account"]["text"] == "account 4815162; time zone UTC, currency EUR"
    assert found["account"]["todo"].startswith("set portal_id = 4815162")
    assert found["list watched"]["text"] == f"'{LIST}' (id 1, 1 members, folder leadup) takes members"
    assert found["folder"]["text"] == "'leadup' is there, with 1 of our 1 lists"
    assert running.hubspot.state() == before, "it changes nothing"


def test_before_the_first_sync_it_says_what_will_be_made(hub: Installation) -> None:
    live(hub)
    _, found = doctor(hub)
    assert found["list watched"]["text"] == f"'{LIST}' is made with the first member"
    assert found["property leadup_score"]["text"] == "is made with the first value"
    assert found["folder"]["text"] == "'leadup' is made with the next list"
    hub.hubspot.add_list(LIST)
    _, found = doctor(hub)
    assert (
        found["list watched"]["text"]
        == f"'{LIST}' (id 1, 0 members, kind MANUAL, used in 0 places) is there, and taken as it is"
    )
    hub.hubspot.put(LIST, hub.hubspot.add_contact("eve@example.com"))
    _, found = doctor(hub)
    assert found["list watched"]["grade"] == "warning"
    assert "leadup sync hubspot/audience/watched --accept adopt" in found["list watched"]["todo"]


def test_rules_that_are_not_in_use_yet_are_looked_at_too(hub: Installation) -> None:
    hub.hubspot.scopes.discard("crm.lists.write")
    _, found = doctor(hub)
    assert found["scope crm.lists.write"]["grade"] == "problem"
    assert found["property leadup_score"]["text"] == "is made with the first value"


def test_a_list_told_by_its_id_for_no_audience_is_a_warning(running: Installation) -> None:
    with_settings(running, 'lists = {watchd = "1"}')
    _, found = doctor(running)
    assert grades(found) == {"lists": "warning"}
    assert "lists names watchd" in found["lists"]["text"]
    assert "watched" in found["lists"]["todo"]


def test_an_active_list_told_by_its_id_is_changed_in_the_settings(hub: Installation) -> None:
    chosen = hub.hubspot.add_list("Active", "DYNAMIC")
    with_settings(hub, f'lists = {{watched = "{chosen}"}}')
    _, found = doctor(hub)
    assert "name another list in lists.watched of connection 'hubspot'" in found["list watched"]["todo"]


def test_a_token_that_is_not_valid(running: Installation) -> None:
    running.hubspot.token = "another"
    code, found = doctor(running)
    assert (code, grades(found)) == (1, {"token": "problem", "targets": "unknown"})
    assert "LEADUP_HUBSPOT_ACCESS_TOKEN" in found["token"]["todo"]


def test_limits_are_told_as_hubspot_tells_them(running: Installation) -> None:
    running.environment["LEADUP_HUBSPOT_ACCESS_TOKEN"] = "pat-spent"  # what is left is known by token in a process
    text = doctor(running)[1]["limits"]["text"]
    assert text.startswith("100000 calls in 10 s; 999,9")
    assert text.endswith(" of 1,000,000 calls are left today (as Enterprise has them), until midnight in UTC")
    running.hubspot.limits.used = 1_000_000 - 30
    _, found = doctor(running)
    assert found["limits"]["grade"] == "warning"
    assert "leadup leaves the last 10% to other apps" in found["limits"]["text"]
    running.hubspot.limits.used = 1_000_000
    code, found = doctor(running)
    assert (code, grades(found)) == (0, {"limits": "warning", "targets": "unknown"})


def test_the_account_of_somebody_else(running: Installation) -> None:
    with_settings(running, "portal_id = 99")
    code, found = doctor(running)
    assert (code, found["account"]["grade"]) == (1, "problem")
    assert "use a token of account 99" in found["account"]["todo"]


@BOTH
def test_each_missing_scope_is_named(running: Installation) -> None:
    graded = {
        "crm.lists.read": "problem",
        "crm.lists.write": "problem",
        "crm.objects.contacts.read": "problem",
        "crm.objects.contacts.write": "problem",
        "crm.schemas.contacts.write": "warning",
    }
    for scope, grade in graded.items():
        running.hubspot.scopes.discard(scope)
        code, found = doctor(running)
        running.hubspot.scopes.add(scope)
        assert grades(found) == {f"scope {scope}": grade}
        assert code == (grade == "problem")
        assert scope in found[f"scope {scope}"]["todo"]


def test_what_is_read_is_looked_at_too(running: Installation) -> None:
    with_settings(running, 'read = ["contacts", "forms", "deals"]\ntraits = ["industry"]')
    running.hubspot.add_property("industry")
    code, found = doctor(running)
    assert (code, grades(found)) == (0, {})
    assert found["reading"]["text"] == "contacts, forms, deals can be read"
    assert {"scope crm.objects.deals.read", "scope forms"} <= found.keys()
    running.hubspot.scopes.discard("crm.objects.deals.read")
    _, found = doctor(running)
    assert grades(found) == {"scope crm.objects.deals.read": "problem", "reading": "problem"}
    assert found["scope crm.objects.deals.read"]["text"] == "missing: deals are not read"
    running.hubspot.scopes.add("crm.objects.deals.read")
    running.hubspot.delete_property("industry")
    _, found = doctor(running)
    assert grades(found) == {"reading": "problem"}
    assert "industry" in found["reading"]["text"] + found["reading"]["todo"]


def test_forms_that_do_not_tell_the_browser_are_named(running: Installation) -> None:
    with_settings(running, 'read = ["forms"]')
    assert doctor(running)[1]["forms"]["text"] == "there is none to be read"
    running.hubspot.add_form("Ask for a demo", fields=["email"])
    poll = running.hubspot.add_form("#poll", "captured")
    code, found = doctor(running)
    assert (code, grades(found)) == (0, {})
    assert found["forms"]["text"].startswith("none of 2 tells the browser")
    assert "identifiers" in found["forms"]["todo"]
    with_settings(running, 'read = ["forms"]\nidentifiers = {client_id = "ga_client_id"}')
    told = doctor(running)[1]["forms"]
    assert (told["grade"], "Ask for a demo have no field ga_client_id" in told["text"]) == ("warning", True)
    with_settings(running, f'read = ["forms"]\nforms = ["{poll}"]\nidentifiers = {{client_id = "ga_client_id"}}')
    running.hubspot.submit_form(poll, {"email": "ada@example.com"})
    told = doctor(running)[1]["forms"]
    assert told["grade"] == "warning"
    assert told["text"] == "of the forms #poll nothing that was sent last has ga_client_id filled"
    running.hubspot.submit_form(poll, {"email": "ada@example.com", "ga_client_id": "1.2"})
    assert doctor(running)[1]["forms"]["text"] == "1 are read, and tell the browser by ga_client_id"


@BOTH
def test_conversions_are_looked_at_as_events(hub: Installation) -> None:
    hub.rules(f"{RULES}conversions:\n  watched: {{on: video, activate: [hubspot]}}\n")
    live(hub)
    assert doctor(hub)[1]["event watched"]["text"] == "is defined with the first conversion"
    hub.hubspot.add_contact("ada@example.com")
    hub.drop([event("e1", "video_progress", "2026-03-08T11:00:00Z", email="ada@example.com")])
    hub.sync(NOW)
    code, found = doctor(hub)
    assert (code, grades(found)) == (0, {})
    assert found["event watched"]["text"] == "is defined as pe4815162_watched"


def test_contacts_are_created_with_a_right_to_write(running: Installation) -> None:
    with_settings(running, "create_missing = true")
    running.hubspot.scopes.discard("crm.objects.contacts.write")
    _, found = doctor(running)
    assert "no contact is created" in found["scope crm.objects.contacts.write"]["text"]


def test_a_property_that_can_not_be_made(hub: Installation) -> None:
    live(hub)
    hub.hubspot.scopes.discard("crm.schemas.contacts.write")
    code, found = doctor(hub)
    assert (code, found["property leadup_score"]["grade"]) == (1, "problem")
    assert "crm.schemas.contacts.write" in found["property leadup_score"]["todo"]


def test_a_property_that_somebody_deleted(running: Installation) -> None:
    running.hubspot.delete_property("leadup_score")
    _, found = doctor(running)
    assert found["property leadup_score"]["grade"] == "warning"
    assert "`leadup reconcile hubspot --repair` makes it" in found["property leadup_score"]["todo"]


def test_a_property_of_another_type(hub: Installation) -> None:
    hub.hubspot.add_property("leadup_score", "date")
    live(hub)
    _, found = doctor(hub)
    assert found["property leadup_score"]["text"] == "is of type date; the rules write numbers to it"


@pytest.mark.parametrize(("unique", "text"), [(None, "there is no such"), (False, "several contacts may share")])
def test_a_property_to_match_on_that_is_not_unique(running: Installation, unique: bool | None, text: str) -> None:
    with_settings(running, 'match = "external_id"')
    if unique is not None:
        running.hubspot.add_property("external_id", unique=unique)
    code, found = doctor(running)
    assert (code, found["match external_id"]["grade"]) == (1, "problem")
    assert text in found["match external_id"]["text"]


def test_a_list_that_somebody_deleted(running: Installation) -> None:
    running.hubspot.delete_list(LIST)
    code, found = doctor(running)
    assert (code, found["list watched"]["grade"]) == (1, "problem")
    assert "for 90 days" in found["list watched"]["todo"]
    assert "--accept recreate" in found["list watched"]["todo"]


def test_a_list_that_people_renamed_and_use(running: Installation) -> None:
    running.hubspot.rename_list(LIST, "Watched (sales)")
    code, found = doctor(running)
    assert (code, found["list watched"]["grade"]) == (0, "ok")
    assert found["list watched"]["text"].startswith("'Watched (sales)' (id 1, 1 members")
    assert f"somebody renamed it from '{LIST}'" in found["list watched"]["text"]


def test_a_list_that_picks_its_own_members(hub: Installation) -> None:
    hub.hubspot.add_list(LIST, "DYNAMIC")
    live(hub)
    _, found = doctor(hub)
    assert found["list watched"]["grade"] == "problem"
    assert "HubSpot picks its members by filters" in found["list watched"]["text"]


def test_a_list_that_another_audience_is_kept_in(running: Installation) -> None:
    running.hubspot.rename_list(LIST, "leadup: seen")
    running.rules(
        RULES.replace("properties:", "  seen: {when: {did: video, within: 60d}, activate: [hubspot]}\nproperties:")
    )
    live(running)
    code, found = doctor(running)
    assert (code, found["list seen"]["grade"], found["list watched"]["grade"]) == (1, "problem", "ok")
    assert "the audience 'watched' is kept in it" in found["list seen"]["text"]


def test_a_list_of_ours_that_people_made_active(running: Installation) -> None:
    running.hubspot.make_active(LIST)
    _, found = doctor(running)
    assert "folder leadup) is an active one: HubSpot picks its members by filters" in found["list watched"]["text"]
    assert "--accept recreate" in found["list watched"]["todo"]


@pytest.mark.parametrize(
    ("now", "grade", "text"),
    [
        ("2026-11-22T12:00:00Z", "ok", "supports until September 2027"),
        ("2027-03-08T12:00:00Z", "warning", "supports until September 2027"),
        ("2027-09-02T12:00:00Z", "warning", "has not supported since September 2027"),
    ],
)
def test_the_end_of_a_version_is_told_half_a_year_before(hub: Installation, now: str, grade: str, text: str) -> None:
    _, found = doctor(hub, now)
    assert found["api_version"]["grade"] == grade
    assert text in found["api_version"]["text"]


def test_without_a_network_it_says_what_it_could_not_ask(running: Installation) -> None:
    running.environment["LEADUP_HUBSPOT_BASE_URL"] = "http://127.0.0.1:9"
    with_settings(running, "tries = 1")
    code, found = doctor(running)
    assert (code, grades(found)) == (1, {"network": "problem", "targets": "unknown"})


def test_what_can_not_be_looked_at_now_is_unknown(running: Installation) -> None:
    with_settings(running, "tries = 1")
    running.hubspot.weather.add(kind="fail", status=502, path="/search", times=-1)
    code, found = doctor(running)
    assert (code, grades(found)) == (0, {"lists": "unknown"})


def test_a_call_that_goes_astray_is_told_with_where_to_look(running: Installation) -> None:
    running.hubspot.weather.add(kind="fail", status=405, path="/search", times=-1)
    code, found = doctor(running)
    assert (code, grades(found)) == (1, {"lists": "problem"})
    assert "405" in found["lists"]["text"]
    assert "base_url of connection 'hubspot'" in found["lists"]["todo"]
    assert "if it passes" not in found["lists"]["todo"]


def test_no_finding_tells_of_a_person_or_a_secret(running: Installation) -> None:
    told = running.cli("doctor", "hubspot", "--json").stdout
    assert "ada@example.com" not in told
    assert "pat-test" not in told


def test_trap_made_contacts_may_cost_money(running: Installation) -> None:
    settings = running.folder / "leadup.toml"
    settings.write_text(
        settings.read_text().replace("[connections.hubspot]", "[connections.hubspot]\ncreate_missing = true")
    )
    _, found = doctor(running)
    assert grades(found)["create_missing"] == "warning"


@pytest.mark.parametrize(
    "lacks", ["analytics.behavioral_events.send", "behavioral_events.event_definitions.read_write"]
)
def test_events_need_scopes_of_their_own(running: Installation, lacks: str) -> None:
    demo = "macro_conversions:\n  demo: {event: generate_lead, value: 288 EUR}\n"
    running.rules(RULES + demo + "conversions:\n  seen: {on: demo, activate: [hubspot]}\n")
    running.sync(NOW)
    assert grades(doctor(running)[1]) == {}
    running.hubspot.scopes.discard(lacks)
    _, found = doctor(running)
    assert grades(found) == {f"scope {lacks}": "problem"}
    assert "Enterprise" in found[f"scope {lacks}"]["text"]


def test_a_clock_that_is_ahead_of_hubspots_is_told(running: Installation) -> None:
    running.hubspot.clock = lambda: datetime(2026, 3, 8, 11, 55, tzinfo=UTC)
    _, found = doctor(running)
    assert found["clock"]["text"].startswith("the clock here is 300 seconds ahead of HubSpot's")
