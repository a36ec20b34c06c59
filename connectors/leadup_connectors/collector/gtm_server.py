"""Event data of a GTM server container ("common event data", Tag Manager's server-side guide) as leadup's records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from leadup.kit import canonical
from leadup.types import CLICK_IDS, Purpose

_PEOPLE: Final = {
    "email": ("sha256_email_address", "email_address"),
    "phone": ("sha256_phone_number", "phone_number"),
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
_WORDS: Final = {"1": "granted", "0": "denied"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_MS: Final = 946_684_800_000
"""The year 2000: an earlier time is in other units, or none."""
_LATEST_MS: Final = 253_402_300_799_999


def as_record(data: Mapping[str, Any], *, storage_grants: bool = False) -> dict[str, Any]:
    """Return event data as an event of leadup's JSONL; without ``at`` when it brings no ``event_time_ms``.

    Hyphens in keys count as underscores, which some tags make of them. ``storage_grants``: whether consent to
    advertising storage is taken as consent to ``ad_user_data`` and ``ad_personalization``; a denial always is one.

    Raises:
        ValueError: it has no event name.
    """
    data = {key.replace("-", "_"): value for key, value in data.items()}
    name = data.get("event_name")
    if not isinstance(name, str) or not name.strip():
        raise ValueError('"event_name" is missing: the event has no name')
    given = {key: value for key, value in data.items() if key not in _NOT_PROPERTIES and not key.startswith(_INTERNAL)}
    name, properties = canonical(name.strip(), given)
    record = {
        "id": _text(data.get("event_id")),
        "name": name,
        "identifiers": _people(data),
        "properties": properties,
        "click_ids": _click_ids(data),
        "consent": _consent(data, storage_grants),
    }
    at = _at(data.get("event_time_ms"))
    return {**record, "at": at} if at else record


def _people(data: Mapping[str, Any]) -> dict[str, list[Any]]:
    found = {kind: _listed(data.get(kind)) for kind in ("user_id", "client_id")}
    user_data = data.get("user_data")
    if isinstance(user_data, dict):
        for kind, keys in _PEOPLE.items():
            found[kind] = [value for key in keys for value in _listed(user_data.get(key))]
    return found


def _listed(value: Any) -> list[str]:
    """Texts and whole numbers, as texts; what is neither names nobody."""
    return [text for one in (value if isinstance(value, list) else [value]) if (text := _text(one))]


def _text(value: Any) -> str:
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


def _consent(data: Mapping[str, Any], storage_grants: bool) -> dict[str, str]:
    """Consent by purpose: what the event data states under ``consent``, else what ``x-ga-gcs`` says of storage."""
    consent: dict[str, str] = {}
    state = data.get("x_ga_gcs")
    found = _GCS.fullmatch(state) if isinstance(state, str) else None
    if found is not None:
        ads, analytics = found.groups()
        if ads == "0" or (ads == "1" and storage_grants):
            consent |= {Purpose.AD_USER_DATA: _WORDS[ads], Purpose.AD_PERSONALIZATION: _WORDS[ads]}
        if analytics in _WORDS:
            consent[Purpose.ANALYTICS] = _WORDS[analytics]
    stated = data.get("consent")
    if isinstance(stated, dict):
        consent |= {p.value: stated[p.value] for p in Purpose if stated.get(p.value) in _WORDS.values()}
    return consent


def _at(value: Any) -> str | None:
    """Milliseconds since 1970, also as text, as ISO 8601; None for what is no such time."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not _EARLIEST_MS <= value <= _LATEST_MS:
        return None
    return (_EPOCH + timedelta(milliseconds=value)).isoformat()
