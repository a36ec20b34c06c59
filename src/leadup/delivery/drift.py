"""What a vendor's audience holds against what was confirmed there, and how the book is brought in line with it.

Nothing is sent from here: a repair says in the book what is true, and whatever then differs from what should stand goes
the way of all changes, by plan, guards and outbox. Whom somebody else put there is counted, and left alone.

Values of properties are compared by :mod:`leadup.delivery.values_there`, and repaired here as well.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from sqlalchemy import Connection, bindparam, exists, func, select, text, update

from leadup.delivery.book import LIVE, TargetRow, standings_of
from leadup.delivery.held import Drift, Held
from leadup.delivery.ledger import Line, write_ledger
from leadup.delivery.remote import Pair, hold, pairs, stored
from leadup.identity import people
from leadup.identity.vault import Vault
from leadup.kit import Destination, Readable
from leadup.outgoing import Address, RemoteTarget, Use
from leadup.plan import Standing
from leadup.state import Store
from leadup.state.store import chunks
from leadup.state.tables import ledger, outbox, standings

_AT_ONCE: Final = 1_000
TAKEN_OUT: Final = "taken_out"
"""Why a member is missing whom the vendor knows."""


class What(enum.StrEnum):
    """What an audience, or the records of a person, say of one row of the book."""

    THERE = "there"
    """Ours, and there."""
    BESIDES = "besides"
    """Should be there and is, but was there before us: not ours to remove."""
    MISSING = "missing"
    """Confirmed, and not there: somebody took him out, or the vendor knows him no more."""
    CHANGED = "changed"
    """Of a value: another one stands there, or none."""
    MOVED = "moved"
    """There, by other identifiers than those that were sent: the vendor has merged two of its records."""
    LEAVING = "leaving"
    """Ours, there, and on his way out."""
    STAYS = "stays"
    """Ours and there, should not be, and nothing is under way: his leave was refused. Of a value: it came back."""
    SHARED = "shared"
    """Of a value: where it should stand, that of another person stands who shares the record."""
    THEIRS = "theirs"
    """Of a value: ours was cleared, and somebody else has written another one."""
    UNDER_WAY = "under_way"
    """Being sent, or changed while it was read, or the vendor did not say: nothing can be said."""
    OUT = "out"
    """Should not be there, and is not."""


DRIFTS: Final = frozenset({What.MISSING, What.CHANGED, What.MOVED, What.STAYS})
"""What a repair is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the book says of one row that may be in an audience."""

    wanted: bool
    standing: Standing
    sent: bool
    """Some identifier was sent, and brought somebody there."""
    planned: bool
    """A change of it is planned or on its way, or will be planned."""
    busy: bool
    """It is being sent, or was while the audience was read."""


def verdict(known: Known, *, held: bool, found: bool) -> What:
    """Say what an audience tells of a row. Pure.

    Args:
        known: what the book says.
        held: whether the audience has one of the identifiers that were sent.
        found: whether it has one by which the person is found now; matters only where :func:`in_doubt`.
    """
    if held and known.wanted:
        return What.THERE
    if held:
        return What.LEAVING if known.planned or known.busy or known.standing is Standing.LEAVING else What.STAYS
    if not in_doubt(known, held=held):
        return What.UNDER_WAY if known.wanted else What.OUT
    if found:
        return What.MOVED if known.sent else What.BESIDES
    if known.wanted:
        return What.UNDER_WAY if known.planned else What.MISSING
    return What.OUT


def in_doubt(known: Known, *, held: bool) -> bool:
    """Whether it has to be looked where the person is found now: he was confirmed, and is not there as he was sent."""
    confirmed = known.standing is Standing.PRESENT and (known.wanted or known.sent)
    return confirmed and not (held or known.busy)


# ---------------------------------------------------------------- comparing


@dataclass(slots=True)
class Compared:
    """What a vendor holds against the book, in numbers."""

    members: int = 0
    """Who is in an audience, by the vendor's identifiers, or the records that were read: a person may be several."""
    others: int = 0
    """Of the members, whom no row of the book is about: they are left alone."""
    rows: Counter[What] = field(default_factory=Counter)
    """Rows of the book, by what is said of them there."""
    why: Counter[str] = field(default_factory=Counter)
    """Who is missing, by reason."""


class Reading(Destination, Readable, Protocol):
    """A destination that tells who is in an audience."""


def compare(store: Store, vault: Vault, destination: Reading, target: TargetRow, held: Held) -> Compared:
    """Read a whole audience and compare it with the book; the drifts are noted in ``held``.

    Reads the book in short looks, so that nobody who works on it waits, and changes nothing.

    Raises:
        TryLater, NeedsHuman, Refused: what the destination raised.
    """
    with store.read() as connection:
        mark = last_line(connection)
    remote = RemoteTarget(id=str(target.remote_id), name=target.target.remote_name)
    held.add((member.kind, member.value) for member in destination.members(remote))
    changed = {subject for _, subject in changed_since(store, [target], mark)}
    told = Compared()
    for rows in _book(store, target):
        there = held.among({pair for row in rows for pair in pairs(row["remote"])})
        known = {row["subject"]: _known(row, changed) for row in rows}
        here = {row["subject"]: not there.isdisjoint(pairs(row["remote"])) for row in rows}
        asked = [row["person"] for row in rows if in_doubt(known[row["subject"]], held=here[row["subject"]])]
        now, why, unsure = _look_for(store, vault, destination, target, asked)
        found = {pair for own in now.values() for pair in own}
        found &= held.among(found)
        drifts = []
        for row in rows:
            own = now.get(row["person"], set()) & found
            one = replace(known[row["subject"]], busy=True) if row["person"] in unsure else known[row["subject"]]
            what = verdict(one, held=here[row["subject"]], found=bool(own))
            told.rows[what] += 1
            if what in DRIFTS:
                code = why.get(row["person"], TAKEN_OUT) if what is What.MISSING else ""
                told.why.update([code] if code else [])
                drifts.append(Drift.of(row, what, code, sorted(own)))
        held.note(drifts)
    told.members, told.others = held.size()
    return told


def confirmed_people(store: Store, targets: Sequence[TargetRow]) -> int:
    """Count the people of whom something stands at these targets, or may."""
    there = (standings.c.target.in_([target.id for target in targets]), standings.c.standing != Standing.ABSENT)
    with store.read() as connection:
        return connection.scalar(select(func.count(standings.c.person.distinct())).where(*there)) or 0


def last_line(connection: Connection) -> int:
    """The number of the ledger's last line."""
    return connection.scalar(select(func.max(ledger.c.id))) or 0


def changed_since(store: Store, targets: Sequence[TargetRow], mark: int) -> set[tuple[int, str]]:
    """Targets and subjects to which something happened after this line of the ledger."""
    query = select(ledger.c.target, ledger.c.subject).distinct().where(ledger.c.id > mark)
    with store.read() as connection:
        found = connection.execute(query.where(ledger.c.target.in_([target.id for target in targets])))
        return {(target, subject) for target, subject in found}


_ROWS: Final = outbox.alias("rows")
_LIVE_ROW: Final = (
    _ROWS.c.target == standings.c.target,
    _ROWS.c.subject == standings.c.subject,
    text(f"rows.state IN {LIVE}"),
)
IS_LIVE: Final = exists().where(*_LIVE_ROW)
"""Whether a change of a row of ``standings`` is planned or on its way."""
_READ: Final = (
    *(standings.c[name] for name in ("subject", "person", "standing", "open", "remote", "number", "sent")),
    standings.c.want.is_not(None).label("wanted"),
    IS_LIVE.label("live"),
    exists().where(*_LIVE_ROW, _ROWS.c.state == "sending").label("sending"),
)


def _book(store: Store, target: TargetRow) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of those who are, or may be, in an audience."""
    after = ""
    while True:
        where = (standings.c.target == target.id, standings.c.subject > after, standings.c.standing != Standing.ABSENT)
        query = select(*_READ).where(*where).order_by(standings.c.subject).limit(_AT_ONCE)
        with store.read() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        if not rows:
            return
        yield rows
        after = rows[-1]["subject"]


def _known(row: Mapping[str, Any], changed: Collection[str]) -> Known:
    return Known(
        wanted=bool(row["wanted"]),
        standing=Standing(row["standing"]),
        sent=bool(row["remote"]),
        planned=bool(row["open"] or row["live"]),
        busy=bool(row["sending"] or row["subject"] in changed),
    )


def _look_for(
    store: Store, vault: Vault, destination: Destination, target: TargetRow, persons: Sequence[int]
) -> tuple[dict[int, set[Pair]], dict[int, str], set[int]]:
    """Ask the vendor where these persons are found now.

    Returns:
        By person, the identifiers; why others are not found; of whom it did not say.
    """
    if not persons:
        return {}, {}, set()
    with store.read() as connection:
        contacts = people.contacts(connection, sorted(set(persons)), vault)
    known = sorted(contacts)
    answers = destination.address(target.target, [contacts[person] for person in known])
    found, why, unsure = dict[int, set[Pair]](), dict[int, str](), set[int]()
    for person, answer in zip(known, answers, strict=True):
        place = answer if isinstance(answer, Address) else answer.at
        if place is not None:
            found[person] = {(one.kind, one.value) for one in place.ids}
        if not isinstance(answer, Address):
            why[person] = answer.code
            unsure |= {person} if answer.unsure else set()
    return found, why, unsure


# ---------------------------------------------------------------- repairing

_SAID: Final[Mapping[tuple[Use, What], str]] = {
    (Use.AUDIENCE, What.MISSING): "is not in the audience any more",
    (Use.AUDIENCE, What.MOVED): "is there by other identifiers: the vendor merged its records",
    (Use.AUDIENCE, What.STAYS): "is still in the audience, and should not be",
    (Use.PROPERTY, What.MISSING): "nobody is found there any more whom it was written to",
    (Use.PROPERTY, What.CHANGED): "what stands there is not what was written",
    (Use.PROPERTY, What.STAYS): "was cleared, and stands there again",
}


def repair(connection: Connection, target: TargetRow, held: Held, who: str, now_us: int) -> Counter[What]:
    """Say in the book what the vendor holds, as far as nothing has happened to a row since; return how many rows.

    Who is missing counts as never sent, so that the plan sends him if he still should be there. Who stays is planned to
    leave again. Of who has moved the new identifiers are noted, which a later leave goes by. A value is sent once more:
    nothing surely stands any more, and something of ours may. Needs the write lock.
    """
    done: Counter[What] = Counter()
    for part in chunks(held.drifts(), _AT_ONCE):
        rows = standings_of(connection, target.id, [one.subject for one in part])
        going = _going(connection, target, [one.subject for one in part])
        changed, identifiers, lines = [], {}, []
        for one in part:
            row, what = rows.get(one.subject), What(one.what)
            if row is None or (row["number"], row["sent"]) != (one.number, one.sent) or one.subject in going:
                continue
            before = pairs(row["remote"])
            row |= _VALUE if target.target.use is Use.PROPERTY else _repaired(row, what, one.identifiers)
            changed.append({"t": target.id, "s": one.subject, **{name: row[name] for name in _REPAIRED}})
            identifiers[one.subject] = (before, pairs(row["remote"]))
            detail = f"{_SAID[target.target.use, what]}; repaired by {who}"
            lines.append(Line(None, one.subject, row["person"], "reconcile", str(what), one.code, detail))
            done[what] += 1
        if changed:
            connection.execute(_REPAIR, changed)
        hold(connection, target.id, identifiers)
        write_ledger(connection, now_us, target.id, lines)
    return done


_REPAIRED: Final = ("standing", "stands", "remote", "refresh_us", "open")
_REPAIR: Final = (
    update(standings)
    .where(standings.c.target == bindparam("t"), standings.c.subject == bindparam("s"))
    .values({name: bindparam(name) for name in _REPAIRED})
)


_VALUE: Final = {"standing": Standing.POSSIBLE, "stands": None, "open": True}
"""A record may hold our value though another one of hers does not, and one that is gone may come back with it."""


def _repaired(row: Mapping[str, Any], what: What, now: Collection[Pair]) -> dict[str, Any]:
    match what:
        case What.MISSING:
            gone = {"standing": Standing.ABSENT, "stands": None, "remote": None, "refresh_us": None}
            return gone | {"open": row["want"] is not None}
        case What.MOVED:
            return {"remote": stored(now), "open": row["open"] or row["want"] is None}
        case _:
            return {"open": True}


def _going(connection: Connection, target: TargetRow, subjects: Sequence[str]) -> set[str]:
    """Those of whom a row is planned or on its way."""
    live = (outbox.c.target == target.id, outbox.c.subject.in_(subjects), text(f"outbox.state IN {LIVE}"))
    return set(connection.scalars(select(outbox.c.subject).where(*live)))
