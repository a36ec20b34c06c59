"""Amounts in another currency, and the rates as `leadup.toml` states them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from leadup.errors import SettingsError
from leadup.settings import load_settings
from leadup.types import Money
from leadup.values.exchange import exchange

RATES = {"USD": Decimal("0.915"), "JPY": Decimal("0.0062"), "KWD": Decimal(3)}


@pytest.mark.parametrize(
    ("amount", "into"),
    [
        (Money(100, "USD"), Money(92, "EUR")),  # 91.5 cents, half up
        (Money(-100, "USD"), Money(-92, "EUR")),  # away from zero
        (Money(1, "JPY"), Money(1, "EUR")),  # 0.62 cents; the yen has no minor unit
        (Money(1234, "KWD"), Money(370, "EUR")),  # three digits: 1.234 x 3 = 3.702
        (Money(7, "EUR"), Money(7, "EUR")),
        (Money(7, "GBP"), None),
    ],
)
def test_an_amount_is_exchanged_and_rounded_half_up(amount: Money, into: Money | None) -> None:
    assert exchange(amount, "EUR", RATES) == into


def test_rates_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "leadup.toml"
    path.write_text('[rates]\nUSD = {EUR = 0.915, GBP = "0.79"}\n', encoding="utf-8")
    assert load_settings(path).rates == {"USD": {"EUR": Decimal("0.915"), "GBP": Decimal("0.79")}}


@pytest.mark.parametrize("line", ["USD = {EUR = 0}", "USD = {EUR = -1}", "USD = {EUR = nan}", "usd = {EUR = 1}"])
def test_a_rate_that_is_none_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "leadup.toml"
    path.write_text(f"[rates]\n{line}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="rates"):
        load_settings(path)
