"""Who is in a list (source: Lists API, memberships)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leadup_connectors.hubspot.sandbox.answers import Now, invalid, not_found, number, stamp
from leadup_connectors.hubspot.sandbox.contacts import Contacts
from leadup_connectors.hubspot.sandbox.objects import Refuses

CONTACTS = "0-1"
"""The object type of contacts."""
PAGE, LONGEST_PAGE = 100, 250
SIZES = 100
"""How many former sizes of a list are kept."""
MOST_CLEARED = 100_000
"""Members of a list that can no longer be emptied by one call."""


@dataclass
class List:
    """One list. A deleted one is kept, since it can be restored."""

    id: str
    name: str
    processing: str
    objects: str = CONTACTS
    """The object type of its members."""
    members: dict[str, str] = field(default_factory=dict)
    """Contact id -> when it came in."""
    version: int = 1
    folder: str = "0"
    filters: Any = None
    used: int = 0
    """In how many places of the account the list is used: ads audiences, e-mails, workflows."""
    processing_status: str = "COMPLETE"
    deleted: datetime | None = None
    added: datetime | None = None
    """When the last member came."""
    removed: datetime | None = None
    created: datetime = field(kw_only=True)
    updated: datetime = field(kw_only=True)
    sizes: list[tuple[datetime, int]] = field(default_factory=list)
    """How many members there were, after each of the last changes."""
    _order: tuple[tuple[int, int], list[int], list[str]] = ((0, 0), [], [])

    @property
    def legacy_id(self) -> str:
        """Its id in the first version of the API, which may be another list's id now."""
        return str(int(self.id) + 1)

    def changed(self, at: datetime) -> None:
        """Note that the members have changed."""
        self.version += 1
        self.sizes.append((at, len(self.members)))
        del self.sizes[:-SIZES]

    def size(self, at: datetime) -> int:
        """Return how many members there were at an instant, as far as that is kept."""
        known = [size for when, size in self.sizes if when <= at]
        return known[-1] if known else 0

    def by_id(self) -> tuple[list[int], list[str]]:
        """Return the members in the order of their ids, as numbers and as text."""
        now = (self.version, len(self.members))
        if self._order[0] != now:  # a list is read page by page
            ids = sorted(map(int, self.members))
            self._order = (now, ids, [*map(str, ids)])
        return self._order[1:]


@dataclass(frozen=True)
class Asked:
    """One wish to change one membership. ``effective``: it was not so before."""

    list: str
    contact: str
    verb: Literal["join", "leave"]
    effective: bool


class Memberships:
    """The lists, as far as their members go."""

    def __init__(self, contacts: Contacts, refuses: Refuses, now: Now) -> None:
        self.all: dict[str, List] = {}
        self.asked: list[Asked] = []
        self.size_lag = timedelta(0)
        self._contacts, self._refuses, self.now = contacts, refuses, now

    def drop(self, contact: str, heir: str = "") -> None:
        """Take a contact that vanished out of all lists; a merge leaves its places to the other contact."""
        for each in (one for one in self.all.values() if one.objects == CONTACTS):
            since = each.members.pop(contact, None)
            if since and heir:
                each.members.setdefault(heir, since)
            if since:
                each.changed(self.now())

    def size(self, each: List) -> int:
        """Return a list's size as HubSpot tells it, which may lag behind its members."""
        return each.size(self.now() - self.size_lag) if self.size_lag else len(each.members)

    # ------------------------------------------------------------ who is in

    def memberships(self, request: Request, _body: Any) -> Response:
        """Answer a page of members by record id; with ``before`` alone it goes backward."""
        each = self._one(request)
        return _page(request, *each.by_id(), each.members)

    def by_time(self, request: Request, _body: Any) -> Response:
        """Answer a page of members in the order in which they came."""
        each = self._one(request)
        members = sorted(each.members, key=lambda i: (each.members[i], int(i)))
        return _page(request, range(1, len(members) + 1), members, each.members)

    def of_record(self, request: Request, _body: Any) -> Response:
        """Answer the lists that a contact is in."""
        record = request.path_params["record"]
        if request.path_params["type"] != CONTACTS or record not in self._contacts:
            raise not_found("Record")
        there = [
            each
            for each in self.all.values()
            if not each.deleted and record in each.members and each.objects == CONTACTS
        ]
        results = [
            {
                "listId": each.id,
                "listVersion": each.version,
                "firstAddedTimestamp": each.members[record],
                "lastAddedTimestamp": each.members[record],
                "isPublicList": True,
            }
            for each in there
        ]
        return JSONResponse({"results": results, "total": len(results)})

    # ------------------------------------------------------------ changes

    def join(self, request: Request, body: Any) -> Response:
        to = self._editable(request)
        known, missing = self._split(request, to, body)
        return _changed(added=self._join(to, known), missing=missing)

    def leave(self, request: Request, body: Any) -> Response:
        to = self._editable(request)
        known, missing = self._split(request, to, body)
        return _changed(removed=self._leave(to, known), missing=missing)

    def join_and_leave(self, request: Request, body: Any) -> Response:
        to = self._editable(request)
        if not isinstance(body, dict) or not {"recordIdsToAdd", "recordIdsToRemove"} <= body.keys():
            raise invalid("Some required fields were not set: [recordIdsToAdd, recordIdsToRemove]")
        joins, unknown_joins = self._split(request, to, body["recordIdsToAdd"])
        leaves, unknown_leaves = self._split(request, to, body["recordIdsToRemove"])
        missing = dict.fromkeys([*unknown_joins, *unknown_leaves])
        return _changed(added=self._join(to, joins), removed=self._leave(to, leaves), missing=list(missing))

    def clear(self, request: Request, _body: Any) -> Response:
        """Take all members out; the list stays."""
        each = self._editable(request)
        if len(each.members) >= MOST_CLEARED:
            raise invalid(f"Only a list with fewer than {MOST_CLEARED} members can be cleared.")
        self._leave(each, list(each.members))
        return Response(status_code=204)

    def put(self, to: List, contacts: Sequence[str]) -> list[str]:
        """Put contacts into a list and return those that were not in it."""
        added, now = [contact for contact in contacts if contact not in to.members], self.now()
        to.members |= dict.fromkeys(added, stamp(now))
        to.added = now if added else to.added
        to.changed(now)
        return added

    def take(self, to: List, contacts: Sequence[str]) -> list[str]:
        """Take contacts out of a list and return those that were in it."""
        removed, now = [contact for contact in contacts if to.members.pop(contact, None)], self.now()
        to.removed = now if removed else to.removed
        to.changed(now)
        return removed

    def _join(self, to: List, contacts: Sequence[str]) -> list[str]:
        added = self.put(to, contacts)
        came = set(added)
        self.asked += [Asked(to.name, contact, "join", contact in came) for contact in contacts]
        return added

    def _leave(self, to: List, contacts: Sequence[str]) -> list[str]:
        removed = self.take(to, contacts)
        went = set(removed)
        self.asked += [Asked(to.name, contact, "leave", contact in went) for contact in contacts]
        return removed

    def _one(self, request: Request) -> List:
        found = self.all.get(request.path_params["id"])
        if found is None or found.deleted:
            raise not_found("List")
        return found

    def _editable(self, request: Request) -> List:
        found = self._one(request)
        if found.processing == "DYNAMIC":
            message = "The members of a DYNAMIC list are not edited."
            raise invalid(message, subCategory="ListError.INVALID_PROCESSING_TYPE")
        if found.processing_status == "PROCESSING":  # not on HubSpot's pages: the careful guess
            raise invalid("The list is still being processed.", subCategory="ListError.LIST_PROCESSING")
        return found

    def _split(self, request: Request, to: List, ids: Any) -> tuple[list[str], list[str]]:
        """Return the records that are there, and the ids that are missing. Companies and deals have any id."""
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise invalid("Invalid input JSON: an array of strings is expected")
        ids = list(dict.fromkeys(ids))
        refused = self._refuses(request, ids)
        known = [i for i in ids if (to.objects != CONTACTS or i in self._contacts) and i not in refused]
        there = set(known)
        return known, [i for i in ids if i not in there]


def _changed(added: Sequence[str] = (), removed: Sequence[str] = (), missing: Sequence[str] = ()) -> Response:
    """An id that was so already is in none of the arrays. The extra "s" of ``recordsIdsAdded`` is HubSpot's."""
    return JSONResponse(
        {"recordsIdsAdded": [*added], "recordIdsRemoved": [*removed], "recordIdsMissing": [*missing]},
    )


def _page(request: Request, keys: Sequence[int], members: Sequence[str], since: Mapping[str, str]) -> Response:
    """Answer the members after or before a key; ``keys`` are theirs, ascending."""
    limit, query = number(request, "limit", PAGE, LONGEST_PAGE), request.query_params
    back = "before" in query and "after" not in query
    try:
        if back:
            end = bisect_left(keys, int(query["before"]))
            start = max(0, end - limit)
        else:
            start = bisect_right(keys, int(query.get("after") or 0))
            end = min(start + limit, len(keys))
    except ValueError:
        raise invalid("The offset is not one of ours.") from None
    places = range(start, end)[:: -1 if back else 1]
    paging = {}
    if start > 0 if back else end < len(keys):
        way, token, key = ("prev", "before", keys[start]) if back else ("next", "after", keys[end - 1])
        paging = {way: {token: str(key), "link": f"{request.url.path}?limit={limit}&{token}={key}"}}
    results = [{"recordId": members[i], "membershipTimestamp": since[members[i]]} for i in places]
    return JSONResponse({"results": results, "paging": paging, "total": len(keys)})
