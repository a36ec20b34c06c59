"""HubSpot's calls of the day, from its headers to what people read: the plan, the status, and midnight."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from installation import SETTINGS, Installation, event
from leadup.clock import parse_instant
from leadup.registry import find, load
from leadup.sandbox import Server
from leadup_connectors.hubspot.limits import SHARED
from leadup_connectors.hubspot.sandbox import HubSpotSandbox

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
  asked: {event: generate_lead}
segments:
  watched: {when: {all: [{did: video}, {did_not: asked}]}, activate: [hubspot], guard: {max_leave: 100%}}
"""
NOON, NIGHT, MIDNIGHT = "2026-03-01T12:00:00Z", "2026-03-01T22:59:59Z", "2026-03-01T23:00:00Z"
"""The end of the day in Berlin, and the second before it."""
WATCHED = "leadup: watched"
BECAUSE = "not enough of today's calls is left (10% of them are kept for the account's other apps); "
BECAUSE += "goes on after 00:00 Europe/Berlin"

AFTER = "reads again after midnight,"


class Site:
    """An installation whose HubSpot account has a day of few calls, and a clock that goes with ours."""

    def __init__(self, folder: Path, stack: ExitStack, daily: int, settings: str) -> None:
        self.now = parse_instant(NOON)
        self.hubspot = HubSpotSandbox(daily=daily, clock=lambda: self.now, time_zone="Europe/Berlin")
        hubspot = stack.enter_context(Server(self.hubspot))
        google = stack.enter_context(Server(load(find("google_ads").sandbox)()))
        self.installation = Installation(folder, hubspot, google, settings)
        self.installation.rules(RULES)

    def people(self, first: int, last: int, name: str = "video_progress", at: str = "2026-03-01T11:00:00Z") -> None:
        """So many people do something; whom HubSpot does not know gets a contact there."""
        numbers = range(first, last)
        for number in numbers:
            if name == "video_progress":
                self.hubspot.add_contact(f"v{number}@example.com")
        events = [event(f"{name}{n}", name, at, email=f"v{n}@example.com") for n in numbers]
        self.installation.drop(events, f"{name}{first}.jsonl")

    def cli(self, *arguments: str, at: str) -> Any:
        """A new process: it knows of HubSpot what the state does."""
        SHARED.clear()
        self.now = parse_instant(at)
        return self.installation.cli(*arguments, now=at)

    def json(self, *arguments: str, at: str) -> Any:
        return json.loads(self.cli(*arguments, "--json", at=at).stdout)

    @property
    def calls(self) -> int:
        return len(self.hubspot.weather.log)


Make = Callable[..., Site]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def made(daily: int, extra: str = "", connection: str = "chunk_size = 2\n") -> Site:
            settings = SETTINGS.replace("[connections.hubspot]\n", f"[connections.hubspot]\n{connection}") + extra
            return Site(tmp_path, stack, daily, settings)

        yield made


@pytest.mark.parametrize("api", ["v3", "2026-03"])
def test_what_does_not_fit_into_the_day_goes_after_midnight_in_the_zone_of_the_account(make: Make, api: str) -> None:
    site = make(30, connection=f'chunk_size = 2\napi = "{api}"\n')
    site.people(0, 60)
    done = site.cli("sync", at=NOON)
    assert done.exit_code == 0, "nothing is wrong"
    waiting = 60 - len(site.hubspot.members(WATCHED))
    assert 0 < waiting < 60
    assert f"hubspot: {waiting} changes wait until {MIDNIGHT}: {BECAUSE}" in done.stdout
    assert site.hubspot.limits.left == 3

    assert "hubspot: 3 of 30 calls left today, resets 00:00 Europe/Berlin\n" in site.cli("status", at=NOON).stdout
    status = site.json("status", at=NOON)
    assert status["budgets"] == [
        {
            "account": "hubspot 4815162",
            "connections": ["hubspot"],
            "limit": 30,
            "left": 3,
            "told": NOON,
            "resets": MIDNIGHT,
            "zone": "Europe/Berlin",
        }
    ]
    assert status["audiences"][0]["reasons"] == [{"code": "daily_budget", "detail": BECAUSE, "rows": waiting}]
    calls = waiting // 2 + 1 + 2
    parts = "2 to find or make targets, 1 to find people"
    shown = site.cli("plan", at=NOON).stdout
    assert f"hubspot: about {calls} calls ({parts}); 3 of 30 are left today, and 3 are kept" in shown
    assert f"{calls} do not fit: leaves go first, the rest waits until {MIDNIGHT} (00:00 Europe/Berlin)" in shown
    assert f"daily_budget {BECAUSE}" in shown
    members = {site.hubspot.contact(one)["email"] for one in site.hubspot.members(WATCHED)}
    told = site.cli("explain", min({f"v{n}@example.com" for n in range(60)} - members), at=NOON).stdout
    assert f"waits until {MIDNIGHT}: {BECAUSE}" in told
    assert "daily_budget" in told.partition("waits until")[2]

    asked = site.calls
    for instant in ("2026-03-01T12:00:01Z", NIGHT):
        site.cli("sync", at=instant)
        assert site.cli("sync", "hubspot", at=instant).exit_code == 0, "nor when somebody asks for it"
    assert site.calls == asked

    parts += ", 2 to ask for sizes"
    assert f"about {calls + 2} calls ({parts}); what is left" in site.cli("plan", at=MIDNIGHT).stdout
    assert not site.json("sync", at=MIDNIGHT)["postponed"]
    assert len(site.hubspot.members(WATCHED)) == 60
    assert {m["times"] for m in site.hubspot.state()["memberships"]} == {1}


def test_the_dry_run_says_what_it_takes_and_that_is_what_it_takes(make: Make) -> None:
    site = make(10_000, connection="chunk_size = 10\n")
    site.people(0, 1)
    site.cli("sync", at=NOON)
    site.people(1, 151)
    left = 10_000 - site.calls
    dry = site.json("sync", "--dry-run", at=NOON)
    assert dry["plan"][0]["changes"] == {"join": 150}
    [calls] = dry["calls"]
    assert (calls["calls"], calls["look_ups"], calls["targets"]) == (19, 2, {"hubspot/audience/watched": 15})
    assert (calls["left"], calls["kept"], calls["fits"], calls["too_many"]) == (left, 1_000, True, 0)
    shown = site.cli("sync", "--dry-run", at=NOON).stdout
    parts = "2 to find or make targets, 2 to find people"
    assert f"hubspot: about 19 calls ({parts}); {left:,} of 10,000 are left today" in shown
    before = site.calls
    site.cli("sync", at=NOON)
    assert site.calls - before == 19


def test_leaves_go_before_joins(make: Make) -> None:
    site = make(100)
    site.people(0, 20)
    site.cli("sync", at=NOON)
    site.people(0, 20, "generate_lead", at="2026-03-01T12:30:00Z")
    site.people(100, 140)
    site.hubspot.limits.used = 100 - 10 - 14
    done = site.json("sync", at="2026-03-01T13:00:00Z")
    members = {site.hubspot.contact(one)["email"] for one in site.hubspot.members(WATCHED)}
    assert not members & {f"v{n}@example.com" for n in range(20)}, "all who are to leave have left"
    assert done["postponed"]["hubspot"]["changes"] == 40 - len(members) > 0
    assert site.hubspot.limits.left in range(10, 16)


def test_other_apps_may_have_used_up_the_day(make: Make) -> None:
    site = make(1_000)
    site.people(0, 4)
    site.cli("sync", at=NOON)
    site.people(4, 8)
    site.hubspot.limits.used = 1_000
    done = site.json("sync", at="2026-03-01T13:00:00Z")
    assert (done["errors"], done["postponed"]["hubspot"]["until"]) == ({}, MIDNIGHT)
    refused = [one for one in site.hubspot.weather.log if one.status == 429]
    assert len(refused) == 1, "HubSpot is left alone after its first word"
    assert site.json("status", at="2026-03-01T13:00:00Z")["audiences"][0]["rows"] == {"pending": 4}
    site.cli("sync", at=MIDNIGHT)
    assert len(site.hubspot.members(WATCHED)) == 8


def test_reading_leaves_the_reserve_and_goes_on_the_next_day(make: Make) -> None:
    site = make(100, connection='read = ["contacts"]\npage_size = 1\ndaily_reserve = 0.5\n')
    site.now = parse_instant("2026-03-01T10:00:00Z")
    for number in range(40):
        site.hubspot.add_contact(f"c{number}@example.com")
    first = site.json("sync", at=NOON)
    waits = {"until": MIDNIGHT, "because": BECAUSE.replace("10%", "50%").replace("goes on after 00:00", AFTER)}
    read = first["pulled"]["hubspot"]["facts"]
    assert 20 < read < 40
    assert (first["errors"], first["reading"]) == ({}, {"hubspot": waits})
    assert site.hubspot.limits.left > 50

    asked = site.calls
    again = site.cli("sync", at=NIGHT)
    assert (again.exit_code, site.calls) == (0, asked), "nothing is wrong, and nobody is asked"
    said = f"hubspot: reading waits until {MIDNIGHT}: {waits['because']}"
    assert said in again.stdout
    assert said in site.cli("status", at=NIGHT).stdout

    done = site.json("sync", at=MIDNIGHT)
    assert (done["reading"], done["pulled"]["hubspot"]["facts"]) == ({}, 40 - read), "from where it stopped"
    [_, source] = sorted(site.json("status", at=MIDNIGHT)["sources"], key=lambda one: one["connection"] == "hubspot")
    assert (source["waits"], source["read_up_to"]) == (None, "2026-03-01T11:59:00Z"), "up to when it began"


def test_a_reading_that_is_refused_for_the_day_waits_as_well(make: Make) -> None:
    site = make(1_000, connection='read = ["contacts"]\ntries = 1\n')
    site.cli("sync", at=NOON)
    site.hubspot.limits.used = 1_000
    asked = site.calls
    for at in ("2026-03-01T13:00:00Z", "2026-03-01T14:00:00Z"):
        done = site.json("sync", at=at)
        assert (done["errors"], done["reading"]["hubspot"]["until"]) == ({}, MIDNIGHT)
    assert site.calls == asked + 1, "HubSpot is left alone after its first word"
    doctor = site.json("doctor", "site", at=NIGHT)["findings"]
    assert [one["grade"] for one in doctor if one["name"] == "hubspot: reading"] == ["warning"]


def test_two_connections_of_one_account_share_its_day(make: Make) -> None:
    site = make(40, '[connections.second]\ntype = "hubspot"\nchunk_size = 2\n')
    environment = site.installation.environment
    environment |= {
        name.replace("HUBSPOT", "SECOND"): value for name, value in environment.items() if "HUBSPOT" in name
    }
    site.installation.rules(RULES.replace("[hubspot]", "[hubspot, {to: second, name: also}]"))
    site.people(0, 60)
    done = site.json("sync", at=NOON)
    assert site.hubspot.limits.left in range(4, 10), "each keeps a tenth, and it is the same tenth"
    assert sum(one["changes"] for one in done["postponed"].values()) == 120 - sum(
        len(site.hubspot.members(name)) for name in (WATCHED, "also")
    )
    assert "hubspot, second: 4 of 40 calls left today" in site.cli("status", at=NOON).stdout
