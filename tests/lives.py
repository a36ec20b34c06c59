"""Random lives: what is known of many persons from one tick to the next, while the rules are edited.

Hypothesis draws the rules and a seed; the seed decides everything else. Between two ticks events come in time, late or
dated ahead, are revised and taken back, two persons turn out to be one, sources are read further, and rules are edited.
All of it lies on the grid of :mod:`oracle`, in a few seconds, so that instants are equal and windows end at them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random

import histories as h
from leadup.rules.program import Group, InSegment, Program
from leadup.rules.signals import leaves
from leadup.rules.visits import TOLD, VISIT
from oracle import GRID, Human, Signal, Trait

TICKS = 4


@dataclass(frozen=True)
class Life:
    """One person: what was known at each tick, the same object as long as nothing new was told.

    None before anything is known, and after the person turned out to be another.
    """

    number: int
    known: tuple[Human | None, ...]

    def has_news(self, tick: int) -> bool:
        """Whether something was told since the tick before."""
        return tick == 0 or self.known[tick] is not self.known[tick - 1]


@dataclass(frozen=True)
class Tick:
    """An instant of judging, the rules live at it, and how far the sources have been read."""

    at: int
    program: Program
    watermarks: Mapping[str, int]


@dataclass(frozen=True)
class Story:
    """Many lives, which have nothing to do with one another, and the ticks at which they are judged."""

    ticks: tuple[Tick, ...]
    lives: tuple[Life, ...]


def story(programs: tuple[Program, Program], seed: int, size: int) -> Story:
    """Make ``size`` lives, two and two; rules are edited from the first of ``programs`` towards the other."""
    random = Random(seed)
    steps = random.choice([6, 10, 10, 40])
    instants = sorted(
        random.randrange(-1, steps + 14) * GRID + random.choice([0, 0, 1, GRID - 1]) for _ in range(TICKS)
    )
    marks = {name: random.randrange(steps) * GRID for name in (*h.PATTERNS, VISIT) if random.random() < 0.6}
    program, ticks = programs[0], []
    for number, at in enumerate(instants):
        if number and random.random() < 0.3:
            program = _edited(random, program, programs[1])
        if number:
            marks = {name: _read_further(random, mark, at) for name, mark in marks.items()}
        ticks.append(Tick(at, program, marks))
    pairs = (_pair(random, number, steps) for number in range(0, size, 2))
    return Story(tuple(ticks), tuple(life for pair in pairs for life in pair))


def _read_further(random: Random, mark: int, at: int) -> int:
    back = random.choice([None, 0, 0, 1, 2, 5, -3])
    return mark if back is None else max(mark, (at // GRID - back) * GRID)


def _edited(random: Random, program: Program, other: Program) -> Program:
    part = random.choice(["patterns", "scores", "segments", "segments", "groups"])
    if part != "segments":
        changed = {part: getattr(other, part)}
        if part == "groups":
            named = [tuple(name for name in group.segments if name in program.segments) for group in other.groups]
            changed["groups"] = tuple(Group(name=str(n), segments=names) for n, names in enumerate(named))
        return replace(program, **changed)
    name = random.choice([name for name in program.segments if name in other.segments])
    return replace(program, segments={**program.segments, name: other.segments[name]})


@dataclass
class _Body:
    """What is known of one person so far."""

    signals: dict[str, Signal] = field(default_factory=dict)
    traits: list[Trait] = field(default_factory=list)
    lists: set[str] = field(default_factory=set)
    known_from: int | None = None
    shown: Human | None = None

    def meets(self, at: int) -> None:
        """Something is told of this instant; that it once was stays known, though it be taken back."""
        self.known_from = at if self.known_from is None else min(at, self.known_from)
        self.shown = None

    def absorb(self, other: _Body) -> None:
        if other.known_from is not None:
            self.meets(other.known_from)
            self.signals |= other.signals
            self.traits += other.traits
            self.lists |= other.lists

    def show(self) -> Human | None:
        if self.shown is None and self.known_from is not None:
            self.shown = Human(self.known_from, tuple(self.signals.values()), tuple(self.traits), frozenset(self.lists))
        return self.shown


def _pair(random: Random, number: int, steps: int) -> tuple[Life, Life]:
    """Two persons, who in one of four cases turn out to be one."""
    one = random.randrange(1, TICKS) if random.random() < 0.25 else TICKS
    bodies, known = (_Body(), _Body()), ([], [])
    for tick in range(TICKS):
        if tick == one:
            bodies[0].absorb(bodies[1])
        for place, body in enumerate(bodies):
            for _ in range(random.randrange(8) if tick == 0 else random.choice([0, 0, 0, 1, 2, 3])):
                _tell(random, body if tick < one else bodies[0], steps)
            known[place].append(None if place and tick >= one else body)
        for place, body in enumerate(bodies):
            if known[place][-1] is not None:
                known[place][-1] = body.show()
    return Life(number, tuple(known[0])), Life(number + 1, tuple(known[1]))


def _tell(random: Random, body: _Body, steps: int) -> None:
    at, what = random.randrange(steps + 1) * GRID, random.random()
    if what < 0.1:
        body.traits.append(Trait(random.choice("tu"), at, random.choice(h.VALUES)))
    elif what < 0.15:  # comes onto a list, or leaves it
        body.lists ^= {random.choice(h.LISTS)}
    elif what < 0.25 and body.signals:  # taken back
        at = body.signals.pop(random.choice(list(body.signals))).at
    else:
        revised = body.signals and what < 0.4
        key = random.choice(list(body.signals)) if revised else f"{random.randrange(10**9):09}"
        body.signals[key] = Signal(random.choice((*h.PATTERNS, *h.PATTERNS, VISIT)), at, key, _properties(random))
    body.meets(at)


def _properties(random: Random) -> dict[str, object]:
    properties = {name: random.choice(h.VALUES) for name in ("x", "y") if random.random() < 0.5}
    if random.random() < 0.2:
        properties["event_id"] = random.choice(["e1", "e2", "", None])
    if random.random() < 0.4:
        properties["session_id"] = random.choice(["s1", "s2", "", 3, None])
    if random.random() < 0.3:
        properties[TOLD] = random.choice(["a", "b", "ab", None])
    return properties


# ---------------------------------------------------------------- the least that still fails


def smallest(whole: Story, fails: Callable[[Story], bool]) -> Story:
    """Leave out lives, then ticks, then what was told, as long as it still fails."""
    alone = (replace(whole, lives=(life,)) for life in whole.lives)
    least = next(filter(fails, alone), whole)
    while True:
        smaller = next(filter(fails, _smaller(least)), None)
        if smaller is None:
            return least
        least = smaller


def _smaller(whole: Story) -> Iterator[Story]:
    for n in range(len(whole.ticks)) if len(whole.ticks) > 1 else ():
        lives = tuple(replace(life, known=_without(life.known, n)) for life in whole.lives)
        yield Story(_without(whole.ticks, n), lives)
    for life in whole.lives if len(whole.lives) < 3 else ():
        said = {repr(one): one for human in life.known if human for one in (*human.signals, *human.traits)}
        for one in said.values():
            kept = {id(human): _forget(human, one) for human in life.known if human}
            known = tuple(kept.get(id(human)) for human in life.known)
            lives = tuple(replace(x, known=known) if x is life else x for x in whole.lives)
            yield replace(whole, lives=lives)

    for name in {name for tick in whole.ticks for name in tick.program.segments}:
        if not any(_is_read(tick.program, name) for tick in whole.ticks):
            programs = {id(tick.program): _drop(tick.program, name) for tick in whole.ticks}
            yield replace(whole, ticks=tuple(replace(t, program=programs[id(t.program)]) for t in whole.ticks))


def _is_read(program: Program, name: str) -> bool:
    return any(
        name in segment.exclude or InSegment(name) in leaves(segment.when) for segment in program.segments.values()
    )


def _drop(program: Program, name: str) -> Program:
    segments = {other: segment for other, segment in program.segments.items() if other != name}
    groups = tuple(replace(g, segments=tuple(other for other in g.segments if other != name)) for g in program.groups)
    return replace(program, segments=segments, groups=groups)


def _without(items: tuple, n: int) -> tuple:
    return items[:n] + items[n + 1 :]


def _forget(human: Human, one: Signal | Trait) -> Human:
    signals = tuple(signal for signal in human.signals if signal is not one)
    traits = tuple(trait for trait in human.traits if trait is not one)
    return replace(human, signals=signals, traits=traits)
