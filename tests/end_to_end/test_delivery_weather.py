"""Bad weather at the vendors: nothing is lost, nothing is doubled, one vendor's trouble is not another's, and each
refusal is told where a person looks."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from installation import SETTINGS, Installation, event, installed
from leadup.clock import parse_instant
from leadup.outgoing import Change, Receipt, RemoteTarget
from leadup_connectors.hubspot.destination import HubSpotDestination

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
macro_conversions:
  requested: {event: generate_lead, value: 288 EUR}
segments:
  watched:
    when: {all: [{did: video, within: 30d}, {did_not: requested, within: 14d}]}
    activate: [hubspot, google_ads]
properties:
  leadup_intent: {score: intent, activate: [hubspot]}
scores:
  intent: {half_life: 7d, points: {video: 40}}
conversions:
  demo: {on: requested, activate: [google_ads]}
"""
QUICK = SETTINGS.replace("[connections.hubspot]\n", "[connections.hubspot]\npause = 0.01\n")
"""Vendors are asked again sooner than in real life."""
IMPATIENT = {
    "hubspot": ("[connections.hubspot]\n", "read_timeout = 1\n"),
    "google_ads": ("[connections.google_ads]\n", "timeout = 1\n"),
}
"""What gives a vendor up sooner than in real life. Only where it hangs: a busy machine makes anybody wait."""
WATCHED = "leadup: watched"
HUBSPOT, GOOGLE = "hubspot/audience/watched", "google_ads/audience/watched"
NOON, SOON, LATER = "2026-03-01T12:00:00Z", "2026-03-01T12:00:30Z", "2026-03-01T12:10:00Z"
NEXT_DAY, DAY_AFTER = "2026-03-02T12:00:00Z", "2026-03-03T12:00:00Z"
DENIED = {"ad_user_data": "denied", "ad_personalization": "denied"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path, QUICK) as installation:
        installation.hubspot.limits.interval = 0.05
        installation.rules(RULES)
        yield installation


def lose_patience(site: Installation, vendor: str) -> None:
    head, line = IMPATIENT[vendor]
    file = site.folder / "leadup.toml"
    file.write_text(file.read_text(encoding="utf-8").replace(head, head + line), encoding="utf-8")


def ada_watches(site: Installation) -> str:
    site.drop([event("e1", "video_progress", "2026-03-01T11:00:00Z", email="ada@example.com")], "1.jsonl")
    return str(site.hubspot.add_contact(email="ada@example.com"))


def ada_requests(site: Installation, **more: Any) -> None:
    request = event("e2", "generate_lead", "2026-03-02T11:00:00Z", email="ada@example.com", **more)
    site.drop([request], "2.jsonl")


def joined_once(site: Installation, contact: str) -> bool:
    """Whether the contact came into the list once, however often that was asked for."""
    times = {m["verb"]: m["times"] for m in site.hubspot.state()["memberships"] if m["contact"] == contact}
    return bool(times.get("join") == 1 and site.hubspot.members(WATCHED) == {contact})


def target(site: Installation, key: str) -> dict[str, Any]:
    status = site.status()
    everything = [*status["audiences"], *status["conversions"], *status["properties"]]
    return next(one for one in everything if one["target"] == key)


WEATHERS = [
    {"kind": "rate_limit"},
    {"kind": "rate_limit", "retry_after": 60},
    {"kind": "fail", "status": 500},
    {"kind": "fail", "status": 502},
    {"kind": "hang"},
    {"kind": "lose_answer"},
]
IDS = ["429", "429 with Retry-After", "500", "502 from a proxy", "hang", "lost answer"]


@pytest.mark.parametrize("weather", WEATHERS, ids=IDS)
@pytest.mark.parametrize("vendor", ["hubspot", "google_ads"])
def test_weather_delays_and_changes_nothing(site: Installation, vendor: str, weather: dict[str, Any]) -> None:
    ada = ada_watches(site)
    struck, path, key = {
        "hubspot": (site.hubspot, "memberships/add", HUBSPOT),
        "google_ads": (site.google, "audienceMembers:ingest", GOOGLE),
    }[vendor]
    struck.weather.add(**weather, path=path, times=-1)
    if weather["kind"] == "hang":
        lose_patience(site, vendor)
    synced = site.sync(NOON)
    assert list(synced.errors) == [key], "the others had good weather"
    site.settle(NOON)
    assert bool(site.google.members(WATCHED)) == (vendor == "hubspot" or weather["kind"] == "lose_answer")
    assert site.hubspot.contact(ada)["leadup_intent"]
    shown = target(site, key)
    assert synced.errors[key].splitlines()[0] in shown["error"]
    assert shown["rows"] == {"pending": 1}

    struck.weather.clear()
    asked = len(struck.weather.log)
    site.sync(NOON)
    assert [r for r in struck.weather.log[asked:] if path in r.path] == [], "the vendor is given time"
    site.sync(LATER)
    site.settle(LATER)
    assert joined_once(site, ada)
    assert len(site.google.members(WATCHED)) == 1
    assert (target(site, HUBSPOT)["error"], target(site, GOOGLE)["error"]) == (None, None)

    ada_requests(site)
    site.sync(NEXT_DAY)
    site.settle(NEXT_DAY)
    assert site.hubspot.members(WATCHED) == set(), "she is ours to remove, however her join was answered"
    assert site.google.members(WATCHED) == frozenset()


def test_retry_after_is_kept_to_the_second(site: Installation) -> None:
    ada = ada_watches(site)
    site.hubspot.weather.add(kind="rate_limit", path="memberships/add", retry_after=3600)
    site.sync(NOON)
    site.sync("2026-03-01T12:59:59Z")
    assert site.hubspot.members(WATCHED) == set()
    site.sync("2026-03-01T13:00:00Z")
    assert site.hubspot.members(WATCHED) == {ada}


def test_a_short_lost_answer_is_made_good_within_the_call_and_the_member_stays_ours(site: Installation) -> None:
    ada = ada_watches(site)
    site.hubspot.weather.add(kind="lose_answer", path="memberships/add")
    assert not site.sync(NOON).errors
    assert joined_once(site, ada)
    ada_requests(site)
    site.sync(NEXT_DAY)
    assert site.hubspot.members(WATCHED) == set()


@pytest.mark.parametrize("then", [{"kind": "expire_token"}, {"kind": "fail", "status": 403}, {"kind": "rate_limit"}])
def test_a_member_whose_join_may_have_arrived_is_taken_out_whatever_came_between(
    site: Installation, then: dict[str, Any]
) -> None:
    """The answer to a join is lost; its next try is refused without being done; then she leaves the segment."""
    ada = ada_watches(site)
    site.hubspot.weather.add(kind="lose_answer", path="memberships/add", times=3)
    site.sync(NOON)
    assert site.hubspot.members(WATCHED) == {ada}
    site.hubspot.weather.add(**then, path="memberships/add", times=3)
    site.sync(LATER)
    site.hubspot.weather.clear()
    ada_requests(site)
    site.sync(NEXT_DAY)
    assert site.hubspot.members(WATCHED) == set()


@pytest.mark.parametrize("vendor", ["hubspot", "google_ads"])
def test_an_expired_token_is_told_with_what_to_do_and_all_goes_on_once_it_is_good(
    site: Installation, vendor: str
) -> None:
    ada = ada_watches(site)
    struck, key = {"hubspot": (site.hubspot, HUBSPOT), "google_ads": (site.google, GOOGLE)}[vendor]
    struck.weather.add(kind="expire_token", times=-1)
    told = site.cli("sync", now=NOON)
    assert told.exit_code == 1
    assert f"{key}: " in told.stderr
    assert "What to do: " in told.stderr
    assert "What to do: " in target(site, key)["error"]
    struck.weather.clear()

    waits = site.cli("sync", now=SOON)
    assert waits.exit_code == 1, "that nothing was tried is not a success"
    assert f"{key}: waits until 2026-03-01T13:00:00Z" in waits.stderr
    assert f"`leadup sync {vendor}` tries now" in waits.stderr
    assert site.cli("sync", vendor, now=SOON).exit_code == 0
    site.settle(LATER)
    assert joined_once(site, ada)
    assert len(site.google.members(WATCHED)) == 1
    assert target(site, key)["error"] is None


def test_an_expired_token_is_tried_again_by_itself_after_an_hour(site: Installation) -> None:
    ada = ada_watches(site)
    site.hubspot.weather.add(kind="expire_token", times=-1)
    site.sync(NOON)
    asked = len(site.hubspot.weather.log)
    site.sync("2026-03-01T12:59:00Z")
    assert len(site.hubspot.weather.log) == asked
    site.hubspot.weather.clear()
    assert not site.sync("2026-03-01T13:00:00Z").errors
    assert joined_once(site, ada)


def test_of_a_batch_with_a_refused_row_the_others_arrive_and_it_has_its_own_reason(site: Installation) -> None:
    people = [f"v{i}@example.com" for i in range(5)]
    site.drop(
        event(f"e{i}", "generate_lead", "2026-03-01T11:00:00Z", user_id=f"u{i}", email=email)
        for i, email in enumerate(people)
    )
    site.google.weather.add(kind="reject", path="events:ingest", every=3, code="INVALID_CURRENCY_CODE")
    site.sync(NOON)
    site.settle(LATER)
    arrived = site.google.conversions("7001")
    assert [one["count"] for one in arrived.values()] == [1] * 4
    demo = target(site, "google_ads/conversion/demo")
    assert demo["rows"] == {"failed": 1}
    [reason] = demo["reasons"]
    assert (reason["code"], reason["rows"]) == ("INVALID_CURRENCY_CODE", 1)
    told = {i: site.cli("explain", f"u{i}", now=LATER).stdout for i in range(5)}
    assert [i for i, text in told.items() if "INVALID_CURRENCY_CODE" in text] == [2]
    site.sync(NEXT_DAY)
    site.settle(NEXT_DAY)
    assert site.google.conversions("7001") == arrived, "a refused row is not tried until something changes"


def test_rows_that_fail_while_they_are_worked_off_are_told_by_count(site: Installation) -> None:
    site.drop(
        event(f"e{i}", "video_progress", "2026-03-01T11:00:00Z", user_id=f"u{i}", email=f"v{i}@example.com")
        for i in range(4)
    )
    site.google.weather.add(kind="reject", path="audienceMembers:ingest", every=4, code="INVALID_FORMAT")
    site.sync(NOON)
    site.settle(LATER)
    assert len(site.google.members(WATCHED)) == 3
    shown = target(site, GOOGLE)
    assert shown["rows"] == {"uncertain": 4}
    assert "of the 4 rows of this batch 1 failed: 1 x INVALID_FORMAT" in shown["reasons"][0]["detail"]


@pytest.mark.parametrize(("status", "exit_code"), [(404, 1), (400, 0)])
def test_who_has_to_leave_gets_out_though_the_call_goes_astray_once(
    site: Installation, status: int, exit_code: int
) -> None:
    ada = ada_watches(site)
    site.sync(NOON)
    assert site.hubspot.members(WATCHED) == {ada}
    deny = event("e3", "page_view", NOON, email="ada@example.com", consent={"email_marketing": "denied"})
    site.drop([deny], "deny.jsonl")
    site.hubspot.weather.add(kind="fail", status=status, path="/memberships/add-and-remove", times=1)
    tried = site.cli("sync", now=LATER)
    assert tried.exit_code == exit_code, tried.output
    assert ("What to do: see whether base_url of connection 'hubspot'" in tried.stderr) == (exit_code == 1)
    told = site.cli("explain", "ada@example.com", now=LATER).stdout
    assert "leave later" in " ".join(told.split())
    assert site.hubspot.members(WATCHED) == {ada}
    site.sync("2026-03-01T13:30:00Z")
    assert site.hubspot.members(WATCHED) == set()


def test_a_vendor_that_is_not_there_is_named_with_what_to_do_and_google_goes_on(
    site: Installation,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
    good = site.environment["LEADUP_HUBSPOT_BASE_URL"]
    site.environment["LEADUP_HUBSPOT_BASE_URL"] = nowhere
    ada = ada_watches(site)
    told = site.cli("sync", now=NOON)
    assert told.exit_code == 1
    assert f"{HUBSPOT}: HubSpot ({nowhere}) did not answer" in told.stderr
    assert "What to do: " in told.stderr
    site.settle(LATER)
    assert len(site.google.members(WATCHED)) == 1
    site.environment["LEADUP_HUBSPOT_BASE_URL"] = good
    assert site.cli("sync", "hubspot", now=SOON).exit_code == 0
    assert joined_once(site, ada)


class Mistaken:
    """A destination with a mistake in it: it acts, and then fails at reading the answer."""

    def __init__(self, good: HubSpotDestination) -> None:
        self._good = good
        self.can, self.prepare, self.address = good.can, good.prepare, good.address

    def deliver(self, to: RemoteTarget, batch: Sequence[Change]) -> Sequence[Receipt]:
        self._good.deliver(to, batch)
        raise KeyError("ada@example.com")


def test_a_mistake_in_one_connector_is_its_own_trouble_and_quotes_nobody(site: Installation) -> None:
    ada = ada_watches(site)
    app = site.app()
    app.destinations["hubspot"] = Mistaken(app.destinations["hubspot"])
    synced = app.sync(parse_instant(NOON))
    app.store.close()
    assert "Unexpected KeyError in deliver (" in synced.errors[HUBSPOT]
    assert "What to do: report this" in synced.errors[HUBSPOT]
    assert "ada@" not in str(synced.errors) + str(target(site, HUBSPOT))
    site.settle(LATER)
    assert len(site.google.members(WATCHED)) == 1
    site.sync("2026-03-01T13:00:00Z")
    assert joined_once(site, ada)
    ada_requests(site)
    site.sync(NEXT_DAY)
    assert site.hubspot.members(WATCHED) == set()


def test_a_vendor_that_can_not_say_what_became_of_a_batch_is_not_asked_without_end(site: Installation) -> None:
    ada_watches(site)
    site.sync(NOON)
    site.google.weather.add(kind="rate_limit", path="requestStatus", retry_after=60, times=-1)
    app = site.app()
    for second in range(10, 40):
        app.poll(parse_instant(f"2026-03-01T12:00:{second}Z"))
    app.store.close()
    asked = [r for r in site.google.weather.log if "requestStatus" in r.path]
    assert len(asked) == 1
    site.google.weather.clear()
    site.settle(LATER)
    assert target(site, GOOGLE)["rows"] == {}


def test_consent_that_is_withdrawn_while_the_vendor_is_away_keeps_the_row_here(site: Installation) -> None:
    site.google.weather.add(kind="fail", path="events:ingest", times=-1)
    ada_requests(site)
    site.sync(NEXT_DAY)
    site.google.weather.clear()
    site.drop([event("e3", "page_view", "2026-03-02T12:05:00Z", email="ada@example.com", consent=DENIED)], "3.jsonl")
    site.sync(DAY_AFTER)
    site.settle(DAY_AFTER)
    assert site.google.conversions("7001") == {}
    assert "ad_user_data was denied" in site.cli("explain", "ada@example.com", now=DAY_AFTER).stdout
