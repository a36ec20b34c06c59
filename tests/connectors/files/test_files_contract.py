"""The files source keeps the contract of sources, in each of its formats, with ids and without."""

import gzip
from collections.abc import Hashable, Sequence
from pathlib import Path

import pytest
from files_kit import MAPPING, csv_text, rows, source, write

from leadup.kit import Source
from leadup.testing.sources import Feed, SourceContract
from leadup.types import Event, Fact

WITHOUT_ID = {**MAPPING, "columns": {"name": "event", "time": "at"}}


class Folder:
    """A folder that new files are dropped into."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self._folder, self._suffix, self._count = folder, suffix, 0
        (folder / "in").mkdir()

    def source(self) -> Source:
        return source(self._folder, "in", page_size=5, **MAPPING)

    def add(self, count: int) -> Sequence[Hashable]:
        new = rows(count, self._count)
        self._count += count
        half = len(new) // 2
        for part in filter(None, (new[:half], new[half:])):
            write(self._folder / "in" / f"{part[0]['id']:0>6}{self._suffix}", part)
        return [row["id"] for row in new]


class Growing:
    """One file that grows, a piece at a time."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self._folder, self._count = folder, 0
        self._path = folder / f"events{suffix}"
        self._append(csv_text(rows(1)).splitlines(keepends=True)[0])

    def source(self) -> Source:
        return source(self._folder, self._path.name, page_size=5, **WITHOUT_ID)

    def add(self, count: int) -> Sequence[Hashable]:
        new = rows(count, self._count)
        self._count += count
        if new:
            self._append(csv_text(new, header=False))
        return [row["id"] for row in new]

    def _append(self, text: str) -> None:
        data = text.encode()
        with self._path.open("ab") as file:
            file.write(gzip.compress(data) if self._path.suffix == ".gz" else data)


class TestFolder(SourceContract):
    @pytest.fixture(params=[".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet", ".parquet.gz"])
    def feed(self, tmp_path: Path, request: pytest.FixtureRequest) -> Feed:
        return Folder(tmp_path, request.param)


class TestGrowingFile(SourceContract):
    @pytest.fixture(params=[".csv", ".csv.gz"])
    def feed(self, tmp_path: Path, request: pytest.FixtureRequest) -> Feed:
        return Growing(tmp_path, request.param)

    def key(self, record: Event | Fact) -> Hashable:
        assert isinstance(record, Event)
        return str(record.properties["id"])
