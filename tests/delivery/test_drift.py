"""What a vendor's audience holds against the book: who is missing, who has moved, who stays, and what a repair does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.scripted_vendor import Plain
from delivery.world import GRANTED, VAULT, World, email, hashed
from leadup.delivery.book import TargetRow, all_targets
from leadup.delivery.drift import DRIFTS, Compared, What, compare, repair
from leadup.delivery.held import Drift, scratch
from leadup.outgoing import Address, Contact, RemoteId, RemoteTarget, Target, Unreachable
from leadup.plan import Standing
from leadup.state.tables import standings
from leadup.types import to_us

NAMES = ("ada", "bob", "cyd", "dan", "eve")


class Shown(Plain):
    """The vendor in memory, with a way to look into its audiences."""

    def members(self, of: RemoteTarget) -> Iterator[RemoteId]:
        yield from sorted(self.vendor.members[of.id])


class Hands:
    """People at the vendor's own desk."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.club = world.vendor.members["club"]

    def card(self, name: str) -> RemoteId:
        """Where somebody is filed now."""
        address = hashed(email(name))
        return RemoteId("card", self.world.vendor.cards.get(address, address))

    def put(self, name: str) -> None:
        self.club.add(self.card(name))

    def take(self, name: str) -> None:
        self.club.discard(self.card(name))

    def merge(self, name: str, into: str) -> None:
        """Two cards turn out to be one person's: one vanishes, and the other gets its place."""
        gone, stays = self.card(name), self.card(into)
        self.world.vendor.vanished |= {gone} - {stays}
        for one in NAMES:
            if self.card(one) == gone:
                self.world.vendor.cards[hashed(email(one))] = stays.value
        if gone in self.club and gone != stays:
            self.club.discard(gone)
            self.club.add(stays)


@pytest.fixture
def world() -> Iterator[World]:
    one = World()
    yield one
    one.close()


def club(world: World) -> TargetRow:
    with world.store.read() as connection:
        [found] = [target for target in all_targets(connection) if target.target.name == "club"]
    return found


def look(world: World) -> tuple[Compared, list[Drift]]:
    """Compare the club with the book."""
    with scratch() as held:
        return compare(world.store, VAULT, Shown(world.vendor), club(world), held), list(held.drifts())


def put_right(world: World, between: Callable[[], object] = lambda: None) -> Mapping[What, int]:
    """Compare, let something happen, and repair; nothing is sent by that."""
    target = club(world)
    with scratch() as held:
        compare(world.store, VAULT, Shown(world.vendor), target, held)
        between()
        sent = len(world.vendor.sent)
        with world.store.write() as connection:
            done = repair(connection, target, held, "ada", to_us(world.now))
    assert len(world.vendor.sent) == sent
    return done


def join(world: World, *names: str) -> None:
    for name in names:
        world.tell(email(name), consent=GRANTED, member="yes")
    world.sync()


def leave(world: World, *names: str) -> None:
    for name in names:
        world.tell(email(name), member="no")
    world.sync()


def syncs(world: World, faults: Sequence[str]) -> None:
    """Sync until these faults are over."""
    world.vendor.faults = list(faults)
    for _ in range(len(faults) + 1):
        world.later(hours=7)
        world.sync(force=True)
    world.vendor.faults = []


def cards(*names: str) -> set[str]:
    return {hashed(email(name)) for name in names}


def test_an_audience_that_is_as_confirmed(world: World) -> None:
    join(world, "ada", "bob")
    told, drifts = look(world)
    assert (told.members, told.others, told.rows, drifts) == (2, 0, {What.THERE: 2}, [])


def test_who_was_taken_out_stays_out_until_a_repair(world: World) -> None:
    join(world, "ada", "bob")
    Hands(world).take("bob")
    for _ in range(3):
        world.later(hours=1)
        world.sync()
    assert world.members == cards("ada")
    told, [drift] = look(world)
    assert (told.rows, told.why) == ({What.THERE: 1, What.MISSING: 1}, {"taken_out": 1})
    assert put_right(world) == {What.MISSING: 1}
    assert world.said("reconcile") == ["missing"]
    world.sync()
    assert world.members == cards("ada", "bob")
    assert world.changes()[-1].person == drift.person
    assert look(world)[1] == []


def test_who_is_unknown_to_the_vendor_is_missing_for_that_reason(world: World) -> None:
    join(world, "ada", "bob")
    Hands(world).take("bob")
    world.vendor.unknown |= cards("bob")
    assert look(world)[0].why == {"not_found": 1}
    put_right(world)
    world.sync()
    assert world.states("join")[-1] == "pending", "he waits until the vendor knows him"


def test_of_whom_the_vendor_does_not_say_nothing_is_said(world: World) -> None:
    join(world, "ada", "bob")
    Hands(world).take("bob")

    class Silent(Shown):
        def address(self, target: Target, people: Sequence[Contact]) -> Sequence[Address | Unreachable]:
            return [Unreachable(code="not_asked", detail="too much at once", unsure=True) for _ in people]

    with scratch() as held:
        told = compare(world.store, VAULT, Silent(world.vendor), club(world), held)
    assert told.rows == {What.THERE: 1, What.UNDER_WAY: 1}


def test_of_two_cards_that_were_merged_the_one_that_is_left_is_recognised(world: World) -> None:
    join(world, "ada", "bob")
    Hands(world).merge("bob", into="cyd")
    told, _ = look(world)
    assert (told.rows, told.others) == ({What.THERE: 1, What.MOVED: 1}, 0)
    assert put_right(world) == {What.MOVED: 1}
    world.sync()
    assert len(world.changes("join")) == 2, "he is there: nothing is sent"
    leave(world, "bob")
    assert world.members == cards("ada"), "and he leaves by the card that is left"


def test_whom_others_put_there_is_counted_and_left_alone(world: World) -> None:
    hands = Hands(world)
    hands.put("eve")
    hands.put("bob")
    join(world, "ada", "bob")
    told, drifts = look(world)
    assert (told.members, told.others, told.rows, drifts) == (3, 1, {What.THERE: 1, What.BESIDES: 1}, [])
    leave(world, "ada", "bob")
    assert world.members == cards("bob", "eve")
    assert put_right(world) == {}


def test_who_should_have_left_and_was_refused_is_still_on_his_way_out(world: World) -> None:
    join(world, "ada", "bob")
    world.vendor.faults = ["refused"]
    leave(world, "bob")
    world.sync()
    assert world.members == cards("ada", "bob")
    assert look(world)[0].rows == {What.THERE: 1, What.LEAVING: 1}
    assert put_right(world) == {}


def test_who_is_on_his_way_out_is_no_drift(world: World) -> None:
    join(world, "ada", "bob")
    world.vendor.faults = ["later"]
    leave(world, "bob")
    assert look(world)[0].rows == {What.THERE: 1, What.LEAVING: 1}


def test_what_changes_while_the_audience_is_read_is_not_missed(world: World) -> None:
    join(world, "ada")

    class Slow(Shown):
        def members(self, of: RemoteTarget) -> Iterator[RemoteId]:
            page = list(super().members(of))
            join(world, "bob")
            yield from page

    with scratch() as held:
        told = compare(world.store, VAULT, Slow(world.vendor), club(world), held)
    assert told.rows == {What.THERE: 1, What.UNDER_WAY: 1}


def test_what_has_changed_since_it_was_compared_is_not_repaired(world: World) -> None:
    join(world, "ada", "bob")
    Hands(world).take("bob")
    assert put_right(world, between=lambda: leave(world, "bob")) == {}
    assert world.standing(standings.c.want.is_(None))["standing"] == Standing.ABSENT


def test_one_contact_of_two_persons_is_one_member(world: World) -> None:
    hands = Hands(world)
    hands.merge("bob", into="ada")
    join(world, "ada", "bob")
    told, drifts = look(world)
    assert (told.members, told.rows, drifts) == (1, {What.THERE: 2}, [])


def test_trap_who_was_merged_leaves_by_the_card_that_is_left(world: World) -> None:
    join(world, "ada", "bob")
    Hands(world).merge("bob", into="cyd")
    leave(world, "bob")
    assert world.members == cards("ada")
    assert world.said("leave") == ["planned", "sent", "later", "sent", "confirmed"]
    assert world.standing(standings.c.want.is_(None))["standing"] == Standing.ABSENT


def test_who_was_merged_into_another_member_s_card_is_spared(world: World) -> None:
    join(world, "ada", "bob")
    Hands(world).merge("bob", into="ada")
    leave(world, "bob")
    assert world.members == cards("ada")


def test_whose_card_is_gone_altogether_has_left(world: World) -> None:
    join(world, "ada", "bob")
    Hands(world).merge("bob", into="cyd")
    world.vendor.unknown |= cards("bob")
    leave(world, "bob")
    assert world.said("leave") == ["planned", "sent", "later", "spared"]
    assert world.members == cards("ada", "cyd"), "nothing tells that he is cyd"
    assert look(world)[0].others == 1


edits = st.one_of(
    st.tuples(st.just("yes"), st.sampled_from(NAMES)),
    st.tuples(st.just("no"), st.sampled_from(NAMES)),
    st.tuples(st.just("take"), st.sampled_from(NAMES)),
    st.tuples(st.just("stranger"), st.sampled_from(["s1", "s2"])),
    st.tuples(st.just("merge"), st.permutations(NAMES).map(lambda names: tuple(names[:2]))),
)


weather = st.lists(st.sampled_from(["later", "lost", "crash", "crash after", "postpone"]), max_size=2)


@settings(deadline=None, max_examples=25)
@given(rounds=st.lists(st.tuples(st.lists(edits, max_size=6), weather, st.booleans()), min_size=1, max_size=4))
def test_after_a_repair_and_a_sync_the_audience_is_as_wanted_and_strangers_are_still_there(
    rounds: list[tuple[list[tuple[str, Any]], list[str], bool]],
) -> None:
    """Whatever people do at the vendor's desk, in any weather that passes.

    Without a repair, at least nobody is there who should not be.
    """
    world = World()
    hands, wanted, strangers = Hands(world), {"ada"}, set[RemoteId]()
    try:
        join(world, "ada")
        for edited, faults, repaired in rounds:
            for what, who in edited:
                match what:
                    case "yes" | "no":
                        world.tell(email(who), consent=GRANTED, member=what)
                        (wanted.add if what == "yes" else wanted.discard)(who)
                    case "take":
                        hands.take(who)
                    case "merge":
                        hands.merge(who[0], into=who[1])
                    case "stranger":
                        strangers.add(RemoteId("card", who))
                        hands.club.add(RemoteId("card", who))
            here = set(hands.club)
            told, drifts = look(world)
            assert (told.members, told.others) == (len(here), len(strangers))
            assert look(world)[1] == drifts, "looking changes nothing"
            if not repaired:
                syncs(world, faults)
                assert hands.club <= {hands.card(name) for name in wanted} | strangers
                continue
            assert put_right(world) == {what: told.rows[what] for what in DRIFTS if told.rows[what]}
            assert not [one for one in look(world)[1] if one.what != What.STAYS]
            assert hands.club == here, "a repair sends nothing"
            syncs(world, faults)
            assert hands.club == {hands.card(name) for name in wanted} | strangers
    finally:
        world.close()
