"""Writes ``docs/reference/cli.md`` from the commands themselves: ``python -m leadup.cli.reference``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from leadup.cli import EXIT_CODES, main

WIDTH = 100


def reference() -> str:
    """The reference page of the command line, in Markdown."""
    parts = ["# The command line", "", "Made by `make docs` from the commands' own help; a test keeps it fresh.", ""]
    parts += [" ".join(EXIT_CODES.split()), ""]
    for path, text in _helps(main, ["leadup"]):
        parts += [f"## {' '.join(path)}", "", "```text", text, "```", ""]
    return "\n".join(parts)


def _helps(command: click.Command, path: list[str]) -> Iterator[tuple[list[str], str]]:
    context = click.Context(command, info_name=" ".join(path), max_content_width=WIDTH, terminal_width=WIDTH)
    yield path, command.get_help(context).rstrip()
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _helps(child, [*path, name])


if __name__ == "__main__":
    click.echo(reference(), nl=False)
