"""What an edit of the rules would change if it went live now: in people and in money."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, or_, select

from leadup.app import App, Tell
from leadup.delivery.book import all_targets
from leadup.outgoing import Use
from leadup.pipeline import Ticked
from leadup.rules.loader import Rules
from leadup.state.tables import dirty, judged, memberships, standings
from leadup.types import Json, Money, to_us


@dataclass(frozen=True, slots=True)
class _State:
    """Who is in which segment, and what should stand at which target."""

    segments: Mapping[str, set[int]]
    wants: Mapping[tuple[str, Use], Mapping[str, Json]]
    """By target and its use: by subject, what should stand there."""


def difference(app: App, rules: Rules, now: datetime, tell: Tell) -> dict[str, Any]:
    """Compare what the live rules make of everybody with what ``rules`` would. Rehearsed: nothing is sent or kept.

    Both judge at ``now`` on what has been read so far, if the files that ``leadup.toml`` names are the live rules.
    If not, the live rules are known by what they said last only, and ``due`` counts for whom that may be outdated:
    for these the difference holds what time would have changed anyway.
    """
    with app.judging, app.store.rehearsal():
        if app.pipeline.is_live(app.rules.program):
            tell("judging by the live rules", None)
            app.tick(now, tell)
        with app.store.read() as connection:
            before, due = _state(connection), _due(connection, to_us(now))
        tell("letting the new rules go live, in rehearsal", None)
        changes = app.go_live(rules, now)
        ticked = app.tick(now, tell)
        with app.store.read() as connection:
            after = _state(connection)
    return {
        "rules_differ": changes,
        "due": due,
        "segments": _segments(before, after),
        "targets": [_target(key, before, after, ticked) for key in sorted({*before.wants, *after.wants})],
    }


def _due(connection: Connection, now_us: int) -> int:
    """How many people wait to be judged."""
    news = select(dirty.c.person)
    late = or_(judged.c.due_us <= now_us, judged.c.person.in_(news))
    fresh = select(func.count()).select_from(dirty).where(dirty.c.person.not_in(select(judged.c.person)))
    known = select(func.count()).select_from(judged).where(late)
    return (connection.scalar(known) or 0) + (connection.scalar(fresh) or 0)


def _state(connection: Connection) -> _State:
    segments: dict[str, set[int]] = defaultdict(set)
    for segment, person in connection.execute(select(memberships.c.segment, memberships.c.person)):
        segments[segment].add(person)
    wants = {}
    for target in all_targets(connection):
        query = select(standings.c.subject, standings.c.want)
        rows = connection.execute(query.where(standings.c.target == target.id, standings.c.want.is_not(None)))
        if target.active or target.target.use is Use.AUDIENCE:
            wants[target.target.key, target.target.use] = {row.subject: row.want for row in rows}
    return _State(segments, wants)


def _segments(before: _State, after: _State) -> dict[str, dict[str, int]]:
    found = {}
    for name in sorted({*before.segments, *after.segments}):
        was, now = before.segments.get(name, set()), after.segments.get(name, set())
        found[name] = {"before": len(was), "after": len(now), "joined": len(now - was), "left": len(was - now)}
    return found


def _target(key: tuple[str, Use], before: _State, after: _State, ticked: Ticked) -> dict[str, Any]:
    was, now = before.wants.get(key, {}), after.wants.get(key, {})
    name, use = key
    found: dict[str, Any] = {"target": name, "use": str(use)}
    changed = [subject for subject in was.keys() & now.keys() if was[subject] != now[subject]]
    if use is Use.CONVERSION:
        fresh = [now[subject] for subject in now.keys() - was.keys()]
        found["reported"] = {"count": len(fresh), "value": _sum(fresh)}
        found["restated"] = {
            "count": len(changed),
            "from": _sum([was[subject] for subject in changed]),
            "to": _sum([now[subject] for subject in changed]),
        }
        found["no_longer_reported"] = len(was.keys() - now.keys())
    elif use is Use.PROPERTY:
        told: list[Any] = [now[subject] for subject in [*changed, *(now.keys() - was.keys())]]
        found["cleared"] = sum(one["v"] is None for one in told)
        found["written"] = len(told) - found["cleared"]
    else:
        found |= {"joins": len(now.keys() - was.keys()), "leaves": len(was.keys() - now.keys())}
    trips = [planned.trip.text for planned in ticked.plans if planned.trip and planned.target.target.key == name]
    return found | {"guard": trips[0] if trips else None}


def _sum(amounts: list[Any]) -> dict[str, str]:
    """Sums by currency, in words; an amount that is not known counts nothing."""
    sums = Counter[str]()
    for amount in amounts:
        if amount["currency"] is not None:
            sums[amount["currency"]] += amount["minor"] or 0
    return {currency: str(Money(minor, currency)) for currency, minor in sorted(sums.items())}
