"""``leadup rules try``: a file of records is judged as one whole."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from leadup.cli import main
from leadup.insights.rehearsal import PAGE, try_rules
from leadup.records import read_jsonl
from leadup.rules.loader import load_text
from leadup.types import Event, Identifier, Kind

AT = datetime(2026, 3, 15, 12, tzinfo=UTC)
BOUGHT = """
version: 1
macro_conversions:
  bought: {event: purchase}
segments:
  buyers: {when: {did: bought}}
  others: {when: {did_not: bought}}
  fresh: {when: {did: bought, within: 14d}}
"""
LINE = b'{"name": "purchase", "at": "%s", "identifiers": {"user_id": "u1"}}\n'


def event(id_: str, name: str = "page_view", **identifiers: str) -> Event:
    who = tuple(Identifier(Kind(kind), value) for kind, value in identifiers.items())
    return Event(source="try", id=id_, name=name, at=AT, identifiers=who)


def members(answer: dict[str, Any], segment: str) -> list[str]:
    return [member["person"] for member in answer["segments"][segment]["members"]]


def test_a_revision_counts_alone_however_far_behind_it_stands() -> None:
    program = load_text(BOUGHT).program
    first = event("e1", "purchase", user_id="mistaken", client_id="c1")
    between = [event("e2", client_id="c2")] + [event(f"v{n}", user_id="u0") for n in range(PAGE)]
    revised = event("e1", "purchase", user_id="u1", client_id="c2")

    answer = try_rules(program, [first, *between, revised], AT)

    assert members(answer, "buyers") == ["u1"]
    assert members(answer, "others") == ["u0"]  # and neither "mistaken" nor c1, whom nobody names any longer
    assert answer["people"] == 2


# ---------------------------------------------------------------- the command


def rules_try(folder: Path, events: bytes, at: str = "2026-03-15T12:00:00Z") -> Result:
    (folder / "rules.yaml").write_text(BOUGHT, encoding="utf-8")
    (folder / "events.jsonl").write_bytes(events)
    return CliRunner().invoke(
        main, ["rules", "try", str(folder / "rules.yaml"), str(folder / "events.jsonl"), "--at", at, "--json"]
    )


def test_an_event_file_may_be_gzipped(tmp_path: Path) -> None:
    result = rules_try(tmp_path, gzip.compress(LINE % b"2026-03-15T12:00:00Z"))

    assert result.exit_code == 0
    assert json.loads(result.stdout)["segments"]["fresh"]["members"] == [
        {"person": "u1", "until": "2026-03-29T12:00:00Z"}
    ]


def test_half_a_gzipped_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    result = rules_try(tmp_path, gzip.compress(LINE % b"2026-03-15T12:00:00Z")[:-12])

    assert result.exit_code == 1
    assert "events.jsonl is a damaged gzip file" in result.stderr


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("2026-03-15", "has no time zone"),
        ("2026-03-15T12:00", "has no time zone"),
        ("yesterday", "is not an instant"),
        ("0001-01-01T00:00:00+14:00", "is not an instant"),
    ],
)
def test_an_instant_that_is_none_is_answered_with_one_that_is(tmp_path: Path, at: str, reason: str) -> None:
    result = rules_try(tmp_path, b"", at)

    assert result.exit_code == 2
    assert f"'{at}' {reason}; write date, time and zone, e.g. 2026-03-01T12:00:00Z" in result.stderr


def test_a_window_may_reach_past_the_last_year_there_is(tmp_path: Path) -> None:
    result = rules_try(tmp_path, LINE % b"9999-12-31T00:00:00Z", "9999-12-31T12:00:00Z")

    assert json.loads(result.stdout)["segments"]["fresh"]["members"] == [{"person": "u1", "until": None}]


def test_a_placeholder_of_an_event_id_names_no_occurrence() -> None:
    rules = "version: 1\nmacro_conversions:\n  bought: {event: purchase}\nsegments:\n"
    rules += "  twice: {when: {did: bought, at_least: 2}}\n"
    lines = [
        json.dumps(
            {
                "id": str(day),
                "name": "purchase",
                "at": f"2026-03-0{day}T00:00:00Z",
                "identifiers": {"user_id": "u1"},
                "properties": {"event_id": "undefined"},
            }
        ).encode()
        for day in (1, 2)
    ]
    records, _ = read_jsonl(lines, source="try", place="events.jsonl")
    answer = try_rules(load_text(rules).program, records, datetime(2026, 3, 10, tzinfo=UTC))
    assert [member["person"] for member in answer["segments"]["twice"]["members"]] == ["u1"]
