"""Builders for the tests of the files source."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from leadup.settings import connect
from leadup.types import Cursor, Event, Fact, Page, Rejected
from leadup_connectors.files.settings import FilesSettings
from leadup_connectors.files.source import FilesSource

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
"""Real data beside the repository; it may be absent."""

MAPPING: dict[str, Any] = {
    "columns": {"id": "id", "name": "event", "time": "at"},
    "identifiers": {"user_id": "user"},
}
"""Of the rows that :func:`rows` makes."""


def mapped(path: str, **table: Any) -> FilesSettings:
    """The settings as ``leadup.toml`` would give them, checked as it is checked."""
    checked = connect("feed", {"type": "files", "path": path, **table}, "leadup.toml").settings
    assert isinstance(checked, FilesSettings)
    return checked


def source(folder: Path, path: str, **table: Any) -> FilesSource:
    return FilesSource("feed", mapped(path, **table), folder)


def pull(
    folder: Path, path: str, since: Cursor | None = None, until: datetime = NOW, **table: Any
) -> tuple[list[Event | Fact], list[Rejected], Page]:
    """All records, all rejects, and the last page."""
    pages = list(source(folder, path, **table).pull(since, until))
    return [r for page in pages for r in page.records], [r for page in pages for r in page.rejected], pages[-1]


def events(records: Sequence[Event | Fact]) -> list[Event]:
    found = [record for record in records if isinstance(record, Event)]
    assert len(found) == len(records)
    return found


def rows(count: int, start: int = 0) -> list[dict[str, str]]:
    moment = datetime(2026, 2, 1, tzinfo=UTC)
    return [
        {
            "id": f"e{n}",
            "event": ("page_view", "sign_up")[n % 2],
            "at": (moment + timedelta(minutes=n)).isoformat(),
            "user": f"u{n % 7}",
            "path": f"/p/{n}",
        }
        for n in range(start, start + count)
    ]


def csv_text(table: Sequence[Mapping[str, str]], delimiter: str = ",", *, header: bool = True) -> str:
    lines = [delimiter.join(table[0])] if header else []
    return "".join(f"{line}\n" for line in [*lines, *(delimiter.join(row.values()) for row in table)])


def write(path: Path, table: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows in the format that the file's name says."""
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        sink = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist(list(table)), sink, row_group_size=7)
        data = sink.getvalue()
    elif name.endswith((".csv", ".tsv")):
        data = csv_text(table, "\t" if name.endswith(".tsv") else ",").encode()
    else:
        data = "".join(json.dumps(row) + "\n" for row in table).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return path


def written_at(path: Path, moment: datetime) -> None:
    """Let the file seem last written at ``moment``."""
    os.utime(path, (moment.timestamp(), moment.timestamp()))
