"""The Data Manager API as this connector uses it. Loading this module loads Google's SDK.

Requests are built as raw protobuf messages (``Type.pb()``, ``Type.wrap()``): five to fourteen times faster than
proto-plus objects. The SDK's own retries are off, since they repeat writes as well; what may be repeated here is
repeated by tenacity, everything longer belongs to the outbox.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

import requests
from google.ads import datamanager_v1 as v1
from google.ads.datamanager_v1.services.ingestion_service.transports import IngestionServiceRestTransport
from google.ads.datamanager_v1.services.user_list_service.transports import UserListServiceRestTransport
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError, TransportError
from google.protobuf.json_format import ParseError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random_exponential

from leadup.errors import NeedsHuman, Refused, TryLater
from leadup.outgoing import Address, Change, Convert, Progress, Status
from leadup.types import Consent, Money, Purpose
from leadup_connectors.google_ads import identifiers
from leadup_connectors.google_ads.client.credentials import credentials
from leadup_connectors.google_ads.errors import CREDENTIALS, ROW, translate
from leadup_connectors.google_ads.forms import base64_of
from leadup_connectors.google_ads.reasons import status_of
from leadup_connectors.google_ads.settings import GoogleAdsSettings

API_VERSION: Final = "v1"
"""Release 1.8 (2026-07-30); package google-ads-datamanager 0.9."""
SCOPE: Final = "https://www.googleapis.com/auth/datamanager"
LONGEST_MEMBERSHIP: Final = timedelta(days=540)
"""What a list without a duration of its own has (reference page of ``UserList``)."""
PAGE: Final = 1_000
NETWORKS: Final = ("display_network", "search_network", "youtube", "gmail")
NO_STATUS: Final = frozenset({"INVALID_REQUEST_ID", "REQUEST_TOO_OLD", "NOT_FOUND"})
"""Google knows nothing of the request, or no longer does (after about 50 days)."""

_ADS = v1.ProductAccount.AccountType.GOOGLE_ADS.value
_ENCODINGS: Final = {"hex": v1.Encoding.HEX, "base64": v1.Encoding.BASE64}
_KEY_TYPES = v1.IngestedUserListInfo.UploadKeyType
_PROGRESS: Final[Mapping[str, Progress]] = {
    "SUCCESS": Progress.PROCESSED,
    "PARTIAL_SUCCESS": Progress.PARTIAL,
    "FAILED": Progress.FAILED,
}
_T = TypeVar("_T")

# At DEBUG these two log whole requests, hashed addresses included. That must not hang on how a user sets up logging.
for _name in ("google.ads.datamanager_v1", "google.auth.transport.requests"):
    logging.getLogger(_name).setLevel(logging.INFO)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserList:
    """A user list, as far as it matters here."""

    id: str
    key_types: frozenset[str]
    """Names of ``UploadKeyType``, e.g. CONTACT_ID."""
    is_open: bool
    """Takes new members."""
    read_only: bool
    membership: timedelta
    """How long a member stays without being sent again."""
    name: str = ""
    members: Mapping[str, int] = field(default_factory=dict)
    """Active members by network; empty as long as Google does not say."""
    match_rate: int | None = None
    """Percent of the members sent that Google knows."""


class Taken(NamedTuple):
    """A request that Google has accepted, which does not mean that it is done."""

    request_id: str
    warnings: Mapping[int, str] = {}
    """By the index of a row, what Google did not like about it; what is said of no row stands with the first."""


class DataManager:
    """The calls, with Google's errors as leadup's. Each takes at most ``settings.timeout`` seconds.

    All raise TryLater, NeedsHuman or Refused; a refusal for the sake of rows is a
    :class:`~leadup_connectors.google_ads.errors.RowsRefused`.
    """

    def __init__(self, settings: GoogleAdsSettings) -> None:
        self._settings = settings
        self._parent = f"accountTypes/GOOGLE_ADS/accounts/{settings.operating_account}"
        self._encoding = _ENCODINGS[settings.encoding].value
        self._written: Callable[[str], str] = base64_of if settings.encoding == "base64" else str

    # ------------------------------------------------------------ user lists

    def find_user_list(self, name: str) -> UserList | None:
        """Return the list with exactly this display name."""
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        request = v1.ListUserListsRequest(parent=self._parent, page_size=PAGE, filter=f'display_name = "{quoted}"')
        found = self._read("look up a user list", lambda: list(self._list(request)))
        return next((_user_list(item) for item in found if item.display_name == name), None)

    def user_list(self, list_id: str) -> UserList | None:
        """Return the list of this id; None: there is none, or it is not of this account."""
        request = v1.GetUserListRequest(name=f"{self._parent}/userLists/{list_id}")
        try:
            return _user_list(
                self._read("look up a user list", lambda: self._lists.get_user_list(request, **self._as_login))
            )
        except Refused as error:
            if error.code in ("NOT_FOUND", "INVALID_RESOURCE_NAME"):
                return None
            raise

    def check(self) -> None:
        """Read one user list, or none where there are none: enough to know that the account answers."""
        request = v1.ListUserListsRequest(parent=self._parent, page_size=1)
        self._read("look at the account", lambda: next(iter(self._list(request)), None))

    def create_user_list(self, name: str, key_type: str, membership: timedelta) -> UserList:
        """Create an open list.

        Raises:
            Refused: with code DISPLAY_NAME_ALREADY_USED or ALREADY_EXISTS when there is one of this name.
        """
        info: dict[str, Any] = {"upload_key_types": [_KEY_TYPES[key_type]]}
        if key_type == "CONTACT_ID":
            info["contact_id_info"] = {"data_source_type": v1.DataSourceType.DATA_SOURCE_TYPE_FIRST_PARTY}
        request = v1.CreateUserListRequest(
            parent=self._parent,
            user_list=v1.UserList(
                display_name=name,
                description="Filled and emptied by leadup",
                membership_status=v1.UserList.MembershipStatus.OPEN,
                membership_duration=membership,
                ingested_user_list_info=info,
            ),
        )
        created = self._once("create a user list", lambda: self._lists.create_user_list(request, **self._as_login))
        return _user_list(created)

    # ------------------------------------------------------------ members and events

    def ingest_members(self, list_id: str, rows: Sequence[Change]) -> Taken:
        """Add members, each with its consent. Say what Google took them as."""
        request = v1.IngestAudienceMembersRequest.pb()(encoding=self._encoding)
        self._destination(request.destinations.add(), list_id)
        if self._settings.terms_accepted:
            accepted = v1.TermsOfServiceStatus.ACCEPTED.value
            request.terms_of_service.customer_match_terms_of_service_status = accepted
        for row in rows:
            member = request.audience_members.add()
            self._member(member, row.to)
            _consent(member, row.consent)
        ingest = self._ingestion.ingest_audience_members
        return self._send("add members", ingest, v1.IngestAudienceMembersRequest, request)

    def remove_members(self, list_id: str, rows: Sequence[Change]) -> Taken:
        """Remove members; that needs no consent. Say what Google took them as."""
        request = v1.RemoveAudienceMembersRequest.pb()(encoding=self._encoding)
        self._destination(request.destinations.add(), list_id)
        for row in rows:
            self._member(request.audience_members.add(), row.to)
        remove = self._ingestion.remove_audience_members
        return self._send("remove members", remove, v1.RemoveAudienceMembersRequest, request)

    def remove_all(self, list_id: str, added_before: datetime) -> Taken:
        """Remove every member who was last added before an instant ("RemoveAllAudienceMembers")."""
        request = v1.RemoveAllAudienceMembersRequest.pb()()
        self._destination(request.destinations.add(), list_id)
        request.remove_as_of_time.FromDatetime(added_before)
        remove = self._ingestion.remove_all_audience_members
        return self._send("remove all members", remove, v1.RemoveAllAudienceMembersRequest, request)

    def ingest_events(self, action_id: str, rows: Sequence[Convert], *, try_only: bool = False) -> Taken:
        """Report conversions, or give them another value (same action, same transaction id).

        ``try_only``: ask whether Google would take them; it keeps none.
        """
        request = v1.IngestEventsRequest.pb()(encoding=self._encoding, validate_only=try_only)
        self._destination(request.destinations.add(), action_id)
        source = v1.EventSource[self._settings.event_source].value
        for row in rows:
            event = request.events.add(transaction_id=row.transaction_id, event_source=source)
            event.event_timestamp.FromDatetime(row.at)
            if click := identifiers.click_id(row.click_ids):
                setattr(event.ad_identifiers, *click)
            if row.to.ids:
                self._user_data(event.user_data, row.to)
            if row.value is not None:
                _value(event, row.value)
            _consent(event, row.consent)
        return self._send("report conversions", self._ingestion.ingest_events, v1.IngestEventsRequest, request)

    def request_status(self, request_id: str) -> Status:
        """Return what became of an accepted request.

        What Google knows nothing of, or no longer does, counts as failed and worth another try: sending again does no
        harm. Its count is 0, since nobody knows how many rows it means.
        """
        request = v1.RetrieveRequestStatusRequest(request_id=request_id)
        call = self._ingestion.retrieve_request_status
        try:
            answer = self._read("ask for a status", lambda: call(request, **self._plain))
        except Refused as error:
            if error.code not in NO_STATUS:
                raise
            return Status(handle=request_id, progress=Progress.FAILED, counts={error.code: 0}, retryable=True)
        return _status(request_id, v1.RetrieveRequestStatusResponse.pb(answer).request_status_per_destination)

    # ------------------------------------------------------------ mechanics

    @cached_property
    def _transport(self) -> Mapping[str, Any]:
        parts = urlsplit(self._settings.base_url)
        return {
            "host": parts.netloc,
            "url_scheme": parts.scheme,
            "credentials": credentials(self._settings, SCOPE, local=self._settings.is_local),
        }

    @cached_property
    def _ingestion(self) -> Any:
        return v1.IngestionServiceClient(transport=IngestionServiceRestTransport(**self._transport))

    @cached_property
    def _lists(self) -> Any:
        return v1.UserListServiceClient(transport=UserListServiceRestTransport(**self._transport))

    @property
    def _plain(self) -> Mapping[str, Any]:
        return {"retry": None, "timeout": self._settings.timeout}

    @property
    def _as_login(self) -> Mapping[str, Any]:
        """The user list service takes the login account as a header; ingestion takes it in each destination."""
        login = self._settings.login_account
        header = [("login-account", f"accountTypes/GOOGLE_ADS/accounts/{login}")] if login else []
        return {**self._plain, "metadata": header}

    def _list(self, request: Any) -> Any:
        return self._lists.list_user_lists(request, **self._as_login)

    def _destination(self, destination: Any, product_destination_id: str) -> None:
        destination.product_destination_id = product_destination_id
        destination.operating_account.account_type = _ADS
        destination.operating_account.account_id = self._settings.operating_account
        if self._settings.login_account:
            destination.login_account.account_type = _ADS
            destination.login_account.account_id = self._settings.login_account

    def _member(self, member: Any, to: Address) -> None:
        if to.ids[0].kind == identifiers.USER_ID:
            member.user_id_data.user_id = to.ids[0].value
        else:
            self._user_data(member.user_data, to)

    def _user_data(self, user_data: Any, to: Address) -> None:
        for remote_id in to.ids:
            identifier = user_data.user_identifiers.add()
            if remote_id.kind == identifiers.EMAIL:
                identifier.email_address = self._written(remote_id.value)
            else:
                identifier.phone_number = self._written(remote_id.value)

    def _send(self, doing: str, call: Callable[..., Any], kind: Any, request: Any) -> Taken:
        answer = self._once(doing, lambda: call(kind.wrap(request), **self._plain))
        warnings: dict[int, str] = {}
        for warning in getattr(type(answer).pb(answer), "field_warnings", ()):
            found = ROW.search(warning.field)
            warnings.setdefault(int(found[1]) if found else 0, _reason(v1.WarningReason, warning.reason))
        return Taken(str(answer.request_id), warnings)

    def _read(self, doing: str, call: Callable[[], _T]) -> _T:
        """Make an idempotent call: up to three tries, none begun after 30 seconds."""
        tries = Retrying(
            stop=stop_after_attempt(3) | stop_after_delay(30),
            wait=wait_random_exponential(multiplier=0.2, max=5),
            retry=retry_if_exception(_passes_soon),
            reraise=True,
        )
        answer: _T = tries(self._once, doing, call)
        return answer

    def _once(self, doing: str, call: Callable[[], _T]) -> _T:
        # "from None": the SDK's exceptions hold the whole request, which no traceback should print.
        try:
            return call()
        except GoogleAPICallError as error:
            raise translate(error, doing) from None
        except TransportError as error:
            raise TryLater(f"{doing}: no token could be fetched ({type(error).__name__})") from None
        except GoogleAuthError as error:
            if error.retryable:
                raise TryLater(f"{doing}: no token could be fetched ({type(error).__name__})") from None
            raise NeedsHuman(
                f"{doing}: Google does not take the credentials ({type(error).__name__})",
                todo=CREDENTIALS,
            ) from None
        except (requests.RequestException, ParseError) as error:
            raise TryLater(
                f"{doing}: no answer from {self._settings.base_url} ({type(error).__name__})\n"
                "  What to do: nothing if it passes, since it is tried again; else check the network, any proxy and "
                "base_url."
            ) from None


def _consent(row: Any, consent: Consent) -> None:
    for purpose in (Purpose.AD_USER_DATA, Purpose.AD_PERSONALIZATION):
        if purpose in consent:
            status = v1.ConsentStatus.CONSENT_GRANTED if consent[purpose] else v1.ConsentStatus.CONSENT_DENIED
            setattr(row.consent, purpose.value, status.value)


def _value(event: Any, value: Money) -> None:
    event.conversion_value = value.major
    event.currency = value.currency


def _user_list(found: Any) -> UserList:
    info = found.ingested_user_list_info
    return UserList(
        id=str(found.id),
        key_types=frozenset(_KEY_TYPES(kind).name for kind in info.upload_key_types),
        is_open=found.membership_status != v1.UserList.MembershipStatus.CLOSED,
        read_only=found.read_only,
        membership=found.membership_duration or LONGEST_MEMBERSHIP,
        name=found.display_name,
        members={name: count for name in NETWORKS if (count := getattr(found.size_info, f"{name}_members_count"))},
        match_rate=info.contact_id_info.match_rate_percentage or None,
    )


def _status(request_id: str, destinations: Sequence[Any]) -> Status:
    if not destinations:
        return Status(handle=request_id, progress=Progress.PROCESSING)
    answer = destinations[0]  # each request of ours has one destination
    state = v1.RequestStatusPerDestination.RequestStatus(answer.request_status).name
    counts = {_reason(v1.ProcessingErrorReason, c.reason): c.record_count for c in answer.error_info.error_counts}
    warnings = {
        _reason(v1.ProcessingWarningReason, c.reason): c.record_count for c in answer.warning_info.warning_counts
    }
    return status_of(request_id, _PROGRESS.get(state, Progress.PROCESSING), counts, warnings)


def _reason(kind: Any, number: int) -> str:
    try:
        name = str(kind(number).name)
    except ValueError:  # the list of reasons grows
        return f"REASON_{number}"
    for prefix in ("PROCESSING_ERROR_", "PROCESSING_WARNING_", "WARNING_", "REASON_"):
        name = name.removeprefix(prefix)
    return name


def _passes_soon(error: BaseException) -> bool:
    """Worth another try within the call: it may pass, and Google did not ask to wait."""
    return isinstance(error, TryLater) and error.retry_after is None
