"""The same rules for DuckDB, Polars and pandas, each in its own best idiom, over the same Parquet files.

Counts, sums, recency, decay and abandonments are aggregates of a person's events: one grouping makes all of them. The
sequences are joins to the latest event before (as-of joins), one chain a rule.

Each returns, of every rule, how many members it has and the checksum of who they are (:func:`checksum`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import chain
from typing import Any

from judging.data import COLUMNS, Persons
from judging.rules import NOW, PATTERNS
from leadup.rules import program as p

Members = Mapping[str, tuple[int, int]]
CHECKSUM = "(person * 7919 + 104729) % 1000003"
"""As SQL."""


def checksum(person: Any) -> Any:
    """Return what a member adds to the checksum of a rule; of integers, of arrays, or of a column's expression."""
    return (person * 7_919 + 104_729) % 1_000_003


def tests(condition: p.Condition) -> Iterator[p.Condition]:
    """Yield what a condition tests of a person, from left to right."""
    match condition:
        case p.All(parts=parts):
            for part in parts:
                yield from tests(part)
        case p.Not(part=part):
            yield from tests(part)
        case _:
            yield condition


def holds(condition: p.Condition, answer: Callable[[p.Condition], Any]) -> Any:
    """Put the answers to its tests together."""
    match condition:
        case p.All(parts=parts):
            return reduce(lambda a, b: a & b, [holds(part, answer) for part in parts])
        case p.Not(part=part):
            return ~holds(part, answer)
        case _:
            return answer(condition)


def features(program: p.Program) -> list[p.Condition]:
    """Return what the rules test of one person's events taken together, each once."""
    found = [test for segment in program.segments.values() for test in tests(segment.when)]
    return [test for test in dict.fromkeys(found) if not isinstance(test, p.Sequence)]


def sequences(program: p.Program) -> dict[str, p.Sequence]:
    return {name: one.when for name, one in program.segments.items() if isinstance(one.when, p.Sequence)}


def code(pattern: str) -> int:
    return PATTERNS.index(pattern)


# ---------------------------------------------------------------- DuckDB


def duckdb(program: p.Program, parts: Sequence[Persons], threads: int = 2) -> Members:
    """One fused query: an aggregate with a filter for every feature, then the rules over them."""
    import duckdb

    listed = features(program)
    named = {feature: f"f{n}" for n, feature in enumerate(listed)}
    columns = ",\n".join(f"{_sql(program, feature)} AS {name}" for feature, name in named.items())
    rules = {n: one.when for n, one in program.segments.items() if not isinstance(one.when, p.Sequence)}
    bounds = {n: _sql_rule(when, named) for n, when in rules.items()}
    each = ",\n".join(
        f"count(*) FILTER ({rule}), coalesce(sum({CHECKSUM}) FILTER ({rule}), 0)" for rule in bounds.values()
    )
    files = [str(part.parquet) for part in parts]
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.execute(f"CREATE VIEW events AS SELECT * REPLACE (amount::INT AS amount) FROM read_parquet({files})")
        fused = f"SELECT {each} FROM (SELECT person, {columns} FROM events GROUP BY person)"
        numbers = list(connection.execute(fused).fetchone() or ())
        found = {name: (int(numbers[2 * n]), int(numbers[2 * n + 1])) for n, name in enumerate(bounds)}
        for name, sequence in sequences(program).items():
            found[name] = tuple(map(int, connection.execute(_sql_sequence(sequence)).fetchone() or ()))
    return found


def _sql(program: p.Program, feature: p.Condition) -> str:
    match feature:
        case p.Did():
            where = "".join(f" AND starts_with(path, '{test.value}')" for test in feature.where)
            return f'count(*) FILTER (code = {code(feature.pattern)} AND "at" > {NOW - feature.within}{where})'
        case p.Measured():
            window = f'code = {code(feature.pattern)} AND "at" > {NOW - feature.within}'
            return f"coalesce(sum(amount) FILTER ({window}), 0)"
        case p.ScoreIs():
            score = program.scores[feature.score]
            points = " ".join(f"WHEN {code(one.pattern)} THEN {one.points}" for one in score.points)
            codes = ", ".join(str(code(one.pattern)) for one in score.points)
            decayed = f'CASE code {points} END * pow(2.0, ("at" - {NOW}) / {float(score.half_life)})'
            window = f'code IN ({codes}) AND "at" > {NOW - 10 * score.half_life}'
            return f"coalesce(sum({decayed}) FILTER ({window}), 0)"
        case p.Started():
            begun = f'max("at") FILTER (code = {code(feature.pattern)} AND "at" <= {NOW - feature.wait})'
            ended = f'max("at") FILTER (code = {code(feature.without)})'
            return f"coalesce({begun} > greatest(coalesce({ended}, 0), {NOW - feature.within}), false)"
        case _:
            raise TypeError(f"{feature!r} is no aggregate.")


def _sql_rule(condition: p.Condition, named: Mapping[p.Condition, str]) -> str:
    match condition:
        case p.All(parts=parts):
            return " AND ".join(f"({_sql_rule(part, named)})" for part in parts)
        case p.Not(part=part):
            return f"NOT ({_sql_rule(part, named)})"
        case p.Started():
            return named[condition]
        case _:
            high = getattr(condition, "high", None)
            return f"{named[condition]} >= {condition.low}" + (
                f" AND {named[condition]} <= {high}" * (high is not None)
            )


def _sql_sequence(sequence: p.Sequence) -> str:
    a, b, c = (f'(SELECT person, "at" FROM events WHERE code = {code(step)})' for step in sequence.steps)
    return f"""
        WITH second AS (
            SELECT b.person, b."at", a."at" AS begun
            FROM {b} b ASOF JOIN {a} a ON a.person = b.person AND a."at" < b."at"
        ), members AS (
            SELECT DISTINCT c.person FROM {c} c ASOF JOIN second b ON b.person = c.person AND b."at" < c."at"
            WHERE c."at" - b.begun <= {sequence.span} AND c."at" > {NOW - sequence.within}
        )
        SELECT count(*), coalesce(sum({CHECKSUM}), 0) FROM members"""


# ---------------------------------------------------------------- Polars


def polars(program: p.Program, parts: Sequence[Persons]) -> Members:
    """One lazy grouping, run by the streaming engine; sequences by ``join_asof``."""
    import polars as pl

    events = pl.scan_parquet([str(part.parquet) for part in parts])
    named = {feature: f"f{n}" for n, feature in enumerate(features(program))}
    column = {name: pl.col(name) for name in COLUMNS}
    grouped = events.group_by("person").agg(
        _lazily(program, feature, column, pl).alias(name) for feature, name in named.items()
    )

    def answer(test: p.Condition) -> Any:
        return _bounded(test, pl.col(named[test]))

    rules = {n: one.when for n, one in program.segments.items() if not isinstance(one.when, p.Sequence)}
    numbers = [
        [
            holds(when, answer).sum().alias(f"{n}:n"),
            checksum(pl.col("person")).filter(holds(when, answer)).sum().alias(n),
        ]
        for n, when in rules.items()
    ]
    row = grouped.select(chain.from_iterable(numbers)).collect(engine="streaming").row(0, named=True)
    found = {name: (row[f"{name}:n"], row[name]) for name in rules}
    for name, sequence in sequences(program).items():
        # In order of instant within a person, as the files are, which the library can not see by itself.
        steps = [events.filter(column["code"] == code(step)).select("person", "at") for step in sequence.steps]
        a, b, c = (step.collect().sort("person", "at") for step in steps)
        how = {"on": "at", "by": "person", "allow_exact_matches": False, "check_sortedness": False}
        second = b.join_asof(a.with_columns(begun="at"), **how).filter(pl.col("begun").is_not_null())
        done = c.join_asof(second, **how)
        late = (pl.col("at") - pl.col("begun") <= sequence.span) & (pl.col("at") > NOW - sequence.within)
        who = done.filter(late)["person"].unique()
        found[name] = len(who), int(checksum(who).sum())
    return found


def _lazily(program: p.Program, feature: p.Condition, column: Mapping[str, Any], pl: Any) -> Any:
    at = column["at"]
    match feature:
        case p.Did():
            paths = [column["path"].str.starts_with(str(test.value)) for test in feature.where]
            window = (column["code"] == code(feature.pattern)) & (at > NOW - feature.within)
            return reduce(lambda a, b: a & b, paths, window).sum()
        case p.Measured():
            window = (column["code"] == code(feature.pattern)) & (at > NOW - feature.within)
            return column["amount"].filter(window).sum()
        case p.ScoreIs():
            score = program.scores[feature.score]
            worth = reduce(
                lambda worth, one: pl.when(column["code"] == code(one.pattern)).then(one.points).otherwise(worth),
                score.points,
                pl.lit(0.0),
            )
            window = column["code"].is_in([code(one.pattern) for one in score.points])
            decayed = worth * pl.lit(2.0).pow((at - NOW) / score.half_life)
            return decayed.filter(window & (at > NOW - 10 * score.half_life)).sum()
        case p.Started():
            begun = at.filter((column["code"] == code(feature.pattern)) & (at <= NOW - feature.wait)).max()
            ended = at.filter(column["code"] == code(feature.without)).max().fill_null(0)
            return (begun > pl.max_horizontal(ended, pl.lit(NOW - feature.within))).fill_null(False)
        case _:
            raise TypeError(f"{feature!r} is no aggregate.")


def _bounded(test: p.Condition, value: Any) -> Any:
    if isinstance(test, p.Started):
        return value
    high = getattr(test, "high", None)
    return (value >= test.low) & (value <= high) if high is not None else value >= test.low


# ---------------------------------------------------------------- pandas


def pandas(program: p.Program, parts: Sequence[Persons]) -> Members:
    """A grouping of the events that a feature reads, for one feature after another; sequences by ``merge_asof``."""
    import numpy as np
    import pandas as pd

    events = pd.concat([pd.read_parquet(part.parquet, columns=list(COLUMNS)) for part in parts], ignore_index=True)
    everyone = pd.Index(events["person"].unique())
    of_code = dict(iter(events.groupby("code")))

    def of(pattern: str, since: int) -> pd.DataFrame:
        there = of_code.get(code(pattern), events.iloc[:0])
        return there[there["at"] > since]

    def value(feature: p.Condition) -> Any:
        match feature:
            case p.Did():
                there = of(feature.pattern, NOW - feature.within)
                for test in feature.where:
                    there = there[there["path"].str.startswith(test.value)]
                return there.groupby("person").size()
            case p.Measured():
                return of(feature.pattern, NOW - feature.within).groupby("person")["amount"].sum()
            case p.ScoreIs():
                score = program.scores[feature.score]
                read = [(one.points, of(one.pattern, NOW - 10 * score.half_life)) for one in score.points]
                worth = [points * np.exp2((there["at"] - NOW) / score.half_life) for points, there in read]
                return pd.concat(worth).groupby(pd.concat([there["person"] for _, there in read])).sum()
            case p.Started():
                begun = of(feature.pattern, NOW - feature.within)
                begun = begun[begun["at"] <= NOW - feature.wait].groupby("person")["at"].max()
                ended = of(feature.without, 0).groupby("person")["at"].max()
                return begun > ended.reindex(begun.index, fill_value=0)
            case _:
                raise TypeError(f"{feature!r} is no aggregate.")

    answers = {f: _bounded(f, value(f).reindex(everyone, fill_value=0)).astype(bool) for f in features(program)}
    found = {}
    for name, segment in program.segments.items():
        if isinstance(segment.when, p.Sequence):
            a, b, c = (of(step, 0)[["person", "at"]].sort_values("at") for step in segment.when.steps)
            how = {"on": "at", "by": "person", "allow_exact_matches": False}
            second = pd.merge_asof(b, a.assign(begun=a["at"]), **how).dropna(subset="begun")
            done = pd.merge_asof(c, second, **how)
            done = done[(done["at"] - done["begun"] <= segment.when.span) & (done["at"] > NOW - segment.when.within)]
            who = done["person"].unique()
        else:
            who = everyone[holds(segment.when, answers.__getitem__)].to_numpy()
        found[name] = len(who), int(checksum(who).sum())
    return found
