"""``POST /collect/<connection>``: look who sends, look whether it is JSON, put it into the inbox, answer.

What it says and means is found out later, when the inbox is read; so a slow tick, an unknown topic or a bad record
never costs a sender his answer. 204: it is on disk. 400: not JSON. 401: not one of ours. 404, 405: no such door.
413: too large. 415: packed in a way we do not know. 429 and 503 with ``Retry-After``: not now.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from leadup.bodies import TooLarge, read_body, unpack
from leadup.clock import Clock
from leadup.errors import TurnedAway
from leadup.inbox import Sent
from leadup.kit import PushSource
from leadup.types import Incoming
from leadup.web.writer import Writer

log = structlog.get_logger("leadup.web")

RETRY_AFTER: Final = 10
"""Seconds after which a sender that was put off should try again."""
BODY_WITHIN: Final = 30.0
"""Seconds a body may take to arrive, and to be written."""
LINGER_BODIES: Final = 8
LINGER_WITHIN: Final = 3.0
"""A body that is too large is read on so far (times the limit; seconds) and thrown away: a line that is cut while the
sender still speaks costs him the answer that says why."""
SMALL: Final = 1 << 16
"""Bytes that are looked through at once; more is done beside the event loop."""
COMPLAIN_EVERY: Final = 60.0
"""Seconds between two lines of the log about one connection and status."""


class Collector:
    """The ASGI application."""

    def __init__(self, sources: Mapping[str, PushSource], writer: Writer, clock: Clock, max_body: int) -> None:
        self._sources = sources
        self._writer = writer
        self._clock = clock
        self._max_body = max_body
        self._complained: dict[tuple[str, int], float] = {}
        self._refused: Counter[tuple[str, int]] = Counter()

    def app(self) -> Starlette:
        """Return it, to be served."""
        app = Starlette(
            routes=[
                Route("/collect/{connection}", self._collect, methods=["POST"]),
                Route("/healthz", self._health, methods=["GET"]),
            ]
        )
        app.router.redirect_slashes = False  # a webhook that is sent elsewhere is a webhook that is lost
        return app

    async def _health(self, _: Request) -> Response:
        return PlainTextResponse("ok\n") if self._writer.lives else PlainTextResponse("the inbox is shut\n", 503)

    async def _collect(self, request: Request) -> Response:
        name = request.path_params["connection"]
        source = self._sources.get(name)
        if source is None:
            return _refusal(404, "There is no such collector.")
        try:
            await self._take(source, name, request)
        except TurnedAway as error:
            self._complain(name, error)
            return _refusal(error.status, str(error))
        except ClientDisconnect:
            return _refusal(400, "The body was cut short.")
        return Response(status_code=204)

    async def _take(self, source: PushSource, name: str, request: Request) -> None:
        """Put a request into the inbox; done when it is on disk.

        Raises:
            TurnedAway: it is not taken.
        """
        raw = await self._body(request)
        headers = dict(request.headers.items())
        incoming = Incoming(connection=name, headers=headers, body=raw, received_at=self._clock.now())
        source.admit(incoming)
        body = await self._look(incoming)
        if self._writer.is_full():
            raise TurnedAway("The inbox is full: what waits there has to be read first. Try again later.", status=429)
        kept = {key: value for key, value in headers.items() if key in source.keeps}
        try:
            async with asyncio.timeout(BODY_WITHIN):
                await asyncio.wrap_future(self._writer.put(Sent(name, kept, body)))
        except (sqlite3.Error, TimeoutError):
            raise TurnedAway("The inbox can not be written now. Try again later.", status=503) from None

    async def _body(self, request: Request) -> bytes:
        declared = request.headers.get("content-length", "")
        try:
            async with asyncio.timeout(BODY_WITHIN):
                parts, size = [], int(declared) if declared.isdecimal() else 0
                stream = request.stream()
                if size <= self._max_body:
                    size = 0
                    async for part in stream:
                        size += len(part)
                        if size > self._max_body:
                            break
                        parts.append(part)
        except TimeoutError:
            raise TurnedAway(f"The body took longer than {BODY_WITHIN:.0f} seconds.", status=408) from None
        if size > self._max_body:
            parts.clear()
            await self._linger(stream)
            raise TurnedAway(f"The body is larger than {self._max_body:,} bytes. Send it in parts.", status=413)
        return b"".join(parts)

    async def _linger(self, stream: AsyncIterator[bytes]) -> None:
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_WITHIN):
                async for part in stream:
                    size += len(part)
                    if size > LINGER_BODIES * self._max_body:
                        return

    async def _look(self, incoming: Incoming) -> bytes:
        """Return the body unpacked, once it is known to be JSON."""
        packed = incoming.headers.get("content-encoding", "identity").strip().lower()
        if packed not in ("identity", "", "gzip", "x-gzip"):
            raise TurnedAway("The body may be packed with gzip, and with nothing else.", status=415)

        def look() -> bytes:
            body = unpack(incoming.body, self._max_body) if "gzip" in packed else incoming.body
            read_body(body)
            return body

        try:
            return look() if len(incoming.body) <= SMALL and "gzip" not in packed else await run_in_threadpool(look)
        except TooLarge as error:
            raise TurnedAway(f"{_sentence(error)} Send it in parts.", status=413) from None
        except ValueError as error:
            raise TurnedAway(f"{_sentence(error)} Send JSON, or one JSON object a line.", status=400) from None

    def _complain(self, name: str, error: TurnedAway) -> None:
        """Tell the log, though not of every one: whoever knocks often must not fill the disk."""
        place, now = (name, error.status), time.monotonic()
        self._refused[place] += 1
        if now - self._complained.get(place, -COMPLAIN_EVERY) >= COMPLAIN_EVERY:
            self._complained[place] = now
            log.warning(
                "turned away", connection=name, status=error.status, times=self._refused.pop(place), because=str(error)
            )


def _sentence(error: ValueError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _refusal(status: int, text: str) -> Response:
    later = {"Retry-After": str(RETRY_AFTER)} if status in (429, 503) else {}
    return JSONResponse({"error": HTTPStatus(status).phrase, "detail": text}, status, later)
