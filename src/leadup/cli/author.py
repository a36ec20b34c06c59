"""``leadup rules new`` and ``leadup rules schema``: what an author begins with."""

from __future__ import annotations

import json
from pathlib import Path

import click

from leadup.cli.base import app_of, err, out, table
from leadup.errors import LeadupError, RuleError, SettingsError
from leadup.rules.loader import load
from leadup.rules.model import json_schema
from leadup.rules.recipes import Recipe, folder, recipes
from leadup.rules.suggest import did_you_mean
from leadup.settings import find_file, load_settings

SCHEMA = "schema/rules.schema.json"
"""Where a rule file looks for the schema, from its own folder."""


@click.command(epilog="Examples: leadup rules new --list | leadup rules new form_abandoned --to rules/forms.yaml")
@click.argument("recipe", required=False)
@click.option("--list", "show", is_flag=True, help="List the recipes.")
@click.option(
    "--to",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Where to write it; - is standard output. Default: RECIPE.yaml in the rules folder.",
)
@click.pass_context
def new(ctx: click.Context, recipe: str | None, show: bool, to: Path | None) -> None:
    """Write a RECIPE as a rule file of your own to start from. Nothing that exists is overwritten."""
    known = recipes()
    if show or recipe is None:
        table("Recipes", ("recipe", "what it is for"), [(one.name, one.title) for one in known.values()])
        out.print("Next: leadup rules new RECIPE")
        return
    if recipe not in known:
        near = did_you_mean(recipe, known)
        raise LeadupError(
            f"There is no recipe {recipe!r}.{' ' * bool(near)}{near}\n  `leadup rules new --list` lists them."
        )
    if to == Path("-"):
        click.echo(known[recipe].beside(SCHEMA), nl=False)
        return
    path = to or _folder(ctx) / f"{recipe}.yaml"
    _write(known[recipe], path)
    _write_lists(recipe, path)
    out.print(f"Wrote {path}. {known[recipe].about}", markup=False)
    _try(ctx, path)


def _folder(ctx: click.Context) -> Path:
    """The first folder of rules that leadup.toml names; without one, ``rules`` here, or here."""
    try:
        roots = load_settings(find_file(ctx.find_root().obj)).rules
    except SettingsError:
        roots = (Path("rules"),)
    return next((root for root in roots if root.is_dir()), Path())


def _write(recipe: Recipe, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(recipe.beside(SCHEMA))
    except OSError as error:
        why = "exists already" if path.exists() else f"can not be written: {error.strerror}"
        raise LeadupError(f"{path} {why}.\n  What to do: name another file with --to.") from None


def _write_lists(recipe: str, path: Path) -> None:
    """Put the recipe's example of each list it names beside it, unless there is such a file already."""
    for example in load([folder() / f"{recipe}.yaml"]).watched:
        beside = path.parent / example.name
        if not beside.exists():
            beside.write_bytes(example.read_bytes())
            out.print(f"Wrote {beside}, an example: put your own people there.", markup=False)


def _try(ctx: click.Context, path: Path) -> None:
    """Say what keeps the new file and the rules that were here from being one set of rules."""
    try:
        app = app_of(ctx)
    except SettingsError:
        out.print(f"Next: edit it, then `leadup rules test {path}`.", markup=False)
        return
    try:
        app.load_rules()
    except RuleError as error:
        err.print(f"Your rules do not load together with it yet:\n{error}", markup=False)
    out.print("Next: edit it, then `leadup rules check` and `leadup rules test`.", markup=False)


@click.command(epilog="Examples: leadup rules schema | leadup rules schema --to rules/schema/rules.schema.json")
@click.option(
    "--to", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write it there, over what is there."
)
def schema(to: Path | None) -> None:
    """Print the JSON Schema of rule files, by which editors complete, explain and check while you type."""
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if to is None:
        click.echo(text, nl=False)
        return
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LeadupError(
            f"{to} can not be written: {error.strerror}.\n  What to do: name another file with --to."
        ) from None
    out.print(f"Wrote {to}.", markup=False)
