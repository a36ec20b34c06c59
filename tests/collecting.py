"""A collector's door for tests: the server on loopback, its inbox, and a plain HTTP client."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import SecretStr

from leadup.clock import FrozenClock
from leadup.identity.vault import load_key
from leadup.inbox import Inbox, InboxSource
from leadup.settings import WebSettings
from leadup.types import Event, Fact, Rejected
from leadup.web.server import WebServer
from leadup_connectors.collector.push import Collector
from leadup_connectors.collector.settings import CollectorSettings

SECRET = "a-secret-that-is-long-enough"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Answer(NamedTuple):
    """What a sender hears."""

    status: int
    headers: Mapping[str, str]
    text: str


def post(
    url: str,
    body: bytes | Iterable[bytes] | Any,
    headers: Mapping[str, str] | None = None,
    *,
    secret: str | None = SECRET,
    method: str = "POST",
) -> Answer:
    """Send a body: bytes as they are, an iterator in chunks without a length, anything else as JSON."""
    parts = urlsplit(url)
    shown = {} if secret is None else {"X-Webhook-Secret": secret}
    if not isinstance(body, bytes) and not hasattr(body, "__next__"):
        body = json.dumps(body).encode()
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        line.request(method, parts.path, body, {**shown, **(headers or {})}, encode_chunked=not isinstance(body, bytes))
        answer = line.getresponse()
        names = {key.lower(): value for key, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read().decode())
    finally:
        line.close()


class Door:
    """The collector of one connection, ``feed``, at a frozen clock. Use as a context manager."""

    def __init__(self, folder: Path, *, web: Mapping[str, Any] | None = None, **how: Any) -> None:
        self.folder = folder
        self.clock = FrozenClock(NOON)
        self.connection = "feed"
        self.push = Collector("feed", CollectorSettings(**{"secret": SecretStr(SECRET), **how}))
        self.inbox = Inbox(folder / "inbox.db", load_key(folder, {}))
        self.arrivals: list[None] = []
        arrived: Callable[[], None] = lambda: self.arrivals.append(None)  # noqa: E731
        settings = WebSettings(**{"listen": "127.0.0.1:0", **(web or {})})
        self._sources = {"feed": self.push}
        self.server = WebServer(settings, self._sources, self.inbox, self.clock, arrived)

    def anew(self) -> Self:
        """The same door with a connection that nobody has sent to: to start and stop a server takes a while."""
        self.connection = f"feed-{len(self._sources)}"
        self._sources[self.connection] = self.push
        self.arrivals.clear()
        return self

    def post(self, body: Any, headers: Mapping[str, str] | None = None, **how: Any) -> Answer:
        """Send to the collector."""
        return post(f"{self.server.url}/collect/{self.connection}", body, headers, **how)

    def source(self, page_requests: int = 500) -> InboxSource:
        """What the pipeline reads."""
        return InboxSource(self.connection, self.push, self.inbox, page_requests)

    def read(self) -> tuple[list[Event | Fact], list[Rejected]]:
        """All that waits, translated."""
        pages = list(self.source().pull(None, self.clock.now()))
        return [r for page in pages for r in page.records], [r for page in pages for r in page.rejected]

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()


def record(key: str | None = None, **more: Any) -> dict[str, Any]:
    """A small event of leadup's JSONL."""
    mine = {} if key is None else {"id": key}
    return {**mine, "name": "page_view", "at": "2026-03-01T11:00:00Z", "identifiers": {"user_id": "u1"}, **more}
