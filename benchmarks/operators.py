"""How long each operator's judging takes, as a multiple of reading the columns of signals: in one process, in memory.

    python benchmarks/operators.py --signals 5000000 --rules 100

All times of one run are divided by that run's "scan": reading person, pattern and instant of the signals from a
Parquet file with pyarrow. They are CPU seconds of all threads, so that neighbours on the machine weigh little. The
data is made from a seed: skewed activity over 90 days, 40 patterns, in order of person and instant, texts as
dictionaries, as a store would give it.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leadup.engine.kernel import judge
from leadup.rules import program as p
from leadup.rules.signals import signal_schema

DAY = 86_400_000_000
NOW = 20_000 * DAY
DAYS = 90
PATTERNS = tuple(f"p{n:02}" for n in range(40))


def make_program(rules: int) -> p.Program:
    """Make so many segments: every operator, half of them with two conditions, and five scores."""
    patterns = {
        name: p.Pattern(name=name, macro=n < 5, any=(p.Match(name),), same_within=(n % 4) * DAY // 48)
        for n, name in enumerate(PATTERNS)
    }
    scores = {
        f"score{n}": p.Score(
            name=f"score{n}",
            half_life=(3 + n) * DAY,
            points=tuple(p.Points(pattern=PATTERNS[(5 * n + m) % 40], points=5.0 + m, at_most=3) for m in range(5)),
            tiers=(("warm", 10.0), ("hot", 20.0)),
        )
        for n in range(5)
    }
    segments = {}
    for n in range(rules):
        a, b, c = (PATTERNS[(7 * n + m) % 40] for m in range(3))
        within = (3 + n % 30) * DAY
        condition = (
            p.Did(pattern=a, low=1 + n % 3, within=within),
            p.Did(pattern=a, low=0, high=0, within=within),
            p.Did(pattern=a, within=within, where=(p.Test("path", "starts_with", "/pricing"),)),
            p.Started(pattern=a, without=b, wait=DAY // 24, within=within),
            p.Sequence(steps=(a, b, c), span=3 * DAY, within=within),
            p.ScoreIs(score=f"score{n % 5}", low=10.0 + n % 10),
        )[n % 6]
        more = p.Not(p.Did(pattern=c, within=14 * DAY))
        when = p.All((condition, more)) if n % 2 else condition
        segments[f"s{n}"] = p.Segment(name=f"s{n}", when=when)
    return p.Program(patterns=patterns, scores=scores, segments=segments)


def make_signals(program: p.Program, rows: int, seed: int) -> tuple[pa.Table, pa.Table]:
    """Return people and signals; about ten signals a person, some have hundreds."""
    random = np.random.default_rng(seed)
    persons = max(rows // 10, 1)
    person = np.sort((persons * random.random(rows) ** 1.5).astype(np.int64))
    at = NOW - (DAYS * DAY * random.random(rows)).astype(np.int64)
    order = np.lexsort((at, person))
    person, at = person[order], at[order]
    pattern = (len(PATTERNS) * random.random(rows) ** 1.7).astype(np.int32)
    path = random.integers(0, 5, rows).astype(np.int32)
    columns: dict[str, Any] = {
        "person": person,
        "pattern": pa.DictionaryArray.from_arrays(pattern, pa.array(PATTERNS)),
        "at": at,
        "key": pc.cast(pa.array(np.arange(rows)), pa.string()),
        "text:event_id": pa.nulls(rows, pa.string()).dictionary_encode(),
        "num:event_id": pa.nulls(rows, pa.float64()),
        "text:path": pa.DictionaryArray.from_arrays(path, ["/", "/blog", "/docs", "/pricing", "/pricing/eu"]),
        "num:path": pa.nulls(rows, pa.float64()),
    }
    people = pa.table({"person": np.arange(persons), "known_from": np.full(persons, NOW - DAYS * DAY)})
    return people, pa.table(columns, schema=signal_schema(program))


NO_FACTS = pa.table(
    {
        "person": pa.array([], pa.int64()),
        "trait": pa.array([], pa.string()),
        "at": pa.array([], pa.int64()),
        "text": pa.array([], pa.string()),
        "num": pa.array([], pa.float64()),
    }
)


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds that work took, of all threads."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=int, default=5_000_000)
    parser.add_argument("--rules", type=int, default=100)
    parser.add_argument("--dirty", type=int, default=5_000, help="persons of one tick")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--times", type=int, default=5, help="rounds, of each row the fastest counts")
    options = parser.parse_args()

    program = make_program(options.rules)
    people, signals = make_signals(program, options.signals, options.seed)
    random = np.random.default_rng(options.seed)
    dirty = people.take(np.sort(random.permutation(people.num_rows)[: options.dirty]))
    of_dirty = signals.filter(pc.is_in(signals["person"], dirty["person"].combine_chunks()))
    shuffled = signals.take(random.permutation(signals.num_rows))
    lag = dict.fromkeys(PATTERNS, NOW - DAY)

    def run(who: pa.Table, what: pa.Table, watermarks: dict[str, int]) -> Callable[[], object]:
        return lambda: judge(program, who, what, NO_FACTS, at=NOW, watermarks=watermarks)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "signals.parquet")
        pq.write_table(signals, file, compression="zstd")
        work = {
            "scan (the baseline)": lambda: pq.read_table(file, columns=["person", "pattern", "at"]),
            "judge everyone": run(people, signals, {}),
            "judge everyone, watermarks a day behind": run(people, signals, lag),
            "judge everyone, signals in no order": run(people, shuffled, {}),
            f"judge the {dirty.num_rows:,} persons of a tick": run(dirty, of_dirty, {}),
        }
        # Round by round, so that a neighbour on the machine slows down all of a round and not one row.
        took = [[cpu(one) for one in work.values()] for _ in range(options.times)]
    scan, full, late, unsorted, tick = (min(times) for times in zip(*took, strict=True))

    print(f"{signals.num_rows:,} signals of {people.num_rows:,} persons, {len(program.segments)} rules, 5 scores")
    names = list(work)
    print(f"{names[0]:<42}{scan:8.3f} s {1:8.1f} x")
    print(f"{names[1]:<42}{full:8.3f} s {full / scan:8.1f} x   bar: at most 12 x")
    print(f"{names[2]:<42}{late:8.3f} s {late / scan:8.1f} x")
    print(f"{names[3]:<42}{unsorted:8.3f} s {unsorted / scan:8.1f} x")
    print(f"{names[4]:<42}{tick:8.3f} s {tick / full:8.3f} of everyone   bar: at most 0.100")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
