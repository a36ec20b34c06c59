"""``leadup sync`` with a HubSpot list that people made, renamed or deleted."""

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


def test_a_list_that_is_there_is_not_made_anew(site: Installation) -> None:
    site.cli("sync", now="2026-03-01T12:00:00Z")
    refused = site.cli("sync", KEY, "--accept", "recreate", now="2026-03-01T12:10:00Z")
    assert refused.exit_code != 0
    assert f"is still there: '{LIST}' (id 1)" in refused.output + refused.stderr
