"""A hundred thousand members and fifty thousand conversions, one in a hundred bad, in bad weather: every good one
arrives once, every bad one says why, Google is asked no more than it must be, and the process stays small."""

from collections import Counter
from pathlib import Path
from typing import Any

import bulk_scene as scene
import pytest
from sqlalchemy import func, select

from leadup.sandbox import Server
from leadup.state import open_store
from leadup.state.tables import ledger, outbox, standings
from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox

MEMBERS_A_REQUEST, EVENTS_A_REQUEST = 10_000, 2_000
MIB = 300
"""The most memory that the delivering process may take."""


@pytest.mark.parametrize(
    ("members", "sales"), [(2_000, 1_000), pytest.param(100_000, 50_000, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_all_good_rows_arrive_once_and_bad_ones_say_why(tmp_path: Path, members: int, sales: int) -> None:
    scene.prepare(tmp_path, members, sales)
    with Server(GoogleAdsSandbox()) as server:
        google: Any = server.sandbox
        google.seed({"actions": {scene.ACTION: "UPLOAD_CLICKS"}})
        google.weather.add(kind="rate_limit", path="audienceMembers:ingest", times=2)
        google.weather.add(kind="lose_answer", path="audienceMembers:ingest")
        google.weather.add(kind="lose_answer", path="events:ingest", times=2)
        google.weather.add(kind="rate_limit", path="events:ingest", times=2)
        done = scene.play(scene.__file__, tmp_path, server.url)
        google.settle()
        joined, reported = google.members("leadup: warm"), google.conversions(scene.ACTION)
        log = Counter((one.path.rpartition("/")[2], one.status) for one in google.weather.log)
        repeated = dict(google.redundant)

    good = [n for n in range(1, members + 1) if not scene.is_bad(n)]
    assert joined == {scene.address(n, members) for n in good}
    sold = [n for n in range(1, sales + 1) if not scene.trouble_of(n)]
    assert reported.keys() == {f"t{n}" for n in sold}
    assert {one["count"] for one in reported.values()} == {1}
    assert {key: one["value"] for key, one in reported.items()} == {f"t{n}": n / 100 for n in sold}

    # What was done twice is what a lost answer left in doubt, and no more.
    assert repeated.get("join", 0) <= MEMBERS_A_REQUEST
    assert repeated.get("convert", 0) <= 2 * EVENTS_A_REQUEST

    # As few requests as there can be, those that a fault repeated, and one for each batch with a row only Google knows.
    batches = -(-members // MEMBERS_A_REQUEST), -(-sales // EVENTS_A_REQUEST)
    joins = sum(n for (path, _), n in log.items() if path == "audienceMembers:ingest")
    events = sum(n for (path, _), n in log.items() if path == "events:ingest")
    assert joins <= batches[0] + 3
    assert events <= 2 * batches[1] + 4
    assert done["mib"] < MIB, done

    _check_reasons(tmp_path, members, sales)


def _check_reasons(folder: Path, members: int, sales: int) -> None:
    """Each bad row has its own reason, and nothing is left open."""
    store = open_store(f"sqlite:///{folder}/state.db", folder)
    expected = Counter(
        {
            **Counter(("convert", why) for n in range(1, sales + 1) if (why := scene.trouble_of(n))),
            ("join", "bad_identifier"): sum(map(scene.is_bad, range(1, members + 1))),
        }
    )
    with store.read() as connection:
        query = (
            select(ledger.c.verb, ledger.c.code, func.count())
            .where(ledger.c.what == "rejected")
            .group_by("verb", "code")
        )
        assert {(verb, code): count for verb, code, count in connection.execute(query)} == expected
        counted = select(outbox.c.state, func.count()).group_by("state")
        states = {row[0]: row[1] for row in connection.execute(counted)}
        assert states == {"processed": members + sales - expected.total(), "failed": expected.total()}
        assert not connection.scalar(select(func.count()).select_from(standings).where(standings.c.open))
        named = select(ledger.c.detail).where(ledger.c.code == "INVALID_CURRENCY_CODE").distinct()
        assert list(connection.scalars(named)) == ["Google refused currency"]
    store.close()
