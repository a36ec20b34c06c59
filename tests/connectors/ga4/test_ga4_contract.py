"""The GA4 source keeps the contract of sources: over a dataset that is rewritten and breaks off, and over files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Hashable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest
from ga4_kit import Property, row

from installation import Stage
from leadup.kit import Source
from leadup.testing.sources import BrokenLineContract, RewritableFeed, RewrittenPartsContract, ServedFeed
from leadup.types import Event, Fact, Kind
from leadup_connectors.ga4.settings import GA4Settings
from leadup_connectors.ga4.source import GA4Source


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage("ga4") as stage:
        yield stage


def client_of(record: Event | Fact) -> str:
    return next(identifier.value for identifier in record.identifiers if identifier.kind == Kind.CLIENT_ID)


class Exported(RewritableFeed, ServedFeed, Protocol):
    """What a dataset behind an emulator is."""


class TestDataset(RewrittenPartsContract, BrokenLineContract):
    @pytest.fixture
    def feed(self, stage: Stage) -> Exported:
        return Property(stage.play())

    def key(self, record: Event | Fact) -> Hashable:
        return client_of(record)

    def complete(self, until: datetime, *, empty: bool = False) -> datetime | None:
        return None if empty else datetime(2026, 3, 1, tzinfo=UTC)


class TestDatasetWithLastingPageTokens(RewrittenPartsContract):
    @pytest.fixture
    def feed(self, stage: Stage) -> RewritableFeed:
        site = Property(stage.play())
        site.sandbox.keep_page_tokens = True
        return site

    key = TestDataset.key
    complete = TestDataset.complete


class Files:
    """A folder of exports."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self._folder, self._suffix, self._count, self._files = folder, suffix, 0, 0
        (folder / "exports").mkdir()

    def source(self) -> Source:
        return GA4Source("feed", GA4Settings(path="exports", page_size=5), self._folder)

    def add(self, count: int) -> Sequence[Hashable]:
        new = [row(self._count + n) for n in range(count)]
        self._count += count
        self._files += 1
        if new:
            self._write(self._folder / "exports" / f"{self._files:03}{self._suffix}", [json.dumps(one) for one in new])
        return [one["user_pseudo_id"] for one in new]

    def take_back(self, count: int) -> Sequence[Hashable]:
        gone: list[Hashable] = []
        for path in sorted((self._folder / "exports").iterdir()):
            lines = self._read(path)
            part = lines[: count - len(gone)]
            gone += [json.loads(line)["user_pseudo_id"] for line in part]
            if part:
                self._write(path, lines[len(part) :])
        return gone

    def _write(self, path: Path, lines: Sequence[str]) -> None:
        data = "".join(f"{line}\n" for line in lines).encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)

    def _read(self, path: Path) -> list[str]:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()


class TestFiles(RewrittenPartsContract):
    reads_again = False

    @pytest.fixture(params=[".ndjson", ".json.gz"])
    def feed(self, tmp_path: Path, request: pytest.FixtureRequest) -> RewritableFeed:
        return Files(tmp_path, request.param)

    def key(self, record: Event | Fact) -> Hashable:
        return client_of(record)
