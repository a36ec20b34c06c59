"""The part of ``leadup reconcile`` that reads what vendors hold: who is in an audience, and which values stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import click
from rich.markup import escape

from leadup.app import App, Tell
from leadup.cli.base import daemon_lives, err, now, out, table, who
from leadup.delivery.book import TargetRow, all_targets
from leadup.delivery.budgets import Budgets
from leadup.delivery.drift import Compared, What, compare, confirmed_people, repair
from leadup.delivery.held import Held, scratch
from leadup.delivery.values_there import compare_values
from leadup.errors import LeadupError
from leadup.identity.seal import redact
from leadup.kit import Inspectable, Readable
from leadup.outgoing import Use
from leadup.state.tables import outbox
from leadup.types import Json, to_us

_AGAIN: Final = "sent again, once the vendor knows them"
_DRIFT: Final[Mapping[Use, Mapping[What, tuple[str, str]]]] = {
    Use.AUDIENCE: {
        What.MISSING: ("confirmed, and not there any more", _AGAIN),
        What.MOVED: ("there by other identifiers, since the vendor merged its records", "noted by those"),
        What.STAYS: ("should not be there, and nothing is under way", "planned to leave"),
    },
    Use.PROPERTY: {
        What.CHANGED: ("not as they were written", "written again"),
        What.MISSING: ("of people who are not found there any more", _AGAIN),
        What.STAYS: ("cleared, and there again", "cleared again"),
    },
}
"""By use and drift: how it reads, and what a repair makes of it."""
_TOLD: Final = {
    Use.AUDIENCE: (What.THERE, What.BESIDES, What.MISSING, What.MOVED, What.LEAVING, What.STAYS, What.UNDER_WAY),
    Use.PROPERTY: (What.THERE, What.SHARED, What.THEIRS, What.MISSING, What.CHANGED, What.STAYS, What.UNDER_WAY),
}
"""By use, what rows are counted by."""


@dataclass(frozen=True, slots=True)
class Read:
    """An audience or a property that was read."""

    target: TargetRow
    held: Held
    compared: Compared

    @property
    def use(self) -> Use:
        """What it is."""
        return self.target.target.use

    @property
    def drifts(self) -> dict[What, int]:
        """How many rows are not as the book says."""
        return {what: count for what in _DRIFT[self.use] if (count := self.compared.rows[what])}

    def as_json(self, *, rows: bool) -> dict[str, Any]:
        """The form that is printed; ``rows``: with each drift, by the person's number."""
        counts = {str(what): self.compared.rows[what] for what in _TOLD[self.use]}
        if self.use is Use.AUDIENCE:
            told: dict[str, Any] = {"members": self.compared.members, **counts, "others": self.compared.others}
        else:
            told = {"records": self.compared.members, **counts}
        told["why_missing"] = dict(sorted(self.compared.why.items()))
        if rows:
            told["drifts"] = list(self._rows())
        return told

    def _rows(self) -> Iterator[dict[str, Json]]:
        for one in self.held.drifts():
            row: dict[str, Json] = {"person": one.person, "what": one.what, "code": one.code}
            if self.use is Use.PROPERTY:
                row |= {"wrote": json.loads(one.wrote), "there": [_without_addresses(v) for v in json.loads(one.there)]}
            yield row


def _without_addresses(told: Any) -> Json:
    """What somebody wrote by hand may be anything."""
    if isinstance(told, list):
        return [_without_addresses(one) for one in told]
    return redact(told) if isinstance(told, str) else told


def read_there(
    app: App, targets: Sequence[TargetRow], stack: ExitStack, tell: Tell
) -> tuple[dict[str, Read], dict[str, str]]:
    """Read what vendors show of these targets; by target, what was read, and why others were not.

    What was read is there until ``stack`` is closed. Calls that an account's day has no room for are not made.
    """
    found, notes = dict[str, Read](), dict[str, str]()
    at, budgets = now(), Budgets(app.store, app.destinations)
    with app.store.read() as connection:
        everything = all_targets(connection)
    budgets.open(everything, at, outbox.c.state == "pending")
    for some in _at_once(app, targets):
        keys = [target.target.key for target in some]
        tell(f"reading {', '.join(keys)}", None)
        held = {target.id: stack.enter_context(scratch()) for target in some}
        try:
            compared = _compare(app, some, held, budgets, at)
        except LeadupError as error:
            notes |= dict.fromkeys(keys, str(error))
        else:
            found |= {one.target.key: Read(one, held[one.id], compared[one.id]) for one in some}
        budgets.keep(at)
    return found, notes


def _at_once(app: App, targets: Sequence[TargetRow]) -> Iterator[list[TargetRow]]:
    """Yield what is read together: an audience alone, all properties of a connection."""
    properties: dict[str, list[TargetRow]] = {}
    for target in targets:
        destination, use = app.destinations.get(target.target.connection), target.target.use
        if target.remote_id is None:
            continue
        if use is Use.AUDIENCE and isinstance(destination, Readable):
            yield [target]
        if use is Use.PROPERTY and isinstance(destination, Inspectable):
            properties.setdefault(target.target.connection, []).append(target)
    yield from properties.values()


def _compare(
    app: App, some: Sequence[TargetRow], held: Mapping[int, Held], budgets: Budgets, at: datetime
) -> dict[int, Compared]:
    [first, *_] = some
    destination: Any = app.destinations[first.target.connection]
    budgets.must_spare(first, confirmed_people(app.store, some), at)
    if first.target.use is Use.AUDIENCE:
        return {first.id: compare(app.store, app.vault, destination, first, held[first.id])}
    return compare_values(app.store, app.vault, destination, some, held)


def put_right(app: App, found: Sequence[Read], *, yes: bool) -> dict[str, dict[str, int]]:
    """Say what a repair does, and do it unless somebody says no; return by target how many rows it was of."""
    if not any(one.drifts for one in found):
        err.print("There is nothing to repair.")
        return {}
    for one in found:
        for what, count in one.drifts.items():
            reads, repaired = _DRIFT[one.use][what]
            err.print(f"{one.target.target.key}: {count} {reads}: will be {repaired}.", markup=False)
    err.print("What others put there is left alone. What is sent goes by plan and guards, as always.")
    if not yes:
        click.confirm("Repair?", abort=True, err=True)
    done = {}
    for one in found:
        with app.store.write() as connection:
            counts = repair(connection, one.target, one.held, who(), to_us(now()))
        done[one.target.target.key] = {str(what): count for what, count in sorted(counts.items())}
    err.print("The daemon sends it." if daemon_lives(app) else "`leadup sync` sends it.")
    return done


def show(use: Use, told: Mapping[str, Any], connection: str, repaired: Mapping[str, int] | None = None) -> None:
    """Print what is there, or was before it was repaired."""
    out.print(f"  there now: {_counts(use, told)}\n", markup=False)
    rows = list(_drift_rows(use, told))
    if repaired:
        done = ", ".join(f"{count} {what}" for what, count in repaired.items())
        out.print(f"  repaired: {done}\n", markup=False)
    elif rows:
        table("  not as confirmed", ("#rows", "what", "why", "a repair"), rows)
        out.print(f"  `leadup reconcile {connection} --repair` puts this right\n", markup=False)
    if not told.get("drifts"):
        return
    if use is Use.AUDIENCE:
        table(
            "", ("person", "what", "why"), [(f"p{one['person']}", one["what"], one["code"]) for one in told["drifts"]]
        )
        return
    shown = [
        (f"p{d['person']}", d["what"], d["code"], _value(d["wrote"]), " | ".join(map(_value, d["there"])))
        for d in told["drifts"]
    ]
    table("", ("person", "what", "why", "written", "there now"), shown)


_COUNTS: Final = {
    Use.AUDIENCE: {
        "moved": "ours by other identifiers",
        "besides": "ours to be, there before us",
        "leaving": "on their way out",
        "others": "others'",
    },
    Use.PROPERTY: {
        "shared": "of another person who shares the record",
        "theirs": "others' where ours was cleared",
        "under_way": "on their way",
    },
}


def _counts(use: Use, told: Mapping[str, Any]) -> str:
    if use is Use.AUDIENCE:
        whole = f"{told['members']} members; people: {told['there']} ours"
    else:
        whole = f"{told['records']} records; values: {told['there']} as written"
    return ", ".join([whole, *(f"{told[name]} {words}" for name, words in _COUNTS[use].items() if told[name])])


def _value(told: Json) -> str:
    if told is None:
        return "nothing"
    return escape(";".join(map(str, told)) if isinstance(told, list) else str(told))


def _drift_rows(use: Use, told: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for what, (reads, repaired) in _DRIFT[use].items():
        whys = told["why_missing"] if what is What.MISSING else {"": told[str(what)]}
        for why, count in whys.items():
            if count:
                yield count, reads, why.replace("_", " "), repaired
