"""Killed in the middle of a batch whose answer is lost, while values change: nothing counts twice, or is wrong."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from google_scenes import ACTION, Emulators
from google_world import GoogleWorld

from delivery.scripted_vendor import Crash
from leadup.outgoing import Change, Receipt, RemoteTarget
from leadup.state.tables import outbox, standings
from leadup_connectors.google_ads.destination import GoogleAdsDestination

PEOPLE = range(1, 8)


class Mortal(GoogleAdsDestination):
    """Dies at a call, before Google was reached or after."""

    dies: str = ""

    def deliver(self, to: RemoteTarget, batch: Sequence[Change]) -> Sequence[Receipt]:
        when, self.dies = self.dies, ""
        if when == "before":
            raise Crash
        receipts = super().deliver(to, batch)
        if when == "after":
            raise Crash
        return receipts


@pytest.fixture
def world(emulators: Emulators) -> Iterator[GoogleWorld]:
    # Two requests for seven conversions, so that one is taken before the process dies in the other.
    one = GoogleWorld(emulators.fresh(), batch_events=4)
    one.vendor.__class__ = Mortal  # type: ignore[assignment]
    yield one
    one.close()


def run(world: GoogleWorld, dies: str = "") -> None:
    """A pass, which may end early; then a new process."""
    vendor: Any = world.vendor
    vendor.dies = dies
    world.tick()
    try:
        world.deliver()
    except Crash:
        world.restart()
    vendor.dies = ""


def sell(world: GoogleWorld, amount: int) -> None:
    """Everybody buys; or it turns out what they really paid, which is a revision of the same event."""
    for number in PEOPLE:
        world.buys(number, gclid=f"Cj{number}", amount=amount + number)


def go_on(world: GoogleWorld, passes: int = 6) -> None:
    for _ in range(passes):
        run(world)
        world.later(minutes=40)
        world.hear()


@pytest.mark.parametrize("lost", [0, 1, 2], ids=["none lost", "one lost", "two lost"])
@pytest.mark.parametrize("dies", ["", "before", "after"])
@pytest.mark.parametrize("moment", ["first value", "second value"])
def test_each_conversion_counts_once_with_its_last_value(world: GoogleWorld, lost: int, dies: str, moment: str) -> None:
    sell(world, 100)
    if moment == "second value":
        go_on(world, 1)
        world.later(hours=1)
        sell(world, 500)
    if lost:
        world.server.sandbox.weather.add(kind="lose_answer", path="events:ingest", times=lost)
    run(world, dies)
    world.later(hours=1)
    sell(world, 900)  # while nobody knows what became of the value before
    go_on(world)
    counted = world.google.conversions(ACTION)
    assert len(counted) == len(PEOPLE)
    assert {one["count"] for one in counted.values()} == {1}
    assert sorted(one["value"] for one in counted.values()) == [float(900 + n) for n in PEOPLE]
    for one in counted.values():
        values = [each["value"] for each in one["history"]]
        assert values == sorted(values), "no older value came after a newer one"
    assert {row["state"] for row in world.rows(outbox)} <= {"processed", "replaced"}
    assert not any(row["open"] for row in world.rows(standings))
