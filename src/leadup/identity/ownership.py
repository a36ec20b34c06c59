"""Whose an identifier is, from when until when: a pure function of what was seen together.

**The rules.** Click ids are no identifiers and join nothing. Two user ids never come together.

1. A *login* is a record that carries a device (client id, hutk) and a user id. A device belongs to the user who logged
   in last on it, from the instant of the login on; before its first login, to the user who logs in first. Of several
   logins at one instant the one of the smallest user id (as text) counts. So a device's time is cut into *segments*,
   each with one user; without any login, into one segment without.
2. Contact data (e-mail, phone, HubSpot id) belongs to the user it was first seen with (of two at one instant: the
   smallest user id). For the other users it was seen with it is *shared*: they can be reached by it too.
3. Then what is seen together joins: contact with contact, then contact with segment (the one in which the record's
   instant lies), then segment with segment; each kind in the order of first sight, then of kind and text. What would
   bring two users together is refused.

**Why one link per identifier of a record is enough.** All pairs that a record carries need not be kept, only those with
its strongest identifier, the *anchor*. With a user id as anchor, rules 1 and 2 have given every other identifier of the
record a user before rule 3 begins: its remaining pairs are either within one user's group already or refused. With
another anchor, its links come first among the record's pairs (by kind and text, at the same instant); each ends either
joined or refused, and refused means that the anchor and the other one have two different users: so after them any two
of the record's identifiers are in one group or have two different users, and their own pair changes nothing. Only user
ids beside a user id keep their own links to contact data, for rule 2's sharing.

**Why user ids cut the graph.** They are labels: what is decided at one of a user's identifiers does not change what is
decided at another one. So a change reaches only what hangs together without passing through a user id, and a login
shared by thousands of devices costs no more than one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from leadup.types import EVER, NEVER, Identifier, Kind

Link: TypeAlias = "tuple[int, int, int]"
"""(strong, weak, at_us): two identifiers of one record, the one of stronger kind (then smaller text) first."""


class Share(NamedTuple):
    """A stretch [from_us, until_us) of an identifier's time, and the group that it belongs to."""

    from_us: int
    until_us: int
    group: int


@dataclass(frozen=True, slots=True)
class Division:
    """How identifiers divide among persons."""

    groups: list[int | None]
    """One per person: his user id's number, if he has one."""
    shares: dict[int, list[Share]]
    """For each identifier its whole time, cut among groups, in order."""
    shared: list[tuple[int, int]]
    """(contact identifier, user identifier): users who can be reached by what belongs first to another."""


def links_of(identifiers: Sequence[Identifier]) -> list[tuple[Identifier, Identifier]]:
    """Return the pairs (stronger, weaker) of one record's identifiers, strongest first, that have to be kept."""
    if len(identifiers) < 2:
        return []
    anchor, *others = identifiers
    users = [other for other in others if other.kind is Kind.USER_ID]
    if not users:
        return [(anchor, other) for other in others]
    weaker = others[len(users) :]
    contacts = [other for other in weaker if not other.kind.is_device]
    return [(anchor, other) for other in weaker] + [(user, contact) for user in users for contact in contacts]


def divide(known: Mapping[int, Identifier], links: Iterable[Link]) -> Division:
    """Divide identifiers among persons by the rules above.

    Args:
        known: every identifier to divide, by its number, with every user id that ``links`` name.
        links: all links among them, in any order.

    Returns:
        Equal divisions for equal input, in whatever order it comes, and however the identifiers are numbered.
    """
    seen = _sort_out(known, links)
    joins = _Joins()
    users = []
    for number in sorted(known):
        kind = known[number].kind
        if kind is Kind.USER_ID:
            users.append(number)
        elif kind.is_device:
            joins.add(number, *_segments(seen.logins.get(number, {})))
        else:
            joins.add(number, _ALL_TIME, [_first_user(known, seen.contacts.get(number, {}))])
    edges: dict[tuple[int, int], int] = {}
    for strong, weak, at_us in seen.others:
        pair = (joins.node(strong, at_us), joins.node(weak, at_us))
        if at_us < edges.get(pair, NEVER):
            edges[pair] = at_us
    for edge in _in_turn(known, joins, edges):
        joins.join(*edge)
    return Division(
        *_read_off(users, joins),
        sorted(
            (contact, user)
            for contact, by_user in seen.contacts.items()
            for user in by_user
            if user != _first_user(known, by_user)
        ),
    )


_ALL_TIME: Final[Sequence[int]] = (EVER,)


@dataclass(slots=True)
class _Seen:
    logins: dict[int, dict[int, int]]
    """Device -> instant -> the user who logged in on it."""
    contacts: dict[int, dict[int, int]]
    """Contact -> user -> the first instant they were seen together."""
    others: list[Link]


def _sort_out(known: Mapping[int, Identifier], links: Iterable[Link]) -> _Seen:
    seen = _Seen(defaultdict(dict), defaultdict(dict), [])
    users = {number for number, identifier in known.items() if identifier.kind is Kind.USER_ID}
    devices = {number for number, identifier in known.items() if identifier.kind.is_device}
    for link in links:
        strong, weak, at_us = link
        if strong not in users:
            seen.others.append(link)
        elif weak in devices:
            logins = seen.logins[weak]
            rival = logins.setdefault(at_us, strong)
            if rival != strong and known[strong].value < known[rival].value:
                logins[at_us] = strong
        else:
            by_user = seen.contacts[weak]
            if at_us < by_user.get(strong, NEVER):
                by_user[strong] = at_us
    return seen


def _first_user(known: Mapping[int, Identifier], by_user: Mapping[int, int]) -> int | None:
    return min(by_user, key=lambda user: (by_user[user], known[user].value), default=None)


def _segments(logins: Mapping[int, int]) -> tuple[Sequence[int], Sequence[int | None]]:
    """Return where a device's segments start, the first one at EVER, and the user of each."""
    if not logins:
        return _ALL_TIME, (None,)
    starts: list[int] = []
    users: list[int | None] = []
    for at_us, user in sorted(logins.items()):
        if not users or users[-1] != user:
            starts.append(at_us if users else EVER)
            users.append(user)
    return starts, users


@dataclass(slots=True)
class _Joins:
    """A union-find over nodes, which are contacts and segments of devices; a set has at most one user."""

    first: dict[int, int] = field(default_factory=dict)
    """Identifier -> its first node; the nodes of its other segments follow."""
    starts: dict[int, Sequence[int]] = field(default_factory=dict)
    """Identifier -> where its segments start."""
    identifier: list[int] = field(default_factory=list)
    """Node -> its identifier."""
    parent: list[int] = field(default_factory=list)
    user: list[int | None] = field(default_factory=list)
    """Root -> the user of the set."""

    def add(self, identifier: int, starts: Sequence[int], users: Sequence[int | None]) -> None:
        self.first[identifier] = node = len(self.parent)
        self.starts[identifier] = starts
        self.identifier.extend([identifier] * len(starts))
        self.parent.extend(range(node, node + len(starts)))
        self.user.extend(users)

    def node(self, identifier: int, at_us: int) -> int:
        starts = self.starts[identifier]
        return self.first[identifier] + (bisect_right(starts, at_us) - 1 if len(starts) > 1 else 0)

    def root(self, node: int) -> int:
        parent = self.parent
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    def join(self, a: int, b: int) -> None:
        a, b = self.root(a), self.root(b)
        one, other = self.user[a], self.user[b]
        if a == b or (one is not None and other is not None and one != other):
            return
        self.parent[b] = a
        self.user[a] = other if one is None else one


def _in_turn(
    known: Mapping[int, Identifier], joins: _Joins, edges: Mapping[tuple[int, int], int]
) -> list[tuple[int, int]]:
    """Return the edges in the order in which rule 3 joins them."""
    by_text = sorted(joins.first, key=lambda number: (known[number].kind.strength, known[number].value))
    rank = {number: place for place, number in enumerate(by_text)}
    devices = {number: known[number].kind.is_device for number in joins.first}

    def turn(edge: tuple[int, int]) -> tuple[int, int, int, int]:
        strong, weak = joins.identifier[edge[0]], joins.identifier[edge[1]]
        return devices[strong] + devices[weak], edges[edge], rank[strong], rank[weak]

    return sorted(edges, key=turn)


def _read_off(users: Sequence[int], joins: _Joins) -> tuple[list[int | None], dict[int, list[Share]]]:
    """Return the groups, one per user and one per set without a user, and the shares of all identifiers."""
    groups: list[int | None] = [*users]
    of_user = {user: place for place, user in enumerate(users)}
    of_root: dict[int, int] = {}
    shares = {user: [Share(EVER, NEVER, place)] for place, user in enumerate(users)}
    for number, node in joins.first.items():
        starts = joins.starts[number]
        ends = [*starts[1:], NEVER]
        shares[number] = mine = []
        for place, (from_us, until_us) in enumerate(zip(starts, ends, strict=True)):
            root = joins.root(node + place)
            user = joins.user[root]
            if user is None and root not in of_root:
                of_root[root] = len(groups)
                groups.append(None)
            mine.append(Share(from_us, until_us, of_root[root] if user is None else of_user[user]))
    return groups, shares
