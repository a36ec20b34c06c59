"""The events: made from a seed, in parts of whole persons, as columns to map into memory and as Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from judging.rules import DAY, DAYS, NOW, PATTERNS, PAYS, make_program
from leadup.engine.pool import Pool
from leadup.rules.signals import signal_schema

PERSONS = 25_000
"""Of one part."""
COLUMNS = ("person", "code", "at", "path", "amount")
"""What judging reads of an event: as Parquet has it, for the scan and for the others."""
PATHS = pa.array(["/", "/blog", "/docs", "/pricing", "/pricing/eu"])
NO_FACTS = pa.schema(
    {"person": pa.int64(), "trait": pa.string(), "at": pa.int64(), "text": pa.string(), "num": pa.float64()}
).empty_table()


@dataclass(frozen=True)
class Persons:
    """One part: its persons, and their signals in order of pattern, person and instant."""

    folder: Path
    number: int
    first: int
    end: int

    @property
    def parquet(self) -> Path:
        return self.folder / f"{self.number:03}.parquet"

    @property
    def arrow(self) -> Path:
        return self.folder / f"{self.number:03}.arrow"

    def read(self) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Map the signals into memory."""
        return people(np.arange(self.first, self.end)), self.signals, NO_FACTS

    def some(self, persons: npt.NDArray[np.int64]) -> tuple[pa.Table, pa.Table]:
        """Read these of its persons (ascending): pattern by pattern, found by bisection."""
        signals = self.signals
        pattern, person = signals["pattern"].chunk(0).indices.to_numpy(), signals["person"].chunk(0).to_numpy()
        bounds = np.searchsorted(pattern, np.arange(len(PATTERNS) + 1, dtype=pattern.dtype)).tolist()
        begin, end = (
            np.concatenate([low + np.searchsorted(person[low:high], persons, side) for low, high in pairwise(bounds)])
            for side in ("left", "right")
        )
        rows = np.arange((end - begin).sum()) + np.repeat(end - np.cumsum(end - begin), end - begin)
        return people(persons), signals.take(pa.array(rows))

    @property
    def signals(self) -> pa.Table:
        return pa.ipc.open_file(pa.memory_map(str(self.arrow))).read_all()


def people(ids: npt.NDArray[np.int64]) -> pa.Table:
    return pa.table({"person": ids, "known_from": np.full(len(ids), NOW - DAYS * DAY)})


def parts_of(folder: Path, persons: int) -> list[Persons]:
    borders = np.linspace(0, persons, -(-persons // PERSONS) + 1).astype(int).tolist()
    return [Persons(folder, number, *ends) for number, ends in enumerate(pairwise(borders))]


def make(folder: Path, events: int, persons: int, seed: int) -> Sequence[Persons]:
    """Write the events of all persons: each has one at least, and some have hundreds."""
    random = np.random.default_rng(seed)
    activity = random.lognormal(sigma=1.0, size=persons)
    count = 1 + random.multinomial(events - persons, activity / activity.sum())
    parts = parts_of(folder, persons)
    with Pool() as pool:
        list(pool.each(partial(_write, seed), [(part, count[part.first : part.end]) for part in parts]))
    return parts


def _write(seed: int, work: tuple[Persons, npt.NDArray[np.int64]]) -> None:
    part, count = work
    random = np.random.default_rng((seed, part.number))
    rows, span = int(count.sum()), DAYS * DAY
    # Whatever else an event has is drawn by lot: so persons and instants are sorted alone, as one number.
    order = np.sort(np.repeat(np.arange(len(count)), count) * span + random.integers(0, span, rows))
    person, at = part.first + order // span, NOW - span + 1 + order % span
    code = (len(PATTERNS) * random.random(rows) ** 1.7).astype(np.int8)
    path = pa.array(random.integers(0, len(PATHS), rows, np.int32))
    cents = random.integers(0, 100, rows, np.int32)
    free = pa.array(code % PAYS != 0)
    amount = pc.if_else(free, None, pa.array(100 * cents))
    plain = {"person": person, "code": code, "at": at, "path": PATHS.take(path), "amount": amount}
    pq.write_table(pa.table(plain), part.parquet, compression="zstd", use_dictionary=["code", "path", "amount"])

    texts = pa.array([str(100 * n) for n in range(100)])
    columns = {
        "person": person,
        "pattern": pa.DictionaryArray.from_arrays(code.astype(np.int32), pa.array(PATTERNS)),
        "at": at,
        "key": pc.cast(pa.array(np.arange(rows)), pa.string()),
        "text:amount": pa.DictionaryArray.from_arrays(pc.if_else(free, None, pa.array(cents)), texts),
        "num:amount": pc.cast(amount, pa.float64()),
        "text:event_id": pa.nulls(rows, pa.string()).dictionary_encode(),
        "num:event_id": pa.nulls(rows, pa.float64()),
        "text:path": pa.DictionaryArray.from_arrays(path, PATHS),
        "num:path": pa.nulls(rows, pa.float64()),
    }
    table = pa.table(columns, schema=signal_schema(make_program()))
    with pa.OSFile(str(part.arrow), "wb") as sink, pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table.take(pa.array(np.argsort(code, kind="stable"))).combine_chunks())
