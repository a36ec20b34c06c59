"""What stands where: sources, audiences with their waterfall, conversions, what is held and what failed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from leadup.delivery.answers import told
from leadup.delivery.book import TargetRow, all_targets
from leadup.delivery.holdouts import lots
from leadup.delivery.planning import sent_before
from leadup.delivery.replacing import replacing
from leadup.delivery.sizes import there
from leadup.identity import people
from leadup.insights.words import instant
from leadup.membership import Wanted, held_out, wanted, waterfall
from leadup.outgoing import Use
from leadup.state.tables import (
    conversions,
    erasures,
    holdouts,
    memberships,
    outbox,
    persons,
    sources,
    standings,
    targets,
)

_OF_A_BATCH = ("verb", "rows", "progress", "failed", "unmatched", "warned")


def status(connection: Connection) -> dict[str, Any]:
    """Return the state of everything, as JSON."""
    found = all_targets(connection)
    return {
        "people": connection.scalar(select(func.count()).select_from(persons).where(persons.c.merged_into.is_(None))),
        "sources": [
            {
                "connection": row["connection"],
                "events": row["events"],
                "rejected": row["rejected"],
                "suppressed": row["suppressed"],
                "read_up_to": instant(row["watermark_us"]),
                "final_up_to": instant(row["final_us"] if row["final_us"] is not None else row["watermark_us"]),
                "last_read": instant(row["pulled_us"]),
                "error": row["error"],
                "waits": _waits(row["waits_us"], row["waits"]),
            }
            for row in connection.execute(select(sources).order_by(sources.c.connection)).mappings()
        ],
        "erasures": {"waiting": _erasing(connection)},
        "audiences": [_audience(connection, t) for t in found if t.target.use is Use.AUDIENCE],
        "holdouts": _holdouts(connection),
        "conversions": [_others(connection, t) for t in found if t.target.use is Use.CONVERSION],
        "properties": [_others(connection, t) for t in found if t.target.use is Use.PROPERTY],
    }


def _waits(until_us: int | None, because: str | None) -> dict[str, Any] | None:
    """Until when a source is not read, and why."""
    return None if until_us is None else {"until": instant(until_us), "because": because}


def _erasing(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(erasures).where(erasures.c.state != "done")) or 0


def _audience(connection: Connection, target: TargetRow) -> dict[str, Any]:
    steps = stages(connection, target)
    could, least = steps["not held out"], target.terms.min_size
    small = could < least and target.active and sent_before(connection, target)
    return {
        **_target(connection, target),
        "segment": target.target.name,
        "waterfall": {**steps, "accepted": _standing(connection, target)},
        "size": _size(connection, target),
        "there": there(connection, target),
        "replacing": _replacing(connection, target),
        "warning": f"{could} people, below its min_size of {least}" if small else None,
    }


def _replacing(connection: Connection, target: TargetRow) -> dict[str, Any] | None:
    far = replacing(connection, target.id)
    if far is None:
        return None
    return {"since": instant(far.since_us), **{n: getattr(far, n) for n in ("wanted", "renewed", "waiting")}}


def _size(connection: Connection, target: TargetRow) -> dict[str, Any] | None:
    """How big it is by the vendor's account, and when that was said."""
    found = connection.execute(select(targets.c.size, targets.c.sized_us).where(targets.c.id == target.id)).one()
    return None if found.size is None else {**found.size, "asked": instant(found.sized_us)}


def stages(connection: Connection, target: TargetRow) -> dict[str, int]:
    """Count how many members reach each stage on the way to a target."""
    query = select(memberships.c.person).where(memberships.c.segment == target.target.name)
    members = list(connection.scalars(query)) if target.active else []
    return waterfall(Counter(answer.step for answer in reached(connection, target, members).values()))


def reached(connection: Connection, target: TargetRow, members: Sequence[int]) -> dict[int, Wanted]:
    """Say of these members of a segment whether they should stand at a target now, and if not, what is missing."""
    who = people.identifiers_of(connection, members)
    consent = people.consent_together(connection, members)
    asked = target.terms.audience
    answers = {m: wanted(asked, member=True, identifiers=who.get(m, ()), consent=consent.get(m, {})) for m in members}
    if target.terms.holdout is not None:
        drawn = lots(connection, target.terms.holdout, members)
        answers |= {m: held_out(target.terms.holdout) for m, lot in drawn.items() if lot.held and answers[m].basis}
    return answers


def _holdouts(connection: Connection) -> list[dict[str, Any]]:
    """Count whom each holdout has drawn; who is mixed counts there only."""
    query = select(holdouts.c.name, holdouts.c.held, holdouts.c.mixed, func.count()).group_by(
        holdouts.c.name, holdouts.c.held, holdouts.c.mixed
    )
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for name, held, mixed, count in connection.execute(query.order_by(holdouts.c.name)):
        found[name]["mixed" if mixed else "held_out" if held else "sent"] += count
    keys = ("held_out", "sent", "mixed")
    return [{"holdout": name, **{key: counts[key] for key in keys}} for name, counts in found.items()]


def _others(connection: Connection, target: TargetRow) -> dict[str, Any]:
    happened = None
    if target.target.use is Use.CONVERSION:
        query = select(func.count()).select_from(conversions).where(conversions.c.name == target.target.name)
        happened = connection.scalar(query)
    return {**_target(connection, target), "happened": happened, "stand": _standing(connection, target)}


def _standing(connection: Connection, target: TargetRow) -> int:
    where = (standings.c.target == target.id) & standings.c.stands.is_not(None)
    return int(connection.scalar(select(func.count()).select_from(standings).where(where)) or 0)


def _target(connection: Connection, target: TargetRow) -> dict[str, Any]:
    rows = connection.execute(
        select(outbox.c.state, func.count()).where(outbox.c.target == target.id).group_by(outbox.c.state)
    )
    states: Mapping[str, int] = {row[0]: row[1] for row in rows}
    shown = ("held", "pending", "sending", "accepted", "failed", "uncertain", "withheld")
    reasons = connection.execute(
        select(outbox.c.code, outbox.c.detail, func.count())
        .where(outbox.c.target == target.id, outbox.c.state.in_(["accepted", "failed", "uncertain", "pending"]))
        .where(outbox.c.code != "")
        .group_by(outbox.c.code, outbox.c.detail)
        .order_by(func.count().desc())
        .limit(5)
    )
    return {
        "target": target.target.key,
        "remote_name": target.target.remote_name,
        "remote_id": target.remote_id,
        "active": target.active,
        "guard": target.guard,
        "guard_text": target.guard_text,
        "plan": target.plan,
        "error": target.error,
        "rows": {state: states[state] for state in shown if states.get(state)},
        "batches": [
            {"handle": one["handle"], "told": instant(one["at_us"]), **{name: one[name] for name in _OF_A_BATCH}}
            for one in told(connection, target.id)
        ],
        "reasons": [{"code": r[0], "detail": r[1], "rows": r[2]} for r in reasons],
    }
