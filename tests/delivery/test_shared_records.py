"""Persons who share a record at the vendor, as contacts that were merged there: the value of one outlives another's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from delivery.scripted_vendor import Vendor
from delivery.world import DENIED, GRANTED, World, email, hashed, program, user
from leadup.outgoing import RemoteId, Upsert
from leadup.state.tables import remote_ids
from leadup.types import Identifier, Json

RULES = """
version: 1
segments:
  lead: {when: {person: {stage: lead}}}
  guest: {when: {person: {stage: guest}}}
properties:
  told: {segments: [lead, guest], activate: [vendor]}
"""
ADA, BEN = (user(1), email("ada")), (user(2), email("ben"))
SHARED = RemoteId("card", "shared")


@pytest.fixture
def world() -> Iterator[World]:
    made = World(rules=program(RULES))
    made.vendor.cards = {hashed(ADA[1]): SHARED.value, hashed(BEN[1]): SHARED.value}
    yield made
    made.close()


def stage(world: World, who: tuple[Identifier, ...], name: str) -> None:
    """A CRM says what somebody is."""
    world.tell(*who, consent=GRANTED, stage=name)


def passes(world: World, times: int = 1) -> None:
    for _ in range(times):
        world.sync()
        world.later(hours=1)


def told(world: World, record: RemoteId = SHARED) -> Json:
    return world.vendor.properties[record].get("told")


def test_what_one_has_no_more_is_not_cleared_where_another_still_has_it(world: World) -> None:
    for who in (ADA, BEN):
        stage(world, who, "lead")
        passes(world)
    stage(world, ADA, "none")
    passes(world, 2)
    assert told(world) == ["lead"]
    stage(world, BEN, "none")
    passes(world, 2)
    assert told(world) is None
    assert world.rows(remote_ids) == [], "nothing stands anywhere"


def test_what_one_wrote_over_anothers_value_gives_way_to_it_again(world: World) -> None:
    stage(world, ADA, "guest")
    passes(world)
    stage(world, BEN, "lead")
    passes(world)
    assert told(world) == ["lead"], "the last one counts"
    stage(world, BEN, "none")
    passes(world, 2)
    assert told(world) == ["guest"]
    assert world.said("upsert").count("spared") == 1
    sent = len(world.vendor.sent)
    passes(world, 2)
    assert len(world.vendor.sent) == sent


def test_one_who_comes_in_the_same_batch_as_another_goes_keeps_his_value(world: World) -> None:
    stage(world, ADA, "lead")
    passes(world)
    stage(world, BEN, "lead")
    stage(world, ADA, "none")
    passes(world, 2)
    assert told(world) == ["lead"]


def test_one_who_comes_in_the_same_batch_but_may_not_be_told_of_keeps_nobody_elses_value(world: World) -> None:
    stage(world, ADA, "guest")
    passes(world)
    stage(world, BEN, "lead")
    stage(world, ADA, "none")
    world.tick()
    world.tell(*BEN, consent=DENIED)
    world.deliver()
    assert (told(world), world.said("upsert")[-1]) == (None, "confirmed")


def test_only_what_is_shared_is_spared(world: World) -> None:
    home = email("home")
    stage(world, ADA, "lead")
    world.did("login", "l1", ADA[0], home)
    stage(world, BEN, "lead")
    passes(world)
    own = RemoteId("card", hashed(home))
    assert (told(world), told(world, own)) == (["lead"], ["lead"])
    stage(world, ADA, "none")
    passes(world, 2)
    assert (told(world), told(world, own)) == (["lead"], None)
    [cleared] = [change for change in world.changes("upsert") if isinstance(change, Upsert) and change.ours]
    assert cleared.to.ids == (own,)


def test_who_shares_a_record_no_more_is_no_reason_to_keep_a_value(world: World) -> None:
    for who in (ADA, BEN):
        stage(world, who, "lead")
        passes(world)
    world.vendor.cards.pop(hashed(BEN[1]))
    stage(world, BEN, "guest")
    passes(world)
    stage(world, ADA, "none")
    passes(world, 2)
    assert told(world) is None


@settings(derandomize=True, deadline=None, database=None, max_examples=6, phases=[Phase.generate])
@given(st.randoms(use_true_random=False))
def test_a_record_says_what_one_of_its_persons_has_to_tell_whatever_the_weather(random: Random) -> None:
    people, cards, has = [(user(n), email(f"p{n}")) for n in range(4)], ["one", "two"], dict.fromkeys(range(4), "none")
    with closing(World(Vendor(batch=random.choice([1, 2, 100])), rules=program(RULES))) as world:
        where = {n: random.choice(cards) for n in range(4)}
        world.vendor.cards = {hashed(people[n][1]): card for n, card in where.items()}
        for _ in range(random.randint(4, 14)):
            for n in random.sample(range(4), random.randint(0, 3)):
                has[n] = random.choice(["lead", "guest", "none"])
                stage(world, people[n], has[n])
            world.vendor.faults = [random.choice(["", "later", "lost", "busy", "crash", "crash after", "postpone"])]
            passes(world)
        world.vendor.faults = []
        for _ in range(4):
            world.later(hours=6)
            passes(world)
        for card in cards:
            tells = {has[n] for n in has if where[n] == card} - {"none"}
            there = told(world, RemoteId("card", card))
            assert (there or ["none"])[0] in (tells or {"none"})
