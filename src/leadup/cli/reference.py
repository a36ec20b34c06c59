"""Writes the reference of commands and settings: ``python -m leadup.cli.reference docs/reference``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from leadup import registry
from leadup.cli import EXIT_CODES, examples, main
from leadup.settings import DaemonSettings, FileSettings, GuardSettings, StateSettings, WebSettings, is_secret

WIDTH = 100
MADE = "Made by `make docs` from the code; a test keeps it fresh."


def pages() -> dict[str, str]:
    """The generated pages by file name."""
    return {"cli.md": commands(), "operators.md": examples.page(), "settings.md": settings()}


def commands() -> str:
    """The reference of the command line."""
    parts = ["# The command line", "", MADE, "", " ".join(EXIT_CODES.split()), ""]
    for path, text in _helps(main, ["leadup"]):
        parts += [f"## {' '.join(path)}", "", "```text", text, "```", ""]
    return "\n".join(parts)


def _helps(command: click.Command, path: list[str]) -> Iterator[tuple[list[str], str]]:
    context = click.Context(
        command,
        info_name=" ".join(path),
        max_content_width=WIDTH,
        terminal_width=WIDTH,
        help_option_names=list(main.context_settings["help_option_names"]),
    )
    yield path, "\n".join(line.rstrip() for line in command.get_help(context).rstrip().splitlines())
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _helps(child, [*path, name])


def settings() -> str:
    """The reference of ``leadup.toml``."""
    parts = ["# Settings: leadup.toml", "", MADE, ""]
    parts += [
        "The file is looked for in `--config`, `LEADUP_CONFIG`, then in this folder and those above it. A field of a",
        "connection may come from the environment instead, as `LEADUP_<CONNECTION>_<FIELD>`; a secret must, or from",
        'the file that `<field>_file = "path"` names. `LEADUP_KEY` holds the key for e-mail addresses (else',
        "`leadup.key` in the state's folder); `LEADUP_NOW` freezes the clock for a rehearsal.",
        "",
    ]
    tables: list[tuple[str, type[BaseModel]]] = [
        ("top of the file", FileSettings),
        ("[state]", StateSettings),
        ("[daemon], in seconds", DaemonSettings),
        ("[guards]", GuardSettings),
        ("[web]", WebSettings),
    ]
    for name in registry.names():
        connector = registry.find(name)
        tables.append((f'[connections.NAME], type = "{name}": {connector.summary}', registry.load(connector.settings)))
    for title, model in tables:
        parts += [f"## {title}", "", "| setting | default | what it does |", "| --- | --- | --- |"]
        parts += [_row(name, info) for name, info in model.model_fields.items() if not _is_table(info)]
        parts.append("")
    return "\n".join(parts)


def _row(name: str, info: FieldInfo) -> str:
    secret = is_secret(info.annotation)
    default = "**required**" if info.is_required() else f"`{info.get_default(call_default_factory=True)!r}`"
    if not info.is_required() and isinstance(info.get_default(call_default_factory=True), BaseModel):
        default = "see the connector's page"
    text = " ".join((info.description or "").replace("``", "`").split()).replace("|", "\\|")
    return f"| `{name}`{' (secret)' if secret else ''} | {default.replace('|', chr(92) + '|')} | {text} |"


def _is_table(info: FieldInfo) -> bool:
    return info.annotation in (StateSettings, DaemonSettings, GuardSettings, WebSettings)


if __name__ == "__main__":
    for file_name, page in pages().items():
        (Path(sys.argv[1]) / file_name).write_text(page, encoding="utf-8")
