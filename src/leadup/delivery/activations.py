"""What the rules send where, and what each target asks: from the rules, the destination and the settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from leadup.delivery.book import Terms
from leadup.errors import SettingsError
from leadup.outgoing import Capabilities, Target, Use
from leadup.rules.program import Activation, Conversion, Program

Rates: TypeAlias = Mapping[str, Mapping[str, Decimal]]
"""By currency, what one unit of it is in others."""


def activations(
    program: Program, can: Mapping[str, Capabilities], max_leave: float, rates: Rates | None = None
) -> dict[Target, Terms]:
    """All targets that the rules activate, with what each asks. ``can``: by connection.

    ``rates``: by currency, what one unit of it is in others.

    Raises:
        SettingsError: a rule sends something to a connection that does not take it, or in another currency than counts
            there, and there is no rate.
    """
    found: dict[Target, Terms] = {}

    def add(use: Use, name: str, activation: Activation, asked: Terms) -> None:
        able = can.get(activation.connection)
        if able is None or use not in able.uses:
            takes = f"takes {', '.join(sorted(able.uses))}" if able else "is not a destination"
            raise SettingsError(
                f"The rules send the {use} {name!r} to {activation.connection!r}, which {takes}.\n"
                f"  What to do: remove {activation.connection!r} from `activate` of {name!r}."
            )
        place = (activation.connection, use)
        target = Target(
            connection=activation.connection,
            use=use,
            name=name,
            remote_name=activation.called(name),
            values=asked.values,
            options=asked.options,
        )
        twin = next((t for t in found if (t.connection, t.use, t.remote_name) == (*place, target.remote_name)), None)
        if twin is not None:
            raise SettingsError(
                f"The rules send the {use}s {twin.name!r} and {name!r} to {activation.connection!r} under one name, "
                f"{target.remote_name!r}.\n  What to do: give one of them another `name` in its `activate`."
            )
        found[target] = replace(
            asked,
            needs=able.needs.get(use, frozenset()),
            purposes=able.purposes.get(use, frozenset()) | set(activation.consent),
            unless_denied=able.unless_denied.get(use, frozenset()),
        )
        if use is Use.CONVERSION:
            of_conversions = _of_conversions(program.conversions[name], activation, able, rates or {})
            found[target] = replace(found[target], **of_conversions)

    for segment in program.segments.values():
        for activation in segment.activate:
            limit = segment.guard.max_leave
            asked = Terms(
                max_leave=max_leave if limit is None else limit,
                min_size=segment.guard.min_size,
                holdout=segment.holdout.name if segment.holdout else None,
            )
            add(Use.AUDIENCE, segment.name, activation, asked)
    for conversion in program.conversions.values():
        for activation in conversion.activate:
            add(Use.CONVERSION, conversion.name, activation, Terms())
    for prop in program.properties.values():
        for activation in prop.activate:
            add(Use.PROPERTY, prop.name, activation, Terms(values=prop.values, options=prop.options))
    return found


def _of_conversions(conversion: Conversion, to: Activation, able: Capabilities, rates: Rates) -> dict[str, Any]:
    """What a target asks of conversions, as :class:`Terms` has it."""
    currency = able.currencies.get(conversion.name)
    known = {one: into[currency] for one, into in rates.items() if currency in into} if currency else {}
    fixed = [conversion.value] if conversion.value else []
    if conversion.ladder is not None:
        fixed += [*dict(conversion.ladder.worth).values(), *filter(None, (conversion.ladder.cap,))]
    for money in fixed if currency else ():
        if money.currency not in (currency, *known):
            raise SettingsError(
                f"The conversion {conversion.name!r} is worth {money}, and its action at {to.connection!r} counts in "
                f"{currency}.\n  What to do: write the amount in {currency}, or a rate in leadup.toml:\n"
                f"    [rates]\n    {money.currency} = {{{currency} = ...}}   # one {money.currency} in {currency}"
            )
    return {
        "click_ids": able.click_ids,
        "max_age_us": _us(able.max_age),
        "restates_us": _us(able.restates_for),
        "min_click_age_us": _us(able.min_click_age),
        "currency": currency,
        "rates": known,
    }


def _us(span: timedelta | None) -> int | None:
    return None if span is None else span // timedelta(microseconds=1)
