"""Audiences that people made, renamed or deleted at the vendor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from delivery.club import audience, card, club, enrol, tell
from delivery.scripted_vendor import Vendor
from delivery.world import GRANTED, World, email, program, user
from leadup.delivery.adopting import recreate
from leadup.delivery.book import all_targets
from leadup.errors import NeedsHuman, Refused
from leadup.outgoing import Found, RemoteId, RemoteTarget, Size, Target
from leadup.state.tables import ledger, remote_ids, targets

MINE = "leadup: club"


class Shared(Vendor):
    """A vendor whose audiences people touch: kept by id, with a name that may change."""

    def __init__(self, *, together: bool = False) -> None:
        super().__init__(together=together)
        self.names: dict[str, str] = {}
        """By id."""
        self.batches: list[list[str]] = []
        """The verbs of each call."""

    def _find(self, target: Target) -> str | None:
        if target.known_id:
            return target.known_id if target.known_id in self.names else None
        return next((one for one, name in self.names.items() if name == target.remote_name), None)

    def look(self, target: Target) -> Found | None:
        found = self._find(target)
        if found is None:
            return None
        size = Size(members={"people": len(self.members[found])}, name=self.names[found], details={"kind": "MANUAL"})
        return Found(id=found, size=size)

    def size(self, of: RemoteTarget) -> Size:
        return Size(members={"people": len(self.members[of.id])}, name=self.names[of.id])

    def prepare(self, target: Target) -> RemoteTarget:
        found = self._find(target)
        if found is None and target.known_id:
            raise NeedsHuman("it is gone", todo="restore it")
        if found is None:
            found = self.make(target.remote_name)
            return RemoteTarget(id=found, name=target.remote_name, created=True)
        return RemoteTarget(id=found, name=self.names[found])

    def make(self, name: str, *members: str) -> str:
        """Make an audience, as a person does; return its id."""
        one = f"a{len(self.members)}"
        self.names[one] = name
        self.members[one] = {RemoteId("card", member) for member in members}
        return one

    def deliver(self, to: RemoteTarget, batch: Sequence[Any]) -> Any:
        self.batches.append([change.verb for change in batch])
        return super().deliver(to, batch)


@pytest.fixture
def vendor() -> Shared:
    return Shared()


@pytest.fixture
def world(vendor: Shared) -> Iterator[World]:
    made = World(vendor, rules=program(club()))
    yield made
    made.close()


def cards(vendor: Shared, one: str) -> set[str]:
    return {member.value for member in vendor.members[one]}


def about_it(world: World) -> list[tuple[str, str]]:
    """What the ledger says of the audience as a whole."""
    return [(row["what"], row["detail"]) for row in world.rows(ledger, ledger.c.verb == "prepare")]


# ---------------------------------------------------------------- adopted


def test_an_audience_with_members_is_not_written_to_before_somebody_says_so(world: World, vendor: Shared) -> None:
    there = vendor.make(MINE, "by-hand")
    enrol(world, 1, 2)
    shown = audience(world)
    text = "leadup did not make the audience 'leadup: club' (id a0, 1 members, kind MANUAL)"
    assert (shown["guard"], shown["guard_text"], shown["plan"]) == ("adopt", text, there)
    assert (vendor.sent, shown["remote_id"]) == ([], None)
    enrol(world, 3)
    assert vendor.sent == [], "held as long as nobody says anything"
    assert [what for what, _ in about_it(world)] == ["held"], "said once"
    assert world.accept() == 2
    enrol(world, 4)
    assert cards(vendor, there) == {"by-hand", *(card(number) for number in (1, 2, 3, 4))}
    assert about_it(world)[1:] == [("adopted", f"{text}; accepted by ada")]
    enrol(world, 1, member="no")
    assert "by-hand" in cards(vendor, there)


def test_what_is_adopted_is_what_was_shown(world: World, vendor: Shared) -> None:
    there = vendor.make(MINE, "by-hand")
    enrol(world, 1)
    vendor.names[there] = "renamed meanwhile"
    vendor.make(MINE, "somebody else's")
    world.accept()
    world.sync()
    assert cards(vendor, there) == {"by-hand", card(1)}


def test_an_audience_without_members_is_taken_as_it_is(world: World, vendor: Shared) -> None:
    """As a crash leaves it that struck between its creation and our note of it."""
    there = vendor.make(MINE)
    enrol(world, 1)
    assert (audience(world)["guard"], cards(vendor, there)) == (None, {card(1)})


def test_one_that_leadup_made_is_never_asked_about(world: World, vendor: Shared) -> None:
    enrol(world, 1)
    world.restart()
    enrol(world, 2)
    assert (audience(world)["guard"], cards(vendor, "a0")) == (None, {card(1), card(2)})


def test_who_leaves_while_it_is_held_is_not_sent(world: World, vendor: Shared) -> None:
    there = vendor.make(MINE, "by-hand")
    enrol(world, 1, 2)
    enrol(world, 1, 2, member="no")
    enrol(world, 3)
    world.accept()
    enrol(world, 3)
    assert cards(vendor, there) == {"by-hand", card(3)}


# ---------------------------------------------------------------- one target for each audience


def also(name: str, called: str) -> str:
    """Another segment of the same people, kept at the vendor under this name."""
    return f"  {name}: {{when: {{person: {{member: 'yes'}}}}, activate: [{{to: vendor, name: '{called}'}}]}}\n"


def errors(world: World) -> dict[str, str]:
    with world.store.read() as connection:
        return {one.target.name: one.error for one in all_targets(connection) if one.error}


@pytest.mark.parametrize("by_hand", [[], ["by-hand"]], ids=["ours alone", "with others"])
def test_an_audience_that_another_target_is_kept_in_is_not_taken(
    world: World, vendor: Shared, by_hand: list[str]
) -> None:
    enrol(world, 1)
    vendor.members["a0"] |= {RemoteId("card", one) for one in by_hand}
    vendor.names["a0"] = "Fans"
    world.use(program(club() + also("fans", "Fans")))
    enrol(world, 2)
    assert cards(vendor, "a0") == {card(1), card(2), *by_hand}
    assert errors(world).keys() == {"fans"}
    assert "vendor/audience/club is kept in that audience already (id a0)" in errors(world)["fans"]
    vendor.names["a0"] = "Club"
    world.later(hours=1)
    world.sync()
    assert (errors(world), cards(vendor, "a1")) == ({}, {card(1), card(2)}), "it has one of its own by now"


def test_an_audience_without_members_is_taken_by_one_target_only(world: World, vendor: Shared) -> None:
    enrol(world, 1)
    enrol(world, 1, member="no")
    vendor.names["a0"] = "Fans"
    world.use(program(club() + also("fans", "Fans")))
    enrol(world, 2)
    assert errors(world).keys() == {"fans"}


def test_one_audience_is_not_adopted_twice(world: World, vendor: Shared) -> None:
    there = vendor.make(MINE, "by-hand")
    enrol(world, 1)
    vendor.names[there] = "Fans"
    world.use(program(club() + also("fans", "Fans")))
    enrol(world, 2)
    assert {row["guard"] for row in world.rows(targets)} == {"adopt"}
    with pytest.raises(NeedsHuman, match=r"is kept in that audience already \(id a0\)"):
        world.accept()
    assert cards(vendor, there) == {"by-hand"}


@pytest.mark.parametrize("name", ["aces", "fans"])
def test_a_renamed_segment_takes_its_audience_over_when_it_is_empty(world: World, vendor: Shared, name: str) -> None:
    """Whichever of the two comes first: else the leaves of the old one take out who has joined by the new one."""
    enrol(world, 1, 2)
    enrol(world, 3, member="no")
    world.use(program("version: 1\nsegments:\n" + also(name, MINE)))
    world.sync()
    waits = {"aces": "vendor/audience/club, which the rules no longer send, has members in that audience still"}
    assert {one: error.split(" (id")[0] for one, error in errors(world).items()} == {
        one: text for one, text in waits.items() if one == name
    }
    world.later(minutes=5)
    world.sync()
    assert (errors(world), cards(vendor, "a0")) == ({}, {card(1), card(2)})


# ---------------------------------------------------------------- renamed


def test_a_renamed_audience_is_used_on_and_the_ledger_says_so_once(world: World, vendor: Shared) -> None:
    enrol(world, 1)
    vendor.names["a0"] = "Our best"
    for number in (2, 3):
        world.restart()
        enrol(world, number)
    assert cards(vendor, "a0") == {card(1), card(2), card(3)}
    assert len(vendor.names) == 1
    said = [detail for what, detail in about_it(world) if what == "renamed"]
    assert said == ["renamed from 'leadup: club' to 'Our best' by somebody; still used"]
    assert audience(world)["size"]["name"] == "Our best"


# ---------------------------------------------------------------- deleted


def forget(world: World, vendor: Shared) -> bool:
    with world.store.read() as connection:
        [target] = all_targets(connection)
    done = recreate(world.store, vendor, target, "ada", world.now)
    world.restart()
    return done


def test_a_deleted_audience_is_made_anew_only_when_told_and_all_are_sent_again(world: World, vendor: Shared) -> None:
    enrol(world, 1, 2, 3)
    del vendor.names["a0"]
    world.restart()
    enrol(world, 4)
    enrol(world, 1, member="no")
    assert (len(vendor.names), audience(world)["error"]) == (0, "it is gone\n  What to do: restore it")
    assert forget(world, vendor)
    assert world.rows(remote_ids) == []
    world.later(hours=2)
    world.sync()
    assert cards(vendor, "a1") == {card(2), card(3), card(4)}
    assert world.changes("leave") == [], "who was to leave is nowhere any more"
    assert audience(world)["error"] is None
    enrol(world, 2, member="no")
    assert cards(vendor, "a1") == {card(3), card(4)}


def test_a_restored_audience_is_used_on(world: World, vendor: Shared) -> None:
    enrol(world, 1)
    name = vendor.names.pop("a0")
    world.restart()
    enrol(world, 2)
    vendor.names["a0"] = name
    world.later(hours=2)
    world.sync()
    assert cards(vendor, "a0") == {card(1), card(2)}


def test_an_audience_that_is_there_is_not_made_anew(world: World, vendor: Shared) -> None:
    enrol(world, 1)
    with pytest.raises(Refused, match=r"still there: 'leadup: club' \(id a0\)"):
        forget(world, vendor)
    assert audience(world)["remote_id"] == "a0"


# ---------------------------------------------------------------- one call for both


def test_joins_and_leaves_go_together_where_a_call_may_carry_both() -> None:
    vendor = Shared(together=True)
    world = World(vendor, rules=program(club()))
    enrol(world, 1, 2, 3)
    for number in (4, 5):
        world.tell(user(number), email(f"v{number}"), consent=GRANTED, member="yes")
    for number in (1, 2):
        world.tell(user(number), email(f"v{number}"), consent=GRANTED, member="no")
    world.sync()
    assert vendor.batches == [["join"] * 3, ["join", "join", "leave", "leave"]]
    assert cards(vendor, "a0") == {card(3), card(4), card(5)}
    world.close()


def test_a_full_batch_of_joins_is_followed_by_what_is_left_with_the_leaves() -> None:
    vendor = Shared(together=True)
    vendor.can = replace(vendor.can, batch=dict.fromkeys(("join", "leave"), 3))
    world = World(vendor, rules=program(club()))
    enrol(world, 1, 2, 3)
    for number in (4, 5, 6, 7):
        world.tell(user(number), email(f"v{number}"), consent=GRANTED, member="yes")
    for number in (1, 2, 3):
        world.tell(user(number), email(f"v{number}"), consent=GRANTED, member="no")
    world.sync()
    assert vendor.batches[1:] == [["join"] * 3, ["join", "leave", "leave"], ["leave"]]
    assert cards(vendor, "a0") == {card(4), card(5), card(6), card(7)}
    world.close()


@pytest.mark.parametrize("fault", ["crash", "crash after", "lost"])
def test_a_batch_of_both_is_sent_again_as_it_was(fault: str) -> None:
    vendor = Shared(together=True)
    world = World(vendor, rules=program(club()))
    enrol(world, 1, 2)
    world.tell(user(3), email("v3"), consent=GRANTED, member="yes")
    world.tell(user(1), email("v1"), consent=GRANTED, member="no")
    vendor.faults.append(fault)
    world.sync()
    world.later(hours=1)
    world.sync()
    assert vendor.batches[1:] == [["join", "leave"]] * 2
    keys = [change.key for _, change in vendor.sent[2:]]
    assert keys[:2] == keys[2:]
    assert cards(vendor, "a0") == {card(2), card(3)}
    world.close()


def test_what_one_joins_by_another_does_not_leave_by(vendor: Shared) -> None:
    vendor = Shared(together=True)
    world = World(vendor, rules=program(club()))
    vendor.cards |= {card(1): "office", card(2): "office"}
    enrol(world, 1)
    world.tell(user(2), email("v2"), consent=GRANTED, member="yes")
    world.tell(user(1), email("v1"), consent=GRANTED, member="no")
    world.sync()
    assert (vendor.batches, cards(vendor, "a0")) == ([["join"], ["join"]], {"office"})
    world.close()


@pytest.mark.parametrize("fault", ["lost", "later", "crash"])
def test_a_list_is_taken_over_only_when_no_leave_of_the_old_name_is_in_doubt(
    world: World, vendor: Shared, fault: str
) -> None:
    """Else a leave that is sent again takes out who has just joined by the new name."""
    enrol(world, 1, 2, 3)
    [there] = vendor.names
    aces = club().replace("club:", "aces:").replace("[vendor]", f"[{{to: vendor, name: '{MINE}'}}]")
    world.use(program(aces))
    tell(world, 1, 2, 3)
    vendor.faults = [fault]
    for _ in range(12):
        world.sync()
        world.later(minutes=6)
        with world.store.read() as connection:
            held = any(one.guard for one in all_targets(connection))
        if held:
            world.accept()
    for _ in range(3):
        world.sync()
        world.later(hours=7)
    assert cards(vendor, there) == {card(1), card(2), card(3)}
