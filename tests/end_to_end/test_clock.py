"""A clock that is set back: nobody leaves, and no value is taken back, because a machine believes it is yesterday."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from leadup.cli import main

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
segments:
  watched: {when: {did: video, within: 30d}}
"""
SETTINGS = """\
[connections.shop]
type = "files"
path = "events"
"""
At = Callable[..., Result]


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> At:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADUP_CONFIG", raising=False)
    for folder in ("rules", "events"):
        (tmp_path / folder).mkdir()
    (tmp_path / "rules" / "a.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "leadup.toml").write_text(SETTINGS, encoding="utf-8")
    seen = {"id": "1", "name": "video_progress", "at": "2026-03-10T11:00:00Z", "identifiers": {"user_id": "u1"}}
    (tmp_path / "events" / "a.jsonl").write_text(json.dumps(seen) + "\n", encoding="utf-8")

    def run(instant: str, *arguments: str) -> Result:
        monkeypatch.setenv("LEADUP_NOW", f"2026-03-{instant}Z")
        return CliRunner().invoke(main, arguments)

    return run


def member(result: Result) -> Any:
    return json.loads(result.stdout)["members"]


def test_an_hour_back_nothing_is_judged_until_a_person_says_so(at: At) -> None:
    assert at("10T12:00:00", "sync").exit_code == 0
    for arguments in (("sync",), ("rules", "preview", "watched", "--json")):
        refused = at("10T10:30:00", *arguments)
        assert refused.exit_code == 6
        assert "The clock says 2026-03-10 10:30:00 UTC, and people were judged at 2026-03-10 12:00:00" in refused.stderr
        assert "leadup sync --accept clock" in refused.stderr
    assert member(at("10T12:00:01", "rules", "preview", "watched", "--json")) == 1

    assert at("10T10:30:00", "sync", "--accept", "clock").exit_code == 0
    assert at("10T10:31:00", "sync").exit_code == 0


def test_a_small_step_back_is_not_noticed(at: At) -> None:
    assert at("10T11:00:01", "sync").exit_code == 0
    assert at("10T10:58:00", "sync").exit_code == 0
    assert member(at("10T10:59:00", "rules", "preview", "watched", "--json")) == 1
