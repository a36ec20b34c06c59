"""``leadup rules diff``: what an edit would change, in people and in money."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from installation import GRANTED, Installation, event, installed

NOW = "2026-03-20T15:00:00Z"
LIVE = """\
version: 1
micro_conversions:
  look: {event: page_view, where: {path: /pricing}}
  video: {event: video_complete}
macro_conversions:
  sent: {event: generate_lead, value: 100 EUR}
segments:
  lookers:
    when: {did: look, within: 30d}
    activate: [hubspot]
conversions:
  demo: {on: sent, activate: [google_ads]}
"""
EDITED = (
    LIVE.replace("within: 30d", "within: 5d")
    .replace("100 EUR", "288 EUR")
    .replace("conversions:\n  demo", "  watchers: {when: {did: video}, activate: [hubspot]}\nconversions:\n  demo")
    + "  won: {on: video, value: 4 EUR, activate: [google_ads]}\n"
)


def did(number: int, name: str, day: int, user: str, **properties: str) -> dict[str, Any]:
    at = f"2026-03-{day:02}T12:00:00Z"
    who = {"user_id": user, "email": f"{user}@x.test"}
    return event(f"e{number}", name, at, properties=properties, consent=GRANTED, **who)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path) as installation:
        installation.rules(LIVE)
        for user in ("u1", "u2"):
            installation.hubspot.add_contact(email=f"{user}@x.test")
        installation.drop(
            [
                did(1, "page_view", 10, "u1", path="/pricing"),
                did(2, "page_view", 18, "u2", path="/pricing"),
                did(3, "generate_lead", 18, "u2"),
                did(4, "video_complete", 18, "u1"),
                did(5, "video_complete", 19, "u2"),
            ]
        )
        installation.sync(NOW)
        yield installation


def dump(site: Installation) -> list[str]:
    with closing(sqlite3.connect(site.folder / ".leadup" / "state.db")) as connection:
        return list(connection.iterdump())


def check(answer: dict[str, Any]) -> None:
    assert answer["rules_differ"]
    assert answer["segments"] == {
        "lookers": {"before": 2, "after": 1, "joined": 0, "left": 1},
        "watchers": {"before": 0, "after": 2, "joined": 2, "left": 0},
    }
    by_name = {one.pop("target"): one for one in answer["targets"]}
    assert by_name == {
        "hubspot/audience/lookers": {"use": "audience", "joins": 0, "leaves": 1, "guard": None},
        "hubspot/audience/watchers": {"use": "audience", "joins": 2, "leaves": 0, "guard": None},
        "google_ads/conversion/demo": {
            "use": "conversion",
            "reported": {"count": 0, "value": {}},
            "restated": {"count": 1, "from": {"EUR": "100.00 EUR"}, "to": {"EUR": "288.00 EUR"}},
            "no_longer_reported": 0,
            "guard": None,
        },
        "google_ads/conversion/won": {
            "use": "conversion",
            "reported": {"count": 2, "value": {"EUR": "8.00 EUR"}},
            "restated": {"count": 0, "from": {}, "to": {}},
            "no_longer_reported": 0,
            "guard": None,
        },
    }


def test_rules_of_another_folder_against_the_live_ones(site: Installation, tmp_path: Path) -> None:
    (tmp_path / "edited").mkdir()
    (tmp_path / "edited" / "rules.yaml").write_text(EDITED, encoding="utf-8")
    before = dump(site)
    answer = json.loads(site.cli("rules", "diff", str(tmp_path / "edited"), "--json", now=NOW).stdout)
    check(answer)
    assert answer["due"] == 0
    assert dump(site) == before  # nothing is kept


def test_what_time_has_changed_is_not_the_edits_doing(site: Installation, tmp_path: Path) -> None:
    (tmp_path / "edited.yaml").write_text(LIVE.replace("within: 30d", "within: 31d"), encoding="utf-8")
    said = site.cli("rules", "diff", str(tmp_path / "edited.yaml"), "--json", now="2026-04-10T11:00:00Z")
    assert json.loads(said.stdout)["segments"] == {"lookers": {"before": 1, "after": 2, "joined": 1, "left": 0}}


def test_an_edit_in_place_against_what_the_live_rules_said_last(site: Installation) -> None:
    site.rules(EDITED)
    check(json.loads(site.cli("rules", "diff", "--json", now=NOW).stdout))
    late = site.cli("rules", "diff", now="2026-04-10T11:00:00Z")
    assert "Still to be judged by the live rules: 1." in late.stderr


def test_it_is_shown(site: Installation) -> None:
    assert "nothing would change" in site.cli("rules", "diff", now=NOW).stdout
    site.rules(EDITED)
    shown = site.cli("rules", "diff", now=NOW).stdout
    assert "hubspot/audience/watchers: 2 join" in shown
    assert "google_ads/conversion/demo: 1 restated from 100.00 EUR to 288.00 EUR" in shown
    assert "google_ads/conversion/won: 2 newly reported worth 8.00 EUR" in shown


def test_what_leaves_the_rules(site: Installation) -> None:
    site.rules(LIVE.partition("segments:")[0])
    answer = json.loads(site.cli("rules", "diff", "--json", now=NOW).stdout)
    assert answer["segments"] == {"lookers": {"before": 2, "after": 0, "joined": 0, "left": 2}}
    assert [one.get("leaves", one.get("no_longer_reported")) for one in answer["targets"]] == [1, 2]


def test_rules_that_do_not_load_are_refused_with_their_place(site: Installation, tmp_path: Path) -> None:
    (tmp_path / "edited.yaml").write_text(LIVE.replace("did: look", "dit: look"), encoding="utf-8")
    result = site.cli("rules", "diff", str(tmp_path / "edited.yaml"), now=NOW)
    assert result.exit_code == 3
    assert "edited.yaml:9:" in result.stderr
