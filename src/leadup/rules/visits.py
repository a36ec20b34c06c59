"""Visits: what a person views up to a pause of half an hour, or up to where the source itself ends its session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from leadup.rules.channels import channel_of
from leadup.rules.occurrences import Occurrences, past
from leadup.rules.program import CameBy, Condition, Did, Match, Measured, Pattern, Visits
from leadup.rules.verdicts import Instants, Mask
from leadup.types import Json

VISIT: Final = "(visit)"
"""The name of the built-in pattern, which no author can write."""
EVENTS: Final = ("page_view", "screen_view", "session_start")
"""What visits are made of: the canonical events that every visit to a site or an app has."""
SESSION_ID: Final = "session_id"
"""The property by which sources say that two of their events belong to one session."""
PAUSE_US: Final = 30 * 60 * 1_000_000
"""GA4's session timeout, unless a property's owner sets another (source: "About Analytics sessions")."""
CHANNEL: Final = "channel"
"""What rules call the channel of the visit in which something happened."""
ENDS: Final = ("first_channel", "last_channel")
"""What rules call the channels of a person's first and last visit."""
TOLD: Final = "(channel)"
"""The property of a view that holds the channel it tells of."""


def properties_of(condition: Condition) -> set[str]:
    """Return the properties of signals that a condition reads."""
    if not isinstance(condition, Did | Measured):
        return set()
    measured = {condition.property} if isinstance(condition, Measured) else set()
    return measured | {test.property for test in condition.where}


def asks_channel(condition: Condition) -> bool:
    """Whether the answer depends on the channel of visits."""
    return isinstance(condition, CameBy) or CHANNEL in properties_of(condition)


def asks_visits(condition: Condition) -> bool:
    """Whether the answer depends on visits."""
    return isinstance(condition, Visits) or asks_channel(condition)


def fed_by(condition: Did | Measured) -> list[str]:
    """Return the patterns whose signals can change what is counted."""
    return [condition.pattern, VISIT] if asks_channel(condition) else [condition.pattern]


def viewed(pattern: str, properties: Mapping[str, Json], click_ids: Mapping[str, str]) -> Mapping[str, Json]:
    """Return the properties of a signal, with the channel it tells of if it is a view."""
    return {**properties, TOLD: channel_of(properties, click_ids)} if pattern == VISIT else properties


def visit_pattern() -> Pattern:
    """Return the built-in pattern. A program has it if, and only if, some rule asks for visits."""
    return Pattern(name=VISIT, macro=False, any=tuple(Match(event) for event in EVENTS), pause=PAUSE_US)


@dataclass(frozen=True)
class Views:
    """The views of many persons, and the visits they make."""

    seen: Occurrences
    ids: Instants
    """Of each row a number for its session id, -1 for none."""
    pause: int

    @cached_property
    def begun_by(self) -> Instants:
        """Of each row, the row that began its visit; one -1 more at the very end, for "no such row"."""
        return np.append(beginnings(self.seen, self.ids, self.pause), -1)

    @cached_property
    def begins(self) -> Mask:
        """Whether a row begins a visit."""
        begins: Mask = self.begun_by[:-1] == np.arange(self.seen.rows)
        return begins

    def visits(self, *, again: bool) -> Occurrences:
        """Return the visits, each where it begins; ``again``: without each person's first."""
        begins = self.begins
        if again:
            begins = begins.copy()
            begins[self.seen.begin[self.seen.count > 0]] = False
        return self.seen.only(begins)

    def during(self, happened: Occurrences, ids: Instants) -> Instants:
        """Return, for each row of ``happened``, the row that began the visit in which it happened; -1 for none.

        A session id of its own names the visit. Without a view of that id, it is the visit of the latest view not
        after it, if nearer than the pause and not under another id.
        """
        person, at, seen = happened.person, happened.at[:-1], self.seen
        last = past(seen.at, seen.begin[person], seen.end[person], at) - 1
        near = (last >= seen.begin[person]) & (at - seen.at[last] < self.pause)
        view = np.where(near & ((ids < 0) | (np.append(self.ids, -1)[last] < 0)), last, -1)
        named = np.flatnonzero(self.ids >= 0)
        known, first = np.unique(_numbered(seen.person[named], self.ids[named]), return_index=True)
        if len(known):
            wanted = _numbered(person, ids)
            place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
            view = np.where((ids >= 0) & (known[place] == wanted), named[first[place]], view)
        return self.begun_by[view]

    def channels(self, told: Instants, direct: int) -> Instants:
        """Return the channel of each visit at the row that began it; one -1 more at the very end.

        ``told`` is what each row tells of, -1 for nothing. The first that tells decides; if none does it is ``direct``.
        """
        channels = np.append(np.full(self.seen.rows, direct), -1)
        telling = np.flatnonzero(told >= 0)[::-1]
        channels[self.begun_by[telling]] = told[telling]  # of equal indices the last assignment stays
        return channels

    def ends(self) -> tuple[Instants, Instants]:
        """Return of each person the rows that began the first and the last visit; -1 for no visit."""
        first, last = np.full(self.seen.persons, -1), np.full(self.seen.persons, -1)
        rows = np.flatnonzero(self.begins)
        last[self.seen.person[rows]] = rows  # of equal indices the last assignment stays
        first[self.seen.person[rows[::-1]]] = rows[::-1]
        return first, last


def _numbered(person: Instants, ids: Instants) -> Instants:
    """Return one number for a person's id; ids are below 2^31."""
    return person * np.int64(2**31) + ids


def beginnings(seen: Occurrences, ids: Instants, pause: int) -> Instants:
    """Return, for each row, the row that began its visit: itself, if it did.

    ``ids`` has a number for each row's session id, -1 for none. A row carries on the visit in which its id was seen
    before. Without that it carries on the one of the row before, if nearer than ``pause`` and not under an id of its
    own where that row has another; and else it begins a visit.
    """
    rows, at, person = np.arange(seen.rows), seen.at[:-1], seen.person
    begins = np.ones(seen.rows, bool)
    begins[1:] = (person[1:] != person[:-1]) | (np.diff(at) >= pause) | ((ids[1:] >= 0) & (ids[:-1] >= 0))
    named = np.flatnonzero(ids >= 0)
    _, first, group = np.unique(_numbered(person[named], ids[named]), return_index=True, return_inverse=True)
    seen_at = named[first][group]
    again = seen_at < named
    # Rows that begin a visit or go back to one are anchors: all that follow up to the next one belong to theirs.
    anchors = begins.copy()
    anchors[named[again]] = True
    anchor = np.maximum.accumulate(np.where(anchors, rows, 0))
    back = rows.copy()
    back[named[again]] = anchor[seen_at[again]]
    while not np.array_equal(further := back[back], back):
        back = further
    return back[anchor]
