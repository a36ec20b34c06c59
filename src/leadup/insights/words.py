"""Conditions and instants in plain words."""

from __future__ import annotations

from datetime import UTC, datetime

from leadup.rules.durations import show
from leadup.rules.program import (
    All,
    Any,
    Condition,
    Did,
    InSegment,
    Measured,
    Not,
    Person,
    ScoreIs,
    Sequence,
    Started,
    Visits,
    Where,
)
from leadup.types import from_us, to_us

_LAST = to_us(datetime.max.replace(tzinfo=UTC))


def instant(us: int | None) -> str | None:
    """ISO 8601 in UTC with ``Z``; None for never, and for what lies after the year 9999."""
    if us is None or us > _LAST:
        return None
    return from_us(us).isoformat().replace("+00:00", "Z")


def describe(condition: Condition) -> str:
    """One line that says what a condition asks."""
    match condition:
        case Did():
            return _did(condition)
        case Visits():
            what = "return visits" if condition.again else "sessions"
            low, high = condition.low, condition.high
            return f"{_times(low, high)} {what}" + _within(condition.within, condition.lag)
        case Measured():
            return _measured(condition)
        case Started():
            return f"started {condition.pattern} without {condition.without} for {show(condition.wait)}" + _within(
                condition.within
            )
        case Sequence():
            then = " directly then " if condition.strict else " then "
            without = f" without {condition.without} between" if condition.without else ""
            span = f" in {show(condition.span)}" if condition.span is not None else ""
            return then.join(condition.steps) + without + span + _within(condition.within, condition.lag)
        case ScoreIs():
            upper = f" and below {condition.high:g}" if condition.high is not None else ""
            return f"score {condition.score} at least {condition.low:g}{upper}"
        case Person():
            return f"person {_where(condition.where)}"
        case InSegment():
            return f"in segment {condition.segment}"
        case All():
            return "all of"
        case Any():
            return "any of"
        case Not():
            return "not"


def _did(condition: Did) -> str:
    low, high = condition.low, condition.high
    where = f" where {_where(condition.where)}" if condition.where else ""
    tail = where + _within(condition.within, condition.lag)
    if high == 0:
        return f"did not {condition.pattern}{tail}"
    if high is None:
        times = "" if low == 1 else f" at least {low} times"
    else:
        times = f" exactly {low} times" if low == high else f" {low} to {high} times"
    return f"did {condition.pattern}{times}{tail}"


def _times(low: int, high: int | None) -> str:
    if high is None:
        return f"at least {low}"
    return ("no" if high == 0 else f"exactly {low}") if low == high else f"{low} to {high}"


_MEASURES = {"sum": "sum of", "max": "highest", "distinct": "different"}


def _measured(condition: Measured) -> str:
    low = "" if condition.low is None else f" at least {condition.low:g}"
    high = "" if condition.high is None else f"{' and' if low else ''} at most {condition.high:g}"
    where = f" where {_where(condition.where)}" if condition.where else ""
    measure = f"{_MEASURES[condition.of]} {condition.property}{low}{high}"
    return f"did {condition.pattern} with {measure}{where}{_within(condition.within, condition.lag)}"


def _within(within: int | None, lag: int = 0) -> str:
    if not lag:
        return "" if within is None else f" within {show(within)}"
    return f" up to {show(lag)} ago" if within is None else f" from {show(within + lag)} to {show(lag)} ago"


def _where(where: Where) -> str:
    return ", ".join(f"{test.property} {test.op} {test.value}" for test in where)
