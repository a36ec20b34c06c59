"""Settings of a HubSpot connection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import combinations
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from leadup.kit import ConnectionSettings, is_loopback
from leadup.types import Kind

EMAIL = "email"
Stream = Literal["contacts", "forms", "deals"]
_TWO_IDS: Final = (
    "are of one HubSpot account, and a contact would have two ids.\n  What to do: set account_in_ids in both or in "
    "neither"
)
PropertyName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")]


class HubSpotSettings(ConnectionSettings):
    """One HubSpot account, and how its contacts are found."""

    access_token: SecretStr = Field(min_length=1)
    """A service key's or private app's token (``pat-…``)."""
    base_url: str = "https://api.hubapi.com"
    """Where the API answers; an emulator's address in a rehearsal. Plain http only on this machine."""
    api: Literal["v3", "2026-03"] = "v3"
    """The version of HubSpot's API: ``v3`` until September 2027, or the dated one that follows it."""
    portal_id: int | None = None
    """The account's id; when given, nothing is read of an account with another id, or written to it."""
    account_in_ids: bool = False
    """Whether this account's record ids are told from those of other accounts: contact 1501 of account 4815162 is then
    ``4815162:1501`` as ``hubspot_id``, wherever contacts are read or found by it."""
    match: str = Field(default=EMAIL, pattern=r"^[a-z][a-z0-9_]*$")
    """The contact property that people are found by: ``email``, or one that HubSpot keeps unique (``external_id``)."""
    match_with: Kind | None = None
    """The identifier whose value that property holds; ``user_id`` unless set. Not for ``match = "email"``."""
    folder: str = "leadup"
    """The folder that new lists are put into, by its name; made when it is not there. Empty: none."""
    lists: dict[str, str] = Field(default_factory=dict)
    """By audience of the rules, the id of the list it is kept in, where it is not to be found by its name."""
    create_missing: bool = False
    """Whether people of an audience whom HubSpot does not know become contacts, by their e-mail in the clear. In some
    accounts such a contact is a marketing contact, which costs money."""
    respect_opt_outs: bool = True
    """Whether a contact that opted out of all e-mail in HubSpot stays out of lists."""
    chunk_size: int = Field(default=500, ge=1, le=100_000)
    """Contacts per call that changes a list."""
    daily_reserve: float = Field(default=0.1, ge=0, le=0.9)
    """Share of the account's calls of a day that is left to its other apps; what does not fit waits until midnight."""
    read: tuple[Stream, ...] = ()
    """What is read of the account: ``contacts``, ``forms``, ``deals``; nothing unless set."""
    traits: tuple[PropertyName, ...] = Field(default=(), max_length=100)
    """Contact properties that rules ask for as traits of a person, besides lifecycle_stage and owner."""
    identifiers: Mapping[Literal["user_id", "client_id", "hutk"], PropertyName] = Field(default_factory=dict)
    """Where HubSpot has further identifiers: by kind, the contact property or the (hidden) field of forms."""
    forms: tuple[str, ...] = ()
    """Ids of the forms that are read; all unless set. Each costs a call each time."""
    form_fields: tuple[PropertyName, ...] = ()
    """Fields of forms whose answers rules may ask for; the others are left out."""
    start: date | None = None
    """Deals and submissions that did not change since that day (UTC) are not read."""
    index_lag: float = Field(default=60, ge=0, le=3600)
    """Seconds after which HubSpot's search knows of a change for certain."""
    deletions_every: float = Field(default=6, ge=0)
    """Hours between two looks at what was deleted."""
    page_size: int = Field(default=200, ge=1, le=200)
    """Most records of a call that reads; HubSpot allows 200 for searches, 100 for lists, 50 for submissions."""
    searches_per_second: int = Field(default=4, ge=1)
    """HubSpot allows an account 5, all its apps together."""
    connect_timeout: float = Field(default=5, gt=0)
    """Seconds to wait for a connection."""
    read_timeout: float = Field(default=20, gt=0)
    """Seconds to wait for an answer."""
    tries: int = Field(default=3, ge=1, le=10)
    """How often a call that may be repeated is tried, within 30 seconds, before the outbox takes over."""
    pause: float = Field(default=0.5, ge=0)
    """Seconds before the second try; doubled before each further one. HubSpot's own wish, where it has one, counts."""

    @field_validator("base_url")
    @classmethod
    def _keeps_the_token_private(cls, url: str) -> str:
        parts = urlsplit(url)
        if not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("give an address such as https://api.hubapi.com")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
            raise ValueError("the access token travels over https only (plain http is for an emulator on this machine)")
        return url.rstrip("/")

    @field_validator("lists")
    @classmethod
    def _each_list_keeps_one_audience(cls, lists: dict[str, str]) -> dict[str, str]:
        by_id: dict[str, str] = {}
        for audience, list_id in lists.items():
            if (twin := by_id.setdefault(list_id, audience)) != audience:
                raise ValueError(
                    f"{twin} and {audience} name one list, {list_id}, and a leave of one would take out members of the "
                    "other; give each a list of its own"
                )
        return lists

    @model_validator(mode="after")
    def _email_is_an_email(self) -> Self:
        if self.match == EMAIL and self.match_with not in (None, Kind.EMAIL):
            raise ValueError('match_with needs match: name the property that holds it, e.g. match = "external_id"')
        return self

    @model_validator(mode="after")
    def _creates_by_email(self) -> Self:
        if self.create_missing and self.match != EMAIL:
            raise ValueError("create_missing needs people matched on e-mail: leave out match")
        return self

    @model_validator(mode="after")
    def _knows_its_account(self) -> Self:
        if self.account_in_ids and self.portal_id is None:
            raise ValueError("account_in_ids needs portal_id, the number that is put before the ids")
        return self

    @classmethod
    def check_together(cls, connections: Mapping[str, Self]) -> None:
        """See :meth:`leadup.kit.ConnectionSettings.check_together`: two accounts may have the same record ids."""
        for (name, one), (other_name, other) in combinations(connections.items(), 2):
            if fault := one._mistaken_for(other):  # noqa: SLF001 - of this class
                raise ValueError(f"connections.{name} and connections.{other_name} {fault}")

    def _mistaken_for(self, other: Self) -> str:
        """Why contacts of one connection might be taken for those of another, and what to do; "": they are not."""
        accounts = (self.portal_id, other.portal_id)
        stranger = "and contact 1501 of one is a stranger to contact 1501 of the other."
        known = None not in accounts
        same = (self.base_url, self.access_token) == (other.base_url, other.access_token)
        if accounts[0] == accounts[1] if known else same:
            return _TWO_IDS if self.account_in_ids != other.account_in_ids else ""
        if not known:
            return (
                f"may be two HubSpot accounts, {stranger}\n  What to do: set portal_id in both; where these differ, "
                "account_in_ids = true as well in all but one"
            )
        if self.account_in_ids or other.account_in_ids:
            return ""
        return (
            f"are two HubSpot accounts ({accounts[0]} and {accounts[1]}), {stranger}\n  What to do: set account_in_ids "
            "= true in all but one: that one whose record ids are known already, or which other sources tell as "
            "hubspot_id"
        )

    def id_of(self, record: str) -> str:
        """Return the ``hubspot_id`` of a contact of this account."""
        return f"{self.portal_id}:{record}" if self.account_in_ids else record

    def record_of(self, hubspot_id: str) -> str | None:
        """Return the record that a ``hubspot_id`` is of; None: it can be none of this account."""
        record = hubspot_id.removeprefix(self.id_of(""))
        return record if record.isdecimal() and self.id_of(record) == hubspot_id else None

    @property
    def is_read(self) -> bool:
        """See :attr:`leadup.kit.ConnectionSettings.is_read`."""
        return bool(self.read)

    @property
    def kind(self) -> Kind:
        """The identifier that people are found by."""
        if self.match == EMAIL:
            return Kind.EMAIL
        return self.match_with or Kind.USER_ID
