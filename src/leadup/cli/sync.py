"""``leadup sync`` and ``leadup plan``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import click
from sqlalchemy import select

from leadup.app import CLOCK, RECREATE, App
from leadup.cli.base import app_of, daemon_lives, emit, err, json_option, now, out, progress, table, who
from leadup.daemon import answer_of, ask
from leadup.delivery.adopting import must_be_free
from leadup.delivery.book import LIVE, TargetRow
from leadup.delivery.planning import Planned
from leadup.delivery.replacing import begin, ours
from leadup.delivery.sizes import there
from leadup.errors import LeadupError, SettingsError
from leadup.insights.budget import forecast_in_words
from leadup.insights.words import instant
from leadup.kit import Adopting, Replaceable, Sized
from leadup.outgoing import RemoteTarget, Use
from leadup.passes import as_json
from leadup.plan import GUARDS
from leadup.state.lease import lease
from leadup.state.tables import outbox
from leadup.types import to_us

HELD = 9


@click.command(
    epilog="Examples: leadup sync | leadup sync hubspot --dry-run | leadup sync watched_no_demo --accept max_leave"
)
@click.argument("only", metavar="[SEGMENT|DESTINATION]", required=False)
@click.option("--dry-run", is_flag=True, help="Show what would be sent; send and keep nothing.")
@click.option(
    "--accept",
    metavar="GUARD",
    help="Send the plan that this guard holds, exactly as it was shown; `clock`: go on after the clock was set back; "
    "`recreate`: make an audience anew that somebody deleted at the vendor. `leadup status` names the guard that "
    "holds: `max_leave`, `adopt`, ….",
)
@click.option(
    "--replace",
    is_flag=True,
    help="Send everybody of one audience anew, then remove whoever else is in the vendor's list.",
)
@click.option("--yes", is_flag=True, help="With --replace: do not ask.")
@json_option
@click.pass_context
def sync(
    ctx: click.Context, only: str | None, dry_run: bool, accept: str | None, replace: bool, yes: bool, as_json: bool
) -> None:
    """Pull, judge, plan and deliver once, now.

    Beside a running daemon the work is handed to it, and followed. What a guard holds is shown, and sent only with
    --accept; the command then ends with exit code 9 while something is held.
    """
    app = app_of(ctx)
    known = (*GUARDS, CLOCK, RECREATE)
    if accept not in (None, *known):
        raise SettingsError(f"There is no guard {accept!r}. There are: {', '.join(known)}.")
    if replace:
        _begin_replacing(app, only, yes=yes, dry_run=dry_run)
    if dry_run:
        with progress(not as_json) as tell:
            rehearsed = app.rehearse(now(), only, tell)
        plans = [planned for planned in rehearsed.plans if planned.target.active or planned.changes]
        _show_plans(plans, [_looked_at(app, planned.target) for planned in plans], rehearsed.calls, as_json)
        return
    answer = _handed_over(app, only, accept) if daemon_lives(app) else _done_here(app, only, accept)
    if as_json:
        emit(answer)
    else:
        _show(answer)
    held = [target for target in app.targets(only) if target.guard]
    for target in held:
        err.print(
            f"held: {target.target.key}: {target.guard_text} (plan {target.plan}).\n"
            f"  What to do: look at it with `leadup plan {target.target.name}`; if it is right, "
            f"`leadup sync {target.target.key} --accept {target.guard}`."
        )
    asked_for = answer["not_offered"] if only else {}  # told before: again only to who asks for it
    for place, error in {**asked_for, **answer["errors"]}.items():
        err.print(f"{place}: {error}")
    if answer["errors"]:
        ctx.exit(1)
    if held:
        ctx.exit(HELD)


def _begin_replacing(app: App, only: str | None, *, yes: bool, dry_run: bool) -> None:
    """Say what a replacement means for one audience, and have it begun unless somebody says no."""
    found = [target for target in app.targets(only) if target.target.use is Use.AUDIENCE] if only else []
    if len(found) != 1:
        raise SettingsError(
            "--replace is for one audience; name it as CONNECTION/audience/SEGMENT. There are: "
            + (", ".join(t.target.key for t in (found or app.targets()) if t.target.use is Use.AUDIENCE) or "none")
            + "."
        )
    [target] = found
    if not isinstance(app.destinations.get(target.target.connection), Replaceable):
        raise SettingsError(f"{target.target.connection} can not replace an audience as a whole.")
    with app.store.read() as connection:
        mine = ours(connection, target.id)
    there = _counted(app, target)
    others = "not known" if there is None else f"about {max(0, there - mine)}, as the vendor counts {there}"
    err.print(
        f"{target.target.key}: {mine} members are ours and will be sent anew. Then everybody else is removed from the "
        f"list {target.target.remote_name!r}, whoever put them there (how many: {others})."
    )
    if dry_run:
        return
    if not yes:
        click.confirm("Replace it?", abort=True, err=True)
    with app.store.write() as connection:
        begin(connection, target, to_us(now()), who())


def _counted(app: App, target: TargetRow) -> int | None:
    """How many members the vendor counts now; None: it does not say."""
    destination = app.destinations[target.target.connection]
    if target.remote_id is None or not isinstance(destination, Sized):
        return None
    try:
        size = destination.size(RemoteTarget(id=target.remote_id, name=target.target.remote_name))
    except LeadupError:
        return None
    return max(size.members.values(), default=None)


def _done_here(app: App, only: str | None, accept: str | None) -> dict[str, Any]:
    with lease(app.store, "leadup sync"), progress() as tell:
        return as_json(app.sync(now(), only, accepted=accept, who=who(), tell=tell))


def _handed_over(app: App, only: str | None, accept: str | None) -> dict[str, Any]:
    request = ask(app, {"only": only, "accept": accept, "who": who()}, now())
    with progress() as tell:
        while True:
            lives = daemon_lives(app)
            state, answer = answer_of(app, request)
            tell(f"the daemon works on it ({state})", None)
            if state == "done" and isinstance(answer, dict):
                return answer
            if state == "failed" and isinstance(answer, dict):
                error = LeadupError(answer["error"])
                error.exit_code = answer["exit_code"]
                raise error
            if not lives:
                raise LeadupError("The daemon ended before this was done.\n  What to do: run `leadup sync` again.")
            time.sleep(0.1)


def _show(answer: dict[str, Any]) -> None:
    for name, taken in answer["pulled"].items():
        out.print(
            f"{name}: {taken['new']} new events, {taken['revised']} revised, {taken['same']} known, "
            f"{taken['facts']} facts, {taken['rejected']} rejected"
        )
    for name, one in answer["reading"].items():
        out.print(f"{name}: reading waits until {one['until']}: {one['because']}")
    out.print(f"judged {answer['judged']} people: {answer['entered']} entered, {answer['left']} left a segment")
    for name in answer["recreated"]:
        out.print(f"{name}: made anew, since somebody had deleted it")
    if answer["released"]:
        out.print(f"released {answer['released']} held changes")
    rows = [
        (d["target"], d["sent"], ", ".join(f"{n} {what}" for what, n in sorted(d["outcomes"].items())))
        for d in answer["delivered"]
    ]
    if rows:
        table("", ("target", "#sent", "answers"), rows)
    for name, one in answer["postponed"].items():
        out.print(f"{name}: {one['changes']} changes wait until {one['until']}: {one['because']}")


def _looked_at(app: App, target: TargetRow) -> tuple[str | None, str]:
    """What there is at the vendor for an audience, looked at now, and why that would hold the plan.

    None: the vendor does not say.
    """
    destination = app.destinations[target.target.connection]
    if target.target.use is not Use.AUDIENCE or not isinstance(destination, Adopting):
        return None, ""
    try:
        found = destination.look(target.target)
        if found is not None and target.remote_id is None:
            with app.store.read() as connection:
                must_be_free(connection, target, found.id, app.destinations)
    except LeadupError as error:
        return str(error), ""
    if found is not None:
        asks = target.remote_id is None and found.members
        return str(found), "leadup did not make it; `--accept adopt` takes it" if asks else ""
    if target.target.known_id:
        return f"not there any more; `leadup sync {target.target.key} --accept {RECREATE}` makes it anew", ""
    return "nothing; it is made", ""


def _show_plans(
    plans: Sequence[Planned], there: Sequence[tuple[str | None, str]], calls: list[dict[str, Any]], as_json_: bool
) -> None:
    shown: list[dict[str, Any]] = [
        {
            "target": planned.target.target.key,
            "remote_name": planned.target.target.remote_name,
            "there": found,
            "changes": dict(planned.changes),
            "guard": planned.trip.text if planned.trip else planned.target.guard_text or why,
        }
        for planned, (found, why) in zip(plans, there, strict=True)
    ]
    if as_json_:
        emit({"dry_run": True, "plan": shown, "calls": calls})
        return
    rows = [
        (
            one["target"],
            one["there"],
            ", ".join(f"{n} {verb}" for verb, n in sorted(one["changes"].items())),
            one["guard"],
        )
        for one in shown
    ]
    table("would be sent (nothing was)", ("target", "there now", "changes", "held by"), rows)
    _show_calls(calls)


def _show_calls(calls: Sequence[Mapping[str, Any]]) -> None:
    """What the changes take of vendors' days."""
    rows = [(target, count) for one in calls for target, count in one["targets"].items()]
    if rows:
        table("predicted", ("target", "#calls"), rows)
    for one in calls:
        out.print(forecast_in_words(one))


@click.command(epilog="Example: leadup plan watched_no_demo --json")
@click.argument("only", metavar="[SEGMENT|DESTINATION]", required=False)
@click.option("--limit", default=20, show_default=True, help="Rows shown by target.")
@json_option
@click.pass_context
def plan(ctx: click.Context, only: str | None, limit: int, as_json: bool) -> None:
    """Show what waits to be sent, what a guard holds, and what it takes of the vendors' calls of the day."""
    app = app_of(ctx)
    answer: list[dict[str, Any]] = []
    found = app.targets(only)
    calls = app.forecast(found, now())
    with app.store.read() as connection:
        for target in found:
            where = (outbox.c.target == target.id) & outbox.c.state.in_(LIVE)
            rows = connection.execute(select(outbox).where(where).order_by(outbox.c.id)).mappings().all()
            answer.append(
                {
                    "target": target.target.key,
                    "there": there(connection, target),
                    "guard": target.guard,
                    "guard_text": target.guard_text,
                    "plan": target.plan,
                    "changes": dict(Counter(f"{row['verb']} {row['state']}" for row in rows)),
                    "rows": [
                        {
                            "person": row["person"],
                            "verb": row["verb"],
                            "state": row["state"],
                            "because": row["reason"],
                            "next_try": instant(row["next_us"]),
                            "last_answer": " ".join(part for part in (row["code"], row["detail"]) if part),
                        }
                        for row in rows[:limit]
                    ],
                }
            )
    if as_json:
        emit({"targets": answer, "calls": calls})
        return
    for one in answer:
        title = one["target"] + (f": {one['there']}" if one["there"] else "")
        title += f"  HELD by {one['guard']}: {one['guard_text']}" if one["guard"] else ""
        rows_ = [(f"p{r['person']}", r["verb"], r["state"], r["because"], r["last_answer"]) for r in one["rows"]]
        if rows_ or one["guard"]:
            table(title, ("person", "verb", "state", "because", "last answer"), rows_)
    if not any(one["rows"] for one in answer):
        out.print("Nothing waits to be sent.")
    _show_calls(calls)
