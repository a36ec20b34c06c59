"""Kit for emulators: a server on loopback, faults as data, a log of requests.

An emulator behaves as its vendor documents; the real SDK talks to it over a real socket. Faults are data, so that a
test, the demo and ``leadup sandbox`` say the same thing in the same words.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, ClassVar, Literal, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from leadup.types import Json

FaultKind = Literal["rate_limit", "fail", "hang", "lose_answer", "reject", "late", "expire_token"]


@dataclass(kw_only=True)
class Fault:
    """One kind of bad weather.

    ``rate_limit``: 429. ``fail``: answers ``status`` without doing the work. ``hang``: does nothing for ``seconds``,
    then cuts the line. ``lose_answer``: does the work, then cuts the line. ``expire_token``: 401. ``reject``: the
    emulator refuses every ``every``-th row with ``code``. ``late``: asynchronous work needs ``polls`` more polls.
    """

    kind: FaultKind
    path: str = ""
    """Only requests whose path contains this."""
    times: int = 1
    """How many requests it meets; -1: all."""
    after: int = 0
    """How many matching requests pass first."""
    status: int = 503
    retry_after: int | None = None
    """Seconds, for the ``Retry-After`` header; none when left out."""
    seconds: float = 30.0
    every: int = 0
    code: str = ""
    polls: int = 0


@dataclass(frozen=True, slots=True)
class Logged:
    """A request as it arrived. Authorisation headers are not kept."""

    method: str
    path: str
    query: str
    body: bytes
    status: int
    """0: the line was cut without an answer."""


@dataclass
class Weather:
    """The faults that are set, and the requests seen; safe to use from several threads."""

    faults: list[Fault] = field(default_factory=list)
    log: list[Logged] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **fault: Any) -> Fault:
        """Set a fault, e.g. ``add(kind="fail", status=502, path="/batch/read", times=2)``."""
        new = Fault(**fault)
        with self._lock:
            self.faults.append(new)
        return new

    def clear(self) -> None:
        """Good weather again."""
        with self._lock:
            self.faults.clear()

    def take(self, path: str, *kinds: FaultKind) -> Fault | None:
        """Return the first fault of these kinds that meets this path, and count it down."""
        with self._lock:
            for fault in self.faults:
                if fault.kind not in kinds or fault.path not in path or fault.times == 0:
                    continue
                if fault.after:
                    fault.after -= 1
                    continue
                fault.times -= 1 if fault.times > 0 else 0
                return fault
        return None


class Sandbox:
    """Base of an emulator. A subclass gives ``name``, ``routes()``, ``state()`` and its vendor's error bodies."""

    name: str = ""

    def __init__(self) -> None:
        self.weather = Weather()

    def now(self) -> datetime:
        """What its clock says: the date of its answers."""
        return datetime.now(UTC)

    def routes(self) -> Sequence[BaseRoute]:
        """The vendor's endpoints."""
        raise NotImplementedError

    def state(self) -> Json:
        """All that the vendor holds, as JSON, for comparison with the truth."""
        raise NotImplementedError

    def seed(self, data: Mapping[str, Any]) -> None:
        """Take what is there at first; which keys there are is the emulator's to say."""
        if data:
            raise ValueError(f"the {self.name} sandbox takes no seed {', '.join(data)}")

    def error(self, status: int, fault: Fault | None = None) -> Response:
        """The vendor's error body for a fault's status (429, 401, 5xx)."""
        raise NotImplementedError

    def doors(self, port: int = 0) -> Mapping[str, str]:
        """Open the doors besides HTTP, the first at ``port`` (0: any), and say where they are; most have none."""
        return {}

    def close(self) -> None:
        """Close what :meth:`doors` opened."""

    def app(self) -> ASGIApp:
        """The emulator with its weather and its control endpoints under ``/_sandbox``."""
        control: list[BaseRoute] = [
            Route("/_sandbox/state", lambda _: JSONResponse(self.state()), methods=["GET"]),
            Route("/_sandbox/requests", self._requests, methods=["GET"]),
            Route("/_sandbox/faults", self._faults, methods=["GET", "POST", "DELETE"]),
        ]
        return _Weathered(Starlette(routes=[*control, *self.routes()]), self)

    async def _requests(self, _: Request) -> Response:
        return JSONResponse([{**asdict(r), "body": r.body.decode(errors="replace")} for r in self.weather.log])

    async def _faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.weather.clear()
        if request.method == "POST":
            self.weather.add(**await request.json())
        return JSONResponse([asdict(fault) for fault in self.weather.faults])


class _Weathered:
    """ASGI middleware: logs each request and lets the weather act on it."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app, self._sandbox = app, sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_sandbox"):
            await self._app(scope, receive, send)
            return
        body = await Request(scope, receive).body()
        answer = await self._answer(scope, body)
        self._sandbox.weather.log.append(
            Logged(
                scope["method"],
                scope["path"],
                scope["query_string"].decode(),
                body,
                answer.status_code if answer else 0,
            )
        )
        if answer is None:
            line = _CutProtocol.transports.get(tuple(scope["client"]))
            if line is not None:  # else the client has hung up already
                line.abort()
            return
        answer.headers["Date"] = format_datetime(self._sandbox.now().astimezone(UTC), usegmt=True)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, body: bytes) -> Response | None:
        path, weather = scope["path"], self._sandbox.weather
        fault = weather.take(path, "rate_limit", "fail", "hang", "expire_token", "lose_answer")
        if fault is not None and fault.kind == "hang":
            with suppress(asyncio.CancelledError):  # the server is stopping: the line is cut a little earlier
                await asyncio.sleep(fault.seconds)
            return None
        if fault is not None and fault.kind != "lose_answer":
            status = {"rate_limit": 429, "expire_token": 401}.get(fault.kind, fault.status)
            answer = self._sandbox.error(status, fault)
            if fault.retry_after is not None:
                answer.headers["Retry-After"] = str(fault.retry_after)
            return answer
        answer = await _collect(self._app, scope, body)
        return None if fault is not None else answer


async def _collect(app: ASGIApp, scope: Scope, body: bytes) -> Response:
    """Run the application to its end and return its answer whole."""
    status, headers, chunks = 500, [], []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], message.get("headers", [])
        elif message["type"] == "http.response.body":
            chunks.append(message.get("body", b""))

    await app(scope, receive, send)
    answer = Response(b"".join(chunks), status)
    answer.raw_headers = [(k, v) for k, v in headers if k != b"content-length"]
    answer.raw_headers.append((b"content-length", str(len(answer.body)).encode()))
    return answer


class _CutProtocol(H11Protocol):
    """Remembers each connection's transport, so that a fault can cut the line without an answer."""

    transports: ClassVar[dict[tuple[str, int], asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transports[transport.get_extra_info("peername")] = transport
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transports.pop(self.transport.get_extra_info("peername"), None)
        super().connection_lost(exc)


class _Uvicorn(uvicorn.Server):
    """Ends as soon as it is told to, from any thread: whoever waits for an emulator then finds the line cut."""

    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: it has ended already
                self._loop.call_soon_threadsafe(self._told.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in self.server_state.connections:
            connection.transport.abort()
        for task in self.server_state.tasks:
            task.cancel()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)


class Server:
    """Serves an ASGI application on loopback from a thread of its own. Use as a context manager.

    >>> with Server(HubSpotSandbox()) as server:      # doctest: +SKIP
    ...     server.url
    'http://127.0.0.1:49152'
    """

    def __init__(self, sandbox: Sandbox, port: int = 0) -> None:
        self.sandbox = sandbox
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # a line cut on purpose is not an error
        config = uvicorn.Config(
            sandbox.app(),
            host="127.0.0.1",
            port=port,
            http=_CutProtocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,
        )
        self._server = _Uvicorn(config)
        self._thread = threading.Thread(target=self._server.run, name=f"sandbox-{sandbox.name}", daemon=True)

    def start(self) -> Self:
        """Start and wait until it answers."""
        self._thread.start()
        deadline = time.monotonic() + 60
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError(f"The {self.sandbox.name} sandbox did not start; is its port taken?")
            time.sleep(0.005)
        return self

    def stop(self) -> None:
        """Stop and wait."""
        self.sandbox.close()
        self._server.end()
        self._thread.join(timeout=5)

    @property
    def url(self) -> str:
        """Base URL without a trailing slash."""
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
