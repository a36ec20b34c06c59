"""Ladders: the signals of their steps are folded into episodes. Works inside the tick's transaction.

An episode belongs to whoever its opening event belongs to. A device may turn out to be another person's: the episode
then goes with that event, and who had it is judged again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from sqlalchemy import Connection, select, update

from leadup.delivery import stored
from leadup.delivery.stored import Found, Stored
from leadup.rules.program import Conversion, Program
from leadup.state.store import chunks, upsert
from leadup.state.tables import conversions, dirty, signals, spans
from leadup.values.episodes import Episode, State, episodes
from leadup.values.occurrences import Happened, Occurrence

Happenings: TypeAlias = "Mapping[tuple[str, int], Sequence[Happened]]"
"""By pattern and person, the present signals."""


def climb(
    connection: Connection,
    program: Program,
    persons: Collection[int],
    happened: Happenings,
    before: Stored,
    at_us: int,
) -> dict[str, list[tuple[int, Occurrence]]]:
    """Return the episodes of these persons by conversion. ``before``: as stored; gains what they took over."""
    found: dict[str, list[tuple[int, Occurrence]]] = defaultdict(list)
    for conversion in program.conversions.values():
        if conversion.ladder is not None:
            found[conversion.name] += _climb(connection, program, conversion, persons, happened, before, at_us)
    return found


def _climb(
    connection: Connection,
    program: Program,
    conversion: Conversion,
    persons: Collection[int],
    happened: Happenings,
    before: Stored,
    at_us: int,
) -> list[tuple[int, Occurrence]]:
    assert conversion.ladder is not None
    same_within = {pattern: program.patterns[pattern].same_within for pattern in conversion.patterns}
    known = _at_home(connection, conversion, persons, happened, before)
    folded: dict[int, list[Episode]] = {}
    waiting = set(persons)
    while waiting:
        minted: dict[str, int] = {}
        for person in waiting:
            mine = {pattern: happened.get((pattern, person), ()) for pattern in conversion.patterns}
            if known[person] or any(mine.values()):
                folded[person] = episodes(conversion.name, conversion.ladder, same_within, known[person], mine, at_us)
                minted |= {e.transaction_id: person for e in folded[person] if e.transaction_id not in before}
        # What is new here may have been opened by the same event while it was somebody else's.
        waiting = set()
        for transaction_id, row in _take_over(connection, minted).items():
            before[transaction_id] = row
            known[minted[transaction_id]].append(row[2])
            waiting.add(minted[transaction_id])
    return [(person, episode) for person, found in folded.items() for episode in found]


def _at_home(
    connection: Connection, conversion: Conversion, persons: Collection[int], happened: Happenings, before: Stored
) -> dict[int, list[Occurrence]]:
    """What is known of each person's ladder, without what was opened by an event that is somebody else's by now."""
    owner = {
        signal.event: person
        for person in persons
        for pattern in conversion.patterns
        for signal in happened.get((pattern, person), ())
    }
    mine = {
        transaction_id: (person, occurrence)
        for transaction_id, (name, person, occurrence) in before.items()
        if name == conversion.name
    }
    absent = {_opener(one): transaction_id for transaction_id, (_, one) in mine.items() if _opener(one) not in owner}
    elsewhere = _owners(connection, absent)
    known: dict[int, list[Occurrence]] = defaultdict(list)
    for transaction_id, (person, occurrence) in mine.items():
        opener = _opener(occurrence)
        if opener in elsewhere and elsewhere[opener] != person:
            _hand_over(connection, [transaction_id], elsewhere[opener])
            del before[transaction_id]
        else:
            known[owner.get(opener, person)].append(occurrence)
    return known


def _opener(occurrence: Occurrence) -> str:
    return occurrence.opener if isinstance(occurrence, Episode) else next(iter(occurrence.events), "")


def _owners(connection: Connection, events: Iterable[str]) -> dict[str, int]:
    """Whose these events are; those that were taken back are left out."""
    s = signals.c
    owned = (spans.c.identifier == s.anchor) & (s.at_us >= spans.c.from_us) & (s.at_us < spans.c.until_us)
    query = select(s.event, spans.c.person).select_from(spans.join(signals, owned))
    return {
        row.event.hex(): row.person
        for part in chunks(bytes.fromhex(event) for event in events if event)
        for row in connection.execute(query.where(s.event.in_(part)))
    }


def _hand_over(connection: Connection, transaction_ids: Sequence[str], person: int) -> None:
    moved = conversions.c.transaction_id.in_(transaction_ids)
    connection.execute(update(conversions).where(moved).values(person=person))
    upsert(connection, dirty, [{"person": person}], update=())


def _take_over(connection: Connection, minted: Collection[str]) -> Stored:
    """Return what is stored under these ids for others, who are to be judged again."""
    found = stored.read(connection, transaction_ids=minted)
    upsert(connection, dirty, [{"person": person} for _, person, _ in found.values()], update=())
    return found


def lapses(found: Found) -> dict[int, int]:
    """When an open episode of each person ends by itself."""
    ends: dict[int, int] = {}
    for occurred in found.values():
        for person, one in occurred:
            if isinstance(one, Episode) and one.state is State.OPEN:
                ends[person] = min(ends.get(person, one.ends_us), one.ends_us)
    return ends
