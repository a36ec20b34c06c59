"""What a collector makes of what is sent: ids, times, and the event data of a GTM server container."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from collecting import NOON, SECRET, record
from leadup.types import Event, Fact, Identifier, Incoming, Kind, Purpose, Rejected
from leadup_connectors.collector.push import Collector
from leadup_connectors.collector.settings import CollectorSettings

EXAMPLE = {
    "event_name": "form_start",
    "client_id": "1234567890.1790000000",
    "event_id": "a1b2",
    "page_location": "https://x.test/demo?gclid=Cj0K",
    "user_data": {"sha256_email_address": ["973dfe46"]},
    "form_id": "demo",
    "x_ga_measurement_id": "G-XXXX",
    "x_ga_gcs": "G111",
}


def translate(
    body: Any, *, at: datetime = NOON, key: str = "1f-7", **how: Any
) -> tuple[list[Event | Fact], list[Rejected]]:
    push = Collector("web", CollectorSettings(**{"secret": SecretStr(SECRET), **how}))
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return push.translate(Incoming(connection="web", headers={}, body=data, received_at=at, id=key))


def event(body: Any, **how: Any) -> Event:
    (found,), rejected = translate(body, **how)
    assert rejected == []
    assert isinstance(found, Event)
    return found


def gtm(**data: Any) -> Event:
    how = {"consent_from_ads_storage": data.pop("storage")} if "storage" in data else {}
    return event({"event_name": "page_view", "client_id": "1.2", **data}, format="gtm_server", **how)


# ---------------------------------------------------------------- ids and times


def without(key: str, **more: Any) -> dict[str, Any]:
    return {name: value for name, value in record("e1", **more).items() if name != key}


def test_an_id_of_its_own_counts() -> None:
    assert event(record("e1")).id == "e1"


def test_without_an_id_the_content_tells_one_event_from_another() -> None:
    body = without("id")
    again = event(body, key="1f-8", at=NOON + timedelta(days=1))
    assert event(body).id == again.id
    assert event({**body, "name": "other"}).id != again.id
    assert event(dict(reversed(body.items()))).id == again.id


def test_without_id_and_time_each_request_is_its_own() -> None:
    body = without("id")
    del body["at"]
    assert event(body, key="1f-7").id != event(body, key="1f-8").id
    first, second = translate([body, body])[0]
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert first.id != second.id


def test_without_a_time_the_receipt_counts() -> None:
    assert event(without("at")).at == NOON
    (fact,), _ = translate({"person": {"user_id": "u1"}, "facts": {"stage": "lead"}})
    assert (type(fact), fact.at) == (Fact, NOON)


@pytest.mark.parametrize(
    ("ahead", "at"),
    [
        (timedelta(minutes=5), timedelta(minutes=5)),
        (timedelta(minutes=5, seconds=1), timedelta()),
        (timedelta(days=900), timedelta()),
    ],
)
def test_the_future_is_brought_back(ahead: timedelta, at: timedelta) -> None:
    assert event(record("e1", at=(NOON + ahead).isoformat())).at == NOON + at


def test_the_past_is_left_alone() -> None:
    assert event(record("e1", at="2020-01-01T00:00:00Z")).at == datetime(2020, 1, 1, tzinfo=UTC)


# ---------------------------------------------------------------- GTM


def test_the_example_of_a_server_container() -> None:
    found = event(EXAMPLE, format="gtm_server")
    assert found == Event(
        source="web",
        id="a1b2",
        name="form_start",
        at=NOON,
        identifiers=(Identifier(Kind.EMAIL, "973dfe46"), Identifier(Kind.CLIENT_ID, "1234567890.1790000000")),
        properties={
            "event_id": "a1b2",
            "form_id": "demo",
            "url": "https://x.test/demo?gclid=Cj0K",
            "path": "/demo",
            "host": "x.test",
        },
        click_ids={"gclid": "Cj0K"},
        consent={Purpose.ANALYTICS: True},
    )


def test_hyphens_are_underscores() -> None:
    assert gtm(**{"x-ga-gcs": "G100", "page-location": "https://x.test/a"}).properties["path"] == "/a"


@pytest.mark.parametrize(
    ("state", "storage", "consent"),
    [
        ("G111", "denies", {"analytics_storage": True}),
        ("G111", "grants", {"ad_user_data": True, "ad_personalization": True, "analytics_storage": True}),
        ("G101", "denies", {"ad_user_data": False, "ad_personalization": False, "analytics_storage": True}),
        ("G100", "grants", {"ad_user_data": False, "ad_personalization": False, "analytics_storage": False}),
        ("G110", "denies", {"analytics_storage": False}),
        ("G1--", "grants", {}),
        ("G1", "grants", {}),
        ("nonsense", "grants", {}),
        (111, "grants", {}),
        (None, "grants", {}),
    ],
)
def test_consent_state(state: object, storage: str, consent: dict[str, bool]) -> None:
    assert gtm(x_ga_gcs=state, storage=storage).consent == consent


def test_consent_that_is_stated_counts_before_the_state() -> None:
    found = gtm(x_ga_gcs="G101", consent={"ad_user_data": "granted", "ad_storage": "granted", "ad_personalization": 5})
    assert found.consent == {"ad_user_data": True, "ad_personalization": False, "analytics_storage": True}


@pytest.mark.parametrize(
    ("given_time", "at"),
    [
        (1772362800123, datetime(2026, 3, 1, 11, 0, 0, 123000, tzinfo=UTC)),
        ("1772362800123", datetime(2026, 3, 1, 11, 0, 0, 123000, tzinfo=UTC)),
        (1772362800, NOON),
        (4102444800000, NOON),
        (-5, NOON),
        (1e300, NOON),
        (True, NOON),
        ("soon", NOON),
        (None, NOON),
    ],
)
def test_time_of_the_event(given_time: object, at: datetime) -> None:
    assert gtm(event_time_ms=given_time).at == at


def test_all_who_are_named() -> None:
    found = gtm(
        user_id=17,
        user_data={
            "email_address": "Ada@x.test",
            "sha256_email_address": "ab",
            "phone_number": ["+491", "+492"],
            "address": {"city": "X"},
        },
    )
    assert [str(one) for one in found.identifiers] == [
        "user_id:17",
        "email:Ada@x.test",
        "email:ab",
        "phone:+491",
        "phone:+492",
        "client_id:1.2",
    ]
    assert found.properties == {}


@pytest.mark.parametrize("who", [{}, {"client_id": {}, "user_data": []}, {"user_data": {"email_address": [None, 1.5]}}])
def test_an_event_that_names_nobody_belongs_to_nobody(who: dict[str, object]) -> None:
    """As that of a visitor who denied analytics storage; it is no mistake that somebody should look at."""
    assert event({"event_name": "page_view", **who}, format="gtm_server").identifiers == ()


def test_the_browser_and_its_address_are_not_kept() -> None:
    found = gtm(ip_override="192.0.2.1", user_agent="x", x_ga_js_client_id="x", screen_resolution="1x1", value=5)
    assert found.properties == {"value": 5}


def test_click_ids_of_the_event_come_before_those_of_the_page() -> None:
    found = gtm(gclid="own", page_location="https://x.test/?gclid=page&fbclid=f&gbraid=&utm=1")
    assert found.click_ids == {"gclid": "own", "fbclid": "f"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"client_id": "1"}, '"event_name" is missing: the event has no name'),
        ({"event_name": 5, "client_id": "1"}, '"event_name" is missing: the event has no name'),
        (5, "not a JSON object {...}"),
    ],
)
def test_what_can_not_be_an_event_is_rejected_with_its_reason(data: object, reason: str) -> None:
    records, (rejected,) = translate(data, format="gtm_server")
    assert records == []
    assert rejected == Rejected(place="request 1f-7", line=1, reason=reason, text=json.dumps(data))


# ---------------------------------------------------------------- anything

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)  # others do not come through the door
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
LEADUP = ["id", "name", "at", "identifiers", "properties", "click_ids", "consent", "person", "facts"]
GTM = [*EXAMPLE, "user_id", "event_time_ms", "consent", "gclid", "items", "page-location"]
WORDS = st.sampled_from(
    ["granted", "G111", "https://x.test/?gclid=1", "http://[", "1772362800000", "2026-03-01T12:00:00Z"]
)


@given(
    st.sampled_from(["leadup", "gtm_server"]),
    st.lists(st.dictionaries(st.sampled_from([*LEADUP, *GTM]), WORDS | VALUES, max_size=8) | VALUES, max_size=4),
)
def test_whatever_is_sent_becomes_a_record_or_is_rejected(form: str, items: list[Any]) -> None:
    """One body that raised would stand in the way of all that come after it."""
    items = [
        {**item, "event_name": "x", "name": "x"} if isinstance(item, dict) and len(item) > 3 else item for item in items
    ]
    records, rejected = translate(items, format=form)
    assert len(records) + len(rejected) == len(items)
    assert translate(items, format=form) == (records, rejected)
    assert all(one.at <= NOON + timedelta(minutes=5) for one in records)
