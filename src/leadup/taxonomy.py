"""The common names of what visitors do, so that one rule fits an event whichever way it came. Pure.

Names of events are GA4's where GA4 has one (its "Recommended events" and "Enhanced measurement events"). Properties
have short names without the prefix of their vendor: ``percent``, not ``video_percent``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from leadup.types import Json

EVENTS: Final = {"view_search_results": "search"}
"""GA4 has two names for one search: the automatic one and the recommended one."""

PROPERTIES: Final = {
    "video_percent": "percent",
    "percent_scrolled": "percent",
    "video_title": "title",
    "video_provider": "provider",
    "video_duration": "duration",
    "video_current_time": "position",
    "file_extension": "extension",
    "link_url": "url",
    "link_domain": "domain",
    "link_text": "text",
    "search_term": "term",
    "ga_session_id": "session_id",
    "ga_session_number": "visit_number",
    "page_location": "url",
    "page_title": "title",
    "page_referrer": "referrer",
    "page_path": "path",
    "page_hostname": "host",
}
"""Canonical names, the telling ones first: a click's ``url`` is where it led, and its page keeps ``page_location``."""

NUMBERS: Final = frozenset(
    {
        "duration",
        "engaged_session_event",
        "engagement_time_msec",
        "percent",
        "position",
        "session_engaged",
        "shipping",
        "tax",
        "value",
        "visit_number",
    }
)
"""Canonical properties that are numbers, also where a tag sent them as text."""

TEXTS: Final = frozenset({"event_id", "session_id", "transaction_id"})
"""Canonical properties that are names, also where a tag sent them as numbers."""

_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


def canonical(name: str, properties: Mapping[str, Json]) -> tuple[str, dict[str, Json]]:
    """Return the canonical name and properties of an event that speaks GA4: from its export or from a tag.

    A property that is unknown here keeps its name, and so does one whose canonical name is taken, by a property that
    came under it or by one that is named earlier in :data:`PROPERTIES`. Nulls are left out. ``path`` (without query
    and fragment) and ``host`` are taken from ``page_location`` where nothing else says them.

    >>> canonical("video_progress", {"video_percent": "75", "page_location": "https://shop.test/pricing?a=b"})
    ('video_progress', {'percent': 75, 'url': 'https://shop.test/pricing?a=b', 'path': '/pricing', 'host': 'shop.test'})
    """
    named = dict[str, Json](
        {key: value for key, value in properties.items() if value is not None and key not in PROPERTIES}
    )
    for key, common in PROPERTIES.items():
        value = properties.get(key)
        if value is not None:
            named[key if common in named else common] = value
    page = properties.get("page_location")
    if isinstance(page, str):
        path, host = _path_and_host(page)
        if path:
            named.setdefault("path", path)
        if host:
            named.setdefault("host", host)
    given = named.get("path")
    if isinstance(given, str):
        named["path"] = given.partition("#")[0].partition("?")[0]
    for key in NUMBERS & named.keys():
        named[key] = _number(named[key])
    for key in TEXTS & named.keys():
        value = named[key]
        if isinstance(value, int) and not isinstance(value, bool):
            named[key] = str(value)
    return EVENTS.get(name, name), named


@lru_cache(maxsize=1 << 12)
def _path_and_host(url: str) -> tuple[str, str]:
    """The path of an address, "/" for none, and its host; empty texts for what is no address."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "", ""
    return parts.path or ("/" if host else ""), host


def _number(value: Json) -> Json:
    """A number that was written as text; anything else as it is."""
    if not isinstance(value, str) or not (found := _NUMBER.fullmatch(value.strip())):
        return value
    return float(value) if found[1] else int(value)
