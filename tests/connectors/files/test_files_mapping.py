"""Rows become what the settings say."""

import json
from pathlib import Path
from typing import Any

import pytest
from files_kit import NOW, events, mapped, pull, source, write

from leadup.errors import NeedsHuman, SettingsError
from leadup.types import Event, Fact, Identifier, Kind, Purpose

AT = "2026-02-01T00:00:00Z"
BASE: dict[str, Any] = {"columns": {"name": "event", "time": "at"}, "identifiers": {"user_id": "user.id"}}
ROW: dict[str, Any] = {"event": "view", "at": AT, "user": {"id": "u1", "email": "a@b.c"}}


def one(tmp_path: Path, row: dict[str, Any], **table: Any) -> Event | Fact:
    write(tmp_path / "e.jsonl", [row])
    (record,), rejected, _ = pull(tmp_path, "e.jsonl", **{**BASE, **table})
    assert rejected == []
    return record


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (None, {"plan": "pro", "page": {"path": "/p", "tags": ["a", "b"]}, "a.b": 1}),
        ("*", {"plan": "pro", "page": {"path": "/p", "tags": ["a", "b"]}, "a.b": 1}),
        ([], {}),
        ("plan", {"plan": "pro"}),
        (["plan", "page.path"], {"plan": "pro", "path": "/p"}),
        ("page.*", {"path": "/p", "tags": ["a", "b"]}),
        (["*", "page.*"], {"plan": "pro", "a.b": 1, "path": "/p", "tags": ["a", "b"]}),
        (["user.*"], {}),
        ({"Tarif": "plan", "first": "page.tags.0", "none": "page.tags.7"}, {"Tarif": "pro", "first": "a"}),
        ({"site": {"constant": "main"}, "weight": {"constant": 2}}, {"site": "main", "weight": 2}),
        ({"x": "a.b"}, {"x": 1}),
    ],
)
def test_properties(tmp_path: Path, properties: object, expected: dict[str, Any]) -> None:
    table = {} if properties is None else {"properties": properties}
    row = {**ROW, "plan": "pro", "page": {"path": "/p", "tags": ["a", "b"]}, "a.b": 1}
    record = one(tmp_path, row, identifiers={"user_id": "user.id", "email": "user.email"}, **table)
    assert isinstance(record, Event)
    assert record.properties == expected


def test_a_path_leads_into_json_in_a_csv_cell(tmp_path: Path) -> None:
    cell = json.dumps([{"type": "play", "at": 3}]).replace('"', '""')
    (tmp_path / "e.csv").write_text(f'at,user,media\n{AT},u1,"{cell}"\n{AT},u2,nothing\n')
    table = {
        "columns": {"name": "media.0.type", "time": "at"},
        "identifiers": {"user_id": "user"},
        "properties": {"second": "media.0.at"},
    }
    (event,), (rejected,), _ = pull(tmp_path, "e.csv", **table)
    assert isinstance(event, Event)
    assert (event.name, event.properties) == ("play", {"second": 3})
    assert (rejected.line, rejected.reason) == (3, "no name: the event's name is empty")


def test_a_constant_name(tmp_path: Path) -> None:
    record = one(tmp_path, ROW, columns={"name": {"constant": "page_view"}, "time": "at"})
    assert isinstance(record, Event)
    assert record.name == "page_view"


def test_identifiers_come_strongest_first_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    row = {**ROW, "cookie": " c1 ", "phone": "", "account": 17.0}
    kinds = {"client_id": "cookie", "email": "user.email", "phone": "phone", "user_id": "account"}
    assert one(tmp_path, row, identifiers=kinds).identifiers == (
        Identifier(Kind.USER_ID, "17"),
        Identifier(Kind.EMAIL, "a@b.c"),
        Identifier(Kind.CLIENT_ID, "c1"),
    )


def test_click_ids(tmp_path: Path) -> None:
    record = one(tmp_path, {**ROW, "g": "Cj0K", "f": ""}, click_ids={"gclid": "g", "fbclid": "f"})
    assert isinstance(record, Event)
    assert record.click_ids == {"gclid": "Cj0K"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("granted", True), ("Yes", True), (True, True), (1, True), ("1", True),
        ("denied", False), ("no", False), (False, False), (0, False), ("unknown", False),
        ("", None), (None, None),
    ],
)  # fmt: skip
def test_consent_of_a_column(tmp_path: Path, said: object, expected: bool | None) -> None:
    record = one(
        tmp_path, {**ROW, "ok": said}, consent={"ad_user_data": {"column": "ok"}, "analytics_storage": "granted"}
    )
    assert record.consent.get(Purpose.AD_USER_DATA) is expected
    assert record.consent[Purpose.ANALYTICS] is True


def test_consent_in_the_words_of_the_file(tmp_path: Path) -> None:
    consent = {"ad_user_data": {"column": "ok", "granted": ["JA", 7]}, "ad_personalization": "denied"}
    assert one(tmp_path, {**ROW, "ok": "ja"}, consent=consent).consent == {
        Purpose.AD_USER_DATA: True,
        Purpose.AD_PERSONALIZATION: False,
    }
    assert one(tmp_path, {**ROW, "ok": "7"}, consent=consent).consent[Purpose.AD_USER_DATA] is True
    assert one(tmp_path, {**ROW, "ok": "yes"}, consent=consent).consent[Purpose.AD_USER_DATA] is False


def test_rows_may_be_facts(tmp_path: Path) -> None:
    (tmp_path / "contacts.csv").write_text(
        f"email,stage,changed,optin\na@b.c,lead,{AT},yes\nd@e.f,,{AT},no\ng@h.i,,{AT},\n,lead,{AT},\n"
    )
    table = {
        "columns": {"time": "changed"},
        "identifiers": {"email": "email"},
        "facts": {"lifecycle_stage": "stage"},
        "consent": {"ad_user_data": {"column": "optin"}},
    }
    records, rejected, _ = pull(tmp_path, "contacts.csv", **table)
    assert [(type(r), dict(r.facts), dict(r.consent)) for r in records if isinstance(r, Fact)] == [
        (Fact, {"lifecycle_stage": "lead"}, {Purpose.AD_USER_DATA: True}),
        (Fact, {}, {Purpose.AD_USER_DATA: False}),
    ]
    assert [(one.line, one.reason[:13]) for one in rejected] == [(4, "no fact: all "), (5, "no identifier")]


def test_leadup_jsonl_needs_no_mapping(tmp_path: Path) -> None:
    lines = [
        {"name": "view", "at": AT, "identifiers": {"user_id": "u1"}},
        {"person": {"user_id": "u1"}, "facts": {"lifecycle_stage": "lead"}, "at": AT},
        {"name": "view", "at": AT, "identifiers": {"user_id": "u1"}},
        {"name": "view", "at": AT, "identifiers": {"userid": "u1"}},
    ]
    write(tmp_path / "e.jsonl.gz", lines)
    (view, fact, again), (rejected,), _ = pull(tmp_path, "e.jsonl.gz")
    assert isinstance(view, Event)
    assert isinstance(fact, Fact)
    assert isinstance(again, Event)
    assert again.id == f"{view.id}-1"
    assert (view.source, fact.source) == ("feed", "feed")
    assert (rejected.line, 'did you mean "user_id"?' in rejected.reason) == (4, True)


# ---------------------------------------------------------------- columns that do not exist


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_column_that_does_not_exist_is_named_with_its_neighbour(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"e{suffix}", [{"event": "view", "timestamp": AT, "user_id": "u"}])
    table = {"columns": {"name": "event", "time": "time_stamp"}, "identifiers": {"user_id": "user_id"}}
    feed = source(tmp_path, f"e{suffix}", **table)
    for look in (feed.check, lambda: list(feed.pull(None, NOW))):
        with pytest.raises(NeedsHuman) as raised:
            look()
        assert f'e{suffix}: there is no column "time_stamp"; did you mean "timestamp"?' in str(raised.value)
        assert "Its columns are event, timestamp, user_id" in str(raised.value)
        assert "[connections.feed]" in raised.value.todo


def test_a_file_that_lacks_a_column_keeps_no_other_from_being_read(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [{"event": "view", "at": AT, "uid": "u"}])
    write(tmp_path / "b.csv", [{"event": "view", "at": AT, "user": "u"}])
    table = {"columns": {"name": "event", "time": "at"}, "identifiers": {"user_id": "user"}}
    pages = source(tmp_path, "*.csv", **table).pull(None, NOW)
    page = next(pages)
    assert (len(page.records), page.complete_until, page.more) == (1, None, False)
    with pytest.raises(NeedsHuman, match=r'a\.csv: there is no column "user"'):
        next(pages)
    write(tmp_path / "a.csv", [{"event": "view", "at": AT, "user": "u"}])
    records, _, last = pull(tmp_path, "*.csv", since=page.cursor, **table)
    assert (len(events(records)), last.complete_until) == (1, NOW)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_other_formats_than_jsonl_need_a_mapping(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"e{suffix}", [{"event": "view"}])
    with pytest.raises(NeedsHuman, match=r"leadup init --from e\."):
        source(tmp_path, f"e{suffix}").check()


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"columns": {"name": "e"}, "identifiers": {"user_id": "u"}}, "columns.time is missing"),
        ({"columns": {"time": "t"}, "identifiers": {"user_id": "u"}}, "columns.name is missing"),
        ({"columns": {"name": "e", "time": "t"}}, "identifiers is missing"),
        ({"identifiers": {"user_id": "u"}}, "identifiers without columns"),
        ({"path": ""}, "path"),
        ({"format": "xml"}, "'csv', 'jsonl' or 'parquet'"),
        ({"colums": {}}, "Did you mean 'columns'?"),
        ({**BASE, "columns": {"name": "e", "time": {"column": "t", "zon": "UTC"}}}, "Did you mean 'zone'?"),
        ({**BASE, "columns": {"name": "e", "time": {"column": "t", "zone": "Europe/Berln"}}},
         'did you mean "Europe/Berlin"?'),
        ({**BASE, "columns": {"name": "e", "time": {"column": "t", "unit": "ns"}}}, "'s', 'ms' or 'us'"),
        ({**BASE, "columns": {"name": "e", "time": {"column": "t", "unit": "s", "zone": "UTC"}}},
         "unit is for numbers"),
        ({**BASE, "columns": {"name": "e", "time": {"column": "t", "format": "dd.mm.yyyy"}}}, "strptime's notation"),
        ({**BASE, "columns": {"name": "e", "time": {"column": "t", "format": "%d.%Q"}}}, "is no time format"),
        ({**BASE, "columns": {"name": {"column": "e", "constant": "x"}, "time": "t"}}, "give a column"),
        ({**BASE, "columns": {"name": {}, "time": "t"}}, "give a column"),
        ({**BASE, "identifiers": {"userid": "u"}}, 'did you mean "user_id"?'),
        ({**BASE, "click_ids": {"gclidd": "u"}}, 'did you mean "gclid"?'),
        ({**BASE, "consent": {"ad_userdata": "granted"}}, 'did you mean "ad_user_data"?'),
        ({**BASE, "consent": {"ad_user_data": "yes"}}, 'write "granted" or "denied"'),
        ({**BASE, "properties": ["a.path", "b.path"]}, 'two columns would become the property "path"'),
        ({**BASE, "properties": 7}, "properties"),
        ({**BASE, "facts": {"stage": "s"}}, "facts are told of a person"),
        ({**BASE, "columns": {"time": "t"}, "facts": {"stage": "s"}, "click_ids": {"gclid": "g"}}, "facts have no"),
    ],
)  # fmt: skip
def test_settings_that_are_wrong_say_so_kindly(table: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        mapped(**{"path": "e.csv", **table})
    assert message in str(raised.value)
    assert "connections.feed" in str(raised.value)
