"""How fast events get into the log, out of it, and past its deduplication.

Baseline: pyarrow reads the same events from a CSV file. Run: ``python benchmarks/ingest.py [EVENTS]``.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from leadup.events.log import EventLog
from leadup.events.rows import BATCH, batch_of, in_batch, row_of
from leadup.state import open_store
from leadup.types import Event, Identifier, Kind, Purpose, to_us

DAYS = 30
START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = to_us(START + timedelta(days=DAYS))
SMALL, BIG = 1_000, 50_000


def events(count: int) -> list[Event]:
    """A month of a site's events, in order of time, as a source gives them."""
    dice = random.Random(1)
    names = [f"event_{n}" for n in range(40)]
    return [
        Event(
            source="web",
            id=f"{n:012d}",
            name=dice.choice(names),
            at=START + n * timedelta(days=DAYS) / count,
            identifiers=(Identifier(Kind.CLIENT_ID, f"{dice.randrange(count // 10 + 1)}.1771977600"),),
            properties={"path": f"/pricing/{dice.randrange(50)}", "percent": dice.randrange(100)},
            consent={Purpose.AD_USER_DATA: True, Purpose.AD_PERSONALIZATION: False},
        )
        for n in range(count)
    ]


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


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(count: int, folder: Path) -> None:
    of = events(count)
    table = pa.Table.from_batches([batch_of([in_batch(row_of(event, NOW)) for event in of])], BATCH)
    plain = table.set_column(0, "key", pa.array([key.hex() for key in table["key"].to_pylist()]))
    pyarrow.csv.write_csv(plain, folder / "events.csv")
    pq.write_table(table, folder / "events.parquet")
    baseline = seconds(lambda: pyarrow.csv.read_csv(folder / "events.csv"))

    def show(what: str, took: float) -> None:
        print(f"{what:44} {took:8.2f} s {count / took:12,.0f} events/s {took / baseline:8.1f} x")

    print(f"{count:,} events over {DAYS} days")
    show("baseline: pyarrow reads them as CSV", baseline)
    show("pyarrow reads them as Parquet", seconds(lambda: pq.read_table(folder / "events.parquet")))
    for name, size in (("small", SMALL), ("big", BIG)):
        store = open_store(f"sqlite:///{folder}/{name}/state.db", folder / name)
        log = EventLog(store)
        show(f"append, pages of {size:,}", seconds(lambda log=log, size=size: append(log, of, size)))
        show("  the same again", seconds(lambda log=log, size=size: append(log, of, size)))
        show("  compact", seconds(lambda log=log: log.compact(NOW)))
        show("  read, as batches", seconds(lambda log=log: read(log, whole=False)))
        show("  read, as events", seconds(lambda log=log: read(log, whole=True)))
        log.sweep(NOW, grace_us=0)
        size_of = sum(path.stat().st_size for path in log.folder.glob("day=*/*"))
        keys = (folder / name / "state.db").stat().st_size
        print(f"  {size_of / count:.1f} bytes/event in files, {keys / count:.1f} in the database")
        store.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000, Path(temporary))
