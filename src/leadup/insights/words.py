"""Conditions and instants in plain words."""

from __future__ import annotations

from datetime import UTC, datetime

from leadup.rules.durations import show
from leadup.rules.program import (
    All,
    Any,
    CameBy,
    Condition,
    Did,
    First,
    Habit,
    InList,
    InSegment,
    Measured,
    Not,
    Person,
    Regularly,
    Resumed,
    ScoreIs,
    Sequence,
    Started,
    Stopped,
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
            return _visits(condition)
        case Measured():
            return _measured(condition)
        case First() | Stopped() | Resumed() | Regularly():
            return _habit(condition)
        case Started():
            return f"started {condition.pattern} without {condition.without} for {show(condition.wait)}" + _within(
                condition.within
            )
        case Sequence():
            return _sequence(condition)
        case ScoreIs():
            upper = f" and below {condition.high:g}" if condition.high is not None else ""
            return f"score {condition.score} at least {condition.low:g}{upper}"
        case Person() | CameBy():
            return f"person {_where(condition.where)}"
        case InSegment():
            return f"in segment {condition.segment}"
        case InList():
            return f"on list {condition.list}"
        case All() | Any() | Not():
            return {All: "all of", Any: "any of", Not: "not"}[type(condition)]


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


def _sequence(condition: Sequence) -> str:
    then = " directly then " if condition.strict else " then "
    without = f" without {condition.without} between" if condition.without else ""
    span = f" in {show(condition.span)}" if condition.span is not None else ""
    return then.join(condition.steps) + without + span + _within(condition.within, condition.lag)


def _visits(condition: Visits) -> str:
    what = "return visits" if condition.again else "sessions"
    return f"{_times(condition.low, condition.high)} {what}" + _within(condition.within, condition.lag)


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


def _habit(condition: Habit) -> str:
    match condition:
        case First():
            return f"first {condition.pattern}" + _within(condition.within, condition.lag)
        case Stopped():
            after = "" if condition.after is None else f", the last one at most {show(condition.after)} before that"
            return f"stopped {condition.pattern} for {show(condition.wait)}{after}"
        case Resumed():
            window = _within(condition.within, condition.lag)
            return f"resumed {condition.pattern} after a pause of {show(condition.pause)}{window}"
        case Regularly():
            times = "" if condition.times == 1 else f" at least {condition.times} times"
            periods = f"{condition.low} of the last {condition.of_last} periods of {show(condition.every)}"
            return f"did {condition.pattern}{times} in at least {periods}"


def _within(within: int | None, lag: int = 0) -> str:
    if not lag:
        return "" if within is None else f" within {show(within)}"
    return f" up to {show(lag)} ago" if within is None else f" from {show(within + lag)} to {show(lag)} ago"


def _where(where: Where) -> str:
    return ", ".join(f"{test.property} {test.op} {test.value}" for test in where)
