"""The second layer at the vendors: who is kept, who is held out, and what `explain` and `status` say of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from installation import Installation, event, installed

RULES = """\
version: 1
micro_conversions:
  pricing: {event: page_view, where: {path: /pricing}}
  video: {event: video_complete}
segments:
  hot: {when: {did: video, within: 2d}, activate: [hubspot]}
  warm: {when: {did: pricing, within: 1d}, stay_at_least: 3d, activate: [hubspot]}
groups: {nurture: [hot, warm]}
"""
WARM, HOT = "leadup: warm", "leadup: hot"
ADA = {"email": "ada@example.com"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path) as installation:
        installation.rules(RULES)
        yield installation


def look(at: str, key: str = "e1") -> dict[str, object]:
    return event(key, "page_view", at, properties={"path": "/pricing"}, **ADA)


def test_a_member_is_kept_for_three_days_and_explain_says_so(site: Installation) -> None:
    ada = site.hubspot.add_contact(**ADA)
    site.drop([look("2026-03-01T12:00:00Z")])
    site.sync("2026-03-01T13:00:00Z")
    site.sync("2026-03-04T12:59:59Z")
    assert site.hubspot.members(WARM) == {ada}, "her look is older than a day, but she entered less than three days ago"
    told = site.cli("explain", "ada@example.com", "warm", now="2026-03-04T12:59:59Z").stdout
    assert "warm: in since 2026-03-01T13:00:00Z" in told
    assert "kept until 2026-03-04T13:00:00Z by stay_at_least" in told
    assert "next: goes out at 2026-03-04T13:00:00Z" in told
    site.sync("2026-03-04T13:00:00Z")
    assert site.hubspot.members(WARM) == set()


def test_staying_delays_nobody_on_the_way_to_an_earlier_segment_of_the_group(site: Installation) -> None:
    ada = site.hubspot.add_contact(**ADA)
    site.drop([look("2026-03-01T12:00:00Z")], "1.jsonl")
    site.sync("2026-03-01T13:00:00Z")
    site.drop([event("e2", "video_complete", "2026-03-01T14:00:00Z", **ADA)], "2.jsonl")
    site.sync("2026-03-01T14:00:01Z")
    assert (site.hubspot.members(HOT), site.hubspot.members(WARM)) == ({ada}, set())
    told = site.cli("explain", "ada@example.com", "warm", now="2026-03-01T15:00:00Z").stdout
    assert "an earlier segment of the group has the person" in told
    site.sync("2026-03-03T14:00:00Z")
    assert (site.hubspot.members(HOT), site.hubspot.members(WARM)) == (set(), set()), "she looked two days ago"
    answer = json.loads(site.cli("explain", "ada@example.com", "--json", now="2026-03-03T14:00:00Z").stdout)
    assert [line["what"] for line in answer["segments"]["warm"]["history"]] == ["entered", "left"]


def test_a_tenth_is_held_out_and_every_page_says_so(site: Installation) -> None:
    site.rules(RULES.replace("stay_at_least: 3d", "holdout: {name: warm_q1, percent: 40}"))
    crowd = {f"v{i}@example.com": site.hubspot.add_contact(email=f"v{i}@example.com") for i in range(25)}
    site.drop(
        [
            event(f"e{i}", "page_view", "2026-03-01T12:00:00Z", properties={"path": "/pricing"}, email=address)
            for i, address in enumerate(crowd)
        ]
    )
    site.sync("2026-03-01T13:00:00Z")
    sent = site.hubspot.members(WARM)
    out = {address for address, contact in crowd.items() if contact not in sent}
    assert 0 < len(out) < 25

    status = site.status()
    [audience] = [one for one in status["audiences"] if one["target"] == "hubspot/audience/warm"]
    assert audience["waterfall"] == {
        "holds": 25,
        "identifier": 25,
        "consent": 25,
        "not held out": 25 - len(out),
        "accepted": 25 - len(out),
    }
    assert status["holdouts"] == [{"holdout": "warm_q1", "held_out": len(out), "sent": 25 - len(out), "mixed": 0}]
    preview = json.loads(site.cli("rules", "preview", "warm", "--json", now="2026-03-01T14:00:00Z").stdout)
    assert preview["targets"][0]["waterfall"]["not held out"] == 25 - len(out)
    assert preview["targets"][0]["changes"] == {}

    for address in crowd:
        told = site.cli("explain", address, "warm", now="2026-03-01T14:00:00Z").stdout
        assert "warm: in since" in told, "who is held out is in the segment all the same"
        assert ("held out by warm_q1 since 2026-03-01T13:00:00Z" in told) == (address in out)

    for day in (2, 3, 4):  # they come again and again; the lot stays
        site.drop(
            [
                event(f"e{day}-{i}", "page_view", f"2026-03-0{day}T12:00:00Z", properties={"path": "/pricing"}, email=a)
                for i, a in enumerate(crowd)
            ],
            f"{day}.jsonl",
        )
        site.sync(f"2026-03-0{day}T13:00:00Z")
        assert site.hubspot.members(WARM) == sent
