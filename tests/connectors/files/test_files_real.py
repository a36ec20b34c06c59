"""Files that nobody here made, mapped by configuration alone."""

import csv
import gzip
from collections import Counter
from datetime import UTC, datetime

import pytest
from files_kit import NOW, SHARED, events, pull, source

from leadup.types import Identifier, Kind, Purpose

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data beside the repository is not here")

SHOP = {
    "columns": {"name": "event", "time": {"column": "timestamp", "zone": "UTC"}},
    "identifiers": {"user_id": "user_id"},
    "consent": {"ad_user_data": "granted"},
}


def test_every_row_of_the_shop_is_an_event() -> None:
    source(SHARED, "ecom.csv.gz", **SHOP).check()
    records, rejected, page = pull(SHARED, "ecom.csv.gz", **SHOP)
    found = events(records)
    assert (len(found), rejected, page.complete_until) == (31_106, [], NOW)
    assert len({event.id for event in found}) == 31_106
    with gzip.open(SHARED / "ecom.csv.gz", "rt", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert Counter(event.name for event in found) == Counter(row["event"] for row in rows)
    for event, row in zip(found, rows, strict=True):
        assert event.at == datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC)
        assert event.identifiers == (Identifier(Kind.USER_ID, row["user_id"]),)
        assert event.properties["acquisition_channel"] == row["acquisition_channel"]
        assert event.consent == {Purpose.AD_USER_DATA: True}


def test_videos_are_named_by_what_lies_in_a_cell_of_json() -> None:
    """Snowplow keeps the kind of a media event, and the player's state, in cells that hold JSON."""
    player = "contexts_com_snowplowanalytics_snowplow_media_player_1_0_0.0"
    event = "unstruct_event_com_snowplowanalytics_snowplow_media_player_event_1_0_0.0"
    mapping = {
        "columns": {"id": "event_id", "name": f"{event}.type", "time": {"column": "derived_tstamp", "zone": "UTC"}},
        "identifiers": {"user_id": "user_id", "client_id": "domain_userid"},
        "properties": {"title": f"{event}.label", "percent": f"{player}.percent_progress", "path": "page_urlpath"},
    }
    records, rejected, _ = pull(SHARED / "snowplow_media", "snowplow_media_player_events.csv.gz", **mapping)
    found = events(records)
    assert (len(found), rejected) == (248, [])
    names = Counter(event.name for event in found)
    assert (names["play"], names["percentprogress"], names["ended"]) == (78, 9, 6)
    assert {identifier.kind for event in found for identifier in event.identifiers} == {Kind.CLIENT_ID}
    assert {event.properties.get("percent") for event in found if event.name == "percentprogress"} <= {
        "10", "25", "50", "75", "90", "95", "100",
    }  # fmt: skip


def test_single_events_of_ga4s_export() -> None:
    """64-bit numbers arrive as text, and a client id that looks like a number stays the text it is."""
    mapping = {
        "columns": {"name": "event_name", "time": {"column": "event_timestamp", "unit": "us"}},
        "identifiers": {"user_id": "user_id", "client_id": "user_pseudo_id"},
        "properties": ["device.category", "page_title"],
    }
    records, (rejected,), _ = pull(SHARED, "ga4_events.ndjson", **mapping)
    (event,) = events(records)
    assert event.at == datetime(2021, 1, 28, 1, 40, 22, 695757, tzinfo=UTC)
    assert event.identifiers == (Identifier(Kind.CLIENT_ID, "1146540.1921992520"),)
    assert event.properties == {"category": "desktop"}
    assert (rejected.line, rejected.reason[:13]) == (1, "no identifier")  # that export calls the column client_id
