"""``leadup identity``: how a vendor reads an identifier."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import BinaryIO

import click

from leadup import registry
from leadup.cli.options import country
from leadup.errors import SettingsError
from leadup.kit import Connector, clip, decode_line, did_you_mean
from leadup.normal import NormalForm, Normaliser, Unusable
from leadup.records import LINE_LIMIT
from leadup.settings import Settings, find_file, load_settings

WIDTH = 32
"""Columns of what was given, where a person reads."""


@click.group()
def identity() -> None:
    """Show how a vendor reads an identifier."""


@identity.command(
    "normalise",
    epilog="Examples: leadup identity normalise email Ann.Lee+x@gmail.com --for google_ads | "
    "leadup identity normalise phone --for google_ads --region DE --json < phones.txt",
)
@click.argument("kind")
@click.argument("values", metavar="[VALUE]...", nargs=-1)
@click.option("--for", "vendor", metavar="NAME", required=True, help="A connector, or a connection of leadup.toml.")
@click.option(
    "--region",
    metavar="CC",
    callback=country,
    help="Country (ISO 3166) of phone numbers without a country code. Default: `region` of leadup.toml.",
)
@click.option("--encoding", type=click.Choice(["hex", "base64"]), default="hex", show_default=True, help="Of the hash.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object a line.")
@click.pass_context
def normalise(
    ctx: click.Context,
    kind: str,
    values: Sequence[str],
    vendor: str,
    region: str | None,
    encoding: str,
    as_json: bool,
) -> None:
    """Show the normal form and the SHA-256 of each VALUE of a KIND, or why the vendor would not take it.

    KIND is email, phone, given_name, family_name, country_code or postal_code. Without VALUE the lines of standard
    input are read; each is answered by one line, at once and in order, an empty one too. A value that is a SHA-256
    already (hex or base64) passes as it is. What the vendor takes in the clear has no hash (null in JSON).

    Nothing is stored or sent. The exit code is 1 if a value was refused.
    """
    form = _form(ctx, kind, vendor)
    if region is None and kind == "phone":
        settings = _settings(ctx)
        region = settings.region if settings else None
    stdin = sys.stdin.buffer if sys.stdin else BytesIO()  # there is none where it was closed
    given = enumerate(values, 1) if values else _lines(stdin)
    if not values and stdin.isatty():
        click.echo("Reading values from the terminal, one a line; Ctrl-D ends.", err=True)
    refused = False
    for number, value in given:
        text: str | bytes = value
        try:
            text = value if isinstance(value, str) else _decoded(number, value)
            answer: NormalForm | Unusable = form(text, region)
        except Unusable as error:
            answer = error
        refused |= isinstance(answer, Unusable)
        shown = clip(text).encode("utf-8", "backslashreplace").decode()
        click.echo(_json(shown, answer, encoding) if as_json else _text(shown, answer, encoding))
    if refused:
        ctx.exit(1)


def _form(ctx: click.Context, kind: str, vendor: str) -> Normaliser:
    """Find the function of the connector; a usage error says what there is."""
    connector = _connector(ctx, vendor)
    if connector is None or not connector.identifiers:
        able = [name for name in registry.names() if registry.find(name).identifiers]
        why = f"{vendor!r} has no normal forms of its own" if connector else f"there is no {vendor!r}"
        hint = did_you_mean(vendor, able) or "."
        raise click.BadParameter(f"{why}{hint} Those that have: {', '.join(able)}.", param_hint="--for")
    forms: Mapping[str, Normaliser] = registry.load(connector.identifiers)
    if kind not in forms:
        hint = did_you_mean(kind, forms) or "."
        raise click.BadParameter(f"{kind!r} is no kind{hint} {vendor} has: {', '.join(forms)}.", param_hint="KIND")
    return forms[kind]


def _connector(ctx: click.Context, name: str) -> Connector | None:
    if name in registry.names():
        return registry.find(name)
    settings = _settings(ctx)
    found = settings.connections.get(name) if settings else None
    return found.connector if found else None


def _settings(ctx: click.Context) -> Settings | None:
    """The settings, if this is a place that has some; a file that was asked for must be there."""
    config = ctx.find_root().obj
    asked = bool(config or os.environ.get("LEADUP_CONFIG"))
    try:
        path = find_file(config)
    except SettingsError:
        if asked:
            raise
        return None
    return load_settings(path, secrets=False)


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Number the lines, as they come; of one that is too long only the beginning is kept."""
    number = 0
    while line := stream.readline(LINE_LIMIT + 1):
        number += 1
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(LINE_LIMIT)
        yield number, line.removesuffix(b"\n").removesuffix(b"\r")


def _decoded(number: int, line: bytes) -> str:
    try:
        return decode_line(line)
    except ValueError as error:
        raise Unusable(f"line {number}: {error}") from None


def _json(given: str, answer: NormalForm | Unusable, encoding: str) -> str:
    if isinstance(answer, Unusable):
        return json.dumps({"input": given, "refused": str(answer)}, ensure_ascii=False)
    return json.dumps(
        {"input": given, "normalised": answer.text, "sha256": _hash(answer, encoding)}, ensure_ascii=False
    )


def _text(given: str, answer: NormalForm | Unusable, encoding: str) -> str:
    plain = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in given)
    if isinstance(answer, Unusable):
        return f"{plain:<{WIDTH}}  refused: {answer}"
    return f"{plain:<{WIDTH}}  {answer.text:<{WIDTH}}  {_hash(answer, encoding) or '(sent as it is, not hashed)'}"


def _hash(answer: NormalForm, encoding: str) -> str | None:
    if answer.sha256 is None or encoding == "hex":
        return answer.sha256
    return base64.b64encode(bytes.fromhex(answer.sha256)).decode("ascii")
