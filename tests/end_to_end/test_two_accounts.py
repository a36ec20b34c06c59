"""Two accounts of HubSpot in one installation, each of which has a contact 1501."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from installation import SETTINGS, Installation, event
from leadup.sandbox import Server
from leadup_connectors.hubspot.sandbox import HubSpotSandbox

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
segments:
  watched: {when: {did: video, within: 30d}, activate: [other]}
"""
NOW = "2026-03-01T12:00:00Z"


@pytest.fixture
def other(site: Installation) -> Iterator[HubSpotSandbox]:
    """A second account, whose contact 1501 is somebody else."""
    site.rules(RULES)
    site.drop([event("e1", "video_progress", "2026-03-01T11:00:00Z", email="ada@example.com")])
    with Server(HubSpotSandbox(portal_id=222)) as server:
        site.environment |= {"LEADUP_OTHER_ACCESS_TOKEN": "pat-other", "LEADUP_OTHER_BASE_URL": server.url}
        assert site.hubspot.add_contact("ada@example.com") == server.sandbox.add_contact("zed@example.com")
        yield server.sandbox


def connections(site: Installation, hubspot: str, other: str) -> None:
    tables = f'[connections.hubspot]\n{hubspot}\n\n[connections.other]\ntype = "hubspot"\n{other}\n'
    settings = SETTINGS.replace("[connections.hubspot]\n", tables)
    Path(site.folder / "leadup.toml").write_text(settings, encoding="utf-8")


def test_two_accounts_that_are_not_told_apart_are_refused(site: Installation, other: HubSpotSandbox) -> None:
    connections(site, 'read = ["contacts"]', "")
    refused = site.cli("sync", now=NOW)
    assert refused.exit_code == 4
    assert "connections.hubspot and connections.other may be two HubSpot accounts" in refused.stderr
    assert f"{site.folder / 'leadup.toml'}: " in refused.stderr
    assert site.cli("rules", "check").exit_code == 0, "which connects to nothing"


def test_strangers_with_one_record_id_stay_two_people(site: Installation, other: HubSpotSandbox) -> None:
    connections(
        site,
        'read = ["contacts"]\nportal_id = 4815162\naccount_in_ids = true',
        'read = ["contacts"]\nportal_id = 222',
    )
    assert site.cli("sync", now=NOW).exit_code == 0
    said = [site.cli("explain", who, now=NOW).stdout for who in ("ada@example.com", "zed@example.com")]
    assert len({one.split()[0] for one in said}) == 2
    assert site.cli("explain", "4815162:1501", now=NOW).stdout == said[0]
    assert site.cli("explain", "1501", now=NOW).stdout == said[1]
    assert other.members("leadup: watched") == set(), "Ada is not there; Zed has watched nothing"
