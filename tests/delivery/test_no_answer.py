"""Reports and questions that get no answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from delivery.scripted_vendor import Crash, Vendor
from delivery.world import DENIED, GRANTED, World, email
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


def test_what_may_count_is_restated_to_0_only_once_consent_is_back(late: World) -> None:
    """A restatement of what the vendor does not know would report it, so it needs consent."""
    late.did("bought", "b1", email("ada"), consent=GRANTED, amount=10, currency="EUR")
    late.vendor.faults = ["lost"]
    late.sync()
    late.later(minutes=5)
    late.tell(email("ada"), consent=DENIED)
    late.did("returned", "b1", email("ada"))
    late.sync()
    assert late.states("convert") == ["withheld"]
    late.later(hours=1)
    late.sync()
    assert late.rows(outbox, outbox.c.verb == "restate") == []
    late.later(hours=1)
    late.tell(email("ada"), consent=GRANTED)
    late.sync()
    [told] = late.vendor.conversions.values()
    assert told == [(1000, "EUR"), (0, "EUR")]
    late.later(hours=1)
    late.did("bought", "b1", email("ada"), amount=10, currency="EUR")
    late.sync()
    assert told[-1] == (1000, "EUR")


def test_of_a_batch_that_failed_in_part_nothing_is_restated_without_consent(late: World) -> None:
    late.did("bought", "b1", email("ada"), consent=GRANTED, amount=10, currency="EUR")
    late.later(hours=1)
    late.did("bought", "b2", email("ada"), amount=20, currency="EUR")
    late.vendor.fates = ["partial"]
    late.sync()
    assert late.states("convert") == ["uncertain", "uncertain"]
    late.later(hours=1)
    late.tell(email("ada"), consent=DENIED)
    late.did("returned", "b1", email("ada"))
    late.did("returned", "b2", email("ada"))
    late.sync()
    assert late.changes("restate") == []
    late.later(hours=1)
    late.tell(email("ada"), consent=GRANTED)
    late.sync()
    assert [told[-1] for told in late.vendor.conversions.values()] == [(0, "EUR"), (0, "EUR")]


def test_hours_in_which_nothing_could_be_sent_use_up_no_tries(late: World) -> None:
    late.did("bought", "b1", email("ada"), consent=GRANTED, amount=10, currency="EUR")
    for _ in range(6):
        late.vendor.faults = ["human"]
        late.sync()
        late.later(hours=1)
    late.vendor.fates = ["failed for now"]
    late.sync()
    assert late.states("convert") == ["pending"], "a failure that may pass is sent again"
    late.later(hours=7)
    late.sync()
    assert late.states("convert") == ["processed"]
