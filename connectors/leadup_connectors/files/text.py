"""Reads CSV and JSON lines, plain or gzipped, row by row and from any place on."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from leadup.kit import LINE_LIMIT, decode_line, parse_line
from leadup_connectors.files.rows import DAMAGE, GZIP, BrokenFile, Place, Row
from leadup_connectors.files.settings import Format

_DELIMITERS = ",;\t|"


class TextFile:
    """A CSV or JSON lines file, plain or gzipped (its first bytes say which).

    ``unfinished`` is true once the row last given proved to lack its end (a line end, a closing quote): it may be half
    written, and ``place`` stays before it.
    """

    def __init__(self, path: Path, format_: Format, start: Place, encoding: str, delimiter: str | None) -> None:
        self.columns: list[str] = []
        """The header of a CSV file."""
        self.unfinished = False
        self._ended = False
        self._line, self._at = Place()
        self._encoding = encoding
        self._delimiter = delimiter
        self._again: deque[bytes] = deque()
        self._file = path.open("rb")
        try:
            self._packed = self._file.read(2) == GZIP
            self._file.seek(0)
            self._stream: IO[bytes] = self._file
            if self._packed:
                self._stream = io.BufferedReader(_Unpacked(self._file), 1 << 17)
            if format_ == "csv":
                self._header()
            if start.at > self._at:
                self._seek(start)
        except BaseException:
            self._file.close()
            raise
        self.rows = self._csv if format_ == "csv" else self._jsonl
        """Yields the rows; raises BrokenFile where decompression fails, after all rows before the damage."""

    def __enter__(self) -> TextFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def place(self) -> Place:
        """Where the row after the last one given begins."""
        return Place(self._line, self._at)

    def bytes_read(self) -> int:
        """Bytes read from the disk, for progress."""
        return self._file.tell()

    def modified(self) -> float:
        """When the file was last written to, as of now (it may have grown while it was read)."""
        return os.fstat(self._file.fileno()).st_mtime

    def read_line(self) -> bytes:
        """Return the next line; of one over the limit only so much that it is seen to be over."""
        if self._again:
            return self._again.popleft()
        try:
            raw = self._stream.readline(LINE_LIMIT + 1)
            return raw if len(raw) <= LINE_LIMIT else self._over_long(raw)
        except DAMAGE as error:
            raise _cut_short(error) from None

    def _over_long(self, raw: bytes) -> bytes:
        size, end = len(raw), raw[-1:]
        while end != b"\n" and (rest := self._stream.readline(LINE_LIMIT)):
            size, end = size + len(rest), rest[-1:]
        return _OverLong(raw[:-1] + end, size)

    def _seek(self, start: Place) -> None:
        if not self._packed:
            self._stream.seek(start.at)
        left = start.at - self._at if self._packed else 0
        try:
            while left and (skipped := len(self._stream.read(min(left, 1 << 20)))):
                left -= skipped
        except DAMAGE as error:
            raise _cut_short(error) from None
        self._line, self._at = start

    def _jsonl(self) -> Iterator[Row]:
        line, at = self.place
        while raw := self.read_line():
            size = _size(raw)
            self.unfinished = not raw.endswith(b"\n")
            if not self.unfinished:
                self._line, self._at = line + 1, at + size
            if raw.strip():
                try:
                    yield Row(line + 1, at, parse_line(decode_line(raw)), raw)
                except ValueError as error:
                    yield Row(line + 1, at, None, raw, str(error))
            line, at = line + 1, at + size

    def _header(self) -> None:
        raw = self.read_line()
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise BrokenFile("the file is UTF-16; save it as UTF-8")
        if b"\r" in raw.rstrip(b"\r\n"):
            raise BrokenFile("its lines end in CR alone; save it with LF or CRLF")
        if not raw.endswith(b"\n"):  # perhaps half written; there is no row to name columns for yet
            self.unfinished = bool(raw)
            return
        try:
            text = decode_line(raw, self._encoding)
            self._delimiter = self._delimiter or _sniff(text)
            self.columns = _column_names(next(csv.reader([text], delimiter=self._delimiter, strict=True), []))
        except (ValueError, csv.Error) as error:
            raise BrokenFile(f"the header line can not be read: {error}") from None
        self._line, self._at = 1, _size(raw)

    def _csv(self) -> Iterator[Row]:
        columns, width, delimiter, encoding = self.columns, len(self.columns), self._delimiter, self._encoding
        line, at = self.place
        while raw := self.read_line():
            values, problem, lines = None, "", [raw]
            try:
                text = decode_line(raw, encoding)
                cells = self._quoted(text, lines) if '"' in text else text.rstrip("\r\n").split(delimiter)
                if len(cells) == width:
                    values = dict(zip(columns, cells, strict=False))
                elif not text.isspace():
                    problem = f"the row has {len(cells)} columns, the header has {width}"
            except (ValueError, csv.Error) as error:
                problem = str(error)
            if len(lines) > 1:
                if problem:
                    # A quote that never closes swallows the rows after it: give up its line, read the others again.
                    problem = f"a quote that opens in this line does not close as it should: {problem}"
                    self._again.extendleft(reversed(lines[1:]))
                    del lines[1:]
                else:
                    raw = b"".join(lines)
            row = Row(line + 1, at, values, raw, problem)
            line, at = line + len(lines), at + _size(raw)
            self.unfinished = self._ended or not raw.endswith(b"\n")
            if not self.unfinished:
                self._line, self._at = line, at
            if values or problem:
                yield row

    def _quoted(self, text: str, lines: list[bytes]) -> list[str]:
        """Return the cells of a row that has quotes, and add to ``lines`` what it takes beyond its first line."""

        def row() -> Iterator[str]:
            yield text
            while raw := self.read_line():
                lines.append(raw)
                yield decode_line(raw, self._encoding)
            self._ended = True  # inside a row: all that follows now is read on trial

        return next(csv.reader(row(), delimiter=self._delimiter or ",", strict=True))


class _OverLong(bytes):
    """The beginning of a line over the limit, and its end if it has one."""

    size: int
    """Bytes of the whole line."""

    def __new__(cls, kept: bytes, size: int) -> _OverLong:
        line = super().__new__(cls, kept)
        line.size = size
        return line


def _size(line: bytes) -> int:
    return line.size if isinstance(line, _OverLong) else len(line)


def _sniff(header: str) -> str:
    """The header alone decides, so that a file that grows is read as before."""
    return max(_DELIMITERS, key=lambda d: len(next(csv.reader([header], delimiter=d), ())))


def _column_names(header: Sequence[str]) -> list[str]:
    """The header's names, trimmed; a name that comes again gets a number, an empty one its position."""
    names: list[str] = []
    for position, cell in enumerate(header, 1):
        name = unique = cell.strip() or f"column_{position}"
        count = 1
        while unique in names:
            count += 1
            unique = f"{name}_{count}"
        names.append(unique)
    return names


class _Unpacked(io.RawIOBase):
    """A gzip stream that hands out all it can before it raises; ``GzipFile.read`` would keep the last block."""

    def __init__(self, file: IO[bytes]) -> None:
        self._gzip = gzip.GzipFile(fileobj=file, mode="rb")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._gzip.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _cut_short(error: Exception) -> BrokenFile:
    return BrokenFile(f"the compressed data breaks off or is damaged: {error}")
