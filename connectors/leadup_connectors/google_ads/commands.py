"""``leadup google-ads``: conversion actions, and which of them bidding uses. Loads the SDK when it asks Google."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from leadup.kit import Desk
from leadup_connectors.google_ads.ads import connect
from leadup_connectors.google_ads.ads.actions import Action, Actions, Counted
from leadup_connectors.google_ads.ads.promotion import Report, Seen, demotion, promotion
from leadup_connectors.google_ads.ads.version import sunset_warning

json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON on standard output.")
yes_option = click.option("--yes", is_flag=True, help="Do it, after the report.")


@click.group(epilog="Example: leadup google-ads actions")
def commands() -> None:
    """Show conversion actions of Google Ads, and let bidding use them or not.

    This needs the Google Ads API: pip install 'leadup[google-ads]'.
    """


@commands.command("actions", epilog="Examples: leadup google-ads actions | leadup google-ads actions --json")
@json_option
@click.pass_obj
def actions(desk: Desk, as_json: bool) -> None:
    """List the account's conversion actions.

    Conversions are those of the last 30 days, whoever reported them. Bidding uses an action that is primary and whose
    goal is biddable.
    """
    account = _account(desk)
    counted, goals = account.counted(), account.goals()
    found = [(one, counted.get(one.id, Counted()), goals.get(one.goal, False)) for one in account.all()]
    if as_json:
        desk.emit([_as_json(one, count, biddable) for one, count, biddable in found])
        return
    columns = (
        "id",
        "name",
        "type",
        "status",
        "counts",
        "primary",
        "goal",
        "biddable",
        "owner",
        "#conversions",
        "#value",
    )
    rows = [
        (
            one.id,
            one.name,
            one.type,
            one.status.lower(),
            "every" if one.counting == "MANY_PER_CLICK" else "one a click",
            "primary" if one.primary else "secondary",
            one.category,
            "yes" if biddable else "no",
            one.owner,
            f"{count.conversions:g}",
            f"{count.value:.2f}",
        )
        for one, count, biddable in found
    ]
    if warning := sunset_warning(desk.now.date()):
        desk.say(warning)
    desk.table(f"conversion actions of {desk.settings.operating_account}", columns, rows)


@commands.command("promote", epilog="Example: leadup google-ads promote 'leadup: interest'")
@click.argument("action")
@yes_option
@json_option
@click.pass_obj
def promote(desk: Desk, action: str, yes: bool, as_json: bool) -> None:
    """Let bidding use ACTION (a name, there or in the rules, or an id): make it primary, and its goal biddable.

    Shows first what that would change; only --yes does it. `leadup google-ads demote` is the way back.
    """
    _change(desk, action, "promote", promotion, Actions.promote, yes=yes, as_json=as_json)


@commands.command("demote", epilog="Example: leadup google-ads demote 'leadup: interest' --yes")
@click.argument("action")
@yes_option
@json_option
@click.pass_obj
def demote(desk: Desk, action: str, yes: bool, as_json: bool) -> None:
    """Take ACTION (a name, there or in the rules, or an id) out of bidding.

    It becomes secondary, and so does its goal if no other action needs it. Shows first what that would change; only
    --yes does it.
    """
    _change(desk, action, "demote", demotion, Actions.demote, yes=yes, as_json=as_json)


def _change(
    desk: Desk,
    name: str,
    verb: str,
    judge: Callable[[Action, Seen], Report],
    do: Callable[[Actions, Action], None],
    *,
    yes: bool,
    as_json: bool,
) -> None:
    account = _account(desk)
    action = account.named(_meant(desk, name))
    report = judge(action, _seen(desk, account))
    done = yes and bool(report.does)
    if not as_json:
        _show(desk, report)
    if done:
        do(account, action)
    if as_json:
        desk.emit(_report_as_json(report, done=done))
    elif not report.does:
        desk.say("Nothing to do: it is so already.")
    else:
        desk.say("Done." if done else f"Nothing was changed. To do it: leadup google-ads {verb} {action.id} --yes")


def _meant(desk: Desk, name: str) -> str:
    """What the account calls the action of a conversion that the rules name; any other name is taken as it is."""
    target = next((target for target in desk.conversions if target.name == name), None)
    if target is None:
        return name
    said = desk.settings.conversion_actions.get(name)
    return (said.id or said.name if said else None) or target.remote_name


def _account(desk: Desk) -> Actions:
    return Actions(desk.connection, desk.settings, connect(desk.connection, desk.settings))


def _seen(desk: Desk, account: Actions) -> Seen:
    there = account.all()
    known = desk.settings.conversion_actions
    micro = set()
    for target, is_micro in desk.conversions.items():
        said = known.get(target.name)
        if is_micro and said is not None:
            name = said.name or target.remote_name
            micro |= {one.id for one in there if (one.id == said.id if said.id else one.name == name)}
    return Seen(
        actions=there,
        counted=account.counted(30),
        recent=account.counted(7),
        goals=account.goals(),
        micro=micro,
        campaigns=account.campaigns(),
    )


def _show(desk: Desk, report: Report) -> None:
    one = report.action
    bids = "not known" if report.campaigns is None else ", ".join(report.campaigns) or "none"
    rows = [
        ("action", f"{one.name} ({one.id}), {one.type}, owned by {one.owner}"),
        *(("changes", text) for text in report.does),
        ("campaigns that bid for the account's goals", bids),
        ("in 30 days", f"{report.conversions:g} conversions, value {report.value:.2f}"),
        (
            "micro, of what would be bid for",
            f"{report.micro_conversions:.0%} of conversions, {report.micro_value:.0%} of value",
        ),
        *(("warning", text) for text in report.warnings),
    ]
    desk.table("", ("", ""), rows)


def _as_json(one: Action, count: Counted, biddable: bool) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "type": one.type,
        "status": one.status,
        "counting": one.counting,
        "primary": one.primary,
        "category": one.category,
        "origin": one.origin,
        "biddable": biddable,
        "owner": one.owner,
        "always_default": one.always_default,
        "conversions": count.conversions,
        "value": count.value,
    }


def _report_as_json(report: Report, *, done: bool) -> dict[str, Any]:
    return {
        "action": report.action.id,
        "name": report.action.name,
        "does": list(report.does),
        "campaigns": None if report.campaigns is None else list(report.campaigns),
        "conversions": report.conversions,
        "value": report.value,
        "micro_conversions": report.micro_conversions,
        "micro_value": report.micro_value,
        "warnings": list(report.warnings),
        "done": done,
    }
