"""The contract of sources finds what it is there to find: each planted mistake fails it, and the same source without
one passes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from leadup.errors import TryLater
from leadup.sandbox import Weather
from leadup.testing.sources import BrokenLineContract, RewrittenPartsContract
from leadup.types import Cursor, Event, Identifier, Kind, Page, Part

SIZE = 3


@dataclass
class Shelf:
    """The other end: numbers in two parts, each with a version; one call a page, through the weather."""

    mistake: str = ""
    weather: Weather = field(default_factory=Weather)
    parts: dict[str, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    count: int = 0

    def source(self) -> Shelf:
        return self

    def add(self, count: int) -> Sequence[Hashable]:
        new = range(self.count, self.count + count)
        self.count += count
        for name, some in (("a", new[: count // 2]), ("b", new[count // 2 :])):
            if some:
                version, old = self.parts.get(name, (0, ()))
                self.parts[name] = (version + 1, (*old, *some))
        return [str(n) for n in new]

    def take_back(self, count: int) -> Sequence[Hashable]:
        version, old = self.parts["a"]
        self.parts["a"] = (version + 1, old[count:])
        return [str(n) for n in old[:count]]

    def check(self) -> None:
        pass

    def call(self, name: str) -> tuple[int, tuple[int, ...]]:
        fault = self.weather.take(f"/{name}", "lose_answer", "fail", "rate_limit")
        self.weather.log.append(None)  # type: ignore[arg-type]
        if fault is not None:
            raise OSError("cut" if self.mistake == "lets an error out" else "") from None
        return self.parts[name]

    def pull(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        seen: dict[str, Any] = dict(since or {})
        under = seen.pop("under", None)
        for name in self.parts:
            yield from self.part(name, seen, under)
        late = self.mistake == "says complete too late"
        yield Page(records=[], cursor=dict(seen), complete_until=None if late else until)

    def part(self, name: str, seen: dict[str, Any], under: Any) -> Iterator[Page]:
        start, reading, version = 0, None, 0
        while True:
            try:
                version, rows = self.call(name)
            except OSError as error:
                if str(error):
                    raise
                raise TryLater("the shelf does not answer") from None
            if seen.get(name) == version:
                return
            if reading is None and under and under["part"] == name and under["version"] == version:
                start = under["at"]
            if reading not in (None, version) and self.mistake != "goes on in the middle":
                start = 0
            reading = version
            page = rows[start : start + SIZE]
            if self.mistake == "loses the last row" and start + SIZE >= len(rows):
                page = page[:-1]
            start += len(page) or SIZE
            last = start >= len(rows)
            if last:
                seen[name] = version
            at = 0 if self.mistake == "forgets its place" else start
            place = {} if last else {"under": {"part": name, "version": version, "at": at}}
            part = Part(name=name, reading=str(version), last=last and self.mistake != "never ends a reading")
            made = Page(records=[event(n) for n in page], cursor={**seen, **place}, more=True, part=part)
            yield replace(made, part=None) if self.mistake == "names no part" else made
            if last:
                return


def event(number: int) -> Event:
    return Event(
        source="feed",
        id=str(number),
        name="happened",
        at=datetime.fromisoformat("2026-03-01T00:00:00Z"),
        identifiers=(Identifier(Kind.USER_ID, str(number)),),
    )


class TestSoundShelf(RewrittenPartsContract, BrokenLineContract):
    @pytest.fixture
    def feed(self) -> Shelf:
        return Shelf()


def fails(mistake: str, test: Callable[..., None], *arguments: Any) -> None:
    with pytest.raises((AssertionError, OSError)):
        test(Shelf(mistake), *arguments)


@pytest.mark.parametrize(
    ("mistake", "test"),
    [
        ("loses the last row", "test_everything_comes_exactly_once"),
        ("forgets its place", "test_it_goes_on_after_any_page"),
        ("forgets its place", "test_stopping_at_every_page_changes_nothing"),
        ("says complete too late", "test_only_the_last_page_says_that_it_is_the_last"),
        ("names no part", "test_each_reading_of_a_part_ends_once"),
        ("never ends a reading", "test_each_reading_of_a_part_ends_once"),
        ("never ends a reading", "test_what_a_rewritten_part_does_not_bring_again_is_taken_back"),
        ("goes on in the middle", "test_a_part_rewritten_while_it_is_read_is_read_from_its_start"),
        ("loses the last row", "test_late_events_come_with_the_parts_they_belong_to"),
    ],
)
def test_a_mistake_is_found(mistake: str, test: str) -> None:
    fails(mistake, getattr(TestSoundShelf(), test))


def test_an_error_of_no_family_is_found() -> None:
    contract = TestSoundShelf()
    fails("lets an error out", contract.test_faults_that_last_end_in_try_later, "fail")
    fails("lets an error out", contract.test_a_fault_at_any_request_loses_nothing_and_doubles_nothing, "fail")
