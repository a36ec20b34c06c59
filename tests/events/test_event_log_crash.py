"""The log under ``kill -9``: what was acknowledged is there, nothing is there twice, nothing is left lying about."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from event_log_model import NOW, check, history, named, on_disk, open_log
from event_log_victim import pages

VICTIM = Path(__file__).parent / "event_log_victim.py"


@contextlib.contextmanager
def victim(role: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, VICTIM, role, folder], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def play(folder: Path, kills: int) -> None:
    dice = random.Random(kills)
    with victim("compactor", folder) as compactor:  # beside the one in the writer
        assert compactor.stdout.readline() == "ready\n"
        for _ in range(kills):
            with victim("writer", folder) as writer:
                for _ in range(dice.randrange(1, 10)):
                    acknowledged = int(writer.stdout.readline())
                time.sleep(dice.random() / 20)  # somewhere in the next page
                writer.kill()
                said = writer.stdout.read().split()
            acknowledged = int(said[-1]) if said else acknowledged
            log = open_log(folder)
            with log.store.read() as connection:
                committed = pages(connection)
                assert committed in (acknowledged + 1, acknowledged + 2)
            check(log, history(committed))
            log.store.close()
    log = open_log(folder)
    log.sweep(NOW, grace_us=0)
    assert on_disk(log) == named(log)
    check(log, history(committed))
    log.store.close()


def test_killed_at_random_instants(tmp_path):
    play(tmp_path, kills=3)


@pytest.mark.slow
def test_killed_at_many_random_instants(tmp_path):
    play(tmp_path, kills=40)
