"""Each rule of identity, told by a small story."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, func, select

from leadup.identity import people
from leadup.identity.resolve import Absorbed, absorb
from leadup.state.tables import identifiers, links, spans
from leadup.types import EVER, NEVER
from sightings import holdings, lent, memory, owner, partition, scratch, seen, take_dirty, whole


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    store = memory(tmp_path)
    with scratch(store) as connection:
        yield connection
    store.close()


def tell(connection: Connection, *story: tuple[str, int]) -> list[Absorbed]:
    """One page per record."""
    return [absorb(connection, [seen(names, at)]) for names, at in story]


STORIES = {
    "two strangers": ([("c1", 1), ("c2", 2)], [whole("c1"), whole("c2")]),
    "a login makes the browser the user's, with all it did before": ([("c1", 1), ("u1 c1", 5)], [whole("u1", "c1")]),
    "one user, two browsers": ([("u1 c1", 1), ("u1 c2", 2)], [whole("u1", "c1", "c2")]),
    "a shared browser belongs to who logged in last": (
        [("u1 c1", 5), ("u2 c1", 9)],
        [{*whole("u1"), ("c1", EVER, 9)}, {*whole("u2"), ("c1", 9, NEVER)}],
    ),
    "and comes back to the first one": (
        [("u1 c1", 5), ("u2 c1", 9), ("u1 c1", 12)],
        [{*whole("u1"), ("c1", EVER, 9), ("c1", 12, NEVER)}, {*whole("u2"), ("c1", 9, 12)}],
    ),
    "logging in again changes nothing": ([("u1 c1", 5), ("u1 c1", 9)], [whole("u1", "c1")]),
    "a login that is told late takes the time before it": (
        [("u1 c1", 5), ("u2 c1", 2)],
        [{*whole("u2"), ("c1", EVER, 5)}, {*whole("u1"), ("c1", 5, NEVER)}],
    ),
    "a login told late in between ends with the next one": (
        [("u1 c1", 5), ("u1 c1", 9), ("u2 c1", 7)],
        [{*whole("u1"), ("c1", EVER, 7), ("c1", 9, NEVER)}, {*whole("u2"), ("c1", 7, 9)}],
    ),
    "of two logins at one instant the smaller user id counts": (
        [("u2 c1", 5), ("u1 c1", 5)],
        [whole("u1", "c1"), whole("u2")],
    ),
    "an e-mail in a form makes two browsers one person": ([("e1 c1", 1), ("e1 c2", 2)], [whole("e1", "c1", "c2")]),
    "two known persons turn out to be one": (
        [("e1 c1", 1), ("h1 p1", 2), ("e1 h1", 3)],
        [whole("e1", "p1", "h1", "c1")],
    ),
    "client id and HubSpot's cookie of one browser": ([("c1 k1", 1), ("e1 k1", 2)], [whole("e1", "c1", "k1")]),
    "two user ids in one record stay two": ([("u1 u2 c1", 1)], [whole("u1", "c1"), whole("u2")]),
    "two user ids with one e-mail stay two": (
        [("u1 e1", 1), ("u2 e1", 2)],
        [whole("u1", "e1"), whole("u2")],
    ),
    "the e-mail goes to whom it was seen with first, told late or not": (
        [("u1 e1", 5), ("u2 e1", 2)],
        [whole("u1"), whole("u2", "e1")],
    ),
    "a user outranks a form on his browser": (
        [("e1 c1", 1), ("u1 e1", 5), ("u2 c1", 9)],
        [whole("u1", "e1"), whole("u2", "c1")],
    ),
    "a form belongs to whoever had the browser then": (
        [("u1 c1", 5), ("u2 c1", 9), ("e1 c1", 7), ("e2 c1", 11)],
        [{*whole("u1", "e1"), ("c1", EVER, 9)}, {*whole("u2", "e2"), ("c1", 9, NEVER)}],
    ),
    "a login told late moves the form with its part of the time": (
        [("u1 c1", 5), ("e1 c1", 7), ("u2 c1", 6)],
        [{*whole("u1"), ("c1", EVER, 6)}, {*whole("u2", "e1"), ("c1", 6, NEVER)}],
    ),
    "a cookie follows the client id part by part": (
        [("u1 c1", 5), ("u2 c1", 9), ("c1 k1", 7), ("c1 k2", 11)],
        [{*whole("u1", "k1"), ("c1", EVER, 9)}, {*whole("u2", "k2"), ("c1", 9, NEVER)}],
    ),
    "a phone that two users' e-mails came with goes to the first": (
        [("u1 e1", 1), ("u2 e2", 1), ("e2 p1", 3), ("e1 p1", 4)],
        [whole("u1", "e1"), whole("u2", "e2", "p1")],
    ),
}


@pytest.mark.parametrize(("story", "ends"), STORIES.values(), ids=STORIES)
def test_stories(connection: Connection, story: list[tuple[str, int]], ends: list[set[tuple[str, int, int]]]) -> None:
    tell(connection, *story)
    assert partition(holdings(connection).values()) == partition(ends)


def test_the_second_user_of_an_address_can_be_reached_by_it_too(connection: Connection) -> None:
    tell(connection, ("u1 e1", 5), ("u2 e1", 7))
    assert lent(connection) == {"e1": {owner(connection, "u2")}}
    tell(connection, ("u2 e1", 2))
    assert lent(connection) == {"e1": {owner(connection, "u1")}}
    assert owner(connection, "e1") == owner(connection, "u2")


def test_what_is_lent_follows_a_merge(connection: Connection) -> None:
    tell(connection, ("c1", 1), ("u1 e1", 5), ("u2 e1", 7))
    assert tell(connection, ("u2 c1", 9))[0].merges == [(3, 1)]
    assert lent(connection) == {"e1": {1}}


def test_the_anchor_is_the_strongest_identifier(connection: Connection) -> None:
    absorbed = absorb(connection, [seen("c1", 1), seen("c1 e1 u1", 2), seen("k1 e1", 3), seen("c1 c2", 4), seen("", 5)])
    number = dict(connection.execute(select(identifiers.c.value, identifiers.c.id)).all())
    assert absorbed.anchors == [number["c1"], number["u1"], number["e1"], number["c1"], None]


def test_the_older_person_stays_and_the_other_is_merged_into_him(connection: Connection) -> None:
    first, second, login = tell(connection, ("c1", 1), ("u1 c2", 2), ("u1 c1", 3))
    assert [first.merges, second.merges, login.merges] == [[], [], [(2, 1)]]
    assert holdings(connection) == {1: whole("u1", "c1", "c2")}
    assert people.current(connection, [1, 2]) == {1: 1, 2: 1}


def test_merges_of_merges_are_followed(connection: Connection) -> None:
    tell(connection, ("e1", 1), ("e2", 1), ("e3", 1), ("e2 e3", 2))
    assert people.current(connection, [3]) == {3: 2}
    tell(connection, ("e1 e2", 3))
    assert people.current(connection, [2, 3]) == {2: 1, 3: 1}
    assert people.everyone(connection) == [1]


def test_who_is_split_stays_with_his_strongest_identifier(connection: Connection) -> None:
    tell(connection, ("e1 c1", 1), ("e2 c1", 8))
    assert holdings(connection) == {1: whole("e1", "e2", "c1")}
    tell(connection, ("u1 c1", 2), ("u2 c1", 5))
    assert owner(connection, "e1") == 1
    assert owner(connection, "u1") == 1
    assert owner(connection, "e2") == owner(connection, "u2") == owner(connection, "c1", 5) == 2


def test_what_is_told_late_may_make_another_identifier_the_strongest(connection: Connection) -> None:
    tell(connection, ("e1 c1", 5), ("e2 c1", 3))
    absorb(connection, [seen("u1 e1", 1), seen("u2 e2", 4)])
    assert owner(connection, "e1") == owner(connection, "u1") == 1


def test_a_merge_moves_what_was_not_looked_at_too(connection: Connection) -> None:
    tell(connection, ("c1", 1), *((f"u1 c{n}", n) for n in range(2, 30)))
    assert tell(connection, ("u1 c1", 40))[0].merges == [(2, 1)]
    assert holdings(connection) == {1: whole("u1", *(f"c{n}" for n in range(1, 30)))}


def test_who_is_dirty(connection: Connection) -> None:
    tell(connection, ("u1 c1", 5), ("u2 c2", 5), ("c3", 5))
    take_dirty(connection)
    tell(connection, ("c3", 6))
    assert take_dirty(connection) == {owner(connection, "c3")}
    tell(connection, ("u2 c1", 9))
    assert take_dirty(connection) == {owner(connection, "u1"), owner(connection, "u2")}
    gone = owner(connection, "c3")
    assert tell(connection, ("u1 c3", 9))[0].merges == [(gone, 1)]
    assert take_dirty(connection) == {1, gone}


def test_who_only_loses_something_is_dirty_too(connection: Connection) -> None:
    tell(connection, ("u2 c1", 5))
    take_dirty(connection)
    tell(connection, ("u1 c1", 5))
    assert owner(connection, "c1") == owner(connection, "u1")
    assert take_dirty(connection) == {owner(connection, "u1"), owner(connection, "u2")}


def test_who_can_be_reached_by_one_more_address_is_dirty(connection: Connection) -> None:
    tell(connection, ("u1", 5), ("u2", 5))
    take_dirty(connection)
    tell(connection, ("u1 u2 e1", 6))
    assert lent(connection) == {"e1": {owner(connection, "u2")}}
    assert take_dirty(connection) == {owner(connection, "u1"), owner(connection, "u2")}


def test_late_records_make_a_person_known_earlier(connection: Connection) -> None:
    tell(connection, ("u1 c1", 5), ("u2 c1", 9))
    one, two = owner(connection, "u1"), owner(connection, "u2")
    assert people.known_from(connection, [one, two]) == {one: 5, two: 9}
    tell(connection, ("c1", 3))
    assert people.known_from(connection, [one, two]) == {one: 3, two: 9}


def test_spans_meet_without_gap_or_overlap(connection: Connection) -> None:
    tell(connection, ("u1 c1", 5), ("u2 c1", 9), ("u3 c1", 7), ("u1 c1", 11))
    query = select(spans.c.from_us, spans.c.until_us).join(identifiers).where(identifiers.c.value == "c1")
    found = sorted(tuple(row) for row in connection.execute(query))
    assert found == [(EVER, 7), (7, 9), (9, 11), (11, NEVER)]


def test_one_link_for_each_other_identifier_of_a_record_is_kept(connection: Connection) -> None:
    absorb(connection, [seen("u1 e1 h1 c1 k1", 1)])
    assert connection.scalar(select(func.count()).select_from(links)) == 4
    absorb(connection, [seen("u1 e1 h1 c1 k1", 2)])
    assert connection.scalar(select(func.count()).select_from(links)) == 6, "devices at each instant, contacts once"


def test_a_page_of_known_people_asks_little_of_the_database(connection: Connection) -> None:
    everybody = [seen(f"u{n} e{n} c{n}", 1) for n in range(1_000)]
    absorb(connection, everybody)
    statements: list[str] = []
    event.listen(connection, "before_cursor_execute", lambda *call: statements.append(call[2]))
    absorb(connection, [record._replace(at_us=2) for record in everybody])
    assert len(statements) <= 10, "\n".join(statements)


def test_a_page_may_be_larger_than_a_statement(connection: Connection) -> None:
    absorb(connection, [seen(name, 1) for n in range(11_000) for name in (f"u{n}", f"e{n}")])
    joined = absorb(connection, [seen(f"u{n} e{n}", 2) for n in range(11_000)])
    assert len(joined.merges) == len(people.everyone(connection)) == 11_000
