"""``leadup demo``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from leadup.cli.base import emit, err, json_option, out, progress, quiet_log, table
from leadup.demo.check import Checked, check
from leadup.demo.play import ACTIONS, Played, played
from leadup.demo.visitors import BEGIN, END
from leadup.demo.world import make_world
from leadup.errors import SettingsError
from leadup.identity import people
from leadup.insights.explain import explain
from leadup.insights.status import status
from leadup.types import to_us


@click.command(epilog="Examples: leadup demo | leadup demo --seed 7 --json | leadup demo --keep ./demo")
@click.option("--seed", default=1, show_default=True, help="Another seed is another set of visitors.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the installation in this new folder.")
@json_option
@click.pass_context
def demo(ctx: click.Context, seed: int, keep: Path | None, as_json: bool) -> None:
    """Show the whole product offline, on an invented B2B site.

    Four weeks of visitors go through the same flow as in production, with a clock that jumps: event files are dropped
    into a watched folder, rules judge, and audiences, conversions and properties reach emulators of HubSpot and Google
    Ads by the vendors' own SDKs. In the end what the emulators hold is compared with the truth, which is known
    beforehand; a difference ends with exit code 1.
    """
    quiet_log()
    began = time.monotonic()
    world = make_world(seed)
    with _folder(keep) as folder, progress(not as_json) as tell, played(world, folder, tell) as result:
        checks = check(result)
        answer = _summary(result, checks, time.monotonic() - began)
    if as_json:
        emit(answer)
    else:
        _show(answer)
    if not all(one.holds for one in checks):
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


def _summary(result: Played, checks: list[Checked], seconds: float) -> dict[str, Any]:
    world, app = result.world, result.app
    with app.store.read() as connection:
        stands = status(connection)
        [ada] = people.find(connection, world.heroine.email)
        story = explain(connection, app.rules.program, ada, list(app.rules.program.segments), to_us(END))
    held = result.google.state()["conversions"]
    names = {action: name for name, action in ACTIONS.items()}
    return {
        "from": BEGIN.date().isoformat(),
        "to": END.date().isoformat(),
        "seconds": round(seconds, 1),
        "visitors": len(world.visitors),
        "events": world.events,
        "people": stands["people"],
        "ticks": result.ticks,
        "rejected": len(world.rejected),
        "audiences": [
            {"target": one["target"], "name": one["remote_name"], **one["waterfall"]} for one in stands["audiences"]
        ],
        "conversions": [
            {
                "conversion": names[action],
                "count": len(ones),
                "value": round(sum(one["value"] for one in ones.values()), 2),
            }
            for action, ones in held.items()
        ],
        "checks": [{"what": c.what, "found": c.found, "differences": list(c.differences)} for c in checks],
        "story": _story(result, story),
    }


def _story(result: Played, told: dict[str, Any]) -> list[dict[str, str]]:
    """What Ada did, and what came of it, in the order of time."""
    her = result.world.heroine
    lines = [(str(event["at"]), "did", _did(event)) for event in her.events]
    lines += [(str(line["at"]), "did", "becomes a customer" if "facts" in line else "deal won") for line in her.told]
    for name, segment in told["segments"].items():
        lines += [(one["at"], "leadup", f"{one['what']} {name}: {one['why']}") for one in segment["history"]]
    for one in told["conversions"]:
        value = f"{one['minor'] / 100:,.2f} {one['currency']}"
        lines.append((one["at"], "google", f"conversion {one['conversion']} worth {value}, reported once"))
    return [{"at": at, "who": who, "what": what} for at, who, what in sorted(lines)]


def _did(event: dict[str, Any]) -> str:
    details = " ".join(str(value) for value in event["properties"].values())
    return f"{event['name']} {details}".strip()


def _show(answer: dict[str, Any]) -> None:
    out.print(
        f"[bold]{answer['visitors']} visitors of an invented site[/], {answer['from']} to {answer['to']}: "
        f"{answer['events']:,} events of {answer['people']} people, judged at {answer['ticks']} instants "
        f"in {answer['seconds']} s, {answer['rejected']} rows rejected\n"
    )
    rows = [tuple(one.values()) for one in answer["audiences"]]
    columns = ("audience", "called there", "#holds", "#identifier", "#consent", "#not held out", "#accepted")
    table("Audiences", columns, rows)
    rows = [(one["conversion"], one["count"], f"{one['value']:,.2f} EUR") for one in answer["conversions"]]
    table("Conversions, as Google holds them", ("conversion", "#count", "#value"), rows)
    rows = [(one["at"].replace("T", " ").replace("Z", ""), one["who"], one["what"]) for one in answer["story"]]
    table("Ada's story", ("", "", ""), rows)
    for one in answer["checks"]:
        mark = "[green]ok[/]" if not one["differences"] else "[red]WRONG[/]"
        out.print(f"{mark}  {one['what']}: {one['found']}")
        for difference in one["differences"][:10]:
            err.print(f"      {difference}", markup=False)
