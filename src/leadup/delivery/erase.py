"""Takes an erased person out of every audience, and forgets what was sent once each vendor has confirmed it.

What stands at a vendor is taken out first, by the identifiers as they were sent: until then those rows stay, and
nothing else of her. What was reported (conversions, properties) stays there as it is; no further row follows it. The
ledger keeps which target, what and when, under the number of the request.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from leadup.delivery.book import LIVE, TargetRow, Want, all_targets, replace_waiting, set_wants
from leadup.delivery.ledger import Line, write_ledger
from leadup.delivery.planning import plan_all
from leadup.outgoing import Use
from leadup.plan import Standing
from leadup.state.tables import (
    conversions,
    dirty,
    erased_persons,
    erasure_targets,
    holdouts,
    judged,
    ledger,
    membership_log,
    memberships,
    outbox,
    remote_ids,
    standings,
    targets,
)

REASON: Final = "erasure was asked for"
BY_PERSON: Final = (dirty, judged, memberships, membership_log, holdouts)
"""Tables of what was decided about a person, besides what is or was on its way to vendors."""
UNTRACED: Final = "untraced"
"""The vendor knows her no more as she was sent, and where she is now can not be asked: who she was is forgotten."""
_OUT: Final = ("confirmed", "already", "processed", "spared", UNTRACED)


def withdraw(connection: Connection, erasure: int, numbers: Collection[int], now_us: int) -> None:
    """Want her nowhere any more, plan the leaves, and delete what no vendor's answer is needed for.

    ``numbers``: hers, and of those who turned out to be her. Needs the write lock.
    """
    connection.execute(insert(erased_persons), [{"person": number, "erasure": erasure} for number in numbers])
    for table in BY_PERSON:
        connection.execute(delete(table).where(table.c.person.in_(numbers)))
    concerned = []
    for target in all_targets(connection):
        mine = and_(standings.c.target == target.id, standings.c.person.in_(numbers))
        rows = connection.execute(select(standings.c.subject, standings.c.person).where(mine)).all()
        if target.target.use is Use.AUDIENCE:
            wants = [Want(row.subject, row.person, None, REASON, urgent=True) for row in rows]
            set_wants(connection, target, wants, now_us)
        replace_waiting(connection, target, [row.subject for row in rows], now_us, REASON)
        _end_waiting(connection, target, numbers, now_us)
        if rows:
            concerned.append(target)
    _drop_settled(connection, numbers)
    audiences = {target.id: target for target in concerned if target.target.use is Use.AUDIENCE}
    _note_targets(connection, erasure, numbers, audiences)
    reopen(connection, numbers, now_us, force=True)


def _end_waiting(connection: Connection, target: TargetRow, numbers: Collection[int], now_us: int) -> None:
    """Take back also what may have been counted and waits for another try: no further row of hers leaves."""
    waiting = and_(
        outbox.c.target == target.id,
        outbox.c.person.in_(numbers),
        outbox.c.state.in_(["held", "pending"]),
        outbox.c.verb != "leave",
    )
    rows = connection.execute(select(outbox.c.id, outbox.c.subject, outbox.c.person, outbox.c.verb).where(waiting))
    lines = [Line(row.id, row.subject, row.person, row.verb, "replaced", detail=REASON) for row in rows]
    values = {"state": "replaced", "done_us": now_us, "remote": None, "before": None}
    connection.execute(update(outbox).where(waiting).values(**values))
    write_ledger(connection, now_us, target.id, lines)


def _drop_settled(connection: Connection, numbers: Collection[int]) -> None:
    """Delete what says nothing of an audience she may still be in, and is not being sent at this moment."""
    hers = select(conversions.c.transaction_id).where(conversions.c.person.in_(numbers))
    connection.execute(update(ledger).where(ledger.c.subject.in_(hers)).values(person=min(numbers)))
    audiences = select(targets.c.id).where(targets.c.use == Use.AUDIENCE)
    going = and_(outbox.c.person.in_(numbers), outbox.c.state.in_(LIVE))
    counted = and_(outbox.c.state == "accepted", outbox.c.target.in_(audiences))
    connection.execute(delete(outbox).where(outbox.c.person.in_(numbers), outbox.c.state.not_in(LIVE), ~counted))
    on_its_way = (
        select(outbox.c.id)
        .where(
            outbox.c.target == standings.c.target,
            outbox.c.subject == standings.c.subject,
            outbox.c.state.in_([*LIVE, "accepted"]),
        )
        .exists()
    )
    there = and_(standings.c.target.in_(audiences), standings.c.standing != Standing.ABSENT)
    connection.execute(delete(standings).where(standings.c.person.in_(numbers), ~there, ~on_its_way))
    mine = remote_ids.c.subject.in_([str(number) for number in numbers])
    connection.execute(delete(remote_ids).where(mine, remote_ids.c.target.not_in(audiences)))
    reported = select(outbox.c.subject).where(going)
    connection.execute(
        delete(conversions).where(conversions.c.person.in_(numbers), conversions.c.transaction_id.not_in(reported))
    )


def _note_targets(connection: Connection, erasure: int, numbers: Collection[int], audiences: Collection[int]) -> None:
    query = select(standings.c.target).where(standings.c.person.in_(numbers), standings.c.target.in_(audiences))
    rows = [{"erasure": erasure, "target": target} for target in sorted(set(connection.scalars(query)))]
    if rows:
        connection.execute(insert(erasure_targets), rows)


# ---------------------------------------------------------------- on the way


def reopen(connection: Connection, numbers: Collection[int], now_us: int, *, force: bool = False) -> None:
    """Plan the leaves that are not planned: those of joins that were on their way.

    ``force``: what waits for another try, because a vendor refused it, is sent now.
    """
    waits = select(standings.c.target).where(standings.c.person.in_(numbers), standings.c.open)
    ids = set(connection.scalars(waits))
    if force:
        waiting = outbox.c.person.in_(numbers) & (outbox.c.state == "pending")
        connection.execute(update(outbox).where(waiting).values(next_us=now_us))
    plan_all(connection, [target for target in all_targets(connection) if target.id in ids], now_us)


def confirm(connection: Connection, erasure: int, numbers: Collection[int], now_us: int) -> bool:
    """Note which vendors have confirmed that she is out; return whether none is left and nothing is on its way."""
    c = erasure_targets.c
    waiting = connection.scalars(select(c.target).where(c.erasure == erasure, c.confirmed_us.is_(None))).all()
    for target in waiting:
        if _under_way(connection, numbers, target):
            continue
        said = and_(ledger.c.target == target, ledger.c.person.in_(numbers), ledger.c.verb == "leave")
        query = select(ledger.c.at_us, ledger.c.what).where(said, ledger.c.what.in_(_OUT)).order_by(ledger.c.id.desc())
        last = connection.execute(query).first()
        values = {"confirmed_us": last.at_us, "outcome": last.what} if last else {"confirmed_us": now_us, "outcome": ""}
        connection.execute(update(erasure_targets).where(c.erasure == erasure, c.target == target).values(**values))
    return not _under_way(connection, numbers)


def _under_way(connection: Connection, numbers: Collection[int], target: int | None = None) -> bool:
    """Whether a row of hers may still be answered, or she is possibly in an audience; everywhere, or at one target."""
    audiences = select(targets.c.id).where(targets.c.use == Use.AUDIENCE)
    asked = or_(outbox.c.state.in_(LIVE), and_(outbox.c.state == "accepted", outbox.c.target.in_(audiences)))
    rows = select(outbox.c.id).where(outbox.c.person.in_(numbers), asked)
    there = select(standings.c.subject).where(
        standings.c.person.in_(numbers), standings.c.target.in_(audiences), standings.c.standing != Standing.ABSENT
    )
    if target is not None:
        rows, there = rows.where(outbox.c.target == target), there.where(standings.c.target == target)
    return any(connection.execute(query.limit(1)).first() is not None for query in (rows, there))


def shred(connection: Connection, erasure: int, numbers: Collection[int]) -> None:
    """Delete what was kept for the leaves, and take out of the ledger whom its lines were about."""
    subjects = set(map(str, numbers))
    for table in (standings, outbox):
        subjects |= set(connection.scalars(select(table.c.subject).where(table.c.person.in_(numbers))))
    told = or_(ledger.c.person.in_(numbers), and_(ledger.c.subject.in_(sorted(subjects)), ledger.c.subject != ""))
    values = {"person": None, "subject": f"erasure {erasure}", "row": None, "detail": ""}
    connection.execute(update(ledger).where(told).values(**values))
    connection.execute(delete(remote_ids).where(remote_ids.c.subject.in_(sorted(subjects))))
    for table in (standings, outbox, conversions):
        connection.execute(delete(table).where(table.c.person.in_(numbers)))
    connection.execute(delete(erased_persons).where(erased_persons.c.erasure == erasure))


def being_erased(connection: Connection, numbers: Collection[int]) -> set[int]:
    """Return which of these persons are being erased."""
    return set(connection.scalars(select(erased_persons.c.person).where(erased_persons.c.person.in_(numbers))))
