"""Every format, plain and gzipped, gives the same events."""

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from files_kit import MAPPING, csv_text, events, pull, rows, write
from pyarrow import parquet

from leadup.types import Identifier, Kind

TABLE = rows(20)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet"])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_every_format_gives_the_same_events(tmp_path: Path, suffix: str, packed: str) -> None:
    file = write(tmp_path / f"events{suffix}{packed}", TABLE)
    records, rejected, page = pull(tmp_path, file.name, **MAPPING)
    assert rejected == []
    assert page.complete_until is not None
    found = events(records)
    assert [event.id for event in found] == [row["id"] for row in TABLE]
    assert [event.at.isoformat() for event in found] == [row["at"] for row in TABLE]
    assert [event.properties for event in found] == [{"path": row["path"]} for row in TABLE]
    assert found[3].identifiers == (Identifier(Kind.USER_ID, "u3"),)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_an_id_is_a_hash_of_the_row_however_it_is_packed(tmp_path: Path, suffix: str) -> None:
    table = [*TABLE[:3], *TABLE[:2], TABLE[0]]
    mapping = {**MAPPING, "columns": {"name": "event", "time": "at"}}
    ids = []
    for packed in ("", ".gz"):
        file = write(tmp_path / f"events{suffix}{packed}", table)
        ids.append([event.id for event in events(pull(tmp_path, file.name, **mapping)[0])])
    assert ids[0] == ids[1]
    first, second, third, *again = ids[0]
    assert len(set(ids[0])) == len(table)
    assert again == [f"{first}-1", f"{second}-1", f"{first}-2"]
    assert "-" not in first + second + third


@pytest.mark.parametrize(
    ("delimiter", "header"),
    [(",", "id,event,at,user"), (";", "id;event;at;user"), ("\t", "id\tevent\tat\tuser"), ("|", "id|event|at|user")],
)
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str, header: str) -> None:
    cells = ["e1", "view, then; buy" if delimiter not in ",;" else "view", "2026-02-01T00:00:00Z", "u1"]
    (tmp_path / "e.csv").write_text(f"{header}\n{delimiter.join(cells)}\n")
    records, rejected, _ = pull(tmp_path, "e.csv", **MAPPING)
    assert rejected == []
    assert events(records)[0].name == cells[1]


def test_the_delimiter_may_be_stated(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("id:event:user:a,b,c,d,e,f,at\ne1:view:u1:2026-02-01\n")
    mapping = {**MAPPING, "columns": {"name": "event", "time": {"column": "a,b,c,d,e,f,at", "zone": "UTC"}}}
    assert len(pull(tmp_path, "e.csv", delimiter=":", **mapping)[0]) == 1


def test_csv_as_spreadsheets_write_it(tmp_path: Path) -> None:
    text = (
        "\ufeff id ;event;at;user;note;note;\r\n"
        'e1;"view";2026-02-01T00:00:00Z;u1;"two\r\nlines; and a ""quote""";B;\r\n'
        "\r\n"
        "e2;view;2026-02-01T00:00:00Z;u2;Zoë;;x\r\n"
    )
    (tmp_path / "e.csv").write_bytes(text.encode())
    records, rejected, _ = pull(tmp_path, "e.csv", **MAPPING)
    assert rejected == []
    one, two = events(records)
    assert one.properties == {"note": 'two\r\nlines; and a "quote"', "note_2": "B"}
    assert two.properties == {"note": "Zoë", "column_7": "x"}


def test_another_encoding_is_stated(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_bytes("id,event,at,user,city\ne1,view,2026-02-01T00:00Z,u1,Köln\n".encode("cp1252"))
    assert events(pull(tmp_path, "e.csv", encoding="cp1252", **MAPPING)[0])[0].properties == {"city": "Köln"}


def test_a_gzip_file_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "packed.csv").write_bytes(gzip.compress(csv_text(TABLE).encode()))
    (tmp_path / "plain.csv.gz").write_bytes(csv_text(TABLE).encode())
    assert len(pull(tmp_path, "packed.csv", **MAPPING)[0]) == len(TABLE)
    assert len(pull(tmp_path, "plain.csv.gz", **MAPPING)[0]) == len(TABLE)


def test_json_keeps_its_types(tmp_path: Path) -> None:
    properties = {"percent": 80, "price": 1.5, "ok": True, "tags": ["a", 2], "deep": {"x": {"y": 1}}, "zero": 0}
    row = {"id": "e1", "event": "view", "at": "2026-02-01T00:00:00Z", "user": 17, "none": None, "empty": ""}
    write(tmp_path / "e.jsonl", [{**row, **properties}])
    (event,) = events(pull(tmp_path, "e.jsonl", **MAPPING)[0])
    assert event.properties == properties
    assert type(event.properties["percent"]) is int
    assert event.identifiers == (Identifier(Kind.USER_ID, "17"),)


def test_csv_numbers_stay_text_and_empty_cells_are_absent(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("id,event,at,user,percent,plan\ne1,view,2026-02-01T00:00Z,007,080,\n")
    (event,) = events(pull(tmp_path, "e.csv", **MAPPING)[0])
    assert event.properties == {"percent": "080"}
    assert event.identifiers == (Identifier(Kind.USER_ID, "007"),)


def test_parquet_types(tmp_path: Path) -> None:
    at = datetime(2026, 2, 1, 8, 30, 0, 123456, tzinfo=UTC)
    table = pa.table(
        {
            "event": pa.array(["view", "buy", "view"]).dictionary_encode(),
            "at": pa.array([at, at, at], pa.timestamp("ns", "America/New_York")),
            "user": pa.array([1.0, 2.0, None], pa.float64()),
            "device": pa.array([{"id": "d1", "os": "x"}] * 3),
            "amount": pa.array([Decimal("12.30"), None, None], pa.decimal128(9, 2)),
            "day": pa.array([date(2026, 2, 1)] * 3),
            "seen": pa.array([at.replace(tzinfo=None)] * 3, pa.timestamp("ms")),
            "spent": pa.array([timedelta(seconds=90)] * 3),
            "tags": pa.array([["a", "b"], [], None]),
            "raw": pa.array([b"\x01\xff", None, None]),
            "score": pa.array([float("nan"), 0.5, None]),
        }
    )
    parquet.write_table(table, tmp_path / "e.parquet")
    mapping = {
        "columns": {"name": "event", "time": "at"},
        "identifiers": {"user_id": "user", "client_id": "device.id"},
    }
    records, rejected, _ = pull(tmp_path, "e.parquet", **mapping)
    assert rejected == []
    one, two, three = events(records)
    assert {event.at for event in (one, two, three)} == {at}
    assert one.identifiers == (Identifier(Kind.USER_ID, "1"), Identifier(Kind.CLIENT_ID, "d1"))
    assert three.identifiers == (Identifier(Kind.CLIENT_ID, "d1"),)
    assert one.properties == {
        "amount": "12.30",
        "day": "2026-02-01",
        "seen": "2026-02-01T08:30:00.123000",
        "spent": 90.0,
        "tags": ["a", "b"],
        "raw": "01ff",
    }
    assert two.properties["score"] == 0.5
    json.dumps([event.properties for event in (one, two, three)])  # all of it is JSON


def test_parquet_times_without_zone_take_the_stated_one(tmp_path: Path) -> None:
    local = datetime(2026, 7, 1, 12)  # noqa: DTZ001 - that it has no zone is the point
    table = pa.table({"event": ["view"], "at": pa.array([local], pa.timestamp("us")), "user": ["u"]})
    parquet.write_table(table, tmp_path / "e.parquet")
    mapping = {**MAPPING, "columns": {"name": "event", "time": {"column": "at", "zone": "Europe/Berlin"}}}
    (event,) = events(pull(tmp_path, "e.parquet", **mapping)[0])
    assert event.at == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert len(pull(tmp_path, "e.parquet", **MAPPING | {"columns": {"name": "event", "time": "at"}})[1]) == 1
