"""Commands that connectors bring along: ``leadup google-ads``. The core knows none of them by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import click

from leadup import registry
from leadup.errors import SettingsError
from leadup.kit import Connector
from leadup.outgoing import Target, Use
from leadup.types import Json


def names() -> list[str]:
    """What these commands are called: connectors that have some, with ``-`` for ``_``."""
    return [name.replace("_", "-") for name in registry.names() if registry.find(name).commands]


def group(name: str) -> click.Group | None:
    """Return the commands of one connector by that name; None: it has none."""
    if name not in names():
        return None
    connector = registry.find(name.replace("-", "_"))
    brought: click.Group = registry.load(connector.commands)

    @click.pass_context
    def sit_down(ctx: click.Context, connection: str | None) -> None:
        ctx.obj = AtDesk(ctx, connector, connection)

    option = click.Option(
        ["--connection"], metavar="NAME", help=f"Which connection of type {connector.name}, if there are several."
    )
    return click.Group(
        name,
        commands=brought.commands,
        callback=sit_down,
        params=[*brought.params, option],
        help=brought.help,
        short_help=brought.short_help,
        epilog=brought.epilog,
    )


class AtDesk:
    """A :class:`leadup.kit.Desk` in this installation."""

    def __init__(self, ctx: click.Context, connector: Connector, chosen: str | None) -> None:
        self._ctx = ctx
        self._connector = connector
        self._chosen = chosen

    @cached_property
    def connection(self) -> str:
        configured = self._app.settings.connections.items()
        there: list[str] = [name for name, c in configured if c.connector.name == self._connector.name]
        if self._chosen is None and len(there) == 1:
            return there[0]
        if self._chosen in there:
            return str(self._chosen)
        file, kind = self._app.settings.path, self._connector.name
        if not there:
            raise SettingsError(
                f"{file} has no connection of type {kind!r}.\n  What to do: add [connections.{kind}] to it."
            )
        wrong = "has several connections" if self._chosen is None else f"has no connection {self._chosen!r}"
        raise SettingsError(f"{file} {wrong} of type {kind!r}.\n  What to do: --connection {' or '.join(there)}.")

    @property
    def settings(self) -> Any:
        return self._app.settings.connections[self.connection].settings

    @property
    def now(self) -> datetime:
        from leadup.cli.base import now

        instant: datetime = now()
        return instant

    @cached_property
    def conversions(self) -> Mapping[Target, bool]:
        program = self._app.rules.program
        return {
            Target(
                connection=self.connection,
                use=Use.CONVERSION,
                name=conversion.name,
                remote_name=activation.called(conversion.name),
            ): not all(program.patterns[pattern].macro for pattern in conversion.patterns)
            for conversion in program.conversions.values()
            for activation in conversion.activate
            if activation.connection == self.connection
        }

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        from leadup.cli.base import table

        table(title, columns, rows)

    def say(self, text: str) -> None:
        from leadup.cli.base import out

        out.print(text, markup=False)

    def emit(self, data: Json) -> None:
        from leadup.cli.base import emit

        emit(data)

    @cached_property
    def _app(self) -> Any:
        from leadup.cli.base import app_of

        return app_of(self._ctx)
