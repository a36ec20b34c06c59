"""The documented leadup JSONL, line by line."""

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadup.records import clip, decode_line, parse_line, parse_record, read_jsonl, shown
from leadup.types import Event, Fact, Identifier, Kind, Purpose

AT = "2026-03-01T12:00:00Z"
EVENT: dict[str, Any] = {"id": "e1", "name": "view", "at": AT, "identifiers": {"user_id": "u1"}}
FACT: dict[str, Any] = {"person": {"user_id": "u1"}, "facts": {"stage": "lead"}, "at": AT}


def parse(obj: Mapping[str, Any]) -> Event | Fact:
    return parse_record(obj, source="site", fallback_id="fallback")


def test_the_documented_event() -> None:
    line = (
        '{"id": "e1", "name": "video_progress", "at": "2026-03-01T12:00:00Z",'
        ' "identifiers": {"client_id": "c1", "user_id": "u1", "email": "a@b.c"}, "properties": {"percent": 80},'
        ' "click_ids": {"gclid": "x"}, "consent": {"ad_user_data": "granted"}}'
    )
    assert parse(parse_line(line)) == Event(
        source="site",
        id="e1",
        name="video_progress",
        at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        identifiers=(
            Identifier(Kind.USER_ID, "u1"),
            Identifier(Kind.EMAIL, "a@b.c"),
            Identifier(Kind.CLIENT_ID, "c1"),
        ),
        properties={"percent": 80},
        click_ids={"gclid": "x"},
        consent={Purpose.AD_USER_DATA: True},
    )


def test_the_documented_fact() -> None:
    line = '{"person": {"user_id": "u1"}, "facts": {"lifecycle_stage": "lead"}, "at": "2026-03-01T12:00:00Z"}'
    assert parse(parse_line(line)) == Fact(
        source="site",
        at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        identifiers=(Identifier(Kind.USER_ID, "u1"),),
        facts={"lifecycle_stage": "lead"},
    )


def test_a_withdrawal_needs_no_facts() -> None:
    fact = parse({"person": {"email": "a@b.c"}, "consent": {"ad_user_data": "denied"}, "at": AT})
    assert (fact.consent, isinstance(fact, Fact)) == ({Purpose.AD_USER_DATA: False}, True)


@pytest.mark.parametrize("given_id", [None, "", "  ", "absent"])
def test_an_event_without_id_gets_the_fallback(given_id: str | None) -> None:
    obj = {key: value for key, value in EVENT.items() if key != "id" or given_id != "absent"}
    event = parse(obj if given_id == "absent" else {**obj, "id": given_id})
    assert isinstance(event, Event)
    assert event.id == "fallback"


@pytest.mark.parametrize(
    ("identifiers", "expected", "click_ids"),
    [
        ({"user_id": 17}, ["user_id:17"], {}),
        ({"user_id": " u "}, ["user_id:u"], {}),
        ({"email": ["a@b.c", "d@e.f", "a@b.c"]}, ["email:a@b.c", "email:d@e.f"], {}),
        ({"user_id": "", "email": None, "hutk": "h"}, ["hutk:h"], {}),
        ({"client_id": "c", "gclid": "g", "fbclid": ""}, ["client_id:c"], {"gclid": "g"}),
    ],
)
def test_identifiers(identifiers: dict[str, Any], expected: list[str], click_ids: dict[str, str]) -> None:
    event = parse({**EVENT, "identifiers": identifiers})
    assert isinstance(event, Event)
    assert [str(identifier) for identifier in event.identifiers] == expected
    assert event.click_ids == click_ids


def test_a_click_id_of_its_own_place_counts_before_one_among_the_identifiers() -> None:
    event = parse({**EVENT, "identifiers": {"user_id": "u", "gclid": "old"}, "click_ids": {"gclid": "new"}})
    assert isinstance(event, Event)
    assert event.click_ids == {"gclid": "new"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": None}, '"name" is missing'),
        ({"name": " "}, '"name" is not a text'),
        ({"name": 5}, '"name" is not a text'),
        ({"at": None}, '"at" is missing'),
        ({"at": "2026-03-01T12:00:00"}, "not a time with a zone"),
        ({"at": "yesterday"}, "'yesterday', which is not a time with a zone; write ISO 8601"),
        ({"at": "9999-12-31T23:59:59-01:00"}, "not a time with a zone"),
        ({"at": 1772366400}, '"at" is not a text'),
        ({"identifiers": {}}, "no identifier"),
        ({"identifiers": {"user_id": ""}}, "no identifier"),
        ({"identifiers": {"gclid": "g"}}, "no identifier"),
        ({"identifiers": {"userid": "u"}}, 'identifiers.userid is no kind of identifier; did you mean "user_id"?'),
        ({"identifiers": {"cookie": "u"}}, "kinds are user_id, email, phone, hubspot_id, client_id, hutk"),
        ({"identifiers": {"user_id": 1.5}}, "identifiers.user_id is neither a text nor a whole number"),
        ({"identifiers": {"user_id": True}}, "identifiers.user_id is neither a text nor a whole number"),
        ({"identifiers": {"user_id": {"id": 1}}}, "identifiers.user_id is neither a text nor a whole number"),
        ({"identifiers": "u1"}, '"identifiers" is not an object'),
        ({"properties": [1]}, '"properties" is not an object'),
        ({"click_ids": {"gclick": "x"}}, 'click_ids.gclick is no click id; did you mean "gclid"?'),
        ({"consent": {"ad_userdata": "granted"}}, 'did you mean "ad_user_data"?'),
        ({"consent": {"ad_user_data": "yes"}}, 'consent.ad_user_data is neither "granted" nor "denied"'),
        ({"propertys": {}}, "'propertys' is not a key of an event; did you mean \"properties\"?"),
        ({"plan": "pro"}, "'plan' is not a key of an event; details belong under properties"),
    ],
)
def test_an_event_that_is_wrong_says_why(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the whole text is compared below
        parse({**EVENT, **change})
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"facts": {}}, "says nothing"),
        ({"facts": {"stage": None}}, "says nothing"),
        ({"person": {}}, "no identifier"),
        ({"person": {"mail": "a@b.c"}}, 'person.mail is no kind of identifier; did you mean "email"?'),
        ({"name": "view"}, "'name' is not a key of a fact"),
        ({"at": ""}, '"at" is missing'),
    ],
)
def test_a_fact_that_is_wrong_says_why(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the whole text is compared below
        parse({**FACT, **change})
    assert reason in str(raised.value)


def test_consent_may_be_a_bool_and_null_says_nothing() -> None:
    consent = parse({**EVENT, "consent": {"ad_user_data": True, "analytics_storage": None}}).consent
    assert consent == {Purpose.AD_USER_DATA: True}


def test_reasons_repeat_no_address() -> None:
    with pytest.raises(ValueError, match="not repeated here"):
        parse({**EVENT, "at": "anna@example.com"})
    assert shown("x" * 100) == "'" + "x" * 37 + "...'"


def test_a_file_is_read_with_the_line_of_each_mistake() -> None:
    lines = [
        json.dumps(EVENT),
        "",
        json.dumps({**EVENT, "id": None}),
        "{broken",
        json.dumps({**EVENT, "id": None}),
        json.dumps(FACT),
        '{"name": "caf\\u00e9"}',
    ]
    data = ("\ufeff" + "\r\n".join(lines)).encode() + b"\n\xff\n"
    records, rejected = read_jsonl(io.BytesIO(data), source="try", place="e.jsonl")
    ids = [record.id for record in records if isinstance(record, Event)]
    assert (ids[0], ids[2]) == ("e1", f"{ids[1]}-1")
    assert isinstance(records[-1], Fact)
    assert [(one.place, one.line) for one in rejected] == [("e.jsonl", 4), ("e.jsonl", 7), ("e.jsonl", 8)]
    assert rejected[0].text == "{broken"
    assert rejected[2].text == "\\xff"


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(
    st.dictionaries(TEXT, JSON, max_size=4),
    st.booleans(),
)
def test_what_json_says_arrives_as_it_was_said(properties: dict[str, Any], ascii_only: bool) -> None:
    line = json.dumps({**EVENT, "properties": properties}, ensure_ascii=ascii_only)
    event = parse(parse_line(decode_line(line.encode())))
    assert isinstance(event, Event)
    assert event.properties == {name: value for name, value in properties.items() if value is not None}


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_line_is_a_record_or_a_reason(raw: bytes) -> None:
    records, rejected = read_jsonl([raw], source="try", place="e")
    assert len(records) + len(rejected) == (1 if raw.strip() else 0)


def test_a_kept_row_is_short_and_text() -> None:
    assert clip(b"a\xff\r\n") == "a\\xff"
    assert len(clip("ä" * 5000)) == 2000
    assert len(clip(b"\xff" * 50_000)) == 2000
