"""The collector's door over real sockets: who is let in, what is taken, and what each sender hears."""

from __future__ import annotations

import gzip
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from collecting import SECRET, Door, post, record
from installation import wait_for
from leadup.errors import SettingsError
from leadup.types import Event

OTHER = "another-secret-for-the-change"
LIMIT = 4096


@pytest.fixture(scope="module")
def one_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with Door(tmp_path_factory.mktemp("door"), web={"max_body": LIMIT}) as opened:
        yield opened


@pytest.fixture
def door(one_door: Door) -> Door:
    return one_door.anew()


def ids(door: Door) -> list[str]:
    records, rejected = door.read()
    assert rejected == []
    return [record.id for record in records if isinstance(record, Event)]


def test_what_is_acknowledged_is_there(door: Door) -> None:
    assert door.post(record("e1"))[::2] == (204, "")
    assert ids(door) == ["e1"]
    assert door.arrivals, "the daemon is told"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ([record("a"), record("b")], ["a", "b"]),
        ([], []),
        (b"\n".join(json.dumps(record(key)).encode() for key in "abc") + b"\r\n", ["a", "b", "c"]),
        (json.dumps(record("a"), indent=2).encode(), ["a"]),
        (b"\xef\xbb\xbf" + json.dumps(record("a")).encode(), ["a"]),
    ],
    ids=["array", "empty array", "ndjson", "over several lines", "byte order mark"],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_shapes_of_a_body(door: Door, body: Any, found: list[str], packed: bool) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    how = {"Content-Encoding": "gzip"} if packed else {}
    assert door.post(gzip.compress(data) if packed else data, how).status == 204
    assert ids(door) == found


def test_a_duplicate_is_taken_again(door: Door) -> None:
    assert [door.post(record("e1")).status for _ in range(3)] == [204] * 3


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET + "x", SECRET[:-1], "ümlaut"])
def test_without_the_secret_nothing_is_taken(door: Door, secret: str | None) -> None:
    answer = door.post(record("e1"), secret=secret)
    assert answer.status == 401
    assert json.loads(answer.text)["detail"].startswith("The secret is missing or wrong.")
    assert ids(door) == []


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_a_bearer_token_is_the_secret_too(door: Door, scheme: str) -> None:
    assert door.post(record("e1"), {"Authorization": f"{scheme} {SECRET}"}, secret=None).status == 204
    assert door.post(record("e1"), {"Authorization": f"Basic {SECRET}"}, secret=None).status == 401


def test_two_secrets_live_while_they_change(tmp_path: Path) -> None:
    with Door(tmp_path, secret=OTHER, secret_before=SECRET, header="X-Key") as door:
        given = [door.post(record(), {"X-Key": key}, secret=None).status for key in (SECRET, OTHER, "neither of them")]
    assert given == [204, 204, 401]


def test_a_secret_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fewer than 16 characters") as caught:
        Door(tmp_path, secret="hunter2")
    assert "hunter2" not in caught.value.errors(include_input=False)[0]["msg"]  # type: ignore[attr-defined]


def test_a_body_that_says_that_it_is_too_large(door: Door) -> None:
    answer = door.post(b" " * (LIMIT + 1))
    assert answer.status == 413
    assert "4,096 bytes" in answer.text
    assert door.post(json.dumps(record("e1")).encode().ljust(LIMIT)).status == 204


@pytest.mark.parametrize("times", [2, 100], ids=["a little", "much too much"])
def test_a_body_that_does_not_say_how_large_it_is(door: Door, times: int) -> None:
    if times == 2:
        assert door.post(iter([b" " * LIMIT] * times)).status == 413
    else:  # whoever does not stop is cut off, and may not hear why
        with suppress(OSError):
            assert door.post(iter([b" " * LIMIT] * times)).status == 413
    assert ids(door) == []


def test_a_bomb_is_not_unpacked(door: Door) -> None:
    bomb = gzip.compress(b"[" + b" " * 2_000_000 + b"]")
    assert len(bomb) < LIMIT
    answer = door.post(bomb, {"Content-Encoding": "gzip"})
    assert answer.status == 413
    assert "when it is unpacked" in answer.text


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "The body is empty."),
        (b"{", "Not JSON: "),
        (b'{"a": 1}}', "Not JSON: Extra data (column 9)"),
        (b'{"a": 1,\n "b": }', "Not JSON: Expecting value"),
        (b"a=1&b=2", "Not JSON: "),
        (b'[{"a": 1}, {]', "Not JSON: "),
        (b'{"a": NaN}', "Not JSON: NaN is no number"),
        (b'{"a": 1e999}', "is too large"),
        (b'{"a": "\xff"}', "Byte 8 of the body is not UTF-8."),
        (b'{"a": ' + b"[" * 20 + b"]" * 20 + b"}", "Nested deeper than 20 levels."),
        (b"[" * 2_000 + b"]" * 2_000, "Nested deeper than 21 levels."),
    ],
)
def test_what_is_not_json_is_told_so(door: Door, body: bytes, reason: str) -> None:
    answer = door.post(body)
    assert answer.status == 400
    assert reason in json.loads(answer.text)["detail"]
    assert ids(door) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"no gzip at all", 400),
        (gzip.compress(b"{}", mtime=0)[:-1], 400),
        (gzip.compress(b"{}", mtime=0) + b"more", 400),
        (gzip.compress(b"{", mtime=0), 400),
    ],
    ids=["not gzip", "cut short", "something behind it", "not JSON within"],
)
def test_broken_gzip(door: Door, body: bytes, status: int) -> None:
    assert door.post(body, {"Content-Encoding": "gzip"}).status == status


def test_packed_otherwise(door: Door) -> None:
    assert door.post(b"{}", {"Content-Encoding": "br"}).status == 415


@pytest.mark.parametrize("body", [5, "text", None, {}, {"unknown": {"topic": 1}}, [1, None, {"name": 5}]])
def test_json_that_says_nothing_is_taken_and_shown_as_rejected(door: Door, body: Any) -> None:
    assert door.post(body).status == 204
    records, rejected = door.read()
    assert records == []
    assert [one.line for one in rejected] == list(range(1, len(body) + 1 if isinstance(body, list) else 2))


def test_one_bad_record_costs_only_itself(door: Door) -> None:
    assert door.post([record("a"), {"name": "no time, nobody"}, record("b")]).status == 204
    assert door.post(b'{"name": "x", "identifiers": {"user_id": "u"}, "id": "c"}\n{broken\n').status == 204
    records, rejected = door.read()
    assert [one.id for one in records if isinstance(one, Event)] == ["a", "b", "c"]
    assert [(one.line, one.text) for one in rejected] == [(2, '{"name": "no time, nobody"}'), (2, "{broken")]
    assert rejected[0].reason == "no identifier: a row that names nobody can not join a person"
    assert rejected[0].place != rejected[1].place


def test_other_doors(door: Door) -> None:
    url = door.server.url
    assert post(f"{url}/collect/nobody", record("e1")).status == 404
    assert post(f"{url}/", record("e1")).status == 404
    assert post(f"{url}/collect/{door.connection}/", record("e1")).status == 404, (
        "and no redirect, which senders do not follow"
    )
    for method in ("GET", "PUT", "OPTIONS"):
        answer = post(f"{url}/collect/{door.connection}", b"", method=method)
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert post(f"{url}/healthz", b"", method="GET")[::2] == (200, "ok\n")


def test_a_full_inbox_puts_senders_off_until_it_was_read(tmp_path: Path) -> None:
    big = record(properties={"text": "x" * 30_000})
    with Door(tmp_path, web={"max_inbox": 1 << 16}) as door:
        statuses = [door.post({**big, "id": str(n)}).status for n in range(4)]
        assert statuses == [204, 204, 429, 429]
        answer = door.post(record("later"))
        assert answer.headers["retry-after"] == "10"
        assert "The inbox is full" in answer.text
        (page,) = door.source().pull(None, door.clock.now())
        list(door.source().pull(page.cursor, door.clock.now()))
        wait_for(lambda: door.post(record("later")).status == 204, "there is room again")


def test_an_inbox_that_can_not_be_written_loses_nothing_in_silence(door: Door) -> None:
    assert door.post(record("before")).status == 204
    with closing(sqlite3.connect(door.folder / "inbox.db")) as disk:
        disk.execute("ALTER TABLE requests RENAME TO elsewhere")
        answer = door.post(record("e1"))
        assert (answer.status, answer.headers["retry-after"]) == (503, "10")
        disk.execute("ALTER TABLE elsewhere RENAME TO requests")
    assert door.post(record("e1")).status == 204
    assert ids(door) == ["before", "e1"]


def test_nobody_is_answered_before_the_commit(door: Door) -> None:
    statuses: list[int] = []
    sender = threading.Thread(target=lambda: statuses.append(door.post(record("e1")).status))
    with closing(sqlite3.connect(door.folder / "inbox.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        sender.start()
        sender.join(0.3)
        assert statuses == []
        other.execute("ROLLBACK")
    sender.join(60)
    assert statuses == [204]
    assert ids(door) == ["e1"]


def test_secrets_and_addresses_are_written_nowhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    personal = record("e1", identifiers={"email": "ada@example.com"})
    with capture_logs() as logged, Door(tmp_path) as door:
        assert door.post(personal).status == 204
        assert door.post(personal, secret="wrong-" + SECRET).status == 401
        assert door.post(b'{"email": "ada@example.com", "at": }').status == 400
        assert door.post([personal, {"name": "ada@example.com"}]).status == 204
        kept = b"".join(path.read_bytes() for path in tmp_path.glob("inbox.db*"))
    assert [one["status"] for one in logged if one["event"] == "turned away"] == [401, 400]
    said = "".join(capfd.readouterr()) + caplog.text + str(logged)
    for secret in ("ada@", "example.com", SECRET):
        assert secret not in said
        assert secret.encode() not in kept


def test_many_at_once_share_commits_and_lose_nothing(door: Door) -> None:
    statuses: list[int] = []

    def send(sender: int) -> None:
        statuses.extend(door.post(record(f"{sender}-{n}")).status for n in range(20))

    senders = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for one in senders:
        one.start()
    for one in senders:
        one.join()
    assert statuses == [204] * 160
    found = ids(door)
    assert len(found) == len(set(found)) == 160
    assert len(door.arrivals) <= 160


def test_a_stop_finishes_what_is_under_way(tmp_path: Path) -> None:
    body = json.dumps(record("e1")).encode()
    with Door(tmp_path) as door:
        host, _, port = door.server.url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as line:
            head = f"POST /collect/feed HTTP/1.1\r\nHost: x\r\nX-Webhook-Secret: {SECRET}\r\n"
            line.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:10])
            wait_for(lambda: post(f"{door.server.url}/healthz", b"", method="GET").status == 200, "it was heard")
            stopping = threading.Thread(target=door.server.stop)
            stopping.start()
            line.sendall(body[10:])
            assert line.recv(1000).startswith(b"HTTP/1.1 204")
            stopping.join(30)
        assert not stopping.is_alive()
        with pytest.raises(ConnectionRefusedError):
            door.post(record("e2"))
        assert ids(door) == ["e1"]


def test_a_sender_that_goes_away_leaves_nothing_behind(door: Door) -> None:
    host, _, port = door.server.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as line:
        head = f"POST /collect/{door.connection} HTTP/1.1\r\nHost: x\r\nX-Webhook-Secret: {SECRET}\r\n"
        line.sendall(f"{head}Content-Length: 100\r\n\r\n".encode() + b'{"id": 1')
    assert door.post(record("e2")).status == 204
    assert ids(door) == ["e2"]


def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"web.listen: 127.0.0.1:{port} can not be listened at"):
            Door(tmp_path, web={"listen": f"127.0.0.1:{port}"}).server.start()


def test_it_answers_at_once(door: Door) -> None:
    """Told, never judged: machines differ."""
    began = time.perf_counter()
    for n in range(20):
        assert door.post(record(str(n))).status == 204
    print(f"one after the other: {(time.perf_counter() - began) / 20 * 1000:.1f} ms each")  # noqa: T201
