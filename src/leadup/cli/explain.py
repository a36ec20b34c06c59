"""``leadup explain`` and ``leadup people show``."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy import Connection

from leadup.app import App
from leadup.cli.base import app_of, emit, json_option, no_segment, now, out
from leadup.errors import LeadupError
from leadup.identity import people as identity
from leadup.identity.suppress import Door
from leadup.insights.explain import explain as explain_person
from leadup.insights.explain import show_identifier
from leadup.types import Money, to_us


@click.command(epilog="Examples: leadup explain u1 | leadup explain ada@example.com watched_no_demo --json")
@click.argument("person")
@click.argument("segment", required=False)
@json_option
@click.pass_context
def explain(ctx: click.Context, person: str, segment: str | None, as_json: bool) -> None:
    """Say why a PERSON is in or out of a SEGMENT, what was sent, and what changes next if nothing happens.

    PERSON is a number as leadup shows it (p17), an identifier (user_id:u1, client_id:c1), or a bare user id, client id,
    e-mail address or phone number.
    """
    app = app_of(ctx)
    program = app.rules.program
    if segment is not None and segment not in program.segments:
        raise no_segment(segment, program.segments)
    with app.store.read() as connection:
        number = _find(app, connection, person)
        chosen = [segment] if segment else list(program.segments)
        answer = explain_person(connection, program, number, chosen, to_us(now()), app.feeds)
    if as_json:
        emit(answer)
    else:
        _show(answer)


def _find(app: App, connection: Connection, text: str) -> int:
    found = identity.find(connection, text, region=app.settings.region)
    if not found:
        _say_if_erased(app, connection, text)
        raise LeadupError(
            f"Nobody is known by {text!r}.\n"
            "  What to do: give a user id, a client id, an e-mail address, or kind:value, e.g. client_id:123.456."
        )
    if len(found) > 1:
        raise LeadupError(
            f"{text!r} tells several persons: {', '.join(f'p{person}' for person in found)}.\n"
            "  What to do: name one of them."
        )
    return found[0]


def _say_if_erased(app: App, connection: Connection, text: str) -> None:
    """Raise LeadupError if the one whom ``text`` told was erased, and say nothing else of her."""
    closed = Door(connection, app.vault).closed(identity.meant_by(text, region=app.settings.region))
    if numbers := sorted({rule.erasure for rules in closed.values() for rule in rules if rule.anywhere}):
        raise LeadupError(
            f"Whom this told was erased on request {', '.join(map(str, numbers))}; nothing else is known.\n"
            f"  What to do: see `leadup people erasures {numbers[-1]}`."
        )


def _show(answer: dict[str, Any]) -> None:
    out.print(f"[bold]p{answer['person']}[/]  {', '.join(answer['identifiers'])}")
    stated = ", ".join(f"{purpose} {word}" for purpose, word in answer["consent"].items())
    out.print(f"consent: {stated or 'never stated'}")
    for name, score in answer["scores"].items():
        out.print(f"score {name}: {score}")
    for name, segment in answer["segments"].items():
        _show_segment(name, segment)
    for one in answer["properties"]:
        stands = "nothing stands there" if one["stands"] in (None, []) else f"{_told(one['stands'])} stands there"
        out.print(f"\nproperty {one['target']}: {stands} ({one['sure']}); {one['why']}", markup=False)
    for one in answer["conversions"]:
        out.print(f"\n[bold]conversion {one['conversion']}[/] at {one['at']}, transaction {one['transaction_id']}")
        if episode := one["episode"]:
            _show_episode(episode, one["minor"], one["currency"])
        for report in one["reports"]:
            out.print(f"  {report['target']}: {_standing(report['stands'])}; {report['why']}", markup=False)
    if answer["ledger"]:
        out.print("\n[bold]ledger[/]")
    for line in answer["ledger"]:
        tail = " ".join(part for part in (line["code"], line["detail"]) if part)
        out.print(f"  {line['at']}  {line['target']}  {line['verb']} {line['what']}  {tail}")


def _told(value: Any) -> str:
    return ";".join(value) if isinstance(value, list) else str(value)


def _standing(stands: dict[str, Any] | None) -> str:
    if stands is None:
        return "does not stand there"
    known = stands["minor"] is not None and stands["currency"] is not None
    return (
        f"stands there with {Money(stands['minor'], stands['currency'])}" if known else "stands there, without a value"
    )


def _show_episode(episode: dict[str, Any], minor: int | None, currency: str | None) -> None:
    worth = f", worth {Money(minor, currency)}" if minor is not None and currency is not None else ""
    step = f": {episode['step']}{worth}" if episode["step"] else ""
    out.print(f"  {episode['state']}{step}" + (f"; lapses at {episode['lapses']}" if episode["lapses"] else ""))
    for one in episode["steps"]:
        out.print(f"    {one['at']}  {one['pattern']}")


def _show_segment(name: str, segment: dict[str, Any]) -> None:
    since = f" since {segment['since']}" if segment["since"] else ""
    out.print(f"\n[bold]{name}[/]: {'in' + since if segment['in'] else 'out'}")
    if segment["kept_until"]:
        out.print(f"  kept until {segment['kept_until']} by stay_at_least: the rule holds no longer")
    if held := segment["held_out"]:
        mixed = "; was sent all the same, so left out of readouts" if held["mixed"] else ""
        out.print(f"  held out by {held['by']} since {held['since']}: judged and recorded, never sent{mixed}")
    if segment["outdone_in_group"]:
        out.print("  an earlier segment of the group has the person")
    if segment["excluded"]:
        out.print("  excluded by another segment, or a list")
    for node in segment["conditions"]:
        mark = "yes" if node["holds"] else "no "
        out.print(f"  {'  ' * node['depth']}{mark} {node['text']}")
        for event in node["events"]:
            out.print(f"  {'  ' * node['depth']}      {event['at']}  {event['pattern']}")
    if open_ := segment["provisional"]:
        out.print(
            f"  provisional: final once no row of before {open_['final_once_up_to']} can come late; "
            f"now that is so up to {open_['final_up_to']}"
        )
    if segment["waits_for_reading_up_to"]:
        out.print(f"  waits until sources are read up to {segment['waits_for_reading_up_to']}")
    out.print(f"  next: {_next(segment['next_change'])}")
    for target in segment["targets"]:
        stands = f"{'stands' if target['stands'] else 'does not stand'} there ({target['sure']})"
        held = f", held by {target['held_by']}" if target["held_by"] else ""
        waits = f", waits until {target['waits']['until']}: {target['waits']['because']}" if target["waits"] else ""
        out.print(f"  {target['target']}: {stands}; {target['why']}{held}{waits}")
    for line in segment["history"]:
        out.print(f"    {line['at']}  {line['what']}: {line['why']}")


def _next(change: dict[str, Any]) -> str:
    if change["once_read_up_to"]:
        return f"goes {change['becomes']} once the sources are read up to {change['once_read_up_to']}"
    if change["at"]:
        return f"goes {change['becomes']} at {change['at']}, if nothing happens"
    return f"no change by itself before {change['looked_until']}" if change["looked_until"] else "no change by itself"


@click.command(epilog="Examples: leadup people show u1 | leadup people show client_id:123.456 --json")
@click.argument("person")
@json_option
@click.pass_context
def show(ctx: click.Context, person: str, as_json: bool) -> None:
    """Show a PERSON's identifiers, facts and consent."""
    app = app_of(ctx)
    with app.store.read() as connection:
        number = _find(app, connection, person)
        identifiers = identity.identifiers_of(connection, [number])[number]
        facts = identity.facts_of(connection, [number])
        consent = identity.consent_together(connection, [number]).get(number, {})
    answer: dict[str, Any] = {
        "person": number,
        "identifiers": [show_identifier(i.kind, i.value) for i in identifiers],
        "facts": {trait: value for _, trait, _, value in sorted(facts, key=lambda row: row[2])},
        "consent": {str(purpose): "granted" if granted else "denied" for purpose, granted in sorted(consent.items())},
    }
    if as_json:
        emit(answer)
        return
    out.print(f"[bold]p{number}[/]")
    for identifier in answer["identifiers"]:
        out.print(f"  {identifier}")
    for trait, value in answer["facts"].items():
        out.print(f"  {trait} = {value}")
    for purpose, word in answer["consent"].items():
        out.print(f"  consent {purpose}: {word}")
