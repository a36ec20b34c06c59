"""From GA4's export to a verdict and to Google Ads: real rows, read without change, and a property that is emulated."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from installation import SETTINGS, Installation, installed
from leadup.sandbox import Server
from leadup.state.tables import memberships
from leadup.types import to_us
from leadup_connectors.ga4.sandbox import GA4Sandbox

REAL = Path(__file__).parents[3] / "shared" / "data" / "ga4_events.ndjson"
RULES = """
version: 1
micro_conversions:
  paying: {event: page_view, where: {path: /payment.html, country: United States, session_engaged: 1}}
  pricing: {event: page_view, where: {path: {starts_with: /pricing}}}
  watched: {event: video_progress, where: {percent: {gte: 75}}}
  arrived: {event: first_visit, where: {visit_number: {lt: 2}, host: www.velir.com}}
segments:
  at_the_till: {when: {did: paying, within: 1d}}
  new_here: {when: {did: arrived, within: 1d}}
  keen:
    when: {all: [{did: pricing, at_least: 2, within: 7d}, {did: watched, within: 7d}]}
    activate: [google_ads]
"""


def members(site: Installation, at: str) -> dict[str, int]:
    """How many are in each segment after a pass."""
    site.sync(at)
    app = site.app()
    with app.store.read() as connection:
        found = connection.scalars(select(memberships.c.segment)).all()
    app.store.close()
    return {segment: found.count(segment) for segment in sorted(set(found))}


@pytest.mark.skipif(
    not REAL.is_file(), reason="the rows are not part of this repository: ../shared/data/ga4_events.ndjson"
)
def test_real_rows_are_read_without_change_and_judged(tmp_path: Path) -> None:
    settings = SETTINGS.replace(
        "[connections.site]", '[connections.web]\ntype = "ga4"\npath = "export/*.ndjson"\n\n[connections.site]'
    )
    with installed(tmp_path, settings=settings) as site:
        site.rules(RULES)
        (tmp_path / "export").mkdir()
        shutil.copy(REAL, tmp_path / "export")
        assert members(site, "2021-01-28T12:00:00Z") == {"at_the_till": 1}
        assert members(site, "2021-04-06T12:00:00Z") == {"new_here": 1}
        (source,) = [one for one in site.status()["sources"] if one["connection"] == "web"]
        assert (source["events"], source["rejected"]) == (2, 0)


def row(at: datetime, user: str, name: str, **parameters: Any) -> dict[str, Any]:
    listed = [
        {"key": key, "value": {"int_value" if isinstance(value, int) else "string_value": value}}
        for key, value in parameters.items()
    ]
    return {
        "event_timestamp": to_us(at),
        "event_name": name,
        "event_params": listed,
        "user_id": user,
        "user_pseudo_id": f"{user}.1700000000",
        "privacy_info": {"analytics_storage": "Yes", "ads_storage": "No" if user == "no" else "Yes"},
        "stream_id": "1",
    }


def visits(day: datetime, user: str) -> list[dict[str, Any]]:
    page = "https://shop.test/pricing?plan=pro"
    return [
        row(day + timedelta(hours=9), user, "page_view", page_location=page),
        row(day + timedelta(hours=10), user, "page_view", page_location=page),
        row(day + timedelta(hours=11), user, "video_progress", video_percent="75", page_location=page),
    ]


def test_a_property_reaches_google_ads(tmp_path: Path) -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC)
    emulator = GA4Sandbox()
    emulator.seed({"tables": {"20260301": [*visits(day, "u1"), *visits(day, "no"), *visits(day, "u2")[1:]]}})
    with Server(emulator) as server, installed(tmp_path) as site:
        site.rules(RULES)
        google = site.folder / "leadup.toml"
        google.write_text(
            f"""{SETTINGS}
key = "user_id"

[connections.web]
type = "ga4"
project = "shop"
dataset = "analytics_123456"
property_zone = "Europe/Berlin"
base_url = "{server.url}"
consent_from_ads_storage = "grants"
""".replace('conversion_actions = {demo = "7001", won = "7002"}\n', ""),
            encoding="utf-8",
        )
        assert members(site, "2026-03-02T06:00:00Z") == {"keen": 2}
        site.settle("2026-03-02T07:00:00Z")
        assert site.google.members("leadup: keen") == {"u1"}, "u2 looked once, and no said no"
        emulator.put_table("20260301", [*visits(day, "u1"), *visits(day, "no"), *visits(day, "u2")])
        assert members(site, "2026-03-03T06:00:00Z") == {"keen": 3}
        site.settle("2026-03-03T07:00:00Z")
        assert site.google.members("leadup: keen") == {"u1", "u2"}
        emulator.put_table("20260301", [*visits(day, "u1")[1:], *visits(day, "no"), *visits(day, "u2")])
        assert members(site, "2026-03-04T06:00:00Z") == {"keen": 2}, "the rewritten day took a visit of u1 back"
        site.settle("2026-03-04T07:00:00Z")
        assert site.google.members("leadup: keen") == {"u2"}
        shown = json.loads(site.cli("status", "--json", now="2026-03-04T08:00:00Z").stdout)
        (source,) = [one for one in shown["sources"] if one["connection"] == "web"]
        assert source["events"] == 8
