"""What the emulated Google Ads account holds. One account stands behind all doors; it knows no SDK and no wire.

Rules about time (the age of clicks and events, the end of memberships, the six hours of a new conversion action) hold
once a test has set :attr:`Account.clock`, which it then moves itself. Without, nothing here is ever too old or too new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from leadup_connectors.google_ads.sandbox.rows import Accepted

SETTLING: Final = timedelta(hours=6)
"""A click or a conversion action younger than this takes no conversion yet ("Troubleshoot conversion uploads")."""
LONGEST_WINDOW: Final = timedelta(days=90)
"""The longest click-through window an action can have ("About conversion windows")."""


@dataclass(kw_only=True)
class Action:
    """A conversion action. Enums are named as in the Google Ads API."""

    id: str
    name: str = ""
    type: str = "UPLOAD_CLICKS"
    status: str = "ENABLED"
    category: str = "DEFAULT"
    origin: str = "WEBSITE"
    counting: str = "MANY_PER_CLICK"
    owner: str = ""
    """The account that owns it; "": whichever asks."""
    primary: bool = True
    default_value: float = 0.0
    default_currency: str = ""
    always_default: bool = False
    lookback_days: int = 90
    created: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """A click on an ad, by its gclid, gbraid or wbraid."""

    at: datetime
    account: str = ""
    """The account it belongs to; "": any."""
    from_ads: bool = True
    """It came from a campaign that conversions can be attributed to."""
    identifiers: frozenset[str] = frozenset()
    """Hashes by which whoever clicked is known, for conversions that carry no click id."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What came of one upload by the Google Ads API."""

    at: datetime
    job: int
    rows: tuple[tuple[str, str], ...]
    """Of each row its action's id and the error's code, "" for none."""

    @property
    def successful(self) -> int:
        return sum(not code for _, code in self.rows)

    @property
    def failed(self) -> list[str]:
        return [code for _, code in self.rows if code]

    def by_action(self) -> dict[str, Upload]:
        """The parts of it that went to each action."""
        ids = dict.fromkeys(action for action, _ in self.rows if action)
        return {one: replace(self, rows=tuple(row for row in self.rows if row[0] == one)) for one in ids}


@dataclass(frozen=True, slots=True)
class Membership:
    """Since when an identifier is in a list, or was last sent, and with which others it came."""

    at: datetime
    group: frozenset[str]


@dataclass
class UserList:
    """A user list (a raw ``datamanager.v1.UserList``) with its members' identifiers."""

    message: Any
    account: str
    joined: dict[str, Membership] = field(default_factory=dict)

    @property
    def key_types(self) -> set[int]:
        return set(self.message.ingested_user_list_info.upload_key_types)

    def holds(self, key: str, at: datetime | None) -> bool:
        """Whether an identifier is a member and its membership has not ended by then; None: memberships do not end."""
        one = self.joined.get(key)
        lasts = timedelta(seconds=self.message.membership_duration.seconds)
        return one is not None and (at is None or at < one.at + lasts)

    def members(self, at: datetime | None) -> set[str]:
        """All identifiers that it holds then."""
        return {key for key in self.joined if self.holds(key, at)}

    def people(self, at: datetime | None) -> int:
        """How many members that are: identifiers that came together are one."""
        return len({self.joined[key].group for key in self.members(at)})


@dataclass
class Account:
    """Lists, actions, conversions and switches. Not thread-safe by itself."""

    clock: datetime | None = None
    """The emulated time, moved by tests. None: the real time, and nothing has an age."""
    customer_match_terms: bool = True
    """Whether it accepts user data for lists; a request must say so besides."""
    data_terms: bool = True
    """The customer data terms, which enhanced conversions need."""
    enhanced_conversions: bool = True
    """Enhanced conversions for leads are on."""
    data_policy_ok: bool = True
    """Google's policies let the account use enhanced conversions."""
    eu_political_declared: bool = True
    """The declaration of EU political advertising was made."""
    allow_listed: bool = False
    """It may still upload by the Google Ads API (it did so before 2026)."""
    people_in: Literal["unknown", "eea", "elsewhere"] = "unknown"
    """What a missing consent means: UNKNOWN_CONSENT, NO_CONSENT, or nothing."""
    match_rate: int = 100
    """Percent of members that Google knows."""
    currency: str = "EUR"
    time_zone: str = "Europe/Berlin"
    conversion_customer: str = ""
    """The account that owns the conversions; "": whichever asks."""
    any_action: bool = True
    """Ids that are not in ``actions`` are actions of type UPLOAD_CLICKS too."""
    actions: dict[str, Action] = field(default_factory=dict)
    goals: dict[tuple[str, str], bool] = field(default_factory=dict)
    """Whether bidding uses a goal, by category and origin."""
    campaigns: dict[str, str] = field(default_factory=dict)
    """Running campaigns by name: they bid for the account's goals (CUSTOMER) or for their own (CAMPAIGN)."""
    clicks: dict[str, Click] | None = None
    """All clicks there were, by their id; None: every click id is of a click that takes any conversion."""
    lists: dict[str, UserList] = field(default_factory=dict)
    conversions: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """By action and transaction id."""
    uploads: list[Upload] = field(default_factory=list)
    """By the Google Ads API, oldest first."""
    accepted: dict[str, Accepted] = field(default_factory=dict)
    """Requests to the Data Manager API, by request id, in the order they came."""
    redundant: Counter[str] = field(default_factory=Counter)
    """Rows that changed nothing when they were worked off, by verb: join, leave, convert."""

    def now(self) -> datetime:
        """The emulated time, or the real one."""
        return self.clock or datetime.now(UTC)

    def set(self, data: Mapping[str, Any]) -> None:
        """Take a seed: any of the plain fields above, ``actions`` and ``clicks``.

        ``actions`` maps an id to its type or to a mapping of :class:`Action`'s fields, and means that there are no
        others; ``clicks`` maps an id to the instant of the click or to a mapping of :class:`Click`'s fields.
        """
        for name, value in data.items():
            if name == "actions":
                self.any_action, self.actions = False, {}
                for action_id, said in value.items():
                    self.add_action(Action(id=action_id, **({"type": said} if isinstance(said, str) else said)))
            elif name == "clicks":
                self.clicks = None if value is None else {key: _click(said) for key, said in value.items()}
            else:
                setattr(self, name, _instant(value) if name == "clock" else value)

    def add_action(self, action: Action) -> None:
        """Add an action; a goal of a category and origin that were not there is used for bidding ("Conversion goals").

        Actions that are given no name are called by their id.
        """
        self.actions[action.id] = replace(action, name=action.name or action.id)
        self.goals.setdefault((action.category, action.origin), True)

    def action(self, action_id: str) -> Action | None:
        """The action of this id, unless there is none or it was removed."""
        if found := self.actions.get(action_id):
            return None if found.status == "REMOVED" else found
        return Action(id=action_id, name=action_id) if self.any_action and action_id.isdigit() else None

    def size(self, user_list: UserList) -> int:
        """How many members of a list Google knows."""
        return user_list.people(self.clock) * self.match_rate // 100

    def too_new(self, action: Action) -> bool:
        """An action takes conversions six hours after it was made."""
        return bool(self.clock and action.created and self.clock - action.created < SETTLING)

    def click_fault(self, click_id: str, at: datetime, action: Action, customer: str) -> str:
        """Why a conversion at an instant can not be put down to a click, in the Data Manager API's words, or ""."""
        if self.clock and self.clock - at > LONGEST_WINDOW:
            return "EVENT_TOO_OLD"
        if self.clicks is None or not click_id:
            return ""
        click = self.clicks.get(click_id)
        if click is None:
            return "CLICK_NOT_FOUND"
        if not click.from_ads:
            return "INVALID_CLICK"
        if click.account not in ("", customer):
            return "INVALID_OPERATING_ACCOUNT_FOR_CLICK"
        if at < click.at:
            return "CONVERSION_PRECEDES_CLICK"
        if at - click.at > timedelta(days=action.lookback_days):
            return "EVENT_TOO_OLD"
        return "TOO_RECENT_CLICK" if self.clock and self.clock - click.at < SETTLING else ""

    def unknown_person(self, ids: Iterable[str]) -> bool:
        """Nobody of these identifiers clicked, as far as clicks are known."""
        known = set(ids)
        return self.clicks is not None and all(known.isdisjoint(click.identifiers) for click in self.clicks.values())


PLAIN: Final = frozenset(f.name for f in fields(Account)) - {
    "goals",
    "lists",
    "conversions",
    "uploads",
    "accepted",
    "redundant",
}
"""What a seed may set."""


def _click(said: Any) -> Click:
    if isinstance(said, str | datetime):
        return Click(at=_instant(said))
    given = dict(said)
    return Click(at=_instant(given.pop("at")), identifiers=frozenset(given.pop("identifiers", ())), **given)


def _instant(said: str | datetime) -> datetime:
    return datetime.fromisoformat(said) if isinstance(said, str) else said
