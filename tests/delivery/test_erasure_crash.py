"""Killed before and after every commit of an erasure, and started again: nothing is lost, nothing is doubled."""

from __future__ import annotations

import copy
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from delivery.scripted_vendor import Crash, Vendor
from delivery.test_erasure import ADA, ADAS, Site, ada_and_bob
from delivery.world import VAULT, email, hashed
from leadup.erasure.ask import ask
from leadup.identity import people
from leadup.state import Store
from leadup.state.tables import (
    answers,
    budgets,
    clicks,
    consents,
    conversions,
    dirty,
    erased_events,
    erased_persons,
    erasure_targets,
    erasures,
    event_files,
    event_gone,
    event_keys,
    event_parts,
    event_tail,
    facts,
    holdouts,
    identifiers,
    judged,
    leases,
    ledger,
    links,
    listed,
    membership_log,
    memberships,
    meta,
    metadata,
    outbox,
    part_events,
    persons,
    rejects,
    remote_ids,
    requests,
    shared,
    signal_files,
    signal_gone,
    signals,
    snapshots,
    sources,
    spans,
    standings,
    suppressed,
    targets,
    vault,
)
from leadup.types import to_us

FORGOTTEN = {
    *(clicks, consents, facts, snapshots, signals, conversions, dirty, judged, holdouts, memberships, membership_log),
    *(event_keys, event_tail, event_gone, part_events, rejects, identifiers, links, listed, shared, spans, vault),
    *(outbox, remote_ids, standings, erased_events, erased_persons),
}
"""Tables out of which an erasure deletes."""
SCRUBBED = {ledger, persons}
"""Tables in which a row stays, without whom it was about."""
IMPERSONAL = {
    event_files,
    event_parts,
    signal_files,
    signal_gone,
    leases,
    meta,
    requests,
    sources,
    targets,
    answers,
    budgets,
    erasures,
    erasure_targets,
    suppressed,
}
"""Tables that tell of nobody (of a suppressed hash only its key could)."""


def test_every_table_says_how_it_forgets_a_person() -> None:
    """Whoever adds a table with anything of a person in it teaches an erasure to clear it, and names it here."""
    assert {table.name for table in metadata.sorted_tables} == {
        table.name for table in FORGOTTEN | SCRUBBED | IMPERSONAL
    }


class Killed(BaseException):
    """kill -9."""


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, point: int) -> Iterator[list[str]]:
    """Die at the given point: of each commit there is one just before it, and one just after."""
    passed: list[str] = []
    write = Store.write

    def at(name: str) -> None:
        passed.append(name)
        if len(passed) == point:
            raise Killed

    @contextmanager
    def watched(store: Store) -> Iterator[Any]:
        with write(store) as connection:
            yield connection
            at("before")
        at("after")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", watched)
        yield passed


def flow(site: Site) -> None:
    """Ask, if that was not done, and go on until the request is done."""
    with site.store.read() as connection:
        known = people.find(connection, str(ADA))
    if known:
        ask(site.store, site.pipeline.log, VAULT, known[0], site.now, "ops")
    for _ in range(3):
        site.go_on(force=True)


def scene(*, late: bool) -> Site:
    site = Site(Vendor(late=late))
    ada_and_bob(site)
    site.sync()
    site.pipeline.log.compact(to_us(site.now), keep_days=-1, tail_rows=0)
    return site


class Saved:
    """A scene to come back to: to prepare it, and the engine's statements, takes longer than what is tested."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._database = sqlite3.connect(":memory:")
        self._raw().backup(self._database)
        self._vendor = copy.deepcopy(site.vendor)
        self._files = {path: path.read_bytes() for path in site.pipeline.log.folder.rglob("*") if path.is_file()}

    def restore(self) -> Site:
        self._database.backup(self._raw())
        self.site.vendor = copy.deepcopy(self._vendor)
        shutil.rmtree(self.site.pipeline.log.folder)
        for path, content in self._files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.site.restart()
        return self.site

    def close(self) -> None:
        self._database.close()
        self.site.close()

    def _raw(self) -> Any:
        with self.site.store.engine.connect() as connection:
            return connection.connection.driver_connection


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("stride", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_every_commit(monkeypatch: pytest.MonkeyPatch, late: bool, stride: int) -> None:
    point, reached = 1, False
    saved = Saved(scene(late=late))
    while not reached:
        site = saved.restore()
        with killed_at(monkeypatch, point) as passed:
            try:
                flow(site)
                reached = len(passed) < point
            except Killed:
                site.restart()
        flow(site)
        assert [row["state"] for row in site.rows(erasures)] == ["done"], f"killed at point {point}"
        assert site.members == {hashed(email("bob"))}
        assert len(site.changes("join")) == 2
        assert {change.to.ids[0].value for change in site.changes("leave")} == {hashed(ADAS)}
        left = site.everything()
        assert not [trace for trace in (hashed(ADAS), '"u1"', "c-ada", "g-ada") if trace in left]
        files = list(site.pipeline.log.folder.glob("day=*/*"))
        assert not [path for path in files if hashed(ADAS).encode() in path.read_bytes()]
        assert len(site.rows(event_files)) == len(files) == 1
        point += stride
    saved.close()
    assert point > 20


def test_a_vendor_that_loses_its_answer_is_asked_again() -> None:
    for fault in ("lost", "crash", "crash after", "later", "human", "postpone"):
        site = scene(late=False)
        site.vendor.faults = [fault]
        try:
            flow(site)
        except Crash:
            site.restart()
        site.later(hours=25)
        flow(site)
        assert [row["state"] for row in site.rows(erasures)] == ["done"], fault
        assert site.members == {hashed(email("bob"))}
        site.close()
