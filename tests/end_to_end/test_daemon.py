"""``leadup run`` as a real process against both emulators.

Conditions are waited for; the limits only tell a hang from a slow machine. Measured times are shown by ``pytest -rP``.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from installation import Installation, event, installed
from leadup.daemon import ask
from leadup.state.lease import lease
from leadup.state.tables import membership_log, requests

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
segments:
  hot: {when: {did: video, within: 5s}, activate: [hubspot, google_ads]}
  seen: {when: {did: video, within: 30d}, activate: [hubspot, google_ads]}
"""
WARM = "  warm: {when: {did: video, within: 60d}, activate: [hubspot]}\n"
HOT, SEEN = "leadup: hot", "leadup: seen"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path) as installation:
        installation.google.polls = 0
        installation.rules(RULES)
        yield installation


def watches(site: Installation, name: str, at: datetime | None = None) -> str:
    """Somebody watches the video at ``at`` (a minute ago); return her contact at HubSpot."""
    at = at or datetime.now(UTC) - timedelta(minutes=1)
    contact = str(site.hubspot.add_contact(email=f"{name}@example.com"))
    site.drop([event(f"e-{name}", "video_progress", at.isoformat(), email=f"{name}@example.com")], f"{name}.jsonl")
    return contact


def moves(site: Installation, segment: str) -> list[tuple[bool, datetime]]:
    app = site.app()
    query = select(membership_log).where(membership_log.c.segment == segment).order_by(membership_log.c.id)
    with app.store.read() as connection:
        rows = connection.execute(query).all()
    app.store.close()
    return [(row.entered, datetime.fromtimestamp(row.at_us / 1e6, UTC)) for row in rows]


def rows(site: Installation) -> set[str]:
    """The states of all rows of the outbox."""
    return {state for one in site.status()["audiences"] for state in one["rows"]}


def measured(what: str, seconds: float) -> None:
    sys.stdout.write(f"{what}: {seconds:.2f} s\n")


def effective(site: Installation) -> dict[tuple[str, str, str], int]:
    """How often each membership changed at HubSpot, by list, contact and verb; what was so before is left out."""
    changed = site.hubspot.state()["memberships"]
    return {(m["list"], m["contact"], m["verb"]): m["times"] for m in changed if "redundant" not in m["verb"]}


def joins_at_google(site: Installation) -> bool:
    return any(request.path.endswith("audienceMembers:ingest") for request in site.google.weather.log)


def test_a_file_reaches_both_and_a_window_ends_without_an_event(site: Installation) -> None:
    with site.daemon() as daemon:
        health = site.cli("status", "--health")
        assert (health.exit_code, health.stdout) == (0, "healthy: the daemon runs\n")
        at = datetime.now(UTC)
        ada = watches(site, "ada", at)
        took = daemon.wait_for(
            lambda: (HOT, ada, "join") in effective(site) and joins_at_google(site), "the file has reached both"
        )
        measured("from the file to both vendors", took)
        daemon.wait_for(lambda: (HOT, ada, "leave") in effective(site), "she has left HubSpot's list again")
        daemon.wait_for(
            lambda: len(site.google.members(SEEN)) == 1 and not site.google.members(HOT), "and Google's; seen stays"
        )
        assert effective(site) == {(HOT, ada, "join"): 1, (HOT, ada, "leave"): 1, (SEEN, ada, "join"): 1}
        (entered, _), (left, left_at) = moves(site, "hot")
        assert (entered, left) == (True, False)
        late = left_at - (at + timedelta(seconds=5))
        assert late >= timedelta(0), "she stays to the last moment of the window"
        measured("judged after the window ended", late.total_seconds())
        assert daemon.end() == (0, pytest.approx(0, abs=10))
    health = site.cli("status", "--health")
    assert (health.exit_code, health.stdout) == (10, "not healthy: no daemon holds this state\n")
    assert "event=stopped" in daemon.said()


def test_an_edit_goes_live_and_a_broken_one_keeps_the_old_rules(site: Installation) -> None:
    with site.daemon() as daemon:
        ada = watches(site, "ada")
        daemon.wait_for(lambda: site.hubspot.members(SEEN) == {ada}, "the file has reached HubSpot")
        site.rules(RULES.replace("activate", "actvate"))
        took = daemon.wait_for(lambda: site.status()["alert"], "the alert is shown")
        measured("from a broken edit to the alert", took)
        alert = site.status()["alert"]
        assert str(site.folder / "rules" / "rules.yaml") + ":5:41: " in alert
        assert "actvate" in alert
        assert "The rule files do not load; the last good ones are in use." in site.cli("status").stderr
        bob = watches(site, "bob")
        daemon.wait_for(lambda: site.hubspot.members(SEEN) == {ada, bob}, "the old rules still judge")
        site.rules(RULES + WARM)
        took = daemon.wait_for(lambda: site.hubspot.members("leadup: warm") == {ada, bob}, "the new segment is live")
        measured("from a good edit to its members at HubSpot", took)
        assert site.status()["alert"] is None
        assert 'event="rules changed"' in daemon.said()


def test_a_list_is_watched_and_a_broken_one_keeps_the_old_one(site: Installation) -> None:
    customers = site.folder / "rules" / "customers.csv"
    customers.write_text("email\nbob@example.com\n", encoding="utf-8")
    site.rules(
        RULES.replace("within: 30d}", "within: 30d}, exclude: [customers]")
        + "lists: {customers: {file: customers.csv, match: email}}\n"
    )
    with site.daemon() as daemon:
        ada, bob = watches(site, "ada"), watches(site, "bob")
        daemon.wait_for(lambda: site.hubspot.members(SEEN) == {ada}, "who is no customer has reached HubSpot")
        customers.write_text("email\n", encoding="utf-8")
        daemon.wait_for(lambda: site.status()["alert"], "the alert is shown")
        assert f"{customers}:1:1: No row has anything in column" in site.status()["alert"]
        carl = watches(site, "carl")
        daemon.wait_for(lambda: site.hubspot.members(SEEN) == {ada, carl}, "the old list still counts")
        customers.write_text("email\nada@example.com\n", encoding="utf-8")
        daemon.wait_for(lambda: site.hubspot.members(SEEN) == {bob, carl}, "the new list is live")
        assert site.status()["alert"] is None
        assert "ada@example.com" not in daemon.said()


def test_rules_that_were_mended_while_nobody_looked_raise_no_alert(site: Installation) -> None:
    with site.daemon() as daemon:
        site.rules("version: 1\nsegments: [")
        daemon.wait_for(lambda: site.status()["alert"], "the alert is shown")
        daemon.end()
    site.rules(RULES)
    with site.daemon():
        assert site.status()["alert"] is None


@pytest.mark.parametrize("vendor", ["hubspot", "google_ads"])
def test_a_stop_in_the_middle_of_a_delivery_loses_and_doubles_nothing(site: Installation, vendor: str) -> None:
    struck, path = {
        "hubspot": (site.hubspot, "memberships/add"),
        "google_ads": (site.google, "audienceMembers:ingest"),
    }[vendor]
    struck.weather.add(kind="hang", path=path, seconds=300, times=-1)
    with site.daemon() as daemon:
        ada = watches(site, "ada")
        daemon.wait_for(lambda: "sending" in rows(site), "a row is on its way")
        code, took = daemon.end()
        assert code == 0, daemon.said()
        assert took < 10
        measured("ended in the middle of a delivery", took)
        assert "stopped with work on its way; it will be sent again" in daemon.said()
    assert site.cli("status", "--health").exit_code == 10
    struck.weather.clear()
    with site.daemon() as daemon:
        daemon.wait_for(lambda: site.hubspot.members(SEEN) == {ada} and site.google.members(SEEN), "both have her")
        daemon.wait_for(lambda: not rows(site), "all is answered")
    assert effective(site) == {(SEEN, ada, "join"): 1}


def test_a_second_daemon_is_refused_and_one_that_stands_by_takes_over(site: Installation) -> None:
    with site.daemon() as first, site.running("run", "--standby") as second:
        refused = site.run("run")
        assert refused.returncode == 8
        assert f"`leadup run` holds this state (process {first.process.pid} on " in refused.stderr
        assert "What to do: stop it first, or work beside it" in refused.stderr
        second.wait_for(lambda: 'event="standing by"' in second.said(), "the second one stands by")
        assert first.process.poll() is None
        first.end(signal.SIGKILL)
        took = second.wait_for(lambda: "event=running" in second.said(), "the second one takes over")
        measured("from kill -9 of the first to the second one at work", took)
        ada = watches(site, "ada")
        second.wait_for(lambda: site.hubspot.members(SEEN) == {ada}, "the second one does the work")
        assert second.end()[0] == 0


def test_one_that_stands_by_ends_when_it_is_told_to(site: Installation) -> None:
    app = site.app()
    with lease(app.store, "leadup run"), site.running("run", "--standby") as waiting:
        waiting.wait_for(lambda: 'event="standing by"' in waiting.said(), "it stands by")
        assert waiting.end(signal.SIGINT) == (0, pytest.approx(0, abs=10))
    app.store.close()


def test_commands_work_beside_the_daemon(site: Installation) -> None:
    settings = site.folder / "leadup.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace("pull_every = 0.3", "pull_every = 3600"))
    with site.daemon() as daemon:
        pulled = daemon.wait_for(lambda: site.status()["sources"], "the first pull is over")
        measured("first pull", pulled)
        ada = watches(site, "ada")
        done = site.cli("sync", "--json")
        assert done.exit_code == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["pulled"]["site"]["new"] == 1
        assert (answer["judged"], answer["entered"], answer["errors"]) == (1, 1, {})
        sent = {one["target"]: one["outcomes"] for one in answer["delivered"]}
        assert sent["hubspot/audience/seen"] == {"confirmed": 1}
        assert sent["google_ads/audience/seen"] == {"accepted": 1}
        assert site.hubspot.members(SEEN) == {ada}

        unknown = site.cli("sync", "nobody")
        assert unknown.exit_code == 4
        assert "'nobody' is nothing that the rules send anywhere. There are: google_ads, hot, hubspot, seen." in (
            unknown.stderr
        )
        site.hubspot.weather.add(kind="expire_token", times=-1)
        watches(site, "bob")
        failed = site.cli("sync")
        assert failed.exit_code == 1
        assert "hubspot/audience/seen: HubSpot answered 401" in failed.stderr
        assert "What to do: make a service key in HubSpot" in failed.stderr
        site.hubspot.weather.clear()
        assert site.cli("sync", "hubspot").exit_code == 0

        at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
        site.hubspot.add_contact(email="eve@example.com")
        file = site.folder / "more.jsonl"
        file.write_text(json.dumps(event("e-eve", "video_progress", at, email="eve@example.com")) + "\n")
        imported = site.cli("events", "import", str(file), "--json")
        assert imported.exit_code == 0, imported.stderr
        assert json.loads(imported.stdout)["new"] == 1
        took = daemon.wait_for(lambda: len(site.hubspot.members(SEEN)) == 3, "the import has reached HubSpot")
        measured("from an import to HubSpot", took)
        assert daemon.process.poll() is None
        assert "job failed" not in daemon.said()


def test_a_guard_beside_the_daemon_ends_with_its_own_exit_code(site: Installation) -> None:
    people = [f"v{i}" for i in range(30)]
    at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    site.drop(event(f"e-{name}", "video_progress", at, email=f"{name}@example.com") for name in people)
    for name in people:
        site.hubspot.add_contact(email=f"{name}@example.com")
    with site.daemon() as daemon:
        daemon.wait_for(lambda: len(site.hubspot.members(SEEN)) == 30, "all have joined")
        site.rules(RULES.replace("seen: {when: {did: video, within: 30d}", "seen: {when: {did: video, within: 1s}"))
        daemon.wait_for(lambda: "guard holds" in daemon.said(), "a guard holds the leaves")
        held = site.cli("sync", "seen")
        assert held.exit_code == 9
        assert "30 of 30 members would leave (100%)" in held.stderr
        assert len(site.hubspot.members(SEEN)) == 30
        accepted = site.cli("sync", "hubspot", "--accept", "max_leave", "--json")
        assert accepted.exit_code == 0, accepted.stderr
        assert json.loads(accepted.stdout)["released"] == 30
        assert site.hubspot.members(SEEN) == set()


def test_whoever_asked_a_daemon_that_ends_is_told_so(site: Installation) -> None:
    site.google.weather.add(kind="hang", path="userLists", seconds=300, times=-1)
    with site.daemon() as daemon:
        watches(site, "ada")
        with site.running("sync") as asking:
            daemon.wait_for(lambda: state_of_requests(site) == ["running"], "the daemon works on the request")
            daemon.end(signal.SIGKILL)
            assert asking.process.wait(60) == 1
            assert "The daemon ended before this was done." in asking.said()
    site.google.weather.clear()
    with site.daemon():
        assert state_of_requests(site) == ["failed"]


def test_what_was_asked_of_an_earlier_daemon_is_not_done_by_a_later_one(site: Installation) -> None:
    app = site.app()
    ask(app, {"only": None, "accept": "max_leave", "who": "ada"}, datetime.now(UTC))
    app.store.close()
    with site.daemon():
        assert state_of_requests(site) == ["failed"]


def state_of_requests(site: Installation) -> list[str]:
    app = site.app()
    with app.store.read() as connection:
        states = list(connection.scalars(select(requests.c.state)))
    app.store.close()
    return states


def test_an_import_that_began_before_an_edit_misses_nothing_of_the_new_rules(site: Installation) -> None:
    app = site.app()
    app.go_live(app.rules, datetime.now(UTC))
    watches(site, "ada")
    site.rules(RULES.replace("version: 1", "version: 1\nmacro_conversions: {bought: {event: purchase}}") + WARM)
    assert site.cli("sync").exit_code == 0
    watches(site, "bob")
    errors = app.pull(datetime.now(UTC)).errors
    app.store.close()
    assert "another process has let the new rules go live" in errors["site"]
    assert len(site.hubspot.members("leadup: warm")) == 1
    assert site.cli("sync").exit_code == 0
    assert len(site.hubspot.members("leadup: warm")) == 2


def test_two_syncs_at_once_do_not_wait_for_each_other(site: Installation) -> None:
    app = site.app()
    with lease(app.store, "leadup sync"):
        refused = site.cli("sync")
    app.store.close()
    assert refused.exit_code == 8
    assert "`leadup sync` holds this state" in refused.stderr


def test_rules_that_do_not_load_at_the_start_are_refused_with_their_place(site: Installation) -> None:
    site.rules(RULES.replace("did: video", "did: vido", 1))
    refused = site.run("run")
    assert refused.returncode == 3
    assert "rules.yaml:5:21: " in refused.stderr
    assert site.cli("status", "--health").exit_code == 10
