"""How leadup signs in at Google."""

from __future__ import annotations

import json
from typing import Any

import google.auth
from google.auth.exceptions import GoogleAuthError
from google.oauth2.credentials import Credentials
from google.oauth2.service_account import Credentials as ServiceAccount

from leadup.errors import NeedsHuman
from leadup_connectors.google_ads.settings import GoogleAdsSettings


def credentials(settings: GoogleAdsSettings, scope: str, *, local: bool) -> Any:
    """Return a service account's credentials, the application default ones, or for an emulator a token of no worth.

    Raises:
        NeedsHuman: there are none, or they are not a service account's key.
    """
    if local:
        return Credentials(token="emulator")  # noqa: S106 - sent to loopback only
    try:
        if settings.credentials is not None:
            key = json.loads(settings.credentials.get_secret_value())
            return ServiceAccount.from_service_account_info(key, scopes=[scope])
        return google.auth.default(scopes=[scope])[0]
    except (TypeError, AttributeError, ValueError, GoogleAuthError) as error:
        which = "the service account's key" if settings.credentials else "application default credentials"
        raise NeedsHuman(
            f"No credentials for Google: {which} could not be used ({type(error).__name__})",
            todo="let credentials_file name a service account's JSON key, or run "
            f"gcloud auth application-default login --scopes={scope},https://www.googleapis.com/auth/cloud-platform",
        ) from None
