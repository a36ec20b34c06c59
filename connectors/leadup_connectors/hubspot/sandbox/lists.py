"""Lists (source: Lists API).

HubSpot publishes no names of ``ListError`` sub-categories but one, so the others are ours: go by status and category.
"""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leadup.types import Json
from leadup_connectors.hubspot.sandbox.answers import Now, Problem, invalid, not_found, require, stamp
from leadup_connectors.hubspot.sandbox.contacts import Contacts
from leadup_connectors.hubspot.sandbox.folders import Folders
from leadup_connectors.hubspot.sandbox.memberships import CONTACTS, List, Memberships
from leadup_connectors.hubspot.sandbox.objects import Refuses

OBJECTS = (CONTACTS, "0-2", "0-3")
"""Object types that a list may be of: contacts, companies, deals."""
PROCESSING = ("MANUAL", "DYNAMIC", "SNAPSHOT")
LONGEST_SEARCH = 500
RESTORED = timedelta(days=90)
"""How long a deleted list can be restored."""


class Lists(Memberships):
    """All lists of the account."""

    def __init__(self, contacts: Contacts, refuses: Refuses, most: int, now: Now) -> None:
        super().__init__(contacts, refuses, now)
        self.most = most
        self.folders = Folders(self.all, now)
        self._ids = itertools.count(1)

    # ------------------------------------------------------------ from Python

    def living(self) -> dict[str, List]:
        """Lists by name, without the deleted ones."""
        return {each.name: each for each in self.all.values() if not each.deleted}

    def add(self, name: str, processing: str = "MANUAL", **how: Any) -> List:
        """Create a list."""
        now = self.now()
        new = List(str(next(self._ids)), name, processing, created=now, updated=now, **how)
        self.all[new.id] = new
        return new

    def content(self) -> list[dict[str, Json]]:
        """All lists with their members."""
        return [
            {
                "listId": each.id,
                "name": each.name,
                "processingType": each.processing,
                "deleted": each.deleted is not None,
                "members": each.by_id()[1],
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

    # ------------------------------------------------------------ calls

    def create(self, _request: Request, body: Any) -> Response:
        require(body, "name", "objectTypeId", "processingType")
        if body["objectTypeId"] not in OBJECTS:
            raise _invalid("The objectTypeId provided for the list is not valid.", "INVALID_OBJECT_TYPE_FOR_LIST")
        if body["processingType"] not in PROCESSING:
            raise _invalid("The processingType is not known.", "INVALID_PROCESSING_TYPE")
        if body["processingType"] == "DYNAMIC" and not body.get("filterBranch"):
            raise _invalid("A DYNAMIC list needs a filterBranch.", "MISSING_FILTER_BRANCH")
        folder = self.folders.known(body.get("listFolderId") or 0)
        self._refuse_name(body["name"])
        if len(self.living()) >= self.most:
            raise _invalid("The account has all the lists it may have.", "LIST_LIMIT_REACHED")
        how = {"objects": body["objectTypeId"], "folder": folder, "filters": body.get("filterBranch")}
        new = self.add(body["name"], body["processingType"], **how)
        return JSONResponse({"list": self._wire(new, filters=True)})

    def by_name(self, request: Request, _body: Any) -> Response:
        found = self.living().get(request.path_params["name"])
        if found is None or request.path_params["type"] != found.objects:
            raise not_found("List")
        return self._answer("list", found, request)

    def by_id(self, request: Request, _body: Any) -> Response:
        return self._answer("list", self._one(request), request)

    def by_ids(self, request: Request, _body: Any) -> Response:
        """Answer those that exist."""
        asked = [self.all[i] for i in request.query_params.getlist("listIds") if i in self.all]
        found = [self._wire(each, filters=_with_filters(request)) for each in asked if not each.deleted]
        return JSONResponse({"lists": found})

    def search(self, request: Request, body: Any) -> Response:
        require(body)
        if request.state.dated:
            missing = {"additionalProperties", "offset", "listIds", "processingTypes"} - body.keys()
            if missing:
                raise invalid(f"Some required fields were not set: {sorted(missing)}")
        offset, count = int(body.get("offset", 0)), int(body.get("count", 20))
        if not 0 < count <= LONGEST_SEARCH:
            raise invalid(f"count must lie between 1 and {LONGEST_SEARCH}")
        found = [
            each
            for name, each in self.living().items()
            if (body.get("query") or "").lower() in name.lower()
            and each.processing in (body.get("processingTypes") or PROCESSING)
            and each.id in (body.get("listIds") or self.all)
            and body.get("objectTypeId", each.objects) == each.objects
        ]
        end = min(offset + count, len(found))
        return JSONResponse(
            {
                "lists": [self._hit(each) for each in found[offset:end]],
                "hasMore": end < len(found),
                "offset": end,
                "total": len(found),
            }
        )

    def mapping(self, request: Request, _body: Any) -> Response:
        """Answer which list an id of the first version meant."""
        found = self._mapped(request.query_params.get("legacyListId", ""))
        if found is None:
            raise not_found("List")
        return JSONResponse(found)

    def mappings(self, _request: Request, body: Any) -> Response:
        """Answer which lists these ids of the first version meant."""
        if not isinstance(body, list) or not all(isinstance(each, str) for each in body):
            raise invalid("Invalid input JSON: an array of strings is expected")
        found = [self._mapped(each) for each in body]
        missing = [each for each, known in zip(body, found, strict=True) if known is None]
        told = [each for each in found if each]
        return JSONResponse({"legacyListIdsToIdsMapping": told, "missingLegacyListIds": missing})

    def _mapped(self, legacy: str) -> dict[str, str] | None:
        known = {each.legacy_id: each.id for each in self.all.values() if not each.deleted}
        return {"legacyListId": legacy, "listId": known[legacy]} if legacy in known else None

    def rename(self, request: Request, _body: Any) -> Response:
        each, name = self._one(request), request.query_params.get("listName", "")
        if not name:
            raise invalid("Some required fields were not set: ['listName']")
        if name != each.name:
            self._refuse_name(name)
        each.name, each.updated = name, self.now()
        each.version += 1
        return self._answer("updatedList", each, request)

    def delete(self, request: Request, _body: Any) -> Response:
        self._one(request).deleted = self.now()
        return Response(status_code=204)

    def restore(self, request: Request, _body: Any) -> Response:
        """Bring a deleted list back with its members; after 90 days it is gone for good."""
        each = self.all.get(request.path_params["id"])
        if each is None or (each.deleted and self.now() - each.deleted > RESTORED):
            raise not_found("List")
        if each.deleted:
            self._refuse_name(each.name)
            each.deleted = None
        return Response(status_code=204)

    def move(self, _request: Request, body: Any) -> Response:
        """Move a list into another folder."""
        require(body, "listId", "newFolderId")
        each = self.all.get(str(body["listId"]))
        if each is None or each.deleted:
            raise not_found("List")
        each.folder = self.folders.known(body["newFolderId"])
        return Response(status_code=204)

    def _refuse_name(self, name: str) -> None:
        if name in self.living():
            raise _invalid("A list of that name exists already.", "NAME_ALREADY_IN_USE")

    def _answer(self, key: str, each: List, request: Request) -> Response:
        return JSONResponse({key: self._wire(each, filters=_with_filters(request))})

    def _wire(self, each: List, *, filters: bool = False) -> dict[str, Any]:
        answer: dict[str, Any] = {"listId": each.id, "listVersion": each.version, "name": each.name}
        answer |= {
            "objectTypeId": each.objects,
            "processingType": each.processing,
            "processingStatus": each.processing_status,
        }
        answer |= {"createdAt": stamp(each.created), "updatedAt": stamp(each.updated), "size": self.size(each)}
        return answer | ({"filterBranch": each.filters} if filters and each.filters else {})

    def _hit(self, each: List) -> dict[str, Any]:
        """Return a list as a search tells it: its size stands among the additional properties, as text."""
        told = {
            "hs_list_size": str(self.size(each)),
            "hs_last_record_added_at": _milliseconds(each.added),
            "hs_last_record_removed_at": _milliseconds(each.removed),
            "hs_folder_name": self.folders.name(each.folder),
            "hs_list_reference_count": str(each.used),
        }
        answer = {name: value for name, value in self._wire(each).items() if name != "size"}
        return answer | {"additionalProperties": {name: value for name, value in told.items() if value}}


def _invalid(message: str, name: str) -> Problem:
    return invalid(message, subCategory=f"ListError.{name}")


def _with_filters(request: Request) -> bool:
    return request.query_params.get("includeFilters") == "true"


def _milliseconds(at: datetime | None) -> str:
    return str(int(at.timestamp() * 1000)) if at else ""
