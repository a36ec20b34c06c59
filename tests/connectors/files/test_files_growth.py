"""Files come, grow, are replaced and go, while they are read in pieces: nothing is lost, nothing comes twice."""

import gzip
import json
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from files_kit import MAPPING, NOW, csv_text, events, mapped, pull, rows, source, write, written_at
from hypothesis import given, settings
from hypothesis import strategies as st

from leadup.errors import NeedsHuman
from leadup.kit import RowIds
from leadup.types import Cursor, Event
from leadup_connectors.files.source import FilesSource

WITHOUT_ID = {**MAPPING, "columns": {"name": "event", "time": "at"}}
SETTINGS = mapped("e.csv", **WITHOUT_ID)
HEAD = "event,at,user,note\n"

# ---------------------------------------------------------------- any history

ROW = st.builds(
    lambda user, minute, note: f"view,2026-02-01T00:{minute:02}:00Z,{user},{note}\n",
    st.sampled_from(["u1", "u2"]),
    st.integers(0, 2),
    st.sampled_from(["", "x", '"two\nlines"', '"a ""quote"""', "é"]),
)
"""Few different rows, so that equal ones abound, and some of several lines."""
GROWTH = st.lists(st.tuples(st.lists(ROW, max_size=8), st.integers(0, 60), st.integers(0, 9)), min_size=1, max_size=6)
"""Rows to append, how many of the last bytes are not yet on the disk, and how many pages are read then."""


@settings(max_examples=100, deadline=None)
@given(growth=GROWTH, page_size=st.integers(1, 4))
def test_pieces_make_the_whole(growth: Sequence[tuple[Sequence[str], int, int]], page_size: int) -> None:
    """However a file grows, and wherever reading stops, the events are those of reading the final file once."""
    with TemporaryDirectory() as name:
        feed = FilesSource("feed", SETTINGS.model_copy(update={"page_size": page_size}), Path(name))
        file = Path(name) / "e.csv"
        found: list[Event] = []
        cursor: Cursor | None = None
        written, whole, at = -1, HEAD.encode(), NOW
        for new, held_back, pages in [*growth, ([], 0, 10_000)]:
            whole += "".join(new).encode()
            if max(len(whole) - held_back, 0) > written:
                at += timedelta(minutes=1)
                written = max(len(whole) - held_back, 0)
                file.write_bytes(whole[:written])
                written_at(file, at)
            for page in islice(feed.pull(cursor, at), pages):
                assert page.rejected == []
                found += events(page.records)
                cursor = json.loads(json.dumps(page.cursor))
        expected = [event for page in feed.pull(None, at) for event in events(page.records)]
        assert len(expected) == sum(len(new) for new, _, _ in growth)
        assert found == expected


@settings(max_examples=50, deadline=None)
@given(parts=st.lists(st.lists(ROW, min_size=1, max_size=8), min_size=1, max_size=4), data=st.data())
def test_replaced_files_keep_the_ids_of_their_rows(parts: Sequence[Sequence[str]], data: st.DataObject) -> None:
    """A file is replaced by a longer one, packed or not, again and again: its rows keep their ids."""
    with TemporaryDirectory() as name:
        feed, file = FilesSource("feed", SETTINGS, Path(name)), Path(name) / "e.csv"
        found: dict[str, Event] = {}
        cursor: Cursor | None = None
        for number in range(1, len(parts) + 1):
            text = (HEAD + "".join(row for part in parts[:number] for row in part)).encode()
            file.write_bytes(gzip.compress(text, data.draw(st.integers(1, 9))) if data.draw(st.booleans()) else text)
            for page in feed.pull(cursor, NOW):
                found |= {event.id: event for event in events(page.records)}
                cursor = page.cursor
        expected = [event for page in feed.pull(None, NOW) for event in events(page.records)]
        assert list(found.values()) == expected
        assert len(expected) == sum(map(len, parts))


@settings(max_examples=200, deadline=None)
@given(table=st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=40), cut=st.integers(0, 40))
def test_ids_of_equal_rows_go_on_from_where_counting_starts(table: list[bytes], cut: int) -> None:
    ids, first, second = RowIds(window=7), RowIds(window=7), RowIds(window=7)
    whole = [ids.next(row, (n, 0)) for n, row in enumerate(table)]
    for n in range(0, len(whole), 7):  # all of a stretch and the one before it differ
        assert len(set(whole[n : n + 14])) == len(whole[n : n + 14])

    cut = min(cut, len(table))
    for n, row in enumerate(table[:cut]):
        first.next(row, (n, 0))
    start, _ = first.start((cut, 0))
    assert cut - 14 <= start <= cut
    again = [second.next(row, (start + n, 0)) for n, row in enumerate(table[start:])]
    assert again[cut - start :] == whole[cut:]


# ---------------------------------------------------------------- what happens to files


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    file = write(tmp_path / "e.csv", rows(5))
    written_at(file, NOW)
    _, _, page = pull(tmp_path, "e.csv", **MAPPING)
    file.write_text(file.read_text().replace("e3", "x3"))  # same size, same time: who opened it would see another event
    written_at(file, NOW)
    records, _, again = pull(tmp_path, "e.csv", since=page.cursor, **MAPPING)
    assert (records, again.cursor) == ([], page.cursor)


def test_a_grown_file_is_read_on_from_its_end(tmp_path: Path) -> None:
    file = write(tmp_path / "e.csv", rows(5))
    _, _, page = pull(tmp_path, "e.csv", **MAPPING)
    with file.open("a") as more:
        more.write(csv_text(rows(3, start=5), header=False))
    records, _, page = pull(tmp_path, "e.csv", since=page.cursor, **MAPPING)
    assert [event.id for event in events(records)] == ["e5", "e6", "e7"]
    assert page.complete_until == NOW


def test_a_replaced_file_is_read_from_its_start(tmp_path: Path) -> None:
    file = write(tmp_path / "e.csv", rows(5))
    _, _, page = pull(tmp_path, "e.csv", **MAPPING)
    write(file, rows(9, start=100))
    records, _, _ = pull(tmp_path, "e.csv", since=page.cursor, **MAPPING)
    assert [event.id for event in events(records)] == [f"e{n}" for n in range(100, 109)]


def test_a_file_that_went_is_forgotten(tmp_path: Path) -> None:
    file = write(tmp_path / "e.csv", rows(5))
    write(tmp_path / "f.csv", rows(5, start=5))
    _, _, page = pull(tmp_path, "*.csv", **MAPPING)
    file.unlink()
    records, rejected, page = pull(tmp_path, "*.csv", since=page.cursor, **MAPPING)
    assert (records, rejected, page.complete_until) == ([], [], NOW)
    assert list(page.cursor["files"]) == ["f.csv"]  # type: ignore[arg-type]


def test_a_file_that_goes_while_it_is_the_next_one_is_no_error(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows(3))
    gone = write(tmp_path / "b.csv", rows(3))
    pages = source(tmp_path, "*.csv", page_size=3, **MAPPING).pull(None, NOW)
    first = next(pages)
    gone.unlink()
    (last,) = pages
    assert (len(first.records), last.records, last.complete_until) == (3, [], NOW)


# ---------------------------------------------------------------- last lines without an end


@pytest.mark.parametrize("age", [-1, 0, 4])
def test_the_last_csv_line_of_a_fresh_file_waits_for_its_end(tmp_path: Path, age: int) -> None:
    file = tmp_path / "e.csv"
    file.write_text(csv_text(rows(3)).removesuffix("\n"))
    written_at(file, NOW - timedelta(seconds=age))
    records, rejected, page = pull(tmp_path, "e.csv", **MAPPING)
    assert ([event.id for event in events(records)], rejected, page.complete_until) == (["e0", "e1"], [], None)
    later = NOW + timedelta(minutes=1)
    records, _, page = pull(tmp_path, "e.csv", since=page.cursor, until=later, **MAPPING)
    assert ([event.id for event in events(records)], page.complete_until) == (["e2"], later)
    again = pull(tmp_path, "e.csv", since=page.cursor, until=later, **MAPPING)
    assert again[0] == []


def test_a_last_line_read_too_early_is_revised(tmp_path: Path) -> None:
    """A program that buffers stopped in the middle of a line for long; when it goes on, the line is read again."""
    file = tmp_path / "e.csv"
    whole = csv_text(rows(3))
    file.write_text(whole[:-2])
    written_at(file, NOW - timedelta(minutes=1))
    records, _, page = pull(tmp_path, "e.csv", **MAPPING)
    assert events(records)[-1].properties == {"path": "/p/"}
    file.write_text(whole)
    records, _, _ = pull(tmp_path, "e.csv", since=page.cursor, **MAPPING)
    assert [(event.id, event.properties) for event in events(records)] == [("e2", {"path": "/p/2"})]


def test_a_last_line_that_stays_broken_is_reported_once_and_read_when_it_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    first, second = (json.dumps(row) for row in rows(2))
    file.write_text(f"{first}\n{second[:30]}")
    written_at(file, NOW - timedelta(minutes=1))
    records, (rejected,), page = pull(tmp_path, "e.jsonl", **MAPPING)
    assert (len(records), rejected.line, page.complete_until) == (1, 2, NOW)
    assert pull(tmp_path, "e.jsonl", since=page.cursor, **MAPPING)[1] == []
    file.write_text(f"{first}\n{second}\n")
    records, rejects, _ = pull(tmp_path, "e.jsonl", since=page.cursor, **MAPPING)
    assert ([event.id for event in events(records)], rejects) == (["e1"], [])


def test_a_whole_json_object_needs_no_line_end(tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    file.write_text(json.dumps(rows(1)[0]))
    written_at(file, NOW)
    records, _, page = pull(tmp_path, "e.jsonl", **MAPPING)
    assert (len(records), page.complete_until) == (1, NOW)


def test_a_header_that_is_half_written_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "e.csv"
    file.write_text("id,eve")
    _, rejected, page = pull(tmp_path, "e.csv", **MAPPING)
    file.write_text(csv_text(rows(2)))
    records, more, _ = pull(tmp_path, "e.csv", since=page.cursor, **MAPPING)
    assert (len(records), [*rejected, *more]) == (2, [])


# ---------------------------------------------------------------- which files


def test_a_folder_is_read_with_its_subfolders_and_without_work_in_progress(tmp_path: Path) -> None:
    for number, name in enumerate(
        ["in/b.csv", "in/day=2/a.jsonl.gz", "in/c.parquet", "in/.hidden.csv", "in/d.csv.tmp", "in/e.csv.part",
         "in/_temporary/f.csv", "in/.git/g.csv"]
    ):  # fmt: skip
        write(tmp_path / name.removesuffix(".tmp").removesuffix(".part"), rows(1, start=number)).rename(tmp_path / name)
    (tmp_path / "in/notes.txt").write_text("not events")
    records, rejected, page = pull(tmp_path, "in", **MAPPING)
    assert (len(records), rejected) == (3, [])
    assert list(page.cursor["files"]) == ["in/b.csv", "in/c.parquet", "in/day=2/a.jsonl.gz"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "count"), [("in/*.csv", 2), ("in/**/*.csv", 3), ("in/a.csv", 1), ("in/[x].csv", 1), ("in/none*.csv", 0)]
)
def test_a_path_may_be_a_glob(tmp_path: Path, path: str, count: int) -> None:
    for number, name in enumerate(["in/a.csv", "in/deep/b.csv", "in/[x].csv"]):
        write(tmp_path / name, rows(1, start=number))
    records, _, page = pull(tmp_path, path, **MAPPING)
    assert (len(records), page.complete_until) == (count, NOW)


@pytest.mark.parametrize("path", ["none.csv", "none", "none/*.csv"])
def test_a_path_that_leads_nowhere_needs_a_human(tmp_path: Path, path: str) -> None:
    with pytest.raises(NeedsHuman, match=r"(?s)There is no .*none.*correct connections\.feed\.path"):
        source(tmp_path, path, **MAPPING).check()
    with pytest.raises(NeedsHuman):
        pull(tmp_path, path, **MAPPING)


def test_an_unknown_suffix_needs_a_human_or_a_format(tmp_path: Path) -> None:
    (tmp_path / "e.log").write_text(csv_text(rows(2)))
    with pytest.raises(NeedsHuman, match=r"connections\.feed\.format"):
        pull(tmp_path, "*.log", **MAPPING)
    assert len(pull(tmp_path, "*.log", format="csv", **MAPPING)[0]) == 2


def test_pages_span_small_files_and_progress_counts_bytes(tmp_path: Path) -> None:
    for number in range(10):
        write(tmp_path / f"{number}.csv", rows(3, start=3 * number))
    pages = list(source(tmp_path, "*.csv", page_size=10, **MAPPING).pull(None, NOW))
    assert [len(page.records) for page in pages] == [10, 10, 10, 0]
    shares = [page.progress for page in pages]
    assert shares == sorted(shares, key=lambda share: share or 0)
    assert shares[-1] == 1
    assert 0.2 < (shares[0] or 0) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_counting_equal_rows_goes_on_in_the_middle_of_a_long_file(tmp_path: Path, packed: bool) -> None:
    """Of a long file only the last stretch of rows is counted again, and the ids are those of reading it at once."""
    text = HEAD + "".join(f"view,2026-02-01T00:00:{n // 50 % 60:02}Z,u{n // 10_000},\n" for n in range(350_000))
    file = tmp_path / "e.csv"
    file.write_bytes(gzip.compress(text.encode(), 1) if packed else text.encode())
    feed = FilesSource("feed", SETTINGS.model_copy(update={"page_size": 50_000}), tmp_path)
    pages = list(feed.pull(None, NOW))
    ids = [[event.id for event in events(page.records)] for page in pages]
    assert len(set().union(*ids)) == 350_000
    for number in (0, 2, 4):
        (entry,) = pages[number].cursor["files"].values()  # type: ignore[union-attr]
        assert number < 4 or entry["count"][0] > 100_000  # type: ignore[index, call-overload]
        again = [[event.id for event in events(page.records)] for page in feed.pull(pages[number].cursor, NOW)]
        assert again == ids[number + 1 :]
