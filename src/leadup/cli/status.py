"""``leadup status``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from sqlalchemy import Connection, select

from leadup.app import App
from leadup.cli.base import app_of, emit, err, json_option, now, out, table
from leadup.clock import SystemClock
from leadup.daemon import ALERT
from leadup.errors import LeadupError
from leadup.insights.budget import accounts, in_words
from leadup.insights.health import Health
from leadup.insights.open import provisional_members
from leadup.insights.reported import health as signal_health
from leadup.insights.status import status as read_status
from leadup.insights.words import instant
from leadup.pipeline import is_live
from leadup.state.lease import holder
from leadup.state.tables import meta
from leadup.types import to_us

UNHEALTHY = 10


@click.command(epilog="Examples: leadup status | leadup status --json | leadup status --health")
@click.option("--health", is_flag=True, help="Say only whether the daemon lives: exit code 0, else 10.")
@json_option
@click.pass_context
def status(ctx: click.Context, health: bool, as_json: bool) -> None:
    """Show what stands where, and what is wrong.

    Each audience has its waterfall: who holds the rule, has an identifier that the destination can use, has given
    consent, is not held out, and was accepted there. Members are provisional as long as a row that comes late may show
    that they were never to be there. Signal health says how well the conversions of the last 30 days serve bidding.
    """
    app = app_of(ctx)
    held = holder(app.store, SystemClock().now())
    if health:
        alive = held is not None and held.what == "leadup run"
        out.print("healthy: the daemon runs" if alive else "not healthy: no daemon holds this state")
        ctx.exit(0 if alive else UNHEALTHY)
    with app.store.read() as connection:
        answer = read_status(connection)
        _count_provisional(app, connection, answer["audiences"])
        _say_whether_it_serves(app, answer["audiences"])
        answer["signal_health"] = [one.as_json() for one in _health(app, connection)]
        answer["budgets"] = accounts(connection, app.settings.connections, to_us(now()))
        alert = connection.scalar(select(meta.c.value).where(meta.c.key == ALERT))
    inbox = [
        {"connection": name, "waiting": one.requests, "since": one.oldest and instant(to_us(one.oldest))}
        for name, one in app.backlog().items()
    ]
    answer = {
        "daemon": None if held is None else f"{held.what} ({held.holder})",
        "alert": alert,
        **answer,
        "inbox": inbox,
    }
    if as_json:
        emit(answer)
    else:
        _show(answer)


def _count_provisional(app: App, connection: Connection, audiences: Sequence[dict[str, Any]]) -> None:
    """Say of each audience how many members are provisional; None where the rules on disk are not those in use."""
    try:
        live = is_live(connection, app.rules.program)
    except LeadupError:
        live = False
    names = sorted({one["segment"] for one in audiences if one["active"]}) if live else []
    counts = provisional_members(connection, app.rules.program, names, to_us(now()), app.feeds) if names else {}
    for one in audiences:
        one["provisional"] = counts.get(one["segment"])


def _health(app: App, connection: Connection) -> list[Health]:
    """How well what is reported serves bidding; without rules that load, micro is not told from macro."""
    try:
        program = app.rules.program
    except LeadupError:
        program = None
    return signal_health(connection, program, to_us(now()))


def _say_whether_it_serves(app: App, audiences: Sequence[dict[str, Any]]) -> None:
    """Set beside each size what the vendor needs to show ads to an audience at all."""
    for one in audiences:
        if one["size"] is None:
            continue
        known = app.settings.connections.get(one["target"].partition("/")[0])
        least = known.connector.serves_from if known else None
        most = max(one["size"]["members"].values(), default=None)
        one["size"]["serves_from"] = least or None
        one["size"]["serves"] = (
            "" if not least or most is None else "yes" if most >= least else f"no: it takes {least} active members"
        )


def _show(answer: dict[str, Any]) -> None:
    out.print(f"daemon: {answer['daemon'] or 'not running'}    people: {answer['people']}\n")
    if answer["alert"]:
        err.print(f"[bold]The rule files do not load; the last good ones are in use.[/]\n{answer['alert']}\n")
    _show_sources(answer)
    for one in answer["budgets"]:
        out.print(in_words(one) + "\n")
    rows = [
        (
            a["target"],
            _members(a),
            *list(a["waterfall"].values())[1:],
            _rows(a),
            a["guard_text"] or a["error"] or a["warning"],
        )
        for a in answer["audiences"]
    ]
    columns = ("target", "#holds", "#identifier", "#consent", "#not held out", "#accepted", "rows", "trouble")
    table("audiences", columns, rows)
    sized = [
        (
            a["target"],
            *(a["size"][name] for name in ("keyed_by", "kept_days", "match_rate")),
            ", ".join(f"{count} {network}" for network, count in a["size"]["members"].items()) or "not said",
            a["size"]["serves"],
            a["there"],
        )
        for a in answer["audiences"]
        if a["size"]
    ]
    if sized:
        table(
            "at the vendor",
            ("target", "keyed by", "#days kept", "#% matched", "members", "serves", "what it is there"),
            sized,
        )
    for one in answer["audiences"]:
        if far := one["replacing"]:
            out.print(
                f"{one['target']} is being replaced since {far['since']}: {far['renewed']} of {far['wanted']} members "
                f"sent anew, {far['waiting']} changes without an answer; then the others are removed"
            )
    if answer["holdouts"]:
        rows = [tuple(one.values()) for one in answer["holdouts"]]
        table("holdouts", ("holdout", "#held out", "#sent", "#mixed"), rows)
    for title in ("conversions", "properties"):
        rows = [(o["target"], o["happened"], o["stand"], _rows(o), o["error"]) for o in answer[title]]
        table(title, ("target", "#happened", "#stand there", "rows", "trouble"), rows)
    _show_health(answer["signal_health"])
    for one in (*answer["audiences"], *answer["conversions"], *answer["properties"]):
        for reason in one["reasons"]:
            out.print(f"{one['target']}: {reason['rows']} x {reason['code']}: {reason['detail']}")
        for batch in one["batches"]:
            out.print(f"{one['target']}: batch {batch['handle']}: {_batch(batch)}")


def _show_sources(answer: dict[str, Any]) -> None:
    told = ("events", "rejected", "suppressed", "read_up_to", "error")
    read = [(s["connection"], *(s[name] for name in told)) for s in answer["sources"]]
    table("sources", ("connection", "#events", "#rejected", "#suppressed", "read up to", "error"), read)
    for one in answer["sources"]:
        if wait := one["waits"]:
            out.print(f"{one['connection']}: reading waits until {wait['until']}: {wait['because']}\n")
    if waiting := answer["erasures"]["waiting"]:
        out.print(f"erasures: {waiting} not done; `leadup people erasures` says what they wait for\n")
    if answer["inbox"]:
        waiting = [(one["connection"], one["waiting"], one["since"]) for one in answer["inbox"]]
        table("inbox", ("connection", "#requests", "since"), waiting)


def _show_health(found: Sequence[dict[str, Any]]) -> None:
    if found:
        rows = [(one["of"], one["name"], one["verdict"], one["text"]) for one in found]
        table("signal health, 30 days", ("of", "what", "verdict", "number"), rows)
    for one in found:
        if one["todo"]:
            out.print(f"{one['of']}: {one['name']}: {one['todo']}", markup=False)


def _members(audience: dict[str, Any]) -> str:
    holds, open_ = audience["waterfall"]["holds"], audience["provisional"]
    return f"{holds} ({open_} provisional)" if open_ else str(holds)


def _batch(batch: dict[str, Any]) -> str:
    parts = [
        f"{count} x {reason}{what}"
        for name, what in (("failed", ""), ("unmatched", " (nobody found)"), ("warned", " (warning)"))
        for reason, count in batch[name].items()
    ]
    return f"{batch['rows']} rows to {batch['verb']}, {batch['progress']}" + (f": {', '.join(parts)}" if parts else "")


def _rows(one: dict[str, Any]) -> str:
    return ", ".join(f"{count} {state}" for state, count in one["rows"].items())
