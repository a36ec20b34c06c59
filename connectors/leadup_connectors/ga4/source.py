"""Pulls the events of a GA4 property: from BigQuery's daily tables, each read whole, or from exported files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from leadup.errors import TryLater
from leadup.types import Cursor, Page, Part
from leadup_connectors.ga4.client import BigQuery, Gone
from leadup_connectors.ga4.days import BACKFILL, DAY, Days, day_of, end_of, table_of
from leadup_connectors.ga4.exports import Exports
from leadup_connectors.ga4.reading import Reading
from leadup_connectors.ga4.settings import GA4Settings
from leadup_connectors.ga4.translate import Translator

READINGS: Final = 3
"""How often a table is begun in one pull because it was rewritten meanwhile."""
DAILY_CAP: Final = 1_000_000
"""Events of a day that a standard property exports; the export of one above it is paused ("BigQuery Export")."""

log = structlog.get_logger("leadup.ga4")


class GA4Source:
    """A ``leadup.kit.Source`` over a dataset, or over files."""

    def __init__(self, connection: str, settings: GA4Settings, folder: Path) -> None:
        self._connection = connection
        self._settings = settings
        self._translator = Translator(connection, settings)
        self._exports = Exports(connection, settings, folder, self._translator) if settings.path else None

    def check(self) -> None:
        """Look whether the dataset answers and its newest table can be read, or whether there are files.

        Raises:
            NeedsHuman: no, and what to do.
            TryLater: BigQuery does not answer now.
        """
        if self._exports is not None:
            self._exports.check()
            return
        tables = sorted(name for name in self._client.tables() if day_of(name))
        if tables:
            with suppress(Gone):  # it expired since it was listed
                self._client.rows(tables[-1], "event_name", 1)

    def pull(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        """Yield what is new since the cursor: each daily table that was written since, whole, by day.

        The last page carries ``complete_until``: the end, in the property's zone, of the latest day up to which all
        tables were read, ``until`` at most. A day without its table holds it back for ``reread_days`` and is then
        passed over; should its table come after all, it is read. ``final_until`` is the end of the last day whose table
        is not looked at again.

        Raises:
            TryLater: BigQuery does not answer, or a table is rewritten faster than it can be read.
            NeedsHuman: the dataset, or the right to read it, is missing.
        """
        if self._exports is not None:
            yield from self._exports.pull(since, until)
            return
        zone = ZoneInfo(self._settings.property_zone)
        today = until.astimezone(zone).date()
        days = Days.begin(since, self._settings.start or today - BACKFILL)
        listed = self._client.tables()
        tables = days.to_look_at(listed)
        for number, name in enumerate(tables):
            yield from self._table(name, days, (number / len(tables), 1 / len(tables)))
        settled, passed = days.close(listed, today - timedelta(days=self._settings.reread_days))
        for day in passed:
            log.warning(
                "a day is missing and passed over: was the export paused, or was nobody there?",
                connection=self._connection,
                table=table_of(day),
            )
        complete = end_of(days.complete, zone) if days.complete else None
        yield Page(
            records=[],
            cursor=days.cursor(),
            complete_until=min(complete, until) if complete else None,
            final_until=end_of(days.floor - DAY, zone),
            progress=1.0,
            settled=settled,
        )

    @cached_property
    def _client(self) -> BigQuery:
        return BigQuery(self._connection, self._settings)

    def _table(self, name: str, days: Days, share: tuple[float, float]) -> Iterator[Page]:
        """Yield the pages of a table unless it is as it was; from the start when it is rewritten meanwhile."""
        done = 0.0
        for _ in range(READINGS):
            try:
                table = self._client.table(name)
            except Gone:  # it went since it was listed: what it brought stays
                return
            if days.seen.get(name) == table.reading:
                return
            self._warn_of_the_cap(name, table.rows)
            try:
                for piece in Reading(self._client, self._translator, table, self._settings.page_size).pieces(
                    days.under
                ):
                    days.under = piece.under
                    if piece.under is None:
                        days.was_read(name, table.reading)
                    done = max(done, min(piece.row / max(table.rows, 1), 1.0))
                    yield Page(
                        records=piece.batch.records,
                        rejected=piece.batch.rejected,
                        cursor=days.cursor(),
                        more=True,
                        progress=share[0] + share[1] * done,
                        part=Part(name=name, reading=table.reading, last=piece.under is None),
                    )
            except Gone:
                days.under = None
            else:
                return
        raise TryLater(
            f"Table {name} of connection {self._connection!r} was rewritten {READINGS} times while it was read."
        )

    def _warn_of_the_cap(self, name: str, rows: int) -> None:
        if rows >= DAILY_CAP * 0.95:
            log.warning(
                "a day is near the million events above which Google pauses the export",
                connection=self._connection,
                table=name,
                rows=rows,
            )
