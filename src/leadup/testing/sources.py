"""What every source owes the engine, as a pytest class. Subclass it, give its ``feed`` fixture, and that is all.

>>> class TestMySource(SourceContract):              # doctest: +SKIP
...     @pytest.fixture
...     def feed(self): ...                          # a Feed: the other end, with nothing in it yet

The suite speaks of no vendor. It adds events at the other end, pulls, stops at every page, and looks whether each event
came exactly once. A source whose other end writes parts again also keeps :class:`RewrittenPartsContract`, one that is
read over a line that can break :class:`BrokenLineContract`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Protocol

import pytest

from leadup.errors import TryLater
from leadup.kit import Rationed, Source
from leadup.sandbox import FaultKind, Weather
from leadup.types import Cursor, Event, Fact, Page


class Feed(Protocol):
    """The other end of a source."""

    def source(self) -> Source:
        """A new source over what is there now; its connection is called ``feed``."""

    def add(self, count: int) -> Sequence[Hashable]:
        """Let ``count`` more events happen; return what :meth:`SourceContract.key` will say of each."""


class RewritableFeed(Feed, Protocol):
    """The other end of a source that says of what part its events are (``Page.part``)."""

    def take_back(self, count: int) -> Sequence[Hashable]:
        """Write parts again without ``count`` of the events that are in them; return the keys of those."""


class ServedFeed(Feed, Protocol):
    """The other end of a source, served by an emulator. The source should not wait between its tries."""

    @property
    def weather(self) -> Weather:
        """The emulator's."""


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

    def complete(self, until: datetime, *, empty: bool = False) -> datetime | None:
        """What the last page of a pull at ``until`` says is complete; ``empty``: nothing was ever there."""
        return until

    def key(self, record: Event | Fact) -> Hashable:
        """What tells one record from another; by default the event's id."""
        assert isinstance(record, Event)
        return record.id

    def test_an_empty_source_is_read_completely(self, feed: Feed) -> None:
        feed.source().check()
        (page,) = feed.source().pull(None, self.until)
        assert (*page.records, *page.rejected) == ()
        complete = self.complete(self.until, empty=True)
        assert page.complete_until == complete
        (again,) = feed.source().pull(_stored(page.cursor), self.until)
        assert (*again.records, again.complete_until) == (complete,)

    def test_when_there_is_nothing_new_one_empty_page_says_so(self, feed: Feed) -> None:
        feed.add(self.several_pages)
        *_, last = feed.source().pull(None, self.until)
        for _ in range(2):
            (page,) = feed.source().pull(_stored(last.cursor), self.until)
            assert (*page.records, *page.rejected, page.more) == (False,)
            assert page.complete_until == self.complete(self.until)
            last = page

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
        assert [page.complete_until for page in pages] == [None] * (len(pages) - 1) + [self.complete(self.until)]
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
            assert new[-1].complete_until == self.complete(until)
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


class RewrittenPartsContract(SourceContract):
    """What a source owes besides when its other end writes parts again: who keeps to ``Page.part`` is never wrong."""

    reads_again = True

    @pytest.fixture
    def feed(self) -> RewritableFeed:
        """The other end, empty."""
        raise NotImplementedError

    def test_each_reading_of_a_part_ends_once(self, feed: RewritableFeed) -> None:
        feed.add(self.several_pages)
        readings = [page.part for page in feed.source().pull(None, self.until) if page.records]
        assert all(part is not None for part in readings)
        of = [(part.name, part.reading) for part in readings if part is not None]
        ends = [(part.name, part.reading) for part in readings if part is not None and part.last]
        assert ends == list(dict.fromkeys(of))

    def test_what_a_rewritten_part_does_not_bring_again_is_taken_back(self, feed: RewritableFeed) -> None:
        held = _Held(self)
        keys = set(feed.add(self.several_pages))
        cursor = held.take(feed.source().pull(None, self.until))
        assert held.keys() == keys
        keys -= set(feed.take_back(5))
        cursor = held.take(feed.source().pull(cursor, self.until))
        assert held.keys() == keys
        keys = (keys | set(feed.add(3))) - set(feed.take_back(1))
        held.take(feed.source().pull(cursor, self.until))
        assert held.keys() == keys

    def test_late_events_come_with_the_parts_they_belong_to(self, feed: RewritableFeed) -> None:
        held = _Held(self)
        keys = set(feed.add(self.several_pages))
        cursor = held.take(feed.source().pull(None, self.until))
        keys |= set(feed.add(self.several_pages))
        held.take(feed.source().pull(cursor, self.until + timedelta(hours=1)))
        assert held.keys() == keys

    def test_a_part_rewritten_while_it_is_read_is_read_from_its_start(self, feed: RewritableFeed) -> None:
        feed.add(self.several_pages)
        stops = len(list(feed.source().pull(None, self.until)))
        for stop in range(1, stops):
            held, keys = _Held(self), set(self._keys(feed.source().pull(None, self.until)))
            pull = iter(feed.source().pull(None, self.until))
            held.take(islice(pull, stop))
            keys -= set(feed.take_back(1))
            keys |= set(feed.add(2))
            cursor = held.take(pull)
            held.take(feed.source().pull(cursor, self.until))
            assert held.keys() == keys, f"rewritten after page {stop}"

    def test_a_part_rewritten_between_two_pulls_is_read_from_its_start(self, feed: RewritableFeed) -> None:
        feed.add(self.several_pages)
        stops = len(list(feed.source().pull(None, self.until)))
        for stop in range(1, stops):
            held, keys = _Held(self), set(self._keys(feed.source().pull(None, self.until)))
            pull = iter(feed.source().pull(None, self.until))
            cursor = held.take(islice(pull, stop))
            keys -= set(feed.take_back(1))
            held.take(feed.source().pull(cursor, self.until))
            assert held.keys() == keys, f"rewritten after page {stop}"


class BrokenLineContract(SourceContract):
    """What a source owes besides when it is read over a line that can break, from a vendor who can be busy."""

    @pytest.fixture
    def feed(self) -> ServedFeed:
        """The other end, empty."""
        raise NotImplementedError

    @pytest.mark.parametrize("kind", ["lose_answer", "fail", "rate_limit"])
    def test_a_fault_at_any_request_loses_nothing_and_doubles_nothing(self, feed: ServedFeed, kind: FaultKind) -> None:
        keys = feed.add(self.several_pages)
        for number in range(self._requests(feed)):
            feed.weather.add(kind=kind, after=number)
            pages = self._pull_with_patience(feed)
            feed.weather.clear()
            assert self._keys(pages) == Counter(keys), f"{kind} at request {number + 1}"

    @pytest.mark.parametrize("kind", ["lose_answer", "fail", "rate_limit"])
    def test_faults_that_last_end_in_try_later(self, feed: ServedFeed, kind: FaultKind) -> None:
        keys = feed.add(self.several_pages)
        for number in range(self._requests(feed)):
            feed.weather.add(kind=kind, after=number, times=-1)
            pages: list[Page] = []
            with pytest.raises(TryLater):
                pages.extend(feed.source().pull(None, self.until))  # keeps what came before the error
            feed.weather.clear()
            cursor = _stored(pages[-1].cursor) if pages else None
            pages.extend(feed.source().pull(cursor, self.until))
            assert self._keys(pages) == Counter(keys), f"{kind} from request {number + 1} on"

    def test_a_page_takes_no_more_calls_than_it_says_and_the_budget_knows_them(self, feed: ServedFeed) -> None:
        feed.add(self.several_pages)
        source = feed.source()
        if not isinstance(source, Rationed):
            return
        assert 0 <= source.reserve < 1
        made = [len(feed.weather.log), *(len(feed.weather.log) for _ in source.pull(None, self.until))]
        assert max(after - before for before, after in pairwise(made)) <= source.page_calls
        first = source.budget()
        assert first is not None
        for _ in source.pull(None, self.until):
            pass
        told = source.budget()
        assert told is not None
        assert first.left - told.left == len(feed.weather.log) - made[-1]

    def _requests(self, feed: ServedFeed) -> int:
        before = len(feed.weather.log)
        list(feed.source().pull(None, self.until))
        return len(feed.weather.log) - before

    def _pull_with_patience(self, feed: ServedFeed) -> list[Page]:
        pages: list[Page] = []
        for _ in range(10):
            try:
                pages.extend(feed.source().pull(_stored(pages[-1].cursor) if pages else None, self.until))
            except TryLater:
                continue
            return pages
        raise AssertionError("it never gets through")


class _Held:
    """What a reader has who keeps to ``Page.part``."""

    def __init__(self, contract: SourceContract) -> None:
        self._key = contract.key
        self._parts: dict[str, dict[Hashable, str]] = {}
        self._settled: set[str] = set()

    def take(self, pages: Iterable[Page]) -> Cursor:
        """Take pages in and return the last one's cursor, as it is stored."""
        cursor: Cursor = {}
        for page in pages:
            cursor = page.cursor
            self._settled.update(page.settled)
            if page.part is None:
                assert not page.records
                continue
            assert page.part.name not in self._settled, "a part was settled too early"
            brought = self._parts.setdefault(page.part.name, {})
            brought.update((self._key(record), page.part.reading) for record in page.records)
            if page.part.last:
                gone = [key for key, reading in brought.items() if reading != page.part.reading]
                for key in gone:
                    del brought[key]
        return _stored(cursor)

    def keys(self) -> set[Hashable]:
        return {key for brought in self._parts.values() for key in brought}


def _records(pages: Iterable[Page]) -> list[Event | Fact]:
    return [record for page in pages for record in page.records]


def _stored(cursor: Cursor) -> Cursor:
    """The cursor as it comes back from the state: through JSON."""
    stored: Cursor = json.loads(json.dumps(cursor))
    return stored
