"""The events: made from a seed, as Parquet in parts of whole persons, and as signals in the product's columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from judging.rules import DAY, DAYS, NOW, PATTERNS, PAYS, make_program
from leadup.engine.columns import Columns, read, write
from leadup.engine.pieces import KEY, Spans, assemble
from leadup.engine.pool import Pool
from leadup.rules.signals import properties_by_pattern, signal_schema
from leadup.types import EVER, NEVER

PERSONS = 1 << 15
"""Of one part, at most."""
COLUMNS = ("person", "code", "at", "path", "amount")
"""What judging reads of an event: as Parquet has it, for the scan and for the others."""
PATHS = pa.array(["/", "/blog", "/docs", "/pricing", "/pricing/eu"])
NO_FACTS = pa.schema(
    {"person": pa.int64(), "trait": pa.string(), "at": pa.int64(), "text": pa.string(), "num": pa.float64()}
).empty_table()
Tables = tuple[pa.Table, pa.Table, pa.Table]


@dataclass(frozen=True)
class State:
    """The signals of some persons, 0 to ``persons - 1``, in files by pattern."""

    folder: Path
    persons: int

    def gather(self, persons: npt.NDArray[np.int64]) -> Tables:
        """Read people, signals and facts of these persons (ascending), as a tick does; each is his own anchor."""
        ever, never = np.full(len(persons), EVER), np.full(len(persons), NEVER)
        program, code = make_program(), {name: place for place, name in enumerate(PATTERNS)}
        spans, nothing = Spans(persons, persons, ever, never), np.empty(0, np.int64)
        pieces = read(_mapped(self.folder), spans, nothing, code, properties_by_pattern(program))
        people = pa.table({"person": persons, "known_from": np.full(len(persons), NOW - DAYS * DAY)})
        return people, assemble(pieces, PATTERNS, signal_schema(program)), NO_FACTS


@cache
def _mapped(folder: Path) -> list[tuple[str, Columns]]:
    return [(name, Columns.open(folder / f"{name}.arrow")) for name in PATTERNS]


@dataclass(frozen=True)
class Persons:
    """One part: persons ``first`` to ``end - 1``."""

    folder: Path
    number: int
    first: int
    end: int
    state: State | None = None

    @property
    def parquet(self) -> Path:
        return self.folder / f"{self.number:03}.parquet"

    @property
    def draft(self) -> Path:
        """Its signals in order of pattern, person and instant, from which the states' files are made."""
        return self.folder / f"{self.number:03}.arrow"

    def read(self) -> Tables:
        if self.state is None:
            raise ValueError("No state has been chosen to read them from.")
        return self.state.gather(np.arange(self.first, self.end))


def parts_of(folder: Path, persons: int) -> list[Persons]:
    borders = np.linspace(0, persons, -(-persons // PERSONS) + 1).astype(int).tolist()
    return [Persons(folder, number, *ends) for number, ends in enumerate(pairwise(borders))]


def state_of(parts: Sequence[Persons]) -> State:
    """Return the state that holds just these parts."""
    return State(parts[0].folder / f"signals-{len(parts)}", parts[-1].end)


def make(folder: Path, events: int, persons: int, seed: int, sizes: Sequence[int]) -> None:
    """Write the events of all persons: each has one at least, and some have hundreds.

    ``sizes``: of how many parts, counted from the first, there is to be a state.
    """
    random = np.random.default_rng(seed)
    activity = random.lognormal(sigma=1.0, size=persons)
    count = 1 + random.multinomial(events - persons, activity / activity.sum())
    parts = parts_of(folder, persons)
    with Pool() as pool:
        list(pool.each(partial(_write, seed), [(part, count[part.first : part.end]) for part in parts]))
        list(pool.each(_write_file, product([parts[:size] for size in sizes], range(len(PATTERNS)))))
    for part in parts:
        part.draft.unlink()


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
    signals = {
        "anchor": person,
        "at": at,
        "number": np.arange(rows) + (part.number << 32),
        "key": pa.Array.from_buffers(KEY, rows, [None, pa.py_buffer(random.bytes(16 * rows))]),
        "text:amount": pa.DictionaryArray.from_arrays(pc.if_else(free, None, pa.array(cents)), texts),
        "num:amount": pc.cast(amount, pa.float64()),
        "text:path": pa.DictionaryArray.from_arrays(path, PATHS),
    }
    table = pa.table({"code": code, **signals})
    with pa.OSFile(str(part.draft), "wb") as sink, pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table.take(pa.array(np.argsort(code, kind="stable"))).combine_chunks())


def _write_file(work: tuple[Sequence[Persons], int]) -> None:
    """Write the signals of one pattern into a state of some parts."""
    parts, wanted = work
    drafts = [pa.ipc.open_file(pa.memory_map(str(part.draft))).read_all() for part in parts]
    bounds = [np.searchsorted(draft["code"].to_numpy(), np.array([wanted, wanted + 1], np.int8)) for draft in drafts]
    mine = [draft.slice(low, high - low) for draft, (low, high) in zip(drafts, bounds, strict=True)]
    folder = state_of(parts).folder
    write(folder, pa.concat_tables(mine).drop_columns("code")).rename(folder / f"{PATTERNS[wanted]}.arrow")
