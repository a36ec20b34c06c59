"""A real export, mapped by configuration alone, against a computation that shares no code with leadup.

The settings and rules are those of docs/how-to/your-own-data.md, read from that page.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from installation import Installation, installed
from leadup.delivery.book import all_targets
from leadup.insights.status import status

ROOT = Path(__file__).parents[2]
EXPORT = ROOT.parent / "shared" / "data" / "ecom.csv.gz"
PAGE = (ROOT / "docs" / "how-to" / "your-own-data.md").read_text(encoding="utf-8")
INSTANTS = ("2024-02-20T12:00:00Z", "2024-04-01T00:00:00Z", "2024-05-15T18:30:00Z")
SEGMENTS = ("cart_left", "looked_thrice", "found_and_took", "keen")
DAY = timedelta(days=1)

pytestmark = pytest.mark.skipif(
    not EXPORT.is_file(), reason="the shop's export is not part of this repository: ../shared/data/ecom.csv.gz"
)


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


class Shop:
    """The four rules, once more, in plain Python."""

    def __init__(self) -> None:
        self.rows = 0
        self.events: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
        with gzip.open(EXPORT, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                self.rows += 1
                at = datetime.strptime(row["timestamp"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
                self.events[row["user_id"]][row["event"]].append(at)

    def members(self, at: datetime) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {name: set() for name in SEGMENTS}
        for user, by_name in self.events.items():
            past = {name: sorted(t for t in times if t <= at) for name, times in by_name.items()}
            views, carts = past.get("product_view", []), past.get("add_to_cart", [])
            searches, buys = past.get("search", []), past.get("purchase", [])
            if any(at - 14 * DAY < c <= at - DAY and not any(b >= c for b in buys) for c in carts):
                found["cart_left"].add(user)
            recent = [v for v in views if at - 7 * DAY < v]
            if len(recent) >= 3 and not any(at - 7 * DAY < b for b in buys):
                found["looked_thrice"].add(user)
            if any(s < v < c and c - s <= DAY and at - 30 * DAY < c for c in carts for v in views for s in searches):
                found["found_and_took"].add(user)
            points = [(v, 5) for v in views] + [(c, 15) for c in carts] + [(s, 3) for s in searches[-3:]]
            score = sum(
                p * 2 ** (-max((at - t).total_seconds(), 0) / (7 * 86_400)) for t, p in points if t > at - 70 * DAY
            )
            if score >= 40:
                found["keen"].add(user)
        return found


def test_the_export_is_mapped_judged_and_delivered(tmp_path: Path) -> None:
    shop = Shop()
    assert shop.rows == 31_106
    with installed(tmp_path, settings=block("toml")) as site:
        site.rules(block("yaml"))
        (tmp_path / "shop").mkdir()
        (tmp_path / "shop" / "shop.csv.gz").symlink_to(EXPORT)
        site.hubspot.add_property("external_id", unique=True)
        users = {site.hubspot.add_contact(external_id=user): user for user in shop.events}
        for instant in INSTANTS:
            at = datetime.fromisoformat(instant)
            expected = shop.members(at)
            assert all(expected.values()), "an empty segment would prove nothing"
            synced = site.sync(at)
            assert not synced.errors
            accept_all(site, at)
            app = site.app()
            with app.store.read() as connection:
                seen = status(connection)
            app.store.close()
            assert [(s["events"], s["rejected"]) for s in seen["sources"]] == [(31_106, 0)]
            assert seen["people"] == 600
            for name in SEGMENTS:
                assert {users[c] for c in site.hubspot.members(f"leadup: {name}")} == expected[name], (name, instant)
                assert site.google.members(f"leadup: {name}") == expected[name], (name, instant)
                assert {a["waterfall"]["accepted"] for a in seen["audiences"] if a["target"].endswith(f"/{name}")} == {
                    len(expected[name])
                }


def accept_all(site: Installation, at: datetime) -> None:
    """Months lie between the instants, so the guards ask, and a person says yes; then Google works it off."""
    app = site.app()
    with app.store.read() as connection:
        held = [target.target.key for target in all_targets(connection) if target.guard]
    app.store.close()
    for target in held:
        site.sync(at, only=target, accepted="max_leave", who="tester")
    site.google.settle()
    app = site.app()
    app.poll(at + timedelta(hours=1), force=True)
    app.store.close()
