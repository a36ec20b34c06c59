"""The gRPC door: one server on loopback, in plaintext and by TLS, with the kit's faults.

It takes any method; what answers is a :class:`Service`, in bytes. So no SDK is loaded before its first call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import grpc

from leadup.sandbox import Fault, Logged, Weather
from leadup_connectors.google_ads.sandbox.refusals import CODES
from leadup_connectors.google_ads.sandbox.tls import certificate

_WORKERS: Final = 8
_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a message ("Quotas and limits")."""


class Failure(Exception):
    """Ends a call with another status than OK. ``status`` is the HTTP status that means it; 0: the line is cut."""

    def __init__(self, status: int, message: str, trailing: Sequence[tuple[str, str | bytes]] = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.trailing = status, message, tuple(trailing)

    @property
    def code(self) -> grpc.StatusCode:
        """The canonical code; a cut line shows as UNAVAILABLE."""
        return grpc.StatusCode[CODES.get(self.status or 503, "UNKNOWN")]


class Service(Protocol):
    """What answers the methods whose path begins with ``prefix``."""

    prefix: str

    def known_as(self, path: str) -> str:
        """The path and whatever else a fault may call this method by."""

    def streams(self, path: str) -> bool:
        """Whether the answer is a stream (of one message)."""

    def answer(self, path: str, body: bytes, metadata: Mapping[str, str]) -> bytes:
        """Return the answer's bytes, or raise a :class:`Failure`."""

    def fault(self, path: str, status: int, fault: Fault) -> Failure:
        """Put a fault into the service's own words."""


class Door(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc has no types
    """Serves ``services`` from the moment it is made. ``plain`` and ``tls`` are its addresses."""

    def __init__(self, services: Sequence[Service], weather: Callable[[], Weather], port: int = 0) -> None:
        """Open two ports: ``port`` and the next, or any two when it is 0."""
        self._services, self._weather = services, weather
        self._hanging: set[threading.Event] = set()
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="sandbox-grpc")
        options = [("grpc.max_receive_message_length", _LARGEST), ("grpc.so_reuseport", 0)]
        self._server = grpc.server(self._pool, handlers=[self], options=options)
        made = certificate()
        credentials = grpc.ssl_server_credentials([(made.key, made.chain)])
        self.plain = f"127.0.0.1:{self._server.add_insecure_port(f'127.0.0.1:{port}')}"
        secure = self._server.add_secure_port(f"127.0.0.1:{port and port + 1}", credentials)
        self.tls = f"localhost:{secure}"
        self._server.start()

    def close(self) -> None:
        """Stop serving; calls that still hang are cut."""
        for event in list(self._hanging):
            event.set()
        self._server.stop(grace=0).wait()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def service(self, handler_call_details: Any) -> Any:
        """Find who answers a call; None makes gRPC answer UNIMPLEMENTED."""
        path = handler_call_details.method
        found = next((one for one in self._services if path.startswith(one.prefix)), None)
        if found is None:
            return None

        def unary(body: bytes, context: Any) -> bytes:
            return self._answer(found, path, body, context)

        def stream(body: bytes, context: Any) -> Iterator[bytes]:
            yield self._answer(found, path, body, context)

        if found.streams(path):
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)

    def _answer(self, service: Service, path: str, body: bytes, context: Any) -> bytes:
        weather, status = self._weather(), 500
        try:
            answer = self._weathered(service, path, body, context, weather)
            status = 200
        except Failure as failure:
            status = failure.status
            context.set_trailing_metadata(failure.trailing)
            context.abort(failure.code, failure.message)
        finally:
            weather.log.append(Logged("gRPC", path, "", body, status))
        return answer

    def _weathered(self, service: Service, path: str, body: bytes, context: Any, weather: Weather) -> bytes:
        fault = weather.take(service.known_as(path), "rate_limit", "fail", "hang", "expire_token", "lose_answer")
        if fault is not None and fault.kind == "hang":
            self._hang(fault.seconds, context)
            raise Failure(0, "Socket closed")
        if fault is not None and fault.kind != "lose_answer":
            raise service.fault(path, {"rate_limit": 429, "expire_token": 401}.get(fault.kind, fault.status), fault)
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        secure = context.auth_context().get("transport_security_type") == [b"ssl"]
        if secure and not metadata.get("authorization", "").startswith("Bearer "):
            raise service.fault(path, 401, Fault(kind="expire_token"))  # gRPC sends no credentials in plaintext
        answer = service.answer(path, body, metadata)
        if fault is not None:
            raise Failure(0, "Socket closed")
        return answer

    def _hang(self, seconds: float, context: Any) -> None:
        ended = threading.Event()
        self._hanging.add(ended)
        if context.add_callback(ended.set):  # False: the client is gone already
            ended.wait(seconds)
        self._hanging.discard(ended)
