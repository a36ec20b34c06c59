"""HubSpot's API as this connector needs it: a dozen calls, one way to send them.

With the emulator the only place that knows ``hubspot-api-client``. That library speaks version 3 of the API, which
HubSpot supports until September 2027 (source: changelog, "Legacy APIs and legacy apps"). The dated versions that
follow take the same bodies, so this file alone changes then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

import tenacity
from hubspot import HubSpot
from hubspot.crm.contacts.exceptions import ApiException as ContactsError
from hubspot.crm.lists import MembershipsApi
from hubspot.crm.lists.exceptions import ApiException as ListsError
from hubspot.crm.properties import GroupsApi
from hubspot.crm.properties.exceptions import ApiException as PropertiesError
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from leadup.errors import LeadupError, TryLater
from leadup_connectors.hubspot.answers import (
    Batch,
    HubSpotRefused,
    ListInfo,
    Memberships,
    PropertyInfo,
    family,
    parse,
    unreadable,
)
from leadup_connectors.hubspot.limits import Burst
from leadup_connectors.hubspot.settings import HubSpotSettings

API: Final = "v3"
CONTACTS: Final = "0-1"
"""HubSpot's object type of contacts."""
BATCH: Final = 100
"""Most contacts of a batch (source: CRM API, contacts)."""
PATIENCE: Final = 30.0
"""Seconds that the tries of one call may take; what needs longer belongs to the outbox."""

_API_ERRORS = (ListsError, ContactsError, PropertiesError)  # one class per module, and no common base
_log = logging.getLogger(__name__)
_Read = TypeVar("_Read")


class HubSpotClient:
    """The calls. Each raises TryLater, NeedsHuman or HubSpotRefused, whose texts tell neither secrets nor addresses.

    A call that may be repeated is: ``settings.tries`` times within :data:`PATIENCE`, and as HubSpot asks by
    ``Retry-After``. Safe to use from several threads.
    """

    def __init__(self, connection: str, settings: HubSpotSettings) -> None:
        self._connection, self._settings = connection, settings
        self._burst = Burst()
        self._utc_offset = timedelta(0)
        sdk = HubSpot(
            access_token=settings.access_token.get_secret_value(),
            host=settings.base_url,
            base_url=settings.base_url,
            # The library's own way repeats PUT but not POST, and gives up with an error of another family.
            retry=Retry(0, redirect=0),
        )
        # Each look at an attribute builds new connections, so each is looked at once.
        self._lists = sdk.crm.lists.lists_api
        self._members = MembershipsApi(self._lists.api_client)
        self._contacts = sdk.crm.contacts.batch_api
        self._properties = sdk.crm.properties.core_api
        self._groups = GroupsApi(self._properties.api_client)

    # ------------------------------------------------------------ account, lists

    def account(self) -> int:
        """Return the id of the account ("portal") that the token belongs to."""
        what = "tell the account's details"
        details = self._call(
            what,
            self._lists.api_client.call_api,
            f"/account-info/{API}/details",
            "GET",
            header_params={"Accept": "application/json"},
            response_types_map={200: "object"},
            auth_settings=["oauth2"],
        )
        if not isinstance(details, dict) or not isinstance(details.get("portalId"), int):
            raise unreadable(what)
        self._utc_offset = timedelta(milliseconds=details.get("utcOffsetMilliseconds") or 0)
        return int(details["portalId"])

    def find_list(self, name: str) -> ListInfo | None:
        """Return the list of contacts with this name."""
        return self._find(ListInfo.read, "find a list", self._lists.get_by_name_with_http_info, name, CONTACTS)

    def get_list(self, list_id: str) -> ListInfo | None:
        """Return the list with this id."""
        return self._find(ListInfo.read, "look at a list", self._lists.get_by_id_with_http_info, list_id)

    def create_list(self, name: str) -> ListInfo:
        """Create a MANUAL list of contacts."""
        body = {"name": name, "objectTypeId": CONTACTS, "processingType": "MANUAL"}
        return ListInfo.read(self._call("create a list", self._lists.create_with_http_info, body, repeat=False))

    def join(self, list_id: str, contacts: Sequence[str]) -> Memberships:
        """Put contacts into a list."""
        tries = 0

        def send(*args: Any, **how: Any) -> Any:
            nonlocal tries
            tries += 1
            return self._members.add_with_http_info(*args, **how)

        answer = self._call("put contacts into a list", send, list_id, list(contacts))
        return Memberships.read(answer, repeated=tries > 1)

    def leave(self, list_id: str, contacts: Sequence[str]) -> Memberships:
        """Take contacts out of a list."""
        send = self._members.remove_with_http_info
        return Memberships.read(self._call("take contacts out of a list", send, list_id, list(contacts)))

    # ------------------------------------------------------------ contacts, properties

    def read_contacts(self, by: str, keys: Sequence[str], properties: Sequence[str]) -> Batch:
        """Look contacts up by a unique property. ``failed`` is by key."""
        body = {
            "idProperty": by,
            "properties": list(properties),
            "propertiesWithHistory": [],
            "inputs": [{"id": key} for key in keys],
        }
        return Batch.read(self._call("look contacts up", self._contacts.read_with_http_info, body))

    def update_contacts(self, rows: Mapping[str, Mapping[str, str]]) -> Batch:
        """Write properties by contact id. ``failed`` is by contact id."""
        body = {"inputs": [{"id": contact, "properties": dict(values)} for contact, values in rows.items()]}
        return Batch.read(self._call("update contacts", self._contacts.update_with_http_info, body))

    def find_property(self, name: str) -> PropertyInfo | None:
        """Return the contact property with this name."""
        send = self._properties.get_by_name_with_http_info
        return self._find(PropertyInfo.read, "find a property", send, "contacts", name)

    def ensure_group(self, name: str, label: str) -> None:
        """Create a group of contact properties unless it is there."""
        body = {"name": name, "label": label}
        try:
            self._call("create a property group", self._groups.create_with_http_info, "contacts", body, repeat=False)
        except HubSpotRefused as refused:
            if refused.status != 409:
                raise

    def create_property(self, name: str, *, label: str, group: str, number: bool) -> PropertyInfo:
        """Create a contact property for numbers or for text."""
        kind, field_type = ("number", "number") if number else ("string", "text")
        body = {"name": name, "label": label, "groupName": group, "type": kind, "fieldType": field_type}
        send = self._properties.create_with_http_info
        return PropertyInfo.read(self._call("create a property", send, "contacts", body, repeat=False))

    # ------------------------------------------------------------ sending

    def _find(self, read: Callable[[Any], _Read], what: str, send: Callable[..., Any], *args: Any) -> _Read | None:
        """Return what a look-up finds; None when HubSpot answers 404."""
        try:
            return read(self._call(what, send, *args))
        except HubSpotRefused as refused:
            if refused.status == 404:
                return None
            raise

    def _call(self, what: str, send: Callable[..., Any], *args: Any, repeat: bool = True, **how: Any) -> Any:
        """Send until answered, and return the answer's data."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TryLater),
            stop=tenacity.stop_after_attempt(self._settings.tries if repeat else 1)
            | tenacity.stop_before_delay(PATIENCE),
            wait=self._pause,
            before_sleep=tenacity.before_sleep_log(_log, logging.INFO),
            reraise=True,
        )
        return retrying(self._send, what, send, *args, **how)

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TryLater) and error.retry_after is not None:
            return error.retry_after.total_seconds()
        return float(self._settings.pause * 2 ** (state.attempt_number - 1))

    def _send(self, what: str, send: Callable[..., Any], *args: Any, **how: Any) -> Any:
        """Send once."""
        timeouts = (self._settings.connect_timeout, self._settings.read_timeout)
        error: LeadupError
        with self._burst.call():
            try:
                data, _status, headers = send(*args, _request_timeout=timeouts, **how)
            except _API_ERRORS as answer:
                headers = answer.headers or {}
                self._burst.learn(headers)
                error = family(
                    what,
                    answer.status,
                    headers,
                    parse(answer.body),
                    connection=self._connection,
                    burst=self._burst.interval,
                    utc_offset=self._utc_offset,
                )
            except HTTPError as cut:
                reason = type(getattr(cut, "reason", None) or cut).__name__
                error = TryLater(
                    f"HubSpot ({self._settings.base_url}) did not answer when asked to {what}: {reason}.\n"
                    f"  What to do: nothing if it passes, since it is tried again; else check the network, any proxy "
                    f"and base_url of connection {self._connection!r}."
                )
            except (AttributeError, TypeError, ValueError):  # how the library fails at an answer it can not read
                error = unreadable(what)
            else:
                self._burst.learn(headers)
                return data
        raise error  # outside of the handler, since the library's error would show the whole answer in a traceback
