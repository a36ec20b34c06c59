"""Ten syncs, and between them what people do by hand in HubSpot: none of it is undone behind their backs.

Members added by hand stay. A member of ours whom somebody takes out stays out, until a repair is asked for. A renamed
list is followed. A merged contact is in the list once, and leaves it by the contact that is left. A value written by
hand stays until ours changes.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest

from installation import SETTINGS, Installation, event
from leadup.clock import parse_instant

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
scores:
  intent: {half_life: 365d, points: {video: 40}, tiers: {warm: 20, hot: 60}}
segments:
  watched: {when: {did: video, within: 30d}, activate: [hubspot]}
properties:
  leadup_tier: {tier: intent, activate: [hubspot]}
"""
LIST, RENAMED = "leadup: watched", "Watched the video (sales)"
START: datetime = parse_instant("2026-03-08T12:00:00Z")
HOUR = timedelta(hours=1)
SOON = timedelta(minutes=30)


class Portal:
    """The account as people see it who work there, and the syncs that go on meanwhile."""

    def __init__(self, site: Installation) -> None:
        self.site, self.hubspot = site, site.hubspot
        self.ids: dict[str, str] = {}
        self.syncs = 0
        self.name = LIST

    def contact(self, who: str) -> str:
        """Create a contact."""
        self.ids[who] = self.hubspot.add_contact(f"{who}@example.com")
        return self.ids[who]

    def watches(self, who: str, before: timedelta) -> None:
        """Somebody watches the video, so long before the syncs begin."""
        at = f"{START - before:%Y-%m-%dT%H:%M:%SZ}"
        watched = event(f"{who}-{at}", "video_progress", at, email=f"{who}@example.com")
        self.site.drop([watched], f"{who}-{before}.jsonl")

    def sync(self) -> set[str]:
        """One more pass, an hour later, by the command line; return who is in the list then."""
        done = self.site.cli("sync", now=f"{START + self.syncs * HOUR:%Y-%m-%dT%H:%M:%SZ}")
        assert done.exit_code == 0, done.output
        self.syncs += 1
        return self.members

    @property
    def members(self) -> set[str]:
        """Who is in the list, by first name."""
        names = {contact: who for who, contact in self.ids.items()}
        return {names[contact] for contact in self.hubspot.members(self.name)}

    def tier(self, who: str) -> str:
        return str(self.hubspot.contact(self.ids[who]).get("leadup_tier", ""))

    def repair(self) -> str:
        now = f"{START + self.syncs * HOUR - SOON:%Y-%m-%dT%H:%M:%SZ}"
        done = self.site.cli("reconcile", "hubspot", "--repair", "--yes", now=now)
        assert done.exit_code == 0, done.output
        return done.output


@pytest.mark.parametrize("api", ["v3", "2026-03"])
def test_manual_edits_survive_ten_syncs(site: Installation, api: str) -> None:
    site.rules(RULES)
    text = SETTINGS.replace("[connections.hubspot]\n", f'[connections.hubspot]\napi = "{api}"\n')
    (site.folder / "leadup.toml").write_text(text, encoding="utf-8")
    portal = Portal(site)
    month = timedelta(days=30)
    for who, before in {
        "ada": HOUR,
        "bob": month - 8.5 * HOUR,  # he leaves with the tenth sync
        "cyd": HOUR,
        "dan": month - 5.5 * HOUR,  # and he with the seventh
    }.items():
        portal.contact(who)
        portal.watches(who, before)
    for who in ("eve", "fay", "bobby"):
        portal.contact(who)

    assert portal.sync() == {"ada", "bob", "cyd", "dan"}

    site.hubspot.put(LIST, portal.ids["eve"])
    assert portal.sync() == {"ada", "bob", "cyd", "dan", "eve"}, "who was added by hand stays"

    site.hubspot.rename_list(LIST, RENAMED)
    portal.name = RENAMED
    portal.contact("gus")
    portal.watches("gus", timedelta(minutes=-90))
    assert portal.sync() == {"ada", "bob", "cyd", "dan", "eve", "gus"}, "a renamed list is followed"

    site.hubspot.take(RENAMED, portal.ids["ada"])
    assert portal.sync() == {"bob", "cyd", "dan", "eve", "gus"}, "who was taken out by hand stays out"

    site.hubspot.merge(portal.ids["bobby"], portal.ids["bob"])
    assert portal.sync() == {"bobby", "cyd", "dan", "eve", "gus"}, "a merged contact is there once"

    assert portal.tier("cyd") == "warm"
    site.hubspot.set_property(portal.ids["cyd"], leadup_tier="vip", firstname="Cyd")
    assert portal.sync() == {"bobby", "cyd", "dan", "eve", "gus"}
    assert portal.tier("cyd") == "vip", "a value written by hand stays until ours changes"

    portal.watches("fay", timedelta(hours=-5.5))
    assert portal.sync() == {"bobby", "cyd", "eve", "fay", "gus"}, "our own changes go on: fay in, dan out"

    site.hubspot.put(RENAMED, portal.ids["dan"])
    portal.watches("cyd", timedelta(hours=-6.5))
    assert portal.sync() == {"bobby", "cyd", "dan", "eve", "fay", "gus"}, "dan is somebody else's member now"
    assert (portal.tier("cyd"), site.hubspot.contact(portal.ids["cyd"])["firstname"]) == ("hot", "Cyd")

    said = portal.repair()
    assert "1 confirmed, and not there any more: will be sent again" in said
    assert "1 there by other identifiers" in said
    assert portal.sync() == {"ada", "bobby", "cyd", "dan", "eve", "fay", "gus"}, "ada is back on request"

    assert portal.sync() == {"ada", "cyd", "dan", "eve", "fay", "gus"}, "bob leaves by the contact that is left"

    assert portal.syncs == 10
    assert [one["name"] for one in site.hubspot.state()["lists"]] == [RENAMED], "no second list"
    joined = Counter(one.contact for one in site.hubspot.asked if one.verb == "join")
    once = dict.fromkeys((portal.ids[who] for who in ("bob", "cyd", "dan", "fay", "gus")), 1)
    assert joined == {**once, portal.ids["ada"]: 2}
    said = site.cli("reconcile", "hubspot", "--json", now="2026-03-08T22:00:00Z").stdout
    assert '"missing": 0' in said
    assert '"others": 2' in said


def test_trap_whose_contact_was_merged_leaves_without_a_repair(site: Installation) -> None:
    site.rules(RULES)
    portal = Portal(site)
    for who in ("bob", "bobby", "cyd"):
        portal.contact(who)
    portal.watches("bob", timedelta(days=30) - 0.5 * HOUR)
    portal.watches("cyd", HOUR)
    assert portal.sync() == {"bob", "cyd"}
    site.hubspot.merge(portal.ids["bobby"], portal.ids["bob"])
    assert portal.members == {"bobby", "cyd"}
    assert portal.sync() == {"cyd"}
