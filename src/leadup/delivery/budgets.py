"""Vendors' days: what is left of their calls, what of that may be spent, and what waits for the next day.

A vendor's own word counts, since other apps spend from the same day. It is kept in the state, by connection, so that
other processes can show it, and so that one that starts knows what the last one was told.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil

from sqlalchemy import ColumnElement, Connection, insert, literal, select, update

from leadup.delivery.book import TargetRow
from leadup.delivery.predicting import JOIN, LEAVE, predict
from leadup.errors import BudgetSpent
from leadup.kit import Budgeted, Destination
from leadup.outgoing import NEW_DAY, Budget, Target
from leadup.state import Store
from leadup.state.store import upsert
from leadup.state.tables import budgets, ledger, outbox
from leadup.types import day_of, from_us, to_us

CODE = "daily_budget"
"""Why a row waits, in one word."""


# ---------------------------------------------------------------- what is left


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What was left of an account's day when the vendor told of it last."""

    connection: str
    account: str
    limit: int | None
    left: int
    zone: str
    """Whose midnight ends the day, by name."""
    told_us: int
    ends_us: int
    noticed_us: int | None = None
    """When that day ends on which it was last said that something waits for the next."""

    def left_at(self, at_us: int) -> int | None:
        """How many calls are left at an instant: those of a new day once this one is over. None: nobody knows."""
        return self.left if at_us < self.ends_us else self.limit

    def kept(self, share: float) -> int:
        """How many calls are kept for the account's other apps."""
        return ceil((self.limit or 0) * share)


def days(connection: Connection) -> dict[str, Day]:
    """What is known, by connection."""
    rows = connection.execute(select(budgets).order_by(budgets.c.connection)).mappings()
    return {row["connection"]: Day(**row) for row in rows}


def write_days(connection: Connection, changed: Collection[Day]) -> None:
    """Keep what is known."""
    names = list(Day.__slots__)
    rows = [{name: getattr(day, name) for name in names} for day in changed]
    upsert(connection, budgets, rows, update=[name for name in names if name != "connection"])


def next_day(name: str, known: Day | None, budget: Budget, now: datetime) -> Day:
    """Take in what a vendor has said of a connection's account.

    Soon after midnight, by our clock, a word may still be about the day before: what says no more than that day's last
    one is not believed then, or nothing would be sent on a day that has all its calls.
    """
    said = now if budget.age < NEW_DAY else now - budget.age
    began, ends = day_of(said, budget.zone)
    if known is not None:
        stale = known.ends_us <= to_us(said) and budget.left <= known.left and said < began + NEW_DAY
        if stale or to_us(ends) < known.ends_us:
            return known
    return Day(
        connection=name,
        account=budget.account,
        limit=budget.limit,
        left=budget.left,
        zone=str(budget.zone),
        told_us=to_us(said),
        ends_us=to_us(ends),
        noticed_us=known.noticed_us if known else None,
    )


def sharing(known: Mapping[str, Day], account: str) -> list[str]:
    """The connections of an account."""
    return [name for name, day in known.items() if day.account == account]


def heard(known: Mapping[str, Day], name: str, budget: Budget, now: datetime) -> dict[str, Day]:
    """What a vendor's word to one connection means for all of its account."""
    return {one: next_day(one, known.get(one), budget, now) for one in {name, *sharing(known, budget.account)}}


def used_up(known: Mapping[str, Day], name: str, now: datetime) -> dict[str, Day]:
    """What it means for all connections of an account that the vendor takes no more calls of one today."""
    day = known.get(name)
    if day is None or to_us(now) >= day.ends_us:
        return {}
    return {one: replace(known[one], left=0, told_us=to_us(now)) for one in sharing(known, day.account)}


def goes_on_at(day: Day | None, budget: Budget | None, now: datetime) -> datetime | None:
    """When the present day ends; None: it is not known whose day that is.

    What a vendor refuses soon after midnight, it may refuse for the day before.
    """
    if day is not None and to_us(now) < day.ends_us:
        return from_us(day.ends_us)
    settled = day_of(now, budget.zone)[0] + NEW_DAY if budget is not None else now
    return settled if settled > now else None


def because(reserve: float) -> str:
    """Why something waits that takes calls, the same words all day."""
    kept = f" ({reserve:.0%} of them are kept for the account's other apps)" if reserve else ""
    return f"not enough of today's calls is left{kept}"


# ---------------------------------------------------------------- what may be spent


class Budgets:
    """The days of those destinations that have one, while something is delivered."""

    def __init__(self, store: Store, destinations: Mapping[str, Destination]) -> None:
        self._store = store
        self._destinations = {name: one for name, one in destinations.items() if isinstance(one, Budgeted)}
        self._told: dict[str, int] = {}
        self._days: dict[str, Day] = {}
        self._kept: dict[str, Day] | None = None
        """As they are in the state; None: not read yet."""
        self._leaves: dict[str, dict[int, int]] = {}
        """By connection and target, the calls that waiting leaves take."""

    def open(
        self, due: Collection[TargetRow], now: datetime, *where: ColumnElement[bool], prepared: Container[Target] = ()
    ) -> set[str]:
        """Begin to deliver these targets' rows; return the connections where they do not fit into the day.

        How many people are to be created nobody knows before they are looked for: that alone makes no day too short.
        """
        if not self._destinations:
            return set()
        with self._store.read() as connection:
            self._read(connection)
            predicted = predict(connection, self._destinations, due, *where, prepared=prepared)
        self._leaves = {name: one.leaves for name, one in predicted.items()}
        self.hear(now)
        rooms = {name: self._room(name, now) for name in predicted}
        return {name for name, room in rooms.items() if room is not None and predicted[name].certain > room}

    def hear(self, now: datetime) -> None:
        """Take in what vendors have said since the last time."""
        if self._kept is None and self._destinations:
            with self._store.read() as connection:
                self._read(connection)
        for name, destination in self._destinations.items():
            budget = destination.budget()
            if budget is None or self._told.get(name) == budget.told:
                continue
            self._told[name] = budget.told
            self._days |= heard(self._days, name, budget, now)

    def refused(self, name: str, now: datetime) -> None:
        """A vendor takes no more calls today: nothing is left, whatever it said before, until it says otherwise.

        The refusal itself need not tell a number, and other apps may have spent what was left.
        """
        self.hear(now)
        self._days |= used_up(self._days, name, now)

    def keep(self, now: datetime) -> None:
        """Write what vendors have said since the last time, whoever asked them."""
        self.hear(now)
        changed = [day for name, day in self._days.items() if (self._kept or {}).get(name) != day]
        if changed:
            with self._store.write() as connection:
                write_days(connection, changed)
            self._kept = dict(self._days)

    def _read(self, connection: Connection) -> None:
        self._kept = days(connection)
        self._days = dict(self._kept)

    def allows(
        self,
        target: TargetRow,
        verb: str,
        rows: int,
        now: datetime,
        *,
        found: bool = False,
        addressed: bool = False,
        prepared: bool = True,
    ) -> bool:
        """Whether so many rows may be sent now. Leaves that wait at the same account have their calls first.

        ``found``: the people have been looked for already; ``addressed``: it is known where they are; ``prepared``: the
        target has been found or made.
        """
        destination = self._destinations.get(target.target.connection)
        if destination is None:
            return True
        needed = destination.calls(target.target, {verb: rows})
        if not prepared:
            needed += destination.preparing([target.target])
        if verb == LEAVE:
            return self._has(target, needed, now)
        if not (found or addressed):
            needed += destination.look_ups(rows)
        if verb == JOIN and not addressed:
            needed += destination.creating(rows, [rows])
        return self.spares(target, needed, now)

    def spares(self, target: TargetRow, calls: int, now: datetime) -> bool:
        """Whether so many calls may be made for a target now, without those that waiting leaves take."""
        self.hear(now)
        day = self._days.get(target.target.connection)
        same = sharing(self._days, day.account) if day else ()
        return self._has(target, calls + sum(sum(self._leaves.get(one, {}).values()) for one in same), now)

    def must_spare(self, target: TargetRow, people: int, now: datetime) -> None:
        """Do nothing if so many people can be looked up for a target now.

        Raises:
            BudgetSpent: not before the account's day is over, or other apps and waiting leaves would lack the calls.
        """
        destination = self._destinations.get(target.target.connection)
        if destination is not None and not self.spares(target, destination.look_ups(people), now):
            raise BudgetSpent(f"It was not read: {self.why(target.target.connection)}.")

    def _has(self, target: TargetRow, calls: int, now: datetime) -> bool:
        self.hear(now)
        room = self._room(target.target.connection, now)
        return room is None or calls <= room

    def leaving(self, target: TargetRow, leaves: int) -> None:
        """Note how many leaves wait at a target now."""
        destination = self._destinations.get(target.target.connection)
        if destination is not None:
            calls = destination.calls(target.target, {LEAVE: leaves}) if leaves else 0
            self._leaves.setdefault(target.target.connection, {})[target.id] = calls

    def _room(self, name: str, now: datetime) -> int | None:
        """How many calls a connection may spend; None: nobody knows. On a new day a whole day's, until it is told."""
        day = self._days.get(name)
        left = day.left_at(to_us(now)) if day else None
        destination = self._destinations.get(name)
        if day is None or left is None or destination is None:
            return None
        return max(0, left - day.kept(destination.reserve))

    # ------------------------------------------------------------ what waits

    def until(self, name: str, now: datetime) -> datetime | None:
        """When the present day of a connection ends; None: it is not known whose day that is."""
        self.hear(now)
        return goes_on_at(self._days.get(name), self._destinations[name].budget(), now)

    def why(self, name: str) -> str:
        """Why something waits, the same words all day."""
        day = self._days.get(name)
        goes_on = f"goes on after 00:00 {day.zone}" if day else "goes on when the account's day is over"
        return f"{because(self._destinations[name].reserve)}; {goes_on}"

    def put_off(self, name: str, until: datetime, now: datetime, *where: ColumnElement[bool]) -> bool:
        """Let these rows wait; return whether that is the first time today.

        The ledger says so of each row once, however many days it waits.
        """
        until_us, why, row = to_us(until), self.why(name), outbox.c
        said = {"at_us": literal(to_us(now)), "target": row.target, "row": row.id, "subject": row.subject}
        said |= {"person": row.person, "verb": row.verb, "what": literal("later")}
        said |= {"code": literal(CODE), "detail": literal(why)}
        with self._store.write() as connection:
            lines = select(*said.values()).where(*where, row.code != CODE)
            connection.execute(insert(ledger).from_select(list(said), lines))
            connection.execute(update(outbox).where(*where).values(next_us=until_us, code=CODE, detail=why))
        day = self._days.get(name)
        if day is None:
            return True
        self._days[name] = replace(day, noticed_us=until_us)
        return day.noticed_us != until_us
