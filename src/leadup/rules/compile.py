"""Well-formed, checked rule files to a :class:`~leadup.rules.program.Program`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from graphlib import TopologicalSorter
from itertools import chain, pairwise
from typing import Any, TypeAlias, get_args

from leadup.rules import conditions as c
from leadup.rules import conversions, counts, filters, habits, model
from leadup.rules import program as p
from leadup.rules.checks import matches, reads
from leadup.rules.names import Loaded
from leadup.rules.signals import leaves
from leadup.rules.visits import ENDS, VISIT, asks_visits, visit_pattern
from leadup.rules.windows import width_and_lag
from leadup.types import Money

Scores: TypeAlias = Mapping[str, p.Score]
Funnels: TypeAlias = Mapping[str, Sequence[str]]
"""The steps of each funnel."""


def compile_rules(files: Sequence[Loaded], digests: Mapping[str, str]) -> p.Program:
    """Return the program that ``files`` mean together, ``digests`` being those of its lists.

    They have passed :func:`leadup.rules.checks.errors`.
    """
    rules = [file.rules for file in files]
    scores = {name: _score(name, score) for r in rules for name, score in r.scores.items()}
    funnels = {name: steps for r in rules for name, steps in r.funnels.items()}
    segments = {name: _segment(name, it, scores, funnels) for r in rules for name, it in r.segments.items()}
    asked = chain.from_iterable(leaves(segment.when) for segment in segments.values())
    program = p.Program(
        patterns={
            **({VISIT: visit_pattern()} if any(map(asks_visits, asked)) else {}),
            **{name: _pattern(name, it, macro=False) for r in rules for name, it in r.micro_conversions.items()},
            **{name: _pattern(name, it, macro=True) for r in rules for name, it in r.macro_conversions.items()},
        },
        scores=scores,
        segments={name: segments[name] for name in TopologicalSorter(reads(files)).static_order()},
        lists={
            name: p.PeopleList(name=name, match=it.match, digest=digests[name])
            for r in rules
            for name, it in r.lists.items()
        },
        groups=tuple(p.Group(name=name, segments=tuple(it)) for r in rules for name, it in r.groups.items()),
        conversions={name: _conversion(name, it) for r in rules for name, it in r.conversions.items()},
        properties={name: _property(name, it) for r in rules for name, it in r.properties.items()},
    )
    return replace(program, fingerprint=fingerprint(program))


def fingerprint(program: p.Program) -> str:
    """Return the SHA-256 (hex) of what the program means; descriptions, files and the order of names do not count."""
    canonical = json.dumps(_canonical(program), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        named = {f.name: _canonical(getattr(value, f.name)) for f in fields(value)}
        return {
            "is": type(value).__name__,
            **{k: v for k, v in named.items() if k not in ("description", "fingerprint")},
        }
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, tuple):
        items = [_canonical(item) for item in value]
        return sorted(items, key=lambda group: str(group["name"])) if value and isinstance(value[0], p.Group) else items
    return int(value) if isinstance(value, float) and value.is_integer() else value


# ---------------------------------------------------------------- catalogue and scores


def _pattern(name: str, it: model.Pattern, *, macro: bool) -> p.Pattern:
    return p.Pattern(
        name=name,
        macro=macro,
        any=tuple(p.Match(match.event, _where(match.where)) for match in matches(it)),
        same_within=it.same_within or 0,
        value=_value(it.value),
        description=it.description or "",
    )


def _value(it: Money | model.ValueOf | None) -> Money | p.ValueOf | None:
    if not isinstance(it, model.ValueOf):
        return it
    key = "currency" if it.is_code else "currency_property"
    return p.ValueOf(property=it.property_, **{key: it.currency})


def _where(where: filters.Where | None) -> p.Where:
    """Return the tests sorted, since all must hold and their order says nothing."""
    tests: list[p.Test] = []
    for name, it in (where or {}).items():
        if isinstance(it, filters.Tests):
            written = ((op, getattr(it, f"{op}_" if op == "in" else op)) for op in get_args(p.Op))
            tests += [p.Test(name, op, tuple(x) if isinstance(x, list) else x) for op, x in written if x is not None]
        else:
            tests.append(p.Test(name, "in", tuple(it)) if isinstance(it, list) else p.Test(name, "eq", it))
    return tuple(sorted(tests, key=lambda test: (test.property, test.op)))


def _score(name: str, it: model.Score) -> p.Score:
    points = []
    for pattern, given in sorted(it.points.items()):  # points are summed in this order, whatever the file's is
        long = given if isinstance(given, model.Points) else model.Points(points=given)
        points.append(p.Points(pattern=pattern, points=float(long.points), at_most=long.at_most))
    tiers = tuple((tier, float(threshold)) for tier, threshold in (it.tiers or {}).items())
    return p.Score(name=name, half_life=it.half_life, points=tuple(points), tiers=tiers)


# ---------------------------------------------------------------- conditions


def _condition(it: c.Condition, scores: Scores, funnels: Funnels) -> p.Condition:
    match it:
        case c.AllOf():
            return p.All(tuple(_condition(part, scores, funnels) for part in it.all))
        case c.AnyOf():
            return p.Any(tuple(_condition(part, scores, funnels) for part in it.any))
        case c.Not():
            return p.Not(_condition(it.not_, scores, funnels))
        case _:
            return _leaf(it, scores, funnels)


def _leaf(it: c.Leaf, scores: Scores, funnels: Funnels) -> p.Condition:
    within, lag = width_and_lag(getattr(it, "within", None))
    match it:
        case counts.Did():
            return _did(it)
        case counts.DidNot():
            return p.Did(pattern=it.did_not, low=0, high=0, within=within, lag=lag, where=_where(it.where))
        case counts.Sessions(sessions=count) | counts.ReturnVisits(return_visits=count):
            low, high = count.counts
            within, lag = width_and_lag(count.within)
            return p.Visits(again=isinstance(it, counts.ReturnVisits), low=low, high=high, within=within, lag=lag)
        case habits.First() | habits.Stopped() | habits.Resumed() | habits.Regularly():
            return _habit(it)
        case c.Started():
            return p.Started(pattern=it.started, without=it.without, wait=it.for_, within=it.within)
        case c.DroppedAt():
            following = dict(pairwise(funnels[it.of]))[it.dropped_at]
            return p.Started(pattern=it.dropped_at, without=following, wait=it.for_, within=it.within)
        case c.Sequence():
            return p.Sequence(
                steps=tuple(it.sequence),
                span=it.span,
                within=within,
                lag=lag,
                strict=it.strict or False,
                without=it.without,
            )
        case c.ScoreAtLeast() | c.InTier():
            return _score_is(it, scores)
        case c.Person():
            return _person(_where(it.person))
        case c.InSegment():
            return p.InSegment(segment=it.in_segment)
        case c.InList():
            return p.InList(list=it.in_list)


def _did(it: counts.Did) -> p.Did | p.Measured:
    (low, high), (within, lag), where = it.bounds, width_and_lag(it.within), _where(it.where)
    if it.measure is not None:
        of, prop = it.measure
        low, high = (None if bound is None else float(bound) for bound in (low or None if of != "max" else low, high))
        return p.Measured(pattern=it.did, of=of, property=prop, low=low, high=high, within=within, lag=lag, where=where)
    fewest, most = it.counts
    return p.Did(pattern=it.did, low=fewest, high=most, within=within, lag=lag, where=where)


def _habit(it: c.Habit) -> p.Habit:
    within, lag = width_and_lag(getattr(it, "within", None))
    match it:
        case habits.First():
            return p.First(pattern=it.first, within=within, lag=lag)
        case habits.Stopped():
            return p.Stopped(pattern=it.stopped, wait=it.for_, after=it.after)
        case habits.Resumed():
            return p.Resumed(pattern=it.resumed, pause=it.after_pause, within=within, lag=lag)
        case habits.Regularly():
            return p.Regularly(
                pattern=it.regularly, low=it.at_least, of_last=it.of_last, every=it.every, times=it.times or 1
            )


def _person(where: p.Where) -> p.Condition:
    channels = tuple(test for test in where if test.property in ENDS)
    traits = tuple(test for test in where if test.property not in ENDS)
    if not channels:
        return p.Person(where=traits)
    return p.All((p.Person(where=traits), p.CameBy(where=channels))) if traits else p.CameBy(where=channels)


def _score_is(it: c.ScoreAtLeast | c.InTier, scores: Scores) -> p.ScoreIs:
    if isinstance(it, c.ScoreAtLeast):
        return p.ScoreIs(score=it.score, low=float(it.at_least))
    score = it.of or next(name for name, score in scores.items() if it.tier in dict(score.tiers))
    tiers = scores[score].tiers
    index = [name for name, _ in tiers].index(it.tier)
    return p.ScoreIs(score=score, low=tiers[index][1], high=tiers[index + 1][1] if index + 1 < len(tiers) else None)


# ---------------------------------------------------------------- what is sent


def _segment(name: str, it: model.Segment, scores: Scores, funnels: Funnels) -> p.Segment:
    return p.Segment(
        name=name,
        when=_condition(it.when, scores, funnels),
        exclude=tuple(it.exclude or ()),
        settle=it.settle or 0,
        stay_at_least=it.stay_at_least or 0,
        holdout=p.Holdout(name=it.holdout.name, share=it.holdout.percent / 100) if it.holdout else None,
        activate=_activate(it.activate),
        guard=p.Guard(max_leave=it.guard.max_leave, min_size=it.guard.min_size or 0) if it.guard else p.Guard(),
        description=it.description or "",
    )


def _activate(activate: conversions.Activate | None) -> tuple[p.Activation, ...]:
    long = (conversions.ActivateLong(to=it) if isinstance(it, str) else it for it in activate or ())
    return tuple(p.Activation(connection=it.to, name=it.name or "", consent=tuple(it.consent or ())) for it in long)


def _conversion(name: str, it: conversions.Conversion) -> p.Conversion:
    if it.ladder is None or it.episode is None:
        value = it.value if isinstance(it.value, Money) else None
        return p.Conversion(name=name, on=it.on or "", value=value, activate=_activate(it.activate))
    ladder = p.Ladder(
        steps=tuple(it.ladder),
        worth=tuple(sorted(it.value.items())) if isinstance(it.value, dict) else (),
        episode=it.episode,
        cap=it.cap,
        lost=it.lost or "",
    )
    return p.Conversion(name=name, ladder=ladder, activate=_activate(it.activate))


def _property(name: str, it: model.Property) -> p.Property:
    of, names = it.source
    return p.Property(name=name, of=of, names=names, text=it.as_ == "text", activate=_activate(it.activate))
