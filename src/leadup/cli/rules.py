"""``leadup rules``: check, test, preview, try; the commands for beginning are in :mod:`leadup.cli.author`."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from click import Context
from sqlalchemy import func, select

from leadup import registry
from leadup.app import App
from leadup.cli.author import new, schema
from leadup.cli.base import app_of, emit, err, json_option, no_segment, now, out, progress, table
from leadup.cli.options import country
from leadup.cli.whatif import backtest, diff
from leadup.clock import parse_instant
from leadup.engine.testing import run as run_tests
from leadup.errors import LeadupError, SettingsError
from leadup.identity import people
from leadup.insights.explain import show_identifier
from leadup.insights.open import provisional_members
from leadup.insights.rehearsal import try_rules
from leadup.insights.status import stages
from leadup.kit import Connector
from leadup.outgoing import Use
from leadup.records import read_jsonl
from leadup.rules.evidence import Asked, Evidence, doubts
from leadup.rules.loader import Rules, load
from leadup.rules.visits import VISIT
from leadup.settings import find_file
from leadup.state.tables import consents, memberships
from leadup.types import Purpose, to_us

paths_argument = click.argument("paths", nargs=-1, metavar="[FILE|FOLDER...]", type=click.Path(path_type=Path))


@click.group()
def rules() -> None:
    """Check, test, preview and try rules."""


for _command in (backtest, diff, new, schema):
    rules.add_command(_command)


def _load(ctx: Context, paths: Sequence[Path]) -> tuple[Rules, App | None]:
    """Load the given files, or those of leadup.toml; with a leadup.toml at hand, connections are checked too."""
    app: App | None = None
    try:
        find_file(ctx.find_root().obj)
    except SettingsError:
        if not paths:
            raise
    else:
        app = app_of(ctx, secrets=False)
    if not paths:
        assert app is not None
        return app.load_rules(), app
    names = [n for n, c in app.settings.connections.items() if c.connector.destination] if app else None
    region = app.settings.region if app else None
    kept = {name: span for name in registry.names() if (span := registry.find(name).restates_for) is not None}
    limits = {name: span // timedelta(microseconds=1) for name, span in kept.items()} | (app.limits if app else {})
    return load(list(paths), names if _belongs(app, paths) else None, region=region, limits=limits), app


def _belongs(app: App | None, paths: Sequence[Path]) -> bool:
    """Whether all these files are among those that leadup.toml names."""
    if app is None:
        return False
    roots = app.settings.rules
    return all(any(path.resolve() == root or root in path.resolve().parents for root in roots) for path in paths)


def _connectors(app: App | None) -> dict[str, Connector]:
    """By name, the connections of leadup.toml; and each connector by its own name, for who has no connection of it."""
    known = {name: registry.find(name) for name in registry.names()}
    return known | ({name: one.connector for name, one in app.settings.connections.items()} if app else {})


def _seen(app: App) -> Evidence:
    """What this installation has seen so far."""
    with app.store.read() as connection:
        sizes = select(memberships.c.segment, func.count()).group_by(memberships.c.segment)
        granted = connection.scalars(select(consents.c.purpose).where(consents.c.granted).distinct())
        members: dict[str, int] = {row[0]: row[1] for row in connection.execute(sizes)}
        return Evidence(events=app.log.names(connection), granted=frozenset(map(Purpose, granted)), members=members)


@rules.command(epilog="Examples: leadup rules check | leadup rules check rules/hot.yaml")
@paths_argument
@click.pass_context
def check(ctx: Context, paths: Sequence[Path]) -> None:
    """Check that rules load, and against what has come in: names, cycles, unreachable conditions, events never seen,
    consent nobody gave, audiences too small to serve. Needs no secrets."""
    loaded, app = _load(ctx, paths)
    warnings = list(loaded.warnings)
    if app is not None and app.settings.state_folder.exists():
        asked = {
            name: Asked(purposes=one.connector.purposes, serves_from=one.connector.serves_from)
            for name, one in app.settings.connections.items()
        }
        warnings += doubts(loaded, _seen(app), asked)
    for warning in warnings:
        err.print(f"warning: {warning}", markup=False)
    program = loaded.program
    out.print(
        f"{len(loaded.files)} file{'s' * (len(loaded.files) != 1)} good: "
        f"{len(program.patterns.keys() - {VISIT})} patterns, "
        f"{len(program.scores)} scores, {len(program.segments)} segments, {len(program.conversions)} conversions, "
        f"{len(loaded.tests)} tests"
    )


@rules.command(epilog="Examples: leadup rules test | leadup rules test rules/demo.yaml")
@paths_argument
@click.pass_context
def test(ctx: Context, paths: Sequence[Path]) -> None:
    """Run the tests that stand in the rule files."""
    loaded, app = _load(ctx, paths)
    known, nothing = _connectors(app), frozenset[Purpose]()
    needed = {name: one.purposes.get(Use.AUDIENCE, nothing) for name, one in known.items()}
    unless_denied = {name: one.unless_denied.get(Use.AUDIENCE, nothing) for name, one in known.items()}
    results = run_tests(loaded, needed, unless_denied)
    for result in results:
        out.print(f"{'ok    ' if result.passed else 'FAILED'} {result.name}", markup=False)
        for failure in result.failures:
            err.print(f"       {failure}", markup=False)
    failed = sum(not result.passed for result in results)
    out.print(f"{len(results) - failed} passed, {failed} failed")
    if failed:
        ctx.exit(1)


@rules.command(epilog="Example: leadup rules preview watched_no_demo")
@click.argument("segment")
@click.option("--sample", default=10, show_default=True, help="So many of those who join, leave and stay are shown.")
@json_option
@click.pass_context
def preview(ctx: Context, segment: str, sample: int, as_json: bool) -> None:
    """Show what the rules on disk would make of a SEGMENT now, without letting them go live.

    The waterfall by target, and a sample of who would join, leave and stay.
    """
    app = app_of(ctx)
    if segment not in app.rules.program.segments:
        raise no_segment(segment, app.rules.program.segments)
    with progress(not as_json) as tell:
        answer = _preview(app, segment, sample, tell)
    if as_json:
        emit(answer)
        return
    for one in answer["targets"]:
        falls = " -> ".join(f"{name} {count}" for name, count in one["waterfall"].items())
        changes = ", ".join(f"{count} would {verb}" for verb, count in one["changes"].items()) or "no change"
        out.print(f"{one['target']}: {falls}; {changes}")
        if one["guard"]:
            err.print(f"  a guard would hold this: {one['guard']}")
    open_ = f" ({answer['provisional']} of them provisional)" if answer["provisional"] else ""
    title = f"{segment}: {answer['members']} members{open_}, {answer['joins']} join and {answer['leaves']} leave"
    table(
        title, ("person", "known by", ""), [(one["person"], one["known_by"], one["what"]) for one in answer["sample"]]
    )


def _preview(app: App, segment: str, sample: int, tell: Any) -> dict[str, Any]:
    query = select(memberships.c.person).where(memberships.c.segment == segment)
    with app.judging, app.store.rehearsal():
        with app.store.read() as connection:
            before = set(connection.scalars(query))
        app.go_live(app.rules, now())
        ticked = app.tick(now(), tell)
        plans = {planned.target.id: planned for planned in ticked.plans}
        with app.store.read() as connection:
            members = set(connection.scalars(query))
            open_ = provisional_members(connection, app.rules.program, [segment], to_us(now()), app.feeds)[segment]
            kinds = {"joins": members - before, "leaves": before - members, "stays": members & before}
            shown = [(person, what) for what, found in kinds.items() for person in sorted(found)[:sample]]
            strongest = people.strongest(connection, [person for person, _ in shown])
            targets = [
                {
                    "target": target.target.key,
                    "waterfall": stages(connection, target),
                    "changes": dict(plans[target.id].changes),
                    "guard": trip.text if (trip := plans[target.id].trip) else None,
                }
                for target in app.targets()
                if target.target.name == segment and target.target.use is Use.AUDIENCE and target.active
            ]
    return {
        "segment": segment,
        "members": len(members),
        "provisional": open_,
        "joins": len(kinds["joins"]),
        "leaves": len(kinds["leaves"]),
        "targets": targets,
        "sample": [
            {
                "person": f"p{person}",
                "known_by": show_identifier(strongest[person].kind, strongest[person].value),
                "what": what,
            }
            for person, what in shown
        ],
    }


@rules.command("try", epilog="Example: leadup rules try rules/demo.yaml events.jsonl --at 2026-03-15T12:00:00Z --json")
@click.argument("rule_file", metavar="RULES", type=click.Path(exists=True, path_type=Path))
@click.argument("event_file", metavar="EVENTS", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--at", "at_text", required=True, metavar="INSTANT", help="Judge at this instant, e.g. 2026-03-15T12:00Z."
)
@click.option("--region", callback=country, help="Country (ISO 3166) of phone numbers without a country code.")
@json_option
@click.pass_context
def try_(ctx: Context, rule_file: Path, event_file: Path, at_text: str, region: str | None, as_json: bool) -> None:
    """Judge RULES over EVENTS (the documented JSONL, plain or gzipped) at an instant, with no state at all.

    Members are verdicts after `exclude` and groups, named by their strongest identifier; `until` is the instant up to
    which the verdict stands by itself (null: for good). Consent does not apply.
    """
    try:
        at = parse_instant(at_text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from None
    loaded = load([rule_file], region=region)
    try:
        with _opened(event_file) as lines:
            records, rejected = read_jsonl(lines, source="try", place=event_file.name)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise LeadupError(f"{event_file} is a damaged gzip file ({error}); write or fetch it again") from None
    for one in rejected:
        err.print(f"{one.place}:{one.line}: {one.reason}", markup=False)
    answer = try_rules(loaded.program, records, at, region, loaded.lists)
    if as_json:
        emit(answer)
    else:
        for name, segment in answer["segments"].items():
            rows = [(member["person"], member["until"] or "for good") for member in segment["members"]]
            table(f"{name}: {len(rows)} of {answer['people']} people", ("person", "until"), rows)
    if rejected:
        err.print(f"{len(rejected)} of {len(rejected) + len(records)} lines could not be read; they are listed above.")
        ctx.exit(1)


def _opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """Open a file that may be gzipped; its first bytes say so."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")
