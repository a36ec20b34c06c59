"""Killed at every point there is, and started again: nothing is lost, nothing is doubled, and who withdrew consent in
between is not sent again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from installation import Installation, Stage

pytest.register_assert_rewrite("crash_scene")

from crash_scene import RULES, SMALL, Belt, hashed  # noqa: E402 - its assertions are told in full
from crash_victim import DEAD  # noqa: E402

LOST = (
    ("hubspot", "memberships/add"),
    ("google", "audienceMembers:ingest"),
    ("hubspot", "memberships/add-and-remove"),
    ("google", "events:ingest"),
    ("hubspot", "batch/update"),
    ("google", "audienceMembers:remove"),
)
"""Requests whose answers are lost, and what each does at its vendor."""
MINUTE = timedelta(minutes=1)


class Victim:
    """The process of ``crash_victim.py``."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("crash_victim.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def sync(self, site: Installation, at: datetime, die_at: int = 0) -> tuple[int, list[str]]:
        """One pass, to its end or to a point; return the exit code, and at the end the points it came by."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"folder": str(site.folder), "at": at.isoformat(), "die_at": die_at, "environment": site.environment}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["code"], answer["passed"]

    def end(self) -> None:
        self._process.communicate(timeout=60)


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    victim = Victim()
    yield victim
    victim.end()


@pytest.fixture(scope="module")
def stages() -> Iterator[tuple[Stage, Stage]]:
    with Stage("hubspot") as hubspot, Stage("google_ads") as google:
        yield hubspot, google


@pytest.fixture
def fresh(stages: tuple[Stage, Stage], tmp_path: Path) -> Callable[[], Belt]:
    """Makes one belt after another, each in an installation and with vendors of its own."""
    numbers = count()

    def make() -> Belt:
        hubspot, google = stages
        site = Installation(tmp_path / str(next(numbers)), hubspot.play(), google.play(), SMALL)
        site.rules(RULES)
        site.google.polls, site.google.per_minute = 0, 100_000  # its minutes are ours, and there are many in one
        return Belt(site)

    return make


def crash_and_go_on(belt: Belt, victim: Victim, die_at: int) -> bool:
    """One hour of the belt: die at a point, let Y withdraw consent, go on. Return whether it did die."""
    belt.move()
    code, _ = victim.sync(belt.site, belt.now, die_at)
    assert code in (0, DEAD)
    belt.site.google.settle()
    denied, taken = belt.deny(), belt.taken_by_google()
    assert victim.sync(belt.site, belt.now + MINUTE)[0] == 0
    assert hashed(denied) not in belt.asked_of_google("join", "convert", since=taken), f"sent again after {die_at}"
    belt.site.google.settle()
    return code == DEAD


def warmed_up(belt: Belt, victim: Victim) -> Belt:
    """Move until every pass has rows of every kind."""
    for _ in range(2):
        crash_and_go_on(belt, victim, 0)
    return belt


@pytest.mark.parametrize("first", [pytest.param(1, marks=pytest.mark.slow), 2], ids=["odd", "even"])
def test_a_pass_may_die_at_any_point(fresh: Callable[[], Belt], victim: Victim, first: int) -> None:
    belt = warmed_up(fresh(), victim)
    crossed = 0
    while crash_and_go_on(belt, victim, first + 2 * crossed):
        crossed += 1
    assert crossed > 20, "every commit, every page and every call to a vendor is such a point"
    belt.settle()
    belt.check()


@pytest.mark.parametrize(
    ("first", "step"), [(3, 5), *(pytest.param(first, 1, marks=pytest.mark.slow) for first in range(1, 2))]
)
def test_a_pass_may_die_at_any_point_when_answers_are_lost_as_well(
    fresh: Callable[[], Belt], victim: Victim, first: int, step: int
) -> None:
    belt = warmed_up(fresh(), victim)
    for turn in count():
        vendor, path = LOST[turn % len(LOST)]
        weather = getattr(belt.site, vendor).weather
        weather.add(kind="lose_answer", path=path, times=3 if vendor == "hubspot" else 1)
        died = crash_and_go_on(belt, victim, first + turn * step)
        weather.clear()
        if not died:
            break
    assert turn * step > 40
    belt.settle()
    belt.check()


ONCE = ("migrate", "use", "_prepare", ".prepare", "created")
"""What is done only the first time: tables, targets, the vendors' lists and properties."""


@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["once", "all"])
def test_the_very_first_pass_may_die_at_any_point(fresh: Callable[[], Belt], victim: Victim, slow: bool) -> None:
    belt = fresh()
    belt.move()
    code, points = victim.sync(belt.site, belt.now)
    assert code == 0
    chosen = [n for n, name in enumerate(points, 1) if slow or any(word in name for word in ONCE)]
    assert len(chosen) > 8
    for die_at in chosen:
        belt = fresh()
        assert crash_and_go_on(belt, victim, die_at)
        belt.settle()
        belt.check()
        assert len(belt.site.hubspot.state()["lists"]) == 1, points[die_at - 1]
        assert len(belt.site.google.state()["user_lists"]) == 1, points[die_at - 1]
