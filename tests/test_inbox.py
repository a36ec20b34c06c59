"""The inbox: numbers, names, cursors, what is forgotten when, and what the last page vouches for."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from collecting import NOON
from leadup.clock import FrozenClock
from leadup.errors import SettingsError, TryLater
from leadup.identity.vault import Vault, load_key
from leadup.inbox import FORGET, PAGE_BYTES, Inbox, InboxSource, Sent
from leadup.types import Cursor, Event, Fact, Identifier, Incoming, Kind, Page, Rejected


class Names:
    """A push source whose bodies are the ids of its events."""

    keeps = frozenset({"x-kept"})

    def admit(self, request: Incoming) -> None:
        return

    def translate(self, request: Incoming) -> tuple[Sequence[Event | Fact], Sequence[Rejected]]:
        key = request.body[:20].decode()
        who = (Identifier(Kind.USER_ID, "u1"),)
        properties = {"kept": request.headers.get("x-kept"), "request": request.id}
        return [Event(source="c", id=key, name="e", at=request.received_at, identifiers=who, properties=properties)], []


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOON)


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox.db", load_key(tmp_path, {}))


def send(inbox: Inbox, clock: FrozenClock, *keys: str, to: str = "c", filling: int = 0) -> None:
    with closing(inbox.open()) as connection:
        inbox.put(
            connection, [Sent(to, {"x-kept": "yes"}, f"{key:<20}".encode() + b"." * filling) for key in keys], clock
        )


def pull(inbox: Inbox, since: Cursor | None = None, *, size: int = 500, to: str = "c") -> list[Page]:
    return list(InboxSource(to, Names(), inbox, size).pull(since, NOON))


def keys(pages: Sequence[Page]) -> list[str]:
    return [one.id.strip() for page in pages for one in page.records if isinstance(one, Event)]


def held(tmp_path: Path) -> list[int]:
    with closing(sqlite3.connect(tmp_path / "inbox.db")) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM requests ORDER BY number")]


def test_only_what_was_committed_is_forgotten(inbox: Inbox, clock: FrozenClock, tmp_path: Path) -> None:
    send(inbox, clock, *"abcde")
    first, second, third = pull(inbox, size=2)
    assert keys([first, second, third]) == [*"abcde"]
    assert held(tmp_path) == [1, 2, 3, 4, 5], "that it was read says nothing"
    assert keys(pull(inbox, first.cursor)) == [*"cde"]
    assert held(tmp_path) == [3, 4, 5]
    assert keys(pull(inbox, third.cursor)) == []
    assert held(tmp_path) == []


def test_numbers_are_never_used_again(inbox: Inbox, clock: FrozenClock, tmp_path: Path) -> None:
    send(inbox, clock, *"ab")
    (page,) = pull(inbox)
    pull(inbox, page.cursor)
    assert held(tmp_path) == []
    send(inbox, clock, "c")
    assert held(tmp_path) == [3]
    assert keys(pull(inbox, page.cursor)) == ["c"]


def test_a_cursor_of_an_inbox_that_was_lost_hides_nothing_of_the_next(
    inbox: Inbox, clock: FrozenClock, tmp_path: Path
) -> None:
    send(inbox, clock, *"abc")
    (page,) = pull(inbox)
    lost = [one.properties["request"] for one in page.records if isinstance(one, Event)]
    for path in tmp_path.glob("inbox.db*"):
        path.unlink()
    send(inbox, clock, *"de")
    (fresh,) = pull(inbox, page.cursor)
    assert keys([fresh]) == [*"de"]
    assert not {one.properties["request"] for one in fresh.records if isinstance(one, Event)}.intersection(lost)


def test_connections_are_apart(inbox: Inbox, clock: FrozenClock, tmp_path: Path) -> None:
    send(inbox, clock, "a")
    send(inbox, clock, "b", to="other")
    send(inbox, clock, "c")
    (page,) = pull(inbox)
    assert keys([page]) == [*"ac"]
    pull(inbox, page.cursor)
    assert held(tmp_path) == [2]
    assert inbox.backlog("other", None).requests == 1
    assert inbox.backlog("c", page.cursor).requests == 0


def test_the_backlog_is_what_was_not_committed(inbox: Inbox, clock: FrozenClock) -> None:
    assert (inbox.backlog("c", None).requests, inbox.backlog("c", None).oldest) == (0, None)
    send(inbox, clock, *"ab")
    clock.advance(timedelta(hours=1))
    send(inbox, clock, "c")
    first, *_ = pull(inbox, size=2)
    assert inbox.backlog("c", None).requests == 3
    assert inbox.backlog("c", None).oldest == NOON
    assert inbox.backlog("c", first.cursor).requests == 1
    assert inbox.backlog("c", first.cursor).oldest == NOON + timedelta(hours=1)


def test_a_page_has_its_limit_in_bytes_too(inbox: Inbox, clock: FrozenClock) -> None:
    send(inbox, clock, *"abc", filling=PAGE_BYTES // 2)
    assert [len(page.records) for page in pull(inbox)] == [2, 1]


def test_more_than_is_forgotten_at_once(inbox: Inbox, clock: FrozenClock, tmp_path: Path) -> None:
    send(inbox, clock, *map(str, range(FORGET + 5)))
    *_, last = pull(inbox)
    pull(inbox, last.cursor)
    assert held(tmp_path) == []


def test_what_is_kept_of_a_request(inbox: Inbox, clock: FrozenClock) -> None:
    send(inbox, clock, "a")
    ((found,),) = (page.records for page in pull(inbox))
    assert isinstance(found, Event)
    assert (found.properties["kept"], found.at) == ("yes", NOON)
    assert str(found.properties["request"]).endswith("-1")


class Held(FrozenClock):
    """A clock that stops whoever asks it, once: a writer between two moments."""

    def __init__(self) -> None:
        super().__init__(NOON)
        self.asked, self.go = threading.Event(), threading.Event()

    def now(self) -> datetime:
        self.asked.set()
        assert self.go.wait(60)
        return super().now()


def test_the_last_page_has_all_that_was_received_before(inbox: Inbox, tmp_path: Path) -> None:
    """A writer that has its instant but has not committed yet is waited for."""
    clock = Held()
    writer = threading.Thread(target=send, args=(inbox, clock, "a"))
    writer.start()
    assert clock.asked.wait(60)
    found: list[Page] = []
    reader = threading.Thread(target=lambda: found.extend(pull(inbox)))
    reader.start()
    reader.join(0.2)
    assert reader.is_alive(), "it waits for the writer"
    clock.go.set()
    writer.join(60)
    reader.join(60)
    assert keys(found) == ["a"]
    assert found[-1].complete_until == NOON


def test_bodies_and_headers_are_encrypted(inbox: Inbox, clock: FrozenClock, tmp_path: Path) -> None:
    with closing(inbox.open()) as connection:
        inbox.put(connection, [Sent("c", {"x-kept": "not-to-be-seen"}, b"ada@example.com")], clock)
    data = b"".join(path.read_bytes() for path in tmp_path.glob("inbox.db*"))
    assert b"example.com" not in data
    assert b"not-to-be-seen" not in data


def test_another_key_is_told_and_nothing_is_lost(inbox: Inbox, clock: FrozenClock, tmp_path: Path) -> None:
    send(inbox, clock, "a")
    other = Inbox(tmp_path / "inbox.db", Vault(Fernet.generate_key().decode()))
    with pytest.raises(SettingsError, match="encrypted with another key"):
        pull(other)
    assert keys(pull(inbox)) == ["a"]


def test_a_file_of_a_newer_version_is_not_touched(inbox: Inbox, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "inbox.db")) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(SettingsError, match="written by a newer leadup"):
        InboxSource("c", Names(), inbox).check()


def test_a_file_that_can_not_be_read_is_tried_again_later(inbox: Inbox, clock: FrozenClock, tmp_path: Path) -> None:
    send(inbox, clock, "a")
    with closing(sqlite3.connect(tmp_path / "inbox.db")) as connection:
        connection.execute("ALTER TABLE requests RENAME TO elsewhere")
        with pytest.raises(TryLater, match=r"inbox.db can not be read: no such table"):
            pull(inbox)
        connection.execute("ALTER TABLE elsewhere RENAME TO requests")
    assert keys(pull(inbox)) == ["a"]


def test_the_cursor_is_json(inbox: Inbox, clock: FrozenClock) -> None:
    send(inbox, clock, "a")
    (page,) = pull(inbox)
    assert json.loads(json.dumps(page.cursor)) == page.cursor
