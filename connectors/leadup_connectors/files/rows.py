"""What the readers of all formats give."""

from __future__ import annotations

import gzip
import zlib
from typing import Any, NamedTuple

GZIP = b"\x1f\x8b"
"""How a gzipped file begins (RFC 1952, 2.3.1)."""
DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error)
"""What reading a damaged one raises."""


class Row(NamedTuple):
    """A row as it stands in the file."""

    line: int
    """1-based; the first line of the row, or its number in a Parquet file."""
    at: int
    """Bytes (after decompression) before it; 0 in a Parquet file."""
    values: dict[str, Any] | None
    """None: it can not be read; ``problem`` says why."""
    raw: bytes
    """As it stands; empty in a Parquet file."""
    problem: str = ""


class Place(NamedTuple):
    """How far a file has been read."""

    line: int = 0
    """Lines, or rows of a Parquet file."""
    at: int = 0
    """Bytes after decompression; 0 in a Parquet file."""


class BrokenFile(Exception):
    """The file can not be read, or not to its end."""
