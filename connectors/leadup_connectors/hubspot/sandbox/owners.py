"""Users of the account who own records (source: Owners API)."""

from __future__ import annotations

import itertools
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leadup_connectors.hubspot.sandbox.answers import Now, not_found, number, stamp

PAGE, LONGEST_PAGE = 100, 500


class Owners:
    """All owners, by id."""

    def __init__(self, now: Now) -> None:
        self.all: dict[str, dict[str, Any]] = {}
        self._ids, self._now = itertools.count(41), now

    def add(self, email: str, first: str, last: str) -> str:
        """Create an owner and return the id."""
        number_, now = next(self._ids), stamp(self._now())
        self.all[str(number_)] = {
            "id": str(number_),
            "type": "PERSON",
            "email": email,
            "firstName": first,
            "lastName": last,
            "userId": 9000 + number_,
            "userIdIncludingInactive": 9000 + number_,
            "createdAt": now,
            "updatedAt": now,
            "archived": False,
            "teams": [],
        }
        return str(number_)

    def list(self, request: Request, _body: Any) -> Response:
        limit, email = number(request, "limit", PAGE, LONGEST_PAGE), request.query_params.get("email")
        after = int(request.query_params.get("after") or 0)
        found = [each for i, each in self.all.items() if int(i) > after and email in (None, each["email"])]
        more = {"paging": {"next": {"after": found[limit - 1]["id"]}}} if len(found) > limit else {}
        return JSONResponse({"results": found[:limit], **more})

    def one(self, request: Request, _body: Any) -> Response:
        if request.path_params["owner"] not in self.all:
            raise not_found("Owner")
        return JSONResponse(self.all[request.path_params["owner"]])
