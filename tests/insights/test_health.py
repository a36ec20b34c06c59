"""Signal health: each number, what it is made of, and where its limits lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event as on

from delivery.scripted_vendor import Vendor
from delivery.world import DENIED, GRANTED, World, email, program, user
from leadup.delivery.book import all_targets
from leadup.insights.account import account
from leadup.insights.health import Reported, Verdict, percentile, signal_health
from leadup.insights.reported import health
from leadup.types import to_us

HOUR = 3_600_000_000
NOW = 1_000 * 24 * HOUR
GOOD, LOOK, BAD = Verdict.GOOD, Verdict.LOOK, Verdict.BAD
RULES = """
version: 1
micro_conversions:
  watched: {event: watched, value: 1 EUR}
macro_conversions:
  bought: {event: bought, value: {property: amount, currency: currency}}
conversions:
  interest: {on: watched, activate: [vendor]}
  sale: {on: bought, activate: [vendor]}
  journey: {ladder: [watched, bought], value: {watched: 4 EUR}, episode: 20d, activate: [vendor]}
"""
WELL = Reported(
    target="g/conversion/sale",
    connection="g",
    conversions=100,
    clicked=90,
    sent=100,
    delays_us=[HOUR] * 100,
    macro=Counter(EUR=1000),
    macro_count=100,
    last_us=NOW - HOUR,
)


def verdicts(*found: Reported) -> dict[str, Verdict]:
    return {one.name: one.verdict for one in signal_health(found, NOW)}


def test_a_healthy_signal_is_good_in_all_and_has_nothing_to_do() -> None:
    found = signal_health([WELL], NOW)
    assert {one.verdict for one in found} == {GOOD}
    assert not any(one.todo for one in found)
    assert [one.name for one in found] == [
        "freshness", "volume", "click_ids", "upload_delay", "rejected", "uncertain", "micro_value", "micro_to_macro"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "name", "verdict"),
    [
        ({"clicked": 50}, "click_ids", GOOD),
        ({"clicked": 49}, "click_ids", LOOK),
        ({"clicked": 20}, "click_ids", LOOK),
        ({"clicked": 19}, "click_ids", BAD),
        ({"conversions": 30}, "volume", GOOD),
        ({"conversions": 29}, "volume", LOOK),
        ({"conversions": 15}, "volume", LOOK),
        ({"conversions": 14}, "volume", BAD),
        ({"delays_us": [HOUR] * 90 + [99 * HOUR] * 10}, "upload_delay", GOOD),
        ({"delays_us": [HOUR] * 89 + [25 * HOUR] * 11}, "upload_delay", LOOK),
        ({"delays_us": [73 * HOUR]}, "upload_delay", BAD),
        ({"refused": 1}, "rejected", GOOD),
        ({"refused": 2}, "rejected", LOOK),
        ({"refused": 6}, "rejected", BAD),
        ({"unsure": 1}, "uncertain", GOOD),
        ({"unsure": 5}, "uncertain", LOOK),
        ({"unsure": 6}, "uncertain", BAD),
        ({"last_us": NOW - 24 * HOUR}, "freshness", GOOD),
        ({"last_us": NOW - 25 * HOUR}, "freshness", LOOK),
        ({"last_us": NOW - 73 * HOUR}, "freshness", BAD),
        ({"micro": Counter(EUR=1000)}, "micro_value", GOOD),
        ({"micro": Counter(EUR=1001)}, "micro_value", LOOK),
        ({"micro": Counter(EUR=9001)}, "micro_value", BAD),
        ({"micro_count": 10_000}, "micro_to_macro", GOOD),
        ({"micro_count": 10_001}, "micro_to_macro", LOOK),
        ({"micro_count": 101, "macro_count": 0}, "micro_to_macro", LOOK),
    ],
)
def test_each_limit_lies_where_it_says(change: dict[str, Any], name: str, verdict: Verdict) -> None:
    found = {one.name: one for one in signal_health([replace(WELL, **change)], NOW)}
    assert found[name].verdict is verdict
    assert bool(found[name].todo) == (verdict is not GOOD), "what is not good says what to do"
    assert {one.verdict for other, one in found.items() if other != name} == {GOOD}


def test_what_was_never_sent_has_a_volume_and_nothing_else() -> None:
    assert verdicts(Reported(target="g/conversion/sale", connection="g")) == {"volume": BAD}


def test_the_mix_is_told_of_a_connection_as_a_whole() -> None:
    micro = Reported(target="g/conversion/m", connection="g", micro=Counter(EUR=5000), micro_count=20_000)
    other = Reported(target="h/conversion/m", connection="h", micro=Counter(EUR=1), micro_count=1)
    found = {(one.of, one.name): one for one in signal_health([WELL, micro, other], NOW)}
    assert found["g", "micro_value"].number == pytest.approx(5 / 6)
    assert found["g", "micro_to_macro"].number == 200
    assert found["h", "micro_value"].number == 1


@pytest.mark.parametrize(
    ("values", "share", "found"), [([5], 0.9, 5), ([1, 2, 3, 4], 0.5, 2), (list(range(10)), 0.9, 8)]
)
def test_a_percentile_is_one_of_the_values(values: list[int], share: float, found: int) -> None:
    assert percentile(values, share) == found


# ---------------------------------------------------------------- read from the state


@pytest.fixture
def world() -> Iterator[World]:
    made = World(Vendor(), program(RULES))
    yield made
    made.close()


def happens(world: World, name: str, number: int, **how: Any) -> None:
    consent, gclid, ago = how.get("consent", GRANTED), how.get("gclid", ""), how.get("ago", timedelta(0))
    who = (user(number), email(f"u{number}"))
    world.did(name, f"{name}{number}", *who, consent=consent, gclid=gclid, ago=ago, amount=10, currency="EUR")


def read(world: World) -> dict[tuple[str, str], Any]:
    with world.store.read() as connection:
        found = health(connection, world.pipeline.program, to_us(world.now))
    return {(one.of.rpartition("/")[2], one.name): one for one in found}


def test_numbers_are_those_of_what_was_reported(world: World) -> None:
    for number in range(4):
        happens(world, "watched", number, ago=timedelta(hours=number), gclid="g1" if number else "")
    happens(world, "watched", 4, consent=DENIED)
    happens(world, "bought", 3)
    happens(world, "bought", 9, ago=timedelta(days=31))
    world.sync()
    world.later(hours=2)
    found = read(world)
    assert found["interest", "volume"].number == 4
    assert found["interest", "click_ids"].number == 3 / 4
    assert found["interest", "upload_delay"].number == 3 * 3600
    assert found["interest", "upload_delay"].text.startswith("from event to upload: half within 1.5 h")
    assert found["interest", "freshness"].number == 2 * 3600
    assert found["sale", "volume"].number == 1
    # Of ladders the won one is a macro conversion: 4 x 1 EUR and 3 x 4 EUR against 10 + 10 EUR.
    assert found["vendor", "micro_value"].number == pytest.approx(16 / 36)
    assert found["vendor", "micro_to_macro"].number == 7 / 2


def test_rows_that_were_refused_are_a_share_of_those_sent(world: World) -> None:
    happens(world, "bought", 1)
    happens(world, "bought", 2)
    world.vendor.faults = ["reject", "reject"]
    world.sync()
    found = read(world)
    assert {found[name, "rejected"].number for name in ("sale", "journey")} == {0.5}
    assert found["sale", "volume"].number == 1


def test_neither_health_nor_the_account_reads_all_of_history(world: World) -> None:
    """Each step of their queries is a look-up by an index, or goes over what is new."""
    happens(world, "bought", 1)
    world.sync()
    asked: list[tuple[str, Any]] = []
    with world.store.read() as connection:
        targets = [one for one in all_targets(connection) if one.target.name == "sale"]
        on.listen(world.store.engine, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
        health(connection, world.pipeline.program, to_us(world.now))
        account(connection, targets[0], to_us(world.now - timedelta(days=7)), to_us(world.now))
        steps = [
            step.detail
            for statement, values in list(asked)
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    assert any("conversions_opened" in step for step in steps)
    assert [step for step in steps if step.startswith("SCAN") and "targets" not in step] == []
