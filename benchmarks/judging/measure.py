"""Seconds, processor seconds and peak memory of work, of all its processes together."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psutil

Result = TypeVar("Result")
MIB = 1 << 20


@dataclass(frozen=True)
class Took:
    """The least of some rounds: whatever else runs on the machine can only add to it."""

    seconds: float
    cpu: float
    """Of all threads and worker processes."""


def fastest(work: Callable[[], Result], times: int) -> tuple[Took, Result]:
    """Do work so many times, and short work for a second; return the least that a round took, and the last result."""
    took = list[Took]()
    while len(took) < times or (times > 1 and sum(one.seconds for one in took) < 1):
        cpu, begin = _cpu(), time.perf_counter()
        result = work()
        took.append(Took(time.perf_counter() - begin, _cpu() - cpu))
    return Took(min(one.seconds for one in took), min(one.cpu for one in took)), result


def _cpu() -> float:
    workers = psutil.Process().children(recursive=True)
    return time.process_time() + sum(sum(worker.cpu_times()[:2]) for worker in workers)


def alone(arguments: Sequence[str]) -> tuple[str, float]:
    """Run Python with these arguments in a process of its own; return what it prints and its peak memory in MiB.

    That is the sum over it and its children, pages that several share counted once (PSS, where the system tells it).
    """
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as process:
        ended, peak = threading.Event(), 0.0

        def watch() -> None:
            nonlocal peak
            while not ended.wait(0.2):  # to look costs some milliseconds itself
                peak = max(peak, _memory(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        printed = process.communicate()[0]
        ended.set()
        watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed.")
    return printed, peak / MIB


def _memory(pid: int) -> float:
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
        full = [process.memory_full_info() for process in tree]
    except psutil.Error:  # one of them has just ended
        return 0.0
    return float(sum(getattr(one, "pss", one.rss) for one in full))
