"""Settings of a collector connection: the secret of its senders, and what they send."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from leadup.kit import ConnectionSettings

SHORTEST = 16
"""Characters: who can guess the secret can invent events."""


class CollectorSettings(ConnectionSettings):
    """A collector."""

    secret: SecretStr
    """What senders show in a header; at least 16 characters."""
    secret_before: SecretStr | None = None
    """A second one that counts too, while senders change from one to the other."""
    header: str = Field("X-Webhook-Secret", pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
    """Header of the secret. `Authorization: Bearer SECRET` is taken always."""
    format: Literal["leadup", "gtm_server"] = "leadup"
    """What is sent: leadup's own records, or the event data of a GTM server container."""
    consent_from_ads_storage: Literal["denies", "grants"] = "denies"
    """What `x-ga-gcs` of a GTM server container says of consent to ad_user_data and ad_personalization. Storage denied
    denies both. Storage granted says nothing of them; with `"grants"` it grants both."""

    @field_validator("secret", "secret_before")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < SHORTEST:
            raise ValueError(
                f"the secret has fewer than {SHORTEST} characters; make one: "
                "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        return secret
