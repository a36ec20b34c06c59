"""The command line. Commands are loaded when they are called, so that ``leadup --help`` answers at once."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from leadup.errors import LeadupError

COMMANDS = {
    "init": ("leadup.cli.setup:init", "Write leadup.toml and first rules, from your own data if you like."),
    "demo": ("leadup.cli.demo:demo", "Show the whole product offline, on an invented B2B site."),
    "run": ("leadup.cli.run:run", "Run the daemon."),
    "sync": ("leadup.cli.sync:sync", "Pull, judge, plan and deliver once, now."),
    "plan": ("leadup.cli.sync:plan", "Show what waits to be sent, and what a guard holds."),
    "status": ("leadup.cli.status:status", "Show what stands where, and what is wrong."),
    "doctor": ("leadup.cli.doctor:doctor", "Say what is wrong with the installation, and what to do."),
    "reconcile": ("leadup.cli.reconcile:reconcile", "Show where every row of a destination is, and why."),
    "events": ("leadup.cli.events:events", "Import event files."),
    "rules": ("leadup.cli.rules:rules", "Check, test, preview and try rules."),
    "explain": ("leadup.cli.explain:explain", "Say why a person is in or out, and what comes next."),
    "identity": ("leadup.cli.identity:identity", "Show how a vendor reads an identifier."),
    "people": ("leadup.cli.people:people", "Show persons, and erase them."),
    "sandbox": ("leadup.cli.sandbox:sandbox", "Serve the vendors' emulators on this machine."),
}

EXIT_CODES = """Exit codes: 0 done, 1 failed, 2 wrong usage, 3 rules do not load, 4 a setting is missing or wrong,
5 a vendor can not answer now, 6 a person has to act, 7 a vendor refused, 8 another process holds the state,
9 a guard holds a plan, 10 not healthy (status --health)."""


class Lazy(click.Group):
    """A group whose commands are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *_connectors()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            from leadup.cli.connectors import group

            return group(cmd_name)
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS and args[0] not in _connectors():
            from difflib import get_close_matches

            near = get_close_matches(args[0], [*COMMANDS, *_connectors()], n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])
        # They are not listed: that would load every connector.
        formatter.write_paragraph()
        formatter.write_text("Connectors bring commands of their own, by their names: leadup google-ads --help.")


def _connectors() -> list[str]:
    from leadup.cli.connectors import names

    return names()


class Root(Lazy):
    """Turns our errors into a sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LeadupError as error:
            click.echo(str(error), err=True)
            sys.exit(error.exit_code)


@click.group(cls=Root, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="leadup")
@click.option("--config", metavar="FILE", help="The leadup.toml to use. Default: LEADUP_CONFIG, else the nearest one.")
@click.pass_context
def main(ctx: click.Context, config: str | None) -> None:
    """leadup acts on what leads up to a conversion.

    It pulls micro conversions from analytics, resolves them to people, judges them by rules, and sends audiences and
    conversion values to HubSpot and Google Ads.

    Start with: leadup demo, or leadup init --from events.csv
    """
    ctx.obj = config
