"""Judges every person at an instant: tables in, one table out, no storage and no clock.

NumPy and pyarrow are all it needs, and a program pickles: so the same kernel runs in one process, in a pool, or
wherever a batch of whole persons arrives as Arrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadup.engine.facts import Facts
from leadup.engine.history import History, People, Signals, column
from leadup.rules import operators
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
    Property,
    Regularly,
    Resumed,
    ScoreIs,
    Sequence,
    Started,
    Stopped,
    Visits,
)
from leadup.rules.program import Any as AnyOf
from leadup.rules.scores import Scoring
from leadup.rules.signals import patterns_read
from leadup.rules.verdicts import Mask, Verdicts, every, known, lagging, some, sooner
from leadup.rules.visits import VISIT, fed_by
from leadup.types import EVER, NEVER

BLOCK: Final = 1 << 15
"""Persons judged at once: so many that NumPy's calls weigh nothing, so few that their arrays stay in the cache."""


def judge(
    program: Program,
    people: pa.Table,
    signals: pa.Table,
    facts: pa.Table,
    *,
    at: int,
    watermarks: Mapping[str, int],
    block: int = BLOCK,
) -> pa.Table:
    """Judge every person at the instant ``at`` (microseconds UTC).

    - ``people``: ``person`` int64 (each once), ``known_from`` int64, the instant of his first event or fact. Whoever
      is known only later than ``at`` is not seen: nothing holds for him until then.
      Of each list of the program, ``list:NAME`` bool: who is on it (:func:`leadup.engine.facts.people_table`).
    - ``signals``: as :func:`leadup.rules.signals.signal_schema`, in any order (fastest by pattern, person, ``at``).
      Signals of other persons are left out; the ``key`` of a signal is unique for a person and pattern.
    - ``facts``: ``person`` int64, ``trait`` string, ``at`` int64, ``text`` string, ``num`` float64 (as
      :func:`leadup.rules.where.text_and_number` gives them). Of one instant the last row counts.
    - ``watermarks``: by pattern, the instant up to which the sources that feed it have been read completely; a
      pattern that is not named is complete.

    Returns one row a person, in the order of ``people``:

    - ``person`` int64;
    - of each segment ``when:NAME``, ``excluded:NAME`` (bool; excluded is also who is not yet known not to be) and
      ``in:NAME`` (bool: when, not excluded, and no earlier segment of its groups holds);
    - ``until:NAME`` int64: none of the three changes by itself before it; later than ``at``, ``NEVER`` if not at all;
    - ``waits:NAME`` int64: the earliest watermark that may change one of the three, ``NEVER`` if none can. Judge again
      when a watermark passes from before it to it or beyond;
    - of each score ``score:NAME`` float64 and ``until_score:NAME`` int64, when its tier changes by itself;
    - of each property that tells of the last of some patterns ``last:NAME`` int64, the place among them of the last
      that happened (of one instant the first; -1 if none did), ``last_at:NAME`` int64, when that was (``EVER``), and
      ``until_last:NAME`` int64, when the next one dated ahead is;
    - ``due`` and ``waits`` int64: the earliest of all the ``until`` and of all the ``waits``.

    ``block`` has no influence on the result.
    """
    _keep_memory()
    known_from = column(people, "known_from").to_numpy()
    index = People(column(people, "person").to_numpy())
    sorted_signals = Signals(signals, index, patterns_read(program))
    current = Facts(facts, index, len(known_from), at=at)
    listed = {name: column(people, f"list:{name}").to_numpy(zero_copy_only=False) for name in program.lists}
    tables = []
    borders = np.linspace(0, len(known_from), max(-(-len(known_from) // block), 1) + 1).astype(int).tolist()
    for begin, end in pairwise(borders):
        history = History(sorted_signals, program.patterns, begin, end, at=at)
        judgement = _Judgement(program, history, current, listed, begin, end, at=at, watermarks=watermarks)
        verdicts = judgement.columns(known_from[begin:end])
        arrays = {id(values): values for values in verdicts.values()}  # many columns are one array
        arrow = {key: _arrow(values) for key, values in arrays.items()}
        columns = {name: arrow[id(values)] for name, values in verdicts.items()}
        tables.append(pa.table({"person": column(people, "person").slice(begin, end - begin), **columns}))
    return pa.concat_tables(tables)


@cache
def _keep_memory() -> None:
    """Let the C library keep what a block of persons frees for the next block.

    Else it gives arrays back to the system, which clears each page anew: as long as all of judging. Of GNU's library,
    freeing an array that was mapped by itself raises the size up to which it keeps them, and to twice that what it
    keeps in all; 32 MiB are the most (source: mallopt(3), M_MMAP_THRESHOLD). Others do as they always do.
    """
    np.empty(31 << 20, np.uint8)


def _arrow(values: npt.NDArray[np.generic]) -> pa.Array:
    """Return NumPy's values as Arrow; flags are packed by NumPy, which is faster at it."""
    if values.dtype != np.bool_:
        return pa.array(values)
    bits = pa.py_buffer(np.packbits(values.astype(bool, copy=False), bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits])


class _Judgement:
    """The verdicts of one block of persons at one instant, each made when first asked for."""

    def __init__(
        self,
        program: Program,
        history: History,
        facts: Facts,
        listed: Mapping[str, Mask],
        begin: int,
        end: int,
        *,
        at: int,
        watermarks: Mapping[str, int],
        settle: int = 0,
    ) -> None:
        self._program, self._history, self._facts, self._listed = program, history, facts, listed
        self._block, self._persons = slice(begin, end), end - begin
        self._at, self._watermarks, self._settle = at, watermarks, settle
        self._patient: dict[int, _Judgement] = {}
        self._scores: dict[str, Scoring] = {}
        self._made: dict[tuple[str, str, bool], Verdicts] = {}
        self._nobody, self._never = np.zeros(self._persons, bool), np.full(self._persons, NEVER)

    # ------------------------------------------------------------ conditions

    def condition(self, c: Condition, *, negate: bool = False) -> Verdicts:
        """Judge a condition, or its opposite: ``not`` is carried down to the operators."""
        match c:
            case Not():
                return self.condition(c.part, negate=not negate)
            case All() | AnyOf():
                join = every if isinstance(c, All) is not negate else some
                return join([self.condition(part, negate=negate) for part in c.parts], self._persons)
            case InSegment():
                return self.verdict(c.segment, negate=negate)
            case _:  # rules share conditions; told apart by their text, for to Python 1 and True are equal
                return self._once("condition", repr(c), negate, lambda: self._leaf(c, negate=negate))

    def _leaf(self, c: Condition, *, negate: bool) -> Verdicts:
        match c:
            case Did():
                done, read_to = self._history.of(c.pattern, c.where, lag=c.lag), self._read_to(*fed_by(c), lag=c.lag)
                return lagging(operators.did(done, c, at=self._at, watermark=read_to, negate=negate), c.lag)
            case Visits():
                visits, read_to = self._history.visits(again=c.again, lag=c.lag), self._read_to(VISIT, lag=c.lag)
                return lagging(operators.did(visits, c, at=self._at, watermark=read_to, negate=negate), c.lag)
            case Measured():
                done, read_to = self._history.measured(c), self._read_to(*fed_by(c), lag=c.lag)
                return lagging(operators.measured(done, c, at=self._at, watermark=read_to, negate=negate), c.lag)
            case First() | Stopped() | Resumed() | Regularly():
                lag = c.lag if isinstance(c, First | Resumed) else 0
                done, read_to = self._history.of(c.pattern, lag=lag), self._read_to(c.pattern, lag=lag)
                return lagging(operators.habit(done, c, at=self._at, watermark=read_to, negate=negate), lag)
            case Started():
                return operators.started(
                    self._history.of(c.pattern),
                    self._history.of(c.without),
                    c,
                    at=self._at,
                    watermark=self._read_to(c.pattern),
                    end_watermark=self._read_to(c.without),
                    negate=negate,
                )
            case Sequence():
                verdicts = operators.sequence(
                    [self._history.of(step, lag=c.lag) for step in c.steps],
                    self._history.of(c.without, lag=c.lag) if c.without else None,
                    c,
                    at=self._at,
                    watermark=self._read_to(*c.steps, lag=c.lag),
                    break_watermark=self._read_to(*c.broken_by, lag=c.lag),
                    negate=negate,
                )
                return lagging(verdicts, c.lag)
            case ScoreIs():
                points = self._program.scores[c.score].points
                read_to = self._read_to(*(p.pattern for p in points))
                return self.score(c.score).judge(c, watermark=read_to, negate=negate)
            case CameBy():
                holds, until = self._history.came_by(c.where)
                return known(holds != negate, until)
            case InList():
                return known(self._listed[c.list][self._block] != negate, self._never)
            case Person():
                holds, until = self._facts.judge(c.where)
                return known(holds[self._block] != negate, until[self._block])
            case _:
                raise TypeError(f"{c!r} holds other conditions.")

    def _read_to(self, *patterns: str, lag: int = 0) -> int:
        """Return the instant up to which all of these patterns are complete, were all of it ``lag`` later."""
        read_to = min((self._watermarks.get(pattern, NEVER) for pattern in patterns), default=NEVER)
        return min(read_to + lag, NEVER)

    def score(self, name: str) -> Scoring:
        if name not in self._scores:
            score = self._program.scores[name]
            occurrences = [self._history.of(points.pattern) for points in score.points]
            self._scores[name] = Scoring(score, occurrences, self._persons, at=self._at)
        return self._scores[name]

    # ------------------------------------------------------------ segments

    def when(self, name: str, *, negate: bool = False) -> Verdicts:
        segment = self._program.segments[name]
        if segment.settle > self._settle:
            return self._patiently(segment.settle, lambda judgement: judgement.when(name, negate=negate))
        return self._once("when", name, negate, lambda: self.condition(segment.when, negate=negate))

    def clear(self, name: str) -> Verdicts:
        """Judge that none of the segment's exclusions holds."""
        segment = self._program.segments[name]
        if segment.settle > self._settle:
            return self._patiently(segment.settle, lambda judgement: judgement.clear(name))
        return self._once(
            "clear", name, False, lambda: every([self._bars(e, negate=True) for e in segment.exclude], self._persons)
        )

    def _bars(self, name: str, *, negate: bool = False) -> Verdicts:
        """Judge what ``exclude`` names: a segment, or a list."""
        return self.condition(
            InList(list=name) if name in self._program.lists else InSegment(segment=name), negate=negate
        )

    def verdict(self, name: str, *, negate: bool = False) -> Verdicts:
        """Judge ``when`` and not excluded, before groups; or its opposite."""
        segment = self._program.segments[name]
        exclude = segment.exclude
        if not exclude:
            return self.when(name, negate=negate)
        if segment.settle > self._settle:
            return self._patiently(segment.settle, lambda judgement: judgement.verdict(name, negate=negate))

        def make() -> Verdicts:
            if not negate:
                return every([self.when(name), self.clear(name)], self._persons)
            return some([self.when(name, negate=True), *map(self._bars, exclude)], self._persons)

        return self._once("verdict", name, negate, make)

    def _patiently(self, settle: int, ask: Callable[[_Judgement], Verdicts]) -> Verdicts:
        """Judge as if the sources had been read ``settle`` less far: rows of that time may still come."""
        if settle not in self._patient:
            later = settle - self._settle
            marks = {pattern: max(mark - later, EVER) for pattern, mark in self._watermarks.items()}
            begin, end = self._block.start, self._block.stop
            program, history, facts, listed = self._program, self._history, self._facts, self._listed
            made = _Judgement(program, history, facts, listed, begin, end, at=self._at, watermarks=marks, settle=settle)
            made._scores = self._scores
            self._patient[settle] = made
        verdicts = ask(self._patient[settle])
        if verdicts.waits is None:
            return verdicts
        put_off = np.where(verdicts.waits == NEVER, NEVER, verdicts.waits + (settle - self._settle))
        return replace(verdicts, waits=put_off)

    def _once(self, what: str, name: str, negate: bool, make: Callable[[], Verdicts]) -> Verdicts:
        key = (what, name, negate)
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    # ------------------------------------------------------------ the answer

    def columns(self, known_from: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.generic]]:
        """Return all columns but ``person``."""
        unseen = known_from > self._at
        columns: dict[str, npt.NDArray[np.generic]] = {}
        for name in self._program.segments:
            columns |= self._segment(name)
        for name in self._program.scores:
            columns[f"score:{name}"] = self.score(name).value
            columns[f"until_score:{name}"] = self.score(name).next_tier()
        if unseen.any():
            for name, values in columns.items():
                empty = known_from if name.startswith("until") else NEVER if name.startswith("waits") else 0
                columns[name] = np.where(unseen, empty, values).astype(values.dtype)
        for prop in self._program.properties.values():
            if prop.patterns:
                columns |= self._last(prop)
        columns["due"] = self._earliest(columns, "until")
        columns["waits"] = self._earliest(columns, "waits")
        return columns

    def _segment(self, name: str) -> dict[str, npt.NDArray[np.generic]]:
        when, excluded = self.when(name), self._nobody
        holds, until, waits = when.holds, when.until, when.waits
        if self._program.segments[name].exclude:
            clear = self.clear(name)
            excluded, holds = ~clear.holds, holds & clear.holds
            until, waits = np.minimum(until, clear.until), sooner(waits, clear.waits)
        for other in map(self.verdict, self._earlier(name)):
            holds, until, waits = holds & ~other.holds, np.minimum(until, other.until), sooner(waits, other.waits)
        return {
            f"when:{name}": when.holds,
            f"excluded:{name}": excluded,
            f"in:{name}": holds,
            f"until:{name}": until,
            f"waits:{name}": self._never if waits is None else waits,
        }

    def _last(self, prop: Property) -> dict[str, npt.NDArray[np.generic]]:
        place, at, until = np.full(self._persons, -1), np.full(self._persons, EVER), self._never
        for index, pattern in enumerate(prop.patterns):
            done = self._history.of(pattern)
            later = done.latest(1) > at
            place[later], at[later] = index, done.latest(1)[later]
            until = until if done.wake is None else np.minimum(until, done.wake)
        return {f"last:{prop.name}": place, f"last_at:{prop.name}": at, f"until_last:{prop.name}": until}

    def _earlier(self, name: str) -> Iterator[str]:
        for group in self._program.groups:
            if name in group.segments:
                yield from group.segments[: group.segments.index(name)]

    def _earliest(self, columns: Mapping[str, npt.NDArray[np.generic]], kind: str) -> npt.NDArray[np.generic]:
        earliest = np.full(self._persons, NEVER)
        for name, values in columns.items():
            if name.startswith(kind) and values is not self._never:
                np.minimum(earliest, values, out=earliest)
        return earliest
