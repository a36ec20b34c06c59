"""How long it takes to judge 100 rules over 20 million events, beside a bare scan, DuckDB, Polars and pandas.

    python benchmarks/judge.py                      the full proof; some minutes on two cores
    python benchmarks/judge.py --all                DuckDB and Polars as well over all events, not over a quarter
    python benchmarks/judge.py --events 1000000     a smaller one

The baseline of all ratios is the scan: pyarrow reads the five columns that judging needs from the Parquet files, by
all processors. DuckDB, Polars and pandas read the same files. Every row is a process of its own: seconds by the clock,
processor seconds, and peak memory over all its processes. All must find the same members of every rule.

leadup reads the same events from the product's columns, a file for each pattern, as its ticks do.

The files are in the page cache. Of scans, judging and ticks the fastest of some rounds counts; the others have one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from judging import rivals
from judging.data import COLUMNS, Persons, State, make, parts_of, state_of
from judging.measure import Took, alone, fastest
from judging.rules import NOW, make_program

from leadup.engine.kernel import judge
from leadup.engine.pool import Pool, judge_parts, processors
from leadup.rules.program import Program

STEPS = (20, 10, 4, 2, 1)
"""The growth is shown from a twentieth of the events to all; the twentieth is what pandas is given."""

BAR = "bar: at most 8.0 x, 2,048 MiB"

Row = dict[str, Any]


# ---------------------------------------------------------------- what is measured, each in a process of its own


def scan(parts: Sequence[Persons], options: argparse.Namespace) -> Row:
    def read() -> int:
        columns = {"columns": list(COLUMNS), "read_dictionary": ["path"]}
        return sum(pq.read_table(part.parquet, **columns).num_rows for part in parts)

    took, rows = fastest(read, options.times)
    return _row(took, rows=rows)


def judge_all(parts: Sequence[Persons], options: argparse.Namespace) -> Row:
    return _judge_all(parts, options, processors())


def judge_in_one(parts: Sequence[Persons], options: argparse.Namespace) -> Row:
    return _judge_all(parts, options, 1)


def _judge_all(parts: Sequence[Persons], options: argparse.Namespace, workers: int) -> Row:
    program, state = make_program(options.rules), state_of(parts)
    parts = [replace(part, state=state) for part in parts]
    with Pool(workers) as pool:
        started, _ = fastest(lambda: list(pool.each(abs, range(4 * workers))), 1)

        def work() -> rivals.Members:
            members: Counter[str] = Counter()
            sums: Counter[str] = Counter()
            for found in judge_parts(pool, program, parts, tally, at=NOW, watermarks={}):
                members.update({name: count for name, (count, _) in found.items()})
                sums.update({name: sum_ for name, (_, sum_) in found.items()})
            return {name: (members[name], sums[name]) for name in program.segments}

        took, found = fastest(work, options.times)
    return _row(took, members=found, started=started.seconds)


def tally(verdicts: pa.Table) -> rivals.Members:
    """Return how many members each segment has, and their checksum."""
    worth, found = rivals.checksum(verdicts["person"].to_numpy()), {}
    for name in verdicts.column_names:
        if name.startswith("in:"):
            members = np.flatnonzero(verdicts[name].to_numpy())
            found[name.removeprefix("in:")] = len(members), int(worth[members].sum())
    return found


def tick(parts: Sequence[Persons], options: argparse.Namespace) -> Row:
    """Judge some thousand persons, drawn by lot: their rows alone are read."""
    program, state = make_program(options.rules), state_of(parts)
    dirty = np.random.default_rng(options.seed).choice(state.persons, options.dirty, replace=False)
    dirty.sort()
    work = partial(_judge_some, program, state, dirty)
    work()  # maps the files, as a daemon has them mapped
    took, verdicts = fastest(work, 2 * options.times)
    return _row(took, rows=verdicts.num_rows)


def _judge_some(program: Program, state: State, persons: npt.NDArray[np.int64]) -> pa.Table:
    return judge(program, *state.gather(persons), at=NOW, watermarks={})


def rival(name: str) -> Callable[[Sequence[Persons], argparse.Namespace], Row]:
    def run(parts: Sequence[Persons], options: argparse.Namespace) -> Row:
        took, members = fastest(lambda: getattr(rivals, name)(make_program(options.rules), parts), 1)
        return _row(took, members=members)

    return run


def _row(took: Took, **more: Any) -> Row:
    return {"seconds": took.seconds, "cpu": took.cpu, **more}


RUNS = {
    "scan": scan,
    "judge": judge_all,
    "judge_in_one": judge_in_one,
    "tick": tick,
    **{name: rival(name) for name in ("duckdb", "polars", "pandas")},
}


# ---------------------------------------------------------------- side by side


def run(name: str, parts: int, folder: str, options: argparse.Namespace) -> Row:
    """Measure one row in a process of its own."""
    asked = {
        "events": options.events,
        "rules": options.rules,
        "dirty": options.dirty,
        "times": options.times,
        "seed": options.seed,
    }
    flags = [f"--{key}={value}" for key, value in asked.items()]
    printed, peak = alone([__file__, *flags, f"--run={name}", f"--parts={parts}", f"--folder={folder}"])
    return {**json.loads(printed), "peak": peak}


def show(name: str, row: Row, base: Row, note: str = "") -> None:
    clock, cpu = (f"{row[key]:9.3f} s {row[key] / base[key]:7.1f} x" for key in ("seconds", "cpu"))
    print(f"{name:<26}{clock}{cpu}{row['peak']:>9,.0f} MiB   {note}".rstrip(), flush=True)


def compare(program: Program, rows: Mapping[str, Row]) -> str:
    """Return how many rules these find the same members of, and name the ones they do not."""
    found = {engine: {rule: tuple(one) for rule, one in row["members"].items()} for engine, row in rows.items()}
    differ = [rule for rule in program.segments if len({members[rule] for members in found.values()}) > 1]
    same = len(program.segments) - len(differ)
    return f"{same} of {len(program.segments)} rules: the same members by {' = '.join(found)}" + "".join(
        f"\n  {rule}: { ({engine: members[rule] for engine, members in found.items()}) }" for rule in differ
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000_000, help="of a tenth as many persons")
    parser.add_argument("--rules", type=int, default=100)
    parser.add_argument("--dirty", type=int, default=5_000, help="persons of a tick")
    parser.add_argument("--times", type=int, default=3, help="rounds, of which the fastest counts")
    parser.add_argument("--all", action="store_true", help="DuckDB and Polars over all events, not over a quarter")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--parts", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        parts = parts_of(Path(options.folder), options.events // 10)[: options.parts]
        print(json.dumps(RUNS[options.run](parts, options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        prove(options, folder)


def prove(options: argparse.Namespace, folder: str) -> None:
    program, persons = make_program(options.rules), options.events // 10
    whole = len(parts_of(Path(folder), persons))
    sizes = list(dict.fromkeys(max(whole // step, 1) for step in STEPS))
    make(Path(folder), options.events, persons, options.seed, sizes)
    kinds = Counter(name.rstrip("0123456789") for name in program.segments)
    print(f"{options.events:,} events of {persons:,} persons, {processors()} processors")
    print(f"{options.rules} rules: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}\n")
    print(f"{'':<26}{'by the clock':>21}{'by processor time':>21}{'peak memory':>13}", flush=True)

    measured: dict[tuple[int, str], Row] = {}

    def row(parts: int, name: str) -> Row:
        if (parts, name) not in measured:
            measured[parts, name] = run(name, parts, folder, options)
        return measured[parts, name]

    def rows(parts: int, names: Mapping[str, str], bar: str = "") -> None:
        for name, title in names.items():
            show(title, row(parts, name), row(parts, "scan"), bar if name == "judge" else "")
        found = {title: row(parts, name) for name, title in names.items() if "members" in row(parts, name)}
        print(compare(program, found) + "\n", flush=True)

    ours = {"scan": "scan (the baseline)", "judge": f"judge, {processors()} workers"}
    others = {"judge_in_one": "judge, one process", "polars": "Polars, streaming", "duckdb": "DuckDB, fused"}
    few, quarter = sizes[0], max(whole // 4, 1)
    rows(whole, ours | (others if options.all else {"judge_in_one": others["judge_in_one"]}), BAR)
    print(f"(starting the workers took {row(whole, 'judge')['started']:.2f} s, once, which is not in the above)\n")
    if not options.all:
        print("A quarter of it:")
        rows(quarter, ours | others)
    print("A twentieth of it:")
    rows(few, ours | {"pandas": "pandas"})

    print(f"How it grows. A tick judges {options.dirty:,} persons in one process: bar: at most 1/20 of everyone")
    print(f"{'events':>12}{'scan s':>10}{'judge s':>10}{'of scan':>10}{'peak MiB':>10}{'tick s':>10}{'of judge':>10}")
    for parts in sizes:
        scanned, judged, ticked = (row(parts, name)["cpu"] for name in ("scan", "judge", "tick"))
        print(
            f"{row(parts, 'scan')['rows']:>12,}{scanned:>10.3f}{judged:>10.3f}{judged / scanned:>8.1f} x"
            f"{row(parts, 'judge')['peak']:>10,.0f}{ticked:>10.3f}{f'1/{judged / ticked:.0f}':>10}",
            flush=True,
        )
    print("(seconds of processor time)")


if __name__ == "__main__":
    main()
