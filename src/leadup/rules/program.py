"""What a rule file means: names resolved, short forms spelled out, durations in microseconds.

The loader makes a :class:`Program` of files; the kernel judges one. Nothing here reads or writes anything, and all of
it pickles, so that a program can travel to another process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from leadup.outgoing import ValueKind
from leadup.types import Kind, Money, Purpose

Scalar: TypeAlias = "str | int | float | bool"
Op = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "contains", "starts_with", "matches", "exists"]


@dataclass(frozen=True, slots=True)
class Test:
    """One test of one property. ``value`` is a tuple for ``in``, a bool for ``exists``, else a scalar."""

    property: str
    op: Op
    value: Scalar | tuple[Scalar, ...]


Where: TypeAlias = tuple[Test, ...]
"""All of them must hold; an empty one always does."""


# ---------------------------------------------------------------- catalogue


@dataclass(frozen=True, slots=True)
class Match:
    """An event name and tests of the event's properties."""

    event: str
    where: Where = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueOf:
    """An amount read from the event's own properties, in major units."""

    property: str
    currency: str = ""
    """A fixed ISO code, or..."""
    currency_property: str = ""
    """... the property that holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A micro or macro conversion: any of its matches makes a signal."""

    name: str
    macro: bool
    any: tuple[Match, ...]
    same_within: int = 0
    """Microseconds; 0: every event counts (but an equal ``event_id`` property still counts once)."""
    value: Money | ValueOf | None = None
    description: str = ""
    pause: int = 0
    """Microseconds without a signal that end a visit, for :mod:`leadup.rules.visits`; 0: signals make no visits."""


# ---------------------------------------------------------------- conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class Did:
    """Between ``low`` and ``high`` signals of a pattern in ``(at - within, at]``. ``did_not`` is low 0, high 0."""

    pattern: str
    low: int = 1
    high: int | None = None
    within: int | None = None
    lag: int = 0
    """The window ends this long before ``at``: ``(at - lag - within, at - lag]``."""
    where: Where = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """Between ``low`` and ``high`` visits that begin in ``(at - within, at]``; ``again``: all but the first ever."""

    again: bool
    low: int = 1
    high: int | None = None
    within: int | None = None
    lag: int = 0
    """The window ends this long before ``at``: ``(at - lag - within, at - lag]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The sum, the maximum or the number of different values of a property, from ``low`` to ``high``.

    Of the signals of a pattern in the window, those that have the property. The sum of none is 0, and none has no
    maximum. ``low`` is above 0, but for a maximum.
    """

    pattern: str
    of: Literal["sum", "max", "distinct"]
    property: str
    low: float | None = None
    high: float | None = None
    within: int | None = None
    lag: int = 0
    """The window ends this long before ``at``."""
    where: Where = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The first signal ever of a pattern lies in the window."""

    pattern: str
    within: int | None = None
    lag: int = 0
    """The window ends this long before ``at``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Some ``pattern`` in ``(at - wait - after, at - wait]`` and none in ``(at - wait, at]``."""

    pattern: str
    wait: int
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """Some signal of a pattern in the window, whose previous one lies at least ``pause`` before it."""

    pattern: str
    pause: int
    within: int | None = None
    lag: int = 0
    """The window ends this long before ``at``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regularly:
    """``times`` signals or more in at least ``low`` of the ``of_last`` periods ``(at - (n + 1) every, at - n every]``.

    ``n`` is 0 to ``of_last - 1``.
    """

    pattern: str
    low: int
    of_last: int
    every: int
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Some ``pattern`` in ``(at - within, at - wait]`` and no ``without`` from it on, up to ``at``."""

    pattern: str
    without: str
    wait: int
    within: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """The steps in this order, each strictly later; last - first <= span; the last one in ``(at - within, at]``."""

    steps: tuple[str, ...]
    span: int | None = None
    within: int | None = None
    lag: int = 0
    """The window ends this long before ``at``: ``(at - lag - within, at - lag]``."""
    strict: bool = False
    """No signal of any of the steps lies between one step and the next (both instants excluded)."""
    without: str | None = None
    """No signal of this pattern lies between the first step and the last (both instants excluded)."""

    @property
    def broken_by(self) -> frozenset[str]:
        """The patterns whose signals, between the steps, break the order."""
        return frozenset(self.steps if self.strict else ()) | ({self.without} if self.without else frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreIs:
    """The score lies in ``[low, high)``; ``high`` None: no upper bound."""

    score: str
    low: float
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A trait of the person passes all the tests (each test's ``property`` is the trait)."""

    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class CameBy:
    """The channels of the person's first and last visit pass all the tests (of ``first_channel``, ``last_channel``)."""

    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class InSegment:
    """The verdict of another segment (after its ``exclude``) is true."""

    segment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InList:
    """One of the person's identifiers is on the list."""

    list: str


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """Some part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold, for a person who is known."""

    part: Condition


Habit: TypeAlias = First | Stopped | Resumed | Regularly
Condition: TypeAlias = (
    Did
    | Visits
    | Measured
    | Habit
    | Started
    | Sequence
    | ScoreIs
    | Person
    | CameBy
    | InSegment
    | InList
    | All
    | Any
    | Not
)


# ---------------------------------------------------------------- scores, segments, what is sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Points a pattern gives; of more than ``at_most`` signals the latest count."""

    pattern: str
    points: float
    at_most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A decaying sum; looks back ten half-lives at most."""

    name: str
    half_life: int
    """Microseconds."""
    points: tuple[Points, ...]
    tiers: tuple[tuple[str, float], ...] = ()
    """Ascending by threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """One destination of a segment, conversion or property."""

    connection: str
    name: str = ""
    """The remote name; empty: ``leadup: NAME``."""
    consent: tuple[Purpose, ...] = ()
    """Purposes asked for on top of those the destination needs."""

    def called(self, name: str) -> str:
        """What something of this name in the rules is called there."""
        return self.name or f"leadup: {name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """A share of the people who could be sent, drawn by lot, who are not: to see what sending does."""

    name: str
    """Segments that name it share its lots."""
    share: float
    """0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Limits beyond which a plan waits for a person."""

    max_leave: float | None = None
    """Share of the audience, 0 to 1, that may leave at once (from 20 leaves up)."""
    min_size: int = 0
    """People that an audience must have before anybody is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """An audience to be: who is in it, and where it is sent."""

    name: str
    when: Condition
    exclude: tuple[str, ...] = ()
    """Names of segments whose verdict, and of lists that, take a person out; no list has a segment's name."""
    settle: int = 0
    """Microseconds for which rows may still come late: absence counts only up to the watermark less this."""
    stay_at_least: int = 0
    """Microseconds for which a person stays in once entered, though the rule hold no longer."""
    holdout: Holdout | None = None
    activate: tuple[Activation, ...] = ()
    guard: Guard = Guard()
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleList:
    """Known people. Their identifiers travel apart from the rules: the kernel is told who is on the list."""

    name: str
    match: Kind
    """What kind of identifier it holds."""
    digest: str = ""
    """Changes when, and only when, its identifiers change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A person is in the first of these segments that holds."""

    name: str
    segments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Steps towards a goal, reported as one conversion whose value grows (:mod:`leadup.values.episodes`)."""

    steps: tuple[str, ...]
    """Patterns in the order in which they are climbed; the last is the goal."""
    worth: tuple[tuple[str, Money], ...] = ()
    """By step, what it is worth instead of the pattern's own value; sorted."""
    episode: int
    """Microseconds after its first step at which an episode ends, if the goal was not reached."""
    cap: Money | None = None
    """The most that a step before the goal counts."""
    lost: str = ""
    """The pattern that says that nothing will come of it; empty: none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A value to report when a pattern happens, or as a ladder is climbed."""

    name: str
    on: str = ""
    """A pattern's name; empty if it is a ladder."""
    ladder: Ladder | None = None
    value: Money | None = None
    """Instead of the pattern's own value."""
    activate: tuple[Activation, ...] = ()

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns whose signals it rests on."""
        if self.ladder is None:
            return (self.on,)
        return (*self.ladder.steps, *filter(None, (self.ladder.lost,)))


Told = Literal["score", "tier", "segments", "last", "last_at", "holdout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A fact written to a CRM (:mod:`leadup.values.properties`)."""

    name: str
    of: Told
    """A score in whole points, or the name of its tier; the segments that the person is in; the name of the last of
    some patterns that happened, or its instant; whether a holdout keeps the person back."""
    names: tuple[str, ...]
    """What it tells of: the score, the segments, the patterns or the holdout."""
    text: bool = False
    """Segments are written as text, and not as choices."""
    activate: tuple[Activation, ...] = ()

    @property
    def values(self) -> ValueKind:
        """What its values are."""
        match self.of:
            case "score":
                return ValueKind.NUMBER
            case "last_at":
                return ValueKind.INSTANT
            case "segments" if not self.text:
                return ValueKind.CHOICES
            case _:
                return ValueKind.TEXT

    @property
    def options(self) -> tuple[str, ...]:
        """Of choices: all there are."""
        return self.names if self.values is ValueKind.CHOICES else ()

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns of which it tells the last."""
        return self.names if self.of in ("last", "last_at") else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """All rule files together. Every name that one part uses is declared by another; there are no cycles."""

    patterns: Mapping[str, Pattern] = field(default_factory=dict)
    scores: Mapping[str, Score] = field(default_factory=dict)
    segments: Mapping[str, Segment] = field(default_factory=dict)
    """In an order in which every segment comes after those it reads (``in_segment``, ``exclude``)."""
    lists: Mapping[str, PeopleList] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()
    conversions: Mapping[str, Conversion] = field(default_factory=dict)
    properties: Mapping[str, Property] = field(default_factory=dict)
    fingerprint: str = ""
    """Changes when, and only when, the meaning of the rules changes."""
