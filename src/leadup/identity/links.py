"""Stores which identifiers were seen together, and finds what hangs together by it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from sqlalchemy import Connection, bindparam, func, insert, select, tuple_

from leadup.identity.bulk import among
from leadup.identity.ownership import Link, links_of
from leadup.identity.register import Register, Sighting, owner_at
from leadup.state.store import chunks, upsert
from leadup.state.tables import links
from leadup.types import Kind

_COLUMNS = links.c.a, links.c.b, links.c.first_us


def store_links(register: Register, sightings: Sequence[Sighting]) -> set[int]:
    """Store what was seen together; return the identifiers (no user ids) at which the division may have changed.

    A link within one person's identifiers changes nothing: joining earlier what comes together anyway neither allows
    nor refuses anything else. Nor does a link that is stored already.
    """
    instants: set[Link] = set()
    firsts: dict[tuple[int, int], int] = {}
    for seen, at_us in sightings:
        for strong, weak in links_of(seen):
            pair = register.numbers[strong], register.numbers[weak]
            if weak.kind.is_device:
                instants.add((*pair, at_us))
            elif at_us < firsts.get(pair, at_us + 1):
                firsts[pair] = at_us
    lasting = {(strong, weak, at_us) for (strong, weak), at_us in firsts.items()}
    connection = register.connection
    foreign = [link for link in (*instants, *lasting) if not _at_home(register, link)]
    fresh = set(register.fresh)
    perhaps_old = {link for link in foreign if fresh.isdisjoint(link[:2])}
    old = _stored(connection, perhaps_old & instants) | _seen_as_early(connection, perhaps_old & lasting)
    rows = [{"a": strong, "b": weak, "first_us": at_us} for strong, weak, at_us in sorted(instants)]
    upsert(connection, links, rows, update=())
    _store_earliest(connection, lasting)
    ends = {number for link in foreign if link not in old for number in link[:2]}
    return {number for number in ends if register.known[number].kind is not Kind.USER_ID}


def _at_home(register: Register, link: Link) -> bool:
    strong, weak, at_us = link
    of_strong, of_weak = register.owners.get(strong), register.owners.get(weak)
    if of_strong is None or of_weak is None:
        return False
    return owner_at(of_strong, at_us) == owner_at(of_weak, at_us)


def _stored(connection: Connection, instants: Iterable[Link]) -> set[Link]:
    found: set[Link] = set()
    for batch in chunks(instants):
        query = select(*_COLUMNS).where(tuple_(*_COLUMNS).in_(batch))
        found.update((a, b, at_us) for a, b, at_us in connection.execute(query))
    return found


def _seen_as_early(connection: Connection, lasting: Iterable[Link]) -> set[Link]:
    by_pair = {(strong, weak): at_us for strong, weak, at_us in lasting}
    found: set[Link] = set()
    pair = links.c.a, links.c.b
    for batch in chunks(by_pair):
        query = select(*pair, func.min(links.c.first_us)).where(tuple_(*pair).in_(batch)).group_by(*pair)
        for a, b, first_us in connection.execute(query):
            if first_us <= by_pair[a, b]:
                found.add((a, b, by_pair[a, b]))
    return found


def _store_earliest(connection: Connection, lasting: Iterable[Link]) -> None:
    """Store links without a device, unless the two were seen together as early before."""
    rows = [{"strong": strong, "weak": weak, "at": at_us} for strong, weak, at_us in sorted(lasting)]
    if not rows:
        return
    strong, weak, at_us = (bindparam(name, type_=links.c.a.type) for name in ("strong", "weak", "at"))
    as_early = select(links.c.a).where(links.c.a == strong, links.c.b == weak, links.c.first_us <= at_us)
    new = select(strong, weak, at_us).where(~as_early.exists())
    connection.execute(insert(links).from_select(["a", "b", "first_us"], new), rows)


def hanging_together(register: Register, start: Set[int]) -> tuple[set[int], list[Link]]:
    """Follow links from ``start`` (no user ids), level by level, never through a user id.

    Returns:
        All identifiers met, user ids at the border included, now known to the register; and all links of those that
        are no user ids, some of them twice.
    """
    met, found, frontier = set(start), list[Link](), set(start)
    while frontier:
        numbers = among(frontier)
        reached: set[int] = set()
        for end in (links.c.a, links.c.b):
            rows = register.connection.execute(select(*_COLUMNS).where(end.in_(numbers))).all()
            found += [(strong, weak, at_us) for strong, weak, at_us in rows]
            reached.update(number for strong, weak, _ in rows for number in (strong, weak))
        reached -= met
        register.look_up(reached)
        met |= reached
        frontier = {number for number in reached if register.known[number].kind is not Kind.USER_ID}
    return met, found
