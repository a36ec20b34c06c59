"""A hundred thousand people are compared and repaired in the memory that a few thousand take."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from delivery.scripted_vendor import Vendor
from delivery.world import START, VAULT
from leadup.delivery.book import TargetRow, Terms, all_targets, set_targets
from leadup.delivery.drift import What, compare, repair
from leadup.delivery.held import Held, scratch
from leadup.delivery.values_there import compare_values
from leadup.outgoing import Address, Contact, Records, RemoteId, RemoteTarget, Target, Unreachable, Use
from leadup.plan import Standing
from leadup.state import Store, open_store
from leadup.state.store import chunks
from leadup.state.tables import identifiers, persons, remote_ids, spans, standings, targets
from leadup.types import EVER, NEVER, Json, Kind, to_us

CLUB = Target(connection="vendor", use=Use.AUDIENCE, name="club", remote_name="leadup: club")
TIER = Target(connection="vendor", use=Use.PROPERTY, name="tier", remote_name="leadup: tier")
MISSING = 10
"""Every so manieth member is missing, and every so manieth value another one."""
MIB = 16
"""The most memory that Python takes for it."""


class Crowd(Vendor):
    """A vendor whose audience is told member by member, and never held."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def address(self, target: Target, people: Sequence[Contact]) -> Sequence[Address | Unreachable]:
        return [Address((RemoteId("card", f"c{person.person}"),)) for person in people]


class Shown:
    """The same, with a way to look into it."""

    def __init__(self, crowd: Crowd) -> None:
        self.can, self.check, self.prepare = crowd.can, crowd.check, crowd.prepare
        self.address, self.deliver = crowd.address, crowd.deliver
        self.size = crowd.size

    def members(self, of: RemoteTarget) -> Iterator[RemoteId]:
        return (RemoteId("card", f"c{number}") for number in range(1, self.size + 1) if number % MISSING)

    def values(self, of: Sequence[Target], people: Sequence[Contact]) -> Sequence[Records | Unreachable]:
        return [
            {RemoteId("card", f"c{one.person}"): {TIER.name: "hot" if one.person % MISSING else "vip"}}
            for one in people
        ]


@pytest.mark.parametrize("size", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_audience(tmp_path: Path, size: int) -> None:
    state = {"want": "b", "stands": "b"}
    with crowd(tmp_path, CLUB, size, state) as (store, target, held):
        told = compare(store, VAULT, Shown(Crowd(size)), target, held)
        with store.write() as connection:
            done = repair(connection, target, held, "ada", to_us(START))
    missing = size // MISSING
    assert (told.members, told.others, told.rows) == (
        size - missing,
        0,
        {What.THERE: size - missing, What.MISSING: missing},
    )
    assert done == {What.MISSING: missing}


@pytest.mark.parametrize("size", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_nor_does_it_with_the_people_of_whom_a_property_tells(tmp_path: Path, size: int) -> None:
    state = {"want": {"v": "hot"}, "stands": {"v": "hot"}}
    with crowd(tmp_path, TIER, size, state) as (store, target, held):
        told = compare_values(store, VAULT, Shown(Crowd(size)), [target], {target.id: held})[target.id]
        with store.write() as connection:
            done = repair(connection, target, held, "ada", to_us(START))
    changed = size // MISSING
    assert (told.members, told.rows) == (size, {What.THERE: size - changed, What.CHANGED: changed})
    assert done == {What.CHANGED: changed}


@contextmanager
def crowd(folder: Path, of: Target, size: int, state: Mapping[str, Json]) -> Iterator[tuple[Store, TargetRow, Held]]:
    """A state in which so many people stand at a target, and room to note what differs.

    In the end so many of them are open as are missing, and it has not taken much memory.
    """
    store = open_store(f"sqlite:///{folder}/state.db", folder)
    at_us = to_us(START)
    with store.write() as connection:
        set_targets(connection, {of: Terms()}, at_us)
        connection.execute(targets.update().values(remote_id="1"))
        [target] = all_targets(connection)
        for part in chunks(range(1, size + 1), 5_000):
            connection.execute(insert(persons), [{"id": n} for n in part])
            known = [{"id": n, "kind": Kind.EMAIL, "value": f"{n:064x}", "first_us": at_us} for n in part]
            connection.execute(insert(identifiers), known)
            spanned = [{"identifier": n, "from_us": EVER, "until_us": NEVER, "person": n} for n in part]
            connection.execute(insert(spans), spanned)
            row = {**state, "standing": Standing.PRESENT, "open": False, "urgent": False, "number": 1, "reason": ""}
            rows = [{"target": target.id, "subject": f"{n}", "person": n, "remote": [["card", f"c{n}"]]} for n in part]
            connection.execute(insert(standings), [{**one, **row} for one in rows])
            sent = [{"target": target.id, "kind": "card", "value": f"c{n}", "subject": f"{n}"} for n in part]
            connection.execute(insert(remote_ids), sent)
    tracemalloc.start()
    try:
        with scratch() as held:
            yield store, target, held
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    with store.read() as connection:
        query = select(func.count()).select_from(standings)
        assert connection.scalar(query.where(standings.c.open)) == size // MISSING
        assert connection.scalar(query.where(standings.c.standing == Standing.PRESENT)) == size - size // MISSING
    store.close()
    assert most < MIB << 20, f"{most / 2**20:.1f} MiB"
