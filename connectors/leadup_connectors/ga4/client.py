"""BigQuery's REST API as this connector needs it: four reads. With the emulator the only place that knows google-auth.

Needs the permissions of the role ``roles/bigquery.dataViewer`` on the dataset; no query is run, so nothing is billed.
Errors are those of the page "Error messages" of the BigQuery documentation.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

import google.auth
import requests
import tenacity
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.service_account import Credentials as ServiceAccount

from leadup.errors import LeadupError, NeedsHuman, TryLater
from leadup.kit import did_you_mean
from leadup_connectors.ga4.rows import Field, gc_paused
from leadup_connectors.ga4.settings import GA4Settings

API: Final = "/bigquery/v2"
SCOPE: Final = "https://www.googleapis.com/auth/bigquery.readonly"
ROLE: Final = "roles/bigquery.dataViewer"
LISTED: Final = 1_000
"""Tables a page of ``tables.list``."""
PATIENCE: Final = 30.0
"""Seconds that the tries of one call may take; what needs longer belongs to the next pull."""
PASSING: Final = frozenset({"rateLimitExceeded", "quotaExceeded", "backendError", "internalError", "tableUnavailable"})
"""Reasons that pass, whatever the status."""

_log = logging.getLogger(__name__)
# At DEBUG it logs answers of the token endpoint. That must not hang on how a user sets up logging.
logging.getLogger("google.auth.transport.requests").setLevel(logging.INFO)


class Gone(Exception):
    """What was asked for is not there (404), or a page token means nothing any more (400)."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table at one moment."""

    name: str
    reading: str
    """Tells one content from the next."""
    rows: int
    schema: Sequence[Field]


@dataclass(frozen=True, slots=True)
class Rows:
    """A page of a table's rows, as they came."""

    rows: Sequence[Any]
    token: str
    """Of the next page; empty: there is none."""
    is_odd: bool
    """Texts may hold characters that can not be stored."""


class BigQuery:
    """The calls on one dataset. Each raises TryLater or NeedsHuman; those that name a table may raise :class:`Gone`.

    Every call is a read, so each is repeated: ``settings.tries`` times within :data:`PATIENCE`, and as Google asks by
    ``Retry-After``.
    """

    def __init__(self, connection: str, settings: GA4Settings) -> None:
        self._connection, self._settings = connection, settings
        self._datasets = f"{API}/projects/{quote(settings.project, safe=':')}/datasets"
        self._dataset = f"{self._datasets}/{settings.dataset}"

    def tables(self) -> list[str]:
        """Return the names of the dataset's tables.

        Raises:
            NeedsHuman: there is no such dataset; the nearest name is given.
        """
        try:
            return list(self._listed(f"{self._dataset}/tables", "tables", "tableReference", "tableId"))
        except Gone as gone:
            raise NeedsHuman(
                f"BigQuery has no dataset {self._settings.project}.{self._settings.dataset}{self._near()} ({gone})",
                todo=f"correct project and dataset of connection {self._connection!r}. A new link of a property to "
                "BigQuery makes its dataset, analytics_<property id>, within a day.",
            ) from None

    def table(self, name: str) -> Table:
        """Return what there is to know of a table before its rows."""
        got = self._get(f"look at table {name}", f"{self._dataset}/tables/{name}", {})
        rows = int(got.get("numRows") or 0)
        reading = got.get("etag") or f"{got.get('lastModifiedTime')}/{rows}"
        return Table(name, str(reading), rows, (got.get("schema") or {}).get("fields") or [])

    def rows(self, table: str, fields: str, limit: int, *, token: str = "", start: int = 0) -> Rows:
        """Return a page of rows: that of a token, or the one that begins at row ``start`` (from 0)."""
        asked: dict[str, Any] = {"selectedFields": fields, "maxResults": limit}
        asked |= {"pageToken": token} if token else {"startIndex": start} if start else {}
        raw = self._raw(f"read table {table}", f"{self._dataset}/tables/{table}/data", asked)
        with gc_paused():
            got = _parse(raw, f"read table {table}")
        return Rows(got.get("rows") or [], got.get("pageToken") or "", b"\\u0000" in raw or b"\\ud" in raw.lower())

    # ------------------------------------------------------------ mechanics

    def _near(self) -> str:
        """The dataset that was probably meant; to list them needs more rights, which may be missing."""
        with suppress(LeadupError, Gone):
            names = list(self._listed(self._datasets, "datasets", "datasetReference", "datasetId"))
            return did_you_mean(self._settings.dataset, names) or (
                f"; there are {', '.join(names[:10])}" if names else ""
            )
        return ""

    def _listed(self, path: str, what: str, reference: str, key: str) -> Iterator[str]:
        asked: dict[str, Any] = {"maxResults": LISTED}
        while True:
            got = self._get(f"list {what}", path, asked)
            for one in got.get(what) or ():
                yield str(one[reference][key])
            if not got.get("nextPageToken"):
                return
            asked["pageToken"] = got["nextPageToken"]

    def _get(self, doing: str, path: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return _parse(self._raw(doing, path, asked), doing)

    def _raw(self, doing: str, path: str, asked: Mapping[str, Any]) -> bytes:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TryLater),
            stop=tenacity.stop_after_attempt(self._settings.tries) | tenacity.stop_before_delay(PATIENCE),
            wait=self._pause,
            before_sleep=tenacity.before_sleep_log(_log, logging.INFO),
            reraise=True,
        )
        answer: bytes = retrying(self._once, doing, path, asked)
        return answer

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TryLater) and error.retry_after is not None:
            return error.retry_after.total_seconds()
        return float(self._settings.pause * 2 ** (state.attempt_number - 1))

    def _once(self, doing: str, path: str, asked: Mapping[str, Any]) -> bytes:
        # "from None": google-auth's exceptions hold what the token endpoint said, which no traceback should print.
        timeouts = (self._settings.connect_timeout, self._settings.read_timeout)
        try:
            answer = self._session.get(f"{self._settings.base_url}{path}", params=asked, timeout=timeouts)
        except (requests.RequestException, TransportError) as error:
            raise TryLater(
                f"BigQuery ({self._settings.base_url}) did not answer when asked to {doing}: {type(error).__name__}.\n"
                "  What to do: nothing if it passes, since it is tried again; else check the network, any proxy and "
                f"base_url of connection {self._connection!r}."
            ) from None
        except GoogleAuthError as error:
            if error.retryable:
                raise TryLater(f"BigQuery, asked to {doing}: Google gave no token ({type(error).__name__})") from None
            raise self._not_taken(doing, type(error).__name__) from None
        if answer.status_code == 200:
            return bytes(answer.content)
        raise self._family(doing, answer, asked)

    def _family(self, doing: str, answer: requests.Response, asked: Mapping[str, Any]) -> Exception:
        status = answer.status_code
        reason, message = _problem(answer.content)
        said = f"BigQuery, asked to {doing}: {status} {reason or answer.reason}: {message}"
        if status in (408, 429) or status >= 500 or reason in PASSING:
            return TryLater(said, retry_after=_retry_after(answer.headers))
        if status == 404:
            return Gone(message)
        if status == 400 and "pageToken" in asked:  # of a table, or of a list, which is fetched anew
            return Gone(message) if "selectedFields" in asked else TryLater(said)
        if status == 401:
            return self._not_taken(doing, reason)
        if status == 403:
            return NeedsHuman(
                said,
                todo=f"give the account of connection {self._connection!r} the role {ROLE} on dataset "
                f"{self._settings.dataset} (BigQuery, Sharing > Permissions), and enable the BigQuery API in project "
                f"{self._settings.project}; a token needs the scope {SCOPE}.",
            )
        return NeedsHuman(said, todo=f"check the settings of connection {self._connection!r}.")

    def _not_taken(self, doing: str, reason: str) -> NeedsHuman:
        return NeedsHuman(
            f"BigQuery, asked to {doing}: Google does not take the credentials ({reason})",
            todo=f"let connections.{self._connection}.credentials_file name a valid key of a service account, or run "
            f"gcloud auth application-default login --scopes={SCOPE},https://www.googleapis.com/auth/cloud-platform",
        )

    @cached_property
    def _session(self) -> Any:
        """Sends a token with each call, and fetches a new one once when Google does not take it (401)."""
        return AuthorizedSession(_credentials(self._connection, self._settings), max_refresh_attempts=1)


def _credentials(connection: str, settings: GA4Settings) -> Any:
    """Return a service account's credentials, the application default ones, or an emulator's.

    Raises:
        NeedsHuman: there are none, or they are not a service account's key.
    """
    token_uri = f"{settings.base_url}/token"
    try:
        if settings.credentials is not None:
            key = json.loads(settings.credentials.get_secret_value())
            account = ServiceAccount.from_service_account_info(key, scopes=[SCOPE])
            return account.with_token_uri(token_uri) if settings.is_local else account
        if settings.is_local:
            return _Emulated(token_uri)
        return google.auth.default(scopes=[SCOPE])[0]
    except (TypeError, AttributeError, ValueError, GoogleAuthError) as error:
        which = "application default credentials" if settings.credentials is None else "the service account's key"
        raise NeedsHuman(
            f"No credentials for Google: {which} could not be used ({type(error).__name__})",
            todo=f"let connections.{connection}.credentials_file name a service account's JSON key, or run "
            f"gcloud auth application-default login --scopes={SCOPE},https://www.googleapis.com/auth/cloud-platform",
        ) from None


class _Emulated(Credentials):  # type: ignore[misc]  # google-auth has no types here
    """Takes the tokens of an emulator, which asks for no secret."""

    def __init__(self, token_uri: str) -> None:
        super().__init__()
        self._token_uri = token_uri

    def refresh(self, request: Any) -> None:
        answer = request(url=self._token_uri, method="POST")
        if answer.status != 200:
            raise RefreshError(f"{answer.status}", retryable=answer.status == 429 or answer.status >= 500)
        self.token = json.loads(answer.data)["access_token"]


def _parse(raw: bytes, doing: str) -> Mapping[str, Any]:
    try:
        got = json.loads(raw)
    except ValueError:
        got = None
    if not isinstance(got, dict):
        raise TryLater(f"BigQuery, asked to {doing}, gave an answer that is no JSON object.")
    return got


def _problem(raw: bytes) -> tuple[str, str]:
    """Reason and message of an error's body: ``{"error": {"errors": [{"reason": ...}], "message": ...}}``."""
    with suppress(ValueError, KeyError, TypeError, IndexError, AttributeError):
        error = json.loads(raw)["error"]
        first = (error.get("errors") or [{}])[0]
        return str(first.get("reason") or error.get("status") or ""), str(error.get("message") or "")[:500]
    return "", "(no explanation)"


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """The header's seconds; its other form, a date, is not used here by Google."""
    text = headers.get("Retry-After", "")
    return timedelta(seconds=int(text)) if text.isdecimal() and text.isascii() else None
