"""Files of exported rows: what is read of them, and what is not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from ga4_kit import NOON, row

from leadup.errors import NeedsHuman
from leadup.kit import LINE_LIMIT
from leadup.types import Event, Page
from leadup_connectors.ga4.settings import GA4Settings
from leadup_connectors.ga4.source import GA4Source


def source(folder: Path, path: str = "in", page_size: int = 3) -> GA4Source:
    return GA4Source("web", GA4Settings(path=path, page_size=page_size), folder)


def write(folder: Path, name: str, *numbers: int) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(row(n)) + "\n" for n in numbers).encode()
    path.write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    return path


def clients(pages: list[Page]) -> list[int]:
    """The numbers of the rows that came."""
    found = [record for page in pages for record in page.records]
    return [int(one.identifiers[0].value.partition(".")[2]) - 1_700_000_000 for one in found]


def ids(pages: list[Page]) -> list[str]:
    return [record.id for page in pages for record in page.records if isinstance(record, Event)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("in", [1, 2, 3, 4]),
        ("in/a.json", [1]),
        ("in/*.json", [1]),
        ("in/**/*.gz", [2]),
        ("in/*", [1, 2, 3]),
        ("nothing*", []),
    ],
)
def test_a_path_is_a_file_a_folder_or_a_glob(tmp_path: Path, path: str, expected: list[int]) -> None:
    for number, name in enumerate(("a.json", "b.ndjson.gz", "c.jsonl", "deep/d.ndjson"), 1):
        write(tmp_path, f"in/{name}", number)
    for name in (".hidden.json", "half.json.part"):
        write(tmp_path, f"in/{name}", 99)
    web = source(tmp_path, path)
    web.check()
    assert clients(list(web.pull(None, NOON))) == expected


def test_a_path_that_leads_nowhere_needs_a_human(tmp_path: Path) -> None:
    with pytest.raises(NeedsHuman, match=r"There is no file or folder .*typo") as error:
        source(tmp_path, "typo").check()
    assert "connections.web.path" in error.value.todo


def test_bad_lines_stop_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "in/a.ndjson", 1, 2)
    long = b'{"event_name": "' + b"x" * (2 * LINE_LIMIT) + b'"}\n'
    path.write_bytes(b"no json\n\n" + long + b"[]\n" + path.read_bytes() + b'{"event_name": "late"}')
    pages = list(source(tmp_path).pull(None, NOON))
    assert clients(pages) == [1, 2]
    rejected = [(one.line, one.reason) for page in pages for one in page.rejected]
    assert [line for line, _ in rejected] == [1, 3, 4, 7]
    assert "not JSON" in rejected[0][1]
    assert "longer than 1,048,576 bytes" in rejected[1][1]
    assert "not a JSON object" in rejected[2][1]
    assert rejected[3][1] == "event_timestamp is missing"
    assert {one.place for page in pages for one in page.rejected} == {"in/a.ndjson"}


def test_a_damaged_file_takes_nothing_back_and_keeps_no_other_from_being_read(tmp_path: Path) -> None:
    path = write(tmp_path, "in/a.ndjson.gz", *range(1, 8))
    whole = path.read_bytes()
    path.write_bytes(whole[:-12])
    write(tmp_path, "in/b.ndjson", 9)
    pull = source(tmp_path).pull(None, NOON)
    pages: list[Page] = []
    with pytest.raises(NeedsHuman, match=r"in/a\.ndjson\.gz: the compressed data breaks off"):
        pages.extend(pull)
    assert clients(pages)[-1] == 9
    assert not any(page.part.last for page in pages if page.part and page.part.name == "in/a.ndjson.gz")
    assert (pages[-1].more, pages[-1].complete_until) == (False, None)
    path.write_bytes(whole)
    again = list(source(tmp_path).pull(pages[-1].cursor, NOON))
    assert clients(again) == [1, 2, 3, 4, 5, 6, 7]
    assert again[-1].complete_until == NOON


def test_equal_rows_are_numbered_the_same_wherever_reading_goes_on(tmp_path: Path) -> None:
    write(tmp_path, "in/a.ndjson", 1, 2, 1, 3, 1, 2, 4, 1)
    pages = list(source(tmp_path).pull(None, NOON))
    together = ids(pages)
    assert len(set(together)) == 8
    for number, page in enumerate(pages, 1):
        rest = list(source(tmp_path).pull(page.cursor, NOON))
        assert ids([*pages[:number], *rest]) == together


def test_a_file_that_is_written_to_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, "in/a.ndjson", *range(1, 8))
    pull = iter(source(tmp_path).pull(None, NOON))
    pages = [next(pull)]
    write(tmp_path, "in/a.ndjson", 1, 2, 3, 4, 8)
    pages += pull
    assert not any(page.part.last for page in pages if page.part)
    again = list(source(tmp_path).pull(pages[-1].cursor, NOON))
    assert clients(again) == [1, 2, 3, 4, 8]
    assert [page.part.last for page in again if page.part] == [False, True]
