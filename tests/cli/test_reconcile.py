"""``leadup reconcile``: what was judged, sent, accepted, processed and counted, from the state and from the vendor."""

from __future__ import annotations

import json
from typing import Any

import pytest

from installation import SETTINGS, Installation, event

NOW = "2026-03-08T12:00:00Z"
LATER = "2026-03-08T13:00:00Z"


def leads(site: Installation, *days: int, consent: bool = True) -> None:
    """One lead on each of these days of March, at noon."""
    who = "yes" if consent else "no"
    denied = {} if consent else {"consent": {"ad_user_data": "denied"}}
    noon = {day: f"2026-03-{day:02}T12:00:00Z" for day in days}
    site.drop(
        (event(f"{who}{d}", "generate_lead", at, email=f"{who}{d}@example.com", **denied) for d, at in noon.items()),
        f"leads-{who}.jsonl",
    )


def told(site: Installation, *arguments: str) -> dict[str, Any]:
    done = site.cli("reconcile", "google_ads", "--json", *arguments, now=LATER)
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_conversions_are_told_by_day_with_each_loss(site: Installation) -> None:
    leads(site, 6, 7, 8)
    leads(site, 7, consent=False)
    site.sync(NOW)
    site.settle(NOW)
    [demo] = told(site, "--action", "demo")["conversions"]
    assert demo["stages"] == {"judged": 4, "eligible": 3, "sent": 3, "accepted": 3, "processed": 3}
    assert [(day["day"], *day["stages"].values()) for day in demo["days"]] == [
        ("2026-03-06", 1, 1, 1, 1, 1),
        ("2026-03-07", 2, 1, 1, 1, 1),
        ("2026-03-08", 1, 1, 1, 1, 1),
    ]
    [loss] = demo["losses"]
    assert (loss["after"], loss["kind"], loss["rows"]) == ("judged", "unwanted", 1)
    assert "ad_user_data was denied" in loss["why"]
    assert demo["batches"]["progress"] == {"processed": 1}
    [latest] = told(site, "--action", "demo", "--days", "1")["conversions"]
    assert latest["stages"]["judged"] == 1


def test_what_the_vendor_says_of_failures_is_told_by_reason(site: Installation) -> None:
    leads(site, 6, 7, 8)
    site.google.weather.add(kind="reject", path="events", every=3, code="INVALID_GCLID")
    site.sync(NOW)
    site.settle(NOW)
    [demo] = told(site)["conversions"]
    assert demo["stages"]["accepted"] == 3
    assert demo["stages"]["processed"] == 0
    [loss] = demo["losses"]
    assert (loss["after"], loss["kind"], loss["code"], loss["rows"]) == ("accepted", "unknown", "INVALID_GCLID", 3)
    assert demo["batches"]["failed"] == {"INVALID_GCLID": 1}
    shown = site.cli("reconcile", "google_ads", now=LATER).output
    assert "the vendor's own counts: 3 rows in 1 batch (1 partial); failed: 1 x INVALID_GCLID" in shown


def test_losses_are_listed_by_person_and_key_and_without_personal_data(site: Installation) -> None:
    leads(site, 7, consent=False)
    site.sync(NOW)
    [demo] = told(site, "--losses")["conversions"]
    [row] = demo["rows"]
    assert row.keys() == {"key", "person", "day", "after", "kind", "code", "why"}
    assert (row["day"], row["after"]) == ("2026-03-07", "judged")
    shown = site.cli("reconcile", "google_ads", "--losses", now=LATER).output
    assert f"p{row['person']}" in shown
    assert row["key"] in shown
    assert "no7@example.com" not in shown + json.dumps(demo)


def test_an_audience_is_told_with_its_size_at_the_vendor(site: Installation) -> None:
    site.drop(
        [
            event("v0", "video_progress", "2026-03-07T12:00:00Z", user_id="u0"),
            event("v1", "video_progress", "2026-03-07T12:00:00Z", user_id="u1", email="u1@example.com"),
            event("v2", "video_progress", "2026-03-07T12:00:00Z", user_id="u2", email="u2@example.com"),
        ]
    )
    site.sync(NOW)
    site.settle(NOW)
    [watched] = told(site, "--audience", "watched")["audiences"]
    assert list(watched["stages"].values()) == [3, 2, 2, 2, 2, 2, 2]
    [loss] = watched["losses"]
    assert (loss["after"], loss["code"], loss["rows"]) == ("judged", "no_identifier", 1)
    assert watched["counted"]["total"] is None or watched["counted"]["total"] <= 2
    assert watched["counted"]["note"]
    assert told(site, "--audience", "watched", "--offline")["audiences"][0]["counted"]["note"] == "not asked"


def test_google_says_what_it_counted_where_its_ads_api_is_there(site: Installation) -> None:
    leads(site, 6, 7, 8)
    doors = site.google.doors()
    more = f'ads_url = "https://{doors["grpc_tls"]}"\nads_roots = "{doors["roots"]}"\n'
    (site.folder / "leadup.toml").write_text(SETTINGS + more, encoding="utf-8")
    site.sync(NOW)
    site.settle(NOW)
    [demo] = told(site, "--action", "demo", "--days", "2")["conversions"]
    assert demo["counted"]["total"] == 2, demo["counted"]
    assert "day of the click" in demo["counted"]["note"]
    assert [(day["day"], day["counted"]) for day in demo["days"]] == [("2026-03-07", 1), ("2026-03-08", 1)]


def test_a_vendor_that_does_not_answer_leaves_the_rest(site: Installation) -> None:
    leads(site, 8)
    site.sync(NOW)
    site.environment["LEADUP_GOOGLE_ADS_BASE_URL"] = "http://127.0.0.1:9"
    [demo] = told(site)["conversions"]
    assert demo["stages"]["sent"] == 1
    assert demo["counted"]["total"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nowhere",), 4, "There is no connection 'nowhere'."),
        (("google_ads", "--action", "dmeo"), 1, "No conversion 'dmeo' is sent to google_ads.\n  There are: demo."),
        (("google_ads", "--days", "0"), 2, "--days"),
    ],
)
def test_what_is_not_there_is_said(site: Installation, arguments: tuple[str, ...], code: int, said: str) -> None:
    site.sync(NOW)
    done = site.cli("reconcile", *arguments, now=LATER)
    assert done.exit_code == code
    assert said in done.output


def test_status_has_the_health_of_the_signal(site: Installation) -> None:
    leads(site, 6, 7, 8)
    site.sync(NOW)
    done = json.loads(site.cli("status", "--json", now=LATER).stdout)
    found = {one["name"]: one for one in done["signal_health"]}
    assert found["volume"]["number"] == 3
    assert (found["click_ids"]["number"], found["click_ids"]["verdict"]) == (0, "bad")
    assert found["upload_delay"]["unit"] == "seconds"
    assert found["micro_to_macro"]["of"] == "google_ads"
    shown = site.cli("status", now=LATER).output
    assert "signal health, 30 days" in shown
    assert "google_ads/conversion/demo: click_ids: see that landing pages keep gclid" in shown
