"""Visits: what a person views up to a pause of half an hour, or up to where the source itself ends its session."""

from __future__ import annotations

from typing import Final

import numpy as np

from leadup.rules.occurrences import Occurrences
from leadup.rules.program import Match, Pattern
from leadup.rules.verdicts import Instants

VISIT: Final = "(visit)"
"""The name of the built-in pattern, which no author can write."""
EVENTS: Final = ("page_view", "screen_view", "session_start")
"""What visits are made of: the canonical events that every visit to a site or an app has."""
SESSION_ID: Final = "session_id"
"""The property by which sources say that two of their events belong to one session."""
PAUSE_US: Final = 30 * 60 * 1_000_000
"""GA4's session timeout, unless a property's owner sets another (source: "About Analytics sessions")."""


def visit_pattern() -> Pattern:
    """Return the built-in pattern. A program has it if, and only if, some rule asks for visits."""
    return Pattern(name=VISIT, macro=False, any=tuple(Match(event) for event in EVENTS), pause=PAUSE_US)


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
    _, first, group = np.unique(person[named] * np.int64(2**31) + ids[named], return_index=True, return_inverse=True)
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
