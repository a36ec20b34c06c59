"""The account of every row of a destination: from judged to processed, each loss with its rows and its reason.

Conversions are told by the day on which they happened, in UTC; members of an audience as they are now. Every row is at
one place (:mod:`leadup.insights.places`), so that a stage is always the next one and what was lost before it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, String, and_, cast, func, literal, or_, select

from leadup.delivery.book import TargetRow
from leadup.delivery.drift import IS_LIVE
from leadup.insights.places import AUDIENCE, CONVERSION, WANTED, Account, Kind, Known, Place, Trace, place
from leadup.insights.status import reached
from leadup.insights.words import instant
from leadup.outgoing import Use
from leadup.plan import Standing
from leadup.state.store import chunks
from leadup.state.tables import answers, conversions, memberships, outbox, standings

DAY_US: Final = 86_400_000_000
_STEPS: Final = {"holds": "judged", "identifier": "identifier", "consent": "consent"}
"""By step of the waterfall at which a member stops, the stage he reached."""
_CODES: Final = {"holds": "no_identifier", "identifier": "no_consent", "consent": "held_out"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounted:
    """One row and its place."""

    subject: str
    """A transaction id, or a person's number."""
    person: int
    day_us: int | None
    """Of a conversion: midnight (UTC) of the day on which it happened."""
    place: Place


def rows_of(connection: Connection, target: TargetRow, since_us: int, until_us: int) -> Iterator[Accounted]:
    """Yield every row of a target: conversions that happened in ``[since_us, until_us)``, present members."""
    match target.target.use:
        case Use.CONVERSION:
            yield from _conversions(connection, target, since_us, until_us)
        case Use.AUDIENCE:
            yield from _members(connection, target)


def account(
    connection: Connection, target: TargetRow, since_us: int, until_us: int, *, losses: bool = False
) -> dict[str, Any]:
    """Return the account of an audience or a conversion action, as JSON. ``losses``: with each row that did not arrive.

    What it costs grows with what happened in these days, or with the audience, and not with history.
    """
    stages = CONVERSION if target.target.use is Use.CONVERSION else AUDIENCE
    total, days = Account(stages), defaultdict[int, Account](lambda: Account(stages))
    lost = []
    for row in rows_of(connection, target, since_us, until_us):
        total.add(row.place)
        if row.day_us is not None:
            days[row.day_us].add(row.place)
        if losses and row.place.kind is not None:
            lost.append(_lost(row))
    told: dict[str, Any] = {
        **_heading(target),
        **total.as_json(),
        "batches": batches(connection, target, since_us, until_us),
    }
    if target.target.use is Use.CONVERSION:
        told["days"] = [{"day": _day(day), **days[day].as_json()} for day in sorted(days)]
    else:
        told["leaving"] = leaving(connection, target)
    return told | ({"rows": lost} if losses else {})


def _heading(target: TargetRow) -> dict[str, Any]:
    return {
        "target": target.target.key,
        "remote_name": target.target.remote_name,
        "remote_id": target.remote_id,
        "active": target.active,
        "error": target.error,
    }


def _lost(row: Accounted) -> dict[str, Any]:
    where = row.place
    why = {"after": where.reached, "kind": str(where.kind), "code": where.code, "why": where.why}
    return {"key": row.subject, "person": row.person, "day": _day(row.day_us), **why}


def _day(day_us: int | None) -> str | None:
    return (instant(day_us) or "")[:10] if day_us is not None else None


# ---------------------------------------------------------------- conversions

_LAST, _SENT = outbox.alias("planned"), outbox.alias("sent_row")
_TRACE: Final = ("verb", "state", "code", "detail", "sent_us", "handle", "before")
BOOK: Final = (
    standings.c.subject,
    standings.c.standing,
    standings.c.open,
    standings.c.reason,
    standings.c.want.is_not(None).label("wanted"),
    *(_LAST.c[name].label(f"planned_{name}") for name in _TRACE),
    *(_SENT.c[name].label(f"sent_{name}") for name in _TRACE),
)
"""Of a subject at a target, what its place hangs on: :func:`known_of` reads them."""


def with_rows(source: Any, target: TargetRow) -> Any:
    """Join to what the book says of a subject the row that was planned last, by its key, and the one sent last."""
    key = literal(f"{target.target.key}#") + standings.c.subject + "#" + cast(standings.c.number, String)
    return source.outerjoin(_LAST, _LAST.c.key == key).outerjoin(_SENT, _SENT.c.id == standings.c.sent)


def _conversions(connection: Connection, target: TargetRow, since_us: int, until_us: int) -> Iterator[Accounted]:
    mine = and_(standings.c.target == target.id, standings.c.subject == conversions.c.transaction_id)
    query = (
        select(conversions.c.transaction_id, conversions.c.person, conversions.c.opened_us, *BOOK)
        .select_from(with_rows(conversions.outerjoin(standings, mine), target))
        .where(conversions.c.name == target.target.name)
        .where(conversions.c.opened_us >= since_us, conversions.c.opened_us < until_us)
        .order_by(conversions.c.opened_us, conversions.c.transaction_id)
    )
    for row in connection.execute(query).mappings():
        yield Accounted(
            subject=row["transaction_id"],
            person=row["person"],
            day_us=row["opened_us"] // DAY_US * DAY_US,
            place=place(known_of(dict(row)) if row["subject"] is not None else None, CONVERSION[0], WANTED),
        )


def known_of(row: Mapping[str, Any]) -> Known:
    """Read what the columns :data:`BOOK` hold."""
    return Known(
        wanted=bool(row["wanted"]),
        standing=Standing(row["standing"]),
        open=row["open"],
        reason=row["reason"],
        planned=_trace(row, "planned"),
        sent=_trace(row, "sent"),
    )


def _trace(row: Mapping[str, Any], which: str) -> Trace | None:
    if row[f"{which}_state"] is None:
        return None
    before = row[f"{which}_before"]
    return Trace(
        verb=row[f"{which}_verb"],
        state=row[f"{which}_state"],
        code=row[f"{which}_code"],
        detail=row[f"{which}_detail"],
        sent=row[f"{which}_sent_us"] is not None,
        taken=bool(row[f"{which}_handle"]),
        stood=bool(before and before["standing"] == Standing.PRESENT),
    )


# ---------------------------------------------------------------- audiences


def _members(connection: Connection, target: TargetRow) -> Iterator[Accounted]:
    query = select(memberships.c.person).where(memberships.c.segment == target.target.name)
    members = sorted(connection.scalars(query.order_by(memberships.c.person))) if target.active else []
    for part in chunks(members):
        answers = reached(connection, target, part)
        able = [person for person, answer in answers.items() if answer.basis is not None]
        known = _book(connection, target, list(map(str, able)))
        for person, answer in answers.items():
            if answer.basis is not None:
                where = place(known.get(str(person)), "not held out", "not held out")
            else:
                where = Place(_STEPS[answer.step], Kind.UNWANTED, _CODES[answer.step], answer.reason)
            yield Accounted(subject=str(person), person=person, day_us=None, place=where)


def _book(connection: Connection, target: TargetRow, subjects: Sequence[str]) -> dict[str, Known]:
    mine = and_(standings.c.target == target.id, standings.c.subject.in_(subjects))
    query = select(*BOOK).select_from(with_rows(standings, target)).where(mine)
    return {row["subject"]: known_of(dict(row)) for row in connection.execute(query).mappings()}


def leaving(connection: Connection, target: TargetRow) -> list[dict[str, Any]]:
    """Say who is no longer wanted in an audience and may still be there, by what is being done about it."""
    there = standings.c.standing.in_([Standing.POSSIBLE, Standing.PRESENT, Standing.LEAVING])
    query = (
        select(_LAST.c.verb, _LAST.c.state, _LAST.c.code, func.count().label("rows"))
        .select_from(with_rows(standings, target))
        .where(standings.c.target == target.id, standings.c.want.is_(None), there)
        .group_by(_LAST.c.verb, _LAST.c.state, _LAST.c.code)
    )
    found = []
    for row in connection.execute(query):
        leaves = row.verb == "leave"
        state = row.state if leaves else "to be planned"
        found.append({"state": state, "code": row.code or "" if leaves else "", "rows": row.rows})
    return sorted(found, key=lambda one: (-one["rows"], one["state"], one["code"]))


# ---------------------------------------------------------------- properties


def values(connection: Connection, target: TargetRow) -> dict[str, Any]:
    """Return of how many people a property tells, as JSON: what should stand, what does, what is on its way."""
    mine = standings.c.target == target.id
    there = and_(standings.c.standing == Standing.PRESENT, standings.c.stands.is_not(None))
    counts = {"wanted": standings.c.want.is_not(None), "stands": there, "under_way": or_(standings.c.open, IS_LIVE)}
    query = select(*(func.count().filter(where).label(name) for name, where in counts.items())).where(mine)
    return {**_heading(target), **connection.execute(query).mappings().one()}


# ---------------------------------------------------------------- batches


def batches(connection: Connection, target: TargetRow, since_us: int, until_us: int) -> dict[str, Any]:
    """Add up what the vendor said in these days of batches that it works off later: counts by reason, never rows."""
    when = and_(answers.c.at_us >= since_us, answers.c.at_us < until_us)
    told: dict[str, Counter[str]] = {name: Counter() for name in ("progress", "failed", "unmatched", "warned")}
    count = rows = 0
    for line in connection.execute(select(answers).where(answers.c.target == target.id, when)).mappings():
        count, rows = count + 1, rows + line["rows"]
        told["progress"][line["progress"]] += 1
        for name in ("failed", "unmatched", "warned"):
            told[name].update(line[name])
    return {"batches": count, "rows": rows, **{name: dict(sorted(by.items())) for name, by in told.items()}}
