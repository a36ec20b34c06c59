"""From tables to what the operators read: the rows of the persons who are judged, split, in order, each once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from leadup.rules.channels import DIRECT
from leadup.rules.occurrences import Occurrences, first_of_each, in_order
from leadup.rules.program import Measured, Pattern, Test, Where
from leadup.rules.signals import EVENT_ID
from leadup.rules.verdicts import Instants, Mask, sooner
from leadup.rules.visits import CHANNEL, ENDS, SESSION_ID, TOLD, VISIT, Views
from leadup.rules.where import Texts, passes
from leadup.types import EVER, NEVER

Rows = npt.NDArray[np.intp]
_LARGEST: Final = 1e12
"""Thousands of values of this size add up, in thousandths, within 64 bits; what is larger is a mistake or an id."""

_DENSE: Final = 4
"""Ids that lie so near, in the mean, are looked up in a list of all there could be, not by bisection."""


def column(table: pa.Table, name: str) -> pa.Array:
    """Return a column in one piece."""
    chunked = table.column(name)
    return chunked.chunk(0) if chunked.num_chunks == 1 else chunked.combine_chunks()


class People:
    """The persons who are judged, by the rows they have in their table."""

    def __init__(self, ids: Instants) -> None:
        self._order = np.argsort(ids, kind="stable")
        self._ids = ids[self._order]
        twice = self._ids[1:][self._ids[1:] == self._ids[:-1]]
        if len(twice):
            raise ValueError(f"Person {twice[0]} is there twice in the table of people; give each person one row.")

    def __len__(self) -> int:
        return len(self._ids)

    def row_of(self, ids: Instants) -> Rows:
        """Return each person's row, -1 where he is not one of them."""
        if not len(self._ids) or not len(ids):
            return np.full(len(ids), -1)
        # The rows of a person mostly stand together, so each run of equal ids is looked up once.
        begin = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
        row = self._row_of_each(ids[begin])
        return np.repeat(row, np.diff(begin, append=len(ids)))

    def _row_of_each(self, ids: Instants) -> Rows:
        low, span = int(self._ids[0]), int(self._ids[-1]) - int(self._ids[0]) + 1
        if span <= _DENSE * len(self._ids) and low <= int(ids.min()) and int(ids.max()) < low + span:
            rows = np.full(span, -1)
            rows[self._ids - low] = self._order
            return rows[ids - low]
        place = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return np.where(self._ids[place] == ids, self._order[place], -1)


class Signals:
    """The signals of some patterns and persons: of each pattern in order of person, instant and key."""

    def __init__(self, table: pa.Table, people: People, patterns: Iterable[str]) -> None:
        self._table = table
        self._texts: dict[str, Texts] = {}
        names = {name: code for code, name in enumerate(patterns)}
        person = people.row_of(column(table, "person").to_numpy())
        code, at = _codes(column(table, "pattern"), names), column(table, "at").to_numpy()
        wanted = (person >= 0) & (code >= 0)
        row = np.arange(len(wanted))
        if not wanted.all():
            row, person, code, at = row[wanted], person[wanted], code[wanted], at[wanted]
        if (code[1:] < code[:-1]).any():
            order = np.argsort(code, kind="stable")  # of small numbers: no comparisons, a few passes over them
            row, person, code, at = row[order], person[order], code[order], at[order]
        borders = np.searchsorted(code, np.arange(len(names) + 1, dtype=code.dtype)).tolist()
        self._parts = {
            name: self._sorted(row[begin:end], person[begin:end], at[begin:end])
            for name, (begin, end) in zip(names, pairwise(borders), strict=True)
        }
        self._event_id = _numbered(self.texts(EVENT_ID))

    def split(self, begin: int, end: int) -> dict[str, tuple[Rows, Rows, Instants]]:
        """Return of each pattern the rows of the persons ``begin`` to ``end - 1``: table row, person, instant.

        In order of person, instant and key.
        """
        found = {}
        for name, (row, person, at) in self._parts.items():
            of = slice(*np.searchsorted(person, (begin, end)).tolist())
            found[name] = row[of], person[of] - begin, at[of]
        return found

    def _sorted(self, row: Rows, person: Rows, at: Instants) -> tuple[Rows, Rows, Instants]:
        """Put rows of one pattern in order of person, instant and key, as they mostly are."""
        same = person[1:] == person[:-1]
        if (person[1:] < person[:-1]).any() or (same & (at[1:] < at[:-1])).any():
            order = in_order(person, at)
            row, person, at = row[order], person[order], at[order]
            same = person[1:] == person[:-1]
        tied = same & (at[1:] == at[:-1])
        # Equal in all else, they alone move.
        return (_by_key(row, tied, column(self._table, "key")) if tied.any() else row), person, at

    def event_ids(self, row: Rows) -> npt.NDArray[np.int32] | None:
        """Return the ``event_id`` of these rows as a number, -1 where there is none; None if no row has one."""
        return self._event_id[row] if self._event_id is not None else None

    @cached_property
    def session_ids(self) -> npt.NDArray[np.int32] | None:
        """Of each row of the table the ``session_id`` as a number, -1 where there is none; None if no row has one."""
        return _numbered(self.texts(SESSION_ID))

    def texts(self, name: str) -> Texts:
        """Return the texts of a property in the whole table."""
        if name not in self._texts:
            self._texts[name] = Texts.of(column(self._table, f"text:{name}"))
        return self._texts[name]

    def numbers(self, name: str) -> pa.Array:
        """Return the numbers of a property in the whole table."""
        return column(self._table, f"num:{name}")


def _codes(pattern: pa.Array, code: Mapping[str, int]) -> npt.NDArray[np.int16]:
    """Return each row's pattern as a small number; -1 for patterns that no one asks for."""
    texts = Texts.of(pattern)
    wanted = np.array([*(code.get(name, -1) for name in texts.known.to_pylist()), -1], np.int16)
    codes: npt.NDArray[np.int16] = wanted[texts.code]
    return codes


def _numbered(texts: Texts) -> npt.NDArray[np.int32] | None:
    """Return a number for each text, equal for equal ones, -1 for none and for the empty one; None if all are so."""
    if not len(texts.known):
        return None
    number = np.append(pc.index_in(texts.known, texts.known).to_numpy(), np.int32(-1))
    number[np.flatnonzero(pc.equal(texts.known, "").to_numpy(zero_copy_only=False))] = -1
    numbers: npt.NDArray[np.int32] = number[texts.code]
    return numbers


def _by_key(row: Rows, tied: Mask, key: pa.Array) -> Rows:
    """Put the rows that are tied in order of their keys: texts by code point, or bytes."""
    place = np.flatnonzero(np.append(tied, False) | np.insert(tied, 0, False))
    group = np.cumsum(~np.insert(tied, 0, False)[place])
    keys = key.take(pa.array(row[place]))
    ties = pa.table(
        {"group": group, "key": keys if pa.types.is_fixed_size_binary(keys.type) else keys.cast(pa.string())}
    )
    order = pc.sort_indices(ties, sort_keys=[("group", "ascending"), ("key", "ascending")]).to_numpy()
    row = row.copy()
    row[place] = row[place][order]
    return row


class History:
    """What persons ``begin`` to ``end - 1`` did up to ``at``, as occurrences, each made when first asked for."""

    def __init__(self, signals: Signals, patterns: Mapping[str, Pattern], begin: int, end: int, *, at: int) -> None:
        self._signals, self._patterns = signals, patterns
        self._persons, self._now = end - begin, at
        self._split = signals.split(begin, end)
        self._made: dict[tuple[str, str, int], Occurrences] = {}
        self._first: dict[str, tuple[Rows, Rows]] = {}

    def of(self, pattern: str, where: Where = (), *, lag: int = 0) -> Occurrences:
        """Return the occurrences of a pattern that pass the tests, as if each had happened ``lag`` later.

        Signals that are one occurrence (an equal ``event_id`` at any distance, or nearer than ``same_within`` to the
        last that counted) count once, as the first of them, with the properties of all: the earliest value wins.
        """
        key = (pattern, repr(where), lag)  # not the tests themselves, of which 1 and True would be equal
        if key not in self._made:
            if lag:
                self._made[key] = self.of(pattern, where).later(lag, at=self._now)
            elif where:
                passing = self.of(pattern).only(self._passing(pattern, where))
                self._made[key] = self._awake(passing, [test.property for test in where])
            else:
                self._made[key] = self._all(pattern)
        return self._made[key]

    def _awake(self, done: Occurrences, read: Iterable[str]) -> Occurrences:
        """Wake also at the next view if the channel is read: it may tell where its visit came from."""
        return replace(done, wake=sooner(done.wake, self.views.seen.wake)) if CHANNEL in read else done

    @cached_property
    def views(self) -> Views:
        """The views, and the visits they make."""
        return Views(self.of(VISIT), self._session_ids(VISIT), self._patterns[VISIT].pause)

    def visits(self, *, again: bool, lag: int = 0) -> Occurrences:
        """Return the visits, each where it begins; ``again``: without each person's first. ``lag`` as in :meth:`of`."""
        key = (VISIT, f"again={again}", lag)
        if key not in self._made:
            visits = self.visits(again=again).later(lag, at=self._now) if lag else self.views.visits(again=again)
            self._made[key] = visits
        return self._made[key]

    def came_by(self, where: Where) -> tuple[Mask, Instants]:
        """Return whose first and last visit have channels that pass all the tests, and until when that stands."""
        columns: dict[str, pa.Array | Texts] = {}
        for name, visit in zip(ENDS, self.views.ends(), strict=True):
            columns[f"text:{name}"], columns[f"num:{name}"] = self._channels_of(visit)
        wake = self.views.seen.wake
        return passes(where, columns, self._persons), np.full(self._persons, NEVER) if wake is None else wake

    def _channels_of(self, visit: Rows) -> tuple[Texts, pa.Array]:
        """Return the channels of visits given by the rows that began them (-1: none), and that they are no numbers."""
        known, channels = self._channels
        return Texts(known, channels[visit]), pa.nulls(len(visit), pa.float64())

    @cached_property
    def _channels(self) -> tuple[pa.Array, Instants]:
        texts = self._signals.texts(TOLD)
        known = pa.concat_arrays([texts.known.cast(pa.string()), pa.array([DIRECT], pa.string())])
        told = np.append(texts.code, -1)[self._rows_with(VISIT, TOLD)]
        return known, self.views.channels(told, len(known) - 1)

    def _session_ids(self, pattern: str) -> Instants:
        """Return of each occurrence a number for its session id, -1 for none."""
        rows = self._rows_with(pattern, SESSION_ID)
        ids = self._signals.session_ids
        return np.where(rows >= 0, ids[rows], -1) if ids is not None else np.full(len(rows), -1)

    def measured(self, c: Measured) -> Occurrences:
        """Return the occurrences that pass the tests and have a value of the property.

        That is a number up to a million millions, or, where different values are counted, a text that is not empty.
        """
        key = (c.pattern, repr((c.where, c.property, c.of == "distinct")), c.lag)
        if key not in self._made:
            done = self.of(c.pattern)
            read = {c.property, *(test.property for test in c.where)}
            columns = self._columns(c.pattern, read)
            if c.of == "distinct":
                numbered = _numbered(columns.texts(c.property))
                value = np.full(done.rows, -1) if numbered is None else numbered
                there = passes((Test(c.property, "exists", True),), columns, done.rows) & (value >= 0)
            else:
                value = columns.numbers(c.property).to_numpy(zero_copy_only=False)
                there = np.abs(value) <= _LARGEST  # which NaN, as missing ones are, is not
            done = replace(done, value=value).only(there & passes(c.where, columns, done.rows))
            done = self._awake(done, read)
            self._made[key] = done.later(c.lag, at=self._now) if c.lag else done
        return self._made[key]

    def _all(self, pattern: str) -> Occurrences:
        row, person, at = self._split[pattern]
        persons = self._persons
        wake = None
        seen = at <= self._now
        if not seen.all():
            wake = np.full(persons, NEVER)
            # Of equal indices the last assignment stays: from the latest to the earliest.
            wake[person[~seen][::-1]] = at[~seen][::-1]
            row, person, at = row[seen], person[seen], at[seen]
        first = self._occurrence(pattern, row, person, at)
        self._first[pattern] = row, first
        every = Occurrences(np.append(at, EVER), person, persons, wake)
        counts = first == np.arange(len(first))
        return every if counts.all() else every.only(counts)

    def _occurrence(self, pattern: str, row: Rows, person: Rows, at: Instants) -> Rows:
        """Return, for each row, the row it counts with."""
        within = self._patterns[pattern].same_within
        ids = self._signals.event_ids(row)
        if ids is None:
            return first_of_each(person, at, within)
        first, named = np.arange(len(row)), np.flatnonzero(ids >= 0)
        same = person[named] * np.int64(2**31) + ids[named]
        _, of_each, group = np.unique(same, return_index=True, return_inverse=True)
        first[named] = named[of_each[group]]
        own = np.flatnonzero(first == np.arange(len(row)))
        first[own] = own[first_of_each(person[own], at[own], within)]
        return first[first]

    def _passing(self, pattern: str, where: Where) -> Mask:
        return passes(where, self._columns(pattern, {test.property for test in where}), self.of(pattern).rows)

    def _columns(self, pattern: str, properties: Iterable[str]) -> _Taken:
        """Return the properties of the occurrences of a pattern, among them the channel of their visits."""
        done = self.of(pattern)
        columns = _Taken(self._signals)
        for name in properties:
            if name == CHANNEL:
                columns.given[name] = self._channels_of(self.views.during(done, self._session_ids(pattern)))
            else:
                columns.rows[name] = self._rows_with(pattern, name)
        return columns

    def _rows_with(self, pattern: str, name: str) -> Rows:
        """Return of each occurrence a row of the table: the first that has the property; if none has, -1 or any."""
        row, first = self._first[pattern]
        if self.of(pattern).rows == len(row):  # each is an occurrence of its own
            return row
        there = np.flatnonzero(self._signals.texts(name).code[row] >= 0)[::-1]
        source = np.full(len(row), -1)
        source[first[there]] = row[there]  # of equal indices the last assignment stays: that of the earliest row
        rows: Rows = source[first == np.arange(len(first))]
        return rows


class _Taken(dict[str, "pa.Array | Texts"]):
    """Columns of properties at certain rows of the signals (-1: missing), each taken when first asked for."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self.rows: dict[str, Rows] = {}
        """By property."""
        self.given: dict[str, tuple[Texts, pa.Array]] = {}
        """Properties that no signal carries: texts and numbers."""

    def __missing__(self, name: str) -> pa.Array | Texts:
        kind, _, property_ = name.partition(":")
        self[name] = self.texts(property_) if kind == "text" else self.numbers(property_)
        return self[name]

    def texts(self, name: str) -> Texts:
        if name in self.given:
            return self.given[name][0]
        texts, rows = self._signals.texts(name), self.rows[name]
        return Texts(texts.known, np.where(rows >= 0, texts.code[rows], -1))

    def numbers(self, name: str) -> pa.Array:
        if name in self.given:
            return self.given[name][1]
        rows = self.rows[name]
        return self._signals.numbers(name).take(pa.array(rows, mask=rows < 0))
