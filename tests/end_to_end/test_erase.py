"""Erasure end to end: two vendors, real files on disk, and a look at every byte that is left."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from installation import Installation, event, installed
from leadup.state.tables import metadata

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
macro_conversions:
  requested: {event: generate_lead, value: 288 EUR}
scores:
  intent: {half_life: 3650d, points: {video: 40}}
segments:
  watched:
    when: {did: video, within: 300d}
    activate: [hubspot, google_ads]
properties:
  leadup_intent: {score: intent, activate: [hubspot]}
conversions:
  demo: {on: requested, activate: [google_ads]}
"""
WATCHED = "leadup: watched"
ADA, BOB = "ada@example.com", "bob@example.com"
NOON = "2026-03-01T12:00:00Z"
AFTER = "2026-03-01T13:00:00Z"
LATE = "2026-03-01T23:00:00Z"
TRACES = ("ada@example", hashlib.sha256(ADA.encode()).hexdigest(), "user-ada", "browser-ada", "gclid-ada", "+491701")
"""What would tell of her: plain or hashed, at rest or in a log."""


def records(name: str, mail: str) -> list[dict[str, Any]]:
    """What one visitor does, over weeks, so that it lies in files of many days."""
    who = {"user_id": f"user-{name}", "client_id": f"browser-{name}"}
    early = [
        event(f"{name}-{day}", "page_view", f"2026-02-{day:02}T09:00:00Z", client_id=f"browser-{name}")
        | {"click_ids": {"gclid": f"gclid-{name}-{day}"}}
        for day in range(1, 20)
    ]
    return [
        *early,
        event(f"{name}-v", "video_progress", "2026-03-01T09:00:00Z", email=mail, **who),
        event(f"{name}-l", "generate_lead", "2026-03-01T10:00:00Z", email=mail, **who),
    ]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path) as site:
        site.rules(RULES)
        site.contacts = {mail: site.hubspot.add_contact(email=mail) for mail in (ADA, BOB)}  # type: ignore[attr-defined]
        site.drop([*records("ada", ADA), *records("bob", BOB)], "all.jsonl")
        (site.folder / "events" / "bad.jsonl").write_text(
            '{"name": "x", "identifiers": {"user_id": "user-ada"}}\n{"name": "x", "identifiers": {"user_id": "b"}}\n'
        )
        site.sync(NOON)
        site.settle(NOON)
        app = site.app()
        app.log.compact(0, keep_days=0, tail_rows=0)  # all of it into files
        app.store.close()
        yield site


def traces(site: Installation) -> dict[str, list[str]]:
    """In which files of the state which traces of her are, byte by byte."""
    found = {}
    for path in sorted((site.folder / ".leadup").rglob("*")):
        if path.is_file() and (seen := [trace for trace in TRACES if trace.encode() in _bytes(path)]):
            found[path.name] = seen
    return found


def _bytes(path: Path) -> bytes:
    if path.suffix != ".parquet":
        return path.read_bytes()
    import pyarrow.parquet as pq

    return str(pq.read_table(path).to_pylist()).encode()


def tables(site: Installation) -> dict[str, str]:
    """Every table, as text."""
    app = site.app()
    with app.store.read() as connection:
        rows = {
            table.name: json.dumps([list(row) for row in connection.execute(select(table))], default=str)
            for table in metadata.sorted_tables
        }
    app.store.close()
    return rows


def finish(site: Installation) -> dict[str, Any]:
    """Let the vendors work, and go on with all requests; return the last one's receipt."""
    site.settle(LATE)
    site.sync(LATE)
    site.settle(LATE)
    site.sync(LATE)
    receipt: dict[str, Any] = json.loads(site.cli("people", "erasures", "--json").stdout)[-1]
    return receipt


def test_nothing_of_her_is_left_and_all_of_him(site: Installation) -> None:
    assert traces(site), "she is there before"
    before = site.cli("people", "show", "user-bob", "--json").stdout, site.cli("explain", "user-bob", now=LATE).stdout
    asked = site.cli("people", "erase", ADA, "--yes", now=AFTER)
    assert asked.exit_code == 0, asked.output
    assert "present" in asked.output
    assert "events: 21" in asked.output
    assert ADA not in asked.output
    assert site.hubspot.members(WATCHED) == {site.contacts[BOB]}  # type: ignore[attr-defined]
    receipt = finish(site)
    assert receipt["state"] == "done", receipt
    assert {one["target"]: one["outcome"] for one in receipt["audiences"]} == {
        "google_ads/audience/watched": "processed",
        "hubspot/audience/watched": "confirmed",
    }
    assert site.google.members(WATCHED) == {hashlib.sha256(BOB.encode()).hexdigest()}
    assert traces(site) == {}
    assert not [name for name, rows in tables(site).items() if any(trace in rows for trace in TRACES)]
    after = site.cli("people", "show", "user-bob", "--json").stdout, site.cli("explain", "user-bob", now=LATE).stdout
    assert after == before
    said = site.cli("explain", ADA)
    assert said.exit_code == 1
    assert said.output.startswith("Whom this told was erased on request 1; nothing else is known.")


def test_what_is_read_again_stays_out(site: Installation) -> None:
    site.cli("people", "erase", "user-ada", "--yes", now=AFTER)
    site.drop(records("ada", ADA), "again.jsonl")
    receipt = finish(site)
    assert receipt["state"] == "done"
    [source] = [one for one in site.status()["sources"] if one["connection"] == "site"]
    assert source["suppressed"] == 21
    assert traces(site) == {}
    assert site.hubspot.members(WATCHED) == {site.contacts[BOB]}  # type: ignore[attr-defined]
    lifted = site.cli("people", "lift", "1")
    assert lifted.exit_code == 0, lifted.output
    site.drop(records("ada", ADA), "once-more.jsonl")
    site.sync(LATE)
    assert site.hubspot.members(WATCHED) == set(site.contacts.values())  # type: ignore[attr-defined]


def test_a_vendor_that_can_not_answer_is_waited_for_in_sight(site: Installation) -> None:
    site.hubspot.weather.add(kind="fail", path="memberships/add-and-remove", times=-1, status=500)
    asked = site.cli("people", "erase", "-", "--kind", "email", "--yes", now=AFTER)
    assert asked.exit_code == 1, "nothing came on standard input"
    asked = site.cli("people", "erase", "user-ada", "--yes", "--json", now=AFTER)
    [receipt] = json.loads(asked.stdout)
    assert receipt["state"] == "leaving"
    assert any("hubspot/audience/watched" in wait for wait in receipt["waits_for"])
    assert site.status()["erasures"] == {"waiting": 1}


def test_it_works_beside_a_daemon(site: Installation) -> None:
    with site.daemon() as daemon:
        asked = site.run("people", "erase", ADA, "--yes")
        assert asked.returncode == 0, asked.stderr
        assert "erasure 1" in asked.stdout
        daemon.wait_for(lambda: site.hubspot.members(WATCHED) == {site.contacts[BOB]}, "she is out")  # type: ignore[attr-defined]
        assert ADA not in daemon.said()
