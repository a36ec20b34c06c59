"""Follows what changes among the records of one type: what is new since the last time, each change once.

All records are listed first. From then on those are searched for that changed since, in the order of their changes:
each page begins at the change that ended the one before. So nothing is passed over that changes meanwhile (it moves to
the end), and no more than a page of a search is ever asked for, however much there is: HubSpot gives 10,000 results of
a search, and refuses the rest (source: CRM search, "Limits").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Final

from leadup.types import Json
from leadup_connectors.hubspot.client import HubSpotClient
from leadup_connectors.hubspot.records import Record, from_milliseconds, milliseconds

MOST_SEEN: Final = 1_000
"""Changes that are remembered since the index may have been late for others; what is forgotten is read again, which
does no harm."""
_ID: Final = "hs_object_id"


@dataclass(slots=True)
class Stand:
    """How far the records of one type are read. All instants are milliseconds."""

    done: int | None = None
    """All that changed before has been read."""
    seen: dict[str, int] = field(default_factory=dict)
    """Records that changed since then and have been read, with their change."""
    began: int | None = None
    """When the reading that is under way began."""
    listed: str | None = None
    """Where the list of all goes on; "": at its beginning."""
    at: int = 0
    """The last change that was read."""
    ids: list[str] = field(default_factory=list)
    """Records of that very change that were read."""
    tie: str = ""
    """With more records of one change than a page holds: the last id."""
    swept: int | None = None
    """What was deleted before has been read."""
    sweep: str | None = None
    """Where the list of the deleted goes on."""
    sweep_began: int = 0

    @classmethod
    def of(cls, said: Any) -> Stand:
        """Return what a cursor says."""
        return cls(**said) if said else cls()

    def begin_anew(self) -> None:
        """Have all records read once more; what was deleted is followed on."""
        self.done, self.began, self.listed, self.at, self.tie = None, None, None, 0, ""
        self.seen, self.ids = {}, []

    def said(self) -> Json:
        """Return it for the cursor."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Scan:
    """The reading of one type of record."""

    client: HubSpotClient
    of: str
    changed: str
    """The property with the instant of a record's last change."""
    properties: Sequence[str]
    lag: timedelta
    size: int
    start: int | None = None
    """Changes before are not read; None: all records are listed first."""

    def changes(self, stand: Stand, now: int) -> Iterator[list[Record]]:
        """Yield the records that changed; after each list ``stand`` says how to go on after it."""
        if stand.began is None:
            stand.began, stand.ids, stand.tie = now, [], ""
            if stand.done is not None:
                stand.at = stand.done
            elif self.start is not None:
                stand.at = self.start
            else:
                stand.listed = ""
        while stand.listed is not None:
            page = self.client.objects.page(self.of, self._asked, stand.listed, limit=self.size)
            self._date(stand)
            fresh = self._fresh(stand, page.records)
            stand.listed = page.after
            if page.after is None:
                stand.at = self._settled(stand)
            yield fresh
        more = True
        while more:
            found = self._next(stand)
            self._date(stand)
            fresh = self._fresh(stand, found)
            more = len(found) == self.size or bool(stand.tie)
            self._advance(stand, found)
            if not more:
                stand.done, stand.began = self._settled(stand), None
                stand.seen = {one: at for one, at in stand.seen.items() if at >= stand.done}
                stand.ids = []
            yield fresh

    def deletions(self, stand: Stand, now: int, every: timedelta, properties: Sequence[str]) -> Iterator[list[Record]]:
        """Yield the records that were deleted since the last time, unless that was a short while ago.

        With few properties: they stand in the address of the call, which HubSpot refuses when it is too long (414).
        """
        assert stand.swept is not None, "changes come first"
        if stand.sweep is None:
            if now - stand.swept < every / timedelta(milliseconds=1) or now == stand.swept:
                return
            stand.sweep, stand.sweep_began = "", now
        since = stand.swept - self.lag / timedelta(milliseconds=1)
        while stand.sweep is not None:
            page = self.client.objects.page(self.of, properties, stand.sweep, limit=self.size, archived=True)
            stand.sweep_began = self._theirs(stand.sweep_began)
            stand.sweep = page.after
            if page.after is None:
                stand.swept = stand.sweep_began
            yield [one for one in page.records if one.archived_at and milliseconds(one.archived_at) >= since]

    def _date(self, stand: Stand) -> None:
        """Date a reading by HubSpot's clock, where ours is ahead of it: the first answer is early enough."""
        assert stand.began is not None
        stand.began = self._theirs(stand.began)
        if stand.swept is None:  # what was deleted before the first reading was never read
            stand.swept = stand.began

    def _theirs(self, at: int) -> int:
        return milliseconds(self.client.earlier(from_milliseconds(at)))

    @property
    def _asked(self) -> Sequence[str]:
        return [self.changed, *self.properties]

    def _settled(self, stand: Stand) -> int:
        """The instant up to which the index knew of all changes when the reading began."""
        assert stand.began is not None
        return stand.began - self.lag // timedelta(milliseconds=1)

    def _next(self, stand: Stand) -> Sequence[Record]:
        if stand.tie:
            filters = [(self.changed, "EQ", str(stand.at)), (_ID, "GT", stand.tie)]
            return self.client.objects.search(self.of, filters, _ID, self._asked, self.size)
        since = [(self.changed, "GTE", str(stand.at))]
        return self.client.objects.search(self.of, since, self.changed, self._asked, self.size)

    def _fresh(self, stand: Stand, found: Sequence[Record]) -> list[Record]:
        settled, fresh = self._settled(stand), []
        for record in found:
            at = self._change(record)
            if at <= stand.seen.get(record.id, -1) or (at == stand.at and record.id in stand.ids):
                continue
            fresh.append(record)
            if at >= settled:
                stand.seen.pop(record.id, None)
                stand.seen[record.id] = at
        while len(stand.seen) > MOST_SEEN:
            del stand.seen[next(iter(stand.seen))]
        return fresh

    def _advance(self, stand: Stand, found: Sequence[Record]) -> None:
        """Note where the next page begins."""
        if stand.tie:
            stand.tie = found[-1].id if len(found) == self.size else ""
            if not stand.tie:
                stand.at, stand.ids = stand.at + 1, []
        elif found:
            last = max(stand.at, *map(self._change, found))
            ids = [record.id for record in found if self._change(record) == last]
            if len(found) == self.size and last == stand.at:
                stand.tie = "0"  # a page full of one change: from here on by id
            stand.ids = [*stand.ids, *(one for one in ids if one not in stand.ids)] if last == stand.at else ids
            stand.at = last

    def _change(self, record: Record) -> int:
        """When a record changed last; of one that does not say so, which is rejected later: before all time."""
        try:
            return milliseconds(record.instant(self.changed))
        except ValueError:
            return 0
