"""The models of ``tests:``: one person's story, and what the rules must make of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import ConfigDict, Field, Tag, model_validator

from leadup.rules.suggest import did_you_mean
from leadup.rules.vocabulary import Ago, Duration, FixedMoney, Given, Instant, Part, Value, Word, forms, wrong
from leadup.types import Purpose


class Happened(Part):
    """One event of a test: its name with its properties, and when."""

    called = "an event of a test"
    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, dict[Word, Value]]
    ago: Given[Ago] = None
    """How long before the test's `now`."""
    at: Given[Instant] = None
    """Or the instant."""

    @model_validator(mode="before")
    @classmethod
    def _one_event(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        names = [key for key in data if key not in ("ago", "at")]
        if len(names) != 1:
            meant = next(filter(None, (did_you_mean(name, ("ago", "at")) for name in names)), "")
            said = f"has {len(names)} names: {', '.join(names)}" if names else "has no name"
            raise wrong(f"{{}} {said}.", meant or "such as {page_view: {path: /}, ago: 3d}")
        properties = data[names[0]]
        return {**data, names[0]: {} if properties is None else properties}

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if (self.ago is None) == (self.at is None):
            raise wrong("{} takes either `ago` or `at`.", "such as ago: 3d", at="at" if self.at else "")
        return self

    @property
    def event(self) -> tuple[str, dict[str, Any]]:
        """Name and properties."""
        ((name, properties),) = (self.__pydantic_extra__ or {}).items()
        return name, properties


_Told: TypeAlias = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[float, Tag("<number>")] | Annotated[list[Word], Tag("<list>")],
    forms("text, a number, an instant, or a list of segments"),
]


class Expect(Part):
    """What must be so."""

    called = "an expectation"

    in_: Given[list[Word]] = Field(None, alias="in")
    """Segments the person is in, after `exclude` and groups."""
    out: Given[list[Word]] = None
    """Segments the person is not in."""
    score: Given[Annotated[dict[Word, float], Field(min_length=1)]] = None
    """Scores, compared to the digits written."""
    value: Given[Annotated[dict[Word, FixedMoney], Field(min_length=1, examples=[{"interest": "22 EUR"}])]] = None
    """What the latest report of a conversion is worth; nothing reported is `0 EUR`."""
    properties: Given[
        Annotated[
            dict[Word, _Told], Field(min_length=1, examples=[{"leadup_tier": "ready", "leadup_segments": ["hot"]}])
        ]
    ] = None
    """What properties tell: text, a number, an instant, or a list of segments; nothing to tell is `""`, `[]` or `0`."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not any((self.in_, self.out, self.score, self.value, self.properties)):
            raise wrong("{} expects nothing.", "write in: […], out: […], score: {…}, value: {…} or properties: {…}")
        return self


class Later(Expect):
    """What must be so later, when nothing else has happened."""

    after: Duration
    """Counted from the test's `now`."""


class Test(Part):
    """One person's story, and what the rules must make of it."""

    __test__ = False  # for pytest: this is no test class
    called = "a test"

    name: Word
    """What it shows."""
    now: Instant = Field(examples=["2026-03-01T12:00:00Z"])
    """The instant of judging."""
    person: Given[dict[Word, Value]] = None
    """Facts about the person."""
    lists: Given[Annotated[list[Word], Field(examples=[["customers"]])]] = None
    """Lists the person is on; what their files hold does not count here."""
    consent: Given[
        Annotated[
            dict[Annotated[Purpose, Field(strict=False)], Literal["granted", "denied"]],
            Field(min_length=1, examples=[{"ad_user_data": "granted", "ad_personalization": "granted"}]),
        ]
    ] = None
    """What the person has said. With it, consent, `stay_at_least` and `holdout` apply: who is `in` would be sent."""
    held_out: Given[Annotated[list[Word], Field(examples=[["warm_q1"]])]] = None
    """Holdouts whose lot falls on the person; only with `consent`."""
    events: list[Happened] = Field([], examples=[[{"page_view": {"path": "/pricing"}, "ago": "3d"}]])
    """What the person did."""
    expect: Given[Expect] = None
    """What must be so at `now`."""
    later: Given[Annotated[list[Later], Field(min_length=1)]] = None
    """What must be so later."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.expect is None and self.later is None:
            raise wrong("{} needs `expect` or `later`.", "such as expect: {in: [hot]}")
        if self.held_out is not None and self.consent is None:
            raise wrong(
                "`held_out` does nothing without `consent`.", "such as consent: {ad_user_data: granted}", at="held_out"
            )
        return self
