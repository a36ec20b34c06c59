"""Compaction and sweeping: what moves when, and that nobody who reads or writes beside them can tell."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from event_log_model import (
    DAY,
    NOW,
    START,
    Model,
    before_next_write,
    check,
    event,
    history,
    named,
    on_disk,
    open_log,
    read,
)
from event_log_victim import compact, pages, turn
from sqlalchemy import func, select

from leadup.events.log import EventLog
from leadup.events.rows import key_of
from leadup.state.tables import event_files, event_tail

MINUTE = 60_000_000


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    log = open_log(tmp_path)
    yield log
    log.store.close()


def append(log, events, model=None):
    if model is not None:
        model.append(events)
    with log.store.write() as connection:
        log.append(connection, events, NOW)


def scalar(log, statement):
    with log.store.read() as connection:
        return connection.scalar(statement)


def in_tail(log):
    return scalar(log, select(func.count()).select_from(event_tail))


# ---------------------------------------------------------------- what moves when


def test_days_leave_the_tail_when_they_are_old(log):
    append(log, [event(n, day=n + 0.5) for n in range(11)])  # it is day 10 now
    assert log.compact(NOW, keep_days=3) == 7
    assert in_tail(log) == 4
    assert log.compact(NOW, keep_days=3) == 0


def test_a_long_tail_is_moved_whole(log):
    append(log, [event(n, day=10) for n in range(30)])
    assert log.compact(NOW, tail_rows=30) == 0
    assert log.compact(NOW, tail_rows=29) == 1
    assert in_tail(log) == 0


def test_a_day_that_is_bigger_than_a_file_leaves_the_tail_in_turns(log):
    append(log, [event(n) for n in range(30)])
    assert [log.compact(NOW, file_rows=20) for _ in range(3)] == [1, 1, 0]
    assert len(named(log)) == 2


def test_small_files_are_merged_and_a_row_is_not_written_often(log):
    model = Model()
    for n in range(60):
        append(log, [event(n)], model)
        log.compact(NOW)
    assert len(named(log)) < 8
    assert scalar(log, select(func.sum(event_files.c.rows))) < 60 * 8
    check(log, model)


def test_files_are_merged_up_to_a_size(log):
    for n in range(10):
        append(log, [event(60 * n + i) for i in range(60)])
    log.compact(NOW, file_rows=150)
    log.compact(NOW, file_rows=150)
    with log.store.read() as connection:
        rows = select(event_files.c.rows).where(event_files.c.dropped_us.is_(None))
        assert max(connection.scalars(rows)) == 120


def test_superseded_rows_leave_the_files_when_they_are_many(log):
    model = Model()
    old = [event(n) for n in range(60)]
    append(log, old, model)
    append(log, [replace(e, name="revised") for e in old[:5]], model)
    assert log.compact(NOW, keep_days=20, gone_share=0.1) == 0
    append(log, [replace(e, name="revised") for e in old[5:10]], model)
    assert log.compact(NOW, keep_days=20, gone_share=0.1) == 1
    assert scalar(log, select(event_files.c.rows).where(event_files.c.dropped_us.is_(None))) == 50
    check(log, model)


def test_of_a_day_that_is_gone_no_file_is_left(log):
    append(log, [event(n) for n in range(60)])
    with log.store.write() as connection:
        log.remove(connection, [key_of("web", f"e{n}") for n in range(60)])
    log.compact(NOW, gone_share=0)
    log.sweep(NOW + 2 * MINUTE)
    assert on_disk(log) == named(log) == set()
    check(log, Model())


@pytest.mark.parametrize("place", ["tail", "file", "both"])
def test_two_compactors_double_nothing(log, place):
    model = Model()
    events = [event(n) for n in range(120)]
    if place != "tail":
        append(log, events[:60], model)
        append(log, events[60:], model)
    if place != "file":
        append(log, [event(n) for n in range(120, 150)], model)
    with before_next_write(log.store, lambda: done.append(log.compact(NOW))):
        done: list[int] = []
        done.append(log.compact(NOW))
    assert done == [1, 0]
    check(log, model)
    log.sweep(NOW, grace_us=0)
    assert on_disk(log) == named(log)


# ---------------------------------------------------------------- the sweep


def test_replaced_files_stay_for_the_grace_time(log):
    for n in range(2):
        append(log, [event(60 * n + i) for i in range(60)])
    before = named(log)
    assert log.compact(NOW) == 1
    assert log.sweep(NOW + MINUTE - 1) == 0
    assert on_disk(log) == before | named(log)
    assert log.sweep(NOW + MINUTE) == 2
    assert on_disk(log) == named(log)
    assert log.sweep(NOW + MINUTE) == 0


def test_orphans_are_swept(log):
    append(log, [event(n) for n in range(60)])
    home = (log.folder / next(iter(named(log)))).parent
    for name in ("0123.parquet", ".4567.part"):
        (home / name).write_bytes(b"what a crash left behind")
    assert log.sweep(NOW) == 2
    assert on_disk(log) == named(log)


def test_a_file_that_is_written_but_not_yet_committed_is_no_orphan(log):
    model, begun = Model(), threading.Event()
    events = [event(n) for n in range(60)]
    model.append(events)
    with ThreadPoolExecutor() as pool:
        with log.store.write() as connection:
            log.append(connection, events, NOW)
            with before_next_write(log.store, begun.set):
                swept = pool.submit(log.sweep, NOW + MINUTE)
                assert begun.wait(30)
        assert swept.result() == 0
    check(log, model)


def test_a_compactor_at_work_is_not_swept_away(log):
    model = Model()
    append(log, [event(n) for n in range(30)], model)
    with before_next_write(log.store, lambda: swept.append(log.sweep(NOW + MINUTE))):
        swept: list[int] = []
        assert log.compact(NOW) == 1
    assert swept == [0]
    check(log, model)


# ---------------------------------------------------------------- writers and readers beside it


@pytest.mark.parametrize("count", [5, 50], ids=["a few", "bulk"])
@pytest.mark.parametrize("change", ["revised", "moved to another day", "removed", "removed and come back"])
@pytest.mark.parametrize("place", ["tail", "file"])
def test_what_changes_while_a_day_is_written(log, place, change, count):
    model = Model()
    events = [event(n) for n in range(70)]
    for half in (events[:35], events[35:]):
        append(log, half, model)
        if place == "file":
            log.compact(NOW, file_rows=40)

    def act():
        if change.startswith("removed"):
            gone = [("web", f"e{n}") for n in range(count)]
            with log.store.write() as connection:
                log.remove(connection, [key_of(*name) for name in gone])
            model.remove(gone)
        if change != "removed":
            changes = {"revised": {"name": "revised"}, "moved to another day": {"at": START + 2 * DAY}}
            append(log, [replace(e, **changes.get(change, {})) for e in events[:count]], model)

    with before_next_write(log.store, act):
        assert log.compact(NOW, file_rows=1000, gone_share=1) == 1
    check(log, model)
    log.compact(NOW, tail_rows=0, gone_share=0)
    check(log, model)


def test_files_stay_until_the_reader_is_through(log):
    model = Model()
    for n in range(2):
        append(log, [event(60 * n + i) for i in range(60)], model)
    with log.store.read() as connection:
        batches = log.read(connection)
        found = dict(log.events_of(next(batches)))
        assert log.compact(NOW) == 1
        assert log.sweep(NOW + 2 * MINUTE) == 0
        for batch in batches:
            found.update(log.events_of(batch))
    assert found == model.by_key()
    assert log.sweep(NOW + 2 * MINUTE) == 2


def test_a_transaction_older_than_the_grace_reads_the_list_again(log):
    model = Model()
    for n in range(2):
        append(log, [event(60 * n + i) for i in range(60)], model)
    with log.store.read() as connection:
        assert pages(connection) == 0  # the snapshot is taken
        log.compact(NOW)
        log.sweep(NOW + 2 * MINUTE)
        assert read(log, connection) == model.by_key()


def test_a_reader_sees_one_snapshot(log):
    model = Model()
    append(log, [event(n, day=n % 2) for n in range(90)], model)
    append(log, [event(n, day=9) for n in range(90, 100)], model)
    then = model.by_key()
    with log.store.read() as connection:
        batches = log.read(connection)
        found = dict(log.events_of(next(batches)))
        append(log, [event(n, name="revised") for n in range(100)], model)
        with log.store.write() as writing:
            log.remove(writing, [key_of("web", f"e{n}") for n in range(50)])
        log.compact(NOW, tail_rows=0, gone_share=0)
        for batch in batches:
            found.update(log.events_of(batch))
    assert found == then
    model.remove([("web", f"e{n}") for n in range(50)])
    check(log, model)


def test_writers_readers_and_compactors_at_once(log):
    """Two compactors and two readers beside a writer; each reader knows from the cursor what it must see."""
    last, done = 25, threading.Event()

    def until_done(work):
        while not done.is_set():
            work()

    def look():
        with log.store.read() as connection:
            assert read(log, connection) == history(pages(connection)).by_key()

    with ThreadPoolExecutor() as pool:
        others = [pool.submit(until_done, work) for work in (lambda: compact(log), lambda: compact(log), look, look)]
        try:
            while turn(log) < last - 1:
                pass
        finally:
            done.set()
        for other in others:
            other.result()
    check(log, history(last))
    log.sweep(NOW, grace_us=0)
    assert on_disk(log) == named(log)
