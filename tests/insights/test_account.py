"""The account of every row: each is at one place, and a stage is the next one and what was lost before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delivery.scripted_vendor import Crash, Vendor
from delivery.world import DENIED, GRANTED, World, email, user
from leadup.delivery.book import TargetRow, all_targets
from leadup.insights.account import Accounted, account, rows_of
from leadup.outgoing import Use
from leadup.state.tables import conversions, memberships
from leadup.types import EVER, NEVER, to_us
from properties.test_delivery_laws import calls, fates

numbers = st.integers(0, 2)
STAGES = {
    Use.CONVERSION: ["judged", "eligible", "sent", "accepted", "processed"],
    Use.AUDIENCE: ["judged", "identifier", "consent", "not held out", "sent", "accepted", "processed"],
}


def told(world: World, use: Use, days: float | None = None, **how: Any) -> dict[str, Any]:
    """The account of the only target of a use, of all time or the last days."""
    since = EVER if days is None else to_us(world.now - timedelta(days=days))
    target = target_of(world, use)
    with world.store.read() as connection:
        return account(connection, target, since, NEVER, **how)


def target_of(world: World, use: Use) -> TargetRow:
    with world.store.read() as connection:
        [target] = [one for one in all_targets(connection) if one.target.use is use]
    return target


def rows(world: World, use: Use) -> list[Accounted]:
    target = target_of(world, use)
    with world.store.read() as connection:
        return list(rows_of(connection, target, EVER, NEVER))


def adds_up(one: dict[str, Any]) -> None:
    """Each stage is the next one and the losses listed after it."""
    stages = list(one["stages"].items())
    for (stage, count), (_, following) in pairwise(stages):
        assert count == following + sum(loss["rows"] for loss in one["losses"] if loss["after"] == stage)
    lost_at_the_end = sum(loss["rows"] for loss in one["losses"] if loss["after"] == stages[-1][0])
    assert lost_at_the_end == 0, "who went all the way lost nothing"


# ---------------------------------------------------------------- random histories


faults = st.builds(lambda fault, after: [""] * after + [fault], st.sampled_from(calls), st.integers(0, 3))
"""Trouble at one of the first calls: those of the audience come before those of the conversions."""
runs = st.tuples(st.just("runs"), faults, st.sampled_from(fates), st.booleans())
buys_ = st.tuples(st.just("buys"), numbers, st.integers(0, 1), st.sampled_from([10, 20]))
returns = st.tuples(st.just("returns"), numbers, st.integers(0, 1))
decides = st.tuples(st.just("decides"), numbers, st.sampled_from([GRANTED, DENIED]))
is_told_of = st.tuples(st.just("is told of"), numbers, st.sampled_from(["yes", "no"]))
passes = st.tuples(st.just("time passes"), st.sampled_from([timedelta(hours=1), timedelta(hours=7), timedelta(days=1)]))
steps = st.one_of(runs, runs, runs, passes, buys_, returns, decides, is_told_of)


def takes(world: World, step: tuple[Any, ...]) -> None:
    """Let one thing happen."""
    match step:
        case "buys", number, key, amount:
            who = (user(number), email(f"u{number}"))
            world.did("bought", f"b{number}-{key}", *who, amount=amount, currency="EUR")
        case "returns", number, key:
            world.did("returned", f"b{number}-{key}", user(number))
        case "decides", number, consent:
            world.tell(user(number), consent=consent)
        case "is told of", number, member:
            world.tell(user(number), member=member)
        case "time passes", by:
            world.now += by
        case "runs", weather, fate, hears:
            world.vendor.faults, world.vendor.fates = list(weather), [fate] * 3
            world.tick()
            try:
                world.deliver(force=True)
            except Crash:
                world.restart()
            if hears:
                world.vendor.work()
                world.courier.poll(world.now, force=True)


def every_row_has_one_place(world: World) -> None:
    held = world.vendor.conversions
    sales, club = rows(world, Use.CONVERSION), rows(world, Use.AUDIENCE)
    assert [row.subject for row in sales] == [row["transaction_id"] for row in in_order(world)]
    assert [row.person for row in club] == sorted(row["person"] for row in world.rows(memberships))
    for row in sales:
        if row.place.kind is None:
            assert row.subject in held, "what is processed is there"
        if row.subject in held:
            assert row.place.reached in ("sent", "accepted", "processed"), "what is there was sent"
    for use in STAGES:
        one = told(world, use)
        assert list(one["stages"]) == STAGES[use]
        assert one["stages"]["judged"] == len(sales if use is Use.CONVERSION else club)
        for part in (one, *one.get("days", ())):
            adds_up(part)
    sale = told(world, Use.CONVERSION)
    for stage in STAGES[Use.CONVERSION]:
        assert sale["stages"][stage] == sum(day["stages"][stage] for day in sale["days"])


def in_order(world: World) -> list[Any]:
    return sorted(world.rows(conversions), key=lambda row: (row["opened_us"], row["transaction_id"]))


def lives(late: bool, batch: int, history: Sequence[tuple[Any, ...]]) -> None:
    """Three members buy, then this happens to them; after each step every row has its place."""
    world = World(Vendor(late=late, batch=batch))
    try:
        for number in range(3):
            world.tell(user(number), email(f"u{number}"), member="yes", consent=GRANTED)
            takes(world, ("buys", number, 0, 10))
        for step in history:
            takes(world, step)
            every_row_has_one_place(world)
    finally:
        world.close()


@pytest.mark.parametrize("examples", [15, pytest.param(400, marks=pytest.mark.slow)])
def test_every_row_has_one_place_and_each_stage_is_the_next_and_its_losses(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.booleans(), st.sampled_from([1, 2, 100]), st.lists(steps, min_size=3, max_size=8))
    def law(late: bool, batch: int, history: list[tuple[Any, ...]]) -> None:
        lives(late, batch, history)

    law()


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("fault", ["lost", "crash", "crash after", "reject", "postpone"])
@pytest.mark.parametrize("after", [("decides", 0, DENIED), ("buys", 0, 0, 20), ("returns", 0, 0)])
def test_what_comes_after_trouble_leaves_every_row_its_place(late: bool, fault: str, after: tuple[Any, ...]) -> None:
    unheard, heard = ("runs", [], "partial", False), ("runs", [], "processed", True)
    lives(late, 100, [("runs", ["", fault], "partial", False), after, unheard, ("decides", 0, GRANTED), heard, heard])


# ---------------------------------------------------------------- each loss by name


@pytest.fixture(params=[False, True], ids=["at once", "later"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(Vendor(late=request.param))
    yield made
    made.close()


@pytest.fixture
def late() -> Iterator[World]:
    made = World(Vendor(late=True))
    yield made
    made.close()


def buys(world: World, number: int, **how: Any) -> None:
    """A known person buys: by contact data, with consent, unless said otherwise."""
    consent = how.pop("consent", GRANTED)
    who = how.pop("who", (user(number), email(f"u{number}")))
    world.did("bought", f"b{number}", *who, amount=10, currency="EUR", consent=consent, **how)


def losses(one: dict[str, Any]) -> list[tuple[str, str, str, int]]:
    return [(loss["after"], loss["kind"], loss["code"], loss["rows"]) for loss in one["losses"]]


def test_each_conversion_that_did_not_arrive_says_why(world: World) -> None:
    buys(world, 1)
    buys(world, 2, consent=DENIED)
    buys(world, 3, who=(user(3),))
    buys(world, 4, ago=timedelta(days=91))
    world.sync()
    one = told(world, Use.CONVERSION)
    assert one["stages"] == {"judged": 4, "eligible": 1, "sent": 1, "accepted": 1, "processed": 1}
    assert {(loss["kind"], loss["rows"]) for loss in one["losses"]} == {("unwanted", 1)}
    assert [loss["why"] for loss in one["losses"]] == [
        "happened more than 90 days ago, which is not taken there",
        "happened, but ad_user_data was denied",
        "happened, but there is no click id and no identifier to report it by",
    ]


def test_days_are_those_of_the_event_in_utc_and_older_ones_are_not_read(world: World) -> None:
    buys(world, 1, ago=timedelta(seconds=1))
    buys(world, 2)
    buys(world, 3, ago=timedelta(days=8))
    world.sync()
    one = told(world, Use.CONVERSION, days=7)
    assert [(day["day"], day["stages"]["processed"]) for day in one["days"]] == [("2026-02-28", 1), ("2026-03-01", 1)]
    assert one["stages"]["judged"] == 2


def test_a_refused_row_is_lost_with_the_code_the_vendor_gave(world: World) -> None:
    buys(world, 1)
    buys(world, 2)
    world.vendor.faults = ["reject"]
    world.sync()
    one = told(world, Use.CONVERSION, losses=True)
    assert one["stages"] == {"judged": 2, "eligible": 2, "sent": 2, "accepted": 1, "processed": 1}
    assert losses(one) == [("sent", "lost", "odd", 1)]
    [row] = one["rows"]
    assert (row["after"], row["day"]) == ("sent", "2026-03-01")
    assert "ada@example.com" not in str(one), "the vendor put an address into its text"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("later", ("sent", "waits", "try_later", 1)),
        ("lost", ("sent", "waits", "try_later", 1)),
        ("human", ("sent", "waits", "needs_human", 1)),
        ("refused", ("sent", "lost", "nonsense", 1)),
        ("crash", ("sent", "waits", "no_answer", 1)),
    ],
)
def test_what_was_sent_and_not_taken_waits_or_is_lost(
    world: World, fault: str, expected: tuple[str, str, str, int]
) -> None:
    buys(world, 1)
    world.vendor.faults = [fault]
    world.sync()
    assert losses(told(world, Use.CONVERSION)) == [expected]


@pytest.mark.parametrize(
    ("fate", "expected"),
    [
        ("failed", ("accepted", "lost", 2)),
        ("failed for now", ("accepted", "waits", 2)),
        ("partial", ("accepted", "unknown", 2)),
        ("partial for now", ("accepted", "waits", 2)),
    ],
)
def test_what_was_accepted_and_not_done_is_known_by_its_kind(
    late: World, fate: str, expected: tuple[str, str, int]
) -> None:
    buys(late, 1)
    buys(late, 2)
    late.vendor.fates = [fate]
    late.sync()
    one = told(late, Use.CONVERSION)
    assert one["stages"] == {"judged": 2, "eligible": 2, "sent": 2, "accepted": 2, "processed": 0}
    assert [(loss["after"], loss["kind"], loss["rows"]) for loss in one["losses"]] == [expected]


def test_a_conversion_that_counts_is_processed_while_a_new_value_is_on_its_way(late: World) -> None:
    buys(late, 1)
    late.sync()
    late.did("bought", "b1", user(1), email("u1"), amount=20, currency="EUR", consent=GRANTED)
    late.tick()
    late.deliver()
    assert late.changes("restate")
    assert told(late, Use.CONVERSION)["stages"]["processed"] == 1


def test_members_are_told_as_they_are_now_and_who_leaves_apart(world: World) -> None:
    for number in range(4):
        world.tell(user(number), email(f"u{number}"), member="yes", consent=GRANTED)
    world.tell(user(4), member="yes", consent=GRANTED)
    world.tell(user(5), email("u5"), member="yes", consent=DENIED)
    world.sync()
    world.tell(user(0), member="no")
    world.vendor.faults = ["human"]
    world.sync()
    one = told(world, Use.AUDIENCE)
    assert list(one["stages"].values()) == [5, 4, 3, 3, 3, 3, 3]
    assert losses(one) == [("judged", "unwanted", "no_identifier", 1), ("identifier", "unwanted", "no_consent", 1)]
    assert one["leaving"] == [{"state": "pending", "code": "needs_human", "rows": 1}]


def test_what_a_guard_holds_is_held(world: World) -> None:
    for number in range(25):
        world.tell(user(number), email(f"u{number}"), member="yes", consent=GRANTED)
    world.sync()
    for number in range(22):
        world.tell(user(number), member="no")
    world.sync()
    one = told(world, Use.AUDIENCE)
    assert one["leaving"] == [{"state": "held", "code": "", "rows": 22}]
    assert one["stages"]["processed"] == 3
