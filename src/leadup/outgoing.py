"""The nouns of what leaves the house: where it goes, what is done there, what the vendor says.

Nothing in them is shaped after one vendor.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from leadup.types import Consent, Identifier, Json, Kind, Money, Purpose

if TYPE_CHECKING:  # the kernel reads these nouns where there is no pydantic
    from pydantic import SecretStr


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


Records: TypeAlias = Mapping[RemoteId, Mapping[str, Json]]
"""What stands at the records of one person, by property: each value as its :class:`ValueKind` says, as text where it is
none; None: nothing stands there."""


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
    unsure: bool = False
    """The vendor has not said whether the person is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing to do at a destination."""

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
    """Will never pass as it is; ``code`` and ``detail`` say why. A leave is tried again all the same, ever later."""
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
    brought: frozenset[RemoteId] | None = None
    """Of a join: what of its address is in the audience by it, and so ours to take out; the rest was there before, or
    is not there. With ``later``: what was done already. None: all of it where ``confirmed``, else nothing."""


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
    """How many words there were; the same number again is no news."""
    age: timedelta = timedelta(0)
    """How long ago it was said: it may be about a day that is over."""


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
