"""Properties as a CRM is told them: segments, what was done last, holdouts; what is cleared, and what is let alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from delivery.world import GRANTED, START, World, email, hashed, program, user
from leadup.insights.explain import explain
from leadup.outgoing import Upsert
from leadup.plan import Standing
from leadup.state.tables import ledger, outbox, standings
from leadup.types import Event, Identifier, Json, to_us

RULES = """
version: 1
micro_conversions:
  guide: {event: guide}
  video: {event: video, same_within: 1h}
macro_conversions:
  asked: {event: asked}
scores:
  heat: {half_life: 7d, points: {guide: 1}, tiers: {warm: 1}}
segments:
  hot: {when: {did: video, within: 7d}}
  warm: {when: {did: guide, within: 30d}}
  lead: {when: {person: {stage: lead}}}
groups: {nurture: [hot, warm]}
properties:
  told: {segments: [warm, hot, lead], activate: [vendor]}
  last: {last: [guide, video, asked], activate: [vendor]}
  last_at: {last_at: [guide, video, asked], activate: [vendor]}
  heat: {score: heat, activate: [vendor]}
  tier: {tier: heat, activate: [vendor]}
"""
ADA, BEN = (user(1), email("ada")), (user(2), email("ben"))


@pytest.fixture
def world() -> Iterator[World]:
    made = World(rules=program(RULES))
    made.tell(*ADA, consent=GRANTED)
    yield made
    made.close()


def stands(world: World, who: Identifier = ADA[1]) -> dict[str, Json]:
    """What the vendor's card of somebody says."""
    [card] = world.vendor.ids_of([hashed(who)])
    return dict(world.vendor.properties[card])


def upserts(world: World, name: str) -> list[Any]:
    return [change for change in world.changes("upsert") if isinstance(change, Upsert) and name in change.properties]


def test_what_somebody_did_is_told_and_nothing_else(world: World) -> None:
    world.did("guide", "g1", *ADA, ago=timedelta(hours=2))
    world.sync()
    assert stands(world) == {"told": ["warm"], "last": "guide", "last_at": "2026-02-28T22:00:00.000Z"}
    world.sync()
    assert len(world.changes()) == 3, "what has not changed is not written again"


def test_segments_are_those_after_groups_in_the_order_of_the_property(world: World) -> None:
    world.did("guide", "g1", *ADA)
    world.tell(ADA[1], stage="lead")
    world.sync()
    assert stands(world)["told"] == ["warm", "lead"]
    world.did("video", "v1", *ADA)
    world.sync()
    assert stands(world)["told"] == ["hot", "lead"], "the group gives her to the first"
    world.later(days=8)
    world.sync()
    assert stands(world)["told"] == ["warm", "lead"]
    assert len(upserts(world, "told")) == 3


def test_the_last_that_happened_counts_not_the_last_that_was_heard_of(world: World) -> None:
    world.did("video", "v1", *ADA, ago=timedelta(hours=3))
    world.sync()
    world.did("guide", "g1", *ADA, ago=timedelta(hours=5))  # late, and older
    world.sync()
    assert (stands(world)["last"], stands(world)["last_at"]) == ("video", "2026-02-28T21:00:00.000Z")
    assert len(upserts(world, "last")) == len(upserts(world, "last_at")) == 1
    world.did("video", "v2", *ADA, ago=timedelta(hours=2, minutes=30))  # the same once more, within the hour
    world.sync()
    assert stands(world)["last_at"] == "2026-02-28T21:00:00.000Z"
    world.did("asked", "a1", *ADA)
    world.sync()
    assert (stands(world)["last"], stands(world)["last_at"]) == ("asked", "2026-03-01T00:00:00.000Z")


def test_what_is_taken_back_makes_room_for_what_was_before_it(world: World) -> None:
    world.did("guide", "g1", *ADA, ago=timedelta(hours=5))
    world.did("asked", "a1", *ADA, ago=timedelta(hours=1))
    world.sync()
    world.did("something_else", "a1", *ADA, ago=timedelta(hours=1))  # the source revises it
    world.sync()
    assert (stands(world)["last"], stands(world)["last_at"]) == ("guide", "2026-02-28T19:00:00.000Z")


def test_what_is_dated_ahead_is_told_when_its_time_has_come(world: World) -> None:
    world.did("video", "v1", *ADA)
    world.did("asked", "a1", *ADA, ago=timedelta(hours=-2))
    world.sync()
    assert stands(world)["last"] == "video"
    assert world.pipeline.next_due() == world.now + timedelta(hours=2)
    world.later(hours=2)
    world.sync()
    assert stands(world)["last"] == "asked"


def test_a_value_that_holds_no_longer_is_cleared_where_it_is_ours(world: World) -> None:
    world.did("asked", "a1", *ADA)
    world.did("video", "v1", *ADA)
    world.sync()
    assert stands(world)["told"] == ["hot"]
    world.did("something_else", "a1", *ADA)
    world.did("something_else", "v1", *ADA)
    world.sync()
    assert stands(world) == {"told": None, "last": None, "last_at": None}
    [told] = upserts(world, "told")[1:]
    assert (told.properties, told.ours) == ({"told": None}, {"told": [["hot"]]})
    world.did("video", "v2", *ADA)
    world.sync()
    assert stands(world)["told"] == ["hot"]


def test_nothing_empty_is_written_where_nothing_of_ours_stands(world: World) -> None:
    """She was to be marked, the vendor did not know her, and by the time it does there is nothing to tell."""
    world.vendor.unknown.add(hashed(ADA[1]))
    world.did("asked", "a1", *ADA)
    world.did("guide", "g1", *ADA)
    world.sync()
    assert {row["state"] for row in world.rows(outbox)} == {"pending"}
    world.did("something_else", "a1", *ADA)
    world.did("something_else", "g1", *ADA)
    world.tick()
    world.vendor.unknown.clear()
    world.deliver(force=True)
    assert world.changes("upsert") == []
    assert {row["state"] for row in world.rows(outbox)} == {"replaced"}
    assert {row["reason"] for row in world.rows(standings)} == {"nothing was written, and there is nothing to tell"}


def test_a_value_that_may_have_been_written_is_cleared_too(world: World) -> None:
    world.did("asked", "a1", *ADA)
    world.vendor.faults = ["lost", "lost"]
    world.sync()
    world.did("something_else", "a1", *ADA)
    world.later(days=1)
    world.sync()
    assert (stands(world)["last"], stands(world)["last_at"]) == (None, None)
    assert {row["standing"] for row in world.rows(standings)} == {Standing.PRESENT}


def test_what_somebody_else_wrote_over_ours_is_theirs(world: World) -> None:
    world.did("asked", "a1", *ADA)
    world.sync()
    [card] = world.vendor.ids_of([hashed(ADA[1])])
    world.vendor.properties[card]["last"] = "called us"
    world.did("something_else", "a1", *ADA)
    world.sync()
    assert (stands(world)["last"], stands(world)["last_at"]) == ("called us", None)


def test_a_score_that_fades_to_nothing_is_written_as_0_within_a_day() -> None:
    """Somebody who is judged in between, for another reason, is looked at again all the same."""
    rules = """
version: 1
micro_conversions: {guide: {event: guide}}
scores: {heat: {half_life: 7d, points: {guide: 1}, tiers: {far: 100}}}
segments: {just_now: {when: {did: guide, within: 2h}}}
properties:
  heat: {score: heat, activate: [vendor]}
  tier: {tier: heat, activate: [vendor]}
"""
    world, seen = World(rules=program(rules)), []
    world.did("guide", "g1", *ADA, consent=GRANTED)
    for _ in range(3):
        world.sync()
        seen.append((world.now - START, stands(world)["heat"]))
        world.now = world.pipeline.next_due() or world.now
    assert seen == [(timedelta(0), 1), (timedelta(hours=2), 1), (timedelta(days=1), 0)]
    assert (world.pipeline.next_due(), "tier" in stands(world)) == (None, False)
    world.close()


def test_two_who_turn_out_to_be_one_are_told_alike_wherever_they_are_found(world: World) -> None:
    world.tell(BEN[1], consent=GRANTED)
    world.did("asked", "a1", ADA[1], ago=timedelta(hours=3))
    world.did("video", "v1", BEN[1], ago=timedelta(hours=1))
    world.sync()
    assert (stands(world)["last"], stands(world, BEN[1])["last"]) == ("asked", "video")
    world.did("login", "l1", user(1), BEN[1])
    world.did("login", "l2", user(1), ADA[1])
    world.sync()
    assert (stands(world)["last"], stands(world, BEN[1])["last"]) == ("video", "video")


def test_two_who_turn_out_to_be_one_of_whom_nothing_is_left_are_both_cleared(world: World) -> None:
    world.tell(BEN[1], consent=GRANTED)
    world.did("asked", "a1", ADA[1])
    world.did("video", "v1", BEN[1])
    world.sync()
    world.did("something_else", "a1", ADA[1])
    world.sync()
    assert (stands(world)["last"], stands(world, BEN[1])["last"]) == (None, "video")
    world.did("something_else", "v1", BEN[1])
    world.did("login", "l1", user(1), BEN[1])
    world.did("login", "l2", user(1), ADA[1])
    world.sync()
    assert (stands(world)["last"], stands(world, BEN[1])["last"]) == (None, None)


def test_a_new_address_is_told_what_the_old_one_was(world: World) -> None:
    world.did("asked", "a1", *ADA)
    world.sync()
    world.tell(user(1), email("ada.too"), consent=GRANTED)
    world.sync()
    assert stands(world, email("ada.too"))["last"] == "asked"


def test_without_consent_nothing_more_is_written(world: World) -> None:
    world.did("asked", "a1", *ADA)
    world.sync()
    world.tell(ADA[1], consent=dict.fromkeys(GRANTED, False))
    world.did("guide", "g1", *ADA)
    world.did("something_else", "a1", *ADA)
    world.sync()
    assert stands(world)["last"] == "asked"


def test_explain_tells_what_stands_and_why(world: World) -> None:
    world.did("video", "v1", *ADA)
    world.sync()
    rules = program(RULES)
    with world.store.read() as connection:
        told = explain(connection, rules, 1, [], to_us(world.now))["properties"]
    assert {one["property"]: (one["stands"], one["sure"], one["why"]) for one in told} == {
        "told": (["hot"], "present", "told is hot"),
        "last": ("video", "present", "last is video"),
        "last_at": ("2026-03-01T00:00:00.000Z", "present", "last_at is 2026-03-01T00:00:00.000Z"),
    }


# ---------------------------------------------------------------- rules change


def test_a_property_of_new_rules_tells_of_those_it_concerns_and_nobody_else(world: World) -> None:
    plain = RULES[: RULES.index("properties:")]
    world.use(program(plain))
    world.did("video", "v1", *ADA)
    world.tell(*BEN, consent=GRANTED)
    world.sync()
    assert world.changes() == []
    world.use(program(RULES))
    assert world.tick().judged == 1
    world.sync()
    assert (stands(world)["told"], stands(world)["last"]) == (["hot"], "video")


def test_a_segment_more_is_marked_and_a_segment_less_is_taken_off(world: World) -> None:
    world.did("video", "v1", *ADA)
    world.tell(ADA[1], stage="lead")
    world.sync()
    world.use(program(RULES.replace("[warm, hot, lead]", "[hot, warm]")))
    world.sync()
    assert stands(world)["told"] == ["hot"]
    world.use(program(RULES.replace("[warm, hot, lead]", "[warm]")))
    world.sync()
    assert stands(world)["told"] is None
    world.use(program(RULES.replace("[warm, hot, lead]", "[hot, lead], as: text")))
    world.sync()
    assert stands(world)["told"] == "hot;lead"


# ---------------------------------------------------------------- holdouts

HELD = """
version: 1
segments:
  club: {when: {person: {member: "yes"}}, holdout: {name: lot, percent: 50}}
  open: {when: {person: {member: "yes"}}}
properties:
  told: {segments: [club, open], activate: [vendor]}
"""
MARKED = HELD.replace("activate: [vendor]}", "activate: [vendor]}\n  lot: {holdout: lot, activate: [vendor]}")
CROWD = [email(f"v{n}") for n in range(40)]


def crowd(world: World, member: str = "yes") -> None:
    world.take(*(world.fact(one, consent=GRANTED, member=member) for one in CROWD))
    world.sync()


def test_a_mark_never_tells_of_those_whom_a_holdout_keeps_back() -> None:
    world = World(rules=program(HELD))
    crowd(world)
    told = [stands(world, one)["told"] for one in CROWD]
    assert 8 < told.count(["open"]) < 32, "about half of them"
    assert told.count(["club", "open"]) == len(CROWD) - told.count(["open"])
    assert all("lot" not in stands(world, one) for one in CROWD), "only on request"
    world.close()


def test_a_holdout_is_told_where_the_rules_ask_for_it() -> None:
    world = World(rules=program(MARKED))
    crowd(world)
    for one in CROWD:
        known = stands(world, one)
        assert known["lot"] == ("held_out" if known["told"] == ["open"] else "sent")
    crowd(world, member="no")
    assert {stands(world, one)["told"] for one in CROWD} == {None}
    assert {stands(world, one)["lot"] for one in CROWD} == {"held_out", "sent"}, "a lot stays"
    world.close()


def test_asked_for_later_a_holdout_tells_of_those_who_were_drawn() -> None:
    world = World(rules=program(HELD))
    crowd(world)
    world.use(program(MARKED))
    world.sync()
    assert {stands(world, one)["lot"] for one in CROWD} == {"held_out", "sent"}
    world.close()


def test_whoever_was_marked_before_the_holdout_came_is_mixed() -> None:
    world = World(rules=program(HELD.replace(", holdout: {name: lot, percent: 50}", "")))
    crowd(world)
    assert all(stands(world, one)["told"] == ["club", "open"] for one in CROWD)
    world.use(program(MARKED))
    world.sync()
    lots = {stands(world, one)["lot"]: stands(world, one)["told"] for one in CROWD}
    assert lots == {"mixed": ["open"], "sent": ["club", "open"]}
    world.close()


def test_whoever_may_have_been_marked_before_the_holdout_came_is_mixed() -> None:
    world = World(rules=program(HELD.replace(", holdout: {name: lot, percent: 50}", "")))
    world.vendor.faults = ["lost"]
    crowd(world)
    world.use(program(MARKED))
    world.later(days=1)
    world.sync()
    assert {stands(world, one)["lot"] for one in CROWD} == {"mixed", "sent"}
    world.close()


def test_the_ledger_says_what_was_written(world: World) -> None:
    world.did("video", "v1", *ADA)
    world.sync()
    said = world.rows(ledger, (ledger.c.verb == "upsert") & (ledger.c.what == "planned"))
    assert {row["detail"] for row in said} == {"told is hot", "last is video", "last_at is 2026-03-01T00:00:00.000Z"}


def test_an_event_of_nobody_tells_nothing(world: World) -> None:
    world.take(Event(source="t", id="x", name="guide", at=world.now, identifiers=()))
    world.sync()
    assert world.changes() == []
