"""The models of conditions: one class an operator. Their docstrings are the editor's help."""

from __future__ import annotations

from typing import Annotated, Any, Self, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from leadup.rules import vocabulary as v
from leadup.rules.counts import Did, DidNot, ReturnVisits, Sessions
from leadup.rules.filters import PersonWhere
from leadup.rules.habits import First, Regularly, Resumed, Stopped
from leadup.rules.vocabulary import Duration, Given, Part, Word, wrong
from leadup.rules.windows import PlainWindow, Window


def _wait_inside(wait: int, within: int | None) -> None:
    if within is not None and wait >= within:
        raise wrong("This can never hold: `for` must be shorter than `within`.", at="for")


class Started(Part):
    """Began something, let time pass, and did not finish: holds from `for` after the start until it is finished."""

    called, operator = "`started`", "started"

    started: Word
    """The conversion that begins it."""
    without: Word
    """The conversion that ends it, from the start on."""
    for_: Duration = Field(alias="for")
    """How long to wait after the start."""
    within: Given[PlainWindow] = None
    """How old the start may be; left out: ever."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _wait_inside(self.for_, self.within)
        return self


class DroppedAt(Part):
    """Reached a step of a funnel, let time pass, and has not taken the next step since."""

    called, operator = "`dropped_at`", "dropped_at"

    dropped_at: Word
    """The step that was reached; any but the last."""
    of: Word
    """The funnel."""
    for_: Duration = Field(alias="for")
    """How long to wait after the step."""
    within: Given[PlainWindow] = None
    """How old the step may be; left out: ever."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _wait_inside(self.for_, self.within)
        return self


class Sequence(Part):
    """These conversions in this order, each strictly later than the one before; others may lie between.

    Unless `strict` or `without` says that they may not.
    """

    called, operator = "`sequence`", "sequence"

    sequence: Annotated[list[Word], Field(min_length=2, max_length=50)]
    """The steps."""
    span: Given[Duration] = None
    """The most that may lie between first and last."""
    within: Given[Window] = None
    """The last step is in this window; left out: ever."""
    strict: Given[bool] = None
    """Whether none of the listed conversions may happen between one step and the next."""
    without: Given[Word] = None
    """A conversion that may not happen between the first step and the last."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.without in self.sequence[1:-1]:
            text = f'This can never hold: "{self.without}" is a step between the first and the last.'
            raise wrong(text, "leave out `without`, or name another conversion", at="without")
        return self


class ScoreAtLeast(Part):
    """A score has reached a number."""

    called, operator = "`score`", "score"

    score: Word
    """The score."""
    at_least: Annotated[v.Amount, Field(gt=0)]
    """The points it has reached."""


class InTier(Part):
    """A score lies in a tier: it has reached this one and not the next."""

    called, operator = "`tier`", "tier"

    tier: Word
    """The tier."""
    of: Given[Word] = None
    """The score it belongs to; needed when several scores have a tier of this name."""


class Person(Part):
    """What the CRM last said of the person passes all tests."""

    called, operator = "`person`", "person"

    person: PersonWhere
    """Trait to what it must be."""


class InSegment(Part):
    """The person is in another segment by its rules (`when` and `exclude`), before groups."""

    called, operator = "`in_segment`", "in_segment"

    in_segment: Word
    """The segment."""


class InList(Part):
    """One of the person's identifiers is on a list of known people."""

    called, operator = "`in_list`", "in_list"

    in_list: Word
    """The list."""


class AllOf(Part):
    """All of these hold."""

    called, operator = "`all`", "all"

    all: Annotated[list[Condition], Field(min_length=1)]
    """Conditions."""


class AnyOf(Part):
    """At least one of these holds."""

    called, operator = "`any`", "any"

    any: Annotated[list[Condition], Field(min_length=1)]
    """Conditions."""


class Not(Part):
    """This does not hold."""

    called, operator = "`not`", "not"

    not_: Condition = Field(alias="not")
    """A condition."""


OPERATORS: dict[str, type[Part]] = {
    model.operator: model
    for model in (
        AllOf,
        AnyOf,
        Not,
        Did,
        DidNot,
        Sessions,
        ReturnVisits,
        First,
        Stopped,
        Resumed,
        Regularly,
        Started,
        DroppedAt,
        Sequence,
        ScoreAtLeast,
        InTier,
        Person,
        InSegment,
        InList,
    )
}


def _operator(value: Any) -> str | None:
    named = [key for key in value if key in OPERATORS] if isinstance(value, dict) else []
    return f"<{named[0]}>" if len(named) == 1 else None


Habit: TypeAlias = First | Stopped | Resumed | Regularly
Leaf: TypeAlias = (
    Did
    | DidNot
    | Sessions
    | ReturnVisits
    | Habit
    | Started
    | DroppedAt
    | Sequence
    | ScoreAtLeast
    | InTier
    | Person
    | InSegment
    | InList
)
"""Conditions that hold no other condition."""
Condition: TypeAlias = Annotated[
    Annotated[AllOf, Tag("<all>")]
    | Annotated[AnyOf, Tag("<any>")]
    | Annotated[Not, Tag("<not>")]
    | Annotated[Did, Tag("<did>")]
    | Annotated[DidNot, Tag("<did_not>")]
    | Annotated[Sessions, Tag("<sessions>")]
    | Annotated[ReturnVisits, Tag("<return_visits>")]
    | Annotated[First, Tag("<first>")]
    | Annotated[Stopped, Tag("<stopped>")]
    | Annotated[Resumed, Tag("<resumed>")]
    | Annotated[Regularly, Tag("<regularly>")]
    | Annotated[Started, Tag("<started>")]
    | Annotated[DroppedAt, Tag("<dropped_at>")]
    | Annotated[Sequence, Tag("<sequence>")]
    | Annotated[ScoreAtLeast, Tag("<score>")]
    | Annotated[InTier, Tag("<tier>")]
    | Annotated[Person, Tag("<person>")]
    | Annotated[InSegment, Tag("<in_segment>")]
    | Annotated[InList, Tag("<in_list>")],
    Discriminator(_operator, custom_error_type="condition", custom_error_message="condition"),
]
for _model in (AllOf, AnyOf, Not):
    _model.model_rebuild()
