"""What one page has to know of identifiers: their numbers, their texts, when they were first seen, who owned them."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, update

from leadup.identity.bulk import among, next_numbers
from leadup.state.tables import identifiers, spans
from leadup.types import Identifier, Kind

_COLUMNS = identifiers.c.id, identifiers.c.kind, identifiers.c.value, identifiers.c.first_us
_KIND: Final = {kind.value: kind for kind in Kind}


class Sighting(NamedTuple):
    """Identifiers that one record carried."""

    identifiers: Sequence[Identifier]
    """Sealed: in normal form, deduplicated, strongest first (:func:`leadup.identity.seal.seal`)."""
    at_us: int
    """The record's instant in microseconds."""


class Stretch(NamedTuple):
    """A stretch [from_us, until_us) of an identifier's time, and its owner."""

    from_us: int
    until_us: int
    person: int


def owner_at(stretches: Sequence[Stretch], at_us: int) -> int:
    """Return the owner at an instant; ``stretches`` are all of an identifier's, by time."""
    if len(stretches) == 1:
        return stretches[0].person
    return stretches[bisect_right(stretches, at_us, key=lambda stretch: stretch.from_us) - 1].person


def stretches_of(connection: Connection, numbers: Iterable[int]) -> dict[int, list[Stretch]]:
    """Return for each identifier all its stretches, by time; an unknown one is left out."""
    found: dict[int, list[Stretch]] = defaultdict(list)
    columns = spans.c.identifier, spans.c.from_us, spans.c.until_us, spans.c.person
    query = select(*columns).where(spans.c.identifier.in_(among(numbers))).order_by(spans.c.identifier, spans.c.from_us)
    for number, from_us, until_us, person in connection.execute(query).all():
        found[number].append(Stretch(from_us, until_us, person))
    return dict(found)


class Register:
    """Identifiers by number, as far as this page concerns them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.numbers: dict[Identifier, int] = {}
        self.known: dict[int, Identifier] = {}
        self.first_us: dict[int, int] = {}
        self.owners: dict[int, list[Stretch]] = {}
        """As stored before the page, or as just settled. An identifier that nobody has owned yet is not in it."""
        self.fresh: list[int] = []
        """Identifiers that this page brought."""
        self.soiled: set[int] = set()
        """Persons about whom something changed."""

    def enrol(self, sightings: Sequence[Sighting]) -> None:
        """Make sure that every identifier has a number, and that the first sight of it is stored."""
        first: dict[Identifier, int] = {}
        for seen, at_us in sightings:
            for identifier in seen:
                if at_us < first.get(identifier, at_us + 1):
                    first[identifier] = at_us
        earlier = self._find(first)
        if earlier:
            lower = update(identifiers).where(identifiers.c.id == bindparam("number"))
            self.connection.execute(lower.values(first_us=bindparam("earlier_us")), earlier)
        self.owners = stretches_of(self.connection, self.known)
        self.soiled.update(stretch.person for row in earlier for stretch in self.owners[row["number"]])
        self._add({identifier: at_us for identifier, at_us in first.items() if identifier not in self.numbers})

    def _find(self, first: Mapping[Identifier, int]) -> list[dict[str, int]]:
        """Learn the identifiers that are stored; return those now seen earlier, as rows to write."""
        values: dict[Kind, list[str]] = defaultdict(list)
        for identifier in first:
            values[identifier.kind].append(identifier.value)
        earlier = []
        for kind, texts in values.items():
            query = select(*_COLUMNS).where(identifiers.c.kind == kind.value, identifiers.c.value.in_(among(texts)))
            for number, _, value, first_us in self.connection.execute(query).all():
                identifier = Identifier(kind, value)
                at_us = first[identifier]
                self._learn(number, identifier, min(first_us, at_us))
                if at_us < first_us:
                    earlier.append({"number": number, "earlier_us": at_us})
        return earlier

    def _add(self, first: Mapping[Identifier, int]) -> None:
        rows = []
        for number, (identifier, at_us) in zip(
            next_numbers(self.connection, identifiers.c.id, len(first)), first.items(), strict=True
        ):
            rows.append({"id": number, "kind": identifier.kind.value, "value": identifier.value, "first_us": at_us})
            self._learn(number, identifier, at_us)
            self.fresh.append(number)
        if rows:
            self.connection.execute(insert(identifiers), rows)

    def look_up(self, numbers: Iterable[int]) -> None:
        """Learn stored identifiers by their numbers, and who owned them so far."""
        unknown = [number for number in numbers if number not in self.known]
        if not unknown:
            return
        query = select(*_COLUMNS).where(identifiers.c.id.in_(among(unknown)))
        for number, kind, value, first_us in self.connection.execute(query).all():
            self._learn(number, Identifier(_KIND[kind], value), first_us)
        self.owners.update(stretches_of(self.connection, unknown))

    def _learn(self, number: int, identifier: Identifier, first_us: int) -> None:
        self.numbers[identifier] = number
        self.known[number] = identifier
        self.first_us[number] = first_us
