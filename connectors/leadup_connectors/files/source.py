"""Pulls events and facts from files that come, grow, are replaced and go."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from leadup.errors import NeedsHuman
from leadup.kit import RowIds, clip, needs_id, parse_record
from leadup.types import Cursor, Event, Fact, Page, Rejected
from leadup_connectors.files.formats import fingerprint, open_file
from leadup_connectors.files.listing import Found, find
from leadup_connectors.files.mapping import Mapper, plain, unknown_columns
from leadup_connectors.files.parquet import ParquetRows
from leadup_connectors.files.rows import BrokenFile, Place, Row
from leadup_connectors.files.settings import FilesSettings
from leadup_connectors.files.text import TextFile

PAGE_BYTES = 32 << 20
"""A page of long rows ends after this many bytes."""

Entry: TypeAlias = Mapping[str, Any]
"""What the cursor holds of a file: ``size`` and ``mtime_ns`` of the version read, its ``sum``
(:func:`~leadup_connectors.files.formats.fingerprint`), ``read`` = [lines, bytes] that need not be read again, ``count``
= [lines, bytes] from where equal rows must be counted, where that is earlier, and ``done``: nothing more to read in
this version."""


class _Translator(Protocol):
    """Rows to records."""

    def needs_id(self, row: Mapping[str, Any]) -> bool:
        """Whether the row becomes an event that brings no id."""

    def record(self, row: Mapping[str, Any], fallback_id: Callable[[], str]) -> Event | Fact:
        """Return what the row says, or raise ``ValueError`` with the reason why it says nothing."""


class _Documented:
    """Rows in the documented leadup JSONL."""

    def __init__(self, connection: str) -> None:
        self._connection = connection

    def needs_id(self, row: Mapping[str, Any]) -> bool:
        return needs_id(row)

    def record(self, row: Mapping[str, Any], fallback_id: Callable[[], str]) -> Event | Fact:
        return parse_record(row, source=self._connection, fallback_id=fallback_id() if needs_id(row) else "")


class FilesSource:
    """A ``leadup.kit.Source`` over files."""

    def __init__(self, connection: str, settings: FilesSettings, folder: Path) -> None:
        self._connection = connection
        self._settings = settings
        self._folder = folder

    def check(self) -> None:
        """Look whether there are files, and whether the first and the last one have the configured columns.

        Raises:
            NeedsHuman: the path leads nowhere, a file can not be opened, or a column does not exist.
        """
        files = find(self._connection, self._settings, self._folder)
        problems: dict[str, str] = {}
        for file in dict.fromkeys([*files[:1], *files[-1:]]):
            try:
                self.check_columns(file)
            except (BrokenFile, Unfit, OSError) as error:
                problems[file.name] = str(error)
        self._raise(problems)

    def pull(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        """Yield what is new since the cursor, file by file in the order of their names.

        The last page carries ``complete_until = until``, unless a file is still being written. A file that can not be
        opened, or lacks a configured column, does not keep the others from being read.

        Raises:
            NeedsHuman: the path leads nowhere, or (after the last page) some files could not be read.
        """
        files = find(self._connection, self._settings, self._folder)
        known: Any = (since or {}).get("files", {})
        scan = _Scan(self, {file.name: known[file.name] for file in files if file.name in known}, until)
        yield from scan.read(files)
        self._raise(scan.problems)

    def open(self, file: Found, start: Place) -> TextFile | ParquetRows:
        """Open a file to read the rows after ``start``; raises BrokenFile and OSError."""
        return open_file(file.path, file.format, start, self._settings)

    def translator(self) -> _Translator:
        """Return what turns rows into records."""
        columns = self._settings.columns
        return Mapper(self._connection, self._settings, columns) if columns else _Documented(self._connection)

    @property
    def page_size(self) -> int:
        """Most rows of a page."""
        return self._settings.page_size

    @property
    def settle(self) -> float:
        """Seconds a file has to rest before a last line without its end is taken as whole."""
        return self._settings.settle

    def check_columns(self, file: Found) -> None:
        """Look whether a file has the columns that the settings name; for JSON lines, the required ones.

        Raises:
            Unfit: it has not; the nearest names are given.
            BrokenFile, OSError: it can not be read.
        """
        if self._settings.columns is None:
            if file.format != "jsonl":
                raise Unfit(
                    f"a {file.format.upper()} file needs a mapping, and connections.{self._connection}.columns is"
                    f" missing; `leadup init --from {file.name}` writes one"
                )
            return
        with self.open(file, Place()) as reader:
            columns = dict.fromkeys(reader.columns)
            if file.format == "jsonl":
                columns = dict.fromkeys(name for row in islice(reader.rows(), 100) for name in row.values or ())
        if columns and (unknown := unknown_columns(self._settings, columns, required_only=file.format == "jsonl")):
            raise Unfit(f"{'; '.join(unknown)}. Its columns are {', '.join(columns)}")

    def _raise(self, problems: Mapping[str, str]) -> None:
        if problems:
            raise NeedsHuman(
                "\n".join(f"{name}: {problem}" for name, problem in problems.items()),
                todo=f"Correct [connections.{self._connection}] or the files; what could not be read is read then.",
            )


class Unfit(Exception):
    """A file and the settings do not fit one another."""


@dataclass(slots=True)
class _Gathered:
    """What the next page will hold."""

    records: list[Event | Fact] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    bytes: int = 0


class _Scan:
    """One look at all files."""

    def __init__(self, source: FilesSource, entries: dict[str, Entry], until: datetime) -> None:
        self.problems: dict[str, str] = {}
        """Files that need a human, and why."""
        self._source = source
        self._translator = source.translator()
        self._page_size = source.page_size
        self._settle = source.settle
        self._entries = entries
        self._until = until
        self._waiting = False
        self._next = _Gathered()
        self._total = self._done = 0

    def read(self, files: list[Found]) -> Iterator[Page]:
        """Yield the pages of all files that have something new, and the last page."""
        new = [file for file in files if not _is_read(file, self._entries.get(file.name))]
        self._total = sum(file.size for file in new)
        for file in new:
            done = self._done
            try:
                yield from self._file(file)
            except FileNotFoundError:  # it went while we looked
                self._entries.pop(file.name, None)
            except (Unfit, OSError) as error:
                self.problems[file.name] = str(error)
            self._done = done + file.size
        complete = not self._waiting and not self.problems
        yield self._page(more=False, complete_until=self._until if complete else None)

    def _file(self, file: Found) -> Iterator[Page]:
        place, count_from = _start(file, self._entries.get(file.name))
        version = {"size": file.size, "mtime_ns": file.mtime_ns, "sum": fingerprint(file.path, file.size)}
        read, before, done = place.line, self._done, True
        ids = RowIds()
        reader: TextFile | ParquetRows | None = None

        def row_id() -> str:
            return ids.next(_bytes(row), (row.line - 1, row.at))

        try:
            if not read:
                self._source.check_columns(file)
            with self._source.open(file, count_from) as reader:
                for row in reader.rows():
                    if row.line <= read:  # only counted, so that equal rows after it get the ids they always had
                        if row.values is not None and self._translator.needs_id(row.values):
                            row_id()
                        continue
                    if reader.unfinished and self._may_be_half_written(file, row, reader.modified()):
                        done = False
                        break
                    if self._take(file, row, row_id):
                        self._done = before + reader.bytes_read()
                        self._entries[file.name] = {**version, **_progress(reader.place, ids, done=False)}
                        yield self._page(more=True)
        except BrokenFile as error:
            done = not self._is_fresh(file.path.stat().st_mtime)
            if done:
                self._next.rejected.append(Rejected(place=file.name, line=0, reason=str(error), text=""))
        if reader is not None:
            place = max(place, reader.place)
        self._waiting = self._waiting or not done
        self._entries[file.name] = {**version, **_progress(place, ids, done=done)}

    def _take(self, file: Found, row: Row, row_id: Callable[[], str]) -> bool:
        """Add what a row says to the next page; return whether that is full now."""
        gathered, reason = self._next, row.problem
        if row.values is not None:
            try:
                gathered.records.append(self._translator.record(row.values, row_id))
            except ValueError as error:
                reason = str(error)
        if reason:
            gathered.rejected.append(Rejected(place=file.name, line=row.line, reason=reason, text=clip(_bytes(row))))
        gathered.bytes += len(row.raw)
        rows = len(gathered.records) + len(gathered.rejected)
        return rows >= self._page_size or gathered.bytes >= PAGE_BYTES

    def _is_fresh(self, modified: float) -> bool:
        return abs(self._until.timestamp() - modified) < self._settle

    def _may_be_half_written(self, file: Found, row: Row, modified: float) -> bool:
        """Whether to leave a last row without its end for the next scan. A whole JSON object can not be half one."""
        return self._is_fresh(modified) and not (file.format == "jsonl" and row.values is not None)

    def _page(self, *, more: bool, complete_until: datetime | None = None) -> Page:
        gathered, self._next = self._next, _Gathered()
        return Page(
            records=gathered.records,
            rejected=gathered.rejected,
            cursor={"files": dict(self._entries)},
            more=more,
            complete_until=complete_until,
            progress=min(self._done / self._total, 1.0) if more and self._total else 1.0,
        )


def _is_read(file: Found, entry: Entry | None) -> bool:
    return entry is not None and entry["done"] and _is_same(file, entry)


def _is_same(file: Found, entry: Entry) -> bool:
    return (entry["size"], entry["mtime_ns"]) == (file.size, file.mtime_ns)


def _start(file: Found, entry: Entry | None) -> tuple[Place, Place]:
    """Where to go on reading, and from where to count equal rows: the start, unless the file at most grew."""
    if entry is None:
        return Place(), Place()
    grew = file.format != "parquet" and file.size > entry["size"]
    if _is_same(file, entry) or (grew and fingerprint(file.path, entry["size"]) == entry["sum"]):
        return Place(*entry["read"]), Place(*entry.get("count", entry["read"]))
    return Place(), Place()


def _progress(place: Place, ids: RowIds, *, done: bool) -> Entry:
    count = min(ids.start(place), place)
    return {"read": [*place], **({} if count == place else {"count": [*count]}), "done": done}


def _bytes(row: Row) -> bytes:
    """A row's own text, without its line end."""
    return row.raw.rstrip(b"\r\n") or json.dumps(row.values, default=plain, sort_keys=True).encode()
