"""Options that commands share and that load little."""

from __future__ import annotations

import click

from leadup.normal import Unusable, region_code


def country(ctx: click.Context, option: click.Parameter, given: str | None) -> str | None:
    """Callback of an option that takes a country by its two letters: the code in capitals, or wrong usage."""
    try:
        return None if given is None else region_code(given)
    except Unusable as error:
        raise click.BadParameter(f"{given!r}: {error}.", ctx, option) from None
