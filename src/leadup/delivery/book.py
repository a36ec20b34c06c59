"""The book: what should stand at each target and what does, and the outbox between them.

Every function works inside the caller's transaction, so that what is wanted, what is planned and why are one commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    insert,
    or_,
    select,
    update,
)

from leadup import plan
from leadup.consent import Permission, permission
from leadup.delivery.ledger import Line, write_ledger
from leadup.outgoing import Target, Use, ValueKind
from leadup.plan import Standing
from leadup.state.store import chunks
from leadup.state.tables import outbox, standings, targets
from leadup.types import NEVER, Consent, Json, Kind, Purpose

if TYPE_CHECKING:
    from leadup.membership import Audience

LIVE = ("held", "pending", "sending")
WAITING = ("held", "pending")


@dataclass(frozen=True, slots=True)
class Want:
    """What should stand at a target for one subject, and why; ``want`` as :class:`leadup.plan.Row` has it."""

    subject: str
    person: int
    want: Json
    reason: str
    urgent: bool = False
    code: str = ""
    """Of a conversion of which no more is reported: why, in one word, for the ledger; empty: nothing to tell."""
    again_us: int = NEVER
    """When the answer changes by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a target asks of a person and of a plan, as the rules and the destination state it."""

    needs: frozenset[Kind] = frozenset()
    """Kinds of identifier, one of which a person must have."""
    purposes: frozenset[Purpose] = frozenset()
    """Purposes that must have been granted."""
    unless_denied: frozenset[Purpose] = frozenset()
    """Purposes that must not have been denied."""
    click_ids: frozenset[str] = frozenset()
    """Click ids that serve a conversion in place of an identifier."""
    max_age_us: int | None = None
    """Conversions older than this are not sent."""
    restates_us: int | None = None
    """The value of conversions older than this is not changed."""
    min_click_age_us: int | None = None
    """Conversions wait until their click is this old."""
    currency: str | None = None
    """Of a conversion: what values are sent in; None: in their own."""
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    """By currency, what one unit of it is in ``currency``."""
    max_leave: float = 1.0
    min_size: int = 0
    """Of an audience: nobody is sent before so many people could be."""
    values: ValueKind = ValueKind.TEXT
    """Of a property: what its values are."""
    options: tuple[str, ...] = ()
    """Of a property of choices: all there are."""
    holdout: str | None = None
    """Of an audience: who never gets there, by the holdout's name."""

    @property
    def audience(self) -> Audience:
        """What it asks of a person, if it is an audience."""
        from leadup.membership import Audience  # brings NumPy along, 36 MB that a delivery does not need

        return Audience(needs=self.needs, purposes=self.purposes, unless_denied=self.unless_denied)

    def permit(self, person: Consent, event: Consent | None = None) -> Permission:
        """Decide as :func:`leadup.consent.permission` does."""
        return permission(self.purposes, person, event, unless_denied=self.unless_denied)

    def as_json(self) -> dict[str, Json]:
        """The form that is stored."""
        values = {name: getattr(self, name) for name in self.__slots__}
        plain = {name: sorted(v) if isinstance(v, frozenset) else v for name, v in values.items()}
        rates = {currency: str(rate) for currency, rate in sorted(self.rates.items())}
        return {**plain, "rates": rates, "values": str(self.values), "options": list(self.options)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Terms:
        """Read the stored form."""
        return cls(
            needs=frozenset(Kind(kind) for kind in values["needs"]),
            purposes=frozenset(Purpose(purpose) for purpose in values["purposes"]),
            unless_denied=frozenset(Purpose(purpose) for purpose in values.get("unless_denied", ())),
            click_ids=frozenset(values["click_ids"]),
            max_age_us=values["max_age_us"],
            restates_us=values.get("restates_us"),
            min_click_age_us=values.get("min_click_age_us"),
            currency=values.get("currency"),
            rates={currency: Decimal(rate) for currency, rate in values.get("rates", {}).items()},
            max_leave=values["max_leave"],
            min_size=values["min_size"],
            values=ValueKind(values.get("values") or (ValueKind.NUMBER if values.get("number") else ValueKind.TEXT)),
            options=tuple(values.get("options", ())),
            holdout=values["holdout"],
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
    lacks: str | None
    """What the vendor's plan does not offer for it, since somebody was told; it may have other trouble now."""

    @property
    def is_not_offered(self) -> bool:
        """Whether that is all its trouble: no news, and no failure."""
        return self.error is not None and self.error == self.lacks


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
            values=terms.values,
            options=terms.options,
            known_id=row.remote_id,
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
                lacks=row.lacks,
            )
        )
    return found


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


def set_wants(
    connection: Connection,
    target: TargetRow,
    wants: Sequence[Want],
    now_us: int,
    known: Mapping[str, Mapping[str, Any]] | None = None,
) -> int:
    """Record what should stand; return how many rows changed. A pending row that this overtakes is replaced.

    ``known``: the target's rows of all these subjects, where they have been read in this transaction.
    """
    changed = 0
    for part in chunks(wants):
        before = standings_of(connection, target.id, [want.subject for want in part]) if known is None else known
        inserts, updates, overtaken, passed_on = [], [], [], []
        for want in part:
            row = before.get(want.subject)
            if row is None:
                # Of a conversion that is not reported it is recorded why.
                if want.want is not None or target.target.use is Use.CONVERSION:
                    inserts.append(_new(target.id, want))
                continue
            same = (row["want"], row["person"], row["urgent"]) == (want.want, want.person, want.urgent)
            if same and (not want.code or row["reason"] == want.reason):
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
        silenced = [want for want in part if _falls_silent(before.get(want.subject), want)]
        lines = [Line(None, w.subject, w.person, "convert", "not_reported", w.code, w.reason) for w in silenced]
        write_ledger(connection, now_us, target.id, lines)
        changed += len(inserts) + len(updates)
    return changed


def _falls_silent(row: Mapping[str, Any] | None, want: Want) -> bool:
    """Whether the ledger has to say that nothing more is reported. That somebody never consented it need not."""
    if want.want is not None or not want.code:
        return False
    return want.code != "no_consent" if row is None else row["want"] is not None


_UPDATE_WANT = (
    update(standings)
    .where(standings.c.target == bindparam("t"), standings.c.subject == bindparam("s"))
    .values({name: bindparam(name) for name in ("person", "want", "reason", "urgent", "open")})
)
_PASS_ON = (
    update(outbox)
    .where(
        outbox.c.target == bindparam("t"),
        outbox.c.subject == bindparam("s"),
        or_(*(outbox.c.state == state for state in WAITING)),  # IN cannot be sent for many rows at once
    )
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
