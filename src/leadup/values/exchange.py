"""Amounts in another currency, by the rates of ``leadup.toml``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

from leadup.types import Money, minor_digits


def exchange(money: Money, currency: str, rates: Mapping[str, Decimal]) -> Money | None:
    """Return an amount in ``currency``, rounded half up to its minor unit (away from zero); None: there is no rate.

    ``rates``: by the currency of the amount, what one unit of it is in ``currency``.
    """
    if money.currency == currency:
        return money
    rate = rates.get(money.currency)
    if rate is None:
        return None
    digits = minor_digits(currency) - minor_digits(money.currency)
    minor = (money.minor * rate).scaleb(digits).quantize(Decimal(1), ROUND_HALF_UP)
    return Money(int(minor), currency)
