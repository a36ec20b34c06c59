"""The division is a function of its links as a set: their order and the numbers of identifiers do not matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from leadup.identity.ownership import Link, divide, links_of
from leadup.identity.register import Sighting
from leadup.types import Identifier
from sightings import KINDS, seen

NAMES = ["u1", "u2", "u3", "e1", "e2", "p1", "c1", "c2", "k1"]
NUMBERS = dict(zip(NAMES, range(1, 10), strict=True))


def told(links: Sequence[tuple[str, str, int]], numbers: Mapping[str, int] = NUMBERS) -> set[frozenset[object]]:
    """Groups, told by names: ``{("c1", from, until), ...}``, and who else is reached: ``{"e1 lent to u2"}``."""
    known = {number: Identifier(KINDS[name[0]], name) for name, number in numbers.items()}
    division = divide(known, [(numbers[strong], numbers[weak], at) for strong, weak, at in links])
    groups: list[set[object]] = [set() for _ in division.groups]
    for number, shares in division.shares.items():
        for from_us, until_us, group in shares:
            groups[group].add((known[number].value, from_us, until_us))
    lent = {f"{known[contact].value} lent to {known[user].value}" for contact, user in division.shared}
    return {*map(frozenset, groups), frozenset(lent)}


records = st.builds(seen, st.lists(st.sampled_from(NAMES), min_size=2, max_size=4).map(" ".join), st.integers(0, 6))


@given(st.lists(records, max_size=12), st.randoms(use_true_random=False), st.permutations(range(1, 10)))
def test_neither_order_nor_numbers_matter(story: list[Sighting], random: object, numbers: list[int]) -> None:
    links = [(a.value, b.value, record.at_us) for record in story for a, b in links_of(record.identifiers)]
    shuffled = sorted(links, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert told(shuffled, dict(zip(NAMES, numbers, strict=True))) == told(links)


def test_the_first_sight_of_a_pair_counts_in_whatever_order_it_is_told() -> None:
    users: list[tuple[str, str, int]] = [("u1", "e1", 0), ("u2", "e2", 0)]
    forms = [("e1", "c1", 9), ("e2", "c1", 5), ("e1", "c1", 1)]
    assert told(users + forms) == told(users + forms[::-1])
    assert any({name for name, *_ in group} == {"u1", "e1", "c1"} for group in told(users + forms))


def test_no_links_no_company() -> None:
    nothing: list[Link] = []
    assert divide({}, nothing).groups == []
    assert len(divide({1: Identifier(KINDS["c"], "c1"), 2: Identifier(KINDS["e"], "e1")}, nothing).groups) == 2
