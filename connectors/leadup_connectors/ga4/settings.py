"""Settings of a GA4 connection: a dataset of BigQuery, or files exported from one."""

from __future__ import annotations

import zoneinfo
from datetime import date
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from leadup.kit import ConnectionSettings, did_you_mean, private_base_url

HOST = "https://bigquery.googleapis.com"


class GA4Settings(ConnectionSettings):
    """One table with ``type = "ga4"``: either ``project``, ``dataset`` and ``property_zone``, or ``path``."""

    project: str = Field("", pattern=r"^([a-z0-9.:-]+)?$")
    """The Google Cloud project that holds the export."""
    dataset: str = Field("", pattern=r"^[A-Za-z0-9_]*$")
    """The export's dataset, ``analytics_<property id>``."""
    property_zone: str = ""
    """The property's reporting time zone (IANA, e.g. ``Europe/Berlin``): the dates of its tables are of this zone."""
    path: str = ""
    """Instead of a dataset: exported files, one row a line as JSON, plain or gzipped; a file, a folder or a glob."""
    credentials: SecretStr | None = None
    """A service account's key (the JSON text; ``credentials_file`` names its file). Without it, Google's application
    default credentials are used."""
    start: date | None = None
    """The first day to read. Without it, the last 90 days of what is there."""
    reread_days: int = Field(default=4, ge=1, le=60)
    """Days, before today, whose tables are looked at again: Google rewrites a day for up to 72 hours after it."""
    page_size: int = Field(default=2_000, ge=1, le=10_000)
    """Rows a page."""
    include: tuple[str, ...] = ()
    """Read only events of these GA4 names; all when left out."""
    exclude: tuple[str, ...] = ()
    """Leave events of these GA4 names out."""
    consent_from_ads_storage: Literal["denies", "grants"] = "denies"
    """What ``privacy_info.ads_storage`` says of consent to ad_user_data and ad_personalization. A "No" denies both. A
    "Yes" says nothing of them, since it is consent to storage; with ``"grants"`` it grants both."""
    email_sha256_property: str = ""
    """The user property or parameter that holds the SHA-256 (hex) of the trimmed, lower-case e-mail address."""
    base_url: str = HOST
    """Plain http is taken on loopback only, where the emulator is; Google's credentials are not looked for then."""
    connect_timeout: float = Field(default=5, gt=0, le=600)
    """Seconds to wait for a connection."""
    read_timeout: float = Field(default=60, gt=0, le=600)
    """Seconds to wait for an answer."""
    tries: int = Field(default=4, ge=1, le=10)
    """How often a call is tried within 30 seconds before the next pull takes over."""
    pause: float = Field(default=0.5, ge=0)
    """Seconds before the second try, doubled before each further one. Google's own wish, where it has one, counts."""

    @field_validator("property_zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            if name:
                zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            hint = did_you_mean(name, zoneinfo.available_timezones())
            raise ValueError(f"{name!r} is no time zone{hint}; it is named as in Europe/Berlin or UTC") from None
        return name

    @field_validator("base_url")
    @classmethod
    def _encrypted_or_loopback(cls, url: str) -> str:
        return private_base_url(url, example=HOST, carries="a token")

    @model_validator(mode="after")
    def _a_dataset_or_files(self) -> Self:
        place = {"project": self.project, "dataset": self.dataset, "property_zone": self.property_zone}
        if self.path and (given := [name for name, value in place.items() if value]):
            raise ValueError(f"path reads files, and {', '.join(given)} a dataset; give the one or the other")
        if not self.path and (missing := [name for name, value in place.items() if not value]):
            raise ValueError(f"{', '.join(missing)} missing; a dataset needs project, dataset and property_zone")
        return self

    @property
    def is_local(self) -> bool:
        """Whether an emulator is meant, not Google."""
        return self.base_url.startswith("http:")
