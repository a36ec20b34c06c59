"""The GA4 source reads a dataset that lives: days come late, are rewritten, are missing, expire."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
import structlog
from ga4_kit import NOON, Property, params, row

from installation import Stage
from leadup.errors import TryLater
from leadup.types import Cursor, Event, Page


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage("ga4") as stage:
        yield stage


@pytest.fixture
def site(stage: Stage) -> Property:
    return Property(stage.play())


def events(pages: list[Page]) -> list[Event]:
    return [record for page in pages for record in page.records if isinstance(record, Event)]


def reads(site: Property) -> list[str]:
    """Tables whose rows were asked for, in order; the log is emptied."""
    asked = [one.path.split("/")[-2] for one in site.weather.log if one.path.endswith("/data")]
    site.weather.log.clear()
    return list(dict.fromkeys(asked))


def pull(site: Property, since: Cursor | None, until: datetime, **settings: object) -> list[Page]:
    return list(site.source(**settings).pull(since, until))


def test_only_daily_tables_are_read(site: Property) -> None:
    for table in ("20260228", "events_intraday_20260301", "users_20260228", "pseudonymous_users_20260228"):
        site.sandbox.put_table(table, [row(1)])
    assert len(events(pull(site, None, NOON))) == 1
    assert reads(site) == ["events_20260228"]


def test_unchanged_days_cost_no_rows(site: Property) -> None:
    site.add(9)
    *_, last = pull(site, None, NOON)
    reads(site)
    site.sandbox.put_table("20260227", site.rows["20260227"])
    *_, last = pull(site, last.cursor, NOON)
    assert reads(site) == ["events_20260227"]
    pull(site, last.cursor, NOON)
    assert reads(site) == []


def test_days_older_than_the_reread_are_settled_and_asked_for_no_more(site: Property) -> None:
    site.add(9)
    *_, last = pull(site, None, NOON)
    assert last.settled == []
    *_, last = pull(site, last.cursor, NOON + timedelta(days=2))
    assert last.settled == ["events_20260226"]
    site.sandbox.put_table("20260226", [])
    site.weather.log.clear()
    pull(site, last.cursor, NOON + timedelta(days=2))
    assert not any("events_20260226" in one.path for one in site.weather.log)


def test_days_that_are_looked_at_again_are_not_final(site: Property) -> None:
    site.add(9)
    *_, last = pull(site, None, NOON)
    assert last.final_until == datetime(2026, 2, 25, tzinfo=UTC)
    *_, last = pull(site, last.cursor, NOON + timedelta(days=2))
    assert last.final_until == datetime(2026, 2, 27, tzinfo=UTC)
    assert last.settled == ["events_20260226"], "all before has been looked at for the last time"
    *_, last = pull(site, None, NOON, property_zone="America/New_York")
    assert last.final_until == datetime(2026, 2, 25, 5, tzinfo=UTC)


def test_a_day_ends_where_the_property_is(site: Property) -> None:
    site.add(9)
    *_, last = pull(site, None, NOON, property_zone="America/New_York")
    assert last.complete_until == datetime(2026, 3, 1, 5, tzinfo=UTC)
    *_, last = pull(site, None, datetime(2026, 3, 1, 1, tzinfo=UTC), property_zone="America/New_York")
    assert last.complete_until == datetime(2026, 3, 1, 1, tzinfo=UTC), "never later than the present"


def test_a_missing_day_is_told_and_passed_over(site: Property) -> None:
    site.sandbox.put_table("20260226", [row(1)])
    site.sandbox.put_table("20260228", [row(2)])
    *_, last = pull(site, None, NOON)
    assert last.complete_until == datetime(2026, 2, 27, tzinfo=UTC)
    with structlog.testing.capture_logs() as logs:
        *_, last = pull(site, last.cursor, NOON + timedelta(days=3))
    assert last.complete_until == datetime(2026, 3, 1, tzinfo=UTC)
    assert [(one["log_level"], one["table"]) for one in logs] == [("warning", "events_20260227")]
    site.sandbox.put_table("20260227", [row(3)])
    assert len(events(pull(site, last.cursor, NOON + timedelta(days=30)))) == 1


def test_the_first_pull_begins_at_the_start(site: Property) -> None:
    for day in ("20251130", "20251201", "20260228"):
        site.sandbox.put_table(day, [row(1)])
    pull(site, None, NOON)
    assert reads(site) == ["events_20251201", "events_20260228"], "90 days back"
    pull(site, None, NOON, start=date(2026, 2, 1))
    assert reads(site) == ["events_20260228"]


def test_a_table_that_expires_takes_nothing_back(site: Property) -> None:
    site.add(9)
    *_, last = pull(site, None, NOON)
    site.sandbox.drop_table("20260227")
    pages = pull(site, last.cursor, NOON)
    assert [page.part for page in pages] == [None]
    assert pages[-1].complete_until == last.complete_until


def test_a_table_that_goes_while_it_is_read_is_left(site: Property) -> None:
    site.add(30)
    source = iter(site.source().pull(None, NOON))
    first = next(source)
    site.sandbox.drop_table("20260226")
    rest = list(source)
    assert {page.part.name for page in rest if page.part} == {"events_20260227", "events_20260228"}
    assert not first.part or not first.part.last
    again = pull(site, first.cursor, NOON)
    assert again[-1].cursor.get("under") is None


def test_page_tokens_that_expire_begin_the_table_anew(site: Property) -> None:
    keys = set(site.add(30))
    source = iter(site.source().pull(None, NOON))
    pages = [next(source)]
    site.sandbox.expire_page_tokens()
    pages += source
    assert {event.identifiers[0].value for event in events(pages)} == keys
    assert len(events(pages)) == 33
    parts = [page.part for page in pages if page.part and page.part.name == "events_20260226"]
    assert [part.last for part in parts] == [False, False, False, False, True]


def test_a_reading_that_was_overtaken_does_not_end(site: Property) -> None:
    site.sandbox.keep_page_tokens = True
    site.add(30)
    source = iter(site.source().pull(None, NOON))
    first = next(source).part
    site.take_back(1)
    parts = [page.part for page in source if page.part and page.part.name == "events_20260226"]
    assert first is not None
    assert [part.last for part in parts if part.reading == first.reading] == [False]
    assert [part.last for part in parts if part.reading != first.reading] == [False, False, True]


def test_a_table_rewritten_over_and_over_is_left_for_later(site: Property) -> None:
    site.add(30)
    pages = (
        (page, site.sandbox.put_table("20260226", site.rows["20260226"])) for page in site.source().pull(None, NOON)
    )
    with pytest.raises(TryLater, match="events_20260226 of connection 'feed' was rewritten 3 times"):
        deque(pages)


def test_pages_without_rows_are_only_passed(site: Property) -> None:
    keys = site.add(30)
    site.weather.add(kind="late", path="26/data", times=2, after=1)
    pages = pull(site, None, NOON)
    assert sum(not page.records for page in pages) == 3
    assert sorted(event.identifiers[0].value for event in events(pages)) == sorted(map(str, keys))


def test_one_bad_row_stops_nothing(site: Property) -> None:
    bad = {**row(3), "event_timestamp": None}
    odd = row(4, event_params=params(note="half \ud83d"))
    site.sandbox.put_table("20260228", [row(1), row(2), bad, odd, row(5)])
    pages = pull(site, None, NOON)
    rejected = [one for page in pages for one in page.rejected]
    assert len(events(pages)) == 3
    assert [(one.place, one.line) for one in rejected] == [("events_20260228", 3), ("events_20260228", 4)]
    assert rejected[0].reason == "event_timestamp is missing"
    assert "surrogate" in rejected[1].reason
    assert '"event_name": "page_view"' in rejected[0].text


def test_equal_rows_are_numbered_the_same_wherever_reading_goes_on(site: Property) -> None:
    site.sandbox.put_table("20260228", [row(1), row(2), row(1), row(3), row(1), row(2), row(4), row(1)])
    pages = pull(site, None, NOON)
    ids = [event.id for event in events(pages)]
    assert len(set(ids)) == 8
    assert ids == [event.id for event in events(pull(site, None, NOON, page_size=100))]
    for number, page in enumerate(pages[:-1]):
        before = events(pages[: number + 1])
        assert [event.id for event in [*before, *events(pull(site, page.cursor, NOON))]] == ids


def test_names_are_included_and_excluded(site: Property) -> None:
    names = ("page_view", "scroll", "user_engagement")
    site.sandbox.put_table("20260228", [row(n, name) for n, name in enumerate(names)])
    chosen = {
        tuple(event.name for event in events(pull(site, None, NOON, **settings)))
        for settings in ({"include": ("scroll",)}, {"exclude": ("user_engagement",)}, {"include": ("no_such",)})
    }
    assert chosen == {("scroll",), ("page_view", "scroll"), ()}


def test_old_tables_lack_the_younger_columns(site: Property) -> None:
    young = ("batch_page_id", "batch_ordering_id", "batch_event_index", "collected_traffic_source", "privacy_info")
    site.sandbox.put_table("20260228", [row(1)], without=young)
    assert len(events(pull(site, None, NOON))) == 1


def test_a_table_that_is_no_export_is_told_once(site: Property) -> None:
    bare = {key: value for key, value in row(1).items() if key not in ("event_timestamp", "event_name")}
    site.sandbox.put_table("20260228", [bare, bare], without=("event_timestamp", "event_name"))
    pages = pull(site, None, NOON)
    (rejected,) = [one for page in pages for one in page.rejected]
    assert rejected.reason.startswith("the table has no column event_name, event_timestamp")
    assert pull(site, pages[-1].cursor, NOON)[0].rejected == ()


def test_a_visitor_without_consent_to_storage_comes_as_nobody(site: Property) -> None:
    denied = {"analytics_storage": "No", "ads_storage": "No"}
    site.sandbox.put_table("20260228", [row(n, user_pseudo_id=None, privacy_info=denied) for n in range(3)])
    assert [event.identifiers for event in events(pull(site, None, NOON))] == [()] * 3


def test_a_day_near_the_exports_cap_is_told(site: Property, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadup_connectors.ga4.source.DAILY_CAP", 4)
    site.sandbox.put_table("20260227", [row(n) for n in range(3)])
    site.sandbox.put_table("20260228", [row(n) for n in range(4)])
    with structlog.testing.capture_logs() as logs:
        pull(site, None, NOON)
    assert [(one["log_level"], one["table"], one["rows"]) for one in logs] == [("warning", "events_20260228", 4)]


def test_a_hanging_call_ends(site: Property) -> None:
    site.add(3)
    site.weather.add(kind="hang", path="26/data", seconds=20, times=-1)
    with pytest.raises(TryLater, match="did not answer when asked to read table events_20260226: ReadTimeout"):
        pull(site, None, NOON, read_timeout=1, tries=1)
