"""Only members that we put there are taken out, also where several tries or several contacts were needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from delivery.club import club
from delivery.scripted_vendor import Vendor
from delivery.world import DENIED, GRANTED, World, email, hashed, program, user
from leadup.outgoing import RemoteId
from leadup.plan import Standing
from leadup.state.tables import outbox

HOME, WORK = email("home"), email("work")


@pytest.fixture
def world() -> Iterator[World]:
    made = World(rules=program(club()))
    yield made
    made.close()


def by_hand(vendor: Vendor, *addresses: object) -> None:
    """Somebody puts these into the audience."""
    vendor.members["club"] |= {RemoteId("card", hashed(one)) for one in addresses}


def leaves(world: World) -> set[str]:
    """Who is left when she is no member any more."""
    world.later(hours=1)
    world.tell(user(1), member="no")
    world.sync()
    return world.members


@pytest.mark.parametrize(("fault", "whose"), [("", "theirs"), ("busy", "theirs"), ("later", "doubtful")])
def test_a_try_that_did_nothing_makes_nobody_ours(world: World, fault: str, whose: str) -> None:
    by_hand(world.vendor, HOME)
    world.tell(user(1), HOME, consent=GRANTED, member="yes")
    world.vendor.faults = [fault]
    world.sync()
    world.later(hours=1)
    world.sync()
    assert world.states("join") == ["processed"]
    assert leaves(world) == ({hashed(HOME)} if whose == "theirs" else set())


def test_of_two_contacts_only_the_one_that_we_put_there_leaves(world: World) -> None:
    by_hand(world.vendor, HOME)
    world.tell(user(1), HOME, consent=GRANTED, member="yes")
    world.tell(user(1), WORK)
    world.sync()
    assert world.members == {hashed(HOME), hashed(WORK)}
    assert leaves(world) == {hashed(HOME)}


def test_who_joins_again_with_another_contact_makes_the_first_one_no_more_ours(world: World) -> None:
    by_hand(world.vendor, HOME)
    world.tell(user(1), HOME, consent=GRANTED, member="yes")
    world.sync()
    world.later(hours=1)
    world.tell(user(1), WORK)
    world.sync()
    assert world.members == {hashed(HOME), hashed(WORK)}
    assert leaves(world) == {hashed(HOME)}


@pytest.mark.parametrize("weather", [["half"], ["half", "busy"], ["later", "half"], ["half", "half", "lost"]])
def test_what_half_a_join_put_there_is_ours_whenever_the_rest_follows(world: World, weather: list[str]) -> None:
    world.tell(user(1), HOME, consent=GRANTED, member="yes")
    world.tell(user(1), WORK)
    for fault in [*weather, ""]:
        world.vendor.faults = [fault]
        world.sync(force=True)
        world.later(hours=7)
    assert world.states("join") == ["processed"]
    assert world.members == {hashed(HOME), hashed(WORK)}
    assert leaves(world) == set()


def test_what_half_a_join_put_there_leaves_when_nobody_wants_the_rest(world: World) -> None:
    world.tell(user(1), HOME, consent=GRANTED, member="yes")
    world.tell(user(1), WORK)
    world.vendor.faults = ["half"]
    world.sync()
    assert world.standing()["standing"] == Standing.POSSIBLE
    assert len(world.members) == 1
    assert leaves(world) == set()


# ---------------------------------------------------------------- after a crash


def test_who_can_not_be_found_any_more_after_a_crash_is_not_put_in(world: World) -> None:
    """He opted out while nothing ran, or the vendor deleted him."""
    world.tell(user(1), HOME, consent=GRANTED, member="yes")
    world.vendor.faults = ["crash"]
    world.sync()
    world.vendor.unknown.add(hashed(HOME))
    world.later(days=1)
    world.sync()
    assert world.members == set()
    [row] = world.rows(outbox)
    assert (row["state"], row["code"]) == ("pending", "not_found")
    world.vendor.unknown.clear()
    world.later(days=1)
    world.sync()
    assert world.members == {hashed(HOME)}
    assert {change.key for change in world.changes("join")} == {row["key"]}


def test_what_may_have_been_put_in_before_a_crash_is_taken_out_under_all_its_names(world: World) -> None:
    world.tell(user(1), HOME, consent=GRANTED, member="yes")
    world.vendor.faults = ["crash after"]
    world.sync()
    world.vendor.cards[hashed(HOME)] = "another"
    world.later(hours=1)
    world.sync()
    assert world.members == {hashed(HOME), "another"}
    assert leaves(world) == set()


def test_who_withdrew_consent_before_the_restart_leaves_where_he_may_be(world: World) -> None:
    world.tell(user(1), HOME, consent=GRANTED, member="yes")
    world.vendor.faults = ["crash after"]
    world.sync()
    world.later(hours=1)
    world.tell(user(1), consent=DENIED)
    world.sync()
    assert world.members == set()


def test_a_value_goes_to_where_somebody_is_after_a_crash() -> None:
    world = World()
    try:
        for key in ("c1", "c2", "c3"):
            world.did("click", key, HOME, consent=GRANTED)
        world.vendor.faults = ["crash"]
        world.sync()
        world.vendor.cards[hashed(HOME)] = "another"
        world.later(minutes=1)
        world.sync()
        assert dict(world.vendor.properties) == {RemoteId("card", "another"): {"tier": "warm"}}
    finally:
        world.close()
