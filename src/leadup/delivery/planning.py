"""Planning: what differs in the book becomes outbox rows, which a guard may hold until somebody accepts them.

Every function works inside the caller's transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, func, insert, or_, select, text, update

from leadup import plan
from leadup.delivery.adopting import adopted
from leadup.delivery.book import LIVE, TargetRow, as_row
from leadup.delivery.ledger import Line, write_ledger
from leadup.state.store import chunks
from leadup.state.tables import outbox, standings, targets

# Word for word as in the partial indexes `outbox_live` and `standings_open`, or SQLite does not use them.
_NO_LIVE_ROW = ~exists().where(
    outbox.c.target == standings.c.target, outbox.c.subject == standings.c.subject, text(f"outbox.state IN {LIVE}")
)
_NOT_IN_COUNT = ~exists().where(
    outbox.c.id == standings.c.sent, outbox.c.state == "accepted", outbox.c.verb.in_(["convert", "restate"])
)
"""The vendor has said whether a conversion counts. Until then its next value waits: Google, for one, states no order
between two values of one conversion."""


def _to_plan(target: ColumnElement[int] | int) -> ColumnElement[bool]:
    """What differs at a target; to be asked with :data:`_BY_OPEN`."""
    return and_(standings.c.target == target, text("standings.open"), _NO_LIVE_ROW, _NOT_IN_COUNT)


_BY_OPEN = (standings, "INDEXED BY standings_open", "sqlite")
"""SQLite would look through the whole target, by the primary key."""


def _differs(target: ColumnElement[int]) -> ColumnElement[bool]:
    return select(text("1")).select_from(standings).with_hint(*_BY_OPEN).where(_to_plan(target)).exists()


def _to_refresh(target: ColumnElement[int] | int, now_us: int) -> ColumnElement[bool]:
    """What must be sent again to a target before the vendor forgets it."""
    wanted = and_(standings.c.want.is_not(None), standings.c.stands.is_not(None))
    return and_(standings.c.target == target, standings.c.refresh_us <= now_us, wanted, _NO_LIVE_ROW)


def with_work(connection: Connection, now_us: int) -> set[int]:
    """Ids of the targets that the courier has to look at: with rows to send, to send again or to plan, or an error."""
    mine = outbox.c.target == targets.c.id
    work = (
        exists().where(mine, outbox.c.state == "sending"),
        exists().where(mine, outbox.c.state == "pending", outbox.c.next_us <= now_us),
        _differs(targets.c.id),
        targets.c.error.is_not(None),
    )
    return set(connection.scalars(select(targets.c.id).where(or_(*work))))


@dataclass(frozen=True, slots=True)
class Planned:
    """What planning one target gave."""

    target: TargetRow
    changes: Mapping[str, int]
    """How many, by verb."""
    trip: plan.Trip | None


def plan_all(connection: Connection, found: Sequence[TargetRow], now_us: int) -> list[Planned]:
    """Plan these targets. One look tells at which of them anything differs, or is held."""
    differs = or_(_differs(targets.c.id), exists().where(_to_refresh(targets.c.id, now_us)))
    these = targets.c.id.in_([target.id for target in found])
    some = set(connection.scalars(select(targets.c.id).where(these, or_(differs, targets.c.guard.is_not(None)))))
    return [plan_target(connection, t, now_us) if t.id in some else Planned(t, {}, None) for t in found]


def plan_target(connection: Connection, target: TargetRow, now_us: int) -> Planned:
    """Write outbox rows for all that differs. A guard that trips holds the rows, and the target with them.

    A target that is held gets no new rows until its plan is accepted, or nothing is left of it, but for leaves by
    withdrawn consent.

    A plan may be of everybody: it is counted first, and then written part by part, so that it is never all in memory.
    """
    subjects, leaves = _differing(connection, target, now_us)
    gathers = target.terms.min_size and not target.guard and not sent_before(connection, target)
    if target.guard == "min_size" or gathers:
        return _gather(connection, target, subjects, now_us)
    held_before = bool(target.guard) and _holds_rows(connection, target.id)
    trip = None
    if leaves >= plan.MIN_LEAVES and not held_before:
        trip = plan.guard(leaves, _size(connection, target.id), target.terms.max_leave)
    changes: Counter[str] = Counter()
    held: list[plan.Step] = []
    for steps in _steps(connection, target, subjects, now_us):
        chosen = [step for step in steps if step.urgent] if held_before else steps
        stopped = [step for step in chosen if trip and not step.urgent]
        _write(connection, target, chosen, {step.subject for step in stopped}, now_us)
        changes.update(step.verb for step in chosen)
        held += stopped
    if trip or (target.guard and not held_before):
        _set_guard(connection, target, trip, held)
    return Planned(target, changes, trip)


def _gather(connection: Connection, target: TargetRow, subjects: Sequence[str], now_us: int) -> Planned:
    """Plan an audience that was never sent: its joins are held until there are enough, then go by themselves."""
    wanted = (standings.c.target == target.id) & standings.c.want.is_not(None)
    size = connection.scalar(select(func.count()).select_from(standings).where(wanted)) or 0
    trip = plan.too_small(size, target.terms.min_size)
    if trip is None:
        _release(connection, target, now_us, "min_size", f"there are {size} people")
        _set_guard(connection, target, None, ())
    changes: Counter[str] = Counter()
    for steps in _steps(connection, target, subjects, now_us):
        _write(connection, target, steps, {step.subject for step in steps if trip}, now_us)
        changes.update(step.verb for step in steps)
    if trip is not None:
        _set_guard(connection, target, trip, _held(connection, target.id))
    return Planned(target, changes, trip)


_AT_ONCE = 2_000
_PLANNED = [standings.c[name] for name in ("subject", "person", "want", "stands", "standing", "number")]
_PLANNED += [standings.c[name] for name in ("reason", "refresh_us", "urgent")]


def _differing(connection: Connection, target: TargetRow, now_us: int) -> tuple[list[str], int]:
    """The subjects for which something is to be done, and how many leaves that are that a guard may hold."""
    subjects: set[str] = set()
    leaves = 0
    to_plan = select(*_PLANNED).with_hint(*_BY_OPEN).where(_to_plan(target.id))
    for query in (to_plan, select(*_PLANNED).where(_to_refresh(target.id, now_us))):
        for row in connection.execute(query).mappings():
            verb = None if row["subject"] in subjects else plan.verb(target.target.use, as_row(dict(row), now_us))
            if verb is not None:
                subjects.add(row["subject"])
                leaves += verb == "leave" and not row["urgent"]
    return sorted(subjects), leaves


def _steps(
    connection: Connection, target: TargetRow, subjects: Sequence[str], now_us: int
) -> Iterator[list[plan.Step]]:
    """The steps of these subjects, part by part."""
    for part in chunks(subjects, _AT_ONCE):
        where = and_(standings.c.target == target.id, standings.c.subject.in_(part))
        rows = connection.execute(select(*_PLANNED).where(where).order_by(standings.c.subject)).mappings()
        yield plan.steps(target.target.use, [as_row(dict(row), now_us) for row in rows])


def sent_before(connection: Connection, target: TargetRow) -> bool:
    """Whether anything was ever sent to a target, or is about to be."""
    on_its_way = (outbox.c.target == target.id) & outbox.c.state.not_in(["held", "replaced"])
    return target.remote_id is not None or connection.scalar(select(outbox.c.id).where(on_its_way).limit(1)) is not None


def _held(connection: Connection, target: int) -> list[plan.Step]:
    """The held plan of a target."""
    rows = connection.execute(select(outbox).where(outbox.c.target == target, outbox.c.state == "held")).mappings()
    names = ("subject", "person", "verb", "want", "number", "reason")
    return [plan.Step(**{name: row[name] for name in names}) for row in rows]


def _set_guard(connection: Connection, target: TargetRow, trip: plan.Trip | None, held: Sequence[plan.Step]) -> None:
    shown = plan.fingerprint(held) if trip else None
    values = {"guard": trip.guard if trip else None, "guard_text": trip.text if trip else None, "plan": shown}
    connection.execute(update(targets).where(targets.c.id == target.id).values(**values))


def _holds_rows(connection: Connection, target: int) -> bool:
    where = (outbox.c.target == target) & (outbox.c.state == "held")
    return connection.scalar(select(outbox.c.id).where(where).limit(1)) is not None


def _size(connection: Connection, target: int) -> int:
    where = and_(standings.c.target == target, standings.c.stands.is_not(None))
    return int(connection.scalar(select(func.count()).select_from(standings).where(where)) or 0)


def _write(
    connection: Connection, target: TargetRow, steps: Sequence[plan.Step], held: Collection[str], now_us: int
) -> None:
    for part in chunks(steps):
        rows = [
            {
                "key": f"{target.target.key}#{step.subject}#{step.number}",
                "target": target.id,
                "subject": step.subject,
                "person": step.person,
                "verb": step.verb,
                "number": step.number,
                "want": step.want,
                "state": "held" if step.subject in held else "pending",
                "attempts": 0,
                "next_us": now_us,
                "reason": step.reason,
                "planned_us": now_us,
            }
            for step in part
        ]
        connection.execute(insert(outbox), rows)
        connection.execute(
            update(standings)
            .where(standings.c.target == bindparam("t"), standings.c.subject == bindparam("s"))
            .values(number=bindparam("n")),
            [{"t": target.id, "s": step.subject, "n": step.number} for step in part],
        )
        lines = [
            Line(None, s.subject, s.person, s.verb, "held" if s.subject in held else "planned", detail=s.reason)
            for s in part
        ]
        write_ledger(connection, now_us, target.id, lines)


def accept(connection: Connection, target: TargetRow, guard: str, who: str, now_us: int) -> int:
    """Release the held plan of a target exactly as it was shown; record who did. Returns the number of rows."""
    if target.guard != guard:
        return 0
    if guard == "adopt":
        adopted(connection, target, who, now_us)
    _set_guard(connection, target, None, ())
    return _release(connection, target, now_us, guard, f"accepted by {who}")


def _release(connection: Connection, target: TargetRow, now_us: int, guard: str, why: str) -> int:
    where = and_(outbox.c.target == target.id, outbox.c.state == "held")
    rows = list(connection.execute(select(outbox.c.id, outbox.c.subject, outbox.c.person, outbox.c.verb).where(where)))
    connection.execute(update(outbox).where(where).values(state="pending", next_us=now_us))
    lines = [Line(r.id, r.subject, r.person, r.verb, "released", guard, why) for r in rows]
    write_ledger(connection, now_us, target.id, lines)
    return len(rows)
