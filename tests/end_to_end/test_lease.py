"""One process at a time, whatever becomes of it: killed, asleep, on another machine, or behind a long write."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, select, update

from leadup.errors import Busy
from leadup.state import Store, open_store
from leadup.state import lease as module
from leadup.state.lease import holder, lease
from leadup.state.tables import leases

HOLDER = """
import sys, time
from pathlib import Path
from leadup.state import open_store
from leadup.state.lease import lease
with lease(open_store(sys.argv[1], Path(sys.argv[2])), "leadup run"):
    print("held", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the state anew, as each process does."""
    with ExitStack() as stack:

        def opened() -> Store:
            store = open_store(f"sqlite:///{tmp_path / 'state.db'}", tmp_path)
            stack.callback(store.close)
            return store

        yield opened


@pytest.fixture
def store(fresh: Callable[[], Store]) -> Store:
    return fresh()


@contextmanager
def another_process(store: Store) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that holds the lease."""
    command = [sys.executable, "-c", HOLDER, str(store.engine.url), str(store.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def now() -> datetime:
    return datetime.now(UTC)


def rewrite(store: Store, **values: object) -> None:
    with store.write() as connection:
        connection.execute(update(leases).values(**values))


def holder_text(store: Store) -> str:
    with store.read() as connection:
        return str(connection.scalar(select(leases.c.holder)))


def wait(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_second_one_is_refused_and_told_who_holds_it_and_what_to_do(store: Store, fresh: Callable[[], Store]) -> None:
    with lease(store, "leadup run"):
        with pytest.raises(Busy) as refused, lease(fresh(), "leadup run"):
            pass
        text = str(refused.value)
    assert "`leadup run` holds this state (process " in text
    assert f"since {now():%Y-%m-%d}" in text
    assert "What to do: stop it first, or work beside it" in text
    assert refused.value.exit_code == 8
    with lease(fresh(), "leadup sync"):
        held = holder(store, now())
    assert held is not None
    assert held.what == "leadup sync"
    assert holder(store, now()) is None


def test_of_many_at_once_one_gets_it(fresh: Callable[[], Store]) -> None:
    stores = [fresh() for _ in range(6)]
    start, end = threading.Barrier(len(stores)), threading.Event()
    outcomes: list[str] = []

    def take(store: Store) -> None:
        start.wait()
        try:
            with lease(store, "leadup run"):
                outcomes.append("held")
                end.wait(30)
        except Busy:
            outcomes.append("refused")

    threads = [threading.Thread(target=take, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    wait(lambda: len(outcomes) == len(stores))
    end.set()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held"] + ["refused"] * 5


def test_a_killed_process_frees_the_state_at_once(store: Store) -> None:
    with another_process(store) as process:
        held = holder(store, now())
        assert held is not None
        assert held.holder.startswith(f"process {process.pid} on ")
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert holder(store, now()) is None
        with lease(store, "leadup run"):
            pass


def test_a_process_that_sleeps_with_its_machine_keeps_the_state(store: Store) -> None:
    with another_process(store) as process:
        process.send_signal(signal.SIGSTOP)
        tomorrow = now() + timedelta(days=1)
        assert holder(store, tomorrow) is not None
        with pytest.raises(Busy), lease(store, "leadup run"):
            pass


def test_a_process_number_that_is_used_again_is_somebody_else(store: Store) -> None:
    with lease(store, "leadup run"):
        rewrite(store, holder=holder_text(store).replace("started ", "started 1"))
        assert holder(store, now()) is None


@pytest.mark.parametrize("mark", ["process", "on", "pid:"])
def test_what_can_not_be_looked_up_from_here_ends_by_its_expiry(store: Store, mark: str) -> None:
    with lease(store, "leadup run"):
        text = holder_text(store)
        elsewhere = {
            "process": text,
            "on": text.replace(" on ", " on another-"),
            "pid:": text.replace("(pid", "(pid:[1], was pid"),
        }
        rewrite(store, holder=elsewhere[mark])
        assert holder(store, now()) is not None
        later = holder(store, now() + timedelta(seconds=31))
        assert (later is None) == (mark != "process"), "a process of this machine lives as long as it lives"


def test_whoever_loses_the_lease_hears_of_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.02)
    with lease(store, "leadup run") as lost:
        assert not lost.wait(0.2), "it is renewed"
        rewrite(store, holder="process 1 on another (pid:[1], started 1)")
        assert lost.wait(30)
    assert holder_text(store).startswith("process 1 on another"), "what another holds is not given up"


def test_it_outlives_a_write_that_is_longer_than_the_patience_for_locks(
    store: Store, fresh: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.02)
    event.listen(store.engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout=50"))
    store.engine.dispose()
    with lease(store, "leadup run") as lost:
        with fresh().write() as writing:
            writing.execute(update(leases).values(expires_us=0))
            assert not lost.wait(0.5), "several beats have met the lock"

        def is_renewed() -> bool:
            with store.read() as connection:
                return bool(connection.scalar(select(leases.c.expires_us)))

        wait(is_renewed)
        assert not lost.is_set()


def test_whoever_waits_too_long_for_a_write_is_told_why(store: Store, fresh: Callable[[], Store]) -> None:
    event.listen(store.engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout=50"))
    store.engine.dispose()
    with fresh().write(), pytest.raises(Busy, match="longer than we wait"), store.write():
        pass
    with store.write():
        pass


def test_whoever_stops_does_not_wait_for_anothers_long_write(store: Store, fresh: Callable[[], Store]) -> None:
    with ExitStack() as running:
        running.enter_context(lease(store, "leadup run"))
        with fresh().write():
            began = time.monotonic()
            running.close()
            assert time.monotonic() - began < 20, "it waits for locks for 30 seconds otherwise"
    assert holder(store, now()) is not None, "it was not given up, and does not have to be: it ends with this process"
