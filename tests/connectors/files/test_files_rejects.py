"""A row that can not be used is kept with its line and the reason; a file that can not be read stops no other."""

import gzip
import json
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from files_kit import MAPPING, NOW, csv_text, pull, rows, source, write, written_at
from pyarrow import parquet

from leadup.errors import NeedsHuman
from leadup.kit import LINE_LIMIT

HEAD = b"id,event,at,user,note\n"
GOOD = b"e1,view,2026-02-01T00:00:00Z,u1,x\n"


def _by_reason(value: object) -> str:
    """The name of a case: rows themselves are too long, or not text."""
    return value if isinstance(value, str) else "row"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"e2,view,,u1,x\n", 'no time: column "at" is empty'),
        (b"e2,,2026-02-01T00:00:00Z,u1,x\n", "no name"),
        (b"e2,view,2026-02-01T00:00:00Z, ,x\n", "no identifier"),
        (b"e2,view,yesterday,u1,x\n", "'yesterday' is not ISO 8601: set time.format"),
        (b"e2,view,2026-02-30T00:00:00Z,u1,x\n", "is not ISO 8601"),
        (b"e2,view,2026-02-01 08:00:00,u1,x\n", "has no offset: set time.zone"),
        (b"e2,view,1769904000,u1,x\n", "a number: set time.unit"),
        (b"e2,view,1712123112345,u1,x\n", "a number: set time.unit"),
        (b"e2,view,0001-01-01T00:00:00+14:00,u1,x\n", "outside the years 1 to 9999"),
        (b"e2,view,a@b.c,u1,x\n", "(a value with @, not repeated here)"),
        (b"e2,view,2026-02-01T00:00:00Z,u1\n", "the row has 4 columns, the header has 5"),
        (b"e2,view,2026-02-01T00:00:00Z,u1,x,y\n", "the row has 6 columns, the header has 5"),
        (b"e2,view,2026-02-01T00:00:00Z,u1,a\0b\n", "NUL byte"),
        (b"e2,view,2026-02-01T00:00:00Z,u1,K\xf6ln\n", "byte 34 of the line is not UTF-8"),
        (b'e2,view,2026-02-01T00:00:00Z,u1,"a"b\n', "expected after"),
        (b"e2,view,2026-02-01T00:00:00Z,u1," + b"x" * LINE_LIMIT + b"\n", "longer than 1,048,576 bytes"),
    ],
    ids=_by_reason,
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_bad_csv_row_is_named_with_its_line(tmp_path: Path, row: bytes, reason: str, packed: bool) -> None:
    data = HEAD + GOOD + row + GOOD.replace(b"e1", b"e3")
    (tmp_path / "e.csv").write_bytes(gzip.compress(data) if packed else data)
    records, (rejected,), page = pull(tmp_path, "e.csv", **MAPPING)
    assert [record.id for record in records] == ["e1", "e3"]
    assert (rejected.place, rejected.line) == ("e.csv", 3)
    assert reason in rejected.reason
    assert rejected.text.startswith("e2,")
    assert len(rejected.text) <= 2000
    assert page.complete_until == NOW


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b'{"id": "e2"\n', "not JSON: Expecting ',' delimiter (column 12)"),
        (b'["e2"]\n', "not a JSON object"),
        (b'"e2"\n', "not a JSON object"),
        (b'{"id": "e2", "at": NaN}\n', "NaN is no number"),
        (b'{"id": "e2", "at": 1e999}\n', "too large"),
        (b'{"id": "e2", "at": ' + b"9" * 5000 + b"}\n", "too large"),
        (b'{"id": "e2", "x": ' + b"[" * 21 + b"]" * 21 + b"}\n", "nested deeper than 20 levels"),
        (b'{"id": "e2", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "nested deeper than 20 levels"),
        (b'{"id": "e2", "x": "a\\u0000b"}\n', "NUL character"),
        (b'{"id": "e2", "x": {"\\ud800": 1}}\n', "half a surrogate pair"),
        (b'{"id": "e2", "x": "a\0b"}\n', "NUL byte"),
        (b'{"id": "e2", "x": "K\xf6ln"}\n', "is not UTF-8"),
        (b'{"id": "e2", "event": "view", "at": 1769904000, "user": "u"}\n', "a number: set time.unit"),
        (b'{"id": "e2", "event": {"a": 1}, "at": "2026-02-01T00:00Z", "user": "u"}\n', "name a path inside it"),
        (b'{"id": "e2", "event": "view", "at": "2026-02-01T00:00Z"}\n', "no identifier"),
        (b'{"id": ["e2"], "event": "view", "at": "2026-02-01T00:00Z", "user": "u"}\n', "name a path inside it"),
        (b'{"x": "' + b"y" * LINE_LIMIT + b'"}\n', "longer than"),
    ],
    ids=_by_reason,
)
def test_a_bad_json_line_is_named_with_its_line(tmp_path: Path, row: bytes, reason: str) -> None:
    good = [(json.dumps(one) + "\n").encode() for one in rows(2)]
    (tmp_path / "e.jsonl").write_bytes(good[0] + b"\n" + row + good[1])
    records, (rejected,), _ = pull(tmp_path, "e.jsonl", **MAPPING)
    assert [record.id for record in records] == ["e0", "e1"]
    assert rejected.line == 3
    assert reason in rejected.reason


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    text = HEAD.decode() + 'e1,view,2026-02-01T00:00:00Z,u1,"three\nlines\nlong"\n\ne2,view,,u1,x\n'
    (tmp_path / "e.csv").write_text(text)
    _, (rejected,), _ = pull(tmp_path, "e.csv", **MAPPING)
    assert rejected.line == 6


@pytest.mark.parametrize("page_size", [1, 1000])
def test_a_quote_that_never_closes_costs_its_own_line_only(tmp_path: Path, page_size: int) -> None:
    lines = csv_text(rows(100)).splitlines(keepends=True)
    lines[40] = lines[40].replace(",/p", ',"/p')
    (tmp_path / "e.csv").write_text("".join(lines))
    records, (rejected,), page = pull(tmp_path, "e.csv", page_size=page_size, **MAPPING)
    assert {record.id for record in records} == {f"e{n}" for n in range(100) if n != 39}
    assert rejected.line == 41
    assert "a quote that opens in this line does not close as it should" in rejected.reason
    assert page.complete_until == NOW


def test_a_quote_that_closes_too_late_costs_its_own_line_only(tmp_path: Path) -> None:
    lines = csv_text(rows(10)).splitlines(keepends=True)
    lines[3] = lines[3].replace(",/p", ',"/p')
    lines[6] = lines[6].replace(",/p/5", ',"/p/5"')
    (tmp_path / "e.csv").write_text("".join(lines))
    records, rejected, _ = pull(tmp_path, "e.csv", **MAPPING)
    assert [one.line for one in rejected] == [4]
    assert len(records) == 9


def test_a_parquet_row_is_named_with_its_number(tmp_path: Path) -> None:
    table = [*rows(3), {**rows(1)[0], "at": None}, {**rows(1)[0], "path": "a\0b"}]
    write(tmp_path / "e.parquet", table)
    records, rejected, _ = pull(tmp_path, "e.parquet", **MAPPING)
    assert len(records) == 3
    assert [(one.line, one.reason) for one in rejected] == [
        (4, 'no time: column "at" is empty'),
        (5, "a text holds a NUL character"),
    ]
    assert '"event": "page_view"' in rejected[0].text


# ---------------------------------------------------------------- whole files


def test_a_truncated_gzip_gives_what_it_has_and_is_reported_once(tmp_path: Path) -> None:
    table = rows(3000)
    whole = gzip.compress(csv_text(table).encode())
    broken = tmp_path / "a.csv.gz"
    broken.write_bytes(whole[: len(whole) // 2])
    write(tmp_path / "b.csv", rows(2, start=9000))
    records, rejected, page = pull(tmp_path, "*.csv*", **MAPPING)
    count = len(records) - 2
    assert 1000 < count < 2900
    assert [record.id for record in records] == [f"e{n}" for n in range(count)] + ["e9000", "e9001"]
    assert [(one.place, one.line) for one in rejected] == [("a.csv.gz", 0)]
    assert "breaks off" in rejected[0].reason
    assert page.complete_until == NOW
    again = pull(tmp_path, "*.csv*", since=page.cursor, **MAPPING)
    assert (again[0], again[1]) == ([], [])
    broken.write_bytes(whole)
    records, rejected, _ = pull(tmp_path, "*.csv*", since=page.cursor, **MAPPING)
    assert ([record.id for record in records], rejected) == ([f"e{n}" for n in range(count, 3000)], [])


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.parquet", b"PAR1 and then nothing", "no Parquet file, or not a whole one"),
        ("a.parquet.gz", gzip.compress(b"PAR1")[:-3], "no Parquet file, or not a whole one"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00 no gzip", "breaks off or is damaged"),
        ("a.csv", "id,event\n".encode("utf-16"), "UTF-16"),
        ("a.csv", b"id,event\re1,view\r", "lines end in CR alone"),
        ("a.csv", b"id,K\xf6ln\ne1,x\n", "the header line can not be read"),
    ],
    ids=_by_reason,
)
def test_a_broken_file_stops_no_other(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(data)
    write(tmp_path / "b.csv", rows(2))
    records, (rejected,), page = pull(tmp_path, ".", **MAPPING)
    assert len(records) == 2
    assert (rejected.place, rejected.line) == (name, 0)
    assert reason in rejected.reason
    assert page.complete_until == NOW


def test_a_damaged_parquet_file_gives_what_comes_before(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(rows(20_000))
    parquet.write_table(table, tmp_path / "e.parquet", row_group_size=5_000)
    data = bytearray((tmp_path / "e.parquet").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = b"\xa5" * 2000
    (tmp_path / "e.parquet").write_bytes(data)
    records, rejected, _ = pull(tmp_path, "e.parquet", **MAPPING)
    assert 5_000 <= len(records) < 20_000
    assert [one.line for one in rejected] == [0]


def test_a_broken_file_that_may_be_half_written_waits(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    file.write_bytes(b"PAR1")
    written_at(file, NOW - timedelta(seconds=1))
    records, rejected, page = pull(tmp_path, "*.parquet", **MAPPING)
    assert (records, rejected, page.complete_until) == ([], [], None)
    later = NOW + timedelta(minutes=1)
    _, rejected, page = pull(tmp_path, "*.parquet", since=page.cursor, until=later, **MAPPING)
    assert (len(rejected), page.complete_until) == (1, later)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and can not be read")
def test_a_file_that_the_machine_can_not_read_needs_a_human_after_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to("/proc/self/mem")
    write(tmp_path / "b.csv", rows(2))
    pages = source(tmp_path, "*.csv", **MAPPING).pull(None, NOW)
    page = next(pages)
    assert (len(page.records), page.complete_until) == (2, None)
    with pytest.raises(NeedsHuman, match=r"a\.csv: .*Input/output error"):
        next(pages)
