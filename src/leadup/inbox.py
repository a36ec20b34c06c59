"""The inbox: what was sent to collectors, on disk before the sender is answered, until it is in the event log.

It is a SQLite file of its own, so that a long tick, which holds the state's write lock, never delays an answer. Bodies
are encrypted with the vault's key. Numbers are never used twice, and the inbox has a name that no other has: a cursor
of an inbox that was lost says nothing of its successor.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from leadup.clock import Clock
from leadup.errors import SettingsError, TryLater
from leadup.identity.vault import Vault
from leadup.kit import PushSource
from leadup.types import Cursor, Event, Fact, Incoming, Page, Rejected, from_us, to_us

FILE: Final = "inbox.db"
PAGE_REQUESTS: Final = 500
"""Requests read at once."""
PAGE_BYTES: Final = 8 << 20
"""A page ends with the request that makes it larger than this."""
FORGET: Final = 2_000
"""Requests deleted in one transaction, which holds up whoever waits for an answer."""
_VERSION: Final = 1
_TABLES: Final = """
CREATE TABLE requests (
  number INTEGER PRIMARY KEY AUTOINCREMENT, connection TEXT NOT NULL, received_us INTEGER NOT NULL, cipher BLOB NOT NULL
);
CREATE INDEX requests_by_connection ON requests (connection, number);
CREATE TABLE inbox (name TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request on its way into the inbox."""

    connection: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits of one connection."""

    requests: int
    oldest: datetime | None


class Inbox:
    """The file. Every method opens it anew, and may be called from any thread and process."""

    def __init__(self, path: Path, vault: Vault) -> None:
        self.path = path
        self._vault = vault

    def open(self) -> sqlite3.Connection:
        """Open the file, which is made when it is missing; whoever calls this closes it.

        Raises:
            SettingsError: a newer leadup has written it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            if not _version(connection):
                _create(connection)
            if _version(connection) == _VERSION:
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        raise SettingsError(
            f"{self.path} was written by a newer leadup.\n  What to do: run that version, or let it read what waits "
            "there, stop it, and delete the file."
        )

    def put(self, connection: sqlite3.Connection, batch: list[Sent], clock: Clock) -> int:
        """Add requests; return how many bytes larger the inbox is. One commit, after which they are on disk.

        They are received at the instant the write lock is held. So whoever holds it later than some instant sees all
        that was received before (:meth:`forget`).
        """
        ciphers = [self._vault.lock(json.dumps(dict(one.headers)).encode() + b"\n" + one.body) for one in batch]
        with _writing(connection):
            at = to_us(clock.now())
            rows = [(one.connection, at, cipher) for one, cipher in zip(batch, ciphers, strict=True)]
            connection.executemany("INSERT INTO requests (connection, received_us, cipher) VALUES (?, ?, ?)", rows)
        return sum(map(len, ciphers))

    def size(self) -> int:
        """Bytes that are held."""
        with closing(self.open()) as connection:
            return int(connection.execute("SELECT coalesce(sum(length(cipher)), 0) FROM requests").fetchone()[0])

    def backlog(self, connection: str, since: Cursor | None) -> Backlog:
        """Say what a connection has received after ``since``, the cursor that its source left."""
        with closing(self.open()) as opened:
            query = "SELECT count(*), min(received_us) FROM requests WHERE connection = ? AND number > ?"
            count, oldest = opened.execute(query, (connection, _number(since, _name(opened)))).fetchone()
        return Backlog(requests=count, oldest=None if oldest is None else from_us(oldest))

    def last(self) -> int:
        """The number of the last request that was ever received; 0 for none."""
        with closing(self.open()) as opened:
            row = opened.execute("SELECT seq FROM sqlite_sequence WHERE name = 'requests'").fetchone()
        return int(row[0]) if row else 0

    def kept(self, until: int) -> dict[str, int]:
        """How many requests up to number ``until`` are still kept, by connection."""
        with closing(self.open()) as opened:
            query = "SELECT connection, count(*) FROM requests WHERE number <= ? GROUP BY connection"
            return dict(opened.execute(query, (until,)).fetchall())

    def scrub(self) -> bool:
        """Empty the write-ahead log, which holds earlier contents; return whether nobody stood in the way."""
        with closing(self.open()) as opened:
            opened.execute("PRAGMA busy_timeout=1000")
            busy, _, _ = opened.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def forget(self, opened: sqlite3.Connection, connection: str, number: int) -> None:
        """Delete a connection's requests up to ``number``, which are in the event log. Ends holding no lock.

        It takes the write lock at least once: all that was received before this call can be seen after it.
        """
        gone = (
            "DELETE FROM requests WHERE number IN (SELECT number FROM requests WHERE connection = ? AND number <= ? "
            "ORDER BY number LIMIT ?)"
        )
        deleted = FORGET
        while deleted == FORGET:
            with _writing(opened):
                deleted = opened.execute(gone, (connection, number, FORGET)).rowcount

    def read(self, opened: sqlite3.Connection, connection: str, after: int, last: int, most: int) -> list[Incoming]:
        """Return a connection's next requests after number ``after`` and up to ``last``, at most ``most``.

        Raises:
            SettingsError: they were encrypted with another key.
        """
        query = (
            "SELECT number, received_us, cipher FROM requests WHERE connection = ? AND number > ? AND number <= ? "
            "ORDER BY number LIMIT ?"
        )
        name, size, found = _name(opened), 0, []
        with closing(opened.execute(query, (connection, after, last, most))) as rows:
            for number, received_us, cipher in rows:
                headers, _, body = self._vault.unlock(cipher).partition(b"\n")
                found.append(
                    Incoming(
                        connection=connection,
                        headers=json.loads(headers),
                        body=body,
                        received_at=from_us(received_us),
                        id=f"{name}-{number}",
                    )
                )
                size += len(body)
                if size >= PAGE_BYTES:
                    break
        return found


class InboxSource:
    """Reads a connection's requests out of the inbox, translated: the source of a connector that is pushed to.

    The cursor is the number of the last request that was read. A request is deleted when a pull begins after it, since
    then its page has been committed.
    """

    def __init__(self, connection: str, push: PushSource, inbox: Inbox, page_requests: int = PAGE_REQUESTS) -> None:
        self._connection = connection
        self._push = push
        self._inbox = inbox
        self._page_requests = page_requests

    def check(self) -> None:
        """Open the inbox; senders are not asked.

        Raises:
            SettingsError: a newer leadup has written it.
        """
        self._inbox.open().close()

    def pull(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        """Yield what was received before the call; the last page vouches for all that was received up to ``until``.

        Raises:
            SettingsError: the inbox was encrypted with another key.
            TryLater: its file can not be read or written now.
        """
        try:
            yield from self._pages(since, until)
        except sqlite3.Error as error:
            raise TryLater(f"The inbox {self._inbox.path} can not be read: {error}.") from error

    def _pages(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        with closing(self._inbox.open()) as opened:
            name = _name(opened)
            began = at = _number(since, name)
            self._inbox.forget(opened, self._connection, at)
            query = "SELECT coalesce(max(number), ?) FROM requests WHERE connection = ?"
            last = max(at, opened.execute(query, (at, self._connection)).fetchone()[0])
            more = True
            while more:
                requests = self._inbox.read(opened, self._connection, at, last, self._page_requests)
                at = int(requests[-1].id.rpartition("-")[2]) if requests else last
                more = at < last
                records: list[Event | Fact] = []
                rejected: list[Rejected] = []
                for request in requests:
                    told, refused = self._push.translate(request)
                    records += told
                    rejected += refused
                yield Page(
                    records=records,
                    rejected=rejected,
                    cursor={"inbox": name, "number": at},
                    more=more,
                    complete_until=None if more else until,
                    progress=(at - began) / (last - began) if last > began else 1.0,
                )


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _create(connection: sqlite3.Connection) -> None:
    with _writing(connection):
        if _version(connection):  # another process was faster
            return
        for statement in filter(str.strip, _TABLES.split(";")):
            connection.execute(statement)
        connection.execute("INSERT INTO inbox VALUES (?)", (secrets.token_hex(4),))
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def _name(connection: sqlite3.Connection) -> str:
    return str(connection.execute("SELECT name FROM inbox").fetchone()[0])


def _number(since: Cursor | None, name: str) -> int:
    """The number that a cursor of this inbox says; 0 for one of another."""
    number = since.get("number") if since and since.get("inbox") == name else 0
    return number if isinstance(number, int) else 0
