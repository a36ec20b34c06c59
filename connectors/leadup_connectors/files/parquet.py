"""Reads Parquet row by row, from any row on."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from leadup_connectors.files.rows import DAMAGE, GZIP, BrokenFile, Place, Row


class ParquetRows:
    """A Parquet file; ``place.line`` counts rows. A file of this format is whole or not a file at all."""

    unfinished = False

    def __init__(self, path: Path, start: Place) -> None:
        import pyarrow as pa  # 0.1 s, which CSV need not pay
        from pyarrow import parquet

        self._path = path
        self._size = path.stat().st_size
        self._file = _unpacked(path)
        try:
            self._parquet = parquet.ParquetFile(self._file)
        except (pa.ArrowException, OSError) as error:
            self._file.close()
            raise _broken(error) from None
        self.columns: list[str] = self._parquet.schema_arrow.names
        self.place = start

    def __enter__(self) -> ParquetRows:
        return self

    def __exit__(self, *_: object) -> None:
        self._parquet.close()
        self._file.close()

    def bytes_read(self) -> int:
        """About how many bytes have been read, for progress."""
        return int(self._size * self.place.line / max(self._parquet.metadata.num_rows, 1))

    def modified(self) -> float:
        """When the file was last written to."""
        return self._path.stat().st_mtime

    def rows(self) -> Iterator[Row]:
        """Yield the rows; raises BrokenFile where the file is damaged."""
        metadata = self._parquet.metadata
        before, groups = 0, list(range(metadata.num_row_groups))
        while groups and before + metadata.row_group(groups[0]).num_rows <= self.place.line:
            before += metadata.row_group(groups.pop(0)).num_rows
        number, start = before, self.place.line
        try:
            for batch in self._parquet.iter_batches(batch_size=2_000, row_groups=groups):
                for cells in zip(*(_python_values(column) for column in batch.columns), strict=True):
                    number += 1
                    if number > start:
                        self.place = Place(number)
                        yield _parquet_row(number, dict(zip(self.columns, cells, strict=True)))
        except (ValueError, OverflowError, OSError) as error:  # ArrowInvalid is a ValueError
            raise _broken(error) from None


def _unpacked(path: Path) -> IO[bytes]:
    """The file, or its content in a temporary one: Parquet is read from its end, which gzip does not allow."""
    with ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(path.open("rb"))
        packed = file.read(2) == GZIP
        file.seek(0)
        if packed:
            unpacked = stack.enter_context(tempfile.TemporaryFile())
            try:
                shutil.copyfileobj(gzip.GzipFile(fileobj=file), unpacked)
            except DAMAGE as error:
                raise _broken(error) from None
            file.close()
            file = unpacked
        stack.pop_all()
    return file


def _broken(error: Exception) -> Exception:
    """Damage, which pyarrow also reports as an OSError, but one without a number; or what the machine has to say."""
    if isinstance(error, OSError) and error.errno:
        return error
    return BrokenFile(f"no Parquet file, or not a whole one: {error}")


def _python_values(column: Any) -> list[Any]:
    """A column's values in Python; nanoseconds, which ``datetime`` lacks, are cut to microseconds."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _parquet_row(number: int, values: dict[str, Any]) -> Row:
    if any(isinstance(value, str) and "\0" in value for value in values.values()):
        return Row(number, 0, None, repr(values).encode(), "a text holds a NUL character")
    return Row(number, 0, values, b"")
