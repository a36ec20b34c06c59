"""The models of conditions on a habit: begun, kept up, stopped, taken up again."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from leadup.rules.counts import Several
from leadup.rules.vocabulary import Duration, Given, Part, Word, wrong
from leadup.rules.windows import Window


class First(Part):
    """The person's first one ever lies in the window."""

    called, operator = "`first`", "first"

    first: Word
    """The micro or macro conversion."""
    within: Window
    """Counted back from the moment of judging."""


class Stopped(Part):
    """Did it, and then no more for a time."""

    called, operator = "`stopped`", "stopped"

    stopped: Word
    """The micro or macro conversion."""
    for_: Duration = Field(alias="for")
    """How long there has been none."""
    after: Given[Duration] = None
    """How long before that the last one may be, so that the condition holds for so long; left out: ever."""


class Resumed(Part):
    """Did it again after a pause."""

    called, operator = "`resumed`", "resumed"

    resumed: Word
    """The micro or macro conversion."""
    after_pause: Duration
    """How long the one before must be away, at least."""
    within: Given[Window] = None
    """The one after the pause is in this window; left out: ever."""


class Regularly(Part):
    """Did it in so many of the last periods, which are counted back from the moment of judging."""

    called, operator = "`regularly`", "regularly"

    regularly: Word
    """The micro or macro conversion."""
    at_least: Several
    """In how many of the periods."""
    of_last: Annotated[int, Field(ge=1, le=366)]
    """How many periods are looked at."""
    every: Duration
    """How long a period is."""
    times: Given[Several] = None
    """How often in a period for it to count; left out: once."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.at_least > self.of_last:
            text = f"This can never hold: there are no {self.at_least} periods among the last {self.of_last}."
            raise wrong(text, at="at_least")
        return self
