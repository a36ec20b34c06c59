"""Reads one table from its first row to its last, and goes on in the middle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from leadup.kit import RowIds, clip
from leadup.types import Event, Rejected
from leadup_connectors.ga4.client import BigQuery, Gone, Rows, Table
from leadup_connectors.ga4.days import Under
from leadup_connectors.ga4.rows import Wanted, decoder, gc_paused, prune, selected_fields
from leadup_connectors.ga4.translate import KEY_COLUMNS, REQUIRED, Translator, is_clean, key_of

COUNTED: Final = 10_000
"""Rows a page when rows are only counted."""


@dataclass(slots=True)
class Batch:
    """What some rows of one table, or lines of one file, say."""

    place: str
    records: list[Event] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def take(self, line: int, row: Mapping[str, Any], translator: Translator, ids: RowIds) -> None:
        """Add the event of a row, unless the settings leave it out; ``line`` is its number, from 1."""
        if not translator.is_wanted(row):
            return
        try:
            self.records.append(translator.event(row, lambda key: ids.next(key, (line - 1, 0))))
        except ValueError as error:
            self.reject(line, str(error), row)

    def reject(self, line: int, reason: str, row: object) -> None:
        """Note a row that is no event."""
        text = row if isinstance(row, bytes) else json.dumps(row, default=str)
        self.rejected.append(Rejected(place=self.place, line=line, reason=reason, text=clip(text)))


def count(line: int, row: Mapping[str, Any], translator: Translator, ids: RowIds) -> None:
    """Only count a row that was taken before, so that equal rows after it get the ids they always had."""
    if translator.is_wanted(row):
        with suppress(ValueError):  # it was rejected
            ids.next(key_of(row), (line - 1, 0))


@dataclass(frozen=True, slots=True)
class Piece:
    """What one call brought."""

    batch: Batch
    row: int
    """Rows that were read so far."""
    under: Under | None
    """Where to go on; None: the table has ended, and is still as it was in the beginning."""


class Reading:
    """One reading of a table."""

    def __init__(self, client: BigQuery, translator: Translator, table: Table, page_size: int) -> None:
        self._client, self._translator, self._table, self._page_size = client, translator, table, page_size

    def pieces(self, under: Under | None) -> Iterator[Piece]:
        """Yield the pieces of the table after ``under``, from the start if that is of another table or reading.

        Raises:
            Gone: the table is not the same any more; it must be looked at anew.
        """
        table, ids = self._table, RowIds()
        if under is None or (under.table, under.reading) != (table.name, table.reading):
            under = Under(table.name, table.reading, row=0, token="", count=0)
        if missing := set(REQUIRED) - {column["name"] for column in table.schema}:
            batch = Batch(table.name)
            batch.reject(0, f"the table has no column {', '.join(sorted(missing))}: it is no export of events", "")
            yield Piece(batch, table.rows, None)
            return
        self._count(under, ids)
        row, token = under.row, under.token
        while True:
            answer, decode = self._call(self._translator.columns, self._page_size, row, token)
            with gc_paused():
                batch = self._batch(answer, decode, row, ids)
            row, token = row + len(answer.rows), answer.token
            if not token:
                break
            counted = ids.start((row, 0))[0]
            yield Piece(batch, row, Under(table.name, table.reading, row=row, token=token, count=counted))
        if self._client.table(table.name).reading != table.reading:
            raise Gone(f"{table.name} was rewritten")
        yield Piece(batch, row, None)

    def _call(self, wanted: Wanted, limit: int, row: int, token: str = "") -> tuple[Rows, Any]:
        fields = prune(self._table.schema, wanted)
        answer = self._client.rows(self._table.name, selected_fields(fields, wanted), limit, token=token, start=row)
        return answer, decoder(fields)

    def _batch(self, answer: Rows, decode: Any, before: int, ids: RowIds) -> Batch:
        batch = Batch(self._table.name)
        for line, cells in enumerate(answer.rows, before + 1):
            try:
                row = decode(cells)
            except ValueError as error:
                batch.reject(line, str(error), cells)
                continue
            if answer.is_odd and not is_clean(row):
                batch.reject(line, "a text holds a NUL character or half a surrogate pair", row)
            else:
                batch.take(line, row, self._translator, ids)
        return batch

    def _count(self, under: Under, ids: RowIds) -> None:
        """Count the rows before the place to go on that equal rows may follow: by their key's columns alone."""
        row = under.count
        while row < under.row:
            answer, decode = self._call(KEY_COLUMNS, min(COUNTED, under.row - row), row)
            if not answer.rows:
                raise Gone(f"{under.table} has fewer rows than were read")
            for line, cells in enumerate(answer.rows, row + 1):
                with suppress(ValueError):
                    count(line, decode(cells), self._translator, ids)
            row += len(answer.rows)
