"""The whole flow in small: what a user would see first, and what must never happen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from installation import Installation, event, installed

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress, where: {percent: {gte: 75}}, same_within: 6h}
  pricing: {event: page_view, where: {path: /pricing}}
macro_conversions:
  requested: {event: generate_lead, value: 288 EUR, same_within: 10m}
  deal: {event: deal_won, value: {property: amount, currency: currency}}
scores:
  intent: {half_life: 7d, points: {video: 40, pricing: 10}, tiers: {warm: 20, hot: 60}}
segments:
  watched:
    when: {all: [{did: video, within: 30d}, {did_not: requested, within: 14d}]}
    activate: [hubspot, google_ads]
properties:
  leadup_intent: {score: intent, activate: [hubspot]}
  leadup_tier: {tier: intent, activate: [hubspot]}
conversions:
  demo: {on: requested, activate: [google_ads]}
  won: {on: deal, activate: [google_ads]}
"""
WATCHED = "leadup: watched"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path) as installation:
        installation.rules(RULES)
        yield installation


def settle(site: Installation, at: str) -> None:
    """Let Google work off what it took, and hear of it."""
    site.google.settle()
    app = site.app()
    from leadup.clock import parse_instant

    app.poll(parse_instant(at), force=True)
    app.store.close()


def test_a_visitor_joins_converts_and_leaves(site: Installation) -> None:
    ada = site.hubspot.add_contact(email="ada@example.com")
    who = {"user_id": "u1", "email": "Ada@Example.com"}
    site.drop([event("e1", "video_progress", "2026-03-01T12:00:00Z", properties={"percent": 80}, **who)], "1.jsonl")
    site.sync("2026-03-01T13:00:00Z")
    settle(site, "2026-03-01T14:00:00Z")
    assert site.hubspot.members(WATCHED) == {ada}
    assert len(site.google.members(WATCHED)) == 1

    site.drop([event("e2", "generate_lead", "2026-03-02T12:00:00Z", **who)], "2.jsonl")
    site.sync("2026-03-02T12:00:01Z")
    settle(site, "2026-03-02T13:00:00Z")
    assert site.hubspot.members(WATCHED) == set()
    assert site.google.members(WATCHED) == frozenset()
    [(transaction, reported)] = site.google.conversions("7001").items()
    assert (reported["value"], reported["currency"], reported["count"]) == (288.0, "EUR", 1)

    site.sync("2026-03-16T12:00:00Z")
    settle(site, "2026-03-16T13:00:00Z")
    assert site.hubspot.members(WATCHED) == {ada}, "fourteen days without a request bring her back, to the second"
    assert list(site.google.conversions("7001")) == [transaction]


def test_a_score_is_written_in_whole_points_and_its_tier_by_name(site: Installation) -> None:
    ada = site.hubspot.add_contact(email="ada@example.com")
    video = event("e1", "video_progress", "2026-03-01T12:00:00Z", properties={"percent": 80}, email="ada@example.com")
    site.drop([video])
    site.sync("2026-03-01T12:00:00Z")
    assert (site.hubspot.contact(ada)["leadup_intent"], site.hubspot.contact(ada)["leadup_tier"]) == ("40", "warm")
    site.sync("2026-03-08T12:00:00Z")
    assert (site.hubspot.contact(ada)["leadup_intent"], site.hubspot.contact(ada)["leadup_tier"]) == ("20", "warm")


def test_a_deal_is_reported_with_its_own_amount_and_restated_when_it_is_corrected(site: Installation) -> None:
    deal = event(
        "d1", "deal_won", "2026-03-01T12:00:00Z", properties={"amount": "12400.50", "currency": "EUR"}, email="a@b.co"
    )
    site.drop([deal], "1.jsonl")
    site.sync("2026-03-01T12:00:01Z")
    settle(site, "2026-03-01T13:00:00Z")
    [(transaction, reported)] = site.google.conversions("7002").items()
    assert reported["value"] == 12400.5

    site.drop([{**deal, "properties": {"amount": 9000, "currency": "EUR"}}], "2.jsonl")
    site.sync("2026-03-02T12:00:00Z")
    settle(site, "2026-03-02T13:00:00Z")
    [(again, restated)] = site.google.conversions("7002").items()
    assert (again, restated["value"], restated["count"]) == (transaction, 9000.0, 1)


@pytest.mark.parametrize("consent", [{}, {"ad_user_data": "granted", "ad_personalization": "denied"}])
def test_nobody_reaches_google_without_consent(site: Installation, consent: dict[str, str]) -> None:
    ada = site.hubspot.add_contact(email="ada@example.com")
    video = event(
        "e1",
        "video_progress",
        "2026-03-01T12:00:00Z",
        properties={"percent": 80},
        consent=consent,
        email="ada@example.com",
    )
    site.drop([video])
    site.sync("2026-03-01T13:00:00Z")
    assert site.hubspot.members(WATCHED) == {ada}, "HubSpot needs no consent of its own"
    assert not [request for request in site.google.weather.log if "audienceMembers" in request.path]


def test_withdrawn_consent_takes_the_member_out_at_once(site: Installation) -> None:
    who = {"email": "ada@example.com"}
    video = event("e1", "video_progress", "2026-03-01T12:00:00Z", properties={"percent": 80}, **who)
    site.drop([video], "1.jsonl")
    site.sync("2026-03-01T13:00:00Z")
    settle(site, "2026-03-01T14:00:00Z")
    assert len(site.google.members(WATCHED)) == 1
    no = {"ad_user_data": "denied", "ad_personalization": "denied"}
    site.drop([event("e2", "page_view", "2026-03-02T12:00:00Z", consent=no, **who)], "2.jsonl")
    site.sync("2026-03-02T12:00:00Z")
    settle(site, "2026-03-02T13:00:00Z")
    assert site.google.members(WATCHED) == frozenset()


def test_a_merge_after_delivery_moves_nobody_at_the_vendors(site: Installation) -> None:
    """A visitor known by a client id and an e-mail logs in: two persons become one, and nothing is sent for it."""
    site.hubspot.add_contact(email="ada@example.com")
    percent = {"percent": 80}
    site.drop(
        [
            event("e1", "video_progress", "2026-03-01T12:00:00Z", properties=percent, email="ada@example.com"),
            event("e2", "video_progress", "2026-03-01T12:00:00Z", properties=percent, user_id="u1"),
        ],
        "1.jsonl",
    )
    site.sync("2026-03-01T13:00:00Z")
    settle(site, "2026-03-01T14:00:00Z")
    before = len(site.hubspot.weather.log), len(site.google.weather.log)
    members = site.hubspot.members(WATCHED), site.google.members(WATCHED)
    site.drop([event("e3", "login", "2026-03-02T12:00:00Z", user_id="u1", email="ada@example.com")], "2.jsonl")
    site.sync("2026-03-02T12:00:01Z")
    settle(site, "2026-03-02T13:00:00Z")
    assert (site.hubspot.members(WATCHED), site.google.members(WATCHED)) == members
    changes = [
        request.path
        for log, seen in zip((site.hubspot.weather.log, site.google.weather.log), before, strict=True)
        for request in log[seen:]
        if "memberships" in request.path or "audienceMembers" in request.path
    ]
    assert changes == []


def test_too_many_leaves_are_held_until_somebody_accepts_the_plan(site: Installation) -> None:
    for i in range(30):
        site.hubspot.add_contact(email=f"v{i}@example.com")
    percent = {"percent": 80}
    visits = [
        event(f"e{i}", "video_progress", "2026-03-01T12:00:00Z", properties=percent, email=f"v{i}@example.com")
        for i in range(30)
    ]
    site.drop(visits, "1.jsonl")
    site.sync("2026-03-01T13:00:00Z")
    assert len(site.hubspot.members(WATCHED)) == 30

    refused = site.run("sync", "watched", now="2026-04-15T12:00:00Z")
    assert refused.returncode == 9, refused.stderr
    assert "30 of 30 members would leave (100%); the limit is 30%" in refused.stderr
    assert len(site.hubspot.members(WATCHED)) == 30, "nothing left the house"

    accepted = site.run("sync", "hubspot", "--accept", "max_leave", now="2026-04-15T12:05:00Z")
    assert accepted.returncode == 0, accepted.stderr
    assert site.hubspot.members(WATCHED) == set()


def test_a_dry_run_shows_the_plan_and_keeps_nothing(site: Installation) -> None:
    site.hubspot.add_contact(email="ada@example.com")
    video = event("e1", "video_progress", "2026-03-01T12:00:00Z", properties={"percent": 80}, email="ada@example.com")
    site.drop([video])
    shown = site.run("sync", "--dry-run", now="2026-03-01T13:00:00Z")
    assert shown.returncode == 0, shown.stderr
    assert "hubspot/audience/watched" in shown.stdout
    assert "1 join" in shown.stdout
    assert {each.method for each in site.hubspot.weather.log} == {"GET"}, "the list is looked for"
    assert '"people": 0' in site.run("status", "--json").stdout


def test_members_that_somebody_else_added_are_never_removed(site: Installation) -> None:
    ada = site.hubspot.add_contact(email="ada@example.com")
    who = {"email": "ada@example.com"}
    site.hubspot.add_list(WATCHED)
    list_id = next(iter(site.hubspot.state()["lists"]))["listId"]
    import requests

    added = requests.put(
        f"{site.environment['LEADUP_HUBSPOT_BASE_URL']}/crm/v3/lists/{list_id}/memberships/add",
        json=[ada],
        headers={"Authorization": "Bearer pat-test"},
        timeout=60,
    )
    assert added.status_code == 200
    site.drop([event("e1", "video_progress", "2026-03-01T12:00:00Z", properties={"percent": 80}, **who)], "1.jsonl")
    site.sync("2026-03-01T13:00:00Z")
    site.drop([event("e2", "generate_lead", "2026-03-02T12:00:00Z", **who)], "2.jsonl")
    site.sync("2026-03-02T12:00:01Z")
    assert site.hubspot.members(WATCHED) == {ada}
