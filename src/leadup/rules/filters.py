"""The models of ``where``: tests of properties and of traits. Their docstrings are the editor's help."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Self, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, Field, Tag, model_validator

from leadup.rules import vocabulary as v
from leadup.rules.channels import CHANNELS
from leadup.rules.suggest import did_you_mean
from leadup.rules.visits import CHANNEL, ENDS
from leadup.rules.vocabulary import Given, Part, Value, Word, wrong


def _comparable(value: Any) -> Any:
    if isinstance(value, bool):
        raise wrong("{} compares numbers or text; true and false have no order.")
    return value


def _regex(pattern: str) -> str:
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        raise wrong(
            f'"{pattern}" is not an RE2 expression.', str(error).removeprefix("Invalid regular expression: ")
        ) from None
    return pattern


Comparable: TypeAlias = Annotated[Value, AfterValidator(_comparable)]
Regex: TypeAlias = Annotated[Word, AfterValidator(_regex)]


class Tests(Part):
    """Tests of one property; all of them must hold."""

    called = "a test of a property"

    eq: Given[Value] = None
    """Equal. A number compares with the property's number, text with its text."""
    ne: Given[Value] = None
    """Not equal. A missing property satisfies it."""
    gt: Given[Comparable] = None
    """Above; text by code point, so that ISO dates sort."""
    gte: Given[Comparable] = None
    """At least."""
    lt: Given[Comparable] = None
    """Below."""
    lte: Given[Comparable] = None
    """At most."""
    in_: Given[Annotated[list[Value], Field(min_length=1)]] = Field(None, alias="in")
    """One of these."""
    contains: Given[Value] = None
    """The text has this part, or the list has this element."""
    starts_with: Given[Word] = None
    """The text begins so."""
    matches: Given[Regex] = None
    """An RE2 expression found anywhere in the text; ^ and $ bind it to the ends."""
    exists: Given[bool] = None
    """Whether the property is there at all."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set:
            raise wrong("{} has no test.", "tests: " + ", ".join(self.key_names()))
        return self


PropertyTest: TypeAlias = Annotated[
    Annotated[Value, Tag("<text>")]
    | Annotated[Value, Tag("<number>")]
    | Annotated[Value, Tag("<truth>")]
    | Annotated[Value, Tag("<nothing>")]
    | Annotated[Annotated[list[Value], Field(min_length=1)], Tag("<list>")]
    | Annotated[Tests, Tag("<mapping>")],
    v.forms("a value, a list of values, or tests such as {gte: 75}"),
]
Where: TypeAlias = Annotated[
    dict[Word, PropertyTest],
    Field(min_length=1, examples=[{"path": {"starts_with": "/pricing"}, "percent": {"gte": 75}}]),
]
"""Property to what it must be: a value, a list (one of), or tests. All must hold."""


def _real_channels(where: Where, keys: Iterable[str]) -> Where:
    """Refuse a channel that there is none of, which would never be equal to anything."""
    for key in keys:
        test = where.get(key, [])
        compared = [test.eq, test.ne, *(test.in_ or ())] if isinstance(test, Tests) else test
        for value in compared if isinstance(compared, list) else [compared]:
            if value is not None and value not in CHANNELS:
                hint = did_you_mean(str(value), CHANNELS) or f"channels: {', '.join(CHANNELS)}"
                raise wrong(f'There is no channel "{value}".', hint, at=key)
    return where


RuleWhere: TypeAlias = Annotated[
    Where,
    AfterValidator(lambda where: _real_channels(where, [CHANNEL])),
    Field(examples=[{"plan": ["pro", "team"]}, {"channel": "paid_search"}]),
]
"""Property to what it must be, or ``channel``: that of the visit in which it happened."""
PersonWhere: TypeAlias = Annotated[
    Where,
    AfterValidator(lambda where: _real_channels(where, ENDS)),
    Field(examples=[{"lifecycle_stage": "lead"}, {"first_channel": "paid_search"}]),
]
"""Trait to what it must be, or ``first_channel`` and ``last_channel``: those of the person's visits."""
