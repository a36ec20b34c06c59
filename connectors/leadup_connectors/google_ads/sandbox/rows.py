"""Requests to the Data Manager API that were accepted, and what their rows name."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from leadup.sandbox import Fault

BASE64: Final = 2
"""Of ``Encoding``; 1 is HEX."""


@dataclass
class Accepted:
    """A request that was accepted."""

    id: str
    verb: str
    message: Any
    polls: int
    reject: Fault | None
    """A fault that strikes when it is worked off."""
    at: datetime
    failed: list[Counter[str]] | None = None
    """Once it is worked off: failed rows by reason, for each destination."""

    def rows(self, destination: Any) -> list[Any]:
        """The rows that go to a destination: those that name it, or name none."""
        rows = rows_of(self.message)[1]
        return [r for r in rows if not r.destination_references or destination.reference in r.destination_references]


def rows_of(message: Any) -> tuple[str, Any]:
    """The name of the field that holds a request's rows, and the rows."""
    name = "events" if hasattr(message, "events") else "audience_members"
    return name, getattr(message, name, ())


def identifiers(row: Any, encoding: int = 1) -> set[str]:
    """What a member or an event is known by: hashes in hex, addresses, or a user id."""
    if hasattr(row, "user_id_data") and row.user_id_data.user_id:
        return {row.user_id_data.user_id}
    return {_known_by(identifier, encoding) for identifier in row.user_data.user_identifiers}


def _known_by(identifier: Any, encoding: int) -> str:
    if identifier.WhichOneof("identifier") == "address":
        a = identifier.address
        names = (_hex(name, encoding) for name in (a.given_name, a.family_name))
        return " ".join([*names, a.region_code, a.postal_code])
    return _hex(identifier.email_address or identifier.phone_number, encoding)


def _hex(text: str, encoding: int) -> str:
    return base64.b64decode(text).hex() if encoding == BASE64 else text
