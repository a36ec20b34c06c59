"""Wrong input: what happened, where, and what to do next; and nothing is lost by it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from installation import event
from leadup.cli import main

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
segments:
  watched: {when: {did: video, within: 30d}}
"""
SETTINGS = """\
rules = "rules"

[connections.shop]
type = "files"
path = "events/*.csv"
columns = {id = "id", name = "event", time = {column = "at", zone = "UTC"}}
identifiers = {user_id = "user"}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEADUP_NOW", "2026-03-10T00:00:00Z")
    for name in ("LEADUP_CONFIG", "LEADUP_HUBSPOT_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "rules").mkdir()
    (tmp_path / "events").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "leadup.toml").write_text(SETTINGS, encoding="utf-8")
    return tmp_path


def leadup(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_without_settings_it_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADUP_CONFIG", raising=False)
    result = leadup("status")
    assert result.exit_code == 4
    assert str(tmp_path / "leadup.toml") in result.stderr
    assert "leadup init" in result.stderr


def test_a_missing_secret_lists_every_place_looked_in(here: Path) -> None:
    (here / "leadup.toml").write_text(SETTINGS + "\n[connections.hubspot]\n", encoding="utf-8")
    result = leadup("status")
    assert result.exit_code == 4
    assert "connections.hubspot.access_token is missing" in result.stderr
    assert "LEADUP_HUBSPOT_ACCESS_TOKEN" in result.stderr
    assert "connections.hubspot.access_token_file" in result.stderr


def test_a_secret_in_the_settings_file_is_refused_without_being_shown(here: Path) -> None:
    (here / "leadup.toml").write_text('[connections.hubspot]\naccess_token = "pat-1234"\n', encoding="utf-8")
    result = leadup("status")
    assert result.exit_code == 4
    assert "is a secret and does not belong in this file" in result.stderr
    assert "pat-1234" not in result.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules = [", "this is not TOML"),
        ('ruls = "rules"', "Did you mean 'rules'?"),
        ("[daemon]\npull_evry = 3", "Did you mean 'pull_every'?"),
        ("[daemon]\npull_every = 0", "daemon.pull_every"),
        ('[connections.crm]\ntype = "hubspto"', "Did you mean 'hubspot'?"),
        ('rules = "nowhere"', "there is no file or folder"),
        ('[state]\nurl = "mysql://x"', "SQLite"),
    ],
)
def test_wrong_settings_name_the_place_and_the_nearest_word(here: Path, text: str, said: str) -> None:
    (here / "leadup.toml").write_text(text, encoding="utf-8")
    result = leadup("sync")
    assert result.exit_code == 4
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_broken_rules_name_file_line_and_column_and_nothing_is_judged(here: Path) -> None:
    (here / "rules" / "a.yaml").write_text(RULES.replace("did: video", "did: vidoe"), encoding="utf-8")
    result = leadup("sync")
    assert result.exit_code == 3
    assert "a.yaml:5:" in result.stderr
    assert 'did you mean "video"?' in result.stderr
    (here / "rules" / "a.yaml").write_text("version: 1\nsegments:\n  x: {when: [}\n", encoding="utf-8")
    result = leadup("rules", "check")
    assert result.exit_code == 3
    assert "a.yaml:3:" in result.stderr


def test_an_event_that_nobody_ever_sent_is_a_warning_with_the_nearest_name(here: Path) -> None:
    (here / "events" / "a.csv").write_text("id,event,at,user\n1,video_progress,2026-03-01 10:00:00,u1\n", "utf-8")
    assert leadup("sync").exit_code == 0
    (here / "rules" / "a.yaml").write_text(RULES.replace("video_progress", "video_progres"), encoding="utf-8")
    result = leadup("rules", "check")
    assert result.exit_code == 0
    assert "a.yaml:3:" in result.stderr
    assert "video_progress" in result.stderr


def test_a_row_without_time_is_counted_and_kept_with_line_and_reason(here: Path) -> None:
    rows = "id,event,at,user\n1,video_progress,2026-03-01 10:00:00,u1\n2,video_progress,,ada@example.com\n"
    (here / "events" / "a.csv").write_text(rows, encoding="utf-8")
    result = leadup("sync", "--json")
    assert result.exit_code == 0, result.stderr
    pulled = json.loads(result.stdout)["pulled"]["shop"]
    assert (pulled["new"], pulled["rejected"]) == (1, 1)
    [kept] = (here / ".leadup" / "rejects").glob("*.csv")
    with kept.open(encoding="utf-8", newline="") as file:
        [row] = list(csv.DictReader(file))
    assert (row["file"], row["line"]) == ("events/a.csv", "3")
    assert "time" in row["reason"]
    assert "ada@example.com" not in kept.read_text(encoding="utf-8"), "addresses are not kept in the clear"
    assert json.loads(leadup("status", "--json").stdout)["sources"][0]["rejected"] == 1


def test_an_import_twice_takes_nothing_twice(here: Path) -> None:
    lines = [event(f"e{i}", "video_progress", "2026-03-01T10:00:00Z", user_id=f"u{i}") for i in range(5)]
    file = here / "old.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    first, second = (json.loads(leadup("events", "import", str(file), "--json").stdout) for _ in range(2))
    assert (first["new"], second["new"]) == (5, 0)
    wrong = leadup("events", "import", str(file), "--as", "shpo")
    assert wrong.exit_code == 4
    assert "shop" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("explain", "nobody@example.com"), "Nobody is known"),
        (("explain", "u1", "wached"), 'did you mean "watched"?'),
        (("sync", "wached"), "is nothing that the rules send anywhere"),
        (("sync", "--accept", "max_leaf"), "There are: max_leave, min_size"),
        (("rules", "preview", "wached"), 'did you mean "watched"?'),
        (("sandbox", "hubspto"), "hubspot"),
        (("staus",), "Did you mean 'status'?"),
        (("explain", "u1", "wathced"), "There is no segment 'wathced' in the rules; did you mean \"watched\"?"),
        (("rules", "preview", "wathced"), 'in the rules; did you mean "watched"?'),
        (("rules", "backtest", "wathced"), 'in the rules; did you mean "watched"?'),
    ],
)
def test_a_wrong_word_is_answered_kindly(here: Path, arguments: tuple[str, ...], said: str) -> None:
    assert leadup("sync").exit_code == 0
    result = leadup(*arguments)
    assert result.exit_code != 0
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_init_writes_what_passes_rules_check_and_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADUP_CONFIG", raising=False)
    export = tmp_path / "shop.csv"
    rows = [
        f"u{i % 7},{name},2026-03-0{1 + i % 5} 10:00:00,desktop" for i in range(40) for name in ("view", "purchase")
    ]
    export.write_text("user_id,event,timestamp,device\n" + "\n".join(rows) + "\n", encoding="utf-8")
    first = leadup("init", "--from", "shop.csv")
    assert first.exit_code == 0, first.stderr
    assert "purchase" in first.stdout
    assert leadup("rules", "check").exit_code == 0
    assert leadup("rules", "test").exit_code == 0
    taken = leadup("events", "import", "shop.csv", "--as", "shop", "--json")
    assert taken.exit_code == 0, taken.stderr
    assert json.loads(taken.stdout)["rejected"] == 0
    again = leadup("init")
    assert again.exit_code == 4
    assert "exists already" in again.stderr


def test_init_without_data_writes_what_passes_rules_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADUP_CONFIG", raising=False)
    assert leadup("init").exit_code == 0
    assert leadup("rules", "check").exit_code == 0
    assert leadup("rules", "test").exit_code == 0
    assert leadup("sync").exit_code == 0


def test_rules_are_checked_and_tested_without_the_connections_secrets(here: Path) -> None:
    with (here / "leadup.toml").open("a", encoding="utf-8") as file:
        file.write('\n[connections.crm]\ntype = "hubspot"\naccess_token_file = "nowhere"\n')
    (here / "rules" / "b.yaml").write_text(
        "version: 1\nsegments:\n  sent: {when: {did: video}, activate: [crm]}\n", encoding="utf-8"
    )
    assert leadup("rules", "check").exit_code == 0
    assert leadup("rules", "test").exit_code == 0
    assert leadup("status").exit_code == 4


def test_what_else_is_wrong_with_a_connection_is_said_without_its_secrets_too(here: Path) -> None:
    with (here / "leadup.toml").open("a", encoding="utf-8") as file:
        file.write('\n[connections.crm]\ntype = "hubspot"\nbase_ulr = "http://localhost"\n')
    result = leadup("rules", "check")
    assert result.exit_code == 4
    assert "base_ulr is not a setting" in result.stderr


def test_a_setting_that_is_a_list_is_asked_for_as_one(here: Path) -> None:
    with (here / "leadup.toml").open("a", encoding="utf-8") as file:
        file.write('\n[connections.crm]\ntype = "hubspot"\nread = "contacts"\n')
    assert 'connections.crm.read: write a list: read = ["..."].' in leadup("rules", "check").stderr
