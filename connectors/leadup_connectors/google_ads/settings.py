"""Settings of a Google Ads connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator, model_validator

from leadup.kit import ConnectionSettings, private_base_url

HOST = "https://datamanager.googleapis.com"

AccountId = Annotated[
    str, BeforeValidator(lambda value: str(value).replace("-", "").strip()), Field(pattern=r"^[0-9]{10}$")
]
"""A Google Ads account: ten digits; ``123-456-7890``, as the Google Ads pages show it, is taken too."""


class ConversionAction(BaseModel):
    """A conversion action of type "import from clicks" (UPLOAD_CLICKS) in the operating account."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, BeforeValidator(str), Field(pattern=r"^[0-9]{1,19}$")]
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    """When given, an amount in another currency is rejected, not sent."""


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
    conversion_actions: Mapping[str, Annotated[ConversionAction, BeforeValidator(_spelled_out)]] = Field(
        default_factory=dict
    )
    """By conversion name in the rules: the action's id, or ``{id = "…", currency = "EUR"}``."""
    user_data_with_conversions: bool = True
    """Send hashed e-mail and phone with conversions (enhanced conversions for leads); else only those with a click id
    can be reported."""
    encoding: Literal["hex", "base64"] = "hex"
    """How hashes are written in requests. Google takes both; they mean the same."""
    event_source: Literal["WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER"] = "WEB"
    timeout: float = Field(default=60.0, gt=0, le=600)
    """Seconds that one call may take."""
    batch_members: int = Field(default=10_000, ge=1, le=10_000)
    batch_events: int = Field(default=2_000, ge=1, le=2_000)

    @field_validator("base_url")
    @classmethod
    def _encrypted_or_loopback(cls, url: str) -> str:
        return private_base_url(url, example=HOST, carries="personal data")

    @model_validator(mode="after")
    def _one_currency_per_action(self) -> Self:
        currencies: dict[str, str | None] = {}
        for name, action in self.conversion_actions.items():
            if currencies.setdefault(action.id, action.currency) != action.currency:
                raise ValueError(f"conversion_actions.{name}: action {action.id} is listed with another currency too")
        return self

    @property
    def is_local(self) -> bool:
        """Whether an emulator is meant, not Google."""
        return self.base_url.startswith("http:")
