"""Whom an edit of the rules concerns: those of whom the old or the new form of what changed reads anything.

Who has no signal, fact or membership that a segment reads is judged by it as anybody is of whom nothing is known. As
long as that answer is no, before the edit and after it, she need not be judged again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeAlias

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from leadup.engine.facts import people_table
from leadup.engine.gather import fact_table
from leadup.engine.kernel import judge
from leadup.engine.listed import people_on
from leadup.outgoing import Use
from leadup.rules.program import Program, Property, Segment
from leadup.rules.signals import leaves, signal_table
from leadup.rules.visits import VISIT, asks_visits
from leadup.state.store import chunks
from leadup.state.tables import dirty, facts, holdouts, memberships, persons, signals, spans, standings, targets
from leadup.types import EVER, Json

Scopes: TypeAlias = "dict[str, Json]"
"""By what it is and its name (``segment:hot``): its fingerprint, and what it reads; as it is stored."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What one thing of a program rests on, directly and through others."""

    meaning: str
    patterns: frozenset[str]
    texts: frozenset[str]
    """All texts in it: the traits that it reads are among them."""

    def scope(self, **more: Json) -> Json:
        digest = hashlib.blake2b(self.meaning.encode(), digest_size=16).hexdigest()
        return {"is": digest, "patterns": sorted(self.patterns), "texts": sorted(self.texts), **more}


def scopes(program: Program, terms: Mapping[str, Mapping[str, Json]]) -> Scopes:
    """Say of all that a program judges or sends what it means and reads. ``terms``: of each target, by its key."""
    unknown = _of_whom_nothing_is_known(program)
    found: Scopes = {}
    for name, segment in program.segments.items():
        rests = _rests_on(program, [segment])
        on: list[Json] = [*sorted(rests.texts & program.lists.keys())]
        found[f"segment:{name}"] = rests.scope(everyone=unknown[name], segments=[name], lists=on)
    others: dict[str, Mapping[str, Any]] = {"score": program.scores, "conversion": program.conversions}
    for what, things in others.items():
        for name, thing in things.items():
            found[f"{what}:{name}"] = _rests_on(program, [thing]).scope(everyone=False, segments=[])
    for name, prop in program.properties.items():
        found[f"property:{name}"] = _rests_on(program, [prop]).scope(everyone=False, **_told(prop))
    sent: dict[str, Mapping[str, Any]] = {
        Use.AUDIENCE: program.segments,
        Use.CONVERSION: program.conversions,
        Use.PROPERTY: program.properties,
    }
    for key, asked in terms.items():
        _, use, name = key.split("/", 2)
        to_members = use == Use.AUDIENCE
        patterns = frozenset() if to_members else _rests_on(program, [sent[use][name]]).patterns
        read = _Read(repr(sorted(asked.items())), patterns, frozenset())
        told = _told(program.properties[name]) if use == Use.PROPERTY else {}
        found[f"target:{key}"] = read.scope(everyone=False, **({"segments": [name] if to_members else []} | told))
    return found


def _told(prop: Property) -> dict[str, Json]:
    """Whom a property tells of, besides those who did what it reads."""
    return {
        "segments": list(prop.names) if prop.of == "segments" else [],
        "holdouts": list(prop.names) if prop.of == "holdout" else [],
    }


def _rests_on(program: Program, things: Sequence[Any]) -> _Read:
    """Follow the names of patterns and scores in these things to what they mean.

    Segments are not followed: of whom the other one's verdict may change is judged for its own sake, in all segments.
    """
    met: dict[str, Any] = {}
    texts: set[str] = set()
    waiting = list(things)
    while waiting:
        thing = waiting.pop()
        key = f"{type(thing).__name__}:{thing.name}"
        if key in met:
            continue
        met[key] = replace(thing, description="") if hasattr(thing, "description") else thing
        said = set(_texts(met[key]))
        texts |= said
        for declared in (program.patterns, program.scores):
            waiting += [declared[name] for name in said & declared.keys()]
        if isinstance(thing, Segment):
            if any(map(asks_visits, leaves(thing.when))):  # which no text in it names
                waiting.append(program.patterns[VISIT])
            met |= {f"Group:{group.name}": group for group in program.groups if thing.name in group.segments}
    patterns = frozenset(key.removeprefix("Pattern:") for key in met if key.startswith("Pattern:"))
    return _Read(repr(sorted(met.items(), key=lambda item: item[0])), patterns, frozenset(texts))


def _texts(thing: Any) -> Iterator[str]:
    """All texts in a thing: the names it uses are among them."""
    if isinstance(thing, str):
        yield thing
    elif is_dataclass(thing) and not isinstance(thing, type):
        for field in fields(thing):
            yield from _texts(getattr(thing, field.name))
    elif isinstance(thing, tuple | list | frozenset):
        for one in thing:
            yield from _texts(one)


def _of_whom_nothing_is_known(program: Program) -> dict[str, bool]:
    """Which segments hold for somebody who has done nothing and of whom nothing is said."""
    nobody = people_table(program, {1: EVER}, {})
    table = judge(program, nobody, signal_table(program, [], [], [], [], []), fact_table([]), at=0, watermarks={})
    return {
        name: bool(table[f"when:{name}"][0].as_py() or table[f"excluded:{name}"][0].as_py())
        for name in program.segments
    }


def mark(connection: Connection, before: Scopes | None, after: Scopes) -> None:
    """Mark those as dirty whom the difference between two programs concerns; everybody when one is not known.

    Call it before stale signals are dropped and lists are exchanged, and again after new ones are there.
    """
    known = before or {}
    names = sorted(name for name in {*known, *after} if known.get(name) != after.get(name))
    changed: list[Any] = [scope for name in names for scope in (known.get(name), after.get(name)) if scope is not None]
    if before is None or any(scope["everyone"] for scope in changed):
        _mark(connection, select(persons.c.id).where(persons.c.merged_into.is_(None)))
        return
    s, f = signals.c, facts.c
    did, told = (
        spans.join(
            records,
            (spans.c.identifier == records.c.anchor)
            & (records.c.at_us >= spans.c.from_us)
            & (records.c.at_us < spans.c.until_us),
        )
        for records in (signals, facts)
    )
    for patterns in chunks(_all(changed, "patterns")):
        _mark(connection, select(spans.c.person).select_from(did).where(s.pattern.in_(patterns)).distinct())
    for traits in chunks(_all(changed, "texts")):
        _mark(connection, select(spans.c.person).select_from(told).where(f.trait.in_(traits)).distinct())
    for segments in chunks(_all(changed, "segments")):
        _mark(connection, select(memberships.c.person).where(memberships.c.segment.in_(segments)).distinct())
    for drawn in chunks(_all(changed, "holdouts")):
        _mark(connection, select(holdouts.c.person).where(holdouts.c.name.in_(drawn)).distinct())
    if on := _all(changed, "lists"):
        for query in people_on(on):
            _mark(connection, query)
    for key in [name.removeprefix("target:") for name in names if name.startswith("target:")]:
        connection_name, use, name = key.split("/", 2)
        here = (targets.c.connection == connection_name) & (targets.c.use == use) & (targets.c.name == name)
        sent_to = standings.c.target.in_(select(targets.c.id).where(here))
        _mark(connection, select(standings.c.person).where(sent_to).distinct())


def _all(changed: Iterable[Any], what: str) -> list[str]:
    return sorted({name for scope in changed for name in scope.get(what, ())})


def _mark(connection: Connection, query: Any) -> None:
    connection.execute(sqlite_insert(dirty).from_select(["person"], query).on_conflict_do_nothing())
