"""``leadup rules preview``: what the rules on disk would make of a segment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from leadup.cli import main

RULES = "version: 1\nmicro_conversions:\n  seen: {{event: page_view}}\nsegments:\n  back: {{when: {{did: seen, {}}}}}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADUP_CONFIG", raising=False)
    monkeypatch.setenv("LEADUP_NOW", "2026-03-10T00:00:00Z")
    for folder in ("rules", "events"):
        (tmp_path / folder).mkdir()
    (tmp_path / "leadup.toml").write_text('[connections.shop]\ntype = "files"\npath = "events"\n', encoding="utf-8")
    views = [("u1", 1), ("u2", 5), ("u2", 6), ("u3", 8), ("u3", 9), ("u3", 9)]
    lines = [
        {"id": str(n), "name": "page_view", "at": f"2026-03-0{day}T00:00:00Z", "identifiers": {"user_id": user}}
        for n, (user, day) in enumerate(views)
    ]
    (tmp_path / "events" / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def rules(test: str) -> None:
    Path("rules", "a.yaml").write_text(RULES.format(test), encoding="utf-8")


def preview(*more: str) -> Any:
    result = CliRunner().invoke(main, ["rules", "preview", "back", "--json", *more])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    return [answer[key] for key in ("members", "joins", "leaves")], {
        (one["known_by"], one["what"]) for one in answer["sample"]
    }


def test_who_would_join_leave_and_stay() -> None:
    rules("at_least: 2")
    assert CliRunner().invoke(main, ["sync"]).exit_code == 0
    assert preview() == ([2, 0, 0], {("user_id:u2", "stays"), ("user_id:u3", "stays")})
    rules("at_most: 2")
    edited = {("user_id:u1", "joins"), ("user_id:u2", "stays"), ("user_id:u3", "leaves")}
    assert preview() == ([2, 1, 1], edited)
    assert preview() == ([2, 1, 1], edited), "a preview changes nothing"
    assert preview("--sample", "0") == ([2, 1, 1], set())
