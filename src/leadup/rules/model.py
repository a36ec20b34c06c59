"""The language of rule files, as models. The JSON Schema for editors is made of them: :func:`json_schema`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field, Tag, model_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from leadup.rules import vocabulary as v
from leadup.rules.cases import Test
from leadup.rules.conditions import Condition
from leadup.rules.conversions import Activate, Conversion
from leadup.rules.counts import Several
from leadup.rules.filters import Where
from leadup.rules.program import Told
from leadup.rules.vocabulary import (
    Amount,
    Duration,
    FixedMoney,
    Given,
    Name,
    Part,
    Share,
    Word,
    wrong,
)
from leadup.types import Kind

Description: TypeAlias = Annotated[str, Field(max_length=10_000)]

# ---------------------------------------------------------------- catalogue


class Match(Part):
    """An event by name, and tests of its properties."""

    called = "a match"

    event: Word
    """The event's name, as the source gives it."""
    where: Given[Where] = None
    """Tests of the event's properties; all must hold."""


class ValueOf(Part):
    """An amount that the event itself carries, in whole units (euros, not cents)."""

    called = "a value"

    property_: Word = Field(alias="property")
    """The property that holds the amount."""
    currency: Word = Field(examples=["EUR", "currency"])
    """An ISO code in capitals (EUR), or the name of the property that holds it."""

    @property
    def is_code(self) -> bool:
        """Whether ``currency`` is a code and not a property."""
        return re.fullmatch("[A-Z]{3}", self.currency) is not None


PatternValue: TypeAlias = Annotated[
    Annotated[FixedMoney, Tag("<text>")]
    | Annotated[FixedMoney, Tag("<number>")]
    | Annotated[ValueOf, Tag("<mapping>")],
    v.forms("an amount such as 288 EUR, or {property: …, currency: …}"),
]


class Pattern(Part):
    """A micro or macro conversion: `event` with `where`, or `any` of several."""

    called = "a micro or macro conversion"
    model_config = v.one_key_of("event", "any")

    event: Given[Word] = None
    """The event's name, as the source gives it."""
    where: Given[Where] = None
    """Tests of the event's properties; all must hold."""
    any: Given[Annotated[list[Match], Field(min_length=1)]] = None
    """Several events, each of which is this conversion."""
    same_within: Given[Duration] = None
    """Events of one person closer than this to the last one that counted, count once."""
    value: Given[PatternValue] = None
    """What one is worth: a fixed amount, or a property of the event."""
    description: Given[Description] = None
    """For people."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.any is not None:
            for key in ("event", "where"):
                if key in self.model_fields_set:
                    raise wrong(
                        f"`{key}` and `any` do not go together.", f"move `{key}` into the items of `any`", at=key
                    )
        elif self.event is None:
            raise wrong("{} needs `event` or `any`.", "such as {event: form_start}", at_key=True)
        return self


# ---------------------------------------------------------------- scores


class Points(Part):
    """Points, and how many signals count at most."""

    called = "points"

    points: Amount
    """Points for each."""
    at_most: Given[Several] = None
    """The latest so many count."""


class Score(Part):
    """A sum of points that decays."""

    called = "a score"

    half_life: Duration
    """After this long, points count half. After ten half-lives they count nothing."""
    points: Annotated[
        dict[
            Word,
            Annotated[
                Annotated[Amount, Tag("<number>")] | Annotated[Points, Tag("<mapping>")],
                v.forms("a number, or {points: …, at_most: …}"),
            ],
        ],
        Field(min_length=1, examples=[{"form_started": 20, "pricing_view": {"points": 10, "at_most": 3}}]),
    ]
    """Points by micro or macro conversion."""
    tiers: Given[Annotated[dict[Name, Annotated[Amount, Field(gt=0)]], Field(min_length=1)]] = None
    """Names for ranges, ascending: each reaches from its number up to the next one's."""


# ---------------------------------------------------------------- segments, groups, what is sent


class Holdout(Part):
    """A share of the people, drawn by lot, who are judged and recorded but never sent: to see what sending does."""

    called = "a holdout"

    name: Name
    """Segments that name the same holdout hold out the same people."""
    percent: Annotated[float, Field(gt=0, lt=100, examples=[10])]
    """How many of a hundred are held out."""


class Guard(Part):
    """Limits beyond which nothing is sent until a person has looked at the plan."""

    called = "a guard"

    max_leave: Given[Share] = None
    """Hold everything when more than this share of the audience would leave at once (from 20 leaves up)."""
    min_size: Given[Annotated[Several, Field(examples=[100])]] = None
    """Send nobody to an audience before so many people could be; once it is sent, its size is only warned of."""


class Segment(Part):
    """People for whom a condition holds."""

    called = "a segment"

    when: Condition
    """The condition."""
    exclude: Given[Annotated[list[Word], Field(examples=[["customers"]])]] = None
    """Segments and lists whose people are taken out."""
    settle: Given[Annotated[Duration, Field(examples=["72h"])]] = None
    """Wait so long for rows that come late, before anything counts as not having happened."""
    stay_at_least: Given[Duration] = None
    """Once in, a person stays in this long, though the condition hold no longer: no flicker around a threshold."""
    holdout: Given[Annotated[Holdout, Field(examples=[{"name": "warm_q1", "percent": 10}])]] = None
    """People who are judged and recorded but never sent."""
    activate: Given[Activate] = None
    """Connections that get the audience."""
    guard: Given[Guard] = None
    """Limits beyond which nothing is sent until a person has looked."""
    description: Given[Description] = None
    """For people."""


class PeopleList(Part):
    """Known people, to include or to exclude: a CSV file, whose first line names its columns."""

    called = "a list"

    file: Annotated[Word, Field(examples=["customers.csv"])]
    """The file, looked for from the folder of this rule file. It is watched like a rule file."""
    match: Annotated[Kind, Field(strict=False)]
    """What its people are known by. E-mail addresses and phone numbers may be hashed (SHA-256 in hex)."""
    column: Given[Annotated[Word, Field(examples=["E-Mail"])]] = None
    """The column that holds it; left out: the one called like `match`."""


_SOURCES: Final[tuple[Told, ...]] = ("score", "tier", "segments", "last", "last_at", "holdout")
_Last: TypeAlias = Annotated[list[Word], Field(min_length=1, max_length=100, examples=[["demo_video_75", "guide"]])]


class Property(Part):
    """A fact about a person, kept up to date in a CRM."""

    called = "a property"
    model_config = v.one_key_of(*_SOURCES)

    score: Given[Word] = None
    """The score whose points are written, in whole points."""
    tier: Given[Word] = None
    """The score whose tier is written, by name."""
    segments: Given[Annotated[list[Word], Field(min_length=1, max_length=100, examples=[["hot", "warm"]])]] = None
    """Segments, of which those that the person is in are written, without whom a holdout keeps back."""
    as_: Given[Literal["checkboxes", "text"]] = Field(None, alias="as")
    """How segments are written: `checkboxes` (several can be ticked), or one `text`. `checkboxes` if left out."""
    last: Given[_Last] = None
    """Micro or macro conversions, of which the name of the last one that happened is written."""
    last_at: Given[_Last] = None
    """Micro or macro conversions, of which the instant of the last one that happened is written."""
    holdout: Given[Word] = None
    """The holdout of which is written whether it keeps the person back: `held_out` or `sent`."""
    activate: Given[Activate] = None
    """Connections that get it."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [key for key in _SOURCES if getattr(self, key) is not None]
        if len(given) != 1:
            said = f"has {' and '.join(f'`{key}`' for key in given)}" if given else "says nothing of what is written"
            raise wrong(f"{{}} {said}.", f"it takes one of {', '.join(_SOURCES)}", at=given[-1] if given else "")
        if self.as_ is not None and self.segments is None:
            raise wrong("`as` goes with `segments` alone.", "leave it out", at="as", at_key=True)
        return self

    @property
    def source(self) -> tuple[Told, tuple[str, ...]]:
        """The key that says what is written, and the names it gives."""
        (key,) = (key for key in _SOURCES if getattr(self, key) is not None)
        names = getattr(self, key)
        return key, (names,) if isinstance(names, str) else tuple(names)


# ---------------------------------------------------------------- the file

T = TypeVar("T")
Section: TypeAlias = Annotated[dict[Name, T], BeforeValidator(lambda value: {} if value is None else value)]
"""Name to what it names. May be empty, as it is when all of it is commented out."""


class RuleFile(Part):
    """A rule file."""

    called = "a rule file"

    version: Literal[1]
    """The version of the language: 1."""
    micro_conversions: Section[Pattern] = Field({})
    """Steps on the way, by name."""
    macro_conversions: Section[Pattern] = Field({})
    """Goals, by name."""
    funnels: Section[Annotated[list[Word], Field(min_length=2, max_length=50)]] = Field({})
    """Micro and macro conversions in the order in which people take them, by name of the funnel."""
    scores: Section[Score] = Field({})
    """Decaying sums of points, by name."""
    segments: Section[Segment] = Field({})
    """People for whom a condition holds, by name."""
    lists: Section[PeopleList] = Field({}, examples=[{"customers": {"file": "customers.csv", "match": "email"}}])
    """Known people from files, by name of the list."""
    groups: Section[Annotated[list[Word], Field(min_length=2)]] = Field({})
    """Segments of which a person is only in the first that holds, by name of the group."""
    properties: Section[Property] = Field({})
    """Facts to write to a CRM, by name."""
    conversions: Section[Conversion] = Field({})
    """Conversions to report, by name."""
    tests: Annotated[list[Test], BeforeValidator(lambda value: [] if value is None else value)] = Field([])
    """Examples that `leadup rules test` checks."""


class _Schema(GenerateJsonSchema):
    """Draft 2020-12 as editors like it: alternatives as ``anyOf``, no null, no invented titles."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])  # Given: null is a mistake

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        if "patternProperties" in made:
            made["additionalProperties"] = False  # a key that is no name: else nothing would look at it
        return made

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        made = super().tagged_union_schema(schema)
        unique = {repr(choice): choice for choice in made["oneOf"]}
        return {"anyOf": list(unique.values())}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a rule file, for completion and hover in editors."""
    schema = RuleFile.model_json_schema(schema_generator=_Schema)
    for definition in schema["$defs"].values():
        definition.pop("title", None)
    return {"$schema": _Schema.schema_dialect, **schema, "title": "leadup rules"}
