"""An emulated HubSpot account that lives by a clock of its own, and the source that reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hubspot_account import APIS, TOKEN, Stage
from pydantic import SecretStr

from leadup.sandbox import Weather
from leadup.types import Cursor, Event, Fact, Kind, Page
from leadup_connectors.hubspot.settings import HubSpotSettings
from leadup_connectors.hubspot.source import HubSpotSource

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=s) for s in (1, 60, 3600, 86400))
LAG = MINUTE
"""After which the source takes it that a search knows all."""
MEETING, CONTRACT, WON, LOST = "appointmentscheduled", "contractsent", "closedwon", "closedlost"

of_each_api = pytest.mark.parametrize("raw", APIS, indirect=True)
"""Marks a test of ``crm`` that is put to each version of the API: what it needs differs on the wire."""


class Crm:
    """One account. What it holds is changed at ``now``, and pulled at ``now``."""

    def __init__(self, stage: Stage, *, index_lag: timedelta = timedelta(0), **how: Any) -> None:
        self.stage, self.now = stage, NOON - DAY
        stage.play(clock=lambda: self.now, **how)
        self.sandbox: Any = stage.sandbox
        self.sandbox.search_lag = index_lag
        self.sandbox.limits.searches = 100_000
        self.cursor: Cursor | None = None

    @property
    def weather(self) -> Weather:
        return self.stage.sandbox.weather

    def source(self, *read: str, **settings: Any) -> HubSpotSource:
        """A source with pages that are small, and no pauses."""
        how = {"pause": 0, "tries": 1, "page_size": 4, "searches_per_second": 100_000, "api": self.stage.api}
        secrets = {"access_token": SecretStr(TOKEN), "base_url": self.stage.url}
        return HubSpotSource("feed", HubSpotSettings(read=read, **{**how, **secrets, **settings}), Path())

    def pull(self, *read: str, after: timedelta = LAG, **settings: Any) -> list[Page]:
        """Pull what is new, ``after`` a while."""
        self.now += after
        pages = list(self.source(*read, **settings).pull(self.cursor, self.now))
        self.cursor = pages[-1].cursor
        return pages

    def facts(self, **settings: Any) -> list[Fact]:
        """What contacts are new."""
        return [one for page in self.pull("contacts", **settings) for one in page.records if isinstance(one, Fact)]

    def events(self, read: str = "deals", **settings: Any) -> list[Event]:
        """What events are new."""
        return [one for page in self.pull(read, **settings) for one in page.records if isinstance(one, Event)]

    def requests(self, path: str = "") -> int:
        """How many requests came whose path ends so; the log is emptied."""
        count = sum(one.path.endswith(path) for one in self.weather.log)
        self.weather.log.clear()
        return count


class Timed(HubSpotSource):
    """A source that sets the account's clock to the instant of each pull: what is added then comes after it."""

    def __init__(self, crm: Crm, *read: str, **settings: Any) -> None:
        inner = crm.source(*read, **settings)
        super().__init__("feed", inner._settings, Path())
        self._crm = crm

    def pull(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        self._crm.now = max(self._crm.now, until)
        yield from super().pull(since, until)


def held(pages: Sequence[Page], before: dict[str, Event] | None = None) -> dict[str, Event]:
    """The events that whoever takes pages in one after another has in the end."""
    has = dict(before or {})
    for page in pages:
        has.update((one.id, one) for one in page.records if isinstance(one, Event))
        for gone in page.taken_back:
            has.pop(gone, None)
    return has


def of(record: Event | Fact, kind: Kind) -> list[str]:
    """The identifiers of one kind that a record carries."""
    return [one.value for one in record.identifiers if one.kind is kind]
