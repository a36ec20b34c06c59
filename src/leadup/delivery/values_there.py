"""Which values of properties stand at a vendor's records, against those that were confirmed there.

A person's records are those by which he is found now: of merged ones the one that is left, and also one that was made
later. Persons who share a record each write to it, and the last of them counts: it is as it should be for all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import or_, select

from leadup.delivery.book import TargetRow
from leadup.delivery.changes import ever_sent
from leadup.delivery.drift import DRIFTS, IS_LIVE, Compared, What, changed_since, last_line
from leadup.delivery.held import Drift, Held
from leadup.identity import people
from leadup.identity.vault import Vault
from leadup.kit import Destination, Inspectable
from leadup.outgoing import Contact, Records, RemoteId, Unreachable, ValueKind
from leadup.plan import Standing
from leadup.state import Store
from leadup.state.tables import standings
from leadup.types import Json

_AT_ONCE: Final = 1_000
_NOBODY: Final = Unreachable(code="nobody", detail="the person is no longer known")


class Inspecting(Destination, Inspectable, Protocol):
    """A destination that tells which values stand there."""


def verdict(kind: ValueKind, told: Json, there: Json, ours: Collection[Json]) -> What:
    """Say what the value that stands at a record tells of the one that was confirmed. Pure.

    Args:
        kind: what the values of the property are.
        told: the value that should stand there; None: ours was cleared.
        there: the value that does; None: none.
        ours: all values that were ever sent for the person, where ours was cleared.
    """
    if same(kind, told, there):
        return What.OUT if told is None else What.THERE
    if told is not None:
        return What.CHANGED
    return What.STAYS if any(same(kind, one, there) or _among(one, there) for one in ours) else What.THEIRS


def _among(ours: Json, there: Json) -> bool:
    """Whether one of several choices of ours is among those that stand there."""
    return isinstance(ours, list) and isinstance(there, list) and any(one in there for one in ours)


def same(kind: ValueKind, one: Json, other: Json) -> bool:
    """Whether two values are one; choices have no order."""
    if kind is ValueKind.CHOICES and isinstance(one, list) and isinstance(other, list):
        return sorted(map(str, one)) == sorted(map(str, other))
    return one == other


def compare_values(
    store: Store, vault: Vault, destination: Inspecting, targets: Sequence[TargetRow], held: Mapping[int, Held]
) -> dict[int, Compared]:
    """Compare what stands of a connection's properties with the book, person by person, in one reading of all of them.

    Reads in short looks, so that nobody who works on the book waits, and changes nothing.

    Args:
        store: the state.
        vault: opens the addresses by which people are looked for.
        destination: where the properties are.
        targets: the properties, all of this destination.
        held: by target, where the drifts are noted.

    Returns:
        By target, the numbers.

    Raises:
        TryLater, NeedsHuman, Refused: what the destination raised.
    """
    told = {target.id: Compared() for target in targets}
    for part in _book(store, vault, targets):
        asked = sorted({row["person"] for row in part.rows if not row["planned"]} & part.contacts.keys())
        whom = [part.contacts[person] for person in asked]
        answers = destination.values([target.target for target in targets], whom) if asked else ()
        found = dict(zip(asked, answers, strict=True))
        changed = changed_since(store, targets, part.mark)
        for target in targets:
            rows = [row for row in part.rows if row["target"] == target.id]
            _judge(target, rows, found, part.sent[target.id], changed, told[target.id], held[target.id])
    for name, one in told.items():
        for what in held[name].excuse():
            one.rows[What(what)] -= 1
            one.rows[What.SHARED] += 1
        one.members, _ = held[name].size()
    return told


# ---------------------------------------------------------------- the book


@dataclass(frozen=True, slots=True)
class _Part:
    """What the book says of some persons, at one moment."""

    rows: Sequence[Mapping[str, Any]]
    contacts: Mapping[int, Contact]
    sent: Mapping[int, Mapping[int, Sequence[Json]]]
    """By target and person, the values that were ever sent of what is cleared now."""
    mark: int
    """The ledger's last line at that moment."""


_BY_PERSON: Final = (standings, "INDEXED BY standings_person", "sqlite")
"""SQLite would sort everybody anew for each part."""
_COLUMNS: Final = ("target", "subject", "person", "want", "stands", "standing", "number", "sent")


def _book(store: Store, vault: Vault, targets: Sequence[TargetRow]) -> Iterator[_Part]:
    """Yield the rows of those for whom something of ours stands, or may, and of whom more may be sent."""
    of = standings.c.target.in_([target.id for target in targets])
    confirmed = (of, standings.c.standing != Standing.ABSENT, standings.c.want.is_not(None))
    columns = (*(standings.c[name] for name in _COLUMNS), or_(standings.c.open, IS_LIVE).label("planned"))
    after = -1
    while True:
        persons = select(standings.c.person).with_hint(*_BY_PERSON).where(standings.c.person > after, *confirmed)
        with store.read() as connection:
            some = list(connection.scalars(persons.distinct().order_by(standings.c.person).limit(_AT_ONCE)))
            if not some:
                return
            mine = (standings.c.person.between(some[0], some[-1]), *confirmed)
            query = select(*columns).with_hint(*_BY_PERSON).where(*mine).order_by(standings.c.person)
            rows = [dict(row) for row in connection.execute(query).mappings()]
            sent = {target.id: ever_sent(connection, target, _cleared(target, rows)) for target in targets}
            yielded = _Part(rows, people.contacts(connection, some, vault), sent, last_line(connection))
        yield yielded
        after = some[-1]


def _cleared(target: TargetRow, rows: Sequence[Mapping[str, Any]]) -> set[int]:
    return {row["person"] for row in rows if row["target"] == target.id and _told(row) is None}


def _told(row: Mapping[str, Any]) -> Json:
    """The value that was confirmed; where nothing surely stands, the one that should."""
    value: Json = (row["stands"] if row["standing"] == Standing.PRESENT and row["stands"] else row["want"])["v"]
    return value


# ---------------------------------------------------------------- comparing


def _judge(
    target: TargetRow,
    rows: Sequence[Mapping[str, Any]],
    found: Mapping[int, Records | Unreachable],
    sent: Mapping[int, Sequence[Json]],
    changed: Collection[tuple[int, str]],
    compared: Compared,
    held: Held,
) -> None:
    """Count these rows of a target by what is said of them there, and note the drifts."""
    drifts, right = [], set[RemoteId]()
    for row in rows:
        told, answer, code = _told(row), found.get(row["person"], _NOBODY), ""
        unsure = isinstance(answer, Unreachable) and answer.unsure
        if row["planned"] or unsure or (target.id, row["subject"]) in changed:
            compared.rows[What.UNDER_WAY] += 1
            continue
        if isinstance(answer, Unreachable):
            what, code, wrong = What.OUT if told is None else What.MISSING, answer.code, {}
        else:
            ours = sent.get(row["person"], ())
            there = {record: values.get(target.target.name) for record, values in sorted(answer.items())}
            said = {one: verdict(target.terms.values, told, value, ours) for one, value in there.items()}
            what = min(said.values(), key=_WORST.index, default=What.MISSING)
            wrong = {record: value for record, value in there.items() if said[record] is what}
            held.add((record.kind, record.value) for record in there)
            right |= {record for record, one in said.items() if one is What.THERE}
        compared.rows[what] += 1
        if what in DRIFTS:
            compared.why.update([code] if code else [])
            places = [(record.kind, record.value) for record in wrong]
            drifts.append(Drift.of(row, what, code, places, told, list(wrong.values())))
    held.among({(record.kind, record.value) for record in right})
    held.note(drifts)


_WORST: Final = (What.CHANGED, What.STAYS, What.THEIRS, What.THERE, What.OUT)
