"""A pool of workers: order, errors, and that nothing is left behind whatever ends it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from leadup.engine.kernel import judge
from leadup.engine.pool import Pool, WorkerDied, judge_parts, workers_for
from leadup.rules import program as p
from leadup.rules.signals import signal_table

DAY = 86_400_000_000
NOW = 20_000 * DAY
PROGRAM = p.Program(
    patterns={"look": p.Pattern(name="look", macro=False, any=(p.Match("look"),))},
    segments={"keen": p.Segment(name="keen", when=p.Did(pattern="look", low=2, within=7 * DAY))},
)
NO_FACTS = pa.schema(
    {"person": pa.int64(), "trait": pa.string(), "at": pa.int64(), "text": pa.string(), "num": pa.float64()}
).empty_table()


@dataclass(frozen=True)
class Looks:
    """Persons ``first`` to ``first + 9``, of whom person n looked n % 4 times."""

    first: int

    def read(self) -> tuple[pa.Table, pa.Table, pa.Table]:
        persons = range(self.first, self.first + 10)
        rows = [(n, NOW - day * DAY) for n in persons for day in range(n % 4)]
        keys = [str(place) for place in range(len(rows))]
        looks = signal_table(
            PROGRAM, [n for n, _ in rows], ["look"] * len(rows), [at for _, at in rows], keys, [{}] * len(rows)
        )
        return pa.table({"person": list(persons), "known_from": [NOW - 90 * DAY] * 10}), looks, NO_FACTS


def keen(verdicts: pa.Table) -> list[int]:
    return list(verdicts.filter(verdicts["in:keen"])["person"].to_pylist())


def stumble(number: int) -> int:
    if number == 3:
        raise ValueError("no threes")
    return number


def die(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def pid_of_worker(_: int) -> int:
    return os.getpid()


def with_progress(drawn: list[int], upto: int) -> Iterator[int]:
    for number in range(upto):
        drawn.append(number)
        yield number


def gone(pid: int) -> bool:
    """Wait until a process has ended; tests of what is left behind must not judge too early."""
    try:
        psutil.Process(pid).wait(timeout=30)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(2) as made:
        yield made


@pytest.mark.parametrize("workers", [1, 2])
def test_parts_are_judged_in_order_and_as_at_once(pool: Pool, workers: int) -> None:
    parts = [Looks(first) for first in range(0, 100, 10)]
    tables = [pa.concat_tables(tables) for tables in zip(*(part.read() for part in parts), strict=True)]
    at_once = keen(judge(PROGRAM, *(table.unify_dictionaries() for table in tables), at=NOW, watermarks={}))
    assert at_once == [n for n in range(100) if n % 4 >= 2]
    found = list(judge_parts(Pool(1) if workers == 1 else pool, PROGRAM, parts, keen, at=NOW, watermarks={}))
    assert [person for members in found for person in members] == at_once
    assert len(found) == 10


def test_the_work_is_done_elsewhere_unless_there_is_one_worker(pool: Pool) -> None:
    assert set(Pool(1).each(pid_of_worker, range(3))) == {os.getpid()}
    assert os.getpid() not in set(pool.each(pid_of_worker, range(3)))


def test_items_are_drawn_only_a_little_ahead(pool: Pool) -> None:
    drawn: list[int] = []
    results = pool.each(stumble, with_progress(drawn, 1_000))
    assert next(results) == 0
    assert len(drawn) < 10


def test_an_error_of_the_work_comes_in_its_place_and_the_pool_goes_on(pool: Pool) -> None:
    results = pool.each(stumble, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no threes"):
        next(results)
    assert list(pool.each(stumble, range(3))) == [0, 1, 2]


def test_a_worker_that_dies_is_said_and_nothing_hangs() -> None:
    with Pool(2) as pool, pytest.raises(WorkerDied, match=r"ended in the midst[\s\S]*What to do:"):
        list(pool.each(die, range(50)))


def test_few_persons_are_judged_in_this_process() -> None:
    assert workers_for(1_000, PROGRAM) == 1
    assert workers_for(10**9, PROGRAM) == workers_for(10**10, PROGRAM)


SLOW = """
import os, signal, sys, time
from leadup.engine.pool import Pool

def work(number):
    print(os.getpid(), flush=True)
    time.sleep(number)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who is started in the background ignores it
    with Pool(2) as pool:
        list(pool.each(work, [float(sys.argv[1])] * 5_000))
"""


@pytest.mark.parametrize(("how", "seconds"), [(signal.SIGINT, "0.2"), (signal.SIGKILL, "600")])
def test_nothing_is_left_behind(tmp_path: Path, how: signal.Signals, seconds: str) -> None:
    """Ctrl-C, which reaches the workers as well, lets the parts at hand end; after a kill not even those do."""
    script = tmp_path / "slow.py"
    script.write_text(SLOW, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(script), seconds],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        workers = {int(process.stdout.readline())}
        while len(workers) < 2:
            workers.add(int(process.stdout.readline()))
        if how == signal.SIGINT:
            os.killpg(process.pid, how)
        else:
            process.kill()
        process.wait(timeout=30)
        assert process.returncode == -how
        assert all(map(gone, workers))
        assert process.stderr is not None
        assert process.stderr.read().count("Traceback") == (how == signal.SIGINT)
