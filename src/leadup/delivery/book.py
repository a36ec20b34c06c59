"""The book: what should stand at each target and what does, the outbox between them, and the ledger.

Every function works inside the caller's transaction, so that what is wanted, what is planned and why are one commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, func, insert, or_, select, update

from leadup import plan
from leadup.plan import Standing
from leadup.state.store import chunks
from leadup.state.tables import ledger, outbox, standings, targets
from leadup.types import Json, Kind, Purpose, Target, Use

LIVE = ("held", "pending", "sending")
_NO_LIVE_ROW = ~exists().where(
    outbox.c.target == standings.c.target, outbox.c.subject == standings.c.subject, outbox.c.state.in_(LIVE)
)
_TO_PLAN = and_(standings.c.open, _NO_LIVE_ROW)


def _to_refresh(now_us: int) -> ColumnElement[bool]:
    """What must be sent again before the vendor forgets it."""
    return and_(
        standings.c.refresh_us <= now_us, standings.c.want.is_not(None), standings.c.stands.is_not(None), _NO_LIVE_ROW
    )


@dataclass(frozen=True, slots=True)
class Want:
    """What should stand at a target for one subject, and why."""

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
        exists().where(standings.c.target == targets.c.id, _TO_PLAN),
        targets.c.error.is_not(None),
    )
    return set(connection.scalars(select(targets.c.id).where(or_(*work))))


def set_targets(connection: Connection, activated: Mapping[Target, Terms], now_us: int) -> None:
    """Bring the targets in line with the rules.

    An audience that is no longer activated loses its members by the next plan (its guard will ask first); conversions
    and properties that were sent stay as they are.
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
        if not row.active:
            continue
        connection.execute(update(targets).where(targets.c.id == row.id).values(active=False))
        where = and_(standings.c.target == row.id, standings.c.want.is_not(None))
        if row.target.use is Use.AUDIENCE:
            found = connection.execute(select(standings.c.subject, standings.c.person).where(where))
            reason = "the segment is no longer sent here"
            set_wants(connection, row, [Want(r.subject, r.person, None, reason) for r in found], now_us)


# ---------------------------------------------------------------- what should stand


def set_wants(connection: Connection, target: TargetRow, wants: Sequence[Want], now_us: int) -> int:
    """Record what should stand; return how many rows changed. A pending row that this overtakes is replaced."""
    changed = 0
    for part in chunks(wants):
        before = _rows(connection, target.id, [want.subject for want in part])
        inserts, updates, overtaken = [], [], []
        for want in part:
            row = before.get(want.subject)
            if row is None:
                if want.want is not None:
                    inserts.append(_new(target.id, want))
                continue
            if row["want"] == want.want and row["person"] == want.person:
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
            if row["want"] != want.want:
                overtaken.append(want.subject)
        if inserts:
            connection.execute(insert(standings), inserts)
        if updates:
            connection.execute(_UPDATE_WANT, updates)
        _replace(connection, target.id, overtaken, now_us)
        changed += len(inserts) + len(updates)
    return changed


_UPDATE_WANT = (
    update(standings)
    .where(standings.c.target == bindparam("t"), standings.c.subject == bindparam("s"))
    .values({name: bindparam(name) for name in ("person", "want", "reason", "urgent", "open")})
)


def _new(target: int, want: Want) -> dict[str, Any]:
    return {
        "target": target,
        "subject": want.subject,
        "person": want.person,
        "want": want.want,
        "stands": None,
        "standing": Standing.ABSENT,
        "open": True,
        "remote": None,
        "number": 0,
        "refresh_us": None,
        "urgent": want.urgent,
        "reason": want.reason,
    }


def _rows(connection: Connection, target: int, subjects: Collection[str]) -> dict[str, dict[str, Any]]:
    found = {}
    for part in chunks(subjects):
        where = and_(standings.c.target == target, standings.c.subject.in_(part))
        for row in connection.execute(select(standings).where(where)).mappings():
            found[row["subject"]] = dict(row)
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


def _replace(connection: Connection, target: int, subjects: Collection[str], now_us: int) -> None:
    """Take back rows that wait for subjects whose intent changed; what is being sent is never overtaken."""
    for part in chunks(subjects):
        where = and_(outbox.c.target == target, outbox.c.subject.in_(part), outbox.c.state.in_(["held", "pending"]))
        rows = connection.execute(select(outbox.c.id, outbox.c.subject, outbox.c.person, outbox.c.verb).where(where))
        gone = list(rows)
        connection.execute(update(outbox).where(where).values(state="replaced", done_us=now_us))
        write_ledger(
            connection,
            now_us,
            target,
            [Line(row.id, row.subject, row.person, row.verb, "replaced", detail="a newer intent") for row in gone],
        )


# ---------------------------------------------------------------- the plan


@dataclass(frozen=True, slots=True)
class Planned:
    """What planning one target gave."""

    target: TargetRow
    steps: tuple[plan.Step, ...]
    trip: plan.Trip | None


def plan_all(connection: Connection, found: Sequence[TargetRow], now_us: int) -> list[Planned]:
    """Plan these targets. One look tells at which of them anything differs."""
    here = standings.c.target == targets.c.id
    differs = or_(exists().where(here, _TO_PLAN), exists().where(here, _to_refresh(now_us)))
    some = set(connection.scalars(select(targets.c.id).where(differs)))
    return [plan_target(connection, t, now_us) if t.id in some else Planned(t, (), None) for t in found]


def plan_target(connection: Connection, target: TargetRow, now_us: int) -> Planned:
    """Write outbox rows for all that differs. A guard that trips holds the rows, and the target with them.

    A target that is held gets no new rows until its plan is accepted, but for leaves by withdrawn consent.
    """
    mine = select(standings).where(standings.c.target == target.id)
    found = {
        row["subject"]: as_row(dict(row), now_us)
        for where in (_TO_PLAN, _to_refresh(now_us))  # two looks, each by an index, not one through everything
        for row in connection.execute(mine.where(where)).mappings()
    }
    rows = [found[subject] for subject in sorted(found)]
    steps = plan.steps(target.target.use, rows)
    if target.guard:
        steps = [step for step in steps if step.urgent]
    trip = None
    if not target.guard and sum(step.verb == "leave" for step in steps) >= plan.MIN_LEAVES:
        trip = plan.guard(steps, _size(connection, target.id), target.terms.max_leave)
    held = [step for step in steps if trip and not step.urgent]
    if trip:
        connection.execute(
            update(targets)
            .where(targets.c.id == target.id)
            .values(guard=trip.guard, guard_text=trip.text, plan=plan.fingerprint(held))
        )
    _write(connection, target, steps, {step.subject for step in held}, now_us)
    return Planned(target, tuple(steps), trip)


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


# ---------------------------------------------------------------- the ledger


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger; free of personal data."""

    row: int | None
    subject: str
    person: int | None
    verb: str
    what: str
    code: str = ""
    detail: str = ""


def write_ledger(connection: Connection, now_us: int, target: int, lines: Iterable[Line]) -> None:
    """Append lines."""
    rows = [
        {
            "at_us": now_us,
            "row": line.row,
            "target": target,
            "subject": line.subject,
            "person": line.person,
            "verb": line.verb,
            "what": line.what,
            "code": line.code,
            "detail": line.detail,
        }
        for line in lines
    ]
    if rows:
        connection.execute(insert(ledger), rows)
