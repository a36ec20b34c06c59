"""What the tests compare the event log with: a dict. And a history of pages that two processes agree on."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import event as listen
from sqlalchemy import select

from leadup.events.log import EventLog
from leadup.events.rows import key_of
from leadup.state import Store, open_store
from leadup.state.tables import event_files, event_gone, event_keys, event_tail
from leadup.types import Event, Identifier, Kind, Purpose, to_us

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NOW = to_us(START + 10 * DAY)


def open_log(folder: Path, *, bulk: int = 40) -> EventLog:
    """An empty log in ``folder``, or the one that is there."""
    state = folder / "state.db"
    if not state.exists():
        state.write_bytes(_empty_state())
    return EventLog(open_store(f"sqlite:///{state}", folder), bulk=bulk)


@cache
def _empty_state() -> bytes:
    """Migrated once, for all tests."""
    with tempfile.TemporaryDirectory() as folder:
        open_store(f"sqlite:///{folder}/state.db", Path(folder)).close()
        return (Path(folder) / "state.db").read_bytes()


class Model:
    """The log as a dict from (source, id)."""

    def __init__(self) -> None:
        self.events: dict[tuple[str, str], Event] = {}

    def append(self, page: Iterable[Event]) -> tuple[dict[bytes, Event], set[bytes], int]:
        """Return what :meth:`EventLog.append` should say: new by key, revised keys, how many were the same."""
        page = list(page)
        last = {(event.source, event.id): event for event in page}
        new = {name: event for name, event in last.items() if same(self.events.get(name)) != same(event)}
        revised = {key_of(*name) for name in new if name in self.events}
        self.events.update(new)
        return {key_of(*name): event for name, event in new.items()}, revised, len(page) - len(new)

    def remove(self, names: Iterable[tuple[str, str]]) -> int:
        return sum(self.events.pop(name, None) is not None for name in set(names))

    def by_key(self) -> dict[bytes, Event]:
        return {key_of(*name): event for name, event in self.events.items()}


def same(event: Event | None) -> Event | None:
    """Content: the order in which an event names its identifiers is none."""
    return event and replace(event, identifiers=tuple(sorted(event.identifiers)))


def read(log: EventLog, connection: Any, **filters: Any) -> dict[bytes, Event]:
    """Read the log into a dict; a key that comes twice is an error."""
    found: dict[bytes, Event] = {}
    for batch in log.read(connection, **filters):
        for key, event in log.events_of(batch):
            assert key not in found, f"{event} came twice"
            found[key] = event
    return found


def append_and_fail(log: EventLog, page: list[Event]) -> None:
    """Append, and fail before the commit."""
    with log.store.write() as connection:
        log.append(connection, page, NOW)
        raise ZeroDivisionError


def check(log: EventLog, model: Model) -> None:
    """Every way to look at the log shows the model, and no event lives in two places."""
    expected = model.by_key()
    with log.store.read() as connection:
        assert read(log, connection) == expected
        names: dict[str, int] = {}
        for event in model.events.values():
            names[event.name] = names.get(event.name, 0) + 1
        assert log.names(connection) == names
        assert log.count(connection) == len(expected)
        assert log.get(connection, [*expected, *expected, b"nothing like it"]) == expected
        tail, settled = (set(connection.scalars(select(table.c.key))) for table in (event_tail, event_keys))
        assert not tail & settled
        assert tail | settled == expected.keys()
        gone = set(connection.scalars(select(event_gone.c.file)))
        assert gone <= set(connection.scalars(select(event_files.c.id).where(event_files.c.dropped_us.is_(None))))


def on_disk(log: EventLog) -> set[str]:
    """What lies in the folders of the days."""
    return {str(path.relative_to(log.folder)) for path in log.folder.glob("day=*/*")}


def named(log: EventLog) -> set[str]:
    """The files that count."""
    with log.store.read() as connection:
        return set(connection.scalars(select(event_files.c.path).where(event_files.c.dropped_us.is_(None))))


@contextmanager
def before_next_write(store: Store, action: Any) -> Iterator[None]:
    """Run ``action`` once, at the moment when the next transaction that writes is about to begin."""
    waiting = [action]

    def begin(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        if statement == "BEGIN IMMEDIATE" and waiting:
            waiting.pop()()

    listen.listen(store.engine, "before_cursor_execute", begin)
    try:
        yield
    finally:
        listen.remove(store.engine, "before_cursor_execute", begin)


def event(number: int, *, day: float = 0, name: str = "page_view", source: str = "web", **properties: Any) -> Event:
    """An event of a visitor; ``day`` counts from the start."""
    return Event(
        source=source,
        id=f"e{number}",
        name=name,
        at=START + day * DAY,
        identifiers=(Identifier(Kind.CLIENT_ID, f"c{number % 7}"),),
        properties=properties,
    )


def page(number: int) -> list[Event]:
    """Page ``number`` of an endless history: new events, repetitions, and revisions of which some move the day."""
    dice = random.Random(number)
    return [
        Event(
            source=dice.choice(["web", "app"]),
            id=f"e{dice.randrange(400)}",
            name=dice.choice(["page_view", "video_progress", "generate_lead"]),
            at=START + timedelta(days=dice.randrange(6), hours=dice.randrange(2)),
            identifiers=(Identifier(Kind.CLIENT_ID, f"c{dice.randrange(9)}"),),
            properties={"revision": dice.randrange(2)},
            consent={Purpose.AD_USER_DATA: True},
        )
        for _ in range(dice.choice([1, 10, 100]))
    ]


def removed(number: int) -> list[tuple[str, str]]:
    """What page ``number`` takes back."""
    dice = random.Random(-number - 1)
    return [("web", f"e{dice.randrange(400)}") for _ in range(dice.choice([0, 0, 5]))]


def history(pages: int) -> Model:
    """The log after pages 0 to ``pages - 1``."""
    model = Model()
    for number in range(pages):
        model.append(page(number))
        model.remove(removed(number))
    return model
