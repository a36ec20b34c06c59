"""What commands share: the application, progress, tables, JSON."""

from __future__ import annotations

import getpass
import json
import logging
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from leadup.app import App, Tell
from leadup.clock import SystemClock, clock_from_environment
from leadup.errors import LeadupError
from leadup.rules.suggest import did_you_mean
from leadup.settings import find_file, load_settings
from leadup.state.lease import holder

WIDE = 200
"""Columns where nobody looks: a file or a pipe must not lose a word."""
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, soft_wrap=True, width=None if sys.stderr.isatty() else WIDE)

json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON on standard output.")


def app_of(ctx: click.Context, *, secrets: bool = True) -> App:
    """The application of this installation. ``secrets`` False: to look at, see :func:`leadup.settings.load_settings`.

    Raises:
        SettingsError: there is no leadup.toml, or it is wrong.
    """
    config = ctx.find_root().obj
    quiet_log()
    return App(load_settings(find_file(config), secrets=secrets))


def quiet_log(level: int = logging.WARNING) -> None:
    """Log to standard error, as lines of key and value; below ``level`` nothing."""
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a job that still runs is not news
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=False)
            if sys.stderr.isatty()
            else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def daemon_lives(app: App) -> bool:
    """Whether a daemon holds this state: it does what is asked."""
    held = holder(app.store, SystemClock().now())
    return held is not None and held.what == "leadup run"


def now() -> Any:
    """The present instant: the machine's, or the one frozen by ``LEADUP_NOW``."""
    return clock_from_environment().now()


def who() -> str:
    """The person at the keyboard, for the ledger."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def no_segment(name: str, known: Collection[str]) -> LeadupError:
    """Say that the rules have no such segment, which is nearest, and which there are."""
    hint = did_you_mean(name, known)
    return LeadupError(
        f"There is no segment {name!r} in the rules{f'; {hint}' if hint else '.'}\n  There are: {', '.join(known)}."
    )


def emit(data: Any) -> None:
    """Print JSON."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; columns whose name begins with ``#`` are numbers."""
    shown = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    for column in columns:
        shown.add_column(column.lstrip("#"), justify="right" if column.startswith("#") else "left", overflow="fold")
    for row in rows:
        shown.add_row(*("" if cell is None else str(cell) for cell in row))
    out.print(shown)
    out.print()


@contextmanager
def progress(show: bool = True) -> Iterator[Tell]:
    """Show what is being done on standard error, if a person is looking."""
    if not show or not err.is_terminal:
        yield lambda _, __: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def tell(what: str, share: float | None) -> None:
            bar.update(task, description=what, total=None if share is None else 1.0, completed=share or 0.0)

        yield tell


Command = Callable[..., Any]
