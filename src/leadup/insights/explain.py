"""Why a person is in or out of a segment, what was sent for it, and what will change if nothing happens."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, select

from leadup.delivery.book import all_targets
from leadup.delivery.holdouts import lots
from leadup.delivery.members import entered, read
from leadup.engine.gather import gather, watermarks
from leadup.engine.kernel import judge
from leadup.engine.provisional import final_from, provisional, rest_open
from leadup.identity import people
from leadup.insights.ahead import next_change, only
from leadup.insights.status import reached
from leadup.insights.words import describe, instant
from leadup.membership import OUT, Members, fold
from leadup.outgoing import Use
from leadup.plan import Standing
from leadup.rules.program import All, Holdout, Not, Program, Segment
from leadup.rules.program import Any as AnyOf
from leadup.rules.visits import VISIT, asks_visits
from leadup.state.tables import conversions, ledger, membership_log, outbox, signals, standings


def explain(
    connection: Connection,
    program: Program,
    person: int,
    segments: Sequence[str],
    at_us: int,
    feeds: Collection[str] = (),
) -> dict[str, Any]:
    """Return all that is known of one person and these segments. ``feeds``: the connections that are pulled."""
    marks, final = (watermarks(connection, program, feeds, final=only_final) for only_final in (False, True))
    tables = gather(connection, program, [person])
    verdicts = _verdicts(program, tables, at_us, marks)
    now = dict(verdicts.to_pylist()[0])
    members = fold(program, verdicts, entered(read(connection, [person]), {person: 0}), at_us)
    consent = people.consent_together(connection, [person]).get(person, {})
    return {
        "person": person,
        "identifiers": [show_identifier(i.kind, i.value) for i in people.identifiers_of(connection, [person])[person]],
        "consent": {str(purpose): "granted" if granted else "denied" for purpose, granted in sorted(consent.items())},
        "scores": {name: round(now[f"score:{name}"], 2) for name in program.scores},
        "segments": {
            name: _segment(connection, program, tables, name, person, at_us, now, members)
            | {"provisional": _provisional(program, tables, name, at_us, members[name], marks, final)}
            for name in segments
        },
        "properties": _properties(connection, program, person),
        "conversions": _conversions(connection, program, person),
        "ledger": _ledger(connection, person, segments, program),
    }


def show_identifier(kind: str, value: str) -> str:
    """An identifier as it may be shown: hashes shortened."""
    return f"{kind}:{value[:10]}…" if kind in ("email", "phone") else f"{kind}:{value}"


def _verdicts(program: Program, tables: Any, at_us: int, marks: Mapping[str, int]) -> pa.Table:
    who, signals, facts = tables
    return judge(program, who, signals, facts, at=at_us, watermarks=marks)


def _segment(
    connection: Connection,
    program: Program,
    tables: tuple[pa.Table, pa.Table, pa.Table],
    name: str,
    person: int,
    at_us: int,
    now: Mapping[str, Any],
    members: Mapping[str, Members],
) -> dict[str, Any]:
    mine = members[name]
    since = int(mine.entered[0])
    stay = program.segments[name].stay_at_least
    log = connection.execute(
        select(membership_log)
        .where(membership_log.c.person == person, membership_log.c.segment == name)
        .order_by(membership_log.c.id)
    )
    return {
        "in": since != OUT,
        "since": instant(since),
        "kept_until": instant(since + stay) if mine.kept[0] else None,
        "held_out": _held_out(connection, program.segments[name].holdout, person),
        "outdone_in_group": bool(mine.outdone[0]),
        "waits_for_reading_up_to": instant(now[f"waits:{name}"]),
        "conditions": _conditions(program, tables, program.segments[name], at_us),
        "excluded": bool(now[f"excluded:{name}"]),
        "next_change": next_change(program, tables, name, at_us, members, now[f"waits:{name}"]),
        "history": [
            {"at": instant(row.at_us), "what": "entered" if row.entered else "left", "why": row.reason} for row in log
        ],
        "targets": _targets(connection, name, person, at_us, member=since != OUT),
    }


def _provisional(
    program: Program,
    tables: tuple[pa.Table, pa.Table, pa.Table],
    name: str,
    at_us: int,
    mine: Members,
    marks: Mapping[str, int],
    final: Mapping[str, int],
) -> dict[str, Any] | None:
    """Up to where rows must be final for the membership to be so, and up to where they are; None: it is, or is none."""
    needed = only(program, name)
    if not mine.holds[0] or not rest_open(marks, final):
        return None
    if not provisional(needed, tables, at=at_us, watermarks=marks, final=final)[name][0]:
        return None
    once = final_from(needed, tables, name, at=at_us, final=final)
    return {"final_once_up_to": instant(once), "final_up_to": instant(min(final.values()))}


def _held_out(connection: Connection, holdout: Holdout | None, person: int) -> dict[str, Any] | None:
    """By which holdout and since when, and whether the person was sent all the same; None: not held out."""
    lot = lots(connection, holdout.name, [person]).get(person) if holdout is not None else None
    if holdout is None or lot is None or not lot.held:
        return None
    return {"by": holdout.name, "since": instant(lot.at_us), "mixed": lot.mixed}


def _conditions(program: Program, tables: Any, segment: Segment, at_us: int) -> list[dict[str, Any]]:
    """Judge each part of the condition by itself, with the signals it rests on."""
    nodes = list(_nodes(segment.when, 0))
    probes = {f"{i}": Segment(name=f"{i}", when=node) for i, (node, _) in enumerate(nodes)}
    asked = replace(program, segments={**program.segments, **probes}, groups=())
    [now] = _verdicts(asked, tables, at_us, {}).to_pylist()
    signals = tables[1]
    found = []
    for i, (node, depth) in enumerate(nodes):
        patterns = {value for key in ("pattern", "without") if (value := getattr(node, key, None))}
        patterns |= set(getattr(node, "steps", ()))
        if asks_visits(node):
            patterns.add(VISIT)
        if hasattr(node, "score"):
            patterns |= {points.pattern for points in program.scores[node.score].points}
        mine = [
            {"pattern": row["pattern"], "at": instant(row["at"])}
            for row in signals.select(["pattern", "at"]).to_pylist()
            if row["pattern"] in patterns and row["at"] <= at_us
        ]
        latest = sorted(mine, key=lambda row: str(row["at"]))[-5:]
        found.append({"text": describe(node), "depth": depth, "holds": bool(now[f"when:{i}"]), "events": latest})
    return found


def _nodes(condition: Any, depth: int) -> Iterator[tuple[Any, int]]:
    yield condition, depth
    if isinstance(condition, All | AnyOf):
        for part in condition.parts:
            yield from _nodes(part, depth + 1)
    elif isinstance(condition, Not):
        yield from _nodes(condition.part, depth + 1)


def _targets(connection: Connection, name: str, person: int, at_us: int, *, member: bool) -> list[dict[str, Any]]:
    """Where the person stands or ever did, and where a member never came to stand."""
    targets = {
        target.id: target
        for target in all_targets(connection)
        if target.target.use is Use.AUDIENCE and target.target.name == name
    }
    mine = standings.c.target.in_(targets) & (standings.c.person == person)
    rows = {row["target"]: row for row in connection.execute(select(standings).where(mine)).mappings()}
    waits = _waits(connection, person, at_us)
    found = [
        {
            "target": targets[target].target.key,
            "wanted": row["want"] is not None,
            "why": row["reason"],
            "stands": row["stands"] is not None,
            "sure": row["standing"],
            "held_by": targets[target].guard,
            "waits": waits.get(target),
        }
        for target, row in rows.items()
    ]
    for target in (one for one in targets.values() if member and one.active and one.id not in rows):
        answer = reached(connection, target, [person])[person]
        never = {"wanted": False, "why": answer.reason, "stands": False, "sure": Standing.ABSENT}
        if answer.basis is None:  # else the next tick asks for the person
            found.append({"target": target.target.key, **never, "held_by": None, "waits": None})
    return found


def _waits(connection: Connection, person: int, at_us: int) -> dict[int, dict[str, Any]]:
    """By target, until when a change that was put off waits, and why."""
    row = outbox.c
    mine = [row.person == person, row.state == "pending", row.next_us > at_us]
    return {
        one.target: {"until": instant(one.next_us), "code": one.code, "because": one.detail}
        for one in connection.execute(select(row.target, row.next_us, row.code, row.detail).where(*mine))
    }


def _properties(connection: Connection, program: Program, person: int) -> list[dict[str, Any]]:
    """What stands of each property, and should, where anything was ever to tell."""
    targets = {target.id: target for target in all_targets(connection) if target.target.use is Use.PROPERTY}
    mine = standings.c.target.in_(targets) & (standings.c.person == person)
    return [
        {
            "target": targets[row["target"]].target.key,
            "property": targets[row["target"]].target.name,
            "wanted": row["want"]["v"] if row["want"] else None,
            "stands": row["stands"]["v"] if row["stands"] else None,
            "sure": row["standing"],
            "why": row["reason"],
        }
        for row in connection.execute(select(standings).where(mine)).mappings()
        if targets[row["target"]].target.name in program.properties
    ]


def _conversions(connection: Connection, program: Program, person: int) -> list[dict[str, Any]]:
    rows = connection.execute(
        select(conversions).where(conversions.c.person == person).order_by(conversions.c.opened_us)
    )
    found = []
    for row in rows.mappings():
        reports = [
            {"target": target.target.key, "wanted": one["want"], "stands": one["stands"], "why": one["reason"]}
            for target in all_targets(connection)
            for one in connection.execute(
                select(standings).where(standings.c.target == target.id, standings.c.subject == row["transaction_id"])
            ).mappings()
        ]
        found.append(
            {
                "conversion": row["name"],
                "at": instant(row["opened_us"]),
                "transaction_id": row["transaction_id"],
                "minor": row["minor"],
                "currency": row["currency"],
                "episode": _episode(connection, program, dict(row)) if row["episode"] else None,
                "reports": reports,
            }
        )
    return found


def _episode(connection: Connection, program: Program, row: Mapping[str, Any]) -> dict[str, Any]:
    """Where an episode of a ladder stands: what opened it, the steps so far, and when it lapses."""
    episode = row["episode"]
    ladder = program.conversions.get(row["name"])
    s = signals.c
    told = select(s.event, s.pattern, s.at_us).where(
        s.event.in_([bytes.fromhex(event) for event in row["events"]]),
        s.pattern.in_(ladder.patterns if ladder is not None else ()),
    )
    steps = connection.execute(told.order_by(s.at_us, s.pattern)).all()
    return {
        "state": episode["state"],
        "step": episode["step"],
        "opened_by": next((one.pattern for one in steps if one.event.hex() == episode["opener"]), None),
        "steps": [{"pattern": one.pattern, "at": instant(one.at_us)} for one in steps],
        "estimate": episode["estimate"],
        "lapses": instant(episode["ends_us"]) if episode["state"] in ("open", "lost") else None,
    }


def _ledger(connection: Connection, person: int, segments: Sequence[str], program: Program) -> list[dict[str, Any]]:
    """What happened to the person's rows; asked for one segment, only what concerns its audiences."""
    names = {
        target.id: target.target.key
        for target in all_targets(connection)
        if len(segments) == len(program.segments) or target.target.name in segments
    }
    mine = (ledger.c.person == person) & ledger.c.target.in_(names)
    rows = connection.execute(select(ledger).where(mine).order_by(ledger.c.id))
    return [
        {
            "at": instant(row.at_us),
            "target": names[row.target],
            "verb": row.verb,
            "what": row.what,
            "code": row.code,
            "detail": row.detail,
        }
        for row in rows
    ]
