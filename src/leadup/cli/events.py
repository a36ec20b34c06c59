"""``leadup events``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from leadup.app import App
from leadup.cli.base import app_of, emit, err, json_option, now, out, progress
from leadup.errors import SettingsError
from leadup.pipeline import Taken
from leadup.settings import Connection, connect
from leadup.types import Page


@click.group()
def events() -> None:
    """Import event files."""


@events.command(
    "import", epilog="Examples: leadup events import events.jsonl | leadup events import old/*.csv --as shop"
)
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as", "name", metavar="CONNECTION", help="Read with the mapping of this connection (type `files`).")
@json_option
@click.pass_context
def import_(ctx: click.Context, files: Sequence[Path], name: str | None, as_json: bool) -> None:
    """Import event FILES: CSV, JSONL or Parquet, plain or gzipped.

    Without --as the file is leadup's own JSONL. An import that was interrupted goes on where it stopped when it is run
    again, and an event that is known already is not taken twice. Rows that can not be read are counted and kept, with
    file, line and reason, under `rejects` in the state folder.
    """
    app, taken = app_of(ctx), Taken()
    app.go_live(app.rules, now())
    with progress(not as_json) as tell:
        for file in files:
            connection = _connection(app, name, file)

            def on_page(page: Page, file: Path = file) -> None:
                tell(f"reading {file.name}", page.progress)

            source = app.source(connection)
            source.check()
            place = f"{connection.name} ({file.resolve()})"
            taken += app.pipeline.pull(place, source, now(), on_page)
    rejects = app.write_rejects() if taken.rejected else None
    if as_json:
        emit({**{key: getattr(taken, key) for key in taken.__slots__}, "rejects": str(rejects) if rejects else None})
        return
    out.print(
        f"{taken.new} new events, {taken.revised} revised, {taken.same} known before, {taken.facts} facts, "
        f"{taken.nobody} that tell nobody, {taken.rejected} rejected"
    )
    if rejects:
        err.print(f"The rejected rows, with line and reason, are in {rejects}.")


def _connection(app: App, name: str | None, file: Path) -> Connection:
    """The connection whose mapping reads the file, pointed at it."""
    if name is None:
        return connect("import", {"type": "files", "path": str(file.resolve()), "settle": 0.0}, str(app.settings.path))
    known = app.settings.connections.get(name)
    if known is None or known.connector.name != "files":
        names = [n for n, c in app.settings.connections.items() if c.connector.name == "files"]
        raise SettingsError(
            f"{app.settings.path}: there is no connection {name!r} of type `files`. There are: {', '.join(names)}."
        )
    return Connection(
        name, known.connector, known.settings.model_copy(update={"path": str(file.resolve()), "settle": 0.0})
    )
