"""``leadup doctor``: what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from leadup.cli.base import app_of, emit, json_option, now, out, progress
from leadup.cli.reconcile import connections
from leadup.clock import SystemClock
from leadup.insights.checkup import connection_findings, installation
from leadup.outgoing import Finding, Grade

_COLOURS = {Grade.OK: "green", Grade.WARNING: "yellow", Grade.PROBLEM: "red", Grade.UNKNOWN: "dim"}


@click.command(epilog="Examples: leadup doctor | leadup doctor google_ads | leadup doctor --json")
@click.argument("connection", metavar="[CONNECTION]", required=False)
@json_option
@click.pass_context
def doctor(ctx: click.Context, connection: str | None, as_json: bool) -> None:
    """Look at this installation and at what it is connected to: what is well, what is not, what to do.

    CONNECTION is the name of a connection, or a type of connections (google_ads); without it all are looked at.
    Nothing is changed, here or there. Each finding is ok, a warning (it works, and something is lost or soon will be),
    a problem (it does not work) or unknown (it could not be looked at). The exit code is 1 if there is a problem.
    """
    app = app_of(ctx)
    chosen = connections(app, connection) if connection else list(app.settings.connections)
    at = now()
    with progress(not as_json) as tell:
        tell("looking at the installation", None)
        found = list(installation(app, at, SystemClock().now()))
        for name in chosen:
            tell(f"asking {name}", None)
            found += connection_findings(app, app.settings.connections[name], at)
    problems = sum(one.grade is Grade.PROBLEM for one in found)
    if as_json:
        told = [{"name": f.name, "grade": str(f.grade), "text": f.text, "todo": f.todo} for f in found]
        emit({"problems": problems, "findings": told})
    else:
        _show(found)
    ctx.exit(1 if problems else 0)


def _show(found: Sequence[Finding]) -> None:
    for one in found:
        out.print(f"[{_COLOURS[one.grade]}]{one.grade:<8}[/] {one.name}", end="  ")
        out.print(one.text, markup=False)
        if one.todo:
            out.print(f"           What to do: {one.todo}", markup=False)
    counts = {grade: sum(one.grade is grade for one in found) for grade in Grade}
    out.print("\n" + ", ".join(f"{count} {grade}" for grade, count in counts.items() if count))
