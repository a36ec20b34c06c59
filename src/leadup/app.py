"""Puts the parts together for one ``leadup.toml``: state, rules, connections, and the flow between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

from sqlalchemy import select

from leadup import registry
from leadup.delivery.activations import activations
from leadup.delivery.adopting import recreate
from leadup.delivery.book import TargetRow, Terms, all_targets
from leadup.delivery.courier import Courier, Delivered
from leadup.delivery.planning import accept
from leadup.delivery.rationing import Ration
from leadup.erasure.ask import ask
from leadup.erasure.work import Receipt, receipts, waiting, work
from leadup.errors import LeadupError, SettingsError
from leadup.events import rejects
from leadup.events.log import EventLog
from leadup.identity.vault import Vault, load_key
from leadup.inbox import FILE as INBOX
from leadup.inbox import Backlog, Inbox, InboxSource
from leadup.insights.budget import forecast, postponed
from leadup.insights.words import instant
from leadup.kit import Destination, PushSource, Rationed, Source
from leadup.outgoing import Target
from leadup.passes import Pulled, Rehearsed, Synced
from leadup.pipeline import Pipeline, Ticked
from leadup.plan import GUARDS
from leadup.rules.loader import Rules, load
from leadup.settings import Connection, Settings
from leadup.state import Store, open_store
from leadup.state.store import upsert
from leadup.state.tables import erasure_targets, sources
from leadup.types import Page, to_us

CLOCK = "clock"
"""What ``leadup sync --accept`` calls the rule that nobody is judged at an instant before an earlier one."""
RECREATE = "recreate"
"""What ``leadup sync --accept`` calls the rule that an audience which somebody deleted is not made anew."""
Tell = Callable[[str, float | None], None]
"""Progress: what is being done, and how far it is (0 to 1) when that is known."""


def _silent(_: str, __: float | None) -> None:
    return


class App:
    """One installation. Opens what is needed when it is needed first."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.judging = RLock()
        """Held by whoever takes pages or ticks in this process."""
        self.sending = RLock()
        """Held by whoever delivers in this process."""
        self._unwritten = False
        """Whether rows were rejected that the rejects files do not have yet."""
        self._told: dict[str, int] = {}
        """Which word of its vendor each source heard last (:class:`leadup.delivery.rationing.Ration`)."""

    @cached_property
    def store(self) -> Store:
        return open_store(self.settings.state_url, self.settings.state_folder)

    @cached_property
    def vault(self) -> Vault:
        return load_key(self.settings.state_folder)

    @cached_property
    def destinations(self) -> dict[str, Destination]:
        """Destinations by connection name."""
        return {
            name: registry.load(c.connector.destination)(name, c.settings)
            for name, c in self.settings.connections.items()
            if c.connector.destination
        }

    @property
    def feeds(self) -> list[str]:
        """The connections that are pulled, or that something is sent to, by name."""
        return [name for name, c in self.settings.connections.items() if _is_pulled(c) or c.connector.push]

    @cached_property
    def sources(self) -> dict[str, Source]:
        """Sources by connection name."""
        pulled = {name: self.source(c) for name, c in self.settings.connections.items() if _is_pulled(c)}
        return pulled | {name: InboxSource(name, push, self.inbox) for name, push in self.pushes.items()}

    @cached_property
    def pushes(self) -> dict[str, PushSource]:
        """What understands the requests to a collector, by connection name."""
        return {
            name: registry.load(c.connector.push)(name, c.settings)
            for name, c in self.settings.connections.items()
            if c.connector.push
        }

    @cached_property
    def inbox(self) -> Inbox:
        return Inbox(self.settings.state_folder / INBOX, self.vault)

    def backlog(self) -> dict[str, Backlog]:
        """What has come to each collector and is not in the event log yet."""
        with self.store.read() as connection:
            query = select(sources.c.connection, sources.c.cursor)
            cursors = {row.connection: row.cursor for row in connection.execute(query)}
        return {name: self.inbox.backlog(name, cursors.get(name)) for name in self.pushes}

    def source(self, connection: Connection) -> Source:
        """Make the source of a connection."""
        made: Source = registry.load(connection.connector.source)(
            connection.name, connection.settings, self.settings.folder
        )
        return made

    @cached_property
    def rules(self) -> Rules:
        """The rules as they are on disk now.

        Raises:
            RuleError: they do not load.
        """
        return self.load_rules()

    def load_rules(self) -> Rules:
        """Read the rule files again."""
        missing = [path for path in self.settings.rules if not path.exists()]
        if missing:
            raise SettingsError(
                f"{self.settings.path}: rules: there is no file or folder {missing[0]}.\n"
                "  What to do: correct `rules`, or run `leadup init`."
            )
        names = [name for name, c in self.settings.connections.items() if c.connector.destination]
        return load(self.settings.rules, connections=names, region=self.settings.region, limits=self.limits)

    @property
    def limits(self) -> dict[str, int]:
        """By connection that has one, for how many microseconds the value of a conversion can be changed there."""
        kept = {name: c.connector.restates_for for name, c in self.settings.connections.items()}
        return {name: span // timedelta(microseconds=1) for name, span in kept.items() if span is not None}

    @cached_property
    def pipeline(self) -> Pipeline:
        return Pipeline(self.store, self.vault, self.rules.program, feeds=self.feeds, region=self.settings.region)

    @cached_property
    def courier(self) -> Courier:
        return Courier(self.store, self.vault, self.destinations)

    @cached_property
    def log(self) -> EventLog:
        return EventLog(self.store)

    def write_rejects(self) -> Path:
        """Write the rejected rows of all sources; return the folder (:func:`leadup.events.rejects.write`)."""
        return rejects.write(self.store, self.settings.state_folder / "rejects")

    def go_live(self, rules: Rules, now: datetime) -> bool:
        """Let these rules judge from now on; return whether anything changed."""
        targets = self.activations(rules)
        with self.judging:
            return self.pipeline.use(rules.program, targets, now, rules.lists)

    def activations(self, rules: Rules) -> dict[Target, Terms]:
        """All targets that these rules send to, with what each asks."""
        can = {name: destination.can for name, destination in self.destinations.items()}
        return activations(rules.program, can, self.settings.guards.max_leave, self.settings.rates)

    # ------------------------------------------------------------ erasure

    def _inbox(self) -> Inbox | None:
        """The collector's inbox, if there ever was one."""
        return self.inbox if self.inbox.path.exists() else None

    def erase(self, person: int, now: datetime, by: str) -> int:
        """Ask for the erasure of a person; return the request's number. May be called beside a running daemon."""
        inbox = self._inbox()
        until = inbox.last() if inbox else 0
        asked = ask(self.store, self.log, self.vault, person, now, by, region=self.settings.region, inbox_until=until)
        self.write_rejects()
        return asked

    def erase_on(self, now: datetime, *, force: bool = False) -> None:
        """Go on with the requests that are not done. ``force``: also with leaves that a vendor refused lately."""
        with self.judging:
            work(self.store, self.log, self._inbox(), to_us(now), force=force)

    def finish_erasing(self, now: datetime, tell: Tell = _silent) -> None:
        """Read what waits in the inbox, deliver, ask vendors, and go on with all requests, as far as that leads now."""
        self.go_live(self.rules, now)
        for _ in range(2):  # a request is deleted by the pull after the one that reads it
            self.pull(now, tell, self.pushes)
        tell("taking her out of audiences", None)
        concerned = self._concerned()
        self.deliver(now, concerned, force=True)
        self.poll(now, force=True)
        self.erase_on(now)

    def _concerned(self) -> list[int]:
        """Audiences that have not confirmed yet that somebody is out."""
        query = select(erasure_targets.c.target).where(erasure_targets.c.confirmed_us.is_(None)).distinct()
        with self.store.read() as connection:
            return list(connection.scalars(query))

    def erasing(self) -> list[int]:
        """Numbers of the requests that are not done."""
        with self.store.read() as connection:
            return waiting(connection)

    def erasures(self, only: int | None = None) -> list[Receipt]:
        """How all requests stand, or one."""
        with self.store.read() as connection:
            return receipts(connection, self._inbox(), list(self.destinations), only)

    # ------------------------------------------------------------ the flow

    def pull(self, now: datetime, tell: Tell = _silent, only: Collection[str] | None = None) -> Pulled:
        """Read all sources, or ``only`` these connections. One that fails is noted and does not stop the others.

        Rejects files are written when all are read: some are read every second, and the files are written whole.
        """
        pulled = Pulled()
        for name, source in self.sources.items():
            if only is not None and name not in only:
                continue

            def on_page(page: Page, name: str = name) -> None:
                tell(f"reading {name}", page.progress)

            tell(f"reading {name}", None)
            try:
                with self.judging:
                    self._pull(name, source, now, on_page, pulled)
            except LeadupError as error:
                pulled.errors[name] = str(error)
                with self.store.write() as connection:
                    upsert(connection, sources, [{"connection": name, "error": str(error)}], update=["error"])
        self._unwritten = self._unwritten or any(one.rejected for one in pulled.taken.values())
        if self._unwritten and only is None:
            self.write_rejects()
            self._unwritten = False
        return pulled

    def _pull(self, name: str, source: Source, now: datetime, on_page: Callable[[Page], None], pulled: Pulled) -> None:
        """Read one source as far as its vendor's day allows."""
        if not isinstance(source, Rationed):
            pulled.taken[name] = self.pipeline.pull(name, source, now, on_page)
            return
        with Ration(self.store, self.destinations, name, source, now, self._told) as ration:
            if ration.lasts():
                pulled.taken[name] = self.pipeline.pull(name, source, now, on_page, ration.lasts)
        if ration.waits is not None:
            pulled.waits[name] = ration.waits

    def tick(self, now: datetime, tell: Tell = _silent) -> Ticked:
        """Judge who is dirty or due, and plan."""
        with self.judging:
            return self.pipeline.tick(now, lambda judged: tell(f"judged {judged} people", None))

    def deliver(self, now: datetime, only: Sequence[int] | None = None, *, force: bool = False) -> list[Delivered]:
        """Send what is due."""
        with self.sending:
            return self.courier.deliver(now, only, force=force)

    def poll(self, now: datetime, *, force: bool = False) -> int:
        """Ask vendors what became of accepted batches."""
        with self.sending:
            return self.courier.poll(now, force=force)

    def sync(
        self,
        now: datetime,
        only: str | None = None,
        *,
        accepted: str | None = None,
        who: str = "",
        tell: Tell = _silent,
    ) -> Synced:
        """Pull, judge, plan, deliver and poll once, now. ``only`` names a segment, conversion, property or connection.

        ``accepted`` names a guard whose held plan is released, by ``who``, or says :data:`CLOCK`: that it may go back,
        or :data:`RECREATE`: that audiences which somebody deleted are made anew.

        Raises:
            SettingsError: ``only`` names nothing that the rules send anywhere.
        """
        result = Synced()
        self.go_live(self.rules, now)
        chosen = self.targets(only)
        pulled = self.pull(now, tell)
        result.taken, result.errors, result.reading = pulled.taken, pulled.errors, pulled.waits
        tell("judging", None)
        if accepted == CLOCK:
            self.pipeline.set_back(now)
        result.ticked = self.tick(now, tell)
        now = result.ticked.at
        if accepted == RECREATE:
            result.recreated = [t.target.key for t in chosen if self._recreate(t, now, who)]
        if accepted in GUARDS:
            with self.sending, self.store.write() as connection:
                fresh = {target.id: target for target in all_targets(connection)}
                result.released = sum(accept(connection, fresh[t.id], accepted, who, to_us(now)) for t in chosen)
        tell("delivering", None)
        result.delivered = self.deliver(now, [target.id for target in chosen], force=only is not None)
        result.settled = self.poll(now)
        self.erase_on(now)
        result.errors |= {d.target.key: d.error for d in result.delivered if d.error and not d.told}
        result.not_offered = {d.target.key: d.error for d in result.delivered if d.told}
        self._say_what_waits(result, chosen)
        with self.store.read() as connection:
            result.postponed = postponed(connection, chosen, to_us(now))
        self.pipeline.extend_files()
        return result

    def _recreate(self, target: TargetRow, now: datetime, who: str) -> bool:
        with self.sending:
            return recreate(self.store, self.destinations[target.target.connection], target, who, now)

    @staticmethod
    def _say_what_waits(result: Synced, chosen: Sequence[TargetRow]) -> None:
        """Say of targets that were left alone, since they failed lately, until when and why."""
        tried = {delivered.target.key for delivered in result.delivered}
        for one in chosen:
            if one.retry_us is None or one.target.key in tried:
                continue
            if one.is_not_offered:
                result.not_offered[one.target.key] = str(one.error)
                continue
            result.errors[one.target.key] = (
                f"waits until {instant(one.retry_us)}, since the last try failed: {one.error}\n"
                f"  `leadup sync {one.target.connection}` tries now."
            )

    def targets(self, only: str | None = None) -> list[TargetRow]:
        """Targets that ``only`` names: a segment, conversion, property, connection, or one ``connection/use/name``."""
        with self.store.read() as connection:
            found = all_targets(connection)
        if only is None:
            return found
        chosen = [t for t in found if only in (t.target.name, t.target.connection, t.target.key)]
        if not chosen:
            names = sorted({t.target.name for t in found} | {t.target.connection for t in found})
            raise SettingsError(f"{only!r} is nothing that the rules send anywhere. There are: {', '.join(names)}.")
        return chosen

    def rehearse(self, now: datetime, only: str | None = None, tell: Tell = _silent) -> Rehearsed:
        """Do all that ``sync`` would do up to the plan, show it, and take it back: nothing is sent, nothing is kept."""
        with self.judging, self.store.rehearsal():
            self.go_live(self.rules, now)
            chosen = {target.id: target for target in self.targets(only)}
            self.pull(now, tell)
            ticked = self.tick(now, tell)
            plans = [planned for planned in ticked.plans if planned.target.id in chosen]
            return Rehearsed(plans, self.forecast(list(chosen.values()), ticked.at))

    def forecast(self, found: Collection[TargetRow], now: datetime) -> list[dict[str, Any]]:
        """Predict what the changes that wait at these targets take of vendors' days."""
        with self.store.read() as connection:
            return forecast(connection, self.destinations, found, to_us(now))


def _is_pulled(connection: Connection) -> bool:
    return bool(connection.connector.source) and connection.settings.is_read
