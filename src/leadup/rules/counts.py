"""The models of conditions that count: how often, how much, how many visits."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from leadup.rules.filters import RuleWhere
from leadup.rules.visits import CHANNEL
from leadup.rules.vocabulary import Given, Part, Word, wrong
from leadup.rules.windows import Window

Bound: TypeAlias = Annotated[float, Field(ge=0, le=1_000_000_000)]
Several: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000)]
Measure: TypeAlias = Literal["sum", "max", "distinct"]
_MEASURES: Final[tuple[Measure, ...]] = ("sum", "max", "distinct")
_BOUNDS: Final = ("at_least", "at_most", "exactly", "between")
_WHOLE: Final[JsonDict] = {
    "properties": {
        "at_least": {"type": "integer", "minimum": 1},
        "at_most": {"type": "integer"},
        "exactly": {"type": "integer"},
        "between": {"items": {"type": "integer"}},
    }
}


class Counted(Part):
    """So many of something in a window; at least 1 when no count is given."""

    model_config = ConfigDict(json_schema_extra={"allOf": [_WHOLE]})

    at_least: Given[Bound] = None
    """The fewest."""
    at_most: Given[Bound] = None
    """The most. Without `at_least`, none at all is enough."""
    exactly: Given[Bound] = None
    """Neither fewer nor more."""
    between: Given[Annotated[list[Bound], Field(min_length=2, max_length=2)]] = None
    """The fewest and the most, as [2, 5]."""
    within: Given[Window] = None
    """Counted back from the moment of judging; left out: ever."""

    @model_validator(mode="after")
    def _one_count(self) -> Self:
        given, (low, high) = self.given, self.bounds
        if len(given) > 1 and given != ["at_least", "at_most"]:
            raise wrong(f"`{given[-1]}` and `{given[0]}` do not go together.", at=given[-1])
        for key in given if self.is_whole else ():
            for number in self.between if self.between and key == "between" else (getattr(self, key),):
                if number != int(number):
                    raise wrong(f"`{key}` must be a whole number, not {number:g}.", at=key)
            if key == "at_least" and low == 0:
                raise wrong("`at_least` must be at least 1, not 0.", at=key)
        if low is not None and high is not None and low > high:
            text = f"{low:g} to {high:g} can never hold: the lower count is above the upper one."
            raise wrong(text, at=given[-1])
        return self

    @property
    def given(self) -> list[str]:
        """The keys of the bounds that are written."""
        return [key for key in _BOUNDS if key in self.model_fields_set]

    @property
    def is_whole(self) -> bool:
        """Whether it is a count, in whole numbers."""
        return True

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """The fewest and the most; None where it is not written."""
        if self.between is not None:
            return self.between[0], self.between[1]
        return (self.exactly, self.exactly) if self.exactly is not None else (self.at_least, self.at_most)

    @property
    def counts(self) -> tuple[int, int | None]:
        """The fewest and the most of a count."""
        low, high = self.bounds
        fewest = int(low) if low is not None else 1 if high is None else 0
        return fewest, None if high is None else int(high)


class Did(Counted):
    """That many signals of a conversion in the window; at least 1 when no count is given.

    With `sum`, `max` or `distinct`, a property is bounded: its sum, its highest number, or how many different values
    it has.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "not": {"anyOf": [{"required": list(pair)} for pair in combinations(_MEASURES, 2)]},
            "if": {"anyOf": [{"required": ["sum"]}, {"required": ["max"]}]},
            "then": {"properties": {"exactly": False}},
            "else": _WHOLE,
        }
    )
    called, operator = "`did`", "did"

    did: Word
    """The micro or macro conversion."""
    where: Given[RuleWhere] = None
    """Only signals whose properties pass."""
    sum: Given[Word] = None
    """A property with a number: its sum is bounded, to the thousandth. Signals without a number add nothing."""
    max: Given[Word] = None
    """A property with a number: its highest is bounded."""
    distinct: Given[Word] = None
    """A property: the number of its different values is bounded, such as pages seen."""

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        measures = [key for key in _MEASURES if key in self.model_fields_set]
        if len(measures) > 1:
            raise wrong(f"`{measures[-1]}` and `{measures[0]}` do not go together.", at=measures[-1])
        if measures and measures[0] != "distinct" and getattr(self, measures[0]) == CHANNEL:
            raise wrong("A channel is a name, not a number.", "`distinct: channel` counts channels", at=measures[0])
        if measures and not self.given:
            hint = "bounds: at_least, at_most, between"
            raise wrong(f"`{measures[0]}` needs a bound.", hint, at=measures[0], at_key=True)
        if self.exactly is not None and not self.is_whole:
            text = f"`exactly` does not go with `{measures[0]}`: it would be met by chance."
            raise wrong(text, "use between", at="exactly")
        if self.max and self.given == ["at_most"]:
            hint = f"write {{did_not: {self.did}, where: {{{self.max}: {{gt: {self.at_most:g}}}}}}}"
            raise wrong("`at_most` alone does not go with `max`: none has no maximum.", hint, at="at_most")
        if self.sum and self.bounds[0] == 0:
            hint = "who never did it has 0: leave it to `at_most`"
            raise wrong("A sum must reach more than 0.", hint, at=self.given[0])
        return self

    @property
    def is_whole(self) -> bool:
        """Whether it is a count, in whole numbers."""
        return not (self.sum or self.max)

    @property
    def measure(self) -> tuple[Measure, str] | None:
        """What is bounded instead of the count, and of which property."""
        return next(((of, getattr(self, of)) for of in _MEASURES if getattr(self, of)), None)


class DidNot(Part):
    """No signal of a conversion in the window."""

    called, operator = "`did_not`", "did_not"

    did_not: Word
    """The micro or macro conversion."""
    within: Given[Window] = None
    """Counted back from the moment of judging; left out: ever."""
    where: Given[RuleWhere] = None
    """Only signals whose properties pass are looked for."""


class VisitCount(Counted):
    """How many visits, and in which window they begin."""

    called = "a count of visits"


class Sessions(Part):
    """That many visits; at least 1 when no count is given."""

    called, operator = "`sessions`", "sessions"

    sessions: VisitCount = Field(examples=[{"at_least": 3, "within": "7d"}])
    """How many, and in which window they begin."""


class ReturnVisits(Part):
    """That many visits other than the person's first; at least 1 when no count is given."""

    called, operator = "`return_visits`", "return_visits"

    return_visits: VisitCount = Field(examples=[{"within": "7d"}])
    """How many, and in which window they begin."""
