"""``leadup people``: show persons, erase them, and say how far that is."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from leadup.app import App
from leadup.cli.base import app_of, daemon_lives, emit, err, json_option, now, out, progress, table, who
from leadup.cli.explain import show
from leadup.delivery.erase import UNTRACED
from leadup.erasure.ask import Held, held
from leadup.erasure.work import Receipt, lift
from leadup.errors import LeadupError
from leadup.identity import people as identity
from leadup.state.lease import lease
from leadup.types import Kind, to_us

WITHIN = 10.0
"""Seconds that a daemon is watched at its work; what vendors answer later is shown by ``erasures``."""


@click.group()
def people() -> None:
    """Show persons, and erase them."""


people.add_command(show)


@people.command(
    epilog="Examples: leadup people erase ada@example.com | leadup people erase --kind email - < addresses.txt --yes"
)
@click.argument("identifiers", metavar="IDENTIFIER...", nargs=-1)
@click.option("--kind", type=click.Choice([str(kind) for kind in Kind]), help="What the identifiers are.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def erase(ctx: click.Context, identifiers: tuple[str, ...], kind: str | None, yes: bool, as_json: bool) -> None:
    """Erase a person: out of every audience, then out of everything.

    IDENTIFIER is any one of hers, as in `leadup explain`; `-`, or none, reads them from standard input, one a line,
    which keeps them out of the shell's history. First it is shown what is held and where. Works beside a daemon.

    Her identifiers are suppressed as keyed hashes: sources that bring her again do not bring her back. What was
    reported as a conversion stays at the vendor as it is. The command ends with a receipt; while vendors have not
    confirmed, the daemon, or each `leadup sync`, goes on.
    """
    app = app_of(ctx)
    persons = _persons(app, _read(identifiers), kind)
    found = [held(app.store, app.log, person) for person in persons]
    if not as_json:
        for one in found:
            _show_held(one)
    if not yes:
        if not _typed(identifiers):
            raise LeadupError("Standard input has the identifiers, and can not answer.\n  What to do: add --yes.")
        click.confirm(f"Erase {'this person' if len(found) == 1 else f'these {len(found)} persons'}?", abort=True)
    requests = [app.erase(person, now(), who()) for person in persons]
    _follow(app, requests)
    receipts = [receipt for number in requests for receipt in app.erasures(number)]
    if as_json:
        emit([receipt.as_json() for receipt in receipts])
        return
    for receipt in receipts:
        _show_receipt(receipt)


def _typed(identifiers: Sequence[str]) -> bool:
    return bool(identifiers) and "-" not in identifiers


def _read(identifiers: Sequence[str]) -> list[str]:
    if _typed(identifiers):
        return list(identifiers)
    lines = sys.stdin.read().splitlines()
    found = [one for one in identifiers if one != "-"] + [line.strip() for line in lines if line.strip()]
    if not found:
        raise LeadupError("There is no identifier.\n  What to do: name one, or write one a line to standard input.")
    return found


def _persons(app: App, identifiers: Sequence[str], kind: str | None) -> list[int]:
    """Whom these identifiers tell; errors name an identifier by its place, since they may end in a log."""
    persons: list[int] = []
    with app.store.read() as connection:
        for place, text in enumerate(identifiers, 1):
            found = identity.find(connection, f"{kind}:{text}" if kind else text, region=app.settings.region)
            if not found:
                raise LeadupError(
                    f"Nobody is known by identifier {place}; nobody was erased.\n"
                    "  What to do: see `leadup explain` with it; whom it told may have been erased before."
                )
            if len(found) > 1:
                several = ", ".join(f"p{person}" for person in found)
                raise LeadupError(
                    f"Identifier {place} tells several persons: {several}; nobody was erased.\n"
                    "  What to do: name one of them, or give her user id, e-mail address or phone number."
                )
            persons += [person for person in found if person not in persons]
    return persons


def _follow(app: App, requests: Sequence[int]) -> None:
    """Watch the daemon at its work; without one, do it here."""
    with progress() as tell:
        if daemon_lives(app):
            until = time.monotonic() + WITHIN
            while set(requests) & set(app.erasing()) and time.monotonic() < until and daemon_lives(app):
                tell("the daemon works on it", None)
                time.sleep(0.1)
            return
        with lease(app.store, "leadup people erase"):
            app.finish_erasing(now(), tell)


def _show_held(one: Held) -> None:
    out.print(f"[bold]p{one.person}[/]")
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(one.identifiers.items()))
    shared = f" ({one.shared} of them others use too: those stay theirs)" if one.shared else ""
    out.print(f"  identifiers: {kinds}{shared}")
    for name, count in one.records.items():
        out.print(f"  {name}: {count}")
    if one.segments:
        out.print(f"  in segments: {', '.join(one.segments)}")
    for target, sure in one.audiences.items():
        out.print(f"  to be taken out of {target} ({sure})")
    for target, count in one.reported.items():
        out.print(f"  stays at {target}: {count} reported")


def _show_receipt(receipt: Receipt) -> None:
    out.print(f"\n[bold]erasure {receipt.id}[/]: {receipt.state}")
    out.print(f"  asked {receipt.asked_at} by {receipt.asked_by}")
    for one in receipt.audiences:
        if one["confirmed_at"]:
            out.print(f"  {one['target']}: {one['outcome'] or 'nothing there'} {one['confirmed_at']}")
        if one["outcome"] == UNTRACED:
            out.print("    her record was deleted there, or merged: if she has another one, take it out by hand")
    for wait in receipt.waits_for:
        out.print(f"  waits for {wait}")
    if receipt.done_at:
        out.print(f"  done {receipt.done_at}")
    if receipt.lifted_at:
        out.print(f"  lifted {receipt.lifted_at}: she may come in again")


@people.command(
    epilog="Examples: leadup people erasures | leadup people erasures 3 --again | leadup people erasures --json"
)
@click.argument("number", type=int, required=False)
@click.option("--again", is_flag=True, help="Send leaves that a vendor refused again now.")
@json_option
@click.pass_context
def erasures(ctx: click.Context, number: int | None, again: bool, as_json: bool) -> None:
    """List requests for erasure with their states, or show one."""
    app = app_of(ctx)
    if again:
        app.erase_on(now(), force=True)
        if not daemon_lives(app):
            with lease(app.store, "leadup people erasures"), progress() as tell:
                app.finish_erasing(now(), tell)
    found: list[Receipt] = app.erasures(number)
    if as_json:
        emit([receipt.as_json() for receipt in found])
        return
    if number is not None:
        for receipt in found:
            _show_receipt(receipt)
    elif found:
        rows: list[tuple[Any, ...]] = [
            (r.id, r.state, r.asked_at, r.asked_by, r.done_at, "; ".join(r.waits_for) or (r.lifted_at and "lifted"))
            for r in found
        ]
        table("erasures", ("#id", "state", "asked", "by", "done", "waits for"), rows)
    if not found:
        err.print("There was no such request." if number is not None else "Nobody was ever erased.")


@people.command("lift", epilog="Example: leadup people lift 3")
@click.argument("number", type=int)
@click.pass_context
def lift_(ctx: click.Context, number: int) -> None:
    """Let whom request NUMBER erased come in again, should a source bring her. What is gone stays gone."""
    app = app_of(ctx)
    with app.store.write() as connection:
        lifted = lift(connection, number, to_us(now()))
    out.print(f"erasure {number} is lifted: {lifted} identifiers are suppressed no more")
