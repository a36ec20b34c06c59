"""``leadup rules backtest`` and ``leadup rules diff``: what rules would have done, and what an edit would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from leadup.app import App
from leadup.cli.base import app_of, emit, err, json_option, no_segment, now, out, progress, table
from leadup.delivery.activations import activations
from leadup.delivery.book import Terms
from leadup.insights import backtest as hindsight
from leadup.insights.difference import difference
from leadup.outgoing import Capabilities, Target, Use
from leadup.rules.loader import load

BAR = 30
"""Width of the widest bar, in characters."""


@click.command(epilog="Examples: leadup rules backtest watched_no_demo | leadup rules backtest hot --days 30 --json")
@click.argument("segment")
@click.option("--days", type=click.IntRange(1, 3660), default=90, show_default=True, help="How many days back.")
@json_option
@click.pass_context
def backtest(ctx: click.Context, segment: str, days: int, as_json: bool) -> None:
    """Show what a SEGMENT of the rules on disk would have been on each of the last days.

    Its size at each day's end (UTC), who joined and left (churn), and the calls that would have taken at each
    destination, by what is logged and by today's identities and consent. Nothing is kept.
    """
    app = app_of(ctx)
    program = app.rules.program
    if segment not in program.segments:
        raise no_segment(segment, program.segments)
    with progress(not as_json) as tell:
        answer = hindsight.backtest(app.store, app.rules, segment, now(), days, _targets(app, segment), tell)
    if as_json:
        emit(answer)
    else:
        _show(answer)


def _targets(app: App, segment: str) -> dict[Target, tuple[Terms, Capabilities]]:
    if not app.rules.program.segments[segment].activate:
        return {}
    can = {name: destination.can for name, destination in app.destinations.items()}
    found = activations(app.rules.program, can, app.settings.guards.max_leave)
    return {t: (terms, can[t.connection]) for t, terms in found.items() if (t.use, t.name) == (Use.AUDIENCE, segment)}


def _show(answer: dict[str, Any]) -> None:
    most = max(day["size"] for day in answer["days"]) or 1
    rows = [
        (day["day"], day["size"], day["joined"], day["left"], "▇" * round(day["size"] / most * BAR))
        for day in answer["days"]
    ]
    table(answer["segment"], ("day", "#members", "#joined", "#left", ""), rows)
    churn = answer["daily_churn"]
    out.print(
        f"{answer['size_before']} members before, {answer['size']} at the end; "
        f"{answer['joins_per_day']:g} join and {answer['leaves_per_day']:g} leave a day"
        + (f", {churn:.1%} of the members" if churn is not None else "")
    )
    for one in answer["targets"]:
        calls = one["calls"]
        out.print(
            f"{one['target']}: {one['joins']} joins, {one['leaves']} leaves in "
            f"{calls['at_least']} calls (a batch a day) to {calls['at_most']} (one by one)"
        )


@click.command(epilog="Examples: leadup rules diff | leadup rules diff ../edited/rules --json")
@click.argument("rule_files", metavar="[RULES]", required=False, type=click.Path(exists=True, path_type=Path))
@json_option
@click.pass_context
def diff(ctx: click.Context, rule_files: Path | None, as_json: bool) -> None:
    """Show what RULES would change if they went live now, in people and in money, against the live rules.

    RULES is a file, or a folder, with all the rules; left out: those that leadup.toml names, if they were edited since
    they went live. It is rehearsed on what has been read so far: nothing is sent, nothing is kept.
    """
    app = app_of(ctx)
    names = [name for name, c in app.settings.connections.items() if c.connector.destination]
    region = app.settings.region
    rules = app.rules if rule_files is None else load([rule_files], names, region=region, limits=app.limits)
    with progress(not as_json) as tell:
        answer = difference(app, rules, now(), tell)
    if as_json:
        emit(answer)
    else:
        _show_difference(answer)


def _show_difference(answer: dict[str, Any]) -> None:
    if not answer["rules_differ"]:
        out.print("These are the live rules: nothing would change by them.")
        return
    if answer["due"]:
        err.print(
            f"Still to be judged by the live rules: {answer['due']}. What they say now is not known, only what they "
            "said last, so what follows holds what time has changed for these people, too."
        )
    rows = [
        (
            name,
            one["before"],
            one["after"],
            f"+{one['joined']}" if one["joined"] else "",
            f"-{one['left']}" if one["left"] else "",
        )
        for name, one in answer["segments"].items()
    ]
    table("People", ("segment", "#now", "#then", "#join", "#leave"), rows)
    for one in answer["targets"]:
        out.print(f"{one['target']}: {_what(one)}", markup=False)
        if one["guard"]:
            err.print(f"  a guard would hold this: {one['guard']}")


def _what(one: dict[str, Any]) -> str:
    """What would be sent to one target, in words."""
    if "joins" in one:
        said = [(one["joins"], f"{one['joins']} join"), (one["leaves"], f"{one['leaves']} leave")]
    elif "written" in one:
        said = [(one["written"], f"{one['written']} values written"), (one["cleared"], f"{one['cleared']} cleared")]
    else:
        fresh, again, stopped = one["reported"], one["restated"], one["no_longer_reported"]
        said = [
            (fresh["count"], f"{fresh['count']} newly reported{_worth(' worth ', fresh['value'])}"),
            (
                again["count"],
                f"{again['count']} restated{_worth(' from ', again['from'])}{_worth(' to ', again['to'])}",
            ),
            (stopped, f"{stopped} no longer reported (what was sent stays)"),
        ]
    return ", ".join(text for count, text in said if count) or "no change"


def _worth(word: str, sums: dict[str, str]) -> str:
    return word + " + ".join(sums.values()) if sums else ""
