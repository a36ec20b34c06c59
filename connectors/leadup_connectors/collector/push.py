"""Looks who sends, and makes records of what was sent."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from leadup.errors import TurnedAway
from leadup.kit import Item, clip, needs_id, parse_record, read_body
from leadup.types import Event, Fact, Incoming, Rejected
from leadup_connectors.collector import gtm_server
from leadup_connectors.collector.receipt import dated, known_by
from leadup_connectors.collector.settings import CollectorSettings

_BEARER: Final = "bearer "


class Collector:
    """Takes requests that show the secret."""

    keeps: Collection[str] = frozenset()

    def __init__(self, _: str, settings: CollectorSettings) -> None:
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
        if not isinstance(item.value, dict):
            raise ValueError("not a JSON object {...}")  # noqa: TRY004 - the data's mistake
        if self._settings.format == "gtm_server":
            grants = self._settings.consent_from_ads_storage == "grants"
            return gtm_server.as_event(item.value, request, item.number, storage_grants=grants)
        return _as_record(item.value, request, item.number)


def _as_record(data: Mapping[str, Any], request: Incoming, number: int) -> Event | Fact:
    has_time = data.get("at") not in (None, "")
    fallback = known_by(data, request, number, has_time=has_time) if needs_id(data) else ""
    if not has_time:
        data = {**data, "at": request.received_at.isoformat()}
    record = parse_record(data, source=request.connection, fallback_id=fallback)
    return replace(record, at=dated(record.at, request))
