"""The law of memberships over many random lives, in a real state.

The lives of :mod:`lives` are told to the pipeline page by page, as parts that are read again, and rules are edited as
they live. At every tick, and whenever time alone changes something, three answers are compared with those of a plain
register, which knows the oracle's verdicts and nothing of the product:

- who is in which segment since when, by ``when``, ``exclude``, ``settle``, ``stay_at_least`` and groups together;
- on whom the lot of a holdout fell, when, and whom it tells nothing of, also after persons turned out to be one;
- who should stand at the destination.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import select

import histories as h
import lives as lv
import oracle
from leadup.delivery.book import Terms
from leadup.delivery.holdouts import Lot
from leadup.events.rows import key_of
from leadup.identity import people
from leadup.identity.normalise import normalise
from leadup.identity.vault import Vault
from leadup.outgoing import Target, Use
from leadup.pipeline import Pipeline
from leadup.rules.compile import fingerprint
from leadup.rules.lists import Listing
from leadup.rules.program import Group, Holdout, Match, PeopleList, Program
from leadup.rules.visits import TOLD, VISIT
from leadup.state import open_store
from leadup.state.tables import holdouts, memberships, meta, standings, targets
from leadup.types import Event, Fact, Identifier, Kind, Page, Part, from_us, to_us

BASE = 1_772_323_200_000_000
"""2026-03-01, the zero of the lives' instants."""
SIZE = 48
PROGRAMS = 8
SHARE = 300
SHARDS = range(10)
ENOUGH = 3_000
VAULT = Vault(Fernet.generate_key().decode())
NEEDS = frozenset({Kind.USER_ID, Kind.EMAIL})
LISTED = (Kind.USER_ID, Kind.EMAIL)
CHANNELS = {"a": "email", "b": "affiliate", "ab": "email"}
"""The medium of a view, which is its channel, too."""


@pytest.mark.parametrize("shard", SHARDS)
def test_many_memberships_obey_the_law(shard: int, record_property: Any) -> None:
    followed = 0

    @seed(shard)
    @settings(
        max_examples=PROGRAMS,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(h.programs(), h.programs()), st.integers(0, 2**32))
    def law(programs: tuple[Program, Program], number: int) -> None:
        nonlocal followed
        whole = lv.story(programs, number, SIZE)
        random = Random(number)
        stays = {name: random.choice([0, h.GRID, 3 * h.GRID, 9 * h.GRID]) for name in whole.ticks[0].program.segments}
        lots = {name: random.choice([None, "lot", "other"]) for name in stays}
        try:
            followed += follow(whole, stays, lots)
        except AssertionError as error:
            least = lv.smallest(whole, lambda story: breaks(story, stays, lots))
            raise AssertionError(f"{error}\nThe least that breaks the law:\n{least}\n{stays}\n{lots}") from error

    law()
    record_property("random lives with memberships", followed)
    assert followed >= SHARE


def test_they_are_enough() -> None:
    assert len(SHARDS) * SHARE >= ENOUGH


def breaks(story: lv.Story, stays: Mapping[str, int], lots: Mapping[str, str | None]) -> bool:
    try:
        follow(story, stays, lots)
    except AssertionError:
        return True
    return False


def follow(story: lv.Story, stays: Mapping[str, int], lots: Mapping[str, str | None]) -> int:
    """Tell the story to a pipeline, and to a register; return how many persons there are in the end."""
    told = Telling()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store("sqlite://", Path(folder))
        with store.read() as connection:
            salt = str(connection.scalar(select(meta.c.value).where(meta.c.key == "salt")))
        register = Register(salt)
        pipeline = Pipeline(store, VAULT, Program())
        for number, tick in enumerate(story.ticks):
            page = told.page(story, number)
            program = completed(tick.program, stays, lots, told.lists)
            now, marks = from_us(BASE + tick.at), dict.fromkeys(program.patterns, tick.watermarks.get("a", tick.at))
            wanted = {target(name): terms(program, name) for name in program.segments}
            pipeline.use(program, wanted, now, lists=told.lists)
            pipeline.take("t", replace(page, complete_until=from_us(BASE + marks["a"])), now)
            register.join(told.merged)
            said = program, told.known, marks
            judge_and_compare(pipeline, register, said, tick.at)
        at = story.ticks[-1].at
        for _ in range(3):  # from now on nothing happens but time
            due = pipeline.next_due()
            if due is None:
                break
            at = max(to_us(due) - BASE, at)
            judge_and_compare(pipeline, register, said, at)
        store.close()
    return len(told.known)


def judge_and_compare(pipeline: Pipeline, register: Register, said: Any, at: int) -> None:
    """Tick; and see that the memberships stand until just before the instant at which somebody is due."""
    pipeline.tick(from_us(BASE + at))
    register.tick(*said, at)
    agrees(pipeline, register, at)
    due = pipeline.next_due()
    if due is not None and to_us(due) - 1 - BASE > at:
        register.tick(*said, to_us(due) - 1 - BASE)
        agrees(pipeline, register, to_us(due) - 1 - BASE)


def completed(
    program: Program, stays: Mapping[str, int], lots: Mapping[str, str | None], lists: Mapping[str, Listing]
) -> Program:
    """The program with what concerns memberships and not verdicts, these lists, and visits of what sources send."""
    segments = {
        name: replace(one, stay_at_least=stays[name], holdout=Holdout(name=lot, share=0.5) if lot else None)
        for name, one in program.segments.items()
        for lot in [lots[name]]
    }
    views = replace(program.patterns[VISIT], any=(Match("page_view"),))
    named = {name: PeopleList(name=name, match=one.match, digest=one.digest) for name, one in lists.items()}
    groups: list[Group] = []
    for group in program.groups:  # of a rule file, a segment is in one at most
        taken = {name for other in groups for name in other.segments}
        groups.append(replace(group, segments=tuple(name for name in group.segments if name not in taken)))
    whole = replace(
        program,
        segments=segments,
        patterns={**program.patterns, VISIT: views},
        lists=named,
        groups=tuple(groups),
    )
    return replace(whole, fingerprint=fingerprint(whole))


def target(name: str) -> Target:
    return Target(connection="vendor", use=Use.AUDIENCE, name=name, remote_name=name)


def terms(program: Program, name: str) -> Terms:
    lot = program.segments[name].holdout
    return Terms(needs=NEEDS, holdout=lot.name if lot else None)


def identifier(number: int) -> Identifier:
    """Of each two persons the first has a user id, the other an e-mail address or a browser."""
    if number % 2 == 0:
        return Identifier(Kind.USER_ID, f"u{number}")
    if number % 4 == 1:
        return Identifier(Kind.EMAIL, f"e{number}@example.com")
    return Identifier(Kind.CLIENT_ID, f"c{number}")


# ---------------------------------------------------------------- what is told


@dataclass
class Telling:
    """What the lives are for the pipeline: records; and what is known of each person once they are told."""

    known: dict[int, oracle.Human] = field(default_factory=dict)
    merged: dict[int, int] = field(default_factory=dict)
    """Who turned out to be another with the last page."""
    lists: dict[str, Listing] = field(default_factory=dict)
    """Who is on which list now: of the first list user ids, of the second e-mail addresses."""
    _gone: set[int] = field(default_factory=set)
    _owner: dict[str, int] = field(default_factory=dict)
    _facts: dict[int, tuple[Fact, oracle.Trait]] = field(default_factory=dict)

    def page(self, story: lv.Story, number: int) -> Page:
        """The page before a tick: all events there are now, and the facts that are new."""
        events, facts, self.merged = [], list[Fact](), {}
        for life in story.lives:
            human = life.known[number]
            if human is None:
                if life.number in self.known:
                    self.merged[life.number] = life.number - 1
                continue
            signals = []
            for signal in human.signals:
                event, seen = self._event(life.number, signal)
                events.append(event)
                signals.append(seen)
            new = [trait for trait in human.traits if id(trait) not in self._facts]
            for trait in new:
                serial = len(self._facts)  # no two at one instant: whose counts is the law of identity's
                later = replace(trait, at=trait.at + serial)
                fact = Fact(
                    source="t",
                    at=from_us(BASE + later.at),
                    identifiers=(identifier(life.number),),
                    facts={trait.name: trait.value},
                )
                self._facts[id(trait)] = fact, later
                facts.append(fact)
            traits = [self._facts[id(trait)][1] for trait in human.traits]
            first = [one.at for one in (*signals, *traits)]
            before = self.known.get(life.number)
            if first or before:
                since = min([*first, *([before.known_from] if before else [])])
                self.known[life.number] = oracle.Human(since, tuple(signals), tuple(traits))
        facts += [self._join(gone, stays) for gone, stays in self.merged.items()]
        self._list({life.number: human.lists for life in story.lives if (human := life.known[number])})
        part = Part(name="lives", reading=str(number), last=True)
        return Page(records=[*events, *facts], cursor={"page": number}, part=part)

    def _list(self, meant: Mapping[int, frozenset[str]]) -> None:
        on: dict[str, set[str]] = {name: set() for name in h.LISTS}
        for person in self.known:
            mine = [identifier(one) for one in (person, person + 1) if one == person or one in self._gone]
            named = [
                (name, who) for name, kind in zip(h.LISTS, LISTED, strict=True) for who in mine if who.kind is kind
            ]
            lists = {name: who for name, who in named if name in meant.get(person, ())}
            self.known[person] = replace(self.known[person], lists=frozenset(lists))
            for name, who in lists.items():
                on[name].add(str(normalise(who.kind, who.value)))
        kinds = zip(h.LISTS, LISTED, strict=True)
        self.lists = {name: Listing(match=kind, values=frozenset(on[name])) for name, kind in kinds}

    def _join(self, gone: int, stays: int) -> Fact:
        self._gone.add(gone)
        other = self.known.pop(gone)
        mine = self.known.get(stays, other)
        since = min(mine.known_from, other.known_from)
        self.known[stays] = replace(mine, known_from=since)
        both = (identifier(stays), identifier(gone))
        return Fact(source="t", at=from_us(BASE + since), identifiers=both, facts={})

    def _event(self, number: int, signal: oracle.Signal) -> tuple[Event, oracle.Signal]:
        owner = self._owner.setdefault(signal.key, number)
        said = {name: value for name, value in signal.properties.items() if name != TOLD}
        medium = CHANNELS.get(str(signal.properties.get(TOLD))) if signal.pattern == VISIT else None
        event = Event(
            source="t",
            id=signal.key,
            name="page_view" if signal.pattern == VISIT else signal.pattern,
            at=from_us(BASE + signal.at),
            identifiers=(identifier(owner),),
            properties={**said, "medium": medium} if medium else said,
        )
        seen = replace(signal, key=key_of("t", signal.key).hex(), properties={**said, TOLD: medium})
        return event, seen


# ---------------------------------------------------------------- what should come of it


@dataclass
class Register:
    """Who is in which segment, who is held out, and who should be sent: in plain words, one person after the other."""

    salt: str
    entered: dict[int, dict[str, int]] = field(default_factory=dict)
    lots: dict[tuple[str, int], Lot] = field(default_factory=dict)
    wanted: set[tuple[str, int]] = field(default_factory=set)
    kinds: dict[int, set[Kind]] = field(default_factory=dict)

    def join(self, merged: Mapping[int, int]) -> None:
        for gone, stays in merged.items():
            mine = self.entered.setdefault(stays, {})
            for name, since in self.entered.pop(gone, {}).items():
                mine[name] = min(since, mine.get(name, since))
            self.kinds.setdefault(stays, {identifier(stays).kind}).add(identifier(gone).kind)
            for name in {name for name, person in self.lots if person == gone}:
                both = [self.lots[key] for key in ((name, stays), (name, gone)) if key in self.lots]
                first = min(both, key=lambda lot: (lot.at_us, not lot.held))
                unlike = any(lot.mixed for lot in both) or len({lot.held for lot in both}) > 1
                del self.lots[name, gone]
                self.lots[name, stays] = Lot(first.held, first.at_us, unlike)

    def tick(self, program: Program, known: Mapping[int, oracle.Human], marks: Mapping[str, int], at: int) -> None:
        self.wanted = set()
        for person, human in known.items():
            said, was = oracle.judge(program, human, at, marks), self.entered.get(person, {})
            claims = {
                name
                for name, segment in program.segments.items()
                if not said[name].excluded
                and (said[name].when or (name in was and at < was[name] + segment.stay_at_least))
            }
            beaten = {
                name
                for group in program.groups
                for place, name in enumerate(group.segments)
                if claims.intersection(group.segments[:place])
            }
            self.entered[person] = {name: was.get(name, at) for name in claims - beaten}
            for name in claims - beaten:
                self.wants(person, name, program.segments[name].holdout, at)

    def wants(self, person: int, segment: str, holdout: Holdout | None, at: int) -> None:
        if NEEDS.isdisjoint(self.kinds.get(person, {identifier(person).kind})):
            return
        if holdout is not None:
            lot = self.lots.setdefault((holdout.name, person), Lot(self.drawn(holdout.name, person), at))
            if lot.held:
                return
        self.wanted.add((segment, person))

    def drawn(self, name: str, person: int) -> bool:
        """The lot falls on half of the people, by a hash of the strongest identifier."""
        one = identifier(person)
        digest = hashlib.sha256(f"{self.salt}\n{name}\n{one.kind}:{normalise(one.kind, one.value)}".encode())
        return int(digest.hexdigest()[:16], 16) < 2**63


def agrees(pipeline: Pipeline, register: Register, at: int) -> None:
    """Compare what the state holds with the register."""
    with pipeline.store.read() as connection:
        strongest = people.strongest(connection, people.everyone(connection))
        number = {str(normalise(who.kind, who.value)): n for n in range(SIZE) for who in [identifier(n)]}
        person = {one: number[who.value] for one, who in strongest.items()}
        rows = connection.execute(select(memberships)).all()
        entered = {(row.segment, person[row.person]): row.entered_us - BASE for row in rows}
        lots = {
            (row.name, person[row.person]): Lot(row.held, row.at_us - BASE, row.mixed)
            for row in connection.execute(select(holdouts))
        }
        book = connection.execute(select(standings)).all()
        names = {row.id: row.name for row in connection.execute(select(targets.c.id, targets.c.name))}
        wanted = {(names[row.target], person[row.person]) for row in book if row.want is not None}
    expected = {(name, who): since for who, mine in register.entered.items() for name, since in mine.items()}
    assert entered == expected, f"members at {at}: {set(entered.items()) ^ set(expected.items())}"
    assert lots == register.lots, f"lots at {at}: {set(lots.items()) ^ set(register.lots.items())}"
    assert wanted == register.wanted, f"wanted at {at}: {wanted ^ register.wanted}"
