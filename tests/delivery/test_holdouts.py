"""Who is held out is never sent: over random histories with merges, and when a holdout comes late."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delivery.world import DENIED, GRANTED, World, email, program, user
from leadup.delivery.holdouts import Lot
from leadup.identity import people
from leadup.membership import draws
from leadup.outgoing import Change, Join
from leadup.rules.program import Holdout
from leadup.state.tables import holdouts, meta, standings
from leadup.types import Identifier, Kind, to_us

PLAIN = """
version: 1
segments:
  club: {when: {person: {member: "yes"}}, activate: [vendor]}
  guests: {when: {person: {guest: "yes"}}, activate: [vendor]}
"""
HALVED = PLAIN.replace("activate: [vendor]", "holdout: {name: lot, percent: 50}, activate: [vendor]")
exactly = settings(
    derandomize=True, deadline=None, database=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)


@contextmanager
def world(rules: str) -> Iterator[World]:
    made = World(rules=program(rules))
    yield made
    made.close()


def lots(world: World) -> dict[int, Lot]:
    return {row["person"]: Lot(row["held"], row["at_us"], row["mixed"]) for row in world.rows(holdouts)}


def drawn(salt: str, who: Identifier) -> bool:
    """The lot once more, as the design states it."""
    digest = hashlib.sha256(f"{salt}\nlot\n{who.kind}:{who.value}".encode()).hexdigest()
    return int(digest[:16], 16) < 2**63


users, emails = st.sampled_from([user(i) for i in range(3)]), st.sampled_from([email(name) for name in "abcdef"])
who = st.one_of(st.tuples(emails), st.tuples(users), st.tuples(users, emails), st.tuples(users, emails))
said = st.tuples(
    who,
    st.sampled_from([GRANTED, GRANTED, GRANTED, DENIED, {}]),
    st.sampled_from([{"member": "yes"}, {"member": "yes"}, {"member": "no", "guest": "yes"}, {}]),
)


@exactly
@given(st.lists(st.lists(said, min_size=1, max_size=5), min_size=3, max_size=7))
def test_whom_a_lot_holds_is_never_sent_and_a_lot_stays(history: list[list[Any]]) -> None:
    with world(HALVED) as w:
        [salt] = [row["value"] for row in w.rows(meta, meta.c.key == "salt")]
        held: set[int] = set()

        def watch(_: str, change: Change) -> None:
            assert not (isinstance(change, Join) and change.person in held)

        w.vendor.watch = watch
        before: Mapping[int, Lot] = {}
        for step in history:
            for identifiers, consent, facts in step:
                w.tell(*identifiers, consent=consent, **facts)
            w.later(hours=1)
            w.tick()
            expected, now = merged(w, before), lots(w)
            strongest = of_everyone(w)
            for person in now.keys() - expected:
                expected[person] = Lot(drawn(salt, strongest[person]), to_us(w.now))
            assert now == expected
            held = {person for person, lot in now.items() if lot.held}
            for row in w.rows(standings):
                assert row["want"] is None or (row["person"] in now and row["person"] not in held)
            w.sync()
            before = now


def merged(w: World, before: Mapping[int, Lot]) -> dict[int, Lot]:
    """The lots of those who turned out to be one: the earliest, mixed if they were unlike."""
    with w.store.read() as connection:
        stays = people.current(connection, before)
    found: dict[int, Lot] = {}
    for person in set(stays.values()):
        together = [lot for one, lot in before.items() if stays[one] == person]
        first = min(together, key=lambda lot: (lot.at_us, not lot.held))
        mixed = any(lot.mixed for lot in together) or len({lot.held for lot in together}) > 1
        found[person] = Lot(first.held, first.at_us, mixed)
    return found


def of_everyone(w: World) -> Mapping[int, Identifier]:
    with w.store.read() as connection:
        return people.strongest(connection, people.everyone(connection))


def test_a_lot_waits_for_an_identifier_and_consent() -> None:
    with world(HALVED) as w:
        w.tell(user(1), consent=GRANTED, member="yes")
        w.tell(user(2), email("b"), member="yes")
        w.sync()
        assert lots(w) == {}
        w.later(days=1)
        w.tell(user(1), email("a"))
        w.tell(user(2), consent=GRANTED)
        w.sync()
        assert {lot.at_us for lot in lots(w).values()} == {to_us(w.now)}
        assert len(lots(w)) == 2


def test_segments_that_name_a_holdout_share_its_people() -> None:
    with world(HALVED) as w:
        for i in range(20):
            w.tell(user(i), email(f"v{i}"), consent=GRANTED, member="yes", guest="yes")
        w.sync()
        out = sum(lot.held for lot in lots(w).values())
        assert 0 < out < 20
        assert w.vendor.members["club"] == w.vendor.members["guests"]
        assert len(w.vendor.members["club"]) == 20 - out


def test_who_was_sent_before_the_holdout_was_there_leaves_and_is_mixed() -> None:
    with world(PLAIN.replace("activate", "guard: {max_leave: 100%}, activate")) as w:
        for i in range(20):
            w.tell(user(i), email(f"v{i}"), consent=GRANTED, member="yes")
        w.sync()
        assert len(w.vendor.members["club"]) == 20
        w.use(program(HALVED))
        w.tell(user(99), email("new"), consent=GRANTED, member="yes")
        w.sync()
        all_lots = lots(w)
        [new] = [lot for person, lot in all_lots.items() if of_everyone(w)[person] == user(99)]
        assert not new.mixed
        old = [lot for lot in all_lots.values() if lot is not new]
        assert {lot.held for lot in old} == {True, False}
        assert all(lot.mixed == lot.held for lot in old)
        assert len(w.vendor.members["club"]) == sum(not lot.held for lot in all_lots.values())


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_lot_falls_on_its_share_and_differs_by_salt_and_name(share: float) -> None:
    holdout, crowd = Holdout(name="lot", share=share), [Identifier(Kind.USER_ID, str(i)) for i in range(20_000)]

    def held(one: Holdout, salt: str) -> set[Identifier]:
        return {who for who in crowd if draws(one, salt, who)}

    mine = held(holdout, "salt")
    assert abs(len(mine) / len(crowd) - share) < 4 * (share / len(crowd)) ** 0.5
    for other in (held(holdout, "other"), held(Holdout(name="other", share=share), "salt")):
        assert abs(len(mine & other) / len(crowd) - share**2) < 0.01, "drawn apart"
    assert mine <= held(Holdout(name="lot", share=share * 1.5), "salt"), "a larger share draws the same, and more"
