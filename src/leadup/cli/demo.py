"""``leadup demo``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from leadup.cli.base import emit, err, json_option, out, progress, quiet_log, table
from leadup.clock import parse_instant
from leadup.errors import SettingsError

VENDORS = {"hubspot": "HubSpot", "google_ads": "Google"}
MOST_SHOWN = 10
"""Differences shown of one comparison."""


@click.command(
    epilog="Examples: leadup demo | leadup demo --faults | leadup demo --seed 7 --json | leadup demo --keep my-demo"
)
@click.option("--seed", default=1, show_default=True, help="Another seed invents other visitors.")
@click.option("--visitors", type=click.IntRange(20, 5_000), default=150, show_default=True, help="About how many.")
@click.option(
    "--keep", type=click.Path(path_type=Path), metavar="FOLDER", help="Keep the installation, in a new folder."
)
@click.option(
    "--faults", is_flag=True, help="In bad weather: limits, lost answers, calls that hang, tokens that expire, kills."
)
@json_option
@click.pass_context
def demo(ctx: click.Context, seed: int, visitors: int, keep: Path | None, faults: bool, as_json: bool) -> None:
    """Show the whole product offline, on an invented B2B site.

    Thirty days of visitors go the way they go in production, but for a clock that jumps: GA4 exports each day in the
    night after it and rewrites it twice, a tag server sends forms and logins at once, the CRM writes files, deals are
    won in HubSpot; the daemon's own jobs judge and deliver, and audiences, conversions and properties reach emulators
    of HubSpot and Google Ads by the vendors' own SDKs. The daemon is killed on the way. What the emulators hold, and
    when each member came and went, is compared with the truth, which is known beforehand.

    With --faults every vendor is in trouble now and then; the end must be the same.

    Exit code 1: there is a difference; each is printed.
    """
    from leadup.demo.check import check
    from leadup.demo.play import played
    from leadup.demo.summary import summary
    from leadup.demo.world import make_world

    quiet_log()
    began = time.monotonic()
    world = make_world(seed, visitors)
    with _folder(keep) as folder, progress(not as_json) as tell, played(world, folder, tell, faults=faults) as result:
        answer = summary(result, check(result, moves=not faults), time.monotonic() - began)
    if as_json:
        emit(answer)
    else:
        _show(answer)
        if keep is not None:
            out.print(f"\nLook around: leadup --config {keep} explain {world.heroine.email}")
    if not answer["holds"]:
        ctx.exit(1)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="leadup-demo-") as folder:
            yield Path(folder)
        return
    if keep.exists():
        raise SettingsError(f"{keep.resolve()} exists already.\n  What to do: name a folder that does not.")
    keep.mkdir(parents=True)
    yield keep


def _show(answer: dict[str, Any]) -> None:
    out.print(
        f"[bold]{answer['visitors']} visitors of an invented site[/], {answer['from']} to {answer['to']}, "
        f"{answer['turns']} turns of the daemon in {answer['seconds']} s, killed {answer['kills']} times"
        + (f", vendors in trouble {answer['faults']} times.\n" if answer["faults"] else ".\n")
    )
    _show_input(answer)
    rows = [
        (one["segment"], VENDORS[one["at"]], *one["waterfall"].values(), one["there"], one["joins"], one["leaves"])
        for one in answer["audiences"]
    ]
    steps = ("#holds", "#identifier", "#consent", "#not\nheld out", "#accepted")
    table(f"Audiences on {answer['to']}", ("segment", "at", *steps, "#there", "#joins", "#leaves"), rows)
    rows = [
        (one["conversion"], one["count"], one["by_click"], f"{one['minor'] / 100:,.2f} {one['currency']}")
        for one in answer["conversions"]
    ]
    table("Conversions, as Google holds them", ("conversion", "#count", "#by click", "#value"), rows)
    _show_story(answer["story"])
    _show_checks(answer)


def _show_input(answer: dict[str, Any]) -> None:
    rows = [(one["connection"], one["events"], one["rejected"]) for one in answer["came_in"]]
    table("What came in", ("by way of", "#events", "#rejected"), rows)
    for one in answer["rejected"]:
        out.print(f"rejected: {one['place']}: {one['reason']}", markup=False)
    out.print()


def _show_story(story: list[dict[str, str]]) -> None:
    """Print the story, folded to the width of the terminal."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        grid.add_column(overflow="fold")
    for one in story:
        deeds = {"she": "Ada {what}", "hubspot": "HubSpot: {what}", "google": "Google {what}"}
        deed = deeds.get(one["who"], "{what}").format(what=one["what"])
        style = "" if one["who"] == "she" else "bold"
        grid.add_row(Text(f"{parse_instant(one['at']):%d %b %H:%M:%S}"), Text(deed, style), Text(one["why"], "dim"))
    out.print("[bold]Ada's story[/], in UTC")
    out.print(grid, soft_wrap=False)
    out.print()


def _show_checks(answer: dict[str, Any]) -> None:
    out.print("[bold]Compared with the truth[/]")
    for one in answer["checks"]:
        mark = "[bold red]WRONG[/]" if one["differences"] else "[green]right[/]"
        out.print(f"{mark}  {one['what']}: {one['found']}")
        for difference in one["differences"][:MOST_SHOWN]:
            err.print(f"       {difference}", markup=False)
        if len(one["differences"]) > MOST_SHOWN:
            err.print(f"       and {len(one['differences']) - MOST_SHOWN} more")
