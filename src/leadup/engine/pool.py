"""Judges parts of whole persons, each where it is read: in this process, or in several where that pays.

What a part's judgement is wanted for is made of it in the worker, so that little has to travel.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from types import TracebackType
from typing import Final, Protocol, TypeVar

import pyarrow as pa

from leadup.engine.kernel import judge
from leadup.errors import LeadupError
from leadup.rules.program import Program

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH: Final = 50_000_000
"""Persons times rules from which workers pay.

A processor judges so many in 1.2 s (24 ns each), and takes 0.3 s to start a worker, which is an interpreter with NumPy
and pyarrow: two workers are level at half of this, and clearly ahead from here on (``benchmarks/judge.py``).
"""


class WorkerDied(LeadupError):
    """A worker process ended in the midst of its work."""


class Part(Protocol):
    """Whole persons, somewhere. It travels to a worker as it is, so let it name a place rather than hold tables."""

    def read(self) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Return people, signals and facts, as :func:`leadup.engine.kernel.judge` takes them."""
        ...


class Pool:
    """Worker processes, started when first needed. With one worker the work is done in this process.

    ``with`` ends them: at once when they are idle, else after the part each is at. They end as well when this process
    is killed. They are started afresh (``spawn``), so that no thread's lock is copied in mid-use; a script that
    opens a pool must guard its main part by ``if __name__ == "__main__"``.
    """

    def __init__(self, workers: int | None = None) -> None:
        """``workers``: by default one for each processor that this process may use."""
        self._workers = workers or processors()
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield ``work(item)`` of each item, in their order; an error of the work is raised in its place.

        All of it must pickle. Items are drawn a few ahead of what is yielded, so that no backlog builds up.

        Raises:
            WorkerDied: a worker ended; the pool is of no use any more.
        """
        if self._workers == 1:
            yield from map(work, items)
            return
        if self._executor is None:
            spawn = get_context("spawn")
            self._executor = ProcessPoolExecutor(self._workers, mp_context=spawn, initializer=_begin)
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                with _deaf_to_ctrl_c():  # submitting starts workers
                    waiting.append(self._executor.submit(work, item))
                if len(waiting) > 2 * self._workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise WorkerDied(
                f"One of {self._workers} worker processes ended in the midst of judging; nothing of it was kept.\n"
                "  What to do: most often the system ran out of memory and killed it. Free some, and run this again."
            ) from None
        finally:
            for future in waiting:
                future.cancel()


def judge_parts(
    pool: Pool,
    program: Program,
    parts: Iterable[Part],
    then: Callable[[pa.Table], Result],
    *,
    at: int,
    watermarks: Mapping[str, int],
) -> Iterator[Result]:
    """Yield of each part, in their order, ``then(verdicts)``: what is wanted of its :func:`~.kernel.judge` table.

    Raises:
        WorkerDied: as :meth:`Pool.each`.
    """
    return pool.each(partial(_judge_part, program, then, at, watermarks), parts)


def _judge_part(
    program: Program, then: Callable[[pa.Table], Result], at: int, watermarks: Mapping[str, int], part: Part
) -> Result:
    return then(judge(program, *part.read(), at=at, watermarks=watermarks))


def workers_for(persons: int, program: Program) -> int:
    """Return how many workers to judge so many persons with: one where starting more would take longer."""
    return processors() if persons * len(program.segments) >= WORTH else 1


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C wait a moment, and processes started in that moment never see it: not even while they start."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Make a worker: it leaves Ctrl-C to its parent, works in one thread, and does not outlive its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pa.set_cpu_count(1)
    parent = parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
