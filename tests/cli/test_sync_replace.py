"""``leadup sync AUDIENCE --replace`` and what ``leadup status`` says of a list at its vendor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from installation import GRANTED, Installation, event, installed

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
segments:
  watched: {when: {did: video, within: 30d}, activate: [google_ads, hubspot]}
"""
KEY = "google_ads/audience/watched"
LIST = "leadup: watched"
PEOPLE = ("ada", "bob")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path) as one:
        one.rules(RULES)
        happened = [
            event(f"e-{who}", "video_progress", "2026-03-01T11:00:00Z", email=f"{who}@example.com", consent=GRANTED)
            for who in PEOPLE
        ]
        one.drop(happened)
        one.sync("2026-03-01T12:00:00Z")
        one.settle("2026-03-01T13:00:00Z")
        yield one


def removals(site: Installation) -> int:
    return sum("removeAll" in request.path for request in site.google.weather.log)


def test_it_says_what_it_means_and_does_it_once_it_may(site: Installation) -> None:
    asked = site.cli("sync", KEY, "--replace", now="2026-03-01T20:00:00Z")
    assert asked.exit_code == 1, "nobody said yes"
    assert f"{KEY}: 2 members are ours" in asked.output
    assert "not known" not in asked.output
    before = site.google.members(LIST)
    done = site.cli("sync", KEY, "--replace", "--yes", now="2026-03-01T20:00:00Z")
    assert done.exit_code == 0, done.output
    shown = site.cli("status", now="2026-03-01T20:00:00Z").output
    assert "is being replaced since 2026-03-01T20:00:00Z" in shown
    assert removals(site) == 0
    site.settle("2026-03-01T21:00:00Z")
    assert removals(site) == 1
    assert site.google.members(LIST) == before
    assert "is being replaced" not in site.cli("status").output


def test_status_shows_how_big_the_list_is_there_and_whether_it_serves(site: Installation) -> None:
    site.settle("2026-03-01T20:00:00Z")
    google = next(one for one in site.status()["audiences"] if one["target"] == KEY)
    assert google["size"]["members"]["search_network"] == len(PEOPLE)
    assert google["size"]["serves"] == "no: it takes 100 active members"
    shown = site.cli("status").output
    assert "at the vendor" in shown
    assert "CONTACT_ID" in shown


@pytest.mark.parametrize(
    ("named", "says"),
    [((), "one audience"), (("watched",), "one audience"), (("hubspot/audience/watched",), "hubspot can not replace")],
)
def test_it_is_for_one_audience_of_a_vendor_that_can(site: Installation, named: tuple[str, ...], says: str) -> None:
    refused = site.cli("sync", *named, "--replace", "--yes", now="2026-03-01T20:00:00Z")
    assert refused.exit_code not in (0, 1)
    assert says in refused.output
    assert removals(site) == 0
