"""The book: what should stand at each target and what does, and the outbox between them.

Every function works inside the caller's transaction, so that what is wanted, what is planned and why are one commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from leadup import plan
from leadup.delivery.ledger import Line, write_ledger
from leadup.plan import Standing
from leadup.state.store import chunks
from leadup.state.tables import outbox, standings, targets
from leadup.types import Json, Kind, Purpose, Target, Use

LIVE = ("held", "pending", "sending")
WAITING = ("held", "pending")
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
    """What differs at a target. The 0 keeps SQLite from looking through the whole target, by the primary key."""
    return and_(standings.c.target + 0 == target, text("standings.open"), _NO_LIVE_ROW, _NOT_IN_COUNT)


def _to_refresh(target: ColumnElement[int] | int, now_us: int) -> ColumnElement[bool]:
    """What must be sent again to a target before the vendor forgets it."""
    wanted = and_(standings.c.want.is_not(None), standings.c.stands.is_not(None))
    return and_(standings.c.target == target, standings.c.refresh_us <= now_us, wanted, _NO_LIVE_ROW)


@dataclass(frozen=True, slots=True)
class Want:
    """What should stand at a target for one subject, and why; ``want`` as :class:`leadup.plan.Row` has it."""

    subject: str
    person: int
    want: Json
    reason: str
    urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a target asks of a person and of a plan, as the rules and the destination state it."""

    needs: frozenset[Kind] = frozenset()
    """Kinds of identifier, one of which a person must have."""
    purposes: frozenset[Purpose] = frozenset()
    click_ids: frozenset[str] = frozenset()
    """Click ids that serve a conversion in place of an identifier."""
    max_age_us: int | None = None
    """Conversions older than this are not sent."""
    max_leave: float = 1.0
    number: bool = False
    """Of a property: a number, not text."""

    def as_json(self) -> dict[str, Json]:
        """The form that is stored."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: sorted(v) if isinstance(v, frozenset) else v for name, v in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Terms:
        """Read the stored form."""
        return cls(
            needs=frozenset(Kind(kind) for kind in values["needs"]),
            purposes=frozenset(Purpose(purpose) for purpose in values["purposes"]),
            click_ids=frozenset(values["click_ids"]),
            max_age_us=values["max_age_us"],
            max_leave=values["max_leave"],
            number=values["number"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """A target as the book knows it."""

    id: int
    target: Target
    terms: Terms
    remote_id: str | None
    active: bool
    guard: str | None
    guard_text: str | None
    plan: str | None
    error: str | None
    retry_us: int | None


def all_targets(connection: Connection) -> list[TargetRow]:
    """Every target ever activated, by name."""
    rows = connection.execute(select(targets).order_by(targets.c.connection, targets.c.use, targets.c.name))
    found = []
    for row in rows:
        terms = Terms.from_json(row.terms)
        target = Target(
            connection=row.connection,
            use=Use(row.use),
            name=row.name,
            remote_name=row.remote_name,
            number=terms.number,
        )
        found.append(
            TargetRow(
                id=row.id,
                target=target,
                terms=terms,
                remote_id=row.remote_id,
                active=row.active,
                guard=row.guard,
                guard_text=row.guard_text,
                plan=row.plan,
                error=row.error,
                retry_us=row.retry_us,
            )
        )
    return found


def with_work(connection: Connection, now_us: int) -> set[int]:
    """Ids of the targets that the courier has to look at: with rows to send, to send again or to plan, or an error."""
    mine = outbox.c.target == targets.c.id
    work = (
        exists().where(mine, outbox.c.state == "sending"),
        exists().where(mine, outbox.c.state == "pending", outbox.c.next_us <= now_us),
        exists().where(_to_plan(targets.c.id)),
        targets.c.error.is_not(None),
    )
    return set(connection.scalars(select(targets.c.id).where(or_(*work))))


def set_targets(connection: Connection, activated: Mapping[Target, Terms], now_us: int) -> None:
    """Bring the targets in line with the rules.

    An audience that is no longer activated loses its members by the next plan (its guard will ask first); of a
    conversion or property nothing more is sent, and what was sent stays as it is.
    """
    known = {(row.target.connection, row.target.use, row.target.name): row for row in all_targets(connection)}
    for target, terms in activated.items():
        row = known.pop((target.connection, target.use, target.name), None)
        values = {"remote_name": target.remote_name, "active": True, "terms": terms.as_json()}
        if row is None:
            key = {"connection": target.connection, "use": target.use, "name": target.name}
            connection.execute(insert(targets).values(**key, **values))
        else:
            connection.execute(update(targets).where(targets.c.id == row.id).values(**values))
    for row in known.values():
        if row.active:
            connection.execute(update(targets).where(targets.c.id == row.id).values(active=False))
            where = and_(standings.c.target == row.id, standings.c.want.is_not(None))
            found = connection.execute(select(standings.c.subject, standings.c.person).where(where))
            reason = f"the {row.target.use} is no longer sent here"
            set_wants(connection, row, [Want(r.subject, r.person, None, reason) for r in found], now_us)


# ---------------------------------------------------------------- what should stand


def set_wants(connection: Connection, target: TargetRow, wants: Sequence[Want], now_us: int) -> int:
    """Record what should stand; return how many rows changed. A pending row that this overtakes is replaced."""
    changed = 0
    for part in chunks(wants):
        before = standings_of(connection, target.id, [want.subject for want in part])
        inserts, updates, overtaken, passed_on = [], [], [], []
        for want in part:
            row = before.get(want.subject)
            if row is None:
                # Of a conversion that is not reported it is recorded why.
                if want.want is not None or target.target.use is Use.CONVERSION:
                    inserts.append(_new(target.id, want))
                continue
            if (row["want"], row["person"], row["urgent"]) == (want.want, want.person, want.urgent):
                continue
            updates.append(
                {
                    "t": target.id,
                    "s": want.subject,
                    "person": want.person,
                    "want": want.want,
                    "reason": want.reason,
                    "urgent": want.urgent,
                    "open": _differs(target.target.use, row, want.want),
                }
            )
            if row["want"] != want.want or (want.urgent and not row["urgent"]):
                overtaken.append(want.subject)
            if row["person"] != want.person:
                passed_on.append({"t": target.id, "s": want.subject, "p": want.person})
        if inserts:
            connection.execute(insert(standings), inserts)
        if updates:
            connection.execute(_UPDATE_WANT, updates)
        if passed_on:
            connection.execute(_PASS_ON, passed_on)
        replace_waiting(connection, target, overtaken, now_us)
        changed += len(inserts) + len(updates)
    return changed


_UPDATE_WANT = (
    update(standings)
    .where(standings.c.target == bindparam("t"), standings.c.subject == bindparam("s"))
    .values({name: bindparam(name) for name in ("person", "want", "reason", "urgent", "open")})
)
_PASS_ON = (
    update(outbox)
    .where(outbox.c.target == bindparam("t"), outbox.c.subject == bindparam("s"), outbox.c.state.in_(WAITING))
    .values(person=bindparam("p"))
)


def _new(target: int, want: Want) -> dict[str, Any]:
    return {
        "target": target,
        "subject": want.subject,
        "person": want.person,
        "want": want.want,
        "stands": None,
        "standing": Standing.ABSENT,
        "open": want.want is not None,
        "remote": None,
        "sent": None,
        "number": 0,
        "refresh_us": None,
        "urgent": want.urgent,
        "reason": want.reason,
    }


def standings_of(connection: Connection, target: int, subjects: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Rows of ``standings`` of one target, by subject."""
    found: dict[str, dict[str, Any]] = {}
    for part in chunks(subjects):
        where = and_(standings.c.target == target, standings.c.subject.in_(part))
        found |= {row["subject"]: dict(row) for row in connection.execute(select(standings).where(where)).mappings()}
    return found


def _differs(use: Use, row: Mapping[str, Any], want: Json) -> bool:
    return plan.verb(use, as_row({**row, "want": want}, 0)) is not None


def as_row(row: Mapping[str, Any], now_us: int) -> plan.Row:
    """Read a row of ``standings`` as the plan sees it."""
    return plan.Row(
        subject=row["subject"],
        person=row["person"],
        want=row["want"],
        stands=row["stands"],
        standing=Standing(row["standing"]),
        number=row["number"],
        reason=row["reason"],
        refresh_due=row["refresh_us"] is not None and row["refresh_us"] <= now_us and row["stands"] is not None,
        urgent=row["urgent"],
    )


def replace_waiting(
    connection: Connection, target: TargetRow, subjects: Collection[str], now_us: int, why: str = "a newer intent"
) -> None:
    """Take back rows that wait for these subjects; what is being sent is never overtaken.

    A conversion that may have been counted already waits on until the vendor answers: its next value is to be reported
    as another one of the same conversion.
    """
    for part in chunks(subjects):
        where = [outbox.c.target == target.id, outbox.c.subject.in_(part), outbox.c.state.in_(WAITING)]
        where += [outbox.c.before.is_(None)] if target.target.use is Use.CONVERSION else []
        rows = connection.execute(select(outbox.c.id, outbox.c.subject, outbox.c.person, outbox.c.verb).where(*where))
        lines = [Line(row.id, row.subject, row.person, row.verb, "replaced", detail=why) for row in rows]
        values = {"state": "replaced", "done_us": now_us, "remote": None, "before": None}
        connection.execute(update(outbox).where(*where).values(**values))
        write_ledger(connection, now_us, target.id, lines)


# ---------------------------------------------------------------- the plan


@dataclass(frozen=True, slots=True)
class Planned:
    """What planning one target gave."""

    target: TargetRow
    steps: tuple[plan.Step, ...]
    trip: plan.Trip | None


def plan_all(connection: Connection, found: Sequence[TargetRow], now_us: int) -> list[Planned]:
    """Plan these targets. One look tells at which of them anything differs, or is held."""
    differs = or_(exists().where(_to_plan(targets.c.id)), exists().where(_to_refresh(targets.c.id, now_us)))
    some = set(connection.scalars(select(targets.c.id).where(or_(differs, targets.c.guard.is_not(None)))))
    return [plan_target(connection, t, now_us) if t.id in some else Planned(t, (), None) for t in found]


def plan_target(connection: Connection, target: TargetRow, now_us: int) -> Planned:
    """Write outbox rows for all that differs. A guard that trips holds the rows, and the target with them.

    A target that is held gets no new rows until its plan is accepted, or nothing is left of it, but for leaves by
    withdrawn consent.
    """
    found = {
        row["subject"]: as_row(dict(row), now_us)
        for where in (_to_plan(target.id), _to_refresh(target.id, now_us))
        for row in connection.execute(select(standings).where(where)).mappings()
    }
    rows = [found[subject] for subject in sorted(found)]
    steps = plan.steps(target.target.use, rows)
    held_before = bool(target.guard) and _holds_rows(connection, target.id)
    trip = None
    if held_before:
        steps = [step for step in steps if step.urgent]
    elif sum(step.verb == "leave" for step in steps) >= plan.MIN_LEAVES:
        trip = plan.guard(steps, _size(connection, target.id), target.terms.max_leave)
    held = [step for step in steps if trip and not step.urgent]
    if trip or (target.guard and not held_before):
        shown = plan.fingerprint(held) if trip else None
        values = {"guard": trip.guard if trip else None, "guard_text": trip.text if trip else None, "plan": shown}
        connection.execute(update(targets).where(targets.c.id == target.id).values(**values))
    _write(connection, target, steps, {step.subject for step in held}, now_us)
    return Planned(target, tuple(steps), trip)


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
    where = and_(outbox.c.target == target.id, outbox.c.state == "held")
    rows = list(connection.execute(select(outbox.c.id, outbox.c.subject, outbox.c.person, outbox.c.verb).where(where)))
    connection.execute(update(outbox).where(where).values(state="pending", next_us=now_us))
    connection.execute(update(targets).where(targets.c.id == target.id).values(guard=None, guard_text=None, plan=None))
    lines = [Line(r.id, r.subject, r.person, r.verb, "released", guard, f"accepted by {who}") for r in rows]
    write_ledger(connection, now_us, target.id, lines)
    return len(rows)
