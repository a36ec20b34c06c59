"""The event log through its doors: what is new, what is a revision, what a reader sees."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pyarrow.parquet as pq
import pytest
from event_log_model import DAY, NOW, START, Model, append_and_fail, check, event, named, open_log, read
from sqlalchemy import func, select

from leadup.errors import LeadupError
from leadup.events.log import EventLog
from leadup.events.rows import BATCH, key_of
from leadup.state import open_store
from leadup.state.tables import event_tail
from leadup.types import Identifier, Kind, Purpose, to_us


@pytest.fixture
def log(tmp_path: Path):
    log = open_log(tmp_path)
    yield log
    log.store.close()


def append(log, events, received_us=NOW):
    with log.store.write() as connection:
        return log.append(connection, events, received_us)


def test_an_event_comes_back_as_it_was_given(log):
    full = replace(
        event(1),
        at=datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC),
        identifiers=(Identifier(Kind.USER_ID, "u1"), Identifier(Kind.CLIENT_ID, "c1"), Identifier(Kind.CLIENT_ID, "b")),
        properties={"percent": 75, "ratio": 0.1, "tags": ["a", None, {"ü": True}], "text": 'quo"te\n', "big": 2**70},
        click_ids={"gclid": "x"},
        consent={Purpose.AD_USER_DATA: True, Purpose.AD_PERSONALIZATION: False},
    )
    plain = replace(event(2), at=datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), identifiers=())
    append(log, [full, plain])
    for _ in range(2):  # from the tail, then from files
        with log.store.read() as connection:
            assert read(log, connection) == {key_of("web", "e1"): full, key_of("web", "e2"): plain}
        log.compact(NOW)
    assert len(named(log)) == 2


def test_seen_again_it_is_nothing_new(log):
    first = append(log, [event(1), event(2)])
    again = append(log, [event(2), event(3)], NOW + 1)
    assert [e.id for _, e in first.new] == ["e1", "e2"]
    assert [e.id for _, e in again.new] == ["e3"]
    assert (again.revised, again.same) == ([], 1)


def test_the_order_of_identifiers_is_no_content(log):
    one, two = Identifier(Kind.USER_ID, "u"), Identifier(Kind.CLIENT_ID, "c")
    append(log, [replace(event(1), identifiers=(one, two))])
    assert append(log, [replace(event(1), identifiers=(two, one))]).same == 1


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"at": START + timedelta(microseconds=1)},
        {"at": START + 3 * DAY},
        {"identifiers": ()},
        {"properties": {"percent": 75}},
        {"click_ids": {"gclid": "x"}},
        {"consent": {Purpose.ANALYTICS: False}},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("place", ["tail", "file"])
@pytest.mark.parametrize("size", ["page", "bulk"])
def test_other_content_replaces_the_old(log, change, place, size):
    model = Model()
    old = [event(n) for n in range(60 if size == "bulk" else 5)]
    new = [replace(e, **change) for e in old]
    model.append(old)
    append(log, old)
    if place == "file":
        log.compact(NOW)
    said = append(log, new)
    assert (dict(said.new), set(said.revised), said.same) == model.append(new)
    check(log, model)
    assert append(log, old).revised  # and back again
    model.append(old)
    check(log, model)


def test_the_last_of_a_key_in_a_page_wins(log):
    said = append(log, [event(1, percent=25), event(2), event(1, percent=50)])
    assert [(e.id, e.properties) for _, e in said.new] == [("e1", {"percent": 50}), ("e2", {})]
    assert (said.revised, said.same) == ([], 1)


def test_sources_do_not_share_ids(log):
    assert append(log, [event(1), event(1, source="app")]).same == 0


def test_a_big_page_becomes_files_by_day_but_a_handful_of_a_day_waits(log):
    append(log, [event(n, day=n % 2) for n in range(60)] + [event(99, day=5)])
    assert sorted(path.split("/")[0] for path in named(log)) == ["day=2026-03-01", "day=2026-03-02"]
    with log.store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(event_tail)) == 1
        assert log.count(connection) == 61


def test_a_page_that_is_not_committed_never_was(log):
    with pytest.raises(ZeroDivisionError):
        append_and_fail(log, [event(n) for n in range(60)])
    check(log, Model())
    assert log.sweep(NOW) == 1


def test_removed_is_gone_wherever_it_was(log):
    model = Model()
    model.append([event(n) for n in range(5)])
    append(log, [event(n) for n in range(3)])
    log.compact(NOW)
    append(log, [event(n) for n in range(3, 5)])
    gone = [("web", "e1"), ("web", "e4"), ("web", "nobody")]
    with log.store.write() as connection:
        assert log.remove(connection, [key_of(*name) for name in gone]) == model.remove(gone) == 2
    check(log, model)
    assert append(log, [event(1)]).same == 0
    model.append([event(1)])
    check(log, model)


@pytest.mark.parametrize(("since", "until"), [(1.25, 1.75), (2, 2.5), (2.75, 3.25), (2, 9.5), (8.25, 8.75)])
def test_filters(log, since, until):
    events = [event(n, day=n / 4, name=f"name{n % 3}") for n in range(40)]
    append(log, events[:20])
    log.compact(NOW, keep_days=7)
    append(log, events[20:])
    since_us, until_us = to_us(START + since * DAY), to_us(START + until * DAY)
    wanted = {"name1", "name2", "never seen"}
    with log.store.read() as connection:
        found = read(log, connection, names=wanted, since_us=since_us, until_us=until_us)
        assert read(log, connection, names=[]) == {}
    assert sorted(found.values(), key=lambda e: e.at) == [
        e for e in events if e.name in wanted and since_us <= to_us(e.at) < until_us
    ]


def test_batches_have_the_published_columns(log):
    append(log, [event(n, name=f"name{n}") for n in range(50)])
    append(log, [event(99)])
    with log.store.read() as connection:
        batches = list(log.read(connection))
    assert [batch.schema for batch in batches] == [BATCH, BATCH]


def test_the_files_can_be_read_by_others(log):
    append(log, [event(n, day=(60 - n) / 100) for n in range(60)])
    [path] = named(log)
    schema = pq.read_schema(log.folder / path)
    assert str(schema.field("at").type) == "timestamp[us, tz=UTC]"
    columns = pq.read_metadata(log.folder / path).row_group(0)
    key = columns.column(0)
    assert (key.physical_type, str(key.statistics and key.statistics.logical_type)) == ("FIXED_LEN_BYTE_ARRAY", "None")
    assert {columns.column(n).compression for n in range(columns.num_columns)} == {"ZSTD"}
    table = pq.read_table(log.folder / path)
    assert table["at"].to_pylist() == sorted(event(n, day=(60 - n) / 100).at for n in range(60))
    assert table["identifiers"][0].as_py() == '[["client_id","c3"]]'


def test_what_json_can_not_say_does_not_stop_a_page(log):
    strange = replace(event(1), name="half \ud800", properties={"value": math.nan, "deep": [{"x": -math.inf}]})
    said = append(log, [strange, event(2)])
    plain = replace(strange, name="half ?", properties={"value": None, "deep": [{"x": None}]})
    assert [e for _, e in said.new] == [plain, event(2)]
    assert append(log, [strange]).same == 1
    with log.store.read() as connection:
        assert log.get(connection, [key_of("web", "e1")]) == {key_of("web", "e1"): plain}


@pytest.mark.parametrize("thing", [START, b"bytes", {1, 2}], ids=lambda thing: type(thing).__name__)
def test_an_event_of_foreign_things_is_the_sources_mistake(log, thing):
    with pytest.raises(TypeError, match=f"{type(thing).__name__}, which JSON can not say"):
        append(log, [event(1, deep=[thing])])


def test_any_mapping_and_sequence_will_do(log):
    append(log, [replace(event(1), properties=MappingProxyType({"list": ("a", MappingProxyType({"b": 1}))}))])
    with log.store.read() as connection:
        [found] = read(log, connection).values()
    assert found.properties == {"list": ["a", {"b": 1}]}


def test_a_lost_file_is_said_with_what_to_do(log):
    append(log, [event(n) for n in range(60)])
    [path] = named(log)
    (log.folder / path).unlink()
    with log.store.read() as connection, pytest.raises(LeadupError, match=f"(?s){path}.*restore the folder"):
        read(log, connection)


def test_a_state_in_memory(tmp_path):
    log, model = EventLog(open_store("sqlite://", tmp_path), bulk=40), Model()
    for start in (0, 20):
        page = [event(n, day=n % 9) for n in range(start, start + 60)]
        model.append(page)
        append(log, page)
        log.compact(NOW)
        check(log, model)
    log.store.close()
