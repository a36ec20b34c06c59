"""How fast events get from a file into the product, into the log, out of it, and past its deduplication.

    python benchmarks/ingest.py --events 200000

Baseline: pyarrow reads the very same CSV file, and does nothing with it. Times are CPU seconds of all threads.
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.csv
from cryptography.fernet import Fernet

from leadup.events.log import EventLog
from leadup.identity.vault import Vault
from leadup.pipeline import Pipeline
from leadup.rules.program import Match, Pattern, Program
from leadup.settings import connect
from leadup.state import open_store
from leadup.types import Event, to_us
from leadup_connectors.files.settings import FilesSettings
from leadup_connectors.files.source import FilesSource

DAYS = 30
START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(days=DAYS)
NOW = to_us(END)
SMALL, BIG = 1_000, 50_000
NAMES = [f"event_{n}" for n in range(40)]
PROGRAM = Program(patterns={name: Pattern(name=name, macro=False, any=(Match(name),)) for name in NAMES[:20]})
"""A catalogue that half of the event names are in."""
HEADER = ("id", "event", "at", "client_id", "path", "percent", "ads")
SETTINGS = {
    "type": "files",
    "path": "events.csv",
    "columns": {"id": "id", "name": "event", "time": "at"},
    "identifiers": {"client_id": "client_id"},
    "properties": ["path", "percent"],
    "consent": {"ad_user_data": {"column": "ads"}},
    "page_size": BIG,
}


def write_events(file: Path, count: int) -> None:
    """Write a month of a site's events, in order of time, as an export would have them."""
    dice = random.Random(1)
    with file.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(HEADER)
        for n in range(count):
            at = (START + n * timedelta(days=DAYS) / count).isoformat()
            client = f"{dice.randrange(count // 10 + 1)}.1771977600"
            path, percent = f"/pricing/{dice.randrange(50)}", dice.randrange(100)
            rows.writerow((f"{n:012d}", dice.choice(NAMES), at, client, path, percent, "granted"))


def pages(of: list[Event], size: int) -> Iterator[list[Event]]:
    return (of[start : start + size] for start in range(0, len(of), size))


def append(log: EventLog, of: list[Event], size: int) -> None:
    for page in pages(of, size):
        with log.store.write() as connection:
            log.append(connection, page, NOW)


def read(log: EventLog, *, whole: bool) -> int:
    with log.store.read() as connection:
        batches = log.read(connection)
        if whole:
            return sum(1 for batch in batches for _ in log.events_of(batch))
        return sum(batch.num_rows for batch in batches)


def cpu(work: Callable[[], object], times: int = 1) -> float:
    """Return the CPU seconds of all threads that work took, of several runs the fastest."""
    took = []
    for _ in range(times):
        begin = time.process_time()
        work()
        took.append(time.process_time() - begin)
    return min(took)


def main(count: int, folder: Path) -> None:
    file = folder / "events.csv"
    write_events(file, count)
    settings = connect("web", SETTINGS, "ingest.py").settings
    assert isinstance(settings, FilesSettings)
    source = FilesSource("web", settings, folder)
    baseline = cpu(lambda: pyarrow.csv.read_csv(file), times=5)

    def show(what: str, took: float) -> None:
        print(f"{what:46} {took:8.2f} s {count / max(took, 1e-9):12,.0f} events/s {took / baseline:8.1f} x")

    print(f"{count:,} events over {DAYS} days, {file.stat().st_size / count:.0f} bytes each")
    show("baseline: pyarrow reads the file", baseline)
    of: list[Event] = []

    def translate() -> None:
        of.extend(r for page in source.pull(None, END) for r in page.records if isinstance(r, Event))

    show("the files source reads it, to events", cpu(translate))
    store = open_store(f"sqlite:///{folder}/all/state.db", folder / "all")
    pipeline = Pipeline(store, Vault(Fernet.generate_key().decode()), PROGRAM)
    pipeline.use(PROGRAM, {}, END)
    show("all the way: log, identity, signals, commit", cpu(lambda: pipeline.pull("web", source, END)))
    store.close()
    for name, size in (("small", SMALL), ("big", BIG)):
        store = open_store(f"sqlite:///{folder}/{name}/state.db", folder / name)
        log = EventLog(store)
        show(f"append to the log, pages of {size:,}", cpu(lambda log=log, size=size: append(log, of, size)))
        show("  the same again", cpu(lambda log=log, size=size: append(log, of, size)))
        show("  compact", cpu(lambda log=log: log.compact(NOW)))
        show("  read, as batches", cpu(lambda log=log: read(log, whole=False)))
        show("  read, as events", cpu(lambda log=log: read(log, whole=True)))
        log.sweep(NOW, grace_us=0)
        size_of = sum(path.stat().st_size for path in log.folder.glob("day=*/*"))
        keys = (folder / name / "state.db").stat().st_size
        print(f"  {size_of / count:.1f} bytes/event in files, {keys / count:.1f} in the database")
        store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main(options.events, Path(temporary))
