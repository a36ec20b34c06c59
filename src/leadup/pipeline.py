"""The flow, top to bottom.

sources -> events -> identity -> signals -> verdicts -> memberships, values -> plan -> outbox -> destinations -> ledger

:meth:`Pipeline.take` is the first commit (a page), :meth:`Pipeline.tick` the second (memberships and conversions with
the outbox rows they cause); the third (receipts) is the courier's (:mod:`leadup.delivery.courier`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, delete, func, insert, or_, select
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from leadup.delivery.book import Terms, all_targets, set_targets
from leadup.delivery.judged import Judged
from leadup.delivery.members import forget_segments, move
from leadup.delivery.merge import merge
from leadup.delivery.planning import Planned, plan_all
from leadup.delivery.remote import follow
from leadup.delivery.wants import want_all
from leadup.engine import listed
from leadup.engine.concerned import mark, scopes
from leadup.engine.derive import derive, drop, note_clicks, rederive
from leadup.engine.gather import gather, watermarks
from leadup.engine.kernel import judge
from leadup.engine.signal_files import SignalFiles, extend
from leadup.errors import Busy, NeedsHuman
from leadup.events import parts
from leadup.events.log import EventLog
from leadup.events.rows import key_of
from leadup.identity import people, resolve
from leadup.identity.bulk import among
from leadup.identity.register import Sighting
from leadup.identity.seal import redact, seal
from leadup.identity.snapshots import news, record_of, remember
from leadup.identity.suppress import Door
from leadup.identity.vault import Vault
from leadup.kit import Source
from leadup.outgoing import Target
from leadup.rules.lists import Listing
from leadup.rules.program import Program, Property
from leadup.state import Store
from leadup.state.store import chunks, upsert, upsert_plain
from leadup.state.tables import (
    dirty,
    judged,
    meta,
    outbox,
    rejects,
    sources,
)
from leadup.types import NEVER, Event, Fact, Page, from_us, to_us

CHUNK = 20_000
"""Persons judged in one transaction."""
STEP_BACK_US = 5 * 60 * 1_000_000
"""So far a clock may be set back unnoticed: meanwhile judging stays at the latest instant."""
_RULES = "rules"
_JUDGED = "judged_at"


@dataclass(slots=True)
class Taken:
    """What a page brought."""

    new: int = 0
    revised: int = 0
    same: int = 0
    facts: int = 0
    rejected: int = 0
    nobody: int = 0
    """Events without any identifier that tells a person: kept in the log, judged for nobody."""
    gone: int = 0
    """Events that the source has taken back."""
    suppressed: int = 0
    """Records that tell of a person who was erased: dropped, and kept nowhere."""

    def __iadd__(self, other: Taken) -> Taken:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


@dataclass(slots=True)
class Ticked:
    """What a tick did."""

    at: datetime
    judged: int = 0
    entered: int = 0
    left: int = 0
    plans: list[Planned] = field(default_factory=list)


class Pipeline:
    """One state, one program of rules, and what flows through them."""

    def __init__(
        self, store: Store, vault: Vault, program: Program, *, feeds: Collection[str] = (), region: str | None = None
    ) -> None:
        self.store = store
        self.log = EventLog(store)
        self.program = program
        self._vault = vault
        self._feeds = feeds
        self._region = region
        self._files = SignalFiles(store.folder)

    # ------------------------------------------------------------ rules go live

    def use(
        self,
        program: Program,
        targets: Mapping[Target, Terms],
        now: datetime,
        lists: Mapping[str, Listing] | None = None,
    ) -> bool:
        """Let rules go live: signals of new patterns are derived, whom the edit concerns is judged again. One commit.

        ``lists``: all that the program has. Returns whether anything changed.
        """
        self.program = program
        with self.store.write() as connection:
            set_targets(connection, targets, to_us(now))
            after = scopes(program, {target.key: terms.as_json() for target, terms in targets.items()})
            state = {"program": program.fingerprint, "scopes": after}
            live = connection.scalar(select(meta.c.value).where(meta.c.key == _RULES))
            if live == state:
                return False
            before = live["scopes"] if live else None
            mark(connection, before, after)
            exchanged = listed.keep(connection, program, lists or {}, Door(connection, self._vault))
            if rederive(connection, program, self.log) or exchanged:
                mark(connection, before, after)
            forget_segments(connection, program, to_us(now))
            connection.execute(delete(meta).where(meta.c.key == _RULES))
            connection.execute(insert(meta), [{"key": _RULES, "value": state}])
        return True

    def is_live(self, program: Program) -> bool:
        """Whether these are the rules that judged last."""
        with self.store.read() as connection:
            return is_live(connection, program)

    def _hold(self, connection: Connection) -> None:
        """Refuse to go on by rules that another process has replaced: what the new ones look for would be missed.

        Raises:
            Busy: they are not live any more.
        """
        live = connection.scalar(select(meta.c.value).where(meta.c.key == _RULES))
        if live is not None and live["program"] != self.program.fingerprint:
            raise Busy(
                "The rule files were edited, and another process has let the new rules go live.\n"
                "  What to do: run this again; it goes on where it stopped. A running daemon does so by itself."
            )

    # ------------------------------------------------------------ page

    def pull(
        self,
        connection: str,
        source: Source,
        now: datetime,
        on_page: Callable[[Page], None] | None = None,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> Taken:
        """Read all that a source has since the last time, page by page, each committed with its cursor.

        ``may_go_on`` is asked after each page but the last; without its leave the rest is for another time.
        """
        with self.store.read() as reading:
            cursor = reading.scalar(select(sources.c.cursor).where(sources.c.connection == connection))
        taken = Taken()
        for page in source.pull(cursor, now):
            taken += self.take(connection, page, now)
            if on_page is not None:
                on_page(page)
            if page.more and not may_go_on():
                break
        return taken

    def take(self, connection: str, page: Page, now: datetime) -> Taken:
        """Take a page in: events, identity, signals, facts and consent, with the cursor and watermark. One commit.

        Raises:
            Busy: other rules have gone live.
        """
        with self.store.write() as writing:
            self._hold(writing)
            taken, keys = self._absorb(writing, page, now) if page.records else (Taken(), [])
            taken.rejected = len(page.rejected)
            self._reject(writing, connection, page)
            if page.part is not None:
                taken.gone = self._take_back(writing, parts.read(writing, connection, page.part, keys))
            taken.gone += self._take_back(writing, [key_of(connection, one) for one in page.taken_back])
            parts.settle(writing, connection, page.settled)
            self._advance(writing, connection, page, taken, now)
        return taken

    def _take_back(self, writing: Connection, gone: Collection[bytes]) -> int:
        """Act as if these events had never been. What they told of identity and consent stays told."""
        drop(writing, gone)
        return self.log.remove(writing, gone) if gone else 0

    def _absorb(self, writing: Connection, page: Page, now: datetime) -> tuple[Taken, list[bytes]]:
        told_of = [seal(record, region=self._region) for record in page.records]
        away = Door(writing, self._vault).turned_away(
            [Sighting(one.record.identifiers, to_us(one.record.at)) for one in told_of]
        )
        sealed = [one for one, erasure in zip(told_of, away, strict=True) if erasure is None]
        events = [one.record for one in sealed if isinstance(one.record, Event)]
        facts = [one.record for one in sealed if isinstance(one.record, Fact) and one.record.identifiers]
        snapshots = news(writing, facts)
        facts = snapshots.facts
        appended = self.log.append(writing, events, to_us(now))
        drop(writing, appended.revised)
        fresh = [(key, event) for key, event in appended.new if event.identifiers]
        told: list[Event | Fact] = [*(event for _, event in fresh), *facts]
        absorbed = resolve.absorb(writing, [Sighting(record.identifiers, to_us(record.at)) for record in told])
        self._vault.keep(writing, [secret for one in sealed for secret in one.secrets])
        people.put_consents(
            writing,
            [
                (anchor, purpose, to_us(record.at), granted)
                for anchor, record in zip(absorbed.anchors, told, strict=True)
                if anchor is not None
                for purpose, granted in record.consent.items()
            ],
        )
        remember(writing, snapshots)
        if snapshots.merged:
            follow(writing, snapshots.merged, people.owners_of(writing, snapshots.joined))
        people.put_facts(
            writing,
            [
                (anchor, trait, to_us(record.at), value, record_of(record))
                for anchor, record in zip(absorbed.anchors, told, strict=True)
                if anchor is not None and isinstance(record, Fact)
                for trait, value in record.facts.items()
            ],
        )
        anchors = absorbed.anchors[: len(fresh)]
        items = [(k, event, a) for (k, event), a in zip(fresh, anchors, strict=True) if a is not None]
        derive(writing, self.program, items)
        note_clicks(writing, items)
        upsert(writing, dirty, [{"person": old} for old, _ in absorbed.merges], update=())
        taken = Taken(
            new=len(appended.new) - len(appended.revised),
            revised=len(appended.revised),
            same=appended.same,
            facts=len(facts),
            nobody=len(appended.new) - len(fresh),
            suppressed=len(told_of) - len(sealed),
        )
        return taken, appended.keys

    def _reject(self, writing: Connection, connection: str, page: Page) -> None:
        door = Door(writing, self._vault)
        for one in page.rejected:
            if door.names(one.text, self._region):
                continue
            reject = {"connection": connection, "place": one.place, "line": one.line, "reason": one.reason}
            writing.execute(sqlite_insert(rejects).values(**reject, text=redact(one.text)).on_conflict_do_nothing())

    def _advance(self, writing: Connection, connection: str, page: Page, taken: Taken, now: datetime) -> None:
        row = writing.execute(select(sources).where(sources.c.connection == connection)).first()
        watermark, final = (row.watermark_us, row.final_us) if row else (None, None)
        if page.complete_until is not None:
            watermark = to_us(page.complete_until)
            final = to_us(min(page.final_until, page.complete_until)) if page.final_until else None
        values = {
            "connection": connection,
            "cursor": dict(page.cursor),
            "watermark_us": watermark,
            "final_us": final,
            "pulled_us": to_us(now),
            "events": (row.events if row else 0) + taken.new - taken.gone,
            "rejected": (row.rejected if row else 0) + taken.rejected,
            "suppressed": (row.suppressed if row else 0) + taken.suppressed,
            **dict.fromkeys(("error", "waits_us", "waits")),
        }
        upsert(writing, sources, [values], update=[name for name in values if name != "connection"])

    # ------------------------------------------------------------ tick

    def tick(self, now: datetime, on_chunk: Callable[[int], None] | None = None) -> Ticked:
        """Judge who is dirty or due; move memberships, fold conversions, plan. Nobody else is looked at.

        Raises:
            Busy: other rules have gone live.
            NeedsHuman: the clock was set back (see :meth:`set_back`).
        """
        ticked, at_us, postponed = Ticked(now), to_us(now), set[int]()
        more = True
        while more:
            with self.store.write() as connection:
                self._hold(connection)
                at_us = self._onward(connection, at_us)
                ticked.at = from_us(at_us)
                targets = all_targets(connection)
                marks = watermarks(connection, self.program, self._feeds)
                chosen, fresh = self._choose(connection, at_us, marks, postponed)
                more = len(chosen) == CHUNK
                chosen = self._merge(connection, chosen, fresh, postponed, at_us)
                if chosen:
                    table, result, ends = self._judge(connection, chosen, fresh, at_us, marks, ticked)
                    want_all(connection, self.program, targets, result, at_us)
                    self._remember(connection, table, result, ends, at_us)
                if not more:
                    ticked.plans = plan_all(connection, targets, at_us)
            if on_chunk is not None:
                on_chunk(ticked.judged)
        return ticked

    def _onward(self, connection: Connection, at_us: int) -> int:
        """The instant to judge at: never before one that was judged at, which would take back what happened since."""
        latest = judged_up_to(connection) or at_us
        if latest - at_us > STEP_BACK_US:
            raise NeedsHuman(
                f"The clock says {from_us(at_us):%Y-%m-%d %H:%M:%S} UTC, and people were judged at "
                f"{from_us(latest):%Y-%m-%d %H:%M:%S} UTC already. "
                "Judged again at an earlier time, they would leave audiences and take back values.",
                todo="set the clock of this machine (or LEADUP_NOW) right; if the later time was the wrong one, "
                "`leadup sync --accept clock` goes on from the earlier one",
            )
        upsert(connection, meta, [{"key": _JUDGED, "value": max(at_us, latest)}], update=["value"])
        return max(at_us, latest)

    def set_back(self, now: datetime) -> None:
        """Judge from this instant on, though people were judged at a later one: that clock was wrong."""
        with self.store.write() as connection:
            upsert(connection, meta, [{"key": _JUDGED, "value": to_us(now)}], update=["value"])

    def _choose(
        self, connection: Connection, at_us: int, marks: Mapping[str, int], postponed: Collection[int]
    ) -> tuple[list[int], set[int]]:
        query = select(dirty.c.person).where(dirty.c.person.not_in(sorted(postponed))).limit(CHUNK)
        fresh = set(connection.scalars(query))
        highest = max(marks.values(), default=at_us)
        due = or_(judged.c.due_us <= at_us, judged.c.waits_us <= highest)
        late = connection.scalars(select(judged.c.person).where(due).limit(CHUNK - len(fresh)))
        return sorted(fresh.union(late)), fresh

    def _merge(
        self, connection: Connection, chosen: Sequence[int], fresh: set[int], postponed: set[int], at_us: int
    ) -> list[int]:
        """Pass on what belongs to persons who turned out to be others; return whom to judge in their place."""
        stays = people.current(connection, chosen)
        erased = {person for person, other in stays.items() if other == people.NOBODY}
        for part in chunks(erased):
            connection.execute(delete(dirty).where(dirty.c.person.in_(part)))
        fresh -= erased
        stays = {person: other for person, other in stays.items() if person not in erased}
        merges = {person: other for person, other in stays.items() if person != other}
        waiting = merge(connection, merges, at_us) if merges else set()
        postponed |= waiting.union(merges[person] for person in waiting)
        merged = merges.keys() - waiting
        for part in chunks(merged):
            connection.execute(delete(dirty).where(dirty.c.person.in_(part)))
        fresh |= {merges[person] for person in merged} - postponed
        return sorted(set(stays.values()) - postponed)

    def _judge(
        self,
        connection: Connection,
        chosen: Sequence[int],
        fresh: Collection[int],
        at_us: int,
        marks: Mapping[str, int],
        ticked: Ticked,
    ) -> tuple[pa.Table, Judged, Mapping[int, int]]:
        who, signals, facts = gather(connection, self.program, chosen, self._files)
        table = judge(self.program, who, signals, facts, at=at_us, watermarks=marks)
        ids = table["person"].to_numpy()
        moved = move(connection, self.program, chosen, table, at_us)
        ticked.judged += len(chosen)
        ticked.entered += sum(one.entered for one in moved.moves)
        ticked.left += sum(not one.entered for one in moved.moves)
        scores = {
            name: dict(zip(ids.tolist(), table[f"score:{name}"].to_pylist(), strict=True))
            for name in self.program.scores
        }
        reasons = {(one.segment, one.person): one.reason for one in moved.moves}
        last = {prop.name: _last(prop, table) for prop in self.program.properties.values() if prop.patterns}
        result = Judged(persons=chosen, members=moved.members, reasons=reasons, scores=scores, last=last, fresh=fresh)
        return table, result, moved.due

    def _remember(
        self, connection: Connection, table: pa.Table, result: Judged, ends: Mapping[int, int], at_us: int
    ) -> None:
        """Note when each person must be judged again; nobody is dirty any more. ``ends``: of memberships, by person."""
        rows = [
            (person, at_us, min(due, ends.get(person, NEVER), result.again.get(person, NEVER)), waits)
            for person, due, waits in zip(
                *(table[name].to_pylist() for name in ("person", "due", "waits")), strict=True
            )
        ]
        changing = ["at_us", "due_us", "waits_us"]
        upsert_plain(connection, judged, ["person", *changing], rows, update=changing)
        connection.execute(delete(dirty).where(dirty.c.person.in_(among(result.persons))))

    def extend_files(self) -> int:
        """Take signals into the files from which ticks read them faster, when enough are new; return the files."""
        return extend(self.store)

    def next_due(self) -> datetime | None:
        """The earliest instant at which a verdict can change; None: never by itself."""
        with self.store.read() as connection:
            due = connection.scalar(select(func.min(judged.c.due_us)))
        return None if due is None or due >= NEVER else from_us(due)

    def next_try(self) -> datetime | None:
        """The earliest instant at which a row is to be sent, tried again or asked about; None: nothing waits."""
        waiting = outbox.c.state.in_(["pending", "sending", "accepted"])
        with self.store.read() as connection:
            next_us = connection.scalar(select(func.min(outbox.c.next_us)).where(waiting))
        return None if next_us is None else from_us(next_us)

    def has_news(self) -> bool:
        """Whether somebody is dirty."""
        with self.store.read() as connection:
            return connection.scalar(select(dirty.c.person).limit(1)) is not None

    def has_work(self, now: datetime) -> bool:
        """Whether rows wait to be sent now."""
        waiting = (outbox.c.state.in_(["pending", "sending"])) & (outbox.c.next_us <= to_us(now))
        with self.store.read() as connection:
            return connection.scalar(select(outbox.c.id).where(waiting).limit(1)) is not None


def _last(prop: Property, table: pa.Table) -> dict[int, tuple[int, int]]:
    """Of each person for whom any of a property's patterns happened, the place of the last one, and its instant."""
    happened = table.filter(pc.greater_equal(table[f"last:{prop.name}"], 0))
    columns = (happened[name].to_pylist() for name in ("person", f"last:{prop.name}", f"last_at:{prop.name}"))
    return {person: (place, at_us) for person, place, at_us in zip(*columns, strict=True)}


def is_live(connection: Connection, program: Program) -> bool:
    """Whether these are the rules that judged last."""
    live = connection.scalar(select(meta.c.value).where(meta.c.key == _RULES))
    return live is not None and bool(live["program"] == program.fingerprint)


def judged_up_to(connection: Connection) -> int | None:
    """The latest instant at which people were judged; None: nobody ever was."""
    latest: int | None = connection.scalar(select(meta.c.value).where(meta.c.key == _JUDGED))
    return latest
