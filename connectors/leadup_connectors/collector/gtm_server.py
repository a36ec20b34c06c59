"""Event data of a GTM server container ("common event data", Tag Manager's server-side guide) as events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from leadup.kit import canonical
from leadup.types import CLICK_IDS, Event, Identifier, Incoming, Kind, Purpose
from leadup_connectors.collector.receipt import dated, known_by

_PEOPLE: Final = {
    Kind.EMAIL: ("sha256_email_address", "email_address"),
    Kind.PHONE: ("sha256_phone_number", "phone_number"),
}
"""Kinds of identifier by the keys of ``user_data``."""
_NOT_PROPERTIES: Final = frozenset(
    {
        "client_hints",
        "client_id",
        "consent",
        "event_name",
        "event_time_ms",
        "ip_override",
        "screen_resolution",
        "user_agent",
        "user_data",
        "user_id",
        "viewport_size",
        *CLICK_IDS,
    }
)
"""What is used otherwise, and what tells of the browser and its address, which no rule needs."""
_INTERNAL: Final = ("x_ga_", "x_sst_", "x_gtm_")
_GCS: Final = re.compile(r"G1([01-])([01-])")
"""Google's consent state: advertising storage, then analytics storage; 1 is granted, 0 denied, a hyphen not asked."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_MS: Final = 946_684_800_000
"""The year 2000: an earlier time is in other units, or none."""
_LATEST_MS: Final = 253_402_300_799_999


def as_event(data: Mapping[str, Any], request: Incoming, number: int, *, storage_grants: bool = False) -> Event:
    """Return event data as an event; ``number`` is its place in the request's body.

    Hyphens in keys count as underscores, which some tags make of them. Without identifiers it belongs to nobody: so are
    those of visitors who denied ``analytics_storage``. ``storage_grants``: whether consent to advertising storage is
    taken as consent to ``ad_user_data`` and ``ad_personalization``; a denial always is one.

    Raises:
        ValueError: it has no event name.
    """
    data = {key.replace("-", "_"): value for key, value in data.items()}
    name = data.get("event_name")
    if not isinstance(name, str) or not name.strip():
        raise ValueError('"event_name" is missing: the event has no name')
    given = {key: value for key, value in data.items() if key not in _NOT_PROPERTIES and not key.startswith(_INTERNAL)}
    name, properties = canonical(name.strip(), given)
    at = _at(data.get("event_time_ms"))
    return Event(
        source=request.connection,
        id=_text(data.get("event_id")) or known_by(data, request, number, has_time=at is not None),
        name=name,
        at=dated(at, request),
        identifiers=tuple(_people(data)),
        properties=properties,
        click_ids=_click_ids(data),
        consent=_consent(data, storage_grants),
    )


def _people(data: Mapping[str, Any]) -> list[Identifier]:
    """Who is named, strongest first."""
    user_data = data.get("user_data")
    among = {Kind.USER_ID: [data.get("user_id")], Kind.CLIENT_ID: [data.get("client_id")]}
    if isinstance(user_data, dict):
        among |= {kind: [one for key in keys for one in _listed(user_data.get(key))] for kind, keys in _PEOPLE.items()}
    found = {Identifier(kind, text) for kind, values in among.items() for one in values if (text := _text(one))}
    return sorted(found, key=lambda one: (one.kind.strength, one.value))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    """A text or a whole number, as text; empty for what names nothing."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _click_ids(data: Mapping[str, Any]) -> dict[str, str]:
    """Click ids that stand in the event data, else in the page's address."""
    query: Mapping[str, list[str]] = {}
    page = data.get("page_location")
    if isinstance(page, str):
        try:
            query = parse_qs(urlsplit(page).query)
        except ValueError:  # no address
            query = {}
    found = {kind: _text(data.get(kind)) or query.get(kind, [""])[0] for kind in CLICK_IDS}
    return {kind: value for kind, value in found.items() if value}


def _consent(data: Mapping[str, Any], storage_grants: bool) -> dict[Purpose, bool]:
    """Consent by purpose: what the event data states under ``consent``, else what ``x-ga-gcs`` says of storage."""
    consent: dict[Purpose, bool] = {}
    state = data.get("x_ga_gcs")
    found = _GCS.fullmatch(state) if isinstance(state, str) else None
    if found is not None:
        ads, analytics = found.groups()
        if ads == "0" or (ads == "1" and storage_grants):
            consent |= dict.fromkeys((Purpose.AD_USER_DATA, Purpose.AD_PERSONALIZATION), ads == "1")
        if analytics != "-":
            consent[Purpose.ANALYTICS] = analytics == "1"
    stated = data.get("consent")
    if isinstance(stated, dict):
        consent |= {p: stated[p] == "granted" for p in Purpose if stated.get(p) in ("granted", "denied")}
    return consent


def _at(value: Any) -> datetime | None:
    """The instant of milliseconds since 1970, also as text; None for what is no such time."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not _EARLIEST_MS <= value <= _LATEST_MS:
        return None
    return _EPOCH + timedelta(milliseconds=value)
