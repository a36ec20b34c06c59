"""The law of signals in columns: what is read through the files is what the table of signals alone gives.

Whatever was revised, taken back, merged or edited before, after or in the middle of writing files, wherever that was
cut off, and whatever became of the files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from leadup.engine import signal_files
from leadup.engine.gather import gather
from leadup.engine.signal_files import SignalFiles, extend
from leadup.identity import people
from leadup.identity.vault import Vault
from leadup.pipeline import Pipeline
from leadup.rules.loader import load_text
from leadup.rules.program import Program
from leadup.state import Store, open_store
from leadup.types import Event, Identifier, Kind, Page, Part

START = datetime.fromisoformat("2026-03-01T00:00:00Z")
HOUR = timedelta(hours=1)
VAULT = Vault(Fernet.generate_key().decode())
WHERES = ["", ", where: {n: {gte: 2}}", ", where: {tags: {contains: x}, channel: direct}"]
CATALOGUES = ["{a: {event: a}, b: {event: b}}", "{a: {event: a}, b: {any: [{event: b}, {event: c}]}}"]


def program(where: int, catalogue: int) -> Program:
    return load_text(
        f"version: 1\nmicro_conversions: {CATALOGUES[catalogue]}\n"
        f"segments: {{one: {{when: {{did: a{WHERES[where]}}}}}, two: {{when: {{did: b, distinct: n, at_least: 2}}}}}}\n"
    ).program


PROGRAMS = [program(where, catalogue) for where in range(len(WHERES)) for catalogue in range(len(CATALOGUES))]

who = st.sampled_from(
    [
        *((Identifier(Kind.USER_ID, f"u{number}"),) for number in (1, 2)),
        *((Identifier(Kind.CLIENT_ID, f"c{number}"),) for number in (1, 2, 3)),
        *((Identifier(Kind.USER_ID, f"u{n}"), Identifier(Kind.CLIENT_ID, f"c{m}")) for n in (1, 2) for m in (1, 2)),
        (Identifier(Kind.CLIENT_ID, "c2"), Identifier(Kind.CLIENT_ID, "c3")),
    ]
)
values = st.sampled_from([1, 2, 2.5, "2", "x", "", True, None, ["x", 2], {"no": "scalar"}])
events = st.builds(
    lambda number, name, hour, identifiers, properties: Event(
        source="t",
        id=str(number),
        name=name,
        at=START + hour * HOUR,
        identifiers=identifiers,
        properties=properties,
    ),
    st.integers(0, 40),  # so few that many are revisions
    st.sampled_from(["a", "b", "c", "page_view"]),
    st.integers(0, 12),
    who,
    st.dictionaries(st.sampled_from(["n", "tags", "event_id", "session_id", "other"]), values, max_size=4),
)
pages = st.tuples(st.just("page"), st.lists(events, max_size=12), st.booleans())
edits = st.tuples(st.just("edit"), st.sampled_from(PROGRAMS))
changes = st.one_of(pages, pages, pages, edits)
builds = st.one_of(
    st.tuples(st.just("extend"), st.sampled_from([1, 5]), st.sampled_from([0.0, 0.5])),
    st.tuples(st.just("extend meanwhile"), changes),
    st.tuples(st.just("cut off"), st.sampled_from(["before", "after"])),
    st.tuples(st.just("harm"), st.integers(0, 9), st.sampled_from(["missing", "cut", "longer", "empty"])),
)
histories = st.lists(st.one_of(changes, builds, builds), min_size=3, max_size=14)


class CutOffError(Exception):
    """The process died."""


class Interrupted(Store):
    """The state of a process to which something happens when it is about to write, or has written."""

    def __init__(self, store: Store, before: Callable[[], object], after: Callable[[], object]) -> None:
        super().__init__(store.engine, store.folder)
        self._before, self._after = before, after

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self._before()
        with super().write() as connection:
            yield connection
        self._after()


def die() -> None:
    raise CutOffError


def nothing() -> None:
    pass


class World:
    """A state, and one process that reads its files over and over."""

    def __init__(self, folder: str) -> None:
        self.store = open_store("sqlite://", Path(folder))
        self.pipeline = Pipeline(self.store, VAULT, PROGRAMS[0])
        self.pipeline.use(PROGRAMS[0], {}, START)
        self.files = SignalFiles(self.store.folder)
        self.readings = 0

    def step(self, what: str, *how: Any) -> None:
        match what, how:
            case "page", (told, again):
                self.readings += 1
                # What the part brought before, and does not now, is taken back.
                part = Part(name="day", reading=str(self.readings), last=True) if again else None
                self.pipeline.take("t", Page(records=told, cursor={}, part=part), START)
            case "edit", (edited,):
                self.pipeline.use(edited, {}, START)
            case "extend", (least, gone_share):
                extend(self.store, least=least, gone_share=gone_share)
            case "extend meanwhile", (change,):
                extend(Interrupted(self.store, lambda: self.step(*change), nothing), least=1)
            case "cut off", (when,):
                try:
                    extend(Interrupted(self.store, *((die, nothing) if when == "before" else (nothing, die))), least=1)
                except CutOffError:
                    self.files = SignalFiles(self.store.folder)  # another process goes on
            case "harm", (number, how_):
                self._harm(number, how_)

    def _harm(self, number: int, how: str) -> None:
        paths = sorted((self.store.folder / signal_files.FOLDER).glob("*.arrow"))
        if paths:
            path = paths[number % len(paths)]
            content = path.read_bytes()
            path.unlink()
            if how != "missing":
                path.write_bytes({"cut": content[:-9], "longer": content + content, "empty": b""}[how])

    def check(self) -> None:
        with self.store.read() as connection:
            everyone = people.everyone(connection)
            for persons, files in ((everyone, SignalFiles(self.store.folder)), (everyone[::2], self.files)):
                expected = gather(connection, self.pipeline.program, persons)
                found = gather(connection, self.pipeline.program, persons, files)
                for one, other in zip(expected, found, strict=True):
                    assert one.schema == other.schema
                    assert sorted(map(repr, one.to_pylist())) == sorted(map(repr, other.to_pylist()))


@settings(derandomize=True, deadline=None, database=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(histories)
def test_files_tell_what_the_table_tells(history: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(folder)
        for step in history:
            world.step(*step)
            world.check()
        extend(world.store, least=1, gone_share=0.0)
        world.check()
        with world.store.read() as connection:
            named = {file.path for file in signal_files.manifest(connection).files}
        assert named == {path.name for path in (Path(folder) / signal_files.FOLDER).glob("*.*")} - {".lock"}
        world.store.close()
