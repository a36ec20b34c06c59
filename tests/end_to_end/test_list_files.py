"""Lists of known people in all the commands that say what rules do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from installation import Installation, event, installed

RULES = """\
version: 1
lists:
  customers: {file: customers.csv, match: email}
micro_conversions:
  video: {event: video_progress}
segments:
  fresh: {when: {did: video}, exclude: [customers], activate: [hubspot]}
  known: {when: {in_list: customers}}
"""
NOW = "2026-03-10T12:00:00Z"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path) as made:
        made.rules(RULES)
        customers(made, "bob")
        for name in ("ada", "bob"):
            made.hubspot.add_contact(email=f"{name}@example.com")
        made.drop([event(f"e-{n}", "video_progress", "2026-03-05T12:00:00Z", email=f"{n}@example.com") for n in NAMES])
        yield made


NAMES = ("ada", "bob")


def customers(site: Installation, *names: str) -> None:
    text = "".join(f"{name}@example.com\n" for name in names)
    (site.folder / "rules" / "customers.csv").write_text(f"email\n{text}", encoding="utf-8")


def told(site: Installation, *arguments: str) -> Any:
    result = site.cli(*arguments, "--json", now=NOW)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_every_command_knows_who_is_on_a_list(site: Installation) -> None:
    told(site, "sync")
    who = {name: told(site, "explain", f"{name}@example.com")["segments"] for name in NAMES}
    assert [(who[name]["fresh"]["in"], who[name]["known"]["in"]) for name in NAMES] == [(True, False), (False, True)]
    assert [who[name]["fresh"]["excluded"] for name in NAMES] == [False, True]
    assert [(one["text"], one["holds"]) for one in who["bob"]["known"]["conditions"]] == [("on list customers", True)]
    assert told(site, "rules", "preview", "known")["members"] == 1

    customers(site, "ada", "carl")
    changes = told(site, "rules", "diff")
    assert changes["rules_differ"]
    assert {name: (one["joined"], one["left"]) for name, one in changes["segments"].items()} == {
        "fresh": (1, 1),
        "known": (1, 1),
    }
    assert told(site, "rules", "preview", "fresh")["targets"][0]["changes"] == {"join": 1, "leave": 1}
    assert told(site, "rules", "backtest", "known", "--days", "7")["size"] == 1
    assert told(site, "explain", "bob@example.com")["segments"]["known"]["in"], "nothing of this has gone live"

    site.drop([event("e-carl", "video_progress", "2026-03-05T12:00:00Z", email="carl@example.com")], "more.jsonl")
    told(site, "sync")
    names = ("ada", "bob", "carl")
    who = {name: told(site, "explain", f"{name}@example.com")["segments"] for name in names}
    assert [who[name]["known"]["in"] for name in names] == [True, False, True]
    assert [who[name]["fresh"]["in"] for name in names] == [False, True, False]


def test_rules_are_tried_with_their_lists(site: Installation, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    lines = [event(f"e-{n}", "video_progress", "2026-03-05T12:00:00Z", email=f"{n}@example.com") for n in NAMES]
    events.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    found = told(site, "rules", "try", str(site.folder / "rules" / "rules.yaml"), str(events), "--at", NOW)
    members = {name: [one["person"] for one in it["members"]] for name, it in found["segments"].items()}
    assert members == {"fresh": ["ada@example.com"], "known": ["bob@example.com"]}
