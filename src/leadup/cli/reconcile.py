"""``leadup reconcile``: where every row of a destination is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Any

import click

from leadup.app import App
from leadup.cli.base import app_of, emit, json_option, now, out, progress, table
from leadup.cli.drift import Read, put_right, read_there, show
from leadup.delivery.book import TargetRow, all_targets
from leadup.errors import LeadupError, SettingsError
from leadup.insights.account import account, values
from leadup.insights.words import instant
from leadup.kit import Counting, Destination, Sized
from leadup.outgoing import Counted, RemoteTarget, Use
from leadup.rules.suggest import did_you_mean
from leadup.types import to_us

_LAST_DAY = timedelta(days=1)


@click.command(
    epilog="Examples: leadup reconcile google_ads | leadup reconcile google_ads --days 30 --json | "
    "leadup reconcile google_ads --action interest --losses | leadup reconcile hubspot --repair"
)
@click.argument("connection", metavar="CONNECTION")
@click.option("--days", type=click.IntRange(1, 400), default=7, show_default=True, help="Conversions of so many days.")
@click.option("--action", metavar="NAME", help="Only this conversion.")
@click.option("--audience", metavar="NAME", help="Only this audience.")
@click.option("--property", "prop", metavar="NAME", help="Only this property.")
@click.option("--losses", is_flag=True, help="List the rows that did not arrive or are not there: person, reason.")
@click.option("--offline", is_flag=True, help="Do not ask the vendor what it has counted, and what it holds.")
@click.option("--repair", "repairs", is_flag=True, help="Put right what the vendor does not hold as it was confirmed.")
@click.option("--yes", is_flag=True, help="With --repair: do not ask.")
@json_option
@click.pass_context
def reconcile(
    ctx: click.Context,
    connection: str,
    days: int,
    action: str | None,
    audience: str | None,
    prop: str | None,
    losses: bool,
    offline: bool,
    repairs: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Show where every row of a destination is: judged, sent, accepted, processed, counted; and why others are not.

    CONNECTION is the name of a connection, or a type of connections (google_ads). Conversions are shown by the day on
    which they happened, and days begin at midnight in UTC. An audience is shown as it is now. A row is at one place
    only, so that each stage is the next one and what was lost before it.

    Where a vendor shows who is in an audience, it is read and compared with what was confirmed: who is missing, who is
    there by other identifiers, whom others put there. So are the values of properties: which somebody changed, and
    whose record is gone. --repair opens those rows again, and the plan sends them.
    """
    app = app_of(ctx)
    if repairs and offline:
        raise click.UsageError("--repair has to ask the vendor; leave out --offline.")
    names = connections(app, connection)
    until = _midnight(now()) + _LAST_DAY
    since = until - timedelta(days=days)
    with app.store.read() as book:
        targets = _chosen(
            all_targets(book), names, {Use.CONVERSION: action, Use.AUDIENCE: audience, Use.PROPERTY: prop}
        )
        found = {
            t.target.key: values(book, t)
            if t.target.use is Use.PROPERTY
            else account(book, t, to_us(since), to_us(until), losses=losses)
            for t in targets
        }
    with ExitStack() as stack:
        read: dict[str, Read] = {}
        notes: dict[str, str] = {}
        if not offline:
            with progress(not as_json) as tell:
                read, notes = read_there(app, targets, stack, tell)
        for key, one in read.items():
            found[key]["holds"] = one.as_json(rows=losses)
        if repairs:
            repaired = put_right(app, list(read.values()), yes=yes)
            for key in read:
                found[key]["repaired"] = repaired.get(key, {})
    for target in targets:
        if target.target.use is Use.PROPERTY:
            found[target.target.key]["note"] = notes.get(target.target.key, "")
            continue
        if target.target.key in read:
            counted: dict[str, Any] = {"total": read[target.target.key].compared.members, "days": None, "note": ""}
        elif target.target.key in notes:
            counted = {"total": None, "days": None, "note": notes[target.target.key]}
        else:
            counted = _counted(app, target, since.date(), (until - _LAST_DAY).date(), offline=offline)
        found[target.target.key]["counted"] = counted
        for day in found[target.target.key].get("days", ()):
            day["counted"] = (counted["days"] or {}).get(day["day"], 0) if counted["days"] is not None else None
    answer = {
        "since": instant(to_us(since)),
        "until": instant(to_us(until)),
        "conversions": [found[t.target.key] for t in targets if t.target.use is Use.CONVERSION],
        "audiences": [found[t.target.key] for t in targets if t.target.use is Use.AUDIENCE],
        "properties": [found[t.target.key] for t in targets if t.target.use is Use.PROPERTY],
    }
    if as_json:
        emit(answer)
    else:
        _show(answer)


def connections(app: App, name: str) -> list[str]:
    """Return the connections of this name or type.

    Raises:
        SettingsError: there is none.
    """
    known = app.settings.connections
    found = [one for one, c in known.items() if name in (one, c.connector.name)]
    if not found:
        hint = did_you_mean(name, known)
        raise SettingsError(
            f"There is no connection {name!r}{f'; {hint}' if hint else '.'}\n  There are: {', '.join(known) or 'none'}."
        )
    return found


def _chosen(targets: Sequence[TargetRow], names: Sequence[str], asked: Mapping[Use, str | None]) -> list[TargetRow]:
    mine = [t for t in targets if t.target.connection in names]
    if not any(asked.values()):
        return mine
    for use, name in asked.items():
        there = [t.target.name for t in mine if t.target.use is use]
        if name is not None and name not in there:
            raise LeadupError(
                f"No {use} {name!r} is sent to {', '.join(names)}.\n  There are: {', '.join(there) or 'none'}."
            )
    return [t for t in mine if t.target.name == asked[t.target.use]]


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _counted(app: App, target: TargetRow, since: date, until: date, *, offline: bool) -> dict[str, Any]:
    """What the vendor counts; where it does not say, why."""
    unknown: dict[str, Any] = {"total": None, "days": None}
    if offline or target.remote_id is None:
        return {**unknown, "note": "not asked" if offline else "nothing was ever sent there"}
    destination = app.destinations.get(target.target.connection)
    if target.target.use is Use.AUDIENCE:
        return {**unknown, **_size(destination, target, target.remote_id)}
    if not isinstance(destination, Counting):
        return {**unknown, "note": "this vendor does not tell what it counts"}
    try:
        said: Counted | None = destination.counted(target.target, target.remote_id, since, until)
    except LeadupError as error:
        return {**unknown, "note": str(error)}
    if said is None:
        return {**unknown, "note": "this vendor does not tell what it counts there"}
    return {"total": said.total, "days": dict(said.days), "note": said.note}


def _size(destination: Destination | None, target: TargetRow, remote_id: str) -> dict[str, Any]:
    """How big an audience is by the vendor's account: on the network where it is biggest."""
    if not isinstance(destination, Sized):
        return {"note": "this vendor does not tell how big its audiences are"}
    try:
        said = destination.size(RemoteTarget(id=remote_id, name=target.target.remote_name))
    except LeadupError as error:
        return {"note": str(error)}
    if not said.members:
        return {"note": "the vendor does not say how big it is (Google says it of no small list)"}
    return {"total": max(said.members.values()), "note": "rounded by the vendor, and late by hours"}


# ---------------------------------------------------------------- to read


def _show(answer: Mapping[str, Any]) -> None:
    out.print(f"from {answer['since']} to {answer['until']}; days in UTC\n")
    if not any(answer[use] for use in ("conversions", "audiences", "properties")):
        out.print("Nothing is sent there: no rule names it, or none was live yet. `leadup sync` sends what is due.")
    for one in answer["conversions"]:
        stages = list(one["stages"])
        days = [(d["day"], *d["stages"].values(), _number(d["counted"])) for d in one["days"]]
        rows = [*days, ("together", *one["stages"].values(), _number(one["counted"]["total"]))]
        table(_title(one), ("day", *(f"#{stage}" for stage in stages), "#counted"), rows)
        _show_losses(one)
    for one in answer["audiences"]:
        stages = list(one["stages"])
        row = (*one["stages"].values(), _number(one["counted"]["total"]))
        table(_title(one), (*(f"#{stage}" for stage in stages), "#size there"), [row])
        _show_losses(one)
        if "holds" in one:
            show(Use.AUDIENCE, one["holds"], _connection(one), one.get("repaired"))
        for left in one["leaving"]:
            code = f" ({left['code']})" if left["code"] else ""
            out.print(f"  {left['rows']} no longer belong there and may still be: leave {left['state']}{code}\n")
    for one in answer["properties"]:
        table(_title(one), ("#wanted", "#stands", "#under way"), [(one["wanted"], one["stands"], one["under_way"])])
        if "holds" in one:
            show(Use.PROPERTY, one["holds"], _connection(one), one.get("repaired"))
        for name in ("error", "note"):
            if one[name]:
                out.print(f"  {'trouble' if name == 'error' else 'there now'}: {one[name]}\n", markup=False)


def _connection(one: Mapping[str, Any]) -> str:
    return str(one["target"]).partition("/")[0]


def _title(one: Mapping[str, Any]) -> str:
    return f"{one['target']} ({one['remote_name']}){'' if one['active'] else ': no longer sent'}"


def _number(count: float | None) -> str:
    return "?" if count is None else f"{count:g}"


def _show_losses(one: Mapping[str, Any]) -> None:
    if one["losses"]:
        rows = [(loss["after"], loss["rows"], loss["kind"], loss["code"], loss["why"]) for loss in one["losses"]]
        table("", ("after", "#rows", "kind", "code", "why"), rows)
    if said := _said(one["batches"]):
        out.print(f"  the vendor's own counts: {said}\n", markup=False)
    if one["error"]:
        out.print(f"  trouble: {one['error']}\n")
    if note := one["counted"]["note"]:
        out.print(f"  {'counted' if 'days' in one else 'size there'}: {note}\n", markup=False)
    shown = list(_rows(one.get("rows", ())))
    if shown:
        table("", ("day", "person", "key", "after", "kind", "code", "why"), shown)


def _said(batches: Mapping[str, Any]) -> str:
    """What the vendor said of batches: how many, how they ended, and its counts by reason."""
    if not batches["batches"]:
        return ""
    ended = ", ".join(f"{count} {progress}" for progress, count in batches["progress"].items())
    reasons = [
        f"{name}: " + ", ".join(f"{count} x {reason}" for reason, count in batches[name].items())
        for name in ("failed", "unmatched", "warned")
        if batches[name]
    ]
    many = "batch" if batches["batches"] == 1 else "batches"
    return "; ".join([f"{batches['rows']} rows in {batches['batches']} {many} ({ended})", *reasons])


def _rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        yield (row["day"], f"p{row['person']}", row["key"], row["after"], row["kind"], row["code"], row["why"])
