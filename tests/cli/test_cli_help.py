"""Every command explains itself, and the reference says the same."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from leadup.cli import main
from leadup.cli.reference import pages

DOCS = Path(__file__).parents[2] / "docs" / "reference"


def commands(command: click.Command, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        return [(path, command)]
    context = click.Context(command)
    found = []
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        found += commands(child, (*path, name))
    return found


ALL = commands(main, ())


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_has_help_and_an_example(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help
    assert command.epilog is not None
    assert "leadup " + " ".join(path) in command.epilog
    assert command.epilog.startswith("Example")


def test_commands_that_answer_with_data_have_json() -> None:
    answering = {
        "demo",
        "sync",
        "plan",
        "status",
        "events import",
        "rules backtest",
        "rules diff",
        "rules preview",
        "rules try",
        "explain",
        "people show",
    }
    with_json = {
        " ".join(path) for path, command in ALL if any("--json" in parameter.opts for parameter in command.params)
    }
    assert answering <= with_json


@pytest.mark.parametrize("name", ["cli.md", "operators.md", "settings.md"])
def test_the_reference_is_fresh(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run `make docs`"
