"""An audience of a hundred thousand is compared and repaired in the memory that one of a few thousand takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from delivery.scripted_vendor import Vendor
from delivery.world import START, VAULT
from leadup.delivery.book import Terms, all_targets, set_targets
from leadup.delivery.drift import What, compare, repair
from leadup.delivery.held import scratch
from leadup.outgoing import Address, Contact, RemoteId, RemoteTarget, Target, Unreachable, Use
from leadup.plan import Standing
from leadup.state import open_store
from leadup.state.store import chunks
from leadup.state.tables import identifiers, persons, remote_ids, spans, standings, targets
from leadup.types import EVER, NEVER, Kind, to_us

CLUB = Target(connection="vendor", use=Use.AUDIENCE, name="club", remote_name="leadup: club")
MISSING = 10
"""Every so manieth member is missing."""
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


@pytest.mark.parametrize("size", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_audience(tmp_path: Path, size: int) -> None:
    store = open_store(f"sqlite:///{tmp_path}/state.db", tmp_path)
    at_us = to_us(START)
    with store.write() as connection:
        set_targets(connection, {CLUB: Terms()}, at_us)
        connection.execute(targets.update().values(remote_id="1"))
        [target] = all_targets(connection)
        for part in chunks(range(1, size + 1), 5_000):
            connection.execute(insert(persons), [{"id": n} for n in part])
            known = [{"id": n, "kind": Kind.EMAIL, "value": f"{n:064x}", "first_us": at_us} for n in part]
            connection.execute(insert(identifiers), known)
            spanned = [{"identifier": n, "from_us": EVER, "until_us": NEVER, "person": n} for n in part]
            connection.execute(insert(spans), spanned)
            state = {"want": "b", "stands": "b", "standing": Standing.PRESENT, "open": False, "urgent": False}
            rows = [{"target": target.id, "subject": f"{n}", "person": n, "remote": [["card", f"c{n}"]]} for n in part]
            connection.execute(insert(standings), [{**row, **state, "number": 1, "reason": ""} for row in rows])
            sent = [{"target": target.id, "kind": "card", "value": f"c{n}", "subject": f"{n}"} for n in part]
            connection.execute(insert(remote_ids), sent)
    tracemalloc.start()
    try:
        with scratch() as held:
            told = compare(store, VAULT, Shown(Crowd(size)), target, held)
            with store.write() as connection:
                done = repair(connection, target, held, "ada", at_us)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    missing = size // MISSING
    assert (told.members, told.others, told.rows[What.THERE]) == (size - missing, 0, size - missing)
    assert done == {What.MISSING: missing}
    with store.read() as connection:
        query = select(func.count()).select_from(standings)
        assert connection.scalar(query.where(standings.c.open)) == missing
        assert connection.scalar(query.where(standings.c.standing == Standing.PRESENT)) == size - missing
    store.close()
    assert most < MIB << 20, f"{most / 2**20:.1f} MiB"
