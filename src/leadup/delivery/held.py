"""What a vendor holds, and where the book is wrong about that: on disk, since it may be of everybody."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from typing import Any, Final

from leadup.delivery.remote import Pair
from leadup.state.store import chunks
from leadup.types import Json

_AT_ONCE: Final = 5_000
_EXCUSE: Final = """
DELETE FROM drifts
WHERE now <> '[]' AND NOT EXISTS (
  SELECT 1 FROM json_each(now) AS one, held
  ON kind = json_extract(one.value, '$[0]') AND held.value = json_extract(one.value, '$[1]')
  WHERE NOT known)
RETURNING what
"""


@dataclass(frozen=True, slots=True)
class Drift:
    """One row of the book that is not as the vendor has it."""

    subject: str
    person: int
    what: str
    """A :class:`leadup.delivery.drift.What`."""
    code: str
    """Of somebody who is missing: why, as far as that is known."""
    number: int
    sent: int | None
    """As the book had them: what has changed since is left alone."""
    now: str
    """As JSON, the identifiers by which he is found there now; of a value, those of his records that hold another."""
    wrote: str = "null"
    """As JSON, the value that should stand there."""
    there: str = "[]"
    """As JSON, the values that do, record by record."""

    @classmethod
    def of(
        cls, row: Mapping[str, Any], what: str, code: str, now: Iterable[Pair], wrote: Json = None, there: Json = ()
    ) -> Drift:
        """Note what is wrong with a row of the book."""
        return cls(
            subject=row["subject"],
            person=row["person"],
            what=what,
            code=code,
            number=row["number"],
            sent=row["sent"],
            now=json.dumps(list(now)),
            wrote=json.dumps(wrote),
            there=json.dumps(there),
        )

    @property
    def identifiers(self) -> set[Pair]:
        """What :attr:`now` names."""
        return {(kind, value) for kind, value in json.loads(self.now)}


class Held:
    """A scratch database of SQLite's own, which keeps in memory what fits into its cache and is gone when closed."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute("PRAGMA journal_mode=OFF")  # nothing in it is ever taken back
        database.execute("BEGIN")
        database.execute("CREATE TABLE held (kind, value, known DEFAULT 0, PRIMARY KEY (kind, value)) WITHOUT ROWID")
        columns = ", ".join(field.name for field in fields(Drift))
        database.execute(f"CREATE TABLE drifts ({columns}, PRIMARY KEY (subject)) WITHOUT ROWID")

    def add(self, members: Iterable[Pair]) -> None:
        """Take in members; one who is told twice is one."""
        for part in chunks(members, _AT_ONCE):
            self._database.executemany("INSERT OR IGNORE INTO held (kind, value) VALUES (?, ?)", part)

    def among(self, pairs: Collection[Pair]) -> set[Pair]:
        """Return those of these identifiers that are members, who are known from now on."""
        know = "UPDATE held SET known = 1 WHERE kind = ? AND value = ? RETURNING 1"
        return {pair for pair in pairs if self._database.execute(know, pair).fetchall()}

    def size(self) -> tuple[int, int]:
        """Count the members, and those of them who are not known."""
        count, known = self._database.execute("SELECT count(*), coalesce(sum(known), 0) FROM held").fetchone()
        return count, count - known

    def note(self, drifts: Collection[Drift]) -> None:
        """Keep drifts."""
        self._database.executemany("INSERT INTO drifts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", map(astuple, drifts))

    def excuse(self) -> Iterator[str]:
        """Forget the drifts whose identifiers are all known, if they have any; yield what each of them was."""
        yield from (what for (what,) in self._database.execute(_EXCUSE))

    def drifts(self) -> Iterator[Drift]:
        """Yield the drifts, by subject."""
        for row in self._database.execute("SELECT * FROM drifts ORDER BY subject"):
            yield Drift(*row)


@contextmanager
def scratch() -> Iterator[Held]:
    """Open a scratch database of its own, which nobody else can see."""
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        yield Held(database)
