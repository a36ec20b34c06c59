"""What HubSpot's answers mean: the parts this connector reads, and the family of each error.

Errors go by status, category and sub-category, never by text: the texts are not documented and may hold addresses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from leadup.errors import BudgetSpent, LeadupError, NeedsHuman, TryLater
from leadup.outgoing import NEW_DAY
from leadup.types import day_of
from leadup_connectors.hubspot.limits import SECOND, integer
from leadup_connectors.hubspot.named import blamed, code, scopes

LOCKED: Final = timedelta(seconds=2)
"""Least wait after a 423 (source: Error handling)."""
HOUR: Final = timedelta(hours=1)
CONTACTS: Final = "0-1"
"""HubSpot's object type of contacts."""
OBJECTS: Final = {"0-2": "companies", "0-3": "deals", "0-5": "tickets"}
"""What else a list may be of (source: Lists API, "Object type IDs")."""
_ASTRAY: Final = (
    "see whether base_url of connection {connection!r}, and any proxy, lead to HubSpot's API; if they do, report this "
    "to whoever maintains leadup. It is tried again every hour"
)
_NAMED: Final = (
    "see whether what the rules and the settings name at connection {connection!r} is as HubSpot takes it (names, "
    "ids); if it is, report this to whoever maintains leadup. It is tried again every hour"
)
_AT_FAULT: Final = dict.fromkeys((400, 409, 413, 414, 422), _NAMED)
"""By status, what to do about a call that is wrong."""


class HubSpotRefused(NeedsHuman):
    """HubSpot answered 4xx: the request is wrong. ``ids`` are the rows it blames, where it names them.

    ``about`` are the properties whose values it is about, where it names them.

    It is about a call. What it says of a single row, and whether for good, :mod:`leadup_connectors.hubspot.batches`
    finds out.
    """

    def __init__(
        self, message: str, *, todo: str, status: int, code: str, ids: frozenset[str], about: frozenset[str]
    ) -> None:
        super().__init__(message, todo=todo)
        self.said = message
        """Without what to do."""
        self.status = status
        self.code = code
        self.ids = ids
        self.about = about


class Denied(NeedsHuman):
    """HubSpot answered 401 or 403: the token is not valid, or lacks ``scopes``, where HubSpot names them."""

    def __init__(self, message: str, *, todo: str, status: int, scopes: frozenset[str] = frozenset()) -> None:
        super().__init__(message, todo=todo)
        self.status = status
        self.scopes = scopes


@dataclass(frozen=True, slots=True)
class Account:
    """An account ("portal")."""

    portal: int
    kind: str
    """STANDARD, SANDBOX, DEVELOPER_TEST or APP_DEVELOPER."""
    zone: str
    """Its time zone, whose midnight begins the day that calls are counted by."""
    currency: str
    utc_offset: timedelta

    @property
    def clock(self) -> tzinfo:
        """Its time zone: by name, else by its present distance from UTC."""
        try:
            return ZoneInfo(self.zone)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            return timezone(self.utc_offset)

    @classmethod
    def read(cls, answer: Any) -> Account:
        """Read an account's details."""
        with reading("tell the account's details"):
            return cls(
                portal=int(answer["portalId"]),
                kind=str(answer.get("accountType") or ""),
                zone=str(answer.get("timeZone") or "UTC"),
                currency=str(answer.get("companyCurrency") or ""),
                utc_offset=timedelta(milliseconds=answer.get("utcOffsetMilliseconds") or 0),
            )


@dataclass(frozen=True, slots=True)
class ListInfo:
    """A list. ``processing``: MANUAL and SNAPSHOT lists take members, a DYNAMIC one picks its own."""

    id: str
    name: str
    processing: str
    objects: str = CONTACTS
    """The object type of its members."""
    size: int | None = None
    """Members, as HubSpot counts them: late."""
    is_processing: bool = False
    """HubSpot is still working on it."""
    references: int | None = None
    """Places that use it: workflows, e-mails, ads. Only a search tells."""
    folder: str = ""
    """The folder's name. Only a search tells."""

    @classmethod
    def read(cls, answer: Any) -> ListInfo:
        """Read a ``{"list": …}`` answer."""
        with reading("look at a list"):
            return cls._read(answer["list"])

    @classmethod
    def hits(cls, answer: Any) -> list[ListInfo]:
        """Read what a search found."""
        with reading("search for lists"):
            return [cls._read(found) for found in answer["lists"]]

    @classmethod
    def _read(cls, found: Any) -> ListInfo:
        more = found.get("additionalProperties") or {}
        size = found.get("size")
        return cls(
            str(found["listId"]),
            str(found["name"]),
            str(found["processingType"]),
            str(found.get("objectTypeId") or CONTACTS),
            size=integer(str(more.get("hs_list_size") if size is None else size)),
            is_processing=found.get("processingStatus") == "PROCESSING",
            references=integer(str(more.get("hs_list_reference_count"))),
            folder=str(more.get("hs_folder_name") or ""),
        )

    @property
    def unfit(self) -> str:
        """Why it takes no contacts, after "is"; "": it takes them."""
        if self.objects != CONTACTS:
            return f"of {OBJECTS.get(self.objects, f'objects of type {self.objects}')}, and not of contacts"
        if self.processing == "DYNAMIC":
            return "an active one: HubSpot picks its members by filters"
        return ""


@dataclass(frozen=True, slots=True)
class PropertyInfo:
    """A contact property; ``type`` is HubSpot's: string, number, enumeration…"""

    name: str
    type: str
    field: str
    """How it is shown: text, checkbox, select…"""
    unique: bool
    read_only: bool
    options: tuple[Mapping[str, Any], ...]
    """As HubSpot gave them: what is left out of a change of them would be lost."""

    @classmethod
    def read(cls, answer: Any) -> PropertyInfo:
        """Read a property."""
        with reading("look at a property"):
            metadata = answer.get("modificationMetadata") or {}
            unique, read_only = answer.get("hasUniqueValue"), metadata.get("readOnlyValue")
            options = tuple({**option, "value": str(option["value"])} for option in answer.get("options") or ())
            kind, field_type = str(answer["type"]), str(answer.get("fieldType"))
            return cls(str(answer["name"]), kind, field_type, bool(unique), bool(read_only), options)


@dataclass(frozen=True, slots=True)
class Memberships:
    """What a change to a list did. Contacts in neither set were as wished before."""

    changed: frozenset[str]
    missing: frozenset[str]
    """HubSpot knows no such contacts."""
    doubtful: bool = False
    """An earlier try had no good answer, and may be what made a contact as wished before this one."""

    @classmethod
    def read(cls, answer: Any, *, doubtful: bool = False) -> Memberships:
        """Read the answer to ``memberships/add-and-remove``. The spelling ``recordsIdsAdded`` is HubSpot's."""
        with reading("change a list"):
            arrays = [answer.get(name) for name in ("recordsIdsAdded", "recordIdsRemoved", "recordIdsMissing")]
            if all(array is None for array in arrays):  # misread, every change would look as if it had been so before
                raise KeyError
            added, removed, missing = (frozenset(map(str, array or ())) for array in arrays)
            return cls(added | removed, missing, doubtful)


@dataclass(frozen=True, slots=True)
class Batch:
    """The answer to a batch: properties by contact id, and the code of each row that failed."""

    records: Mapping[str, Mapping[str, str]]
    failed: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True
    """HubSpot reported no failure."""
    about: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of rows that failed, the properties that are at fault, where HubSpot names them."""

    @classmethod
    def read(cls, answer: Any) -> Batch:
        """Read a 200 or 207. A 207 comes like any other answer: failed rows must be looked for."""
        with reading("work on a batch of contacts"):
            errors = answer.get("errors") or ()
            rows = [(str(row), error) for error in errors for row in (error.get("context") or {}).get("ids") or ()]
            failed = {row: (code(error.get("category")) or "failed").lower() for row, error in rows}
            about = {row: blamed(error) for row, error in rows}
            records = {str(each["id"]): each.get("properties") or {} for each in answer["results"]}
            return cls(records, failed, complete=not errors, about=about)


def family(
    what: str,
    status: int,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    *,
    connection: str,
    burst: timedelta,
    zone: tzinfo | None,
) -> LeadupError:
    """Return the error that a failed call means (source: Error handling).

    Args:
        what: what was asked for, as a verb.
        connection: its name, for the advice.
        burst: how long the burst limit's window is; the wait after a 429 that states none.
        zone: the account's, whose midnight ends the day's limit; None: not known.
    """
    reason = code(body.get("subCategory")) or code(body.get("category")) or f"HTTP_{status}"
    known_as = code(body.get("correlationId"))
    failed = f"HubSpot answered {status} ({reason}) when asked to {what}" + (
        f"; its correlation id is {known_as}." if known_as else "."
    )
    seconds = integer(headers.get("Retry-After"))
    wait = None if seconds is None else timedelta(seconds=seconds)
    if status == 401:
        variable = f"LEADUP_{connection.upper().replace('-', '_')}_ACCESS_TOKEN"
        return Denied(
            f"{failed} The access token of connection {connection!r} is not valid, or no longer.",
            todo=f"make a service key in HubSpot (Settings > Integrations > Service keys); put its token in {variable}",
            status=status,
        )
    if status == 403:
        named = scopes(body)
        missing = ", ".join(named) or "all that the connector's README lists"
        return Denied(
            f"{failed} The access token of connection {connection!r} lacks a right.",
            todo=f"give its service key or private app these scopes: {missing}",
            status=status,
            scopes=frozenset(named),
        )
    if status == 429 and body.get("policyName") == "DAILY":
        return BudgetSpent(f"{failed} The account's calls of today are used up.", retry_after=_tomorrow(headers, zone))
    if status == 429:
        pause = wait or (SECOND if body.get("policyName") == "SECONDLY" else burst)
        text = (
            f"{failed} Its limits are met for now.\n"
            "  What to do: nothing, since it is tried again; if that happens often, look what else makes calls there."
        )
        return TryLater(text, retry_after=pause, nothing_done=True)
    if status == 423:
        return TryLater(failed, retry_after=max(wait or LOCKED, LOCKED), nothing_done=True)
    if status == 477:  # HubSpot is moving the account to another data centre
        return TryLater(failed, retry_after=wait, nothing_done=True)
    if 300 <= status < 400:
        return unreadable(what, nothing_done=True)
    if status in (0, 408) or status >= 500:
        return TryLater(failed, retry_after=wait)
    about = blamed(body)
    if about:
        failed += f" It is about {', '.join(sorted(about))}."
    context = body.get("context")
    ids = context.get("ids") if isinstance(context, dict) else None
    return HubSpotRefused(
        failed,
        todo=_AT_FAULT.get(status, _ASTRAY).format(connection=connection),
        status=status,
        code=reason.lower(),
        ids=frozenset(map(str, ids or ())),
        about=about,
    )


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Take an answer apart; one that is not built as the API's are becomes :func:`unreadable`."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError):
        error = unreadable(what)
    else:
        return
    raise error  # outside of the handler, since the first error quotes the answer


def unreadable(what: str, *, nothing_done: bool = False) -> TryLater:
    """Return the error for an answer that is not one of the API's, such as a proxy's page with status 200."""
    return TryLater(
        f"HubSpot's answer, when asked to {what}, is not one of its API; a proxy may have answered instead.\n"
        "  What to do: nothing if it passes, since it is tried again; else see what stands between (a proxy, a login).",
        nothing_done=nothing_done,
    )


def parse(body: str | bytes | None) -> Mapping[str, Any]:
    """Return an error's body; empty where it is no JSON object."""
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _tomorrow(headers: Mapping[str, str], zone: tzinfo | None) -> timedelta:
    """Return the time left until midnight in a zone; an hour where the zone, or the time it is there, is not known.

    Soon after midnight it may be the day before that is used up: a short wait tells.
    """
    try:
        at = parsedate_to_datetime(headers["Date"])
    except (KeyError, ValueError):
        return HOUR
    if zone is None:
        return HOUR
    began, ends = day_of(at, zone)
    return began + NEW_DAY - at if at < began + NEW_DAY else ends - at
