"""Settings of a Google Ads connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator, model_validator

from leadup.kit import ConnectionSettings, is_loopback, private_base_url

HOST = "https://datamanager.googleapis.com"
ADS_HOST = "https://googleads.googleapis.com"

AccountId = Annotated[
    str, BeforeValidator(lambda value: str(value).replace("-", "").strip()), Field(pattern=r"^[0-9]{10}$")
]
"""A Google Ads account: ten digits; ``123-456-7890``, as the Google Ads pages show it, is taken too."""


Category = Literal[
    "DEFAULT",
    "PURCHASE",
    "SIGNUP",
    "SUBSCRIBE_PAID",
    "PHONE_CALL_LEAD",
    "IMPORTED_LEAD",
    "SUBMIT_LEAD_FORM",
    "BOOK_APPOINTMENT",
    "REQUEST_QUOTE",
    "CONTACT",
    "ENGAGEMENT",
    "QUALIFIED_LEAD",
    "CONVERTED_LEAD",
    "PAGE_VIEW",
    "DOWNLOAD",
    "ADD_TO_CART",
    "BEGIN_CHECKOUT",
    "OUTBOUND_CLICK",
]
"""Those of ``ConversionActionCategory`` (Google Ads API) that an imported conversion can have."""


class ConversionAction(BaseModel):
    """A conversion action of type "import from clicks" (UPLOAD_CLICKS) in the operating account.

    It is known by its id, or, with ``leadup[google-ads]``, found by its name, and made if ``create`` says so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, BeforeValidator(str), Field(pattern=r"^([0-9]{1,19})?$")] = ""
    name: str = Field(default="", max_length=80)
    """What it is called in Google Ads; without it and without an id, ``leadup: NAME``, as the rules say."""
    create: bool = False
    """Make it if there is none of this name: secondary, so that no bid depends on it."""
    category: Category = "SUBMIT_LEAD_FORM"
    """Of an action that is made."""
    lookback_days: int = Field(default=90, ge=1, le=90)
    """How long after a click it counts; of an action that is made."""
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    """When given, an amount in another currency is rejected, not sent."""

    @model_validator(mode="after")
    def _known_or_made(self) -> Self:
        if self.id and (self.create or self.name):
            raise ValueError("an action with an id is not looked for by name, nor made: leave out name and create")
        if not (self.id or self.create or self.name):
            raise ValueError("say which action: its id, or its name, or create = true")
        return self


def _spelled_out(action: Any) -> Any:
    return {"id": action} if isinstance(action, str | int) else action


class GoogleAdsSettings(ConnectionSettings):
    """One ``[connections.NAME]`` table with ``type = "google_ads"``."""

    operating_account: AccountId
    """The account that owns the lists and the conversion actions."""
    login_account: AccountId | None = None
    """The manager account the credentials belong to, when they do not belong to the operating account itself."""
    credentials: SecretStr | None = None
    """A service account's key (the JSON text; ``credentials_file`` names its file). Without it, Google's application
    default credentials are used."""
    base_url: str = HOST
    """Plain http is taken on loopback only, where the emulator is; no credentials are read or sent then."""
    key: Literal["contact", "user_id"] = "contact"
    """What lists are keyed by: hashed e-mail and phone (CONTACT_ID), or your own user id (USER_ID)."""
    terms_accepted: bool = False
    """That the account has accepted the Customer Match terms. A contract is yours to accept, so there is no default
    that does; without it nothing is added to a list keyed by contact data."""
    membership_days: int = Field(default=540, ge=1, le=540)
    """How long Google keeps a member of a list that leadup creates; members are sent again before it ends."""
    user_lists: Mapping[str, Annotated[str, BeforeValidator(str), Field(pattern=r"^[0-9]{1,19}$")]] = Field(
        default_factory=dict
    )
    """By segment name in the rules: the id of a list that is there already, whatever it is called. Other lists are
    found by their name, or made."""
    conversion_actions: Mapping[str, Annotated[ConversionAction, BeforeValidator(_spelled_out)]] = Field(
        default_factory=dict
    )
    """By conversion name in the rules: the action's id, or ``{id = "…", currency = "EUR"}``; with
    ``leadup[google-ads]`` also its ``name``, or ``{create = true, category = "SIGNUP", currency = "EUR"}``."""
    check_actions: bool = False
    """Look at each conversion action before the first conversion (needs ``leadup[google-ads]``). Actions that are found
    by name, or made, always are looked at."""
    adjust_by: Literal["data_manager", "google_ads"] = "data_manager"
    """How the value of a conversion is changed: reported again, or by an adjustment (needs ``leadup[google-ads]``),
    which can also take back a conversion that never was, so that it no longer counts."""
    upload_by: Literal["data_manager", "google_ads"] = "data_manager"
    """How conversions are reported: ``google_ads`` is for accounts that Google still lets upload by its older API."""
    user_data_with_conversions: bool = True
    """Send hashed e-mail and phone with conversions (enhanced conversions for leads); else only those with a click id
    can be reported."""
    encoding: Literal["hex", "base64"] = "hex"
    """How hashes are written in requests. Google takes both; they mean the same."""
    event_source: Literal["WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER"] = "WEB"
    timeout: float = Field(default=60.0, gt=0, le=600)
    """Seconds that one call may take."""
    ads_url: str = ADS_HOST
    """Where the Google Ads API is. It is spoken to by TLS only; the emulator's is on loopback."""
    ads_roots: str | None = None
    """A file of certificates to trust instead of the system's, for ``ads_url`` on loopback only."""
    batch_members: int = Field(default=10_000, ge=1, le=10_000)
    batch_events: int = Field(default=2_000, ge=1, le=2_000)

    @field_validator("base_url")
    @classmethod
    def _encrypted_or_loopback(cls, url: str) -> str:
        return private_base_url(url, example=HOST, carries="personal data")

    @field_validator("ads_url")
    @classmethod
    def _encrypted(cls, url: str) -> str:
        if not url.startswith("https:"):
            raise ValueError(f"{url!r}: the Google Ads API is spoken to by TLS only; write e.g. {ADS_HOST}")
        return private_base_url(url, example=ADS_HOST, carries="personal data")

    @model_validator(mode="after")
    def _own_roots_on_loopback_only(self) -> Self:
        if self.ads_roots is not None and not self.ads_is_local:
            raise ValueError(
                "ads_roots: other certificates than the system's are trusted for an ads_url on loopback only"
            )
        return self

    @model_validator(mode="after")
    def _one_currency_per_action(self) -> Self:
        currencies: dict[str, str | None] = {}
        for name, action in self.conversion_actions.items():
            if action.id and currencies.setdefault(action.id, action.currency) != action.currency:
                raise ValueError(f"conversion_actions.{name}: action {action.id} is listed with another currency too")
        return self

    @property
    def is_local(self) -> bool:
        """Whether an emulator is meant, not Google."""
        return self.base_url.startswith("http:")

    @property
    def ads_is_local(self) -> bool:
        """Whether an emulator of the Google Ads API is meant, not Google."""
        return is_loopback(urlsplit(self.ads_url).hostname or "")

    @property
    def needs_ads_api(self) -> bool:
        """Whether something is asked for that only the Google Ads API can do."""
        by_name = any(not action.id for action in self.conversion_actions.values())
        return by_name or self.check_actions or "google_ads" in (self.adjust_by, self.upload_by)
