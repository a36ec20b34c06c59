"""What `explain` says of a ladder: what opened the episode, the steps so far, what it is worth and when it lapses."""

from __future__ import annotations

from datetime import timedelta

from delivery.world import GRANTED, World, email, program
from leadup.insights.explain import explain
from leadup.types import to_us

RULES = """
version: 1
micro_conversions:
  price: {event: price}
  video: {event: video}
macro_conversions:
  won: {event: won, value: {property: amount, currency: EUR}}
conversions:
  interest:
    ladder: [price, video, won]
    value: {price: 4 EUR, video: 22 EUR}
    cap: 15 EUR
    episode: 50d
    activate: [vendor]
"""


def test_an_episode_is_told_from_what_opened_it_to_when_it_lapses() -> None:
    rules = program(RULES)
    world = World(rules=rules)
    world.did("price", "a", email("ada"), consent=GRANTED)
    begin = world.now
    world.sync()
    world.later(days=1)
    world.did("video", "b", email("ada"))
    world.sync()
    with world.store.read() as connection:
        [told] = explain(connection, rules, 1, [], to_us(world.now))["conversions"]
    assert told["episode"] == {
        "state": "open",
        "step": "video",
        "opened_by": "price",
        "steps": [
            {"pattern": "price", "at": "2026-03-01T00:00:00Z"},
            {"pattern": "video", "at": "2026-03-02T00:00:00Z"},
        ],
        "estimate": True,
        "lapses": (begin + timedelta(days=50)).isoformat().replace("+00:00", "Z"),
    }
    assert (told["minor"], told["currency"]) == (2200, "EUR")
    [report] = told["reports"]
    assert report["stands"] == {"minor": 1500, "currency": "EUR"}, "capped"
    world.later(days=60)
    world.sync()
    with world.store.read() as connection:
        [told] = explain(connection, rules, 1, [], to_us(world.now))["conversions"]
    assert (told["episode"]["state"], told["episode"]["lapses"]) == ("lapsed", None)
    assert told["reports"][0]["why"] == "its episode ended before the goal was reached"
    world.close()
