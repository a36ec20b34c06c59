"""What ``leadup sync`` says of a vendor in trouble."""

from __future__ import annotations

from pathlib import Path

from installation import SETTINGS, event, installed

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
segments:
  watched: {when: {did: video, within: 30d}, activate: [hubspot]}
"""


def test_an_error_of_a_delivery_is_told_once(tmp_path: Path) -> None:
    with installed(tmp_path) as site:
        site.rules(RULES)
        site.drop([event("e1", "video_progress", "2026-03-01T11:00:00Z", email="ada@example.com")])
        site.hubspot.add_contact(email="ada@example.com")
        site.hubspot.weather.add(kind="fail", status=401, times=-1)
        done = site.cli("sync", now="2026-03-01T12:00:00Z")
        [said] = [line for line in done.output.splitlines() if "401" in line]
        assert said.startswith("hubspot/audience/watched: ")
        assert done.exit_code == 1


def test_a_source_that_never_could_be_read_shows_with_its_error(tmp_path: Path) -> None:
    unread = '[connections.old]\ntype = "ga4"\nproject = "p"\ndataset = "analytics_1"\nproperty_zone = "UTC"\n'
    unread += 'base_url = "http://127.0.0.1:9"\ntries = 1\n'
    with installed(tmp_path, SETTINGS + unread) as site:
        site.rules(RULES)
        done = site.cli("sync", now="2026-03-01T12:00:00Z")
        shown = {one["connection"]: one for one in site.status()["sources"]}
        assert "127.0.0.1:9" in done.output
        assert "127.0.0.1:9" in shown["old"]["error"]
        assert (shown["old"]["events"], shown["site"]["error"]) == (0, None)
