"""One name for one thing, whichever way an event came."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadup.taxonomy import EVENTS, NUMBERS, PROPERTIES, TEXTS, canonical
from leadup.types import Json

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30)
NAMES = st.sampled_from([*PROPERTIES, *PROPERTIES.values(), "page_location", "video_id", "event_id"]) | st.text()


@pytest.mark.parametrize(
    ("name", "given_", "expected"),
    [
        ("video_progress", {"video_percent": 75, "video_title": "Demo"}, {"percent": 75, "title": "Demo"}),
        ("scroll", {"percent_scrolled": "90"}, {"percent": 90}),
        (
            "page_view",
            {"page_location": "https://Shop.test/pricing?gclid=x#top", "page_title": "Prices"},
            {
                "url": "https://Shop.test/pricing?gclid=x#top",
                "path": "/pricing",
                "host": "shop.test",
                "title": "Prices",
            },
        ),
        (
            "click",
            {"page_location": "https://shop.test", "link_url": "https://other.test/a", "link_domain": "other.test"},
            {
                "url": "https://other.test/a",
                "page_location": "https://shop.test",
                "path": "/",
                "host": "shop.test",
                "domain": "other.test",
            },
        ),
        ("video_start", {"video_title": "Demo", "page_title": "Home"}, {"title": "Demo", "page_title": "Home"}),
        ("session_start", {"ga_session_id": 17, "ga_session_number": "3"}, {"session_id": "17", "visit_number": 3}),
        ("page_view", {"page_path": "/a?b=c", "page_location": "https://x.test/z"}, {"path": "/a"}),
        ("purchase", {"value": "12.50", "transaction_id": 7, "tax": "about 2"}, {"value": 12.5, "transaction_id": "7"}),
        ("video_progress", {"percent": 10, "video_percent": 25}, {"percent": 10, "video_percent": 25}),
        ("page_view", {"page_location": "http://[bad"}, {"url": "http://[bad"}),
        ("custom", {"plan": "pro", "nothing": None}, {"plan": "pro"}),
    ],
)
def test_properties_have_their_common_names(name: str, given_: dict[str, Json], expected: dict[str, Json]) -> None:
    _, named = canonical(name, given_)
    assert {key: named[key] for key in expected} == expected


def test_names_of_events_stay_but_for_synonyms() -> None:
    assert canonical("form_start", {})[0] == "form_start"
    assert canonical("view_search_results", {"search_term": "crm"}) == ("search", {"term": "crm"})
    assert EVENTS.keys().isdisjoint(EVENTS.values())


@given(properties=st.dictionaries(NAMES, SCALARS, max_size=8))
def test_no_value_is_lost_and_none_invented(properties: dict[str, Json]) -> None:
    _, named = canonical("event", properties)
    for key, value in properties.items():
        if value is None:
            continue
        place = key if key in named and key not in PROPERTIES else PROPERTIES.get(key, key)
        kept = named.get(key, named.get(place))
        assert kept is not None
    assert len(named) <= sum(value is not None for value in properties.values()) + 2  # path and host
    json.dumps(named)


@given(properties=st.dictionaries(NAMES, SCALARS, max_size=8))
def test_types_do_not_drift(properties: dict[str, Json]) -> None:
    _, named = canonical("event", properties)
    assert not any(isinstance(named.get(key), int) and not isinstance(named[key], bool) for key in TEXTS)
    for key in NUMBERS & named.keys():
        value = named[key]
        assert not isinstance(value, str) or not value.isdecimal() or not value.isascii() or len(value) > 15
