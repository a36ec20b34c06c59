"""Finds the files a connection means."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from leadup.errors import NeedsHuman
from leadup_connectors.files.formats import format_of
from leadup_connectors.files.settings import FilesSettings, Format

_UNFINISHED = (".tmp", ".part")
"""Suffixes that programs give to a file while they write it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file as a scan found it."""

    name: str
    """Relative to the folder of ``leadup.toml``, with forward slashes."""
    path: Path
    format: Format
    size: int
    """Bytes."""
    mtime_ns: int


def find(connection: str, settings: FilesSettings, folder: Path) -> list[Found]:
    """Return the files that ``settings.path`` means, by name; none is fine where a folder is watched.

    Hidden files, and files and folders with the names of work in progress, are left out.

    Raises:
        NeedsHuman: the path leads nowhere, or a file has a suffix that stands for no format.
    """
    here = f"connections.{connection}"
    base = folder / settings.path
    fixed = _fixed_part(base)
    if not fixed.exists():
        raise NeedsHuman(f"There is no file or folder {fixed}.", todo=f"Create it, or correct {here}.path.")
    found = []
    for path in _paths(base, settings, folder):
        format_ = settings.format or format_of(path.name)
        if format_ is None:
            raise NeedsHuman(
                f"{path.name} has no suffix that stands for a format.",
                todo=f'Set {here}.format to "csv", "jsonl" or "parquet", or narrow {here}.path.',
            )
        try:
            stat = path.stat()
        except FileNotFoundError:  # it went while we looked
            continue
        name = Path(os.path.relpath(path, folder)).as_posix()
        found.append(Found(name, path, format_, stat.st_size, stat.st_mtime_ns))
    return sorted(found, key=lambda file: file.name)


def _paths(base: Path, settings: FilesSettings, folder: Path) -> Iterator[Path]:
    if base.is_file():
        yield base
        return
    if base.is_dir():
        fixed = base
        paths = (path for path in base.rglob("*") if settings.format or format_of(path.name))
    else:
        fixed = _fixed_part(base)
        pattern = os.path.join(glob.escape(str(folder)), settings.path)
        paths = (Path(path) for path in glob.iglob(pattern, recursive=True))
    for path in paths:
        if path.is_file() and not any(_is_unfinished(part) for part in path.relative_to(fixed).parts):
            yield path


def _is_unfinished(name: str) -> bool:
    return name.startswith(".") or name.endswith(_UNFINISHED) or name == "_temporary"


def _fixed_part(base: Path) -> Path:
    """The path itself, or of a glob the folder above the first part with a wildcard."""
    if base.exists() or not glob.has_magic(str(base)):
        return base
    return next(parent for parent in base.parents if not glob.has_magic(str(parent)) or parent.exists())
