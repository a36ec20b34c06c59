"""Which reader reads a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from leadup_connectors.files.parquet import ParquetRows
from leadup_connectors.files.rows import Place
from leadup_connectors.files.settings import FilesSettings, Format
from leadup_connectors.files.text import TextFile

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}
_SAMPLE = 4096
"""Bytes that a fingerprint looks at, at either end."""


def format_of(name: str) -> Format | None:
    """Return the format that a file's name stands for, None if it stands for none."""
    return _SUFFIXES.get(Path(name.lower().removesuffix(".gz")).suffix)


def open_file(path: Path, format_: Format, start: Place, settings: FilesSettings) -> TextFile | ParquetRows:
    """Open a file to read the rows after ``start``; use as a context manager.

    Raises:
        BrokenFile: it is not what its name says.
        OSError: the machine can not read it.
    """
    if format_ == "parquet":
        return ParquetRows(path, start)
    return TextFile(path, format_, start, settings.encoding, settings.delimiter)


def fingerprint(path: Path, size: int) -> str:
    """Return a hash of how the file begins and of how its first ``size`` bytes end: appending does not change it."""
    with path.open("rb") as file:
        digest = hashlib.blake2b(file.read(min(_SAMPLE, size)), digest_size=8)
        file.seek(max(0, size - _SAMPLE))
        digest.update(file.read(min(_SAMPLE, size)))
    return digest.hexdigest()
