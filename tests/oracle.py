"""The rule language once more, in plain Python: one person at a time, slow, and meant to be obviously right.

Where the kernel computes, the oracle looks: a window is a list comprehension, a sequence tries all combinations, and
since when an answer has held is found by asking at every earlier instant. For that all times and durations must be
multiples of ``GRID``; then no answer changes between two of its instants.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from leadup.rules.program import (
    All,
    CameBy,
    Condition,
    Did,
    First,
    InList,
    InSegment,
    Measured,
    Not,
    Person,
    Program,
    Regularly,
    Resumed,
    ScoreIs,
    Sequence,
    Started,
    Stopped,
    Test,
    Visits,
)
from leadup.rules.program import Any as AnyOf
from leadup.rules.visits import TOLD, VISIT
from leadup.types import EVER, NEVER, Json

SECOND = 1_000_000
GRID = SECOND // 2


@dataclass(frozen=True)
class Signal:
    pattern: str
    at: int
    key: str
    properties: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Trait:
    name: str
    at: int
    value: Json


@dataclass(frozen=True)
class Human:
    known_from: int
    signals: tuple[Signal, ...] = ()
    traits: tuple[Trait, ...] = ()
    """In the order of the table."""
    lists: frozenset[str] = frozenset()
    """Which the person is on."""


@dataclass
class Visit:
    at: int
    """When it began."""
    channel: str | None = None


@dataclass(frozen=True)
class View:
    at: int
    session: str | None
    visit: Visit


@dataclass(frozen=True)
class Answer:
    when: bool
    excluded: bool
    within: bool
    """After ``exclude`` and groups."""


def judge(program: Program, human: Human, at: int, watermarks: Mapping[str, int]) -> dict[str, Answer]:
    """Return the answer of every segment."""
    return _ask(program, human, at, watermarks).answers()


def score(program: Program, human: Human, name: str, at: int) -> float:
    """Return the score, 0.0 for a person who is not yet known."""
    return _ask(program, human, at).score(name, at) if human.known_from <= at else 0.0


def last(program: Program, human: Human, prop: str, at: int) -> tuple[int, int] | None:
    """Return which of a property's patterns happened last, and when; of one instant the one named first."""
    if human.known_from > at:
        return None
    me = _ask(program, human, at)
    found = [(t, -place) for place, name in enumerate(program.properties[prop].names) for t in me.times(name)]
    t, place = max(found, default=(EVER, 0))
    return None if t == EVER else (-place, t)


_asked: list[_Oracle] = []


def _ask(program: Program, human: Human, at: int, watermarks: Mapping[str, int] | None = None) -> _Oracle:
    """Return the oracle that was asked last, if this is about the same; with any watermarks, when they do not count."""
    for one in _asked:
        same = one.program is program and one.human is human and one.at == at
        if same and watermarks in (None, one.watermarks):
            return one
    _asked[:] = [_Oracle(program, human, at, dict(watermarks or {}))]
    return _asked[0]


class _Oracle:
    def __init__(self, program: Program, human: Human, at: int, watermarks: Mapping[str, int], settle: int = 0) -> None:
        self.program, self.human, self.at, self.watermarks, self.settle = program, human, at, watermarks, settle
        self.first = min((s.at for s in human.signals), default=at) - GRID
        # What was worked out once is kept, as every segment asks for it again.
        self.counted: dict[str, list[tuple[int, dict[str, Json]]]] = {}
        self.instants: dict[str, list[int]] = {}
        self.known_verdicts: dict[tuple[str, bool], bool] = {}
        self.patients: dict[int, _Oracle] = {}

    # ------------------------------------------------------------ segments

    def answers(self) -> dict[str, Answer]:
        if self.human.known_from > self.at:
            return dict.fromkeys(self.program.segments, Answer(False, False, False))
        holds = {name: self.verdict(name, negate=False) for name in self.program.segments}
        answers = {}
        for name, segment in self.program.segments.items():
            earlier = {
                other
                for group in self.program.groups
                if name in group.segments
                for other in group.segments[: group.segments.index(name)]
            }
            answers[name] = Answer(
                when=self.patient(segment.settle).says(segment.when, negate=False),
                excluded=not all(self.patient(segment.settle).bars(e, negate=True) for e in segment.exclude),
                within=holds[name] and not any(holds[other] for other in earlier),
            )
        return answers

    def verdict(self, name: str, *, negate: bool) -> bool:
        if (name, negate) not in self.known_verdicts:
            self.known_verdicts[name, negate] = self.work_out(name, negate=negate)
        return self.known_verdicts[name, negate]

    def work_out(self, name: str, *, negate: bool) -> bool:
        segment = self.program.segments[name]
        me = self.patient(segment.settle)
        if negate:
            return me.says(segment.when, negate=True) or any(me.bars(e, negate=False) for e in segment.exclude)
        return me.says(segment.when, negate=False) and all(me.bars(e, negate=True) for e in segment.exclude)

    def bars(self, name: str, *, negate: bool) -> bool:
        """What ``exclude`` names: a list, or a segment."""
        return (
            (name in self.human.lists) is not negate
            if name in self.program.lists
            else self.verdict(name, negate=negate)
        )

    def patient(self, settle: int) -> _Oracle:
        """The oracle to ask for a segment that settles: its sources count as read less far."""
        if settle <= self.settle:
            return self
        if settle not in self.patients:
            marks = {name: mark + self.settle - settle for name, mark in self.watermarks.items()}
            patient = self.patients[settle] = _Oracle(self.program, self.human, self.at, marks, settle)
            patient.counted, patient.instants = self.counted, self.instants
        return self.patients[settle]

    # ------------------------------------------------------------ conditions

    def says(self, c: Condition, *, negate: bool) -> bool:
        """Return whether it is reported that the condition holds (or, negated, that it does not)."""
        if isinstance(c, Not):
            return self.says(c.part, negate=not negate)
        if isinstance(c, All | AnyOf):
            return (all if isinstance(c, All) is not negate else any)(self.says(p, negate=negate) for p in c.parts)
        if isinstance(c, InSegment):
            return self.verdict(c.segment, negate=negate)
        if isinstance(c, InList):
            return (c.list in self.human.lists) is not negate
        if isinstance(c, Person | CameBy):
            known = self.trait if isinstance(c, Person) else self.came
            return all(passes(test, known(test.property)) for test in c.where) is not negate
        if isinstance(c, Did):
            return self.did(c, negate=negate)
        if isinstance(c, Visits):
            return self.counts([visit.at for visit in self.visits()][1 if c.again else 0 :], c, [VISIT], negate=negate)
        if isinstance(c, Measured):
            return self.measured(c, negate=negate)
        if isinstance(c, First | Stopped | Resumed | Regularly):
            return self.habit(c, negate=negate)
        if isinstance(c, Started):
            return self.started(c, negate=negate)
        if isinstance(c, Sequence):
            return self.sequence(c, negate=negate)
        return self.scored(c, negate=negate)

    def did(self, c: Did, *, negate: bool) -> bool:
        return self.counts([at for at, _ in self.occurrences(c)], c, self.fed_by(c), negate=negate)

    def counts(self, times: list[int], c: Did | Visits, patterns: list[str], *, negate: bool) -> bool:
        def count(u: int) -> int:
            return sum(since(u - c.lag, c.within) < t <= u - c.lag for t in times)

        def fewer(than: int) -> bool:
            return self.absent(lambda u: count(u) < than, patterns, c.lag)

        if negate:
            return fewer(c.low) or (c.high is not None and count(self.at) > c.high)
        return count(self.at) >= c.low and (c.high is None or fewer(c.high + 1))

    def measured(self, c: Measured, *, negate: bool) -> bool:
        occurrences = self.occurrences(c)

        def measure(u: int) -> float:
            inside = [p for t, p in occurrences if since(u - c.lag, c.within) < t <= u - c.lag]
            values = [properties.get(c.property) for properties in inside]
            if c.of == "distinct":
                return len({text(value) for value in values} - {None, ""})
            numbers = [n for n in map(number, values) if n is not None and abs(n) <= 1e12]
            return sum(round(n * 1000) for n in numbers) / 1000 if c.of == "sum" else max(numbers, default=-math.inf)

        def below(bound: float) -> bool:
            return self.absent(lambda u: measure(u) < bound, self.fed_by(c), c.lag)

        def not_above(bound: float) -> bool:
            return self.absent(lambda u: measure(u) <= bound, self.fed_by(c), c.lag)

        if negate:
            return (c.low is not None and below(c.low)) or (c.high is not None and measure(self.at) > c.high)
        return (c.low is None or measure(self.at) >= c.low) and (c.high is None or not_above(c.high))

    def habit(self, c: First | Stopped | Resumed | Regularly, *, negate: bool) -> bool:
        times, lag = self.times(c.pattern), c.lag if isinstance(c, First | Resumed) else 0

        def holds(u: int) -> bool:
            if isinstance(c, Stopped):
                before = since(u - c.wait, c.after)
                return any(before < t <= u - c.wait for t in times) and not any(u - c.wait < t <= u for t in times)
            if isinstance(c, Regularly):
                edges = [(u - (n + 1) * c.every, u - n * c.every) for n in range(c.of_last)]
                return sum(sum(old < t <= new for t in times) >= c.times for old, new in edges) >= c.low
            if isinstance(c, Resumed):
                looked_for = [b for a, b in itertools.pairwise(times) if b - a >= c.pause]
            else:
                looked_for = times[:1]
            return any(since(u - lag, c.within) < t <= u - lag for t in looked_for)

        if not negate:
            rests_on_absence = not isinstance(c, Regularly)
            return self.absent(holds, [c.pattern], lag) if rests_on_absence else holds(self.at)
        if isinstance(c, First) or (isinstance(c, Stopped) and any(self.at - c.wait < t for t in times)):
            return not holds(self.at)
        return self.absent(lambda u: not holds(u), [c.pattern], lag)

    def started(self, c: Started, *, negate: bool) -> bool:
        begun, ended = self.times(c.pattern), self.times(c.without)

        def holds(u: int) -> bool:
            return any(since(u, c.within) < a <= u - c.wait and not any(a <= b <= u for b in ended) for a in begun)

        if not negate:
            return self.absent(holds, [c.without])
        if holds(self.at):
            return False
        ended_by_end = self.turned(lambda u: not holds(u)) in ended
        return ended_by_end or self.absent(lambda u: not holds(u), [c.pattern])

    def sequence(self, c: Sequence, *, negate: bool) -> bool:
        if negate:
            return self.absent(lambda u: not self.in_order(c, u), c.steps, c.lag)
        between = [*(c.steps if c.strict else ()), *([c.without] if c.without else ())]
        return self.absent(lambda u: self.in_order(c, u), between, c.lag) if between else self.in_order(c, self.at)

    def in_order(self, c: Sequence, u: int) -> bool:
        listed = [t for step in c.steps for t in self.times(step)] if c.strict else []
        breaks = self.times(c.without) if c.without else []
        return any(
            all(a < b for a, b in itertools.pairwise(times))
            and since(u - c.lag, c.within) < times[-1] <= u - c.lag
            and (c.span is None or times[-1] - times[0] <= c.span)
            and not any(a < t < b for a, b in itertools.pairwise(times) for t in listed)
            and not any(times[0] < t < times[-1] for t in breaks)
            for times in itertools.product(*([t for t in self.times(step) if t <= u] for step in c.steps))
        )

    def scored(self, c: ScoreIs, *, negate: bool) -> bool:
        patterns = [points.pattern for points in self.program.scores[c.score].points]

        def below(threshold: float) -> bool:
            def answer(u: int) -> bool:
                return self.score(c.score, u) < threshold

            if not answer(self.at):
                return False
            turn = self.turned(answer)
            happened = turn > EVER and self.score(c.score, turn, before=turn) >= threshold
            return happened or self.absent(answer, patterns)

        if negate:
            return below(c.low) or (c.high is not None and self.score(c.score, self.at) >= c.high)
        return self.score(c.score, self.at) >= c.low and (c.high is None or below(c.high))

    def score(self, name: str, u: int, before: int = NEVER) -> float:
        """Return the score at ``u``, of signals not after it and earlier than ``before``."""
        score, total = self.program.scores[name], 0.0
        for points in score.points:
            times = [t for t in self.times(points.pattern) if t <= u and t < before]
            if points.at_most is not None:
                times = times[max(len(times) - points.at_most, 0) :]
            worth = 0.0
            for t in times:
                age = max(u // SECOND * SECOND - t, 0)
                if age < 10 * score.half_life:
                    worth += points.points * 2.0 ** -(age / score.half_life)
            total += worth
        return total

    # ------------------------------------------------------------ absence

    def absent(self, holds: Callable[[int], bool], patterns: list[str] | tuple[str, ...], lag: int = 0) -> bool:
        """Return whether something holds, and the sources have been read up to the instant since when it does.

        Or ``lag`` less, if what happens later says nothing.
        """
        read_to = min(self.watermarks.get(pattern, NEVER) for pattern in patterns) + lag
        return holds(self.at) and (read_to >= self.at or self.turned(holds) <= read_to)

    def turned(self, holds: Callable[[int], bool]) -> int:
        """Return since when the answer has been what it is now, without a break."""
        turned, now = self.at // GRID * GRID, holds(self.at)
        while holds(turned - GRID) == now:
            turned -= GRID
            if turned < self.first:
                return EVER
        return turned

    # ------------------------------------------------------------ what is known

    def trait(self, name: str) -> Json:
        value: Json = None
        for trait in sorted(self.human.traits, key=lambda t: t.at):
            if trait.name == name and trait.at <= self.at:
                value = trait.value
        return value

    def times(self, pattern: str) -> list[int]:
        if pattern not in self.instants:
            self.instants[pattern] = [at for at, _ in self.happened(pattern)]
        return self.instants[pattern]

    def occurrences(self, c: Did | Measured) -> list[tuple[int, dict[str, Json]]]:
        found = self.happened(c.pattern)
        if self.reads_channel(c):
            found = [(t, {**properties, "channel": self.channel(t, properties)}) for t, properties in found]
        return [(t, p) for t, p in found if all(passes(test, p.get(test.property)) for test in c.where)]

    def fed_by(self, c: Did | Measured) -> list[str]:
        return [c.pattern, VISIT] if self.reads_channel(c) else [c.pattern]

    def reads_channel(self, c: Did | Measured) -> bool:
        return "channel" in [getattr(c, "property", ""), *(test.property for test in c.where)]

    def views(self) -> list[View]:
        views: list[View] = []
        for at, properties in self.happened(VISIT):
            session = text(properties.get("session_id")) or None
            visit = self.visit_at(views, at, session) or Visit(at)
            visit.channel = visit.channel or text(properties.get(TOLD))
            views.append(View(at, session, visit))
        return views

    def visit_at(self, views: list[View], at: int, session: str | None) -> Visit | None:
        """Return the visit to which what happens at an instant belongs."""
        for view in views:
            if session and view.session == session:
                return view.visit
        earlier = [view for view in views if view.at <= at]
        if (
            not earlier
            or at - earlier[-1].at >= self.program.patterns[VISIT].pause
            or (session and earlier[-1].session)
        ):
            return None
        return earlier[-1].visit

    def visits(self) -> list[Visit]:
        """Return the visits, in the order in which they began."""
        visits: list[Visit] = []
        for view in self.views():
            if not any(view.visit is visit for visit in visits):
                visits.append(view.visit)
        return visits

    def came(self, name: str) -> str | None:
        """Return the channel of the first or last visit."""
        ends = {"first_channel": self.visits()[:1], "last_channel": self.visits()[-1:]}
        return next((visit.channel or "direct" for visit in ends[name]), None)

    def channel(self, at: int, properties: Mapping[str, Json]) -> str | None:
        """Return the channel of the visit in which something happened."""
        visit = self.visit_at(self.views(), at, text(properties.get("session_id")) or None)
        return (visit.channel or "direct") if visit else None

    def happened(self, pattern: str) -> list[tuple[int, dict[str, Json]]]:
        """Return the occurrences of a pattern."""
        if pattern not in self.counted:
            self.counted[pattern] = list(self.count_once(pattern))
        return self.counted[pattern]

    def count_once(self, pattern: str) -> Iterator[tuple[int, dict[str, Json]]]:
        """Yield the occurrences: instant, and the properties of all the signals that are it, the earliest first."""
        signals = [s for s in self.human.signals if s.pattern == pattern and s.at <= self.at]
        occurrences: list[list[Signal]] = []
        for signal in sorted(signals, key=lambda s: (s.at, s.key)):
            same = [o for o in occurrences if event_id(signal) and event_id(signal) in map(event_id, o)]
            if same:
                same[0].append(signal)
            elif occurrences and signal.at - occurrences[-1][0].at < self.program.patterns[pattern].same_within:
                occurrences[-1].append(signal)
            else:
                occurrences.append([signal])
        for occurrence in occurrences:
            properties: dict[str, Json] = {}
            for signal in occurrence:
                for name, value in signal.properties.items():
                    if not missing(value):
                        properties.setdefault(name, value)
            yield occurrence[0].at, properties


def since(u: int, within: int | None) -> int:
    return EVER if within is None else u - within


def event_id(signal: Signal) -> str | None:
    return text(signal.properties.get("event_id"))


# ---------------------------------------------------------------- tests of properties


def missing(value: Json) -> bool:
    return value is None or isinstance(value, Mapping) or (isinstance(value, float) and not math.isfinite(value))


def text(value: Json) -> str | None:
    if missing(value) or isinstance(value, list | tuple):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value == int(value) and abs(value) < 1e16:
        return str(int(value))
    return str(value)


def number(value: Json) -> float | None:
    if isinstance(value, str):
        return float(value) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", value) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def passes(test: Test, value: Json) -> bool:
    if test.op == "exists":
        return (text(value) is not None) is test.value
    if test.op == "ne":
        return not passes(Test(test.property, "eq", test.value), value)
    if test.op == "in":
        assert isinstance(test.value, tuple)
        return any(passes(Test(test.property, "eq", one), value) for one in test.value)
    if test.op == "contains" and isinstance(value, list | tuple):
        return text(test.value) in [text(element) for element in value]
    if text(value) is None:
        return False
    if test.op == "contains":
        return text(test.value) in text(value)
    if test.op == "starts_with":
        return text(value).startswith(text(test.value))
    if test.op == "matches":
        return re.search(text(test.value), text(value)) is not None
    as_number = isinstance(test.value, int | float) and not isinstance(test.value, bool)
    mine, other = (number(value), number(test.value)) if as_number else (text(value), text(test.value))
    if mine is None:
        return False
    return {
        "eq": mine == other,
        "gt": mine > other,
        "gte": mine >= other,
        "lt": mine < other,
        "lte": mine <= other,
    }[test.op]
