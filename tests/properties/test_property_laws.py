"""The laws of what properties tell, over random histories: late and revised events, merges, bad weather, other writers.

- Incremental equals full: once all is calm, each contact says what judging everybody from scratch says of its person.
- Nothing empty is ever written over what is not ours; what somebody else wrote stays until we have something to tell.
- What has not changed is not written again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from delivery.scripted_vendor import Crash, Vendor
from delivery.world import GRANTED, World, email, hashed, program, user
from leadup.delivery.holdouts import lots
from leadup.engine.gather import gather, watermarks
from leadup.engine.kernel import judge
from leadup.identity import people
from leadup.outgoing import Change, RemoteId, Upsert
from leadup.state.tables import memberships
from leadup.types import Json, Kind, to_us
from leadup.values.properties import Known, value

RULES = program(
    """
version: 1
micro_conversions:
  a: {event: a, same_within: 1h}
  b: {event: b}
scores:
  s: {half_life: 12h, points: {a: 3, b: {points: 2, at_most: 2}}, tiers: {low: 1, high: 4}}
segments:
  one: {when: {did: a, within: 1d}, holdout: {name: lot, percent: 50}}
  two: {when: {did: b, within: 2d}, stay_at_least: 6h}
  three: {when: {person: {stage: lead}}}
groups: {g: [one, two]}
properties:
  score: {score: s, activate: [vendor]}
  tier: {tier: s, activate: [vendor]}
  marks: {segments: [two, one, three], activate: [vendor]}
  text: {segments: [three, two], as: text, activate: [vendor]}
  last: {last: [b, a], activate: [vendor]}
  last_at: {last_at: [a, b], activate: [vendor]}
  lot: {holdout: lot, activate: [vendor]}
"""
)
NAMES = ("ada", "ben", "cyd")
THEIRS = "called us"
FAULTS = ("later", "lost", "crash", "crash after", "postpone")


def history(seed: int) -> list[tuple[Any, ...]]:
    """What happens. Not drawn step by step: many histories that are full of events find more than shrinking would."""
    random = Random(seed)
    return [_step(random) for _ in range(random.randrange(5, 30))]


def _step(random: Random) -> tuple[Any, ...]:
    who, key, ago = random.choice(NAMES), random.randrange(6), random.randrange(-3, 40)
    choices: dict[str, tuple[int, tuple[Any, ...]]] = {
        "did": (35, (who, random.choice("ab"), key, ago)),
        "took back": (8, (who, key, ago)),
        "told": (8, (who, random.choice(["lead", "customer"]))),
        "login": (5, (who,)),
        "wrote over": (7, (who, random.choice(["tier", "marks", "last", "lot"]))),
        "unknown": (3, (who,)),
        "time": (10, (random.choice([1, 5, 13, 30]),)),
        "tick": (24, ([random.choice(FAULTS) for _ in range(random.choice([0, 0, 1, 2, 3]))],)),
    }
    [what] = random.choices([*choices], [weight for weight, _ in choices.values()])
    return what, *choices[what][1]


class Told(World):
    """A world in which somebody else writes to contacts, too."""

    def __init__(self) -> None:
        super().__init__(Vendor(), RULES)
        self.vendor.watch = self.looks_at
        self.broken: list[str] = []
        self.logged_in: set[str] = set()
        self.theirs: set[tuple[str, str]] = set()
        """By card and property, what somebody else wrote over."""
        for name in NAMES:
            self.tell(email(name), consent=GRANTED)

    def looks_at(self, _: str, change: Change) -> None:
        assert isinstance(change, Upsert)
        for card in change.to.ids:
            for name, told in change.properties.items():
                if told is None and not change.ours[name]:
                    self.broken.append(f"{name} of {card.value} is cleared, and was never ours")
                if told is not None:
                    self.theirs.discard((card.value, name))

    def step(self, what: str, *how: Any) -> None:
        match what, how:
            case "did", (who, name, key, ago):
                self.did(name, f"{who}{key}", email(who), ago=timedelta(hours=ago))
            case "took back", (who, key, ago):
                self.did("nothing", f"{who}{key}", email(who), ago=timedelta(hours=ago))
            case "told", (who, stage):
                self.tell(email(who), stage=stage)
            case "login", (who,):
                # A contact that is made late beside another one of hers is told with the next value only.
                self.vendor.unknown.discard(hashed(email(who)))
                self.logged_in.add(who)
                self.did("login", f"l{who}", user(1), email(who))
            case "wrote over", (who, name):
                for card in self.vendor.ids_of([hashed(email(who))]):
                    self.vendor.properties[card][name] = THEIRS
                    self.theirs.add((card.value, name))
            case "unknown", (who,):
                if who not in self.logged_in and RemoteId("card", hashed(email(who))) not in self.vendor.properties:
                    self.vendor.unknown.add(hashed(email(who)))
            case "time", (by,):
                self.later(hours=by)
            case "tick", (faults,):
                self.vendor.faults = list(faults)
                try:
                    self.sync()
                except Crash:
                    self.restart()

    def calm(self) -> None:
        """Good weather until all is told, and a day more, so that no score waits for its next look."""
        self.vendor.unknown.clear()
        for _ in range(3):
            self.vendor.faults = []
            self.later(hours=25)
            self.sync(force=True)

    def expected(self) -> dict[str, Mapping[str, Json]]:
        """By card, what judging everybody from scratch says of its person."""
        with self.store.read() as connection:
            everyone = people.everyone(connection)
            marks = watermarks(connection, RULES, ())
            rows = judge(RULES, *gather(connection, RULES, everyone), at=to_us(self.now), watermarks=marks).to_pylist()
            inside = {(row.person, row.segment) for row in connection.execute(select(memberships))}
            drawn = lots(connection, "lot", everyone)
            cards = people.contacts(connection, everyone, self.pipeline._vault)
        found = {}
        for row in rows:
            person, lot = row["person"], drawn.get(row["person"])
            for card in self.vendor.ids_of(cards[person].of(Kind.EMAIL)):
                found[card.value] = {
                    name: value(
                        RULES,
                        prop,
                        Known(
                            score=row["score:s"],
                            segments=[one for one in RULES.segments if (person, one) in inside],
                            held_out=["one"] if lot and lot.held else [],
                            last=(row[f"last:{name}"], row[f"last_at:{name}"])
                            if prop.patterns and row[f"last:{name}"] >= 0
                            else None,
                            lot="" if lot is None else "mixed" if lot.mixed else "held_out" if lot.held else "sent",
                        ),
                    )
                    for name, prop in RULES.properties.items()
                }
        return found


@settings(derandomize=True, deadline=None, database=None, max_examples=20, phases=[Phase.generate])
@given(st.integers(0, 2**32))
def test_each_contact_says_what_judging_from_scratch_says(seed: int) -> None:
    obeys(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_and_so_it_does_in_many_more_histories(seed: int) -> None:
    obeys(seed)


def obeys(seed: int) -> None:
    world = Told()
    try:
        for step in history(seed):
            world.step(*step)
        world.calm()
        assert world.broken == []
        for card, told in world.expected().items():
            there = next((known for at, known in world.vendor.properties.items() if at.value == card), {})
            for name, should in told.items():
                if (card, name) in world.theirs:
                    assert there[name] == THEIRS, f"{name} of {card} was somebody else's"
                else:
                    assert (there.get(name) or None) == (should or None), f"{name} of {card}"
        sent = len(world.vendor.sent)
        world.sync(force=True)
        assert len(world.vendor.sent) == sent, "nothing has changed"
    finally:
        world.close()
