"""``leadup run``."""

from __future__ import annotations

import logging

import click

from leadup.cli.base import app_of, quiet_log
from leadup.clock import clock_from_environment


@click.command(epilog="Example: leadup run --standby")
@click.option("--standby", is_flag=True, help="Wait while another daemon holds the state, then take over.")
@click.option("--verbose", is_flag=True, help="Log more.")
@click.pass_context
def run(ctx: click.Context, standby: bool, verbose: bool) -> None:
    """Run the daemon: pull, judge at the next due instant, deliver, poll, until SIGTERM.

    Rule files are read again when they change; a broken edit keeps the last good rules and raises an alert. One daemon
    per state: a second one is refused.
    """
    from leadup.daemon import Daemon

    app = app_of(ctx)
    quiet_log(logging.DEBUG if verbose else logging.INFO)
    Daemon(app, clock_from_environment()).run(standby)
