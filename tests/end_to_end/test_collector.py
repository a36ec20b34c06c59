"""Events sent to the daemon reach a destination, survive its end, and are seen in the status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collecting import SECRET, post
from installation import SETTINGS, Installation, Running, event, installed

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress, where: {percent: {gte: 75}}}
segments:
  seen: {when: {did: video, within: 30d}, activate: [hubspot]}
"""
COLLECTORS = """
[web]
listen = "127.0.0.1:0"

[connections.push]
type = "collector"

[connections.gtm]
type = "collector"
format = "gtm_server"
"""
SEEN = "leadup: seen"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path, SETTINGS.replace("pull_every = 0.3", "pull_every = 3600") + COLLECTORS) as installation:
        installation.rules(RULES)
        installation.environment |= {"LEADUP_PUSH_SECRET": SECRET, "LEADUP_GTM_SECRET": SECRET}
        yield installation


def url(daemon: Running) -> str:
    """Where the daemon listens."""
    found = re.search(r"event=collecting url=(\S+)", daemon.said())
    assert found is not None, daemon.said()
    return found[1]


def waiting(site: Installation) -> dict[str, int]:
    return {one["connection"]: one["waiting"] for one in site.status()["inbox"]}


def recently() -> str:
    return (datetime.now(UTC) - timedelta(minutes=1)).isoformat()


def test_what_is_sent_reaches_a_list_without_a_pull_in_between(site: Installation) -> None:
    ada = str(site.hubspot.add_contact(email="ada@example.com"))
    bob = str(site.hubspot.add_contact(email="bob@example.com"))
    with site.daemon() as daemon:
        daemon.wait_for(lambda: len(site.status()["sources"]) == 3, "the first pull is over")
        video = event("e1", "video_progress", recently(), properties={"percent": 80}, email="ada@example.com")
        assert post(f"{url(daemon)}/collect/push", [video, {"no": "event"}]).status == 204
        assert post(f"{url(daemon)}/collect/push", video).status == 204
        daemon.wait_for(lambda: site.hubspot.members(SEEN) == {ada}, "she is in the list")
        hit = {"event_name": "video_progress", "video_percent": "75", "client_id": "1.2"}
        body = {**hit, "user_data": {"email_address": "bob@example.com"}}
        assert post(f"{url(daemon)}/collect/gtm", body).status == 204
        daemon.wait_for(lambda: site.hubspot.members(SEEN) == {ada, bob}, "so is he, from a tag")
        daemon.wait_for(lambda: waiting(site) == {"push": 0, "gtm": 0}, "nothing waits")
        sources = {one["connection"]: (one["events"], one["rejected"]) for one in site.status()["sources"]}
        assert sources == {"push": (1, 1), "gtm": (1, 0), "site": (0, 0)}
        assert site.cli("sync").exit_code == 0
        code, took = daemon.end()
        assert (code, took) == (0, pytest.approx(0, abs=10))
        assert "job failed" not in daemon.said()
        assert "ada@example.com" not in daemon.said()
    (rejects,) = (site.folder / ".leadup" / "rejects").glob("push.csv")
    assert "'no' is not a key of an event" in rejects.read_text(encoding="utf-8")


def test_what_waits_is_shown_and_a_sync_without_a_daemon_reads_it(site: Installation) -> None:
    ada = str(site.hubspot.add_contact(email="ada@example.com"))
    settings = site.folder / "leadup.toml"
    settings.write_text(re.sub("tick_at_most_every = .*", "tick_at_most_every = 3600", settings.read_text()))
    with site.daemon() as daemon:
        daemon.wait_for(lambda: len(site.status()["sources"]) == 3, "the first pull is over")
        video = event("e1", "video_progress", recently(), properties={"percent": 80}, email="ada@example.com")
        assert post(f"{url(daemon)}/collect/push", video).status == 204
        daemon.end()
    assert waiting(site) == {"push": 1, "gtm": 0}
    assert re.search(r"push +1 +20\d\d-", site.cli("status").stdout)
    dry = site.cli("sync", "--dry-run")
    assert dry.exit_code == 0, dry.stderr
    assert waiting(site) == {"push": 1, "gtm": 0}, "a rehearsal takes nothing away"
    done = site.cli("sync")
    assert done.exit_code == 0, done.stderr
    assert site.hubspot.members(SEEN) == {ada}
    assert waiting(site) == {"push": 0, "gtm": 0}


def test_an_address_that_is_taken_ends_the_start_with_what_to_do(site: Installation) -> None:
    with site.daemon() as daemon:
        taken = url(daemon).removeprefix("http://")
        with installed(site.folder / "other", SETTINGS + COLLECTORS.replace("127.0.0.1:0", taken)) as other:
            other.rules(RULES)
            other.environment |= {"LEADUP_PUSH_SECRET": SECRET, "LEADUP_GTM_SECRET": SECRET}
            refused = other.run("run")
    assert refused.returncode == 4
    assert f"web.listen: {taken} can not be listened at" in refused.stderr


def test_without_a_secret_it_does_not_start(site: Installation) -> None:
    del site.environment["LEADUP_GTM_SECRET"]
    refused = site.cli("status")
    assert refused.exit_code == 4
    assert "connections.gtm.secret is missing" in refused.stderr
    assert "LEADUP_GTM_SECRET" in refused.stderr


def test_without_a_collector_nothing_listens(tmp_path: Path) -> None:
    with installed(tmp_path, SETTINGS) as site:
        site.rules(RULES)
        with site.daemon() as daemon:
            assert "event=collecting" not in daemon.said()
            assert site.status()["inbox"] == []
        assert not (tmp_path / ".leadup" / "inbox.db").exists()
