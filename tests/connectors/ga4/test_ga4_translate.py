"""Rows of GA4's export become events, the same by REST and from a file."""

from __future__ import annotations

import gc
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from ga4_kit import params, row
from hypothesis import given
from hypothesis import strategies as st

from leadup.kit import RowIds
from leadup.types import Event, Identifier, Kind, Purpose
from leadup_connectors.ga4.rows import decoder, gc_paused, prune, selected_fields
from leadup_connectors.ga4.sandbox_schema import COLUMNS, cells, field, tree_of
from leadup_connectors.ga4.settings import GA4Settings
from leadup_connectors.ga4.translate import Translator, is_clean

SCHEMA = [field(name, shape) for name, shape in COLUMNS.items()]
BOTH_ADS = {Purpose.AD_USER_DATA, Purpose.AD_PERSONALIZATION}


def translator(**settings: Any) -> Translator:
    return Translator("web", GA4Settings(path="exports", **settings))


def event(of: dict[str, Any], **settings: Any) -> Event:
    return translator(**settings).event(of, lambda key: RowIds().next(key, (0, 0)))


def by_rest(of: dict[str, Any], wanted: Any) -> dict[str, Any]:
    """The row as BigQuery sends it and the connector reads it."""
    fields = prune(SCHEMA, wanted)
    sent = {"f": cells(of, COLUMNS, tree_of(selected_fields(fields, wanted), COLUMNS))}
    return decoder(fields)(json.loads(json.dumps(sent)))


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
VALUES = st.fixed_dictionaries({}, optional={
    "string_value": st.none() | TEXT,
    "int_value": st.none() | st.integers(-(2**63), 2**63 - 1),
    "double_value": st.none() | st.floats(allow_nan=False),
})  # fmt: skip
ROWS = st.fixed_dictionaries(
    {
        "event_timestamp": st.integers(0, 4_000_000_000_000_000),
        "event_name": TEXT.filter(str.strip),
        "event_params": st.lists(st.fixed_dictionaries({"key": TEXT, "value": VALUES}), max_size=4),
    },
    optional={
        "user_pseudo_id": st.none() | TEXT,
        "user_id": st.none() | TEXT,
        "batch_page_id": st.none() | st.integers(0, 2**53),
        "event_bundle_sequence_id": st.none() | st.integers(-(2**63), 2**63 - 1),
        "privacy_info": st.none() | st.fixed_dictionaries({"ads_storage": st.sampled_from(["Yes", "No", None])}),
        "collected_traffic_source": st.none() | st.fixed_dictionaries({"gclid": st.none() | TEXT}),
        "device": st.none()
        | st.fixed_dictionaries({"web_info": st.none() | st.fixed_dictionaries({"hostname": TEXT})}),
        "items": st.lists(st.fixed_dictionaries({"item_id": TEXT, "price": st.none() | st.just(9.5)}), max_size=2),
    },
)


@given(of=ROWS)
def test_a_row_says_the_same_by_rest_and_in_a_file(of: dict[str, Any]) -> None:
    wanted = translator(email_sha256_property="mail").columns
    assert event(by_rest(of, wanted)) == event(of)
    as_texts = json.loads(json.dumps(of), parse_int=str)  # an export to a file writes 64-bit integers so
    assert event(as_texts) == event(of)


def test_an_event_has_name_time_and_common_properties() -> None:
    found = event(
        row(
            1,
            "video_progress",
            at=datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
            event_params=params(
                page_location="https://shop.test/demo?utm_source=x",
                video_percent=75,
                video_title="Demo",
                event_id="e-7",
            ),
            device={"category": "mobile", "web_info": {"hostname": "shop.test"}},
            geo={"country": "Italy"},
            collected_traffic_source={
                "manual_source": "google",
                "manual_medium": "cpc",
                "manual_campaign_name": "spring",
            },
        )
    )
    assert (found.source, found.name) == ("web", "video_progress")
    assert found.at == datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert found.properties == {
        "percent": 75,
        "title": "Demo",
        "url": "https://shop.test/demo?utm_source=x",
        "path": "/demo",
        "host": "shop.test",
        "event_id": "e-7",
        "device": "mobile",
        "country": "Italy",
        "source": "google",
        "medium": "cpc",
        "campaign": "spring",
    }


@pytest.mark.parametrize(
    "slots",
    [
        {"int_value": 75},
        {"int_value": "75"},
        {"string_value": "75", "int_value": None},
        {"string_value": None, "double_value": 75.0},
        {"float_value": "75.0"},
    ],
)
def test_a_number_is_a_number_whichever_slot_it_came_in(slots: dict[str, Any]) -> None:
    found = event(row(1, event_params=[{"key": "video_percent", "value": slots}]))
    assert found.properties["percent"] == 75
    assert not isinstance(found.properties["percent"], str)


def test_what_is_not_set_is_not_there() -> None:
    given_ = [
        {"key": "empty", "value": {"string_value": ""}},
        {"key": "unset", "value": {"string_value": None, "int_value": None, "float_value": None, "double_value": None}},
        {"key": "null", "value": None},
        {"key": "nan", "value": {"double_value": "NaN"}},
    ]
    found = event(row(1, event_params=given_, geo={"country": "(not set)"}, device=None, items=[], ecommerce={}))
    assert found.properties == {}


def test_ids_tell_events_apart_and_stay_when_attribution_changes() -> None:
    one = event(row(1, batch_event_index=1))
    assert one.id == event(row(1, batch_event_index="1", collected_traffic_source={"gclid": "late"})).id
    others = [row(2), row(1, "scroll"), row(1, batch_event_index=2), row(1, stream_id="7"), row(1, batch_page_id=1)]
    assert len({one.id, *(event(other).id for other in others)}) == 1 + len(others)


def test_identifiers_are_the_users_and_the_clients() -> None:
    digest = "0c7e6a405862e402eb76a70f8a26fc732d07c32931e9fae9ab1582911d2e8a3b"
    found = event(
        row(1, user_id="u_42", user_properties=[{"key": "mail", "value": {"string_value": digest}}]),
        email_sha256_property="mail",
    )
    assert found.identifiers == (
        Identifier(Kind.USER_ID, "u_42"),
        Identifier(Kind.EMAIL, digest),
        Identifier(Kind.CLIENT_ID, "1234567890.1700000001"),
    )


def test_a_visitor_who_denied_storage_is_nobody() -> None:
    denied = {"analytics_storage": "No", "ads_storage": "No"}
    found = event(row(1, user_pseudo_id=None, privacy_info=denied))
    assert found.identifiers == ()
    assert found.consent == {Purpose.ANALYTICS: False, **dict.fromkeys(BOTH_ADS, False)}


@pytest.mark.parametrize(
    ("stated", "setting", "expected"),
    [
        ("No", "denies", False),
        ("No", "grants", False),
        ("Yes", "denies", None),
        ("Yes", "grants", True),
        (None, "grants", None),
        ("Unset", "grants", None),
    ],
)
def test_ads_storage_counts_as_the_settings_say(stated: str | None, setting: str, expected: bool | None) -> None:
    found = event(row(1, privacy_info={"ads_storage": stated}), consent_from_ads_storage=setting)
    assert found.consent == ({} if expected is None else dict.fromkeys(BOTH_ADS, expected))


@pytest.mark.parametrize(
    ("page", "column", "expected"),
    [
        ("https://x.test/?gclid=page", "column", {"gclid": "column"}),
        ("https://x.test/?gclid=page&a=b", None, {"gclid": "page"}),
        (
            "https://x.test/?gbraid=g&wbraid=w&fbclid=f&msclkid=m#top",
            " ",
            {"gbraid": "g", "wbraid": "w", "fbclid": "f"},
        ),
        ("https://x.test/?gclid=", None, {}),
        ("http://[bad?gclid=1", None, {}),
        ("https://x.test/gclid=1", None, {}),
    ],
)
def test_click_ids_are_those_of_the_event(page: str, column: str | None, expected: dict[str, str]) -> None:
    found = event(row(1, event_params=params(page_location=page), collected_traffic_source={"gclid": column}))
    assert found.click_ids == expected


def test_a_purchase_has_its_items_in_short() -> None:
    found = event(
        row(
            1,
            "purchase",
            event_params=params(value="12.50", currency="EUR"),
            ecommerce={"transaction_id": "T-1"},
            items=[{"item_id": "sku", "item_name": "(not set)", "price": "9.5", "quantity": "2"}],
        )
    )
    assert found.properties == {
        "value": 12.5,
        "currency": "EUR",
        "transaction_id": "T-1",
        "items": [{"item_id": "sku", "price": 9.5, "quantity": 2}],
    }


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"event_name": None}, "event_name is missing"),
        ({"event_timestamp": None}, "event_timestamp is missing"),
        ({"event_timestamp": "yesterday"}, "no count of microseconds"),
        ({"event_timestamp": 10**30}, "no count of microseconds"),
        ({"event_timestamp": -1}, "no count of microseconds"),
        ({"user_pseudo_id": 1234567890.17}, "user_pseudo_id is neither"),
        ({"event_params": [{"key": "n", "value": {"int_value": "many"}}]}, "a parameter can not be read: n"),
        ({"event_params": ["n"]}, "a parameter can not be read"),
        ({"items": [{"price": "free"}]}, "an item's price"),
        ({"items": [1]}, "an item is no object"),
    ],
)
def test_a_row_that_says_no_event_is_told_why(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        event({**row(1), **wrong})


@pytest.mark.parametrize("cells_", [{}, {"f": []}, {"f": None}, {"f": [{"x": 1}]}, None, 7, {"f": [1] * 40}])
def test_a_row_of_another_shape_is_an_error_of_that_row(cells_: Any) -> None:
    with pytest.raises(ValueError, match="shape of its table's schema"):
        decoder(prune(SCHEMA, translator().columns))(cells_)


@pytest.mark.parametrize(
    ("text", "clean"), [("a", True), ("\0", False), ("\ud800", False), ("\\u0000", True), ("\\\0", False), ("é", True)]
)
def test_texts_that_can_not_be_stored_are_seen(text: str, clean: bool) -> None:
    assert is_clean({"key": [{"value": text}]}) is clean


def test_the_collector_of_garbage_is_as_it_was_afterwards() -> None:
    assert gc.isenabled()
    with gc_paused():
        with pytest.raises(ZeroDivisionError), gc_paused():
            _ = 1 // 0
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with gc_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
