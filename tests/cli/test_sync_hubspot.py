"""``leadup sync`` to HubSpot: lists that people made or deleted, contacts that are made, events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from installation import GRANTED, Installation, event, installed

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
segments:
  watched: {when: {did: video, within: 30d}, activate: [hubspot]}
"""
DEMO = "macro_conversions:\n  demo: {event: generate_lead, value: 288 EUR}\n"
KEY = "hubspot/audience/watched"
LIST = "leadup: watched"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path) as one:
        one.rules(RULES)
        watch(one, "ada")
        yield one


def watch(site: Installation, *people: str) -> None:
    for who in people:
        site.hubspot.add_contact(f"{who}@example.com")
    happened = [
        event(f"e-{who}", "video_progress", "2026-03-01T11:00:00Z", email=f"{who}@example.com", consent=GRANTED)
        for who in people
    ]
    site.drop(happened, f"{'-'.join(people)}.jsonl")


def test_a_list_that_people_filled_is_shown_and_taken_when_somebody_says_so(site: Installation) -> None:
    site.hubspot.add_list(LIST, used=2)
    site.hubspot.put(LIST, hand := site.hubspot.add_contact("by-hand@example.com"))
    rehearsed = site.cli("sync", "--dry-run", "--json", now="2026-03-01T12:00:00Z")
    [shown] = json.loads(rehearsed.stdout)["plan"]
    assert shown["there"] == f"'{LIST}' (id 1, 1 members, kind MANUAL, used in 2 places)"
    assert shown["guard"] == "leadup did not make it; `--accept adopt` takes it"
    held = site.cli("sync", now="2026-03-01T12:00:00Z")
    assert held.exit_code == 9, held.output
    assert f"leadup did not make the audience {shown['there']}" in held.stderr
    assert f"`leadup sync {KEY} --accept adopt`" in held.stderr
    assert site.hubspot.members(LIST) == {hand}
    done = site.cli("sync", KEY, "--accept", "adopt", now="2026-03-01T12:10:00Z")
    assert done.exit_code == 0, done.output
    assert len(site.hubspot.members(LIST)) == 2
    [status] = site.status()["audiences"]
    assert status["there"] == f"'{LIST}' (id 1, 2 members, kind MANUAL, used in 2 places)"
    planned = site.cli("plan", "--json", now="2026-03-01T12:10:00Z")
    assert json.loads(planned.stdout)["targets"][0]["there"] == status["there"]


def test_a_deleted_list_stops_its_audience_until_somebody_says_what_to_do(site: Installation) -> None:
    site.cli("sync", now="2026-03-01T12:00:00Z")
    site.hubspot.delete_list(LIST)
    watch(site, "bob")
    stopped = site.cli("sync", now="2026-03-01T13:00:00Z")
    assert stopped.exit_code == 1
    assert "is gone; somebody deleted it" in stopped.stderr
    assert f"leadup sync {KEY} --accept recreate" in stopped.stderr.replace("\n", " ")
    assert site.hubspot.members(LIST) == set()
    done = site.cli("sync", KEY, "--accept", "recreate", now="2026-03-01T13:10:00Z")
    assert done.exit_code == 0, done.output
    assert f"{KEY}: made anew" in done.output
    assert len(site.hubspot.members(LIST)) == 2


def test_the_size_of_a_deleted_list_is_no_fault_of_the_connector(site: Installation) -> None:
    site.cli("sync", now="2026-03-01T12:00:00Z")
    site.hubspot.delete_list(LIST)
    said = site.cli("sync", now="2026-03-02T12:00:00Z").stderr
    assert f"HubSpot's list '{LIST}' (id 1) is gone." in said
    assert "report this" not in said


def test_a_rehearsal_says_what_to_do_about_a_deleted_list(site: Installation) -> None:
    site.cli("sync", now="2026-03-01T12:00:00Z")
    site.hubspot.delete_list(LIST)
    [shown] = json.loads(site.cli("sync", "--dry-run", "--json", now="2026-03-01T13:00:00Z").stdout)["plan"]
    assert shown["there"] == f"not there any more; `leadup sync {KEY} --accept recreate` makes it anew"


def test_a_rehearsal_says_whose_audience_a_list_is(site: Installation) -> None:
    site.cli("sync", now="2026-03-01T12:00:00Z")
    site.hubspot.rename_list(LIST, "leadup: seen")
    site.rules(f"{RULES}  seen: {{when: {{did: video, within: 60d}}, activate: [hubspot]}}\n")
    plan = json.loads(site.cli("sync", "--dry-run", "--json", now="2026-03-01T13:00:00Z").stdout)["plan"]
    [seen] = [one for one in plan if one["target"] == "hubspot/audience/seen"]
    assert seen["there"].startswith(f"{KEY} is kept in that audience already (id 1)")
    assert "adopt" not in str(seen)


def test_a_rehearsal_leaves_out_what_the_rules_no_longer_send(site: Installation) -> None:
    site.hubspot.add_list(LIST, "DYNAMIC")
    assert site.cli("sync", now="2026-03-01T12:00:00Z").exit_code == 1
    site.rules(RULES.replace("watched", "seen"))
    plan = json.loads(site.cli("sync", "--dry-run", "--json", now="2026-03-01T13:00:00Z").stdout)["plan"]
    assert [one["target"] for one in plan] == ["hubspot/audience/seen"]


def test_a_list_that_is_there_is_not_made_anew(site: Installation) -> None:
    site.cli("sync", now="2026-03-01T12:00:00Z")
    refused = site.cli("sync", KEY, "--accept", "recreate", now="2026-03-01T12:10:00Z")
    assert refused.exit_code != 0
    assert f"is still there: '{LIST}' (id 1)" in refused.output + refused.stderr


def test_who_was_merged_into_a_contact_that_opted_out_still_leaves(site: Installation) -> None:
    site.cli("sync", now="2026-03-01T12:00:00Z")
    [ada] = site.hubspot.members(LIST)
    site.hubspot.merge(survivor := site.hubspot.add_contact("ada@work.example.com"), ada)
    site.hubspot.opt_out(survivor)
    assert site.hubspot.members(LIST) == {survivor}
    done = site.cli("sync", now="2026-04-20T12:00:00Z")
    assert done.exit_code == 0, done.output
    assert site.hubspot.members(LIST) == set()


def test_whom_hubspot_does_not_know_takes_no_more_of_the_day(site: Installation) -> None:
    unknown = [event("e-bob", "video_progress", "2026-03-01T11:00:00Z", email="bob@new.example.com", consent=GRANTED)]
    site.drop(unknown, "unknown.jsonl")
    rehearsed = json.loads(site.cli("sync", "--dry-run", "--json", now="2026-03-01T12:00:00Z").stdout)
    [foretold] = rehearsed["calls"]
    assert (foretold["look_ups"], foretold["targets"]) == (1, {KEY: 1}), "one to find both, one to put them in"
    assert (foretold["calls"], foretold["preparing"], foretold["sizes"]) == (1 + 1 + 5 + 2, 5, 2)
    site.cli("sync", now="2026-03-01T12:00:00Z")
    assert json.loads(site.cli("plan", "--json", now="2026-03-01T12:10:00Z").stdout)["calls"] == []
    [tomorrow] = json.loads(site.cli("plan", "--json", now="2026-03-02T12:10:00Z").stdout)["calls"]
    assert (tomorrow["look_ups"], tomorrow["targets"]) == (1, {KEY: 1})
    assert (tomorrow["calls"], tomorrow["preparing"], tomorrow["sizes"]) == (1 + 1 + 2 + 2, 2, 2), "the list is there"


def test_the_ledger_says_once_that_new_contacts_may_cost_money(site: Installation) -> None:
    settings = site.folder / "leadup.toml"
    table = "[connections.hubspot]"
    settings.write_text(settings.read_text().replace(table, f"{table}\ncreate_missing = true"))
    unknown = [
        event(f"e-{who}", "video_progress", "2026-03-01T11:00:00Z", email=f"{who}@new.example.com", consent=GRANTED)
        for who in ("bob", "cyd")
    ]
    site.drop(unknown, "unknown.jsonl")
    rehearsed = site.cli("sync", "--dry-run", now="2026-03-01T12:00:00Z")
    assert rehearsed.exit_code == 0, rehearsed.output
    assert len(site.hubspot.state()["contacts"]) == 1, "a dry run makes nobody"
    site.cli("sync", now="2026-03-01T12:00:00Z")
    assert len(site.hubspot.members(LIST)) == 3
    told = site.cli("explain", "bob@new.example.com", now="2026-03-01T12:00:00Z").output
    assert "created" in told


def test_events_are_for_enterprise_and_the_rest_goes_on_without(tmp_path: Path) -> None:
    with installed(tmp_path) as site:
        site.rules(RULES + "conversions:\n  seen: {on: demo, activate: [hubspot]}\n" + DEMO)
        watch(site, "ada")
        asked = event("d-ada", "generate_lead", "2026-03-01T11:30:00Z", email="ada@example.com", consent=GRANTED)
        site.drop([asked], "demo.jsonl")
        done = site.cli("sync", now="2026-03-01T12:00:00Z")
        assert done.exit_code == 0, done.output
        assert [each.name for each in site.hubspot.events] == ["pe4815162_seen"]
        assert len(site.hubspot.members(LIST)) == 1


def test_without_custom_events_one_notice_is_given_and_lists_go_on(tmp_path: Path) -> None:
    with installed(tmp_path) as site:
        site.rules(RULES + "conversions:\n  seen: {on: demo, activate: [hubspot]}\n" + DEMO)
        site.hubspot.scopes.discard("analytics.behavioral_events.send")
        site.hubspot.scopes.discard("behavioral_events.event_definitions.read_write")
        watch(site, "ada")
        asked = event("d-ada", "generate_lead", "2026-03-01T11:30:00Z", email="ada@example.com", consent=GRANTED)
        site.drop([asked], "demo.jsonl")
        notice = "HubSpot takes no custom events from connection 'hubspot': they need an Enterprise subscription"
        syncs = []
        for at in ("01T12:00", "02T11:00", "02T12:00"):
            done = site.cli("sync", now=f"2026-03-{at}:00Z")
            tries = sum("event-definitions" in each.path for each in site.hubspot.weather.log)
            syncs.append((done.exit_code, notice in done.output, tries))
        assert syncs == [(1, True, 1), (0, False, 1), (0, False, 2)], "told once, and tried once a day"
        [conversion] = site.status()["conversions"]
        assert (notice in conversion["error"], conversion["rows"]) == (True, {"pending": 1})
        assert len(site.hubspot.members(LIST)) == 1
        plan = json.loads(site.cli("plan", "--json", now="2026-03-02T13:00:00Z").stdout)
        assert (plan["targets"][1]["changes"], plan["calls"]) == ({"convert pending": 1}, []), "it takes no calls"
        doctor = site.cli("doctor", "hubspot", now="2026-03-02T13:00:00Z")
        assert notice in doctor.output.replace("\n", " ")
        asked = site.cli("sync", "seen", now="2026-03-02T13:00:00Z")
        assert (asked.exit_code, notice in asked.stderr) == (0, True), "who asks for it is told again"
        site.hubspot.weather.add(kind="fail", status=401, path="event-definitions", times=-1)
        assert site.cli("sync", "seen", now="2026-03-02T14:00:00Z").exit_code == 1, "that is another trouble"
        site.hubspot.weather.clear()
        assert site.cli("sync", "seen", now="2026-03-02T15:00:00Z").exit_code == 0, "and no news afterwards"
        site.hubspot.scopes |= {"analytics.behavioral_events.send", "behavioral_events.event_definitions.read_write"}
        assert site.cli("sync", now="2026-03-03T15:00:00Z").exit_code == 0
        assert len(site.hubspot.events) == 1
        [conversion] = site.status()["conversions"]
        assert conversion["error"] is None


def test_events_that_may_be_defined_but_not_sent_wait_for_the_scope(tmp_path: Path) -> None:
    with installed(tmp_path) as site:
        site.rules(RULES + "conversions:\n  seen: {on: demo, activate: [hubspot]}\n" + DEMO)
        site.hubspot.scopes.discard("analytics.behavioral_events.send")
        watch(site, "ada")
        asked = event("d-ada", "generate_lead", "2026-03-01T11:30:00Z", email="ada@example.com", consent=GRANTED)
        site.drop([asked], "demo.jsonl")
        site.cli("sync", now="2026-03-01T12:00:00Z")
        [conversion] = site.status()["conversions"]
        assert "the scopes analytics.behavioral_events.send" in conversion["error"]
        assert conversion["rows"] == {"pending": 1}
        site.hubspot.scopes.add("analytics.behavioral_events.send")
        site.cli("sync", now="2026-03-02T12:00:00Z")
        assert len(site.hubspot.events) == 1


def test_an_erasure_says_whom_hubspot_merged_away_before(site: Installation) -> None:
    """Who she was is forgotten at once, so that the contact she was merged into can not be looked up."""
    site.cli("sync", now="2026-03-01T12:00:00Z")
    [ada] = site.hubspot.members(LIST)
    site.hubspot.merge(site.hubspot.add_contact("ada@new.example.com"), ada)
    erased = site.cli("people", "erase", "ada@example.com", "--yes", now="2026-03-01T12:10:00Z")
    assert f"{KEY}: untraced" in erased.output
    assert "take it out by hand" in erased.output


def test_an_erasure_finds_whom_hubspot_merged_away_where_contacts_are_read(site: Installation) -> None:
    """What was sent as a contact that is merged into another one counts as sent as that, once the merge is read."""
    settings = site.folder / "leadup.toml"
    table = "[connections.hubspot]"
    settings.write_text(settings.read_text().replace(table, f'{table}\nread = ["contacts"]'))
    site.cli("sync", now="2026-03-01T12:00:00Z")
    [ada] = site.hubspot.members(LIST)
    site.hubspot.merge(left := site.hubspot.add_contact("ada@new.example.com"), ada)
    assert site.hubspot.members(LIST) == {left}
    site.cli("sync", now="2026-03-01T13:00:00Z")
    erased = site.cli("people", "erase", "ada@example.com", "--yes", now="2026-03-01T13:10:00Z")
    assert f"{KEY}: confirmed" in erased.output
    assert site.hubspot.members(LIST) == set()


def test_who_may_not_be_there_any_more_leaves_though_nobody_can_be_looked_up(site: Installation) -> None:
    site.cli("sync", now="2026-03-01T12:00:00Z")
    watch(site, "bob")
    no = event(
        "no", "page_view", "2026-03-01T12:30:00Z", email="ada@example.com", consent={"email_marketing": "denied"}
    )
    site.drop([no], "no.jsonl")
    site.hubspot.weather.add(kind="fail", status=502, path="/contacts/batch/read", times=-1)
    site.cli("sync", now="2026-03-01T13:00:00Z")
    assert site.hubspot.members(LIST) == set()
    [audience] = site.status()["audiences"]
    assert "look contacts up" in audience["error"]
    site.hubspot.weather.clear()
    site.cli("sync", now="2026-03-01T14:00:00Z")
    [bob] = site.hubspot.members(LIST)
    assert site.hubspot.contact(bob)["email"] == "bob@example.com"
