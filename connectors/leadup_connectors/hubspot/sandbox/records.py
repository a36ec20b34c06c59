"""The records of one object type: values, when they changed, and what was before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from leadup_connectors.hubspot.sandbox.answers import Now, stamp
from leadup_connectors.hubspot.sandbox.properties import Properties

KEPT = 100
"""How many replaced values of a record are kept."""


@dataclass(slots=True)
class Life:
    """When a record came and changed."""

    created: datetime
    updated: datetime
    archived: datetime | None = None
    replaced: list[tuple[datetime, datetime, str, str | None]] = field(default_factory=list)
    """Per change, oldest first: when, the change before it, the property, and the value it had (None: none)."""


class Records:
    """Records by id. ``modified`` is how this object type calls the instant of the last change."""

    def __init__(self, now: Now, ids: Iterator[int], group: str, label: str, modified: str) -> None:
        self.values: dict[str, dict[str, str]] = {}
        """Properties by record id; the instants of creation and last change stand in ``lives``."""
        self.lives: dict[str, Life] = {}
        self.archived: dict[str, dict[str, str]] = {}
        self.properties = Properties(group, label, self._index)
        self.modified = modified
        self.now, self._ids = now, ids
        self.version, self.latest = 0, datetime.min.replace(tzinfo=UTC)
        """How many changes there were, and when the latest one was or will be."""
        self._found: dict[str, dict[str, str]] = {}
        """Per unique property: its values, and whose they are."""
        self.properties.define("hs_object_id", "number", unique=True, read_only=True)
        for name in ("createdate", modified):
            self.properties.define(name, "datetime", read_only=True)

    def __contains__(self, record: object) -> bool:
        return record in self.values

    def add(self, values: Mapping[str, str], at: datetime | None = None) -> str:
        """Create a record and return its id; properties that are not there become text properties."""
        for name in values.keys() - self.properties.known.keys():
            self.properties.define(name)
        record, at = str(next(self._ids)), at or self.now()
        self.lives[record] = Life(at, at)
        self._changed(at)
        self.values[record] = {}
        for name, value in {**values, "hs_object_id": record}.items():
            if value:
                self._set(record, name, self.properties.stored(name, value))
        return record

    def write(self, record: str, values: Mapping[str, str], at: datetime | None = None) -> None:
        """Set properties; "" stays of a value that is taken away.

        The record counts as changed, even if nothing is different.
        """
        life, at = self.lives[record], at or self.now()
        self._changed(at)
        for name, value in values.items():
            before = self.values[record].get(name)
            life.replaced.append((at, life.updated, name, before))
            self._set(record, name, self.properties.stored(name, value, before or ""))
        del life.replaced[:-KEPT]
        life.updated = at

    def archive(self, record: str) -> None:
        """Delete a record; it is still listed among the archived ones."""
        self.forget(record)
        self.lives[record].archived = self.now()
        self.archived[record] = self.values.pop(record)

    def find(self, by: str, key: str) -> str | None:
        """Return the living record with this value of a unique property."""
        if by == "hs_object_id":
            return key if key in self.values else None
        return self._found.get(by, {}).get(self.properties.stored(by, key))

    def alias(self, by: str, key: str, record: str) -> None:
        """Let a further value find a record."""
        self._found[by][key] = record

    def forget(self, record: str) -> None:
        """Let no value find this record any more."""
        self._changed(self.now())
        for by, found in self._found.items():
            for key in [self.values[record].get(by, ""), *self.aliases(by, record)]:
                if found.get(key) == record:
                    del found[key]

    def aliases(self, _by: str, _record: str) -> list[str]:
        """Return further values of a unique property that find a record."""
        return []

    def value(self, record: str, name: str) -> str | None:
        """Return a property of a record, be it archived."""
        if name == "createdate" and name not in self._of(record):
            return stamp(self.lives[record].created)
        if name == self.modified:
            return stamp(self.lives[record].updated)
        return self._of(record).get(name)

    def as_of(self, record: str, at: datetime) -> tuple[dict[str, str], datetime] | None:
        """Return what a living record held at an instant and when that had last changed; None: it was not there."""
        life, values = self.lives[record], self.values[record]
        if life.created > at:
            return None
        if life.updated <= at:
            return values, life.updated
        values, updated = dict(values), life.updated
        for when, earlier, name, before in reversed(life.replaced):
            if when <= at:
                break
            values.pop(name, None)
            if before is not None:
                values[name] = before
            updated = earlier
        return values, updated

    def _of(self, record: str) -> Mapping[str, str]:
        return self.values[record] if record in self.values else self.archived[record]

    def _set(self, record: str, name: str, value: str) -> None:
        values, found = self.values[record], self._found.get(name)
        if found is not None and found.get(values.get(name, "")) == record:
            del found[values[name]]
        values[name] = value
        if found is not None and value:
            found[value] = record

    def _changed(self, at: datetime) -> None:
        self.version, self.latest = self.version + 1, max(self.latest, at)

    def _index(self, name: str) -> None:
        if name != "hs_object_id":
            self._found[name] = {values[name]: record for record, values in self.values.items() if values.get(name)}
