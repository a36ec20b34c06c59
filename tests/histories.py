"""Random rule programs and random histories, on a grid coarse enough that edges and ties are hit all the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from random import Random

import pyarrow as pa
from hypothesis import strategies as st

from leadup.engine.facts import people_table
from leadup.rules import program as p
from leadup.rules.signals import signal_table
from leadup.rules.visits import TOLD, VISIT
from leadup.rules.where import text_and_number
from leadup.types import Json, Kind
from oracle import GRID, Human, Signal, Trait

PATTERNS = ("a", "b", "c")
LISTS = ("l", "m")
SECONDS = 20
"""Everything happens in the first so many seconds."""

# Strategies are made once: making them costs more than drawing from them.
instants = st.integers(0, SECONDS * 2).map(lambda steps: steps * GRID)
durations = st.integers(1, 12).map(lambda steps: steps * GRID)
windows = st.none() | durations
lags = st.sampled_from([0, 0, 0, GRID, 3 * GRID, 8 * GRID])
"""How long before the moment of judging a window ends."""
moments = st.builds(lambda steps, over: steps * GRID + over, st.integers(-1, 60), st.sampled_from([0, 0, 1, GRID - 1]))
VALUES: tuple[Json, ...] = (
    *(1, 2.0, 2, "2", "ab", "b", "1e0", True, "true", None, ["b", 2], {"b": 2}, "", "2026-03-01"),
    *(0.1, 0.1, 0.2, -1, 3, 1e300),
)
watermarks = st.dictionaries(st.sampled_from((*PATTERNS, VISIT)), instants)

_pattern = st.sampled_from(PATTERNS)
_texts = st.sampled_from(["b", "2", "a", "ab", "1", "2026-02-01", "direct"])
_scalars = st.sampled_from(["b", "2", "a", "ab", "1", "2026-02-01", "direct", 1, 2, 1.5, True, False])


def _wheres(*names: str) -> st.SearchStrategy[p.Where]:
    name = st.sampled_from(names)
    compared = st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte", "contains"])
    test = st.one_of(
        st.builds(p.Test, name, compared, _scalars),
        st.builds(p.Test, name, st.sampled_from(["starts_with", "matches"]), _texts),
        st.builds(p.Test, name, st.just("exists"), st.booleans()),
        st.builds(p.Test, name, st.just("in"), st.lists(_scalars, min_size=1, max_size=3).map(tuple)),
    )
    return st.lists(test, max_size=2).map(tuple)


_did = st.builds(
    lambda low, more, **rest: p.Did(low=low, high=None if more is None else low + more, **rest),
    low=st.integers(0, 3),
    more=st.sampled_from([None, None, 0, 0, 1]),
    pattern=_pattern,
    within=windows,
    lag=lags,
    where=st.just(()) | _wheres("x", "y") | _wheres("channel", "x"),
)
_measured = st.builds(
    lambda of, bound, more, below, by, **rest: p.Measured(
        of=of,
        property="y" if by == "channel" and of != "distinct" else by,
        low=None if below and of != "max" else bound if of != "distinct" else float(round(bound + 0.5)),
        high=float(more) if below and of != "max" else None if more is None else bound + 1 + more,
        **rest,
    ),
    of=st.sampled_from(["sum", "max", "distinct"]),
    bound=st.sampled_from([0.1, 0.3, 1.0, 2.0, 3.0, 4.5]),
    more=st.sampled_from([0, 0, 1, 2]),
    below=st.booleans(),
    by=st.sampled_from(["x", "y", "channel"]),
    pattern=_pattern,
    within=windows,
    lag=lags,
    where=st.just(()) | _wheres("x", "channel"),
)
LEAVES: dict[str, st.SearchStrategy[p.Condition]] = {
    "did": _did,
    "measured": _measured,
    "first": st.builds(p.First, pattern=_pattern, within=windows, lag=lags),
    "stopped": st.builds(p.Stopped, pattern=_pattern, wait=durations, after=windows),
    "resumed": st.builds(p.Resumed, pattern=_pattern, pause=durations, within=windows, lag=lags),
    "regularly": st.builds(
        lambda low, more, **rest: p.Regularly(low=low, of_last=low + more, **rest),
        low=st.integers(1, 3),
        more=st.integers(0, 2),
        pattern=_pattern,
        every=durations,
        times=st.sampled_from([1, 1, 2]),
    ),
    "visits": st.builds(
        lambda low, more, **rest: p.Visits(low=low, high=None if more is None else low + more, **rest),
        again=st.booleans(),
        low=st.integers(0, 3),
        more=st.sampled_from([None, None, 0, 1]),
        within=windows,
        lag=lags,
    ),
    "started": st.builds(p.Started, pattern=_pattern, without=_pattern, wait=durations, within=windows),
    "sequence": st.builds(
        p.Sequence,
        steps=st.lists(_pattern, min_size=1, max_size=3).map(tuple),
        span=windows,
        within=windows,
        lag=lags,
        strict=st.booleans(),
        without=st.none() | _pattern,
    ),
    "score": st.builds(
        p.ScoreIs,
        score=st.sampled_from(["s", "z"]),
        low=st.sampled_from([1.0, 5.0, 10.0, 12.0]),
        high=st.sampled_from([None, 12.0, 20.0, 30.0]),
    ),
    "person": st.builds(p.Person, where=_wheres("t", "u")),
    "in_list": st.builds(p.InList, list=st.sampled_from(LISTS)),
    "channel": st.builds(p.CameBy, where=_wheres("first_channel", "last_channel")),
}
"""Conditions of each operator."""


@cache
def conditions(segments: tuple[str, ...]) -> st.SearchStrategy[p.Condition]:
    """Conditions that may read these segments."""
    reads = [st.builds(p.InSegment, segment=st.sampled_from(segments))] if segments else []
    leaves = st.one_of(*LEAVES.values(), *reads)
    joined = _joined(leaves)
    return leaves | joined | _joined(leaves | joined) | st.builds(p.Not, _joined(leaves | st.builds(p.Not, leaves)))


def _joined(parts: st.SearchStrategy[p.Condition]) -> st.SearchStrategy[p.Condition]:
    """Conditions one level above these."""
    several = st.lists(parts, min_size=1, max_size=3).map(tuple)
    return st.builds(p.Not, parts) | st.builds(p.All, several) | st.builds(p.Any, several)


@cache
def _segment(name: str, earlier: tuple[str, ...]) -> st.SearchStrategy[p.Segment]:
    exclude = st.lists(st.sampled_from((*earlier, *earlier, *LISTS)), max_size=1).map(tuple)
    settle = st.sampled_from([0, 0, 0, GRID, 4 * GRID, 10 * GRID])
    return st.builds(p.Segment, name=st.just(name), when=conditions(earlier), exclude=exclude, settle=settle)


_points = st.lists(
    st.builds(
        p.Points,
        pattern=_pattern,
        points=st.sampled_from([1.0, 5.0, 10.0, 20.0, 10.0, 20.0, -5.0]),
        at_most=st.sampled_from([None, None, 1, 2]),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda points: points.pattern,
).map(tuple)
_half_lives = st.sampled_from([GRID, 2 * GRID, 6 * GRID, 7 * GRID, 20 * GRID])
_same_within = st.tuples(*[st.sampled_from([0, 0, GRID, 1, 3 * GRID])] * len(PATTERNS))
_pauses = st.sampled_from([GRID, 3 * GRID, 8 * GRID])
_groups = st.lists(st.permutations([f"g{n}" for n in range(6)]), max_size=2)
_size = st.integers(1, 6)


@st.composite
def programs(draw: st.DrawFn) -> p.Program:
    names = tuple(f"g{n}" for n in range(draw(_size)))
    groups = [tuple(name for name in group if name in names)[:3] for group in draw(_groups)]
    return p.Program(
        patterns={
            name: p.Pattern(name=name, macro=False, any=(p.Match(name),), same_within=within)
            for name, within in zip(PATTERNS, draw(_same_within), strict=True)
        }
        | {VISIT: p.Pattern(name=VISIT, macro=False, any=(p.Match(VISIT),), pause=draw(_pauses))},
        scores={
            name: p.Score(
                name=name, half_life=draw(_half_lives), points=draw(_points), tiers=(("low", 5.0), ("high", 10.0))
            )
            for name in ("s", "z")
        },
        segments={name: draw(_segment(name, names[:n])) for n, name in enumerate(names)},
        lists={name: p.PeopleList(name=name, match=Kind.EMAIL) for name in LISTS},
        groups=tuple(p.Group(name=str(n), segments=group) for n, group in enumerate(groups)),
        properties={
            "ab": p.Property(name="ab", of="last", names=("a", "b")),
            "cba": p.Property(name="cba", of="last_at", names=("c", "b", "a")),
        },
    )


@cache
def programs_of(operator: str) -> st.SearchStrategy[p.Program]:
    """Programs of four segments, each of which is one condition of this operator, or its opposite."""

    def made(whole: p.Program, leaves: Sequence[p.Condition], opposite: Sequence[bool]) -> p.Program:
        conditions = [p.Not(leaf) if no else leaf for leaf, no in zip(leaves, opposite, strict=True)]
        segments = {f"g{n}": p.Segment(name=f"g{n}", when=when) for n, when in enumerate(conditions)}
        return replace(whole, segments=segments, groups=())

    return st.builds(
        made,
        programs(),
        st.lists(LEAVES[operator], min_size=4, max_size=4),
        st.lists(st.booleans(), min_size=4, max_size=4),
    )


def crowd(seed: int, size: int) -> list[Human]:
    """Make persons. Not drawn one by one: many of them for each program find more than shrinking them would."""
    random = Random(seed)
    return [_human(random) for _ in range(size)]


def _human(random: Random) -> Human:
    steps = random.choice([8, SECONDS * 2])

    def instant() -> int:
        return random.randrange(steps + 1) * GRID

    count = random.randrange(10)
    signals = []
    for key in random.sample(range(count), count):
        properties = {name: random.choice(VALUES) for name in ("x", "y") if random.random() < 0.5}
        if random.random() < 0.3:
            properties["event_id"] = random.choice(["e1", "e2", "", None])
        if random.random() < 0.5:
            properties["session_id"] = random.choice(["s1", "s2", "", 3, None])
        if random.random() < 0.3:
            properties[TOLD] = random.choice(["a", "b", "ab", None])
        signals.append(Signal(random.choice((*PATTERNS, *PATTERNS, VISIT, VISIT)), instant(), f"k{key}", properties))
    traits = [Trait(random.choice("tu"), instant(), random.choice(VALUES)) for _ in range(random.randrange(4))]
    known_from = min([s.at for s in signals] + [t.at for t in traits], default=instant())
    lists = frozenset(name for name in LISTS if random.random() < 0.3)
    return Human(known_from, tuple(signals), tuple(traits), lists)


def crowds(most: int) -> st.SearchStrategy[list[Human]]:
    """Return a strategy for up to so many persons."""
    return st.builds(crowd, st.integers(0, 2**32), st.integers(1, most))


def tables(
    program: p.Program,
    persons: Sequence[Human],
    order: Sequence[int] | None = None,
    numbers: Sequence[int] | None = None,
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Return the kernel's three tables; the person in place n of the list has the n-th of ``numbers``, or 100 - n."""
    numbers = range(100, 100 - len(persons), -1) if numbers is None else numbers
    numbered = list(zip(numbers, persons, strict=True))
    rows = [(number, signal) for number, human in numbered for signal in human.signals]
    rows = [rows[n] for n in order] if order is not None else rows
    facts = [(number, trait, *text_and_number(trait.value)) for number, human in numbered for trait in human.traits]
    return (
        people_table(
            program,
            {number: human.known_from for number, human in numbered},
            {name: {number for number, human in numbered if name in human.lists} for name in program.lists},
        ),
        signal_table(
            program,
            [person for person, _ in rows],
            [signal.pattern for _, signal in rows],
            [signal.at for _, signal in rows],
            [signal.key for _, signal in rows],
            [signal.properties for _, signal in rows],
        ),
        pa.table(
            {
                "person": pa.array([person for person, *_ in facts], pa.int64()),
                "trait": pa.array([trait.name for _, trait, *_ in facts], pa.string()),
                "at": pa.array([trait.at for _, trait, *_ in facts], pa.int64()),
                "text": pa.array([text for *_, text, _ in facts], pa.string()),
                "num": pa.array([number for *_, number in facts], pa.float64()),
            }
        ),
    )
