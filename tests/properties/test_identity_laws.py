"""The laws of identity, over random records: who is who depends on the set of records and on nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from leadup.identity import people
from leadup.identity.register import Sighting, owner_at, stretches_of
from leadup.identity.resolve import absorb
from leadup.state import Store
from leadup.state.tables import identifiers, links
from leadup.types import EVER, NEVER, Identifier, Kind
from sightings import Holding, holdings, lent, memory, partition, scratch, seen, take_dirty

exactly = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

NAMES = ["u1", "u2", "u3", "u4", "e1", "e2", "e3", "p1", "p2", "h1", "h2", "c1", "c2", "c3", "k1", "k2"]
names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(" ".join)
histories = st.lists(st.builds(seen, names, st.integers(0, 9)), min_size=1, max_size=24)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = memory(tmp_path_factory.mktemp("identity"))
    yield store
    store.close()


def pages(history: Sequence[Sighting], cuts: Sequence[int]) -> list[Sequence[Sighting]]:
    edges = [0, *sorted({cut % (len(history) + 1) for cut in cuts}), len(history)]
    return [history[a:b] for a, b in pairwise(edges) if a < b]


cuts = st.lists(st.integers(0, 100), max_size=6)


# ---------------------------------------------------------------- the rules, told plainly


class Node(NamedTuple):
    """A user id, contact data, or a segment of a device."""

    identifier: Identifier
    from_us: int = EVER
    until_us: int = NEVER

    @property
    def user(self) -> str | None:
        return self.identifier.value if self.identifier.kind is Kind.USER_ID else None


class World:
    """Who is who, worked out from all pairs of all records at once, slowly and in the rules' own words."""

    def __init__(self, history: Sequence[Sighting]) -> None:
        self.history = history
        everything = {identifier for record in history for identifier in record.identifiers}
        self.nodes: dict[Identifier, list[Node]] = {}
        self.group: dict[Node, set[Node]] = {}
        self.shared: dict[str, set[str]] = defaultdict(set)
        for identifier in everything:
            self.nodes[identifier] = []
            for node in self.segments(identifier) if identifier.kind.is_device else [Node(identifier)]:
                self.nodes[identifier].append(node)
                self.group[node] = {node}
        for device in everything:
            for segment in self.nodes[device] if device.kind.is_device else ():
                user = self.last_login(device, segment.from_us)
                if user is not None:
                    self.join(Node(Identifier(Kind.USER_ID, user)), segment)
        for one, other in self.edges():
            if not self.join(one, other) and one.user and other not in self.group[one]:
                self.shared[other.identifier.value].add(one.user)

    def logins(self, device: Identifier) -> list[tuple[int, str]]:
        return sorted(
            (record.at_us, other.value)
            for record in self.history
            if device in record.identifiers
            for other in record.identifiers
            if other.kind is Kind.USER_ID
        )

    def last_login(self, device: Identifier, at_us: int) -> str | None:
        logins = self.logins(device)
        before = [login for login in logins if login[0] <= at_us] or logins[:1]
        return min(user for at, user in before if at == before[-1][0]) if before else None

    def segments(self, device: Identifier) -> list[Node]:
        changes = [EVER]
        for at_us in sorted({at for at, _ in self.logins(device)}):
            if self.last_login(device, at_us) != self.last_login(device, at_us - 1):
                changes.append(at_us)
        return [Node(device, a, b) for a, b in zip(changes, [*changes[1:], NEVER], strict=True)]

    def edges(self) -> list[tuple[Node, Node]]:
        """User-contact, contact-contact, contact-segment, segment-segment, each in the order of first sight."""
        found: dict[tuple[Node, Node], tuple[object, ...]] = {}
        for seen_, at_us in self.history:
            at = [next(n for n in self.nodes[i] if n.from_us <= at_us < n.until_us) for i in seen_]
            for one, other in combinations(at, 2):
                devices = one.identifier.kind.is_device + other.identifier.kind.is_device
                if other.user or (one.user and devices):
                    continue
                turn = (0 if one.user else 1 + devices, at_us, self.text(one), self.text(other))
                found[one, other] = min(found.get((one, other), turn), turn)
        return sorted(found, key=found.__getitem__)

    def text(self, node: Node) -> tuple[int, str]:
        return node.identifier.kind.strength, node.identifier.value

    def join(self, one: Node, other: Node) -> bool:
        together = self.group[one] | self.group[other]
        if len({node.user for node in together} - {None}) > 1:
            return False
        for node in together:
            self.group[node] = together
        return True

    def partition(self) -> set[frozenset[Holding]]:
        return partition({(n.identifier.value, n.from_us, n.until_us) for n in group} for group in self.group.values())


# ---------------------------------------------------------------- the laws


def absorb_all(connection: Connection, history: Sequence[Sighting], cuts: Sequence[int]) -> None:
    for page in pages(history, cuts):
        absorb(connection, page)


def who_is_who(connection: Connection) -> tuple[set[frozenset[Holding]], dict[str, set[str]]]:
    """Who owns what, and which other users can be reached by it, whatever the persons' numbers are."""
    held = holdings(connection)
    user = {person: name for person, mine in held.items() for name, _, _ in mine if name.startswith("u")}
    return partition(held.values()), {name: {user[p] for p in people_} for name, people_ in lent(connection).items()}


def agrees_with_the_rules(store: Store, history: Sequence[Sighting], cuts: Sequence[int]) -> None:
    world = World(history)
    with scratch(store) as connection:
        absorb_all(connection, history, cuts)
        assert who_is_who(connection) == (world.partition(), world.shared)
        first = {i.value: min(r.at_us for r in history if i in r.identifiers) for r in history for i in r.identifiers}
        assert first_sights(connection) == first


def first_sights(connection: Connection) -> dict[str, int]:
    query = select(identifiers.c.value, identifiers.c.first_us)
    return {name: first_us for name, first_us in connection.execute(query)}  # noqa: C416 (a Row is no tuple to mypy)


@settings(exactly, max_examples=150)
@given(histories, cuts)
def test_identity_is_what_the_rules_say(store: Store, history: list[Sighting], cuts: list[int]) -> None:
    agrees_with_the_rules(store, history, cuts)


@pytest.mark.slow
@settings(exactly, max_examples=5000)
@given(histories, cuts)
def test_identity_is_what_the_rules_say_at_length(store: Store, history: list[Sighting], cuts: list[int]) -> None:
    agrees_with_the_rules(store, history, cuts)


@settings(exactly, max_examples=50)
@given(st.data(), histories, cuts, cuts)
def test_neither_order_nor_paging_matters(
    store: Store, data: st.DataObject, history: list[Sighting], cuts: list[int], other_cuts: list[int]
) -> None:
    shuffled = data.draw(st.permutations(history))
    with scratch(store) as connection:
        absorb_all(connection, history, cuts)
        told = who_is_who(connection)
    with scratch(store) as connection:
        absorb_all(connection, shuffled, other_cuts)
        assert who_is_who(connection) == told


def borrowers(connection: Connection) -> set[tuple[str, int]]:
    return {(name, person) for name, people_ in lent(connection).items() for person in people_}


@settings(exactly, max_examples=80)
@given(histories, cuts)
def test_whoever_changes_or_gets_a_record_is_judged_again(
    store: Store, history: list[Sighting], cuts: list[int]
) -> None:
    with scratch(store) as connection:
        for page in pages(history, cuts):
            before = holdings(connection)
            known, borrowed = people.known_from(connection, before), borrowers(connection)
            take_dirty(connection)
            anchors = absorb(connection, page).anchors
            told, after = take_dirty(connection), holdings(connection)
            owners = stretches_of(connection, {anchor for anchor in anchors if anchor is not None})
            got = {owner_at(owners[a], r.at_us) for a, r in zip(anchors, page, strict=True) if a is not None}
            changed = {person for person in before | after if before.get(person) != after.get(person)}
            since = {p for p, since_us in people.known_from(connection, after).items() if known.get(p) != since_us}
            lent_or_not = {person for _, person in borrowed ^ borrowers(connection)}
            assert got | changed | since | lent_or_not <= told


@settings(exactly, max_examples=80)
@given(histories, cuts)
def test_merges_lose_nobody(store: Store, history: list[Sighting], cuts: list[int]) -> None:
    with scratch(store) as connection:
        for page in pages(history, cuts):
            before = holdings(connection)
            merges = absorb(connection, page).merges
            after = holdings(connection)
            assert before.keys() - after.keys() == {old for old, _ in merges}
            assert all(people.current(connection, [old])[old] == into for old, into in merges)
            assert set(people.current(connection, list(before)).values()) <= after.keys()
            assert set(people.everyone(connection)) == after.keys()


@settings(exactly, max_examples=80)
@given(histories, cuts)
def test_every_instant_of_an_identifier_has_one_owner(store: Store, history: list[Sighting], cuts: list[int]) -> None:
    with scratch(store) as connection:
        absorb_all(connection, history, cuts)
        everything = list(connection.scalars(select(identifiers.c.id)))
        owners = stretches_of(connection, everything)
        assert set(owners) == set(everything)
        for mine in owners.values():
            assert [mine[0].from_us, mine[-1].until_us] == [EVER, NEVER]
            assert all(a.until_us == b.from_us and a.person != b.person for a, b in pairwise(mine))
        for held in holdings(connection).values():
            assert len({name for name, _, _ in held if name.startswith("u")}) <= 1


@settings(exactly, max_examples=80)
@given(histories, histories)
def test_a_person_stays_with_his_strongest_identifier(
    store: Store, early: list[Sighting], late: list[Sighting]
) -> None:
    with scratch(store) as connection:
        absorb(connection, early)
        before = holdings(connection)
        absorb(connection, late)
        after, first, stays = holdings(connection), first_sights(connection), people.current(connection, list(before))
        for person, held in before.items():
            name, from_us, _ = min(held, key=lambda h: ("uephck".index(h[0][0]), first[h[0]], h[0], h[1]))
            assert any(n == name and f <= from_us < u for n, f, u in after[stays[person]])


@settings(exactly, max_examples=40)
@given(histories, cuts)
def test_what_is_told_again_changes_nothing(store: Store, history: list[Sighting], cuts: list[int]) -> None:
    with scratch(store) as connection:
        absorb_all(connection, history, cuts)
        before, stored = holdings(connection), connection.execute(select(links)).all()
        assert absorb(connection, history).merges == []
        assert holdings(connection) == before
        assert connection.execute(select(links)).all() == stored
