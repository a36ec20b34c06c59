"""The nouns. Whoever knows this page and :mod:`leadup.outgoing` can read every other file.

Time: aware ``datetime`` at the edges (sources, destinations, command line), ``int`` microseconds since
1970-01-01T00:00Z inside (:func:`to_us`, :func:`from_us`). Money: an integer in minor units with a currency.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final, TypeAlias

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
Cursor: TypeAlias = Mapping[str, Json]

NEVER: Final = 2**62
"""Microseconds: an instant no clock reaches; "this can not change by itself"."""
EVER: Final = -(2**62)
"""Microseconds: before all time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(instant: datetime) -> int:
    """Return ``instant`` (aware) as microseconds since the epoch, exactly."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone")
    return (instant - _EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    """Return microseconds since the epoch as an aware UTC ``datetime``."""
    return _EPOCH + timedelta(microseconds=us)


def day_of(at: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the midnights, in UTC, between which an instant lies in a zone; the first belongs to the day."""
    day = at.astimezone(zone).date()
    first, last = (datetime.combine(one, time(), zone).astimezone(UTC) for one in (day, day + timedelta(days=1)))
    return first, last


# ---------------------------------------------------------------- who


class Kind(enum.StrEnum):
    """Kinds of identifier, strongest first: an event belongs to the strongest one it carries."""

    USER_ID = "user_id"
    EMAIL = "email"
    PHONE = "phone"
    HUBSPOT_ID = "hubspot_id"
    CLIENT_ID = "client_id"
    HUTK = "hutk"

    @property
    def strength(self) -> int:
        """0 is the strongest."""
        return _STRENGTH[self]

    @property
    def is_device(self) -> bool:
        """A browser, which several people may use; such an identifier changes hands at a login."""
        return self in (Kind.CLIENT_ID, Kind.HUTK)


_STRENGTH = {kind: rank for rank, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """A key that tells who.

    A source gives e-mail and phone as it found them (or as a SHA-256 in hex or base64); from the event log on the value
    of these two kinds is always the SHA-256, in hex, of the normal form.
    """

    kind: Kind
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


CLICK_IDS: Final = ("gclid", "gbraid", "wbraid", "fbclid")
"""Click ids are attributes of a visit. They never merge persons."""


class Purpose(enum.StrEnum):
    """What a person may consent to (names as Google's consent mode has them, the field's common words)."""

    AD_USER_DATA = "ad_user_data"
    AD_PERSONALIZATION = "ad_personalization"
    ANALYTICS = "analytics_storage"
    EMAIL_MARKETING = "email_marketing"
    """To get marketing e-mail. A CRM knows mostly who does not: an opt-out is a denial."""


Consent: TypeAlias = Mapping[Purpose, bool]
"""Granted (True) or denied (False) by purpose; a purpose that is absent was not asked."""


# ---------------------------------------------------------------- what happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something a visitor did, as a source reported it; unique by ``(source, id)``.

    Seen again with other content it is a revision, which replaces the old one.
    """

    source: str
    id: str
    name: str
    at: datetime
    identifiers: tuple[Identifier, ...]
    properties: Mapping[str, Json] = field(default_factory=dict)
    click_ids: Mapping[str, str] = field(default_factory=dict)
    consent: Consent = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What a CRM says of a person, dated; of each trait the last one by ``at`` counts."""

    source: str
    at: datetime
    identifiers: tuple[Identifier, ...]
    facts: Mapping[str, Json] = field(default_factory=dict)
    """A trait that is None has no value any more."""
    consent: Consent = field(default_factory=dict)
    records: tuple[str, ...] = ()
    """Of a snapshot: the record of its source that says all this at ``at`` (when that came to be so, it does not tell),
    then those that were merged into it, which say nothing any more. What it said before and does not name now, or names
    as None, it says no more; a trait has no value any more when no record that is left says one. A connection that is
    sent to as well calls records as there (:attr:`leadup.outgoing.RemoteId.value`). Empty: no snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A row that could not become an event: kept with its place and the reason, never dropped in silence."""

    place: str
    """File name, object name or URL."""
    line: int
    reason: str
    text: str
    """The row as found; addresses in it are redacted before it is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a source that is read whole, and again whole when it was rewritten (GA4: one day's table).

    What an earlier reading of a part brought, and the present one has not brought when it ends, is taken back.
    """

    name: str
    """Of the part, within its connection: ``events_20260301``."""
    reading: str
    """Of this reading, the same on each of its pages: what tells one content of the part from the next (an etag)."""
    last: bool = False
    """Whether this page ends the reading. A reading that another one overtakes takes nothing back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one read of a source brought. Its records and its cursor are committed together."""

    records: Sequence[Event | Fact]
    cursor: Cursor
    more: bool = False
    complete_until: datetime | None = None
    """The watermark: everything of this source up to here has been read."""
    final_until: datetime | None = None
    """With a watermark: of what lies up to here, nothing will come late, change or be taken back. None: of all that
    has been read."""
    rejected: Sequence[Rejected] = ()
    progress: float | None = None
    """Share of the present work that is done, 0 to 1, when the source can tell."""
    part: Part | None = None
    """The part that all events of this page belong to. One that two parts bring is there while either does."""
    settled: Sequence[str] = ()
    """Parts that will not be read again: what they brought stays for good, and needs no book-keeping any more."""
    taken_back: Sequence[str] = ()
    """Ids of events that are none, as the source knows by now (a won deal is open again). None of this page's; ids
    that were never told of do no harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A request that somebody sent to a collector."""

    connection: str
    headers: Mapping[str, str]
    """By lower-case name. What was kept has only those that its connector keeps."""
    body: bytes = field(repr=False)
    """On arrival as it came over the wire, which is what a signature covers; once kept, with gzip undone."""
    received_at: datetime
    id: str = ""
    """Once kept: what names this request and no other, ever."""


# ---------------------------------------------------------------- money


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (cents) of an ISO 4217 currency."""

    minor: int
    currency: str

    def __str__(self) -> str:
        digits = minor_digits(self.currency)
        sign, whole = "-" if self.minor < 0 else "", abs(self.minor)
        if not digits:
            return f"{sign}{whole} {self.currency}"
        return f"{sign}{whole // 10**digits}.{whole % 10**digits:0{digits}} {self.currency}"

    @property
    def major(self) -> float:
        """The amount in major units, for a wire that wants a double."""
        return self.minor / float(10 ** minor_digits(self.currency))


_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
}
_DIGITS_OF = {code: digits for digits, codes in _DIGITS.items() for code in codes.split()}


def minor_digits(currency: str) -> int:
    """Number of minor digits of an ISO 4217 currency (source: ISO 4217, table A.1)."""
    return _DIGITS_OF.get(currency, 2)
