"""The models of what is reported, ``conversions:``, and of where anything is sent, ``activate:``."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self, TypeAlias

from pydantic import BeforeValidator, Field, Tag, model_validator

from leadup.rules import vocabulary as v
from leadup.rules.vocabulary import Duration, FixedMoney, Given, Part, Word, wrong
from leadup.types import Money, Purpose


class ActivateLong(Part):
    """A destination in the long form."""

    called = "a destination"

    to: Word
    """The connection, as `leadup.toml` names it."""
    name: Given[Word] = None
    """What it is called there; left out: `leadup: NAME`."""
    consent: Given[Annotated[list[Annotated[Purpose, Field(strict=False)]], Field(min_length=1)]] = None
    """Purposes of consent, on top of those the destination needs."""


Activate: TypeAlias = Annotated[
    list[
        Annotated[
            Annotated[Word, Tag("<text>")] | Annotated[ActivateLong, Tag("<mapping>")],
            v.forms("the name of a connection, or {to: …, name: …}"),
        ]
    ],
    Field(min_length=1, examples=[["hubspot", {"to": "google_ads", "name": "Warm leads"}]]),
]


def _no_enters(value: Any) -> Any:
    v.refuse_not_built("what a conversion is on", value)
    return value


def _not_learned(value: Any) -> Any:
    v.refuse_not_built("the value of a conversion", value)
    return value


Worth: TypeAlias = Annotated[dict[Word, FixedMoney], Field(min_length=1)]
"""By step of a ladder, what it is worth."""
ConversionValue: TypeAlias = Annotated[
    Annotated[FixedMoney, Tag("<text>")] | Annotated[FixedMoney, Tag("<number>")] | Annotated[Worth, Tag("<mapping>")],
    v.forms("an amount such as 288 EUR, or of a ladder one for each step: {pricing_view: 4 EUR, …}"),
]
_OF_LADDERS: Final = ("episode", "cap", "lost")


class Conversion(Part):
    """A conversion to report to a destination: whenever a pattern happens, or as a ladder of steps is climbed."""

    called = "a conversion"
    model_config = v.one_key_of("on", "ladder")

    on: Given[Annotated[Word, BeforeValidator(_no_enters)]] = None
    """The micro or macro conversion."""
    ladder: Given[
        Annotated[
            list[Word],
            Field(
                min_length=2, max_length=50, examples=[["pricing_view", "form_started", "demo_requested", "deal_won"]]
            ),
        ]
    ] = None
    """Instead of `on`: steps as people take them, the goal last. They are one conversion, whose value grows."""
    value: Given[Annotated[ConversionValue, BeforeValidator(_not_learned)]] = None
    """What to report instead of the pattern's own value; of a ladder, an amount for each step that has none of its own,
    or another one."""
    cap: Given[Annotated[FixedMoney, Field(examples=["1500 EUR"])]] = None
    """Of a ladder: the most that a step before the goal counts. The goal's real value is never capped."""
    episode: Given[Annotated[Duration, Field(examples=["50d"])]] = None
    """Of a ladder: so long after its first step an episode ends, and counts nothing unless the goal was reached."""
    lost: Given[Word] = None
    """Of a ladder: the conversion that says that nothing will come of it. A later step takes it up again."""
    activate: Given[Activate] = None
    """Connections that get it."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.ladder is None:
            self._plain()
        elif self.on is not None:
            raise wrong("`ladder` and `on` do not go together.", "each says what is reported", at="ladder", at_key=True)
        elif isinstance(self.value, Money):
            raise wrong(
                "`value` of a ladder must be an amount for each step.",
                f"such as {{{self.ladder[0]}: {self.value}, …}}",
                at="value",
            )
        elif self.episode is None:
            raise wrong("A ladder needs `episode`: how long it may take.", "such as episode: 50d", at_key=True)
        return self

    def _plain(self) -> None:
        if self.on is None:
            raise wrong("{} needs `on` or `ladder`.", "such as {on: demo_requested}", at_key=True)
        for key in _OF_LADDERS:
            if key in self.model_fields_set:
                raise wrong(f"`{key}` goes with `ladder`, not with `on`.", "remove it", at=key, at_key=True)
        if isinstance(self.value, dict):
            raise wrong("An amount for each step goes with `ladder`, not with `on`.", "such as 288 EUR", at="value")
