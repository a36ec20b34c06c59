"""Reports and questions that get no answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from delivery.scripted_vendor import Crash, Vendor
from delivery.world import GRANTED, World, email
from leadup.errors import NeedsHuman, TryLater
from leadup.insights.status import status
from leadup.state.tables import outbox


@pytest.fixture
def late() -> Iterator[World]:
    world = World(Vendor(late=True))
    yield world
    world.close()


@pytest.mark.parametrize("fault", ["later", "lost", "crash", "crash after"])
def test_a_conversion_without_an_answer_that_is_taken_back_is_restated_to_0_once_it_has_one(
    late: World, fault: str
) -> None:
    late.did("bought", "b1", email("ada"), consent=GRANTED, amount=10, currency="EUR")
    late.tick()
    late.vendor.faults = [fault]
    try:
        late.deliver()
    except Crash:
        late.restart()
    late.later(seconds=10)
    late.did("returned", "b1", email("ada"))
    late.tick()
    late.later(minutes=5)
    late.deliver()
    assert not late.changes("restate"), "the vendor has not said whether it counts"
    late.vendor.work()
    late.courier.poll(late.now, force=True)
    late.sync()
    [told] = late.vendor.conversions.values()
    assert told[-1] == (0, "EUR")
    assert late.states("convert") == late.states("restate") == ["processed"]


def trouble(world: World) -> list[dict[str, object]]:
    with world.store.read() as connection:
        [shown] = status(connection)["audiences"]
    return list(shown["reasons"])


@pytest.mark.parametrize(
    ("error", "said", "pause"),
    [
        (NeedsHuman("bob@example.com has no access", todo="ask for it"), "<e-mail> has no access", timedelta(hours=1)),
        (TryLater("not now", retry_after=timedelta(minutes=7)), "not now", timedelta(minutes=7)),
        (KeyError("ada@example.com"), "Unexpected KeyError in poll", timedelta(hours=1)),
    ],
)
def test_the_status_says_of_accepted_rows_that_and_why_nothing_was_heard_of_them(
    late: World, error: Exception, said: str, pause: timedelta
) -> None:
    late.tell(email("ada"), consent=GRANTED, member="yes")
    late.tick()
    late.deliver()
    late.vendor.silence = error
    late.courier.poll(late.now, force=True)
    late.vendor.silence = None
    [reason] = trouble(late)
    assert (reason["code"], reason["rows"]) == ("poll_failed", 1)
    assert str(reason["detail"]).startswith(said)
    assert "@" not in late.everything_stored([outbox])
    late.now += pause - timedelta(seconds=1)
    assert late.pipeline.next_try() == late.now + timedelta(seconds=1)
    late.courier.poll(late.now)
    assert trouble(late) == [reason], "it is not asked yet"
    late.later(seconds=1)
    late.courier.poll(late.now)
    assert trouble(late) == [], "it answers again, though it works on"
    late.vendor.work()
    late.courier.poll(late.now, force=True)
    assert late.states("join") == ["processed"]
