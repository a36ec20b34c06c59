"""Reads files that were exported from the dataset: one row a line as JSON, plain or gzipped. Each is read whole."""

from __future__ import annotations

import glob
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, cast

from leadup.errors import NeedsHuman
from leadup.kit import LINE_LIMIT, RowIds, decode_line, parse_line
from leadup.types import Cursor, Page, Part
from leadup_connectors.ga4.reading import Batch, count
from leadup_connectors.ga4.settings import GA4Settings
from leadup_connectors.ga4.translate import Translator

_SUFFIXES: Final = (".json", ".jsonl", ".ndjson")
_DAMAGE: Final = (EOFError, gzip.BadGzipFile, zlib.error)
_GZIP: Final = b"\x1f\x8b"


class Exports:
    """The files of one connection. The cursor holds what was read of each: ``{"files": {name: reading}}``."""

    def __init__(self, connection: str, settings: GA4Settings, folder: Path, translator: Translator) -> None:
        self._connection, self._settings, self._folder = connection, settings, folder
        self._translator = translator

    def check(self) -> None:
        """Look whether the path leads somewhere.

        Raises:
            NeedsHuman: it does not.
        """
        self._find()

    def pull(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        """Yield the events of files that are new or were written again, by name; each file is a part.

        Raises:
            NeedsHuman: the path leads nowhere, or (after the last page) some files could not be read.
        """
        files = self._find()
        known: Any = (since or {}).get("files", {})
        under: Any = (since or {}).get("under")
        seen = {name: known[name] for name in files if name in known}
        problems: list[str] = []
        for number, (name, path) in enumerate(files.items()):
            try:
                for batch, reading, line in self._file(name, path, seen, under):
                    last = line is None
                    if last:
                        seen[name] = reading
                    place = {} if last else {"under": {"file": name, "reading": reading, "line": line}}
                    yield Page(
                        records=batch.records,
                        rejected=batch.rejected,
                        cursor={"files": dict(seen), **place},
                        more=True,
                        progress=(number + last) / len(files),
                        part=Part(name=name, reading=reading, last=last),
                    )
            except FileNotFoundError:  # it went while we looked
                continue
            except OSError as error:
                problems.append(f"{name}: {error.strerror or error}")
        yield Page(records=[], cursor={"files": seen}, complete_until=None if problems else until, progress=1.0)
        if problems:
            raise NeedsHuman("\n".join(problems), todo=f"Correct the files, or connections.{self._connection}.path.")

    def _file(self, name: str, path: Path, seen: dict[str, Any], under: Any) -> Iterator[tuple[Batch, str, int | None]]:
        """Yield batches with the reading and the last line so far; None for that: the file has ended.

        A file that was written to meanwhile does not end in this pull: the next one reads it whole again.
        """
        reading = _reading(path)
        if seen.get(name) == reading:
            return
        before = under["line"] if under and (under["file"], under["reading"]) == (name, reading) else 0
        batch, ids, line = Batch(name), RowIds(), 0
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb")) if packed else file
            try:
                while raw := _next_line(stream):
                    line += 1
                    self._line(batch, ids, line, raw, is_new=line > before)
                    if len(batch.records) + len(batch.rejected) >= self._settings.page_size:
                        yield batch, reading, line
                        batch = Batch(name)
            except _DAMAGE as error:  # perhaps half copied: what its end would take back is not known
                raise OSError(f"the compressed data breaks off or is damaged: {error}") from None
        if _reading(path) == reading:
            yield batch, reading, None
        elif batch.records or batch.rejected:
            yield batch, reading, line

    def _line(self, batch: Batch, ids: RowIds, line: int, raw: bytes, *, is_new: bool) -> None:
        if not raw.strip():
            return
        try:
            row = parse_line(decode_line(raw))
        except ValueError as error:
            if is_new:
                batch.reject(line, str(error), raw)
            return
        if is_new:
            batch.take(line, row, self._translator, ids)
        else:
            count(line, row, self._translator, ids)

    def _find(self) -> dict[str, Path]:
        """The files by name, relative to the folder of ``leadup.toml``; hidden and half-written ones are left out."""
        base, is_pattern = self._folder / self._settings.path, glob.has_magic(self._settings.path)
        paths: Iterable[Path]
        if base.is_dir():
            paths = (path for path in base.rglob("*") if path.name.removesuffix(".gz").endswith(_SUFFIXES))
        elif base.exists() or not is_pattern:
            paths = [base]
        else:
            pattern = os.path.join(glob.escape(str(self._folder)), self._settings.path)
            paths = (Path(path) for path in glob.iglob(pattern, recursive=True))
        if not base.exists() and not is_pattern:
            todo = f"Create it, or correct connections.{self._connection}.path."
            raise NeedsHuman(f"There is no file or folder {base}.", todo=todo)
        names = {
            Path(os.path.relpath(path, self._folder)).as_posix(): path
            for path in paths
            if path.is_file() and not path.name.startswith(".") and not path.name.endswith((".tmp", ".part"))
        }
        return dict(sorted(names.items()))


def _next_line(stream: IO[bytes]) -> bytes:
    """Return the next line; of one over the limit only so much that it is seen to be over."""
    raw = rest = stream.readline(LINE_LIMIT + 1)
    while len(raw) > LINE_LIMIT and rest and not rest.endswith(b"\n"):
        rest = stream.readline(LINE_LIMIT)
    return raw


def _reading(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size}-{stat.st_mtime_ns}"
