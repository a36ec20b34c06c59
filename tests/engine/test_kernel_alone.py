"""The kernel alone: it runs wherever NumPy and pyarrow are, from a pickled program and Arrow batches."""

import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from leadup.engine.kernel import judge
from leadup.rules import program as p
from leadup.rules.signals import signal_table

DAY = 86_400_000_000
NOW = 20_000 * DAY
PROGRAM = p.Program(
    patterns={name: p.Pattern(name=name, macro=False, any=(p.Match(name),)) for name in ("pricing", "signup", "paid")},
    scores={"warmth": p.Score(name="warmth", half_life=7 * DAY, points=(p.Points(pattern="pricing", points=10.0),))},
    segments={
        "often": p.Segment(name="often", when=p.Did(pattern="pricing", low=2, within=30 * DAY)),
        "spent": p.Segment(name="spent", when=p.Measured(pattern="paid", of="sum", property="amount", low=50.0)),
        "left": p.Segment(name="left", when=p.Started(pattern="signup", without="paid", wait=DAY // 24)),
        "order": p.Segment(name="order", when=p.Sequence(steps=("pricing", "signup", "paid"), within=30 * DAY)),
        "warm": p.Segment(name="warm", when=p.ScoreIs(score="warmth", low=10.0)),
        "told": p.Segment(name="told", when=p.Person(where=(p.Test("plan", "eq", "pro"),))),
    },
)
FACTS = pa.schema(
    {"person": pa.int64(), "trait": pa.string(), "at": pa.int64(), "text": pa.string(), "num": pa.float64()}
)
ONLY_THESE = """
import sys
from importlib.abc import MetaPathFinder

ALLOWED = {"numpy", "pyarrow", "leadup", *sys.stdlib_module_names}
LEADUP = ("leadup.engine", "leadup.rules", "leadup.types", "leadup.outgoing")

class OnlyThese(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top.startswith("_sysconfigdata"):  # of the standard library, named after the machine
            return None
        if top not in ALLOWED or (top == "leadup" and name != top and not name.startswith(LEADUP)):
            raise ImportError(f"The kernel needs {name}.", name=name)
        return None

sys.meta_path.insert(0, OnlyThese())
"""
WORKER = (
    ONLY_THESE
    + """
import pickle
import pyarrow as pa
from leadup.engine.kernel import judge

program, at, *tables = pickle.load(sys.stdin.buffer)
people, signals, facts = (pa.ipc.open_stream(table).read_all() for table in tables)
verdicts = judge(program, people, signals, facts, at=at, watermarks={})
with pa.ipc.new_stream(sys.stdout.buffer, verdicts.schema) as stream:
    stream.write_table(verdicts)
"""
)


def history(persons: int) -> pa.Table:
    """Person n does n % 7 of: a look at the prices, a day apart, signup, look, payment of 20."""
    deeds = ["pricing", "pricing", "signup", "pricing", "paid", "signup"]
    rows = [(n, deed, NOW - (10 - day) * DAY) for n in range(persons) for day, deed in enumerate(deeds[: n % 7])]
    paid = [{"amount": 20 + 10 * n} if deed == "paid" else {} for n, deed, _ in rows]
    keys = [f"{place:04x}" for place in range(len(rows))]
    return signal_table(PROGRAM, [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], keys, paid)


def people(ids: Iterable[int]) -> pa.Table:
    known = pa.array(ids, pa.int64())
    return pa.table({"person": known, "known_from": pa.array([NOW - 90 * DAY] * len(known), pa.int64())})


def facts(ids: Iterable[int]) -> pa.Table:
    rows = [{"person": n, "trait": "plan", "at": NOW - DAY, "text": "pro", "num": None} for n in ids if n % 3 == 0]
    return pa.Table.from_pylist(rows, FACTS)


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def whole_persons(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Cut batches, in order of person, anew at the borders between persons, as a Spark executor must."""
    kept: pa.Table | None = None
    for batch in batches:
        rows = (
            pa.Table.from_batches([batch]) if kept is None else pa.concat_tables([kept, pa.Table.from_batches([batch])])
        )
        last = rows["person"][-1]
        open_ = pc.equal(rows["person"], last)
        whole, kept = rows.filter(pc.invert(open_)), rows.filter(open_)
        if whole.num_rows:
            yield whole.unify_dictionaries()
    if kept is not None:
        yield kept.unify_dictionaries()


def test_it_needs_numpy_and_pyarrow_and_nothing_else() -> None:
    everyone, signals, told = people(range(14)), history(14), facts(range(14))
    there = pickle.dumps((PROGRAM, NOW, stream(everyone), stream(signals), stream(told)))
    sources = str(Path(__file__).parents[2] / "src")
    worker = f"import sys\nsys.path.insert(0, {sources!r})\n{WORKER}"
    done = subprocess.run([sys.executable, "-I", "-c", worker], input=there, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    here = judge(PROGRAM, everyone, signals, told, at=NOW, watermarks={})
    assert pa.ipc.open_stream(done.stdout).read_all().equals(here)
    for name in PROGRAM.segments:
        assert {True, False} == set(here[f"in:{name}"].to_pylist()), name


def test_the_guard_of_that_test_stops_other_libraries() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{ONLY_THESE}\nimport sqlalchemy"], check=False, capture_output=True, text=True
    )
    assert "The kernel needs sqlalchemy." in done.stderr


def test_batches_of_whole_persons_are_enough() -> None:
    everyone, signals, told = people(range(500)), history(500), facts(range(500))
    at_once = judge(PROGRAM, people(pc.unique(signals["person"]).to_pylist()), signals, told, at=NOW, watermarks={})
    program = pickle.loads(pickle.dumps(PROGRAM))
    batches = signals.combine_chunks().to_batches(max_chunksize=97)  # which cuts persons in two
    assert len(batches) > 10
    answers = [
        judge(program, people(pc.unique(part["person"]).to_pylist()), part, told, at=NOW, watermarks={}).to_batches()
        for part in whole_persons(batches)
    ]
    assert pa.Table.from_batches([batch for answer in answers for batch in answer]).equals(at_once)
    assert len(everyone) > at_once.num_rows  # who did nothing is in no batch of signals
