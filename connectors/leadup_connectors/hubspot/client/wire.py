"""The port: how one request goes to HubSpot. ``sdk`` and ``dated`` are behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError

from leadup.types import Json
from leadup_connectors.hubspot.client.routes import Call

Query: TypeAlias = "Mapping[str, str | int | bool | Sequence[str]]"


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    call: Call
    place: Mapping[str, str] = field(default_factory=dict)
    """What fills the ``{names}`` of the path."""
    query: Query = field(default_factory=dict)
    body: Json = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What HubSpot answered, whatever the status."""

    status: int
    headers: Mapping[str, str]
    """By name, in any case."""
    data: Any
    """The body as JSON; of an error, whatever it held."""


class Cut(Exception):
    """No answer came: the text is the reason, a class's name, which quotes nothing.

    ``sent``: the request may have come there, since there was a connection.
    """

    def __init__(self, reason: BaseException | None, *, name: str = "") -> None:
        super().__init__(name or type(reason).__name__)
        self.sent = not isinstance(reason, NewConnectionError | ConnectTimeoutError | ProxyError)


class Garbled(Exception):
    """An answer came that is not one of the API's."""


class Wire(Protocol):
    """Sends one request, once: no retries, no redirects."""

    def send(self, request: Request, timeouts: tuple[float, float]) -> Answer:
        """Send it. ``timeouts``: seconds to wait for a connection, and for an answer.

        Raises:
            Cut, Garbled: as they say.
        """
