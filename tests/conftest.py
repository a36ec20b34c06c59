"""What tests of several folders share, and what their run says at its end."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import psutil
import pytest

from installation import WATCHED, Installation, Stage

MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory."""
ROOM = 2 << 30
LONG = ("end_to_end", "properties")
"""Folders whose tests take long."""


def pytest_configure() -> None:
    """Keep the tests' files in memory where there is room: no disk is waited for at each of many thousand commits.

    No test could tell: a process that is killed loses nothing of what it has written to either.
    """
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # it is looked up anew


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are processors, since many tests wait: for processes, for windows that have to end."""
    return 1 + (psutil.cpu_count() or 1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let every worker begin with its share of the long tests, file by file: at the end all have short ones left.

    Workers get equal parts of what is collected, in its order, and take over from each other's ends.
    """
    workers = getattr(config, "workerinput", {"workercount": 0})["workercount"]
    if not workers:
        return
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        if item.path.parent.name in LONG:
            files.setdefault(item.path, []).append(item)
    short = iter([item for item in items if item.path not in files])
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        ordered += chain.from_iterable(list(files.values())[worker::workers])
        ordered += islice(short, max(0, len(items) * (worker + 1) // workers - len(ordered)))
    items[:] = [*ordered, *short]


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what stays for good, and look less often: it took a seventh of all time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@pytest.fixture(scope="module")
def stages() -> Iterator[tuple[Stage, Stage]]:
    """The servers of HubSpot and of Google, which the tests of a module share."""
    with Stage("hubspot") as hubspot, Stage("google_ads") as google:
        yield hubspot, google


@pytest.fixture
def site(tmp_path: Path, stages: tuple[Stage, Stage]) -> Installation:
    """An installation with new accounts at both, and rules that send to Google."""
    hubspot, google = stages
    made = Installation(tmp_path, hubspot.play(), google.play())
    made.rules(WATCHED)
    return made


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many random lives and the like the laws were put to, by what each test recorded."""
    counted: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", ()):
        counted.update({name: value for name, value in report.user_properties if name.startswith("random ")})
    for name, value in sorted(counted.items()):
        terminalreporter.write_line(f"{value:,} {name}")
