"""Looks who sends, and makes records of what was sent."""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from hashlib import blake2b
from typing import Any, Final

from leadup.errors import TurnedAway
from leadup.kit import Item, clip, needs_id, parse_record, read_body
from leadup.types import Event, Fact, Incoming, Rejected
from leadup_connectors.collector import gtm_server
from leadup_connectors.collector.settings import CollectorSettings

AHEAD: Final = timedelta(minutes=5)
"""How far a sender's clock may be ahead. What is dated later happened when it was received."""
_BEARER: Final = "bearer "


class Collector:
    """Takes requests that show the secret."""

    keeps: Collection[str] = frozenset()

    def __init__(self, connection: str, settings: CollectorSettings) -> None:
        self._connection = connection
        self._settings = settings
        live = (settings.secret, settings.secret_before)
        self._secrets = [secret.get_secret_value().encode() for secret in live if secret is not None]

    def admit(self, request: Incoming) -> None:
        """Compare the header with each secret, in time that says nothing of how near it came."""
        given = [request.headers.get(self._settings.header.lower(), "")]
        authorization = request.headers.get("authorization", "")
        if authorization[: len(_BEARER)].lower() == _BEARER:
            given.append(authorization[len(_BEARER) :].strip())
        shown = [text.encode("latin-1", "replace") for text in given]  # as it came: HTTP's headers are Latin-1
        if not any([hmac.compare_digest(one, secret) for one in shown for secret in self._secrets]):  # noqa: C419
            how = f"{self._settings.header}: SECRET, or Authorization: Bearer SECRET"
            raise TurnedAway(f"The secret is missing or wrong. Send the header {how}.", status=401)

    def translate(self, request: Incoming) -> tuple[list[Event | Fact], list[Rejected]]:
        """Return an event or fact for each object of the body."""
        records: list[Event | Fact] = []
        rejected: list[Rejected] = []
        for item in read_body(request.body):
            try:
                records.append(self._record(request, item))
            except ValueError as error:
                place = f"request {request.id}"
                rejected.append(Rejected(place=place, line=item.number, reason=str(error), text=clip(item.text)))
        return records, rejected

    def _record(self, request: Incoming, item: Item) -> Event | Fact:
        if item.problem:
            raise ValueError(item.problem)
        obj = item.value
        if not isinstance(obj, dict):
            raise ValueError("not a JSON object {...}")  # noqa: TRY004 - the data's mistake
        if self._settings.format == "gtm_server":
            obj = gtm_server.as_record(obj, storage_grants=self._settings.consent_from_ads_storage == "grants")
        return _dated(obj, request, item.number, self._connection)


def _dated(obj: Mapping[str, Any], request: Incoming, number: int, connection: str) -> Event | Fact:
    """Make a record, whose time and id are those of the receipt where it brings none of its own.

    An event that brings a time but no id is known by its content: sent again, it is the same. One that brings neither
    is known by its place in the inbox: each time it is sent it is another.
    """
    has_time = obj.get("at") not in (None, "")
    if not has_time:
        obj = {**obj, "at": request.received_at.isoformat()}
    known_by = ""
    if needs_id(obj):
        known_by = _digest(obj) if has_time else f"{request.id}-{number}"
    record = parse_record(obj, source=connection, fallback_id=known_by)
    if record.at > request.received_at + AHEAD:
        record = replace(record, at=request.received_at)
    return record


def _digest(obj: Mapping[str, Any]) -> str:
    return blake2b(json.dumps(obj, sort_keys=True).encode(), digest_size=16).hexdigest()
