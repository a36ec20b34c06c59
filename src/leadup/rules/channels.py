"""Channels: where the visitor of a view came from, by a small table like GA4's default channel group. Pure.

Source: "Default channel group" (Analytics Help), of which the channels for shopping, video, audio and messages are
``other`` here, and sites of videos are social ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from leadup.types import Json

CHANNELS: Final = (
    "paid_search",
    "organic_search",
    "paid_social",
    "organic_social",
    "display",
    "email",
    "affiliate",
    "referral",
    "direct",
    "other",
)
DIRECT: Final = "direct"
"""Of a visit of which no view says where it came from."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


SEARCH_SITES: Final = _names(
    "aol ask baidu bing brave daum duckduckgo ecosia google naver qwant seznam startpage yahoo yandex"
)
SOCIAL_SITES: Final = _names(
    "facebook fb ig instagram linkedin lnkd mastodon messenger pinterest quora reddit snapchat t threads tiktok tumblr "
    "twitter vimeo vk whatsapp x xing youtu youtube"
)
_DOORS: Final = _names("away l lm m mobile old out search www")
"""What stands before a site's own name in the addresses of its pages: ``l.facebook.com``."""
_PAID: Final = re.compile(r".*cp.*|ppc|retargeting|paid.*")
_MEDIA: Final[Mapping[str, frozenset[str]]] = {
    "display": frozenset({"display", "banner", "expandable", "interstitial", "cpm"}),
    "organic_social": frozenset(
        {"social", "social-network", "social-media", "sm", "social network", "social media", "organic_social"}
    ),
    "organic_search": frozenset({"organic"}),
    "email": frozenset({"email", "e-mail", "e_mail", "e mail"}),
    "affiliate": frozenset({"affiliate", "affiliates"}),
    "referral": frozenset({"referral", "app", "link"}),
}
_NOT_SET: Final = frozenset({"", "(direct)", "(none)", "(not set)", "(not provided)", "(data not available)"})


def channel_of(properties: Mapping[str, Json], click_ids: Mapping[str, str]) -> str | None:
    """Return the channel that one view tells of; None if it says nothing, as most views do but the first.

    In this order: Google's click ids; ``source`` and ``medium``, or ``utm_source`` and ``utm_medium`` in the page's
    address; other click ids; the ``referrer``, if it is another site.

    >>> channel_of({"source": "google", "medium": "cpc"}, {})
    'paid_search'
    >>> channel_of({"referrer": "https://news.example/", "url": "https://shop.test/"}, {})
    'referral'
    """
    page = _text(properties, "page_location") or _text(properties, "url")
    asked = _asked(page)
    source = _given(properties, "source") or asked.get("utm_source", "").strip().lower()
    medium = _given(properties, "medium") or asked.get("utm_medium", "").strip().lower()
    given = {**asked, **click_ids}
    if any(given.get(kind) for kind in ("gclid", "gbraid", "wbraid")):
        return "display" if medium in _MEDIA["display"] else "paid_search"
    if source or medium:
        return _by_source(source, medium)
    if given.get("msclkid"):
        return "paid_search"
    if given.get("fbclid"):
        return "organic_social"
    return _by_referrer(_host(_text(properties, "referrer")), _text(properties, "host").lower() or _host(page))


def _by_source(source: str, medium: str) -> str:
    site = _site(source)
    if _PAID.fullmatch(medium):
        if site in SEARCH_SITES or site in SOCIAL_SITES:
            return "paid_search" if site in SEARCH_SITES else "paid_social"
        return "display" if medium in _MEDIA["display"] else "other"
    if medium in _MEDIA["display"]:
        return "display"
    for channel, media in _MEDIA.items():
        sites = {"organic_social": SOCIAL_SITES, "organic_search": SEARCH_SITES, "email": _MEDIA["email"]}
        if medium in media or site in sites.get(channel, ()):
            return channel
    return "referral" if "." in source and not medium else "other"


def _by_referrer(host: str, own: str) -> str | None:
    if not host or host.removeprefix("www.") == own.removeprefix("www."):
        return None
    if host.startswith(("mail.", "webmail.")):
        return "email"
    site = _site(host)
    return "organic_search" if site in SEARCH_SITES else "organic_social" if site in SOCIAL_SITES else "referral"


@lru_cache(maxsize=1 << 12)
def _site(name: str) -> str:
    """Return a site's own name: ``google`` of ``google``, ``www.google.co.uk`` and ``uk.search.google.com``.

    Other hosts of the same house, such as ``docs.google.com``, are sites of their own.
    """
    labels = name.split(".")
    while len(labels) > 2 and (labels[0] in _DOORS or len(labels[0]) == 2):
        labels = labels[1:]
    return labels[0] if all(len(label) <= 3 for label in labels[1:]) else name


@lru_cache(maxsize=1 << 12)
def _asked(page: str) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(urlsplit(page).query))
    except ValueError:  # no address, or more parameters than anyone reads
        return {}


@lru_cache(maxsize=1 << 12)
def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _text(properties: Mapping[str, Json], name: str) -> str:
    value = properties.get(name)
    return value.strip() if isinstance(value, str) else ""


def _given(properties: Mapping[str, Json], name: str) -> str:
    text = _text(properties, name).lower()
    return "" if text in _NOT_SET else text
