"""Rows of the export to events. The same for a row by REST and for one in an exported file.

Source: "[GA4] BigQuery Export schema" (support.google.com/analytics/answer/7029846). Integers may be numbers or texts,
values that are not set may be null or absent, and one parameter may be a text here and a number there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from leadup.kit import canonical
from leadup.types import CLICK_IDS, Consent, Event, Identifier, Json, Kind, Purpose, from_us
from leadup_connectors.ga4.rows import Wanted
from leadup_connectors.ga4.settings import GA4Settings

REQUIRED: Final = ("event_timestamp", "event_name")
KEY: Final = (
    "stream_id",
    "user_pseudo_id",
    "event_timestamp",
    "event_name",
    "batch_page_id",
    "batch_ordering_id",
    "batch_event_index",
    "event_bundle_sequence_id",
)
"""What tells one event from another: the export has no id of events. The three of the batch are there since 2024."""
KEY_COLUMNS: Final[Wanted] = dict.fromkeys(KEY)
COLUMNS: Final[Wanted] = {
    **KEY_COLUMNS,
    "event_params": None,
    "user_id": None,
    "privacy_info": {"analytics_storage": None, "ads_storage": None},
    "user_properties": {"key": None, "value": {"string_value": None}},
    "device": {"category": None, "web_info": {"hostname": None}},
    "geo": {"country": None},
    "collected_traffic_source": {
        "manual_source": None,
        "manual_medium": None,
        "manual_campaign_name": None,
        "gclid": None,
    },
    "ecommerce": {"transaction_id": None},
    "items": {"item_id": None, "item_name": None, "item_category": None, "price": None, "quantity": None},
}
"""What is read of a row; GA4's rows are wide."""

_FROM_COLUMNS: Final = (
    ("source", ("collected_traffic_source", "manual_source")),
    ("medium", ("collected_traffic_source", "manual_medium")),
    ("campaign", ("collected_traffic_source", "manual_campaign_name")),
    ("device", ("device", "category")),
    ("country", ("geo", "country")),
    ("host", ("device", "web_info", "hostname")),
    ("transaction_id", ("ecommerce", "transaction_id")),
)
_NOTHING: Final = (None, "", "(not set)")
_ITEM: Final = ("item_id", "item_name", "item_category")
_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""As JSON spells it, and not a backslash before ``u0000``."""
_STATEMENT: Final = {"yes": True, "no": False}


class Translator:
    """Rows of one connection to events."""

    def __init__(self, connection: str, settings: GA4Settings) -> None:
        self._connection = connection
        self._include, self._exclude = frozenset(settings.include), frozenset(settings.exclude)
        self._email = settings.email_sha256_property
        self._grants = settings.consent_from_ads_storage == "grants"

    @property
    def columns(self) -> Wanted:
        """The columns that are read."""
        return COLUMNS if self._email else {name: of for name, of in COLUMNS.items() if name != "user_properties"}

    def is_wanted(self, row: Mapping[str, Any]) -> bool:
        """Whether the settings let an event of this name in."""
        name = row.get("event_name")
        return name not in self._exclude and (not self._include or name in self._include)

    def event(self, row: Mapping[str, Any], id_of: Callable[[bytes], str]) -> Event:
        """Return the event of a row; ``id_of`` makes an id of what tells it from others (:func:`key_of`).

        Without identifiers it belongs to nobody: so are those of visitors who denied analytics_storage.

        Raises:
            ValueError: the row says no event; the text says why and repeats no value of an identifier.
        """
        name = _text(row.get("event_name"), "event_name")
        if not name:
            raise ValueError("event_name is missing")
        at = from_us(_timestamp(row.get("event_timestamp")))
        event_id = id_of(key_of(row))
        parameters = _parameters(row.get("event_params"))
        name, properties = canonical(name, parameters)
        for key, path in _FROM_COLUMNS:
            if (value := _inside(row, path)) not in _NOTHING:
                properties.setdefault(key, value)
        if items := _items(row.get("items")):
            properties["items"] = items
        return Event(
            source=self._connection,
            id=event_id,
            name=name,
            at=at,
            identifiers=self._identifiers(row, parameters),
            properties=properties,
            click_ids=_click_ids(row, parameters),
            consent=self._consent(row.get("privacy_info")),
        )

    def _identifiers(self, row: Mapping[str, Any], parameters: Mapping[str, Json]) -> tuple[Identifier, ...]:
        found = []
        if user := _text(row.get("user_id"), "user_id"):
            found.append(Identifier(Kind.USER_ID, user))
        if self._email:
            email = _parameters(row.get("user_properties")).get(self._email) or parameters.get(self._email)
            if isinstance(email, str):
                found.append(Identifier(Kind.EMAIL, email))
        if client := client_id(row):
            found.append(Identifier(Kind.CLIENT_ID, client))
        return tuple(found)

    def _consent(self, privacy: Any) -> Consent:
        if not isinstance(privacy, dict):
            return {}
        consent = {}
        if (analytics := _STATEMENT.get(str(privacy.get("analytics_storage")).lower())) is not None:
            consent[Purpose.ANALYTICS] = analytics
        ads = _STATEMENT.get(str(privacy.get("ads_storage")).lower())
        if ads is False or (ads and self._grants):
            consent[Purpose.AD_USER_DATA] = consent[Purpose.AD_PERSONALIZATION] = ads
        return consent


def key_of(row: Mapping[str, Any]) -> bytes:
    """Return what tells the row's event from others, the same for both encodings of a row."""
    values = [row.get(column) for column in KEY]
    if values[1] is None:
        values[1] = client_id(row)
    return "|".join(["" if value is None else str(value) for value in values]).encode("utf-8", "backslashreplace")


def client_id(row: Mapping[str, Any]) -> str:
    """Return the ``_ga`` cookie's client id; models built on the export call ``user_pseudo_id`` ``client_id``."""
    return _text(row.get("user_pseudo_id"), "user_pseudo_id") or _text(row.get("client_id"), "client_id")


def is_clean(row: Mapping[str, Any]) -> bool:
    """Whether all texts of a row can be stored: none holds a NUL or half a surrogate pair."""
    text = json.dumps(row, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return not _NUL.search(text)


def _timestamp(value: Any) -> int:
    """Microseconds since the epoch, within the years 1970 to 9999."""
    if value is None or isinstance(value, bool):
        raise ValueError("event_timestamp is missing")
    try:
        us = int(value)
        if 0 <= us < 253_402_300_800_000_000 and us == float(value):
            return us
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"event_timestamp {str(value)[:40]!r} is no count of microseconds since 1970")


def _parameters(listed: Any) -> dict[str, Json]:
    """Parameters (or user properties) by key: of the four slots of a value the one that is filled."""
    if not isinstance(listed, list):
        return {}
    found: dict[str, Json] = {}
    for one in listed:
        try:
            key, slots = one["key"], one["value"] or {}
            value: Json = slots.get("string_value")
            if value is None and (whole := slots.get("int_value")) is not None:
                value = int(whole)
            elif value is None:
                value = _fraction(slots)
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
            raise ValueError(f"a parameter can not be read: {_name_of(one)}") from None
        if value not in (None, "") and key:
            found[str(key)] = value
    return found


def _fraction(slots: Mapping[str, Any]) -> float | None:
    for slot in ("double_value", "float_value"):
        if (given := slots.get(slot)) is not None:
            number = float(given)
            return number if isfinite(number) else None
    return None


def _name_of(parameter: Any) -> str:
    return str(parameter.get("key"))[:100] if isinstance(parameter, dict) else "it is no object"


def _items(listed: Any) -> list[Json]:
    """Items with what rules may ask for: id, name, category, price, quantity."""
    if not isinstance(listed, list):
        return []
    items: list[Json] = []
    for one in listed:
        if not isinstance(one, dict):
            raise ValueError("an item is no object")  # noqa: TRY004 - the data's mistake
        item: dict[str, Json] = {key: one[key] for key in _ITEM if one.get(key) not in _NOTHING}
        for key, read in (("price", float), ("quantity", int)):
            try:
                if one.get(key) is not None:
                    item[key] = read(one[key])
            except (TypeError, ValueError, OverflowError):
                raise ValueError(f"an item's {key} is no number") from None
        items.append(item)
    return items


def _click_ids(row: Mapping[str, Any], parameters: Mapping[str, Json]) -> dict[str, str]:
    """The click ids that came with this event; that a later event has them too is the core's to know."""
    found: dict[str, str] = {}
    page = parameters.get("page_location")
    if isinstance(page, str) and "?" in page:
        found = dict(_clicked(page))
    gclid = _inside(row, ("collected_traffic_source", "gclid"))
    return {**found, "gclid": gclid} if isinstance(gclid, str) and gclid.strip() else found


def _clicked(page: str) -> Iterable[tuple[str, str]]:
    try:
        return [(key, value) for key, value in parse_qsl(urlsplit(page).query) if key in CLICK_IDS]
    except ValueError:
        return []


def _inside(row: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = row
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _text(value: Any, where: str) -> str:
    """An identifier as text. A number with a fraction is none: exported as text, its last digits are the client's."""
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{where} is neither a text nor a whole number")
