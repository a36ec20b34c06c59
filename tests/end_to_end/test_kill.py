"""``kill -9`` at random instants of imports, syncs and daemons, over and over, until the work is done: every event is
in the log once, and both vendors hold what they would hold had nothing happened."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crash_scene import DENIED, RULES, WATCHED, address, hashed
from sqlalchemy import select

from installation import GRANTED, SETTINGS, Installation, event, installed
from leadup.state.tables import outbox
from leadup_connectors.google_ads.sandbox.rows import identifiers, rows_of

PEOPLE = 240
BATCHES = (
    SETTINGS.replace("[connections.hubspot]\n", "[connections.hubspot]\nchunk_size = 6\n").replace(
        "terms_accepted = true\n", "terms_accepted = true\nbatch_members = 6\nbatch_events = 6\n"
    )
    + '\n[connections.export]\ntype = "files"\npath = "export/*.jsonl"\npage_size = 10\n'
)
"""Small pages and batches, so that there is more to be interrupted in than ten kills leave time for."""


class Crowd:
    """Invented people, whose events are known: who they are decides what they do."""

    def __init__(self) -> None:
        self.names = [f"p{n}" for n in range(PEOPLE)]
        self.began = datetime.now(UTC) - timedelta(days=2)

    @staticmethod
    def requests(who: str) -> bool:
        return int(who[1:]) % 3 == 0

    @staticmethod
    def denies(who: str) -> bool:
        return int(who[1:]) % 5 == 0

    def events(self) -> Iterator[dict[str, Any]]:
        for n, who in enumerate(self.names):
            at = (self.began + timedelta(seconds=n)).isoformat()
            known = {"consent": DENIED if self.denies(who) else GRANTED, "user_id": who, "email": address(who)}
            yield event(f"v-{who}", "video_progress", at, **known)
            yield event(f"d-{who}", "deal_won", at, properties={"amount": 100 + n, "currency": "EUR"}, **known)
            if self.requests(who):
                yield event(f"r-{who}", "generate_lead", at, **known)

    def check(self, site: Installation, contacts: dict[str, str]) -> None:
        """Compare the log and both vendors with what these people did."""
        ids = [record["id"] for record in self.events()]
        app = site.app()
        with app.store.read() as connection:
            logged = [key for batch in app.log.read(connection) for key in batch["id"].to_pylist()]
            states = set(connection.scalars(select(outbox.c.state).where(outbox.c.done_us.is_(None))))
            failed = list(connection.scalars(select(outbox.c.detail).where(outbox.c.state == "failed")))
        app.store.close()
        assert sorted(logged) == sorted(ids)
        assert states == set()
        assert failed == []
        members = {who for who in self.names if not self.requests(who)}
        granted = {who for who in self.names if not self.denies(who)}

        hubspot = site.hubspot
        assert hubspot.members(WATCHED) == {contacts[who] for who in members}
        changes = {(m["contact"], m["verb"]): m["times"] for m in hubspot.state()["memberships"]}
        changes = {key: times for key, times in changes.items() if "redundant" not in key[1]}
        assert changes == {(contacts[who], "join"): 1 for who in members}, "each was truly added once, nobody removed"
        intents = {who: hubspot.contact(contacts[who]).get("leadup_intent") for who in self.names}
        assert intents == {who: "49" if self.requests(who) else "39" for who in self.names}

        google = site.google
        assert google.members(WATCHED) == {hashed(who) for who in members & granted}
        asked = [one for one in google.account.accepted.values() if one.verb == "leave"]
        assert not [key for one in asked for row in rows_of(one.message)[1] for key in identifiers(row)]
        for action, reported in (("7001", dict.fromkeys(granted - members, 288.0)), ("7002", self._deals(granted))):
            found = google.conversions(action).values()
            assert sorted((c["identifiers"][0], c["value"], c["count"], len(c["history"])) for c in found) == sorted(
                (hashed(who), value, 1, 1) for who, value in reported.items()
            )

    @staticmethod
    def _deals(who: set[str]) -> dict[str, float]:
        return {name: 100.0 + int(name[1:]) for name in who}


class Watch:
    """How far the work is, seen as anybody could see it."""

    def __init__(self, site: Installation) -> None:
        assert site.cli("status").exit_code == 0, "the state is there now"
        self._site = site
        self._state = sqlite3.connect(f"file:{site.folder / '.leadup' / 'state.db'}?mode=ro", uri=True)

    def events(self) -> int:
        """Events that are committed."""
        return int(self._state.execute("select coalesce(sum(events), 0) from sources").fetchone()[0])

    def requests(self) -> int:
        """Requests that the vendors have answered."""
        return len(self._site.hubspot.weather.log) + len(self._site.google.weather.log)

    def close(self) -> None:
        self._state.close()


def killed(site: Installation, reached: Callable[[], bool], pause: float, *command: str) -> bool:
    """Start a command and kill it a little after something is reached; return whether it still lived then."""
    with site.running(*command) as process:
        deadline = time.monotonic() + 120
        while not reached() and process.process.poll() is None:
            assert time.monotonic() < deadline, f"nothing happens:\n{process.said()}"
            time.sleep(0.002)
        time.sleep(pause)
        lived = process.process.poll() is None
        code, _ = process.end(signal.SIGKILL)
        assert code == (-signal.SIGKILL if lived else 0), process.said()
        return lived


def kills(watch: Watch, crowd: Crowd, chance: random.Random) -> Iterator[tuple[str, Callable[[], bool], float]]:
    """Ten commands: what each has to reach before it is killed, and the seconds it has left then."""
    everything = sum(1 for _ in crowd.events())
    for _ in range(4):
        events = watch.events() + chance.randrange(1, 60)
        yield "import", lambda events=events: watch.events() >= events, chance.random() / 20
    yield "sync", lambda: watch.events() >= everything, chance.random() / 5  # while it judges, or soon after
    for command, requests in zip(
        ("sync", "sync", "run", "run", "run"), sorted(chance.sample(range(100), 5)), strict=True
    ):
        enough = max(requests, watch.requests() + 1)
        yield command, lambda enough=enough: watch.requests() >= enough, chance.random() / 20


def finish(site: Installation) -> None:
    """Let all that is left be done, and Google work off what it took."""
    assert site.sync(datetime.now(UTC)).errors == {}
    site.settle(datetime.now(UTC) + timedelta(hours=1))


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 7))])
def test_kills_at_random_instants_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    crowd, chance = Crowd(), random.Random(seed)
    with installed(tmp_path, BATCHES) as site:
        site.rules(RULES)
        site.google.polls = 0
        contacts = {who: site.hubspot.add_contact(email=address(who)) for who in crowd.names}
        export = site.folder / "export" / "all.jsonl"
        export.parent.mkdir()
        export.write_text("".join(json.dumps(record) + "\n" for record in crowd.events()), encoding="utf-8")
        with closing(Watch(site)) as watch:
            for kind, reached, pause in kills(watch, crowd, chance):
                command = ("events", "import", str(export), "--as", "export") if kind == "import" else (kind,)
                assert killed(site, reached, pause, *command), f"{kind} had no work left to be killed at"
                sys.stdout.write(f"{kind} killed after {watch.events()} events, {watch.requests()} requests\n")
        finish(site)
        crowd.check(site, contacts)
