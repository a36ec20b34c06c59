"""Looks at the beginning of a file that nobody has described yet: its columns, and what stands in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from leadup.errors import NeedsHuman
from leadup_connectors.files.formats import format_of, open_file
from leadup_connectors.files.mapping import missing
from leadup_connectors.files.rows import GZIP, BrokenFile, Place
from leadup_connectors.files.settings import FilesSettings, Format

ROWS = 5_000
_DEPTH = 4


@dataclass(slots=True)
class Column:
    """A column, or a value at a path inside one, over the rows of the sample."""

    path: str
    values: list[Any] = field(default_factory=list)
    """Without the missing ones."""

    @property
    def plain(self) -> str:
        """The last part of the name, letters and digits alone: ``user.Client-ID`` is ``clientid``."""
        return plain(self.path.rsplit(".", 1)[-1])

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return len({str(value) for value in self.values})

    def share(self, test: Any) -> float:
        """Share of the values that pass ``test``; 0 when there are none."""
        return sum(map(bool, map(test, self.values))) / len(self.values) if self.values else 0.0


@dataclass(slots=True)
class Sample:
    """The first rows of a file."""

    format: Format
    named: bool
    """Whether the format follows from the file's name."""
    encoding: str
    rows: list[dict[str, Any]]
    columns: dict[str, Column]
    """By path; nested values after their column."""
    containers: list[str]
    """Columns that hold objects."""
    unread: int
    """Rows that can not be read."""


def plain(name: str) -> str:
    """Return a name with letters and digits alone, in lower case."""
    return "".join(c for c in name.casefold() if c.isalnum())


def look(path: Path) -> Sample:
    """Read the first rows.

    Raises:
        NeedsHuman: the file can not be read as anything, or has no rows.
    """
    format_ = format_of(path.name)
    chosen = format_ or _look_inside(path)
    for encoding in ("utf-8", "cp1252"):
        rows, problems = _rows(path, chosen, encoding)
        if not any("UTF-8" in problem for problem in problems) or chosen != "csv":
            break
    if not rows:
        reason = problems[0] if problems else "it has no rows"
        raise NeedsHuman(f"{path} can not be read: {reason}.", todo="Give a file with events: CSV, JSONL or Parquet.")
    columns: dict[str, Column] = {}
    containers: dict[str, None] = {}
    for row in rows:
        for at, value in _leaves(row, "", containers):
            columns.setdefault(at, Column(at)).values.append(value)
    for name in rows[0] if chosen != "jsonl" else ():
        columns.setdefault(name, Column(name))
    return Sample(chosen, format_ is not None, encoding, rows, columns, list(containers), len(problems))


def _rows(path: Path, format_: Format, encoding: str) -> tuple[list[dict[str, Any]], list[str]]:
    settings = FilesSettings.model_validate({"path": str(path), "encoding": encoding})
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    try:
        with open_file(path, format_, Place(), settings) as reader:
            for row in islice(reader.rows(), ROWS):
                if row.values is None:
                    problems.append(row.problem)
                else:
                    rows.append(row.values)
    except (BrokenFile, OSError) as error:
        problems.append(str(error))
    return rows, problems


def _look_inside(path: Path) -> Format:
    """The format of a file whose name does not say it."""
    import gzip

    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    with gzip.open(path) if packed else path.open("rb") as file:
        begin = file.read(4)
    return "parquet" if begin == b"PAR1" else "jsonl" if begin.lstrip()[:1] == b"{" else "csv"


def _leaves(row: Mapping[str, Any], prefix: str, containers: dict[str, None]) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and prefix.count(".") < _DEPTH:
            containers.setdefault(path)
            yield from _leaves(value, f"{path}.", containers)
        elif not missing(value) and not isinstance(value, Mapping | list):
            yield path, value
