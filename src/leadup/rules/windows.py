"""The model of ``within``: a duration, or a range of time that ends before now."""

from __future__ import annotations

from typing import Annotated, Any, Self, TypeAlias

from pydantic import BeforeValidator, Field, Tag, model_validator

from leadup.rules import vocabulary as v
from leadup.rules.vocabulary import Duration, Given, Part, wrong


class Range(Part):
    """A window that ends before now: from so long ago up to so long ago."""

    called = "a range of time"

    from_: Given[Duration] = Field(None, alias="from")
    """Where it begins, counted back from the moment of judging, itself out; left out: ever."""
    to: Duration
    """Where it ends, counted back from the moment of judging, itself in."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.from_ is not None and self.from_ <= self.to:
            raise wrong("This can never hold: `from` lies further back than `to`.", "swap the two", at="from")
        return self


Window: TypeAlias = Annotated[
    Annotated[Duration, Tag("<text>")] | Annotated[Duration, Tag("<number>")] | Annotated[Range, Tag("<mapping>")],
    v.forms("a duration such as 14d, or a range such as {from: 30d, to: 7d}"),
    Field(examples=["7d", "14d", {"from": "30d", "to": "7d"}]),
]
"""Written ``14d``, or ``{from: 30d, to: 7d}``."""


def _no_range(why: str) -> BeforeValidator:
    def refuse(value: Any) -> Any:
        if isinstance(value, dict):
            raise wrong("{} must be a duration here, such as 14d, not a range.", why)
        return value

    return BeforeValidator(refuse)


PlainWindow: TypeAlias = Annotated[Duration, _no_range("`for` already says how long ago it is at least")]
"""Of operators whose ``for`` is the near end of the window."""


def width_and_lag(window: int | Range | None) -> tuple[int | None, int]:
    """Return how long a window is (None: ever), and how long before the moment of judging it ends."""
    if isinstance(window, Range):
        return (None if window.from_ is None else window.from_ - window.to), window.to
    return window, 0
