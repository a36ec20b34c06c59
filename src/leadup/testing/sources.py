"""What every source owes the engine, as a pytest class. Subclass it, give its ``feed`` fixture, and that is all.

>>> class TestMySource(SourceContract):              # doctest: +SKIP
...     @pytest.fixture
...     def feed(self): ...                          # a Feed: the other end, with nothing in it yet

The suite speaks of no vendor. It adds events at the other end, pulls, stops at every page, and looks whether each event
came exactly once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from leadup.kit import Source
from leadup.types import Cursor, Event, Fact, Page


class Feed(Protocol):
    """The other end of a source."""

    def source(self) -> Source:
        """A new source over what is there now; its connection is called ``feed``."""

    def add(self, count: int) -> Sequence[Hashable]:
        """Let ``count`` more events happen; return what :meth:`SourceContract.key` will say of each."""


class SourceContract:
    """The contract."""

    until = datetime(2026, 3, 1, 12, tzinfo=UTC)
    """The instant of the first pull."""
    several_pages = 23
    """So many events fill several pages. A feed should give its source small ones."""
    reads_again = False
    """Whether a later pull may bring events again that an earlier one brought (a vendor that corrects its days)."""

    @pytest.fixture
    def feed(self) -> Feed:
        """The other end, empty."""
        raise NotImplementedError

    def key(self, record: Event | Fact) -> Hashable:
        """What tells one record from another; by default the event's id."""
        assert isinstance(record, Event)
        return record.id

    def test_an_empty_source_is_read_completely(self, feed: Feed) -> None:
        feed.source().check()
        (page,) = feed.source().pull(None, self.until)
        assert (page.records, page.rejected) == ([], [])
        assert page.complete_until == self.until
        (again,) = feed.source().pull(_stored(page.cursor), self.until)
        assert (again.records, again.complete_until) == ([], self.until)

    def test_everything_comes_exactly_once(self, feed: Feed) -> None:
        keys = feed.add(self.several_pages)
        feed.source().check()
        pages = list(feed.source().pull(None, self.until))
        assert self._keys(pages) == Counter(keys)
        assert not any(page.rejected for page in pages)

    def test_records_are_ready_for_the_log(self, feed: Feed) -> None:
        feed.add(self.several_pages)
        for record in _records(feed.source().pull(None, self.until)):
            assert record.source == "feed"
            assert record.at.utcoffset() == timedelta(0)
            assert record.identifiers
            assert not isinstance(record, Event) or (record.id and record.name)

    def test_only_the_last_page_says_that_it_is_the_last(self, feed: Feed) -> None:
        feed.add(self.several_pages)
        pages = list(feed.source().pull(None, self.until))
        assert len(pages) > 2, "the feed's source should have small pages"
        assert [page.more for page in pages] == [True] * (len(pages) - 1) + [False]
        assert [page.complete_until for page in pages] == [None] * (len(pages) - 1) + [self.until]
        shares = [page.progress for page in pages if page.progress is not None]
        assert shares == sorted(shares)
        assert all(0 <= share <= 1 for share in shares)

    def test_it_goes_on_after_any_page(self, feed: Feed) -> None:
        keys = feed.add(self.several_pages)
        pages = list(feed.source().pull(None, self.until))
        for number in range(1, len(pages) + 1):
            rest = list(feed.source().pull(_stored(pages[number - 1].cursor), self.until))
            assert self._keys([*pages[:number], *rest]) == Counter(keys), f"stopped after page {number}"

    def test_stopping_at_every_page_changes_nothing(self, feed: Feed) -> None:
        keys = feed.add(self.several_pages)
        pages: list[Page] = []
        while not pages or pages[-1].more:
            assert len(pages) <= self.several_pages, "it does not get on"
            cursor = _stored(pages[-1].cursor) if pages else None
            pull = feed.source().pull(cursor, self.until)
            pages.append(next(iter(pull)))
        assert self._keys(pages) == Counter(keys)

    def test_what_comes_later_comes_next(self, feed: Feed) -> None:
        seen = feed.add(self.several_pages)
        pages = list(feed.source().pull(None, self.until))
        for hours, count in ((1, 1), (2, self.several_pages), (3, 0)):
            seen = [*seen, *feed.add(count)]
            until = self.until + timedelta(hours=hours)
            new = list(feed.source().pull(_stored(pages[-1].cursor), until))
            assert new[-1].complete_until == until
            pages += new
        assert self._once(pages) == Counter(seen)

    def test_what_comes_while_it_reads_is_not_lost(self, feed: Feed) -> None:
        keys = feed.add(self.several_pages)
        pull = iter(feed.source().pull(None, self.until))
        pages = [next(pull)]
        keys = [*keys, *feed.add(5)]
        pages += pull
        pages += feed.source().pull(_stored(pages[-1].cursor), self.until + timedelta(hours=1))
        assert self._once(pages) == Counter(keys)

    def _keys(self, pages: Iterable[Page]) -> Counter[Hashable]:
        return Counter(self.key(record) for record in _records(pages))

    def _once(self, pages: Iterable[Page]) -> Counter[Hashable]:
        keys = self._keys(pages)
        return Counter(keys.keys()) if self.reads_again else keys


def _records(pages: Iterable[Page]) -> list[Event | Fact]:
    return [record for page in pages for record in page.records]


def _stored(cursor: Cursor) -> Cursor:
    """The cursor as it comes back from the state: through JSON."""
    stored: Cursor = json.loads(json.dumps(cursor))
    return stored
