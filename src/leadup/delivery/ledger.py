"""The ledger: what happened to each row, append-only and free of personal data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, insert

from leadup.identity.seal import redact
from leadup.state.tables import ledger


@dataclass(frozen=True, slots=True)
class Line:
    """One line; ``row`` is None for what was planned, and for what happened to a target as a whole."""

    row: int | None
    subject: str
    person: int | None
    verb: str
    what: str
    code: str = ""
    detail: str = ""


def write_ledger(connection: Connection, now_us: int, target: int, lines: Iterable[Line]) -> None:
    """Append lines. Vendors put addresses into their texts: they are taken out."""
    rows = [
        {
            "at_us": now_us,
            "target": target,
            "row": line.row,
            "subject": line.subject,
            "person": line.person,
            "verb": line.verb,
            "what": line.what,
            "code": line.code and redact(line.code),
            "detail": line.detail and redact(line.detail),
        }
        for line in lines
    ]
    if rows:
        connection.execute(insert(ledger), rows)
