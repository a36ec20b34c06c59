"""How the Data Manager API says no: the same refusal, for REST and for gRPC to put into their own form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

CODES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""Canonical code of an HTTP status (``google.rpc.Code``)."""
DOMAIN: Final = "datamanager.googleapis.com"
_REASONS: Final = {401: "ACCESS_TOKEN_EXPIRED", 429: "RATE_LIMIT_EXCEEDED", 500: "INTERNAL_ERROR"}


@dataclass(frozen=True, slots=True)
class Violation:
    """One entry of ``BadRequest.field_violations``."""

    field: str
    reason: str

    @property
    def description(self) -> str:
        return self.reason.replace("_", " ").capitalize() + "."


class Refusal(Exception):
    """Becomes an answer with an error body; ``status`` is the HTTP status."""

    def __init__(self, status: int, reason: str, violations: Iterable[Violation] = (), **metadata: str) -> None:
        super().__init__(reason)
        self.status, self.reason, self.violations, self.metadata = status, reason, tuple(violations), metadata

    @property
    def code(self) -> str:
        """The canonical code's name."""
        return CODES.get(self.status, "UNKNOWN")

    @property
    def message(self) -> str:
        return "There was a problem with the request." if self.status == 400 else self.code.replace("_", " ").lower()


def invalid(*violations: Violation) -> Refusal:
    """Return a fast-fail refusal."""
    return Refusal(400, "INVALID_ARGUMENT", violations)


def weathered(status: int, code: str) -> Refusal:
    """Return what a fault of this status says."""
    return Refusal(status, code or _REASONS.get(status, CODES.get(status, "UNKNOWN")))
