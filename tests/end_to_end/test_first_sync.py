"""The first sync to a HubSpot account: what it is said to take of the day's calls is what it takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from installation import SETTINGS, Installation, event, installed
from leadup_connectors.hubspot.limits import SHARED

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
macro_conversions:
  demo: {event: generate_lead, value: 288 EUR}
scores:
  heat: {half_life: 7d, points: {video: 10}, tiers: {warm: 5}}
segments:
  watched: {when: {did: video}, activate: [hubspot]}
  asked: {when: {did: demo}, activate: [hubspot]}
properties:
  temperature: {tier: heat, activate: [hubspot]}
  lists: {segments: [watched, asked], activate: [hubspot]}
conversions:
  seen: {on: demo, activate: [hubspot]}
"""
NOON, LATER = "2026-03-01T12:00:00Z", "2026-03-01T12:10:00Z"
PEOPLE, ASKED = 110, 3
"""All watch the video, three ask for a demo: two batches of contacts, five of 25 members."""


Make = Callable[..., Installation]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def made(api: str, *, create: bool = False, rules: str = RULES) -> Installation:
            lines = f'chunk_size = 25\ntries = 1\napi = "{api}"\n' + ("create_missing = true\n" if create else "")
            settings = SETTINGS.replace("[connections.hubspot]\n", f"[connections.hubspot]\n{lines}")
            site = stack.enter_context(installed(tmp_path, settings))
            site.rules(rules)
            events = [
                event(f"{name}{n}", name, "2026-03-01T11:00:00Z", email=f"v{n}@example.com")
                for name, people in (("video_progress", PEOPLE), ("generate_lead", ASKED))
                for n in range(people)
            ]
            site.drop(events)
            for n in range(0 if create else PEOPLE):
                site.hubspot.add_contact(f"v{n}@example.com")
            return site

        yield made


def run(site: Installation, *arguments: str, now: str = NOON) -> tuple[str, int]:
    """Run a new process; return its output and how many calls it made."""
    SHARED.clear()
    log = site.hubspot.weather.log
    before = len(log)
    done = site.cli(*arguments, now=now)
    assert done.exit_code == 0, done.output
    return done.stdout, len(log) - before


def foretold(site: Installation, *arguments: str, now: str = NOON) -> dict[str, Any]:
    [one] = json.loads(run(site, *arguments, "--json", now=now)[0])["calls"]
    return dict(one)


@pytest.mark.parametrize("api", ["v3", "2026-03"])
def test_a_first_sync_makes_the_calls_that_the_dry_run_and_the_plan_foretell(make: Make, api: str) -> None:
    site = make(api)
    dry = foretold(site, "sync", "--dry-run")
    lists, properties, events = 2 + 2 * 2, 2 * 3, 3
    assert dry["preparing"] == 1 + lists + properties + events, "and the account; of the lists, two for their folder"

    site.hubspot.weather.add(kind="fail", status=500, times=-1)
    assert site.cli("sync", now=NOON).exit_code == 1, "judged and planned, and nothing sent"
    site.hubspot.weather.clear()
    shown, _ = run(site, "plan", now=LATER)
    parts = "16 to find or make targets, 2 to find people, 4 to ask for sizes"
    assert f"hubspot: about {dry['calls']} calls ({parts}); " in shown
    _, made = run(site, "sync", "hubspot", now=LATER)
    assert made == dry["calls"]
    assert len(site.hubspot.members("leadup: watched")) == PEOPLE
    assert len(site.hubspot.events) == ASKED


def test_how_many_contacts_are_made_is_not_known_before_so_the_most_is_foretold(make: Make) -> None:
    site = make("v3", create=True)
    for n in range(1, PEOPLE):
        site.hubspot.add_contact(f"v{n}@example.com")
    shown, _ = run(site, "sync", "--dry-run")
    assert "hubspot: at most 45 calls (16 to find or make targets, 2 to find people, 12 to create people, 4 to" in shown
    _, made = run(site, "sync")
    assert len(site.hubspot.members("leadup: watched")) == PEOPLE
    assert made == 45 - 12 + 2, "one is made, for one list, and known for the other"


def test_of_one_list_of_strangers_the_most_is_what_it_takes(make: Make) -> None:
    rules = RULES.partition("scores:")[0] + "segments:\n  watched: {when: {did: video}, activate: [hubspot]}\n"
    site = make("2026-03", create=True, rules=rules)
    dry = foretold(site, "sync", "--dry-run")
    assert dry["at_most"]
    _, made = run(site, "sync")
    assert made == dry["calls"]
