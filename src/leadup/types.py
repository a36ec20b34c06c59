"""The nouns. Whoever knows this page can read every other file.

Time: aware ``datetime`` at the edges (sources, destinations, command line), ``int`` microseconds since
1970-01-01T00:00Z inside (:func:`to_us`, :func:`from_us`). Money: an integer in minor units with a currency.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

if TYPE_CHECKING:  # the kernel reads these nouns where there is no pydantic
    from pydantic import SecretStr

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
    snapshot: bool = False
    """It tells what stands at ``at``, not when that came to be so: only what its source has not told before is news."""


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


# ---------------------------------------------------------------- what should leave the house


class Use(enum.StrEnum):
    """What a target is for; consent is asked by use."""

    AUDIENCE = "audience"
    CONVERSION = "conversion"
    PROPERTY = "property"


class ValueKind(enum.StrEnum):
    """What the values of a property are: enough to make one at a vendor."""

    NUMBER = "number"
    TEXT = "text"
    INSTANT = "instant"
    """ISO 8601 with a zone, UTC, in milliseconds: ``2026-03-01T12:00:00.000Z``."""
    CHOICES = "choices"
    """A list of some of :attr:`Target.options`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One place at one connection that rules send to: an audience, a conversion action, a set of properties."""

    connection: str
    use: Use
    name: str
    """The segment's, conversion's or property's name in the rules."""
    remote_name: str
    """What it is called there; ``leadup: NAME`` unless the rules say otherwise."""
    values: ValueKind = ValueKind.TEXT
    """Of a property: what its values are."""
    options: tuple[str, ...] = ()
    """Of a property of choices: all there are."""
    known_id: str | None = field(default=None, compare=False)
    """The id it was prepared with before: it stays that one, whatever people call it by now."""

    @property
    def key(self) -> str:
        return f"{self.connection}/{self.use}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTarget:
    """A target as the vendor knows it: found or created by ``Destination.prepare``."""

    id: str
    name: str
    created: bool = False
    refresh_after: timedelta | None = None
    """A member must be sent again this long after he was confirmed, before the vendor forgets him."""


@dataclass(frozen=True, slots=True)
class Email:
    """An e-mail address: its hash, and the address itself where the house still holds it."""

    sha256: str
    address: SecretStr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """All that a destination may use to find a person. Never logged, never stored in this form."""

    person: int
    identifiers: tuple[Identifier, ...] = ()
    """Sorted, strongest first; e-mail and phone as SHA-256 in hex."""
    emails: tuple[Email, ...] = ()

    def of(self, kind: Kind) -> tuple[str, ...]:
        """Values of one kind."""
        return tuple(i.value for i in self.identifiers if i.kind == kind)


@dataclass(frozen=True, slots=True, order=True)
class RemoteId:
    """One identifier as it is sent, e.g. ``("email_sha256", "9f86…")`` or ``("contact", "1501")``."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Address:
    """Where a person is found at a destination: the identifiers as they will be sent, sorted."""

    ids: tuple[RemoteId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """A person the destination can not find now; asked again after ``again``."""

    code: str
    detail: str
    again: timedelta = timedelta(hours=24)
    creatable: bool = False
    """The vendor knows no such person, and could be told of one (:class:`leadup.kit.Creating`)."""
    at: Address | None = None
    """Of one who is there and must not be sent: where, so that he can be taken out."""
    for_good: bool = False
    """Never to be found there: the row is refused, and the person is not looked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing to do at a destination. Nothing in it is shaped after one vendor."""

    verb: ClassVar[str]
    key: str
    """Idempotency key: the same change has the same key however often it is tried."""
    person: int
    to: Address
    consent: Consent = field(default_factory=dict)
    """The purposes this use needs, as they stand at the moment of sending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Join(Change):
    """Put a person into an audience."""

    verb: ClassVar[str] = "join"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave(Change):
    """Take a person out of an audience."""

    verb: ClassVar[str] = "leave"


@dataclass(frozen=True, slots=True, kw_only=True)
class Convert(Change):
    """Report a conversion."""

    verb: ClassVar[str] = "convert"
    transaction_id: str
    at: datetime
    value: Money | None
    click_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restate(Convert):
    """Give a conversion that the vendor has accepted another value."""

    verb: ClassVar[str] = "restate"
    taken_back: bool = False
    """It never was: all events that told of it were taken back. ``value`` is then 0."""
    decided_at: datetime | None = None
    """When this value was decided: later, in whole seconds, than every earlier value of the conversion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert(Change):
    """Write properties of a person."""

    verb: ClassVar[str] = "upsert"
    properties: Mapping[str, Json]
    """Values by name, each as its :class:`ValueKind` says. None: what we wrote holds no longer and is to be cleared."""
    ours: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    """Of a property to be cleared, all values that we ever sent: any other one is somebody else's, and stays."""


class Outcome(enum.StrEnum):
    """What the vendor said of one change."""

    CONFIRMED = "confirmed"
    ALREADY = "already"
    """It was so before: as good as confirmed."""
    ACCEPTED = "accepted"
    """The vendor took it and will say later; ``Receipt.handle`` asks."""
    REJECTED = "rejected"
    """Will never pass as it is; ``code`` and ``detail`` say why."""
    LATER = "later"
    """May pass later; ``retry_after`` says when to try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One answer per change, in order."""

    outcome: Outcome
    code: str = ""
    detail: str = ""
    handle: str = ""
    """Names the vendor's asynchronous work (a request id) when the outcome is ``accepted``."""
    retry_after: timedelta | None = None
    warning: str = ""
    """What the vendor did not like about a row that it took all the same."""
    lost: bool = False
    """Of a leave that was so before: the vendor knows these identifiers no more, and may have merged them into others.
    The person is looked for anew, and taken out by what he is found by now."""


class Progress(enum.StrEnum):
    """How far a vendor's asynchronous work is."""

    PROCESSING = "processing"
    PROCESSED = "processed"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The vendor's account of one handle. Counts by reason; which rows is not always known."""

    handle: str
    progress: Progress
    counts: Mapping[str, int] = field(default_factory=dict)
    """Failed rows by reason."""
    unmatched: Mapping[str, int] = field(default_factory=dict)
    """Rows for which nobody was found there, by reason. That is usual, and no failure, for conversions that go by
    contact data alone; one that carries a click id has failed."""
    warnings: Mapping[str, int] = field(default_factory=dict)
    """Rows that were done, and what the vendor did not like about them."""
    retryable: bool = False
    """The reasons are such that sending the same rows again, later, may help."""
    retry_after: timedelta | None = None
    """When that may help."""
    todo: str = ""
    """What a person has to do before anything more is sent there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How big an audience is by the vendor's account. Estimates, rounded by the vendor, and late by hours."""

    members: Mapping[str, int] = field(default_factory=dict)
    """Active members, by where they are counted ("search_network"); empty: the vendor does not say."""
    match_rate: int | None = None
    """Percent of the members sent that the vendor knows."""
    kept_for: timedelta | None = None
    """How long a member stays without being sent again."""
    keyed_by: str = ""
    """The kind of identifier it takes."""
    name: str = ""
    """What it is called there now; empty: the vendor does not say."""
    details: Mapping[str, str] = field(default_factory=dict)
    """What else a person should know before something is written to it: ``{"folder": "leadup"}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An audience that is there, as it was found, with nothing changed."""

    id: str
    size: Size

    @property
    def members(self) -> int:
        """The largest count of members that the vendor tells."""
        return max(self.size.members.values(), default=0)

    def __str__(self) -> str:
        details = "".join(f", {name} {value}" for name, value in self.size.details.items())
        return f"{self.size.name!r} (id {self.id}, {self.members:,} members{details})"


class Grade(enum.StrEnum):
    """How a finding about an installation or an account is to be taken."""

    OK = "ok"
    WARNING = "warning"
    """It works, and something is lost or soon will be."""
    PROBLEM = "problem"
    """It does not work."""
    UNKNOWN = "unknown"
    """It could not be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at, for a person. Without personal data."""

    name: str
    """What was looked at, the same each time: ``terms``."""
    grade: Grade
    text: str
    """What was found."""
    todo: str = ""
    """What to do about it; empty when it is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a vendor counts at a target, by its own account: late by hours, and of whoever reports there."""

    total: float
    days: Mapping[str, float] = field(default_factory=dict)
    """By day (``2026-03-01``), as the vendor's account has days."""
    note: str = ""
    """How to read the numbers: whose days they are, what is in them."""


NEW_DAY: Final = timedelta(minutes=15)
"""So long after midnight a vendor may still count for the day before: its clock is not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The calls that a vendor takes from one account in a day, by the vendor's latest word. A day ends at midnight."""

    account: str
    """Names the account among those of all vendors ("hubspot 4815162"): connections of one account share its day."""
    limit: int | None
    """Calls a day; None: the vendor does not say."""
    left: int
    """Calls that the vendor still takes today, whoever makes them."""
    zone: tzinfo
    """Whose midnight ends the account's day."""
    told: int
    """How many words there were; the same number again is no news, and may be about a day that is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a destination can do, as data."""

    uses: frozenset[Use]
    batch: Mapping[str, int]
    """Most changes a call takes, by verb."""
    needs: Mapping[Use, frozenset[Kind]]
    """Kinds of identifier, by use, of which a person must have at least one to be found there."""
    together: frozenset[str] = frozenset()
    """Verbs that one call may carry beside each other, together as many changes as ``batch`` says for each."""
    click_ids: frozenset[str] = frozenset()
    """Click ids that serve a conversion in place of an identifier."""
    purposes: Mapping[Use, frozenset[Purpose]] = field(default_factory=dict)
    """Consent the vendor requires, by use: unknown is no."""
    unless_denied: Mapping[Use, frozenset[Purpose]] = field(default_factory=dict)
    """Purposes, by use, whose denial keeps a person out, while unknown passes: what people opt out of."""
    max_age: timedelta | None = None
    """Conversions older than this are not taken."""
    restates_for: timedelta | None = None
    """The value of a conversion older than this can not be changed."""
    min_click_age: timedelta | None = None
    """A conversion by a click younger than this is not taken yet."""
    currencies: Mapping[str, str] = field(default_factory=dict)
    """By conversion of the rules, the currency that its action counts in, where that is known."""
    poll_after: timedelta = timedelta(minutes=30)
    """When to ask first what became of an accepted batch."""
    answered_within: timedelta = timedelta(hours=24)
    """When it is given up to ask."""
