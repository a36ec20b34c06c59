"""Several connections to HubSpot in one installation: of two accounts, each of which has a contact 1501, or of one."""

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


# ---------------------------------------------------------------- two connections of one account


def test_two_connections_of_one_account_do_not_share_a_list(site: Installation) -> None:
    """The account tells that it is one: each connection has a token of its own."""
    second = "  priced: {when: {did: price, within: 60d}, activate: [{to: other, name: Hot}]}\n"
    rules = RULES.replace("[other]", "[{to: hubspot, name: Hot}]") + second
    site.rules(rules.replace("segments:", "  price: {event: page_view}\nsegments:"))
    connections(site, "portal_id = 4815162", "portal_id = 4815162")
    there = site.environment["LEADUP_HUBSPOT_BASE_URL"]
    site.environment |= {"LEADUP_OTHER_ACCESS_TOKEN": "pat-other", "LEADUP_OTHER_BASE_URL": there}
    ada = site.hubspot.add_contact("ada@example.com")
    site.drop(
        [event(f"e-{n}", n, "2026-03-01T11:00:00Z", email="ada@example.com") for n in ("video_progress", "page_view")]
    )
    done = site.cli("sync", now=NOW)
    assert done.exit_code == 1
    assert "hubspot/audience/watched is kept in that audience already (id 1)" in done.stderr
    assert "adopt" not in done.stderr
    assert site.hubspot.members("Hot") == {ada}
    site.rules(
        (site.folder / "rules" / "rules.yaml")
        .read_text(encoding="utf-8")
        .replace("other, name: Hot", "other, name: Warm")
    )
    assert site.cli("sync", now="2026-03-01T14:00:00Z").exit_code == 0
    assert site.cli("sync", now="2026-04-10T12:00:00Z").exit_code == 0
    assert (site.hubspot.members("Hot"), site.hubspot.members("Warm")) == (set(), {ada})


def test_one_list_is_not_named_for_two_audiences(site: Installation) -> None:
    connections(site, 'lists = {watched = "7", priced = "7"}', "portal_id = 1")
    refused = site.cli("sync", now=NOW)
    assert refused.exit_code == 4
    assert "leadup.toml: connections.hubspot.lists: watched and priced name one list, 7" in refused.stderr
