"""A score that fades is written again at most daily, and the flow rests in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from installation import Installation, event, installed
from leadup.clock import parse_instant

RULES = """\
version: 1
micro_conversions:
  pricing: {event: page_view, where: {path: /pricing}}
scores:
  intent: {half_life: 7d, points: {pricing: 8}}
properties:
  leadup_intent: {score: intent, activate: [hubspot]}
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path) as installation:
        installation.rules(RULES)
        yield installation


def test_each_look_lies_ahead_and_the_value_is_at_most_a_day_old(site: Installation) -> None:
    ada = site.hubspot.add_contact(email="ada@example.com")
    now = parse_instant("2026-03-01T12:00:00Z")
    site.drop([event("e1", "page_view", now.isoformat(), properties={"path": "/pricing"}, email="ada@example.com")])
    app, written = site.app(), []
    app.go_live(app.rules, now)
    for _ in range(12):  # 8 points are 7.2 after a day, 6.6 after two, ... and 4.9 and 4.4 after five and six: both 4
        app.pull(now)
        app.tick(now)
        app.deliver(now)
        written.append(int(site.hubspot.contact(ada)["leadup_intent"]))
        due = app.pipeline.next_due()
        assert due is not None
        assert due > now
        now = due
    app.store.close()
    assert written == [8, 7, 6, 5, 5, 4, 4, 4, 3, 3, 2, 2]
