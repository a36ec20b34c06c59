"""Lists and who is in them (source: Lists API, v3).

HubSpot publishes no names of ``ListError`` sub-categories but one, so the others are ours: go by status and category.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leadup.types import Json
from leadup_connectors.hubspot.sandbox.answers import invalid, not_found, now, require
from leadup_connectors.hubspot.sandbox.contacts import Contacts, Refuses

CONTACTS = "0-1"
"""The object type of contacts."""
PROCESSING = ("MANUAL", "DYNAMIC", "SNAPSHOT")
PAGE, LONGEST_PAGE, LONGEST_SEARCH = 100, 250, 500


@dataclass
class List:
    """One list. A deleted one is kept: HubSpot restores it within 90 days."""

    id: str
    name: str
    processing: str
    members: dict[str, str] = field(default_factory=dict)
    """Contact id -> when it came in."""
    version: int = 1
    deleted: bool = False


@dataclass(frozen=True)
class Asked:
    """One wish to change one membership. ``effective``: it was not so before."""

    list: str
    contact: str
    verb: Literal["join", "leave"]
    effective: bool


class Lists:
    """All lists of the account."""

    def __init__(self, contacts: Contacts, refuses: Refuses, most: int) -> None:
        self.all: dict[str, List] = {}
        self.asked: list[Asked] = []
        self.most = most
        self._contacts, self._refuses = contacts, refuses
        self._ids = itertools.count(1)

    # ------------------------------------------------------------ from Python

    def living(self) -> dict[str, List]:
        """Lists by name, without the deleted ones."""
        return {each.name: each for each in self.all.values() if not each.deleted}

    def add(self, name: str, processing: str = "MANUAL") -> List:
        """Create a list."""
        new = List(str(next(self._ids)), name, processing)
        self.all[new.id] = new
        return new

    def drop(self, contact: str, heir: str = "") -> None:
        """Take a contact that vanished out of all lists; a merge leaves its places to the other contact."""
        for each in self.all.values():
            since = each.members.pop(contact, None)
            if since and heir:
                each.members.setdefault(heir, since)

    def content(self) -> list[dict[str, Json]]:
        """All lists with their members."""
        return [
            {
                "listId": each.id,
                "name": each.name,
                "processingType": each.processing,
                "deleted": each.deleted,
                "members": [str(i) for i in sorted(map(int, each.members))],
            }
            for each in self.all.values()
        ]

    def counts(self) -> list[dict[str, Json]]:
        """How often each membership was changed, and how often asked for although it was so already."""
        times = Counter((a.list, a.contact, a.verb if a.effective else f"redundant {a.verb}") for a in self.asked)
        return [
            {"list": name, "contact": contact, "verb": verb, "times": count}
            for (name, contact, verb), count in sorted(times.items())
        ]

    # ------------------------------------------------------------ lists

    def create(self, _request: Request, body: Any) -> Response:
        require(body, "name", "objectTypeId", "processingType")
        if body["objectTypeId"] != CONTACTS:
            raise _invalid("The objectTypeId provided for the list is not valid.", "INVALID_OBJECT_TYPE_FOR_LIST")
        if body["processingType"] not in PROCESSING:
            raise _invalid("The processingType is not known.", "INVALID_PROCESSING_TYPE")
        if body["processingType"] == "DYNAMIC" and not body.get("filterBranch"):
            raise _invalid("A DYNAMIC list needs a filterBranch.", "MISSING_FILTER_BRANCH")
        living = self.living()
        if body["name"] in living:
            raise _invalid("A list of that name exists already.", "NAME_ALREADY_IN_USE")
        if len(living) >= self.most:
            raise _invalid("The account has all the lists it may have.", "LIST_LIMIT_REACHED")
        return JSONResponse({"list": _wire(self.add(body["name"], body["processingType"]))})

    def by_name(self, request: Request, _body: Any) -> Response:
        found = self.living().get(request.path_params["name"])
        if found is None or request.path_params["type"] != CONTACTS:
            raise not_found("List")
        return JSONResponse({"list": _wire(found)})

    def by_id(self, request: Request, _body: Any) -> Response:
        return JSONResponse({"list": _wire(self._one(request))})

    def search(self, _request: Request, body: Any) -> Response:
        require(body)
        offset, count = int(body.get("offset", 0)), min(int(body.get("count", 20)), LONGEST_SEARCH)
        found = [
            each
            for name, each in self.living().items()
            if body.get("query", "").lower() in name.lower()
            and each.processing in (body.get("processingTypes") or PROCESSING)
            and each.id in (body.get("listIds") or self.all)
        ]
        end = min(offset + count, len(found))
        hits = [
            {**_wire(each, size=False), "additionalProperties": {"hs_list_size": str(len(each.members))}}
            for each in found[offset:end]
        ]
        return JSONResponse({"lists": hits, "hasMore": end < len(found), "offset": end, "total": len(found)})

    def _one(self, request: Request) -> List:
        found = self.all.get(request.path_params["id"])
        if found is None or found.deleted:
            raise not_found("List")
        return found

    # ------------------------------------------------------------ memberships

    def memberships(self, request: Request, _body: Any) -> Response:
        each, query = self._one(request), request.query_params
        limit = int(query.get("limit", PAGE))
        if not 1 <= limit <= LONGEST_PAGE:
            raise invalid(f"limit must lie between 1 and {LONGEST_PAGE}")
        ids = [i for i in sorted(map(int, each.members)) if i > int(query.get("after", 0))]
        page = [str(i) for i in ids[:limit]]
        link = f"{request.url.path}?limit={limit}"
        paging = {"next": {"after": page[-1], "link": f"{link}&after={page[-1]}"}} if len(ids) > limit else {}
        results = [{"recordId": i, "membershipTimestamp": each.members[i]} for i in page]
        return JSONResponse({"results": results, "paging": paging, "total": len(each.members)})

    def join(self, request: Request, body: Any) -> Response:
        to, known, missing = self._asked(request, body)
        added = [contact for contact in known if contact not in to.members]
        to.members |= dict.fromkeys(added, now())
        self.asked += [Asked(to.name, contact, "join", contact in added) for contact in known]
        return _changed(to, added=added, missing=missing)

    def leave(self, request: Request, body: Any) -> Response:
        to, known, missing = self._asked(request, body)
        removed = [contact for contact in known if contact in to.members]
        for contact in removed:
            del to.members[contact]
        self.asked += [Asked(to.name, contact, "leave", contact in removed) for contact in known]
        return _changed(to, removed=removed, missing=missing)

    def _asked(self, request: Request, body: Any) -> tuple[List, list[str], list[str]]:
        """Return the list, the known contacts and the ids that are missing."""
        to = self._one(request)
        if not isinstance(body, list) or not all(isinstance(each, str) for each in body):
            raise invalid("Invalid input JSON: an array of strings is expected")
        if to.processing == "DYNAMIC":
            raise _invalid("The members of a DYNAMIC list are not edited.", "INVALID_PROCESSING_TYPE")
        ids = list(dict.fromkeys(body))
        known = self._contacts.values.keys() - self._refuses(request, ids).keys()
        return to, [i for i in ids if i in known], [i for i in ids if i not in known]


def _invalid(message: str, name: str) -> Exception:
    return invalid(message, subCategory=f"ListError.{name}")


def _changed(to: List, added: Sequence[str] = (), removed: Sequence[str] = (), missing: Sequence[str] = ()) -> Response:
    """An id that was so already is in none of the arrays. The extra "s" of ``recordsIdsAdded`` is HubSpot's."""
    to.version += 1
    return JSONResponse(
        {"recordsIdsAdded": [*added], "recordIdsRemoved": [*removed], "recordIdsMissing": [*missing]},
    )


def _wire(each: List, *, size: bool = True) -> dict[str, Any]:
    answer: dict[str, Any] = {"listId": each.id, "listVersion": each.version, "name": each.name}
    answer |= {"objectTypeId": CONTACTS, "processingType": each.processing, "processingStatus": "COMPLETE"}
    return answer | ({"size": len(each.members)} if size else {})
