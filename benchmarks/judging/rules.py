"""The 100 rules: 30 counts, 20 sums, 20 of recency, 20 of decay, 5 sequences and 5 abandonments."""

from __future__ import annotations

from functools import cache

from leadup.rules import program as p

DAY = 86_400_000_000
NOW = 20_000 * DAY
DAYS = 90
PATTERNS = tuple(f"p{n:02}" for n in range(40))
PAYS = 4
"""Every so-manieth pattern has an amount, in cents."""


@cache
def make_program(rules: int = 100) -> p.Program:
    """Make so many segments: of every kind its share, and every third with a second condition."""
    segments = {name: p.Segment(name=name, when=when) for name, when in map(_rule, range(rules))}
    return p.Program(
        patterns={name: p.Pattern(name=name, macro=False, any=(p.Match(name),)) for name in PATTERNS},
        scores={f"score{n}": _score(n) for n in range(10)},
        segments=segments,
    )


def _rule(n: int) -> tuple[str, p.Condition]:
    a, b, c = (PATTERNS[(7 * n + n // 20 + 3 * m) % 40] for m in range(3))
    paid = PATTERNS[PAYS * n % 40]
    within = (3 + n % 28) * DAY
    rest = p.Not(p.Did(pattern=c, within=14 * DAY))
    kind = n % 20
    if kind < 6:
        where = (p.Test("path", "starts_with", "/pricing"),) if kind < 2 else ()
        return _named("count", n, p.Did(pattern=a, low=1 + n % 3, within=within, where=where), rest)
    if kind < 10:
        summed = p.Measured(
            pattern=paid, of="sum", property="amount", low=float(5_000 + 1_000 * (n % 9)), within=within
        )
        return _named("sum", n, summed, rest)
    if kind < 14:
        recent = p.Did(pattern=a, within=within) if n % 2 else p.Did(pattern=a, low=0, high=0, within=within)
        return _named("recency", n, recent, p.Did(pattern=b, within=60 * DAY))
    if kind < 18:
        return _named("decay", n, p.ScoreIs(score=f"score{n % 10}", low=8.0 + n % 7), rest)
    if kind == 18:
        return f"sequence{n}", p.Sequence(steps=(a, b, c), span=20 * DAY, within=45 * DAY)
    return f"abandoned{n}", p.Started(pattern=a, without=b, wait=DAY // 24, within=7 * DAY)


def _named(kind: str, n: int, condition: p.Condition, more: p.Condition) -> tuple[str, p.Condition]:
    return f"{kind}{n}", p.All((condition, more)) if n % 3 == 0 else condition


def _score(n: int) -> p.Score:
    points = tuple(p.Points(pattern=PATTERNS[(3 * n + m) % 40], points=3.0 + m) for m in range(3))
    return p.Score(name=f"score{n}", half_life=(3 + n) * DAY, points=points)
