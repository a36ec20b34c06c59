"""A contact in HubSpot is kept up to date on what somebody does, beside people who write to it too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from installation import GRANTED, Installation, event, installed

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
  pricing: {event: page_view, where: {path: /pricing}}
segments:
  watching: {when: {did: video, within: 7d}, activate: [hubspot, google_ads]}
  comparing: {when: {did: pricing, within: 2d}}
properties:
  leadup_segments: {segments: [watching, comparing], activate: [hubspot]}
  leadup_last: {last: [video, pricing], activate: [hubspot]}
  leadup_last_at: {last_at: [video, pricing], activate: [hubspot]}
"""
LIST = "leadup: watching"
WHO: dict[str, Any] = {"email": "ada@example.com"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path) as installation:
        installation.rules(RULES)
        yield installation


def told(site: Installation, contact: str) -> tuple[str | None, ...]:
    known = site.hubspot.contact(contact)
    return tuple(known.get(name) or None for name in ("leadup_segments", "leadup_last", "leadup_last_at"))


def test_a_contact_is_briefed_and_cleared_but_for_what_people_wrote(site: Installation) -> None:
    ada = site.hubspot.add_contact(email="ada@example.com")
    video = event("e1", "video_progress", "2026-03-01T12:00:00Z", **WHO)
    site.drop([video, event("e2", "page_view", "2026-03-01T13:00:00Z", properties={"path": "/pricing"}, **WHO)])
    site.sync("2026-03-01T14:00:00Z")
    assert told(site, ada) == ("watching;comparing", "pricing", "2026-03-01T13:00:00.000Z")
    kinds = {name: site.hubspot.contact_property(name)["type"] for name in ("leadup_segments", "leadup_last_at")}
    assert kinds == {"leadup_segments": "enumeration", "leadup_last_at": "datetime"}

    late = event("e3", "video_progress", "2026-03-01T11:00:00Z", **WHO)
    site.drop([late], "late.jsonl")
    site.sync("2026-03-04T12:00:00Z")
    assert told(site, ada) == ("watching", "pricing", "2026-03-01T13:00:00.000Z")

    shown = site.cli("explain", "ada@example.com", now="2026-03-04T12:00:00Z").stdout
    assert "property hubspot/property/leadup_segments: watching stands there (present)" in shown
    assert "property hubspot/property/leadup_last: pricing stands there (present); leadup_last is pricing" in shown

    site.hubspot.set_property(ada, leadup_last="spoke to her at the fair")
    for number in (1, 2, 3):  # the source takes all of it back
        site.drop([event(f"e{number}", "nothing", "2026-03-01T12:00:00Z", **WHO)], f"back{number}.jsonl")
    site.sync("2026-03-04T13:00:00Z")
    assert told(site, ada) == (None, "spoke to her at the fair", None)


def test_a_segment_more_in_the_rules_is_a_box_more_in_hubspot(site: Installation) -> None:
    ada = site.hubspot.add_contact(email="ada@example.com")
    site.drop([event("e1", "video_progress", "2026-03-01T12:00:00Z", **WHO)])
    site.sync("2026-03-01T14:00:00Z")
    more = RULES.replace("[watching, comparing]", "[loyal, watching]")
    more = more.replace("  comparing:", "  loyal: {when: {did: video, within: 90d}}\n  comparing:")
    (site.folder / "edited.yaml").write_text(more, encoding="utf-8")
    said = json.loads(
        site.cli("rules", "diff", str(site.folder / "edited.yaml"), "--json", now="2026-03-01T15:00:00Z").stdout
    )
    changes = {one["target"]: one for one in said["targets"]}["hubspot/property/leadup_segments"]
    assert (changes["written"], changes["cleared"]) == (1, 0)
    site.rules(more)
    site.sync("2026-03-01T15:00:00Z")
    assert told(site, ada)[0] == "loyal;watching"
    boxes = [each["value"] for each in site.hubspot.contact_property("leadup_segments")["options"]]
    assert sorted(boxes) == ["comparing", "loyal", "watching"], "none is taken away"
    gone = more.replace("video, within: 90d", "pricing, within: 90d").replace(
        "video, within: 7d", "pricing, within: 7d"
    )
    (site.folder / "edited.yaml").write_text(gone, encoding="utf-8")
    shown = site.cli("rules", "diff", str(site.folder / "edited.yaml"), now="2026-03-01T15:00:00Z").stdout
    assert "hubspot/property/leadup_segments: 1 cleared" in shown


def test_an_opt_out_takes_out_of_hubspots_list_alone_and_the_ledger_says_why(site: Installation) -> None:
    site.hubspot.add_contact(email="ada@example.com")
    site.drop([event("e1", "video_progress", "2026-03-01T12:00:00Z", consent=GRANTED, **WHO)])
    site.sync("2026-03-01T13:00:00Z")
    site.settle("2026-03-01T14:00:00Z")
    assert (len(site.hubspot.members(LIST)), len(site.google.members(LIST))) == (1, 1)
    denied = {
        "person": {"email": "ada@example.com"},
        "at": "2026-03-02T12:00:00Z",
        "consent": {"email_marketing": "denied"},
    }
    site.drop([denied], "optout.jsonl")
    site.sync("2026-03-02T12:00:00Z")
    site.settle("2026-03-02T13:00:00Z")
    assert (len(site.hubspot.members(LIST)), len(site.google.members(LIST))) == (0, 1)
    shown = site.cli("explain", "ada@example.com", "watching", now="2026-03-02T13:00:00Z").stdout
    assert (
        "hubspot/audience/watching: does not stand there (absent); in the segment, but email_marketing was denied"
        in shown
    )
    assert "hubspot/audience/watching  leave confirmed" in shown
