"""What reading may spend of a vendor's day: all but what is kept for other apps and for leaves that wait.

Whoever opted out, or is no customer any more, has to leave audiences on the day that is read; what is read late is only
late. So a reading stops after a page, when another one might not fit, and goes on behind it on the next day.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy import select

from leadup.delivery.book import all_targets
from leadup.delivery.budgets import Day, because, days, goes_on_at, heard, sharing, used_up, write_days
from leadup.delivery.predicting import LEAVE, predict
from leadup.errors import BudgetSpent
from leadup.kit import Destination, Rationed
from leadup.state import Store
from leadup.state.store import upsert
from leadup.state.tables import outbox, sources
from leadup.types import from_us, to_us


@dataclass(frozen=True, slots=True)
class Waits:
    """A source that is not read before its vendor's next day."""

    until: datetime
    because: str
    news: bool
    """Whether that is said for the first time today."""


class Ration:
    """One reading of one source, as a context: it is entered to read, and says on leaving what the vendor has said.

    A refusal for the day (BudgetSpent) ends the reading, and is no error.
    """

    waits: Waits | None = None
    """On leaving: that the source waits for the next day."""

    def __init__(
        self,
        store: Store,
        destinations: Mapping[str, Destination],
        name: str,
        source: Rationed,
        now: datetime,
        told: MutableMapping[str, int],
    ) -> None:
        """``destinations``: all of them, since their leaves go first. ``told``: by connection, which word of its vendor
        this process heard last; an old word may be about a day that is over.
        """
        self._store, self._name, self._source, self._now = store, name, source, now
        with store.read() as connection:
            self._days = days(connection)
            self._waited = connection.scalar(select(sources.c.waits_us).where(sources.c.connection == name))
            leaving = [outbox.c.verb == LEAVE, outbox.c.state == "pending"]
            predicted = predict(connection, destinations, all_targets(connection), *leaving)
        self._leaves = {connection: sum(one.leaves.values()) for connection, one in predicted.items()}
        self._told = told
        self._heard: dict[str, Day] = {}
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        refusal = error if isinstance(error, BudgetSpent) else None
        self._hear()
        if refusal is not None:
            self._learn(used_up(self._days, self._name, self._now))
        if self._ended or refusal is not None:
            self._wait(refusal)
        if self._heard:
            self._keep()
        return refusal is not None

    def lasts(self) -> bool:
        """Whether there is room for another page."""
        self._hear()
        day = self._days.get(self._name)
        left = day.left_at(to_us(self._now)) if day else None
        if day is not None and left is not None:
            leaves = sum(self._leaves.get(one, 0) for one in sharing(self._days, day.account))
            self._ended = left - day.kept(self._source.reserve) - leaves < self._source.page_calls
        return not self._ended

    def _wait(self, refusal: BudgetSpent | None) -> None:
        day = self._days.get(self._name)
        until = goes_on_at(day, self._source.budget(), self._now)
        if until is None and self._waited is not None and self._waited > to_us(self._now):
            until = from_us(self._waited)  # counted from now, it would be another one at each poll
        elif until is None:
            until = self._now + ((refusal and refusal.retry_after) or timedelta(hours=1))
        goes_on = f"reads again after midnight, {day.zone}" if day else "reads again when the account's day is over"
        self.waits = Waits(until, f"{because(self._source.reserve)}; {goes_on}", news=self._waited != to_us(until))
        values = {"waits_us": to_us(until), "waits": self.waits.because} | ({} if refusal is None else {"error": None})
        with self._store.write() as connection:
            upsert(connection, sources, [{"connection": self._name, **values}], update=list(values))

    def _keep(self) -> None:
        with self._store.write() as connection:
            noticed = {name: day.noticed_us for name, day in days(connection).items()}  # a delivery may have, meanwhile
            write_days(connection, [replace(day, noticed_us=noticed.get(name)) for name, day in self._heard.items()])

    def _hear(self) -> None:
        budget = self._source.budget()
        if budget is not None and budget.told != self._told.get(self._name):
            self._told[self._name] = budget.told
            self._learn(heard(self._days, self._name, budget, self._now))

    def _learn(self, told: Mapping[str, Day]) -> None:
        self._days |= told
        self._heard |= told
