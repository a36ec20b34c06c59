"""The part of ``leadup reconcile`` that reads a vendor's audiences: who is there, and how the book is put right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import click

from leadup.app import App, Tell
from leadup.cli.base import daemon_lives, err, now, out, table, who
from leadup.delivery.book import TargetRow
from leadup.delivery.drift import Compared, What, compare, repair
from leadup.delivery.held import Held, scratch
from leadup.errors import LeadupError
from leadup.kit import Readable
from leadup.outgoing import Use
from leadup.types import to_us

_DRIFT: Final = {
    What.MISSING: ("confirmed, and not there any more", "sent again, once the vendor knows them"),
    What.MOVED: ("there by other identifiers, since the vendor merged its records", "noted by those"),
    What.STAYS: ("should not be there, and nothing is under way", "planned to leave"),
}
"""By drift: how it reads, and what a repair makes of it."""


@dataclass(frozen=True, slots=True)
class Read:
    """An audience that was read."""

    target: TargetRow
    held: Held
    compared: Compared

    @property
    def drifts(self) -> dict[What, int]:
        """How many rows are not as the book says."""
        return {what: count for what in _DRIFT if (count := self.compared.rows[what])}

    def as_json(self, *, rows: bool) -> dict[str, Any]:
        """The form that is printed; ``rows``: with each drift, by the person's number."""
        counts = {str(what): self.compared.rows[what] for what in What if what is not What.OUT}
        told: dict[str, Any] = {"members": self.compared.members, **counts, "others": self.compared.others}
        told["why_missing"] = dict(sorted(self.compared.why.items()))
        if rows:
            told["drifts"] = [{"person": one.person, "what": one.what, "code": one.code} for one in self.held.drifts()]
        return told


def read_audiences(
    app: App, targets: Sequence[TargetRow], stack: ExitStack, tell: Tell
) -> tuple[dict[str, Read], dict[str, str]]:
    """Read those audiences that their vendors show; by target, what was read, and why others were not.

    What was read is there until ``stack`` is closed.
    """
    found, notes = dict[str, Read](), dict[str, str]()
    for target in targets:
        destination = app.destinations.get(target.target.connection)
        if target.target.use is not Use.AUDIENCE or target.remote_id is None or not isinstance(destination, Readable):
            continue
        tell(f"reading {target.target.key}", None)
        held = stack.enter_context(scratch())
        try:
            found[target.target.key] = Read(target, held, compare(app.store, app.vault, destination, target, held))
        except LeadupError as error:
            notes[target.target.key] = str(error)
    return found, notes


def put_right(app: App, found: Sequence[Read], *, yes: bool) -> dict[str, dict[str, int]]:
    """Say what a repair does, and do it unless somebody says no; return by target how many rows it was of."""
    if not any(one.drifts for one in found):
        err.print("There is nothing to repair.")
        return {}
    for one in found:
        for what, count in one.drifts.items():
            reads, repaired = _DRIFT[what]
            err.print(f"{one.target.target.key}: {count} {reads}: will be {repaired}.", markup=False)
    err.print("Whom others put there is left alone. What is sent goes by plan and guards, as always.")
    if not yes:
        click.confirm("Repair?", abort=True, err=True)
    done = {}
    for one in found:
        with app.store.write() as connection:
            counts = repair(connection, one.target, one.held, who(), to_us(now()))
        done[one.target.target.key] = {str(what): count for what, count in sorted(counts.items())}
    err.print("The daemon sends it." if daemon_lives(app) else "`leadup sync` sends it.")
    return done


def show(told: Mapping[str, Any], connection: str, repaired: Mapping[str, int] | None = None) -> None:
    """Print what an audience holds, or held before it was repaired."""
    parts = [f"{told['there']} ours"]
    named = {
        "moved": "ours by other identifiers",
        "besides": "ours to be, there before us",
        "leaving": "on their way out",
        "others": "others'",
    }
    parts += [f"{told[name]} {words}" for name, words in named.items() if told[name]]
    out.print(f"  there now: {told['members']} members; people: {', '.join(parts)}\n", markup=False)
    rows = list(_drift_rows(told))
    if repaired:
        done = ", ".join(f"{count} {what}" for what, count in repaired.items())
        out.print(f"  repaired: {done}\n", markup=False)
    elif rows:
        table("  not as confirmed", ("#rows", "what", "why", "a repair"), rows)
        out.print(f"  `leadup reconcile {connection} --repair` puts this right\n", markup=False)
    if told.get("drifts"):
        shown = [(f"p{one['person']}", one["what"], one["code"]) for one in told["drifts"]]
        table("", ("person", "what", "why"), shown)


def _drift_rows(told: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for what, (reads, repaired) in _DRIFT.items():
        whys = told["why_missing"] if what is What.MISSING else {"": told[str(what)]}
        for why, count in whys.items():
            if count:
                yield count, reads, why.replace("_", " "), repaired
