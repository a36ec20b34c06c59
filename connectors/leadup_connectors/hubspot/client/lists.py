"""Lists of contacts, and who is in them (source: Lists API)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from leadup.types import Json
from leadup_connectors.hubspot.answers import ListInfo, Memberships, reading
from leadup_connectors.hubspot.client.caller import Caller
from leadup_connectors.hubspot.client.routes import Call
from leadup_connectors.hubspot.client.wire import Request

CONTACTS: Final = "0-1"
"""HubSpot's object type of contacts."""
MEMBERS_PAGE: Final = 250
"""Members of one page, as others ask for them; HubSpot states 100 as its default, and no limit."""
SEARCHED: Final = 500
"""Most lists of one search."""


class Lists:
    """Calls about lists."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def find(self, name: str) -> ListInfo | None:
        """Return the list of contacts with this name."""
        found = self._caller.find(Call.FIND_LIST, name=name, type=CONTACTS)
        return None if found is None else ListInfo.read(found)

    def get(self, list_id: str) -> ListInfo | None:
        """Return the list with this id."""
        found = self._caller.find(Call.GET_LIST, list=list_id)
        return None if found is None else ListInfo.read(found)

    def described(self, ids: Sequence[str]) -> dict[str, ListInfo]:
        """Return those of these lists that HubSpot's search knows, by id, with all that only a search tells.

        A list that was made moments ago may not be among them.
        """
        found: dict[str, ListInfo] = {}
        for part in (ids[start : start + SEARCHED] for start in range(0, len(ids), SEARCHED)):
            body: Json = {
                "listIds": list(part),
                "processingTypes": ["MANUAL", "SNAPSHOT", "DYNAMIC"],
                "additionalProperties": [],
                "offset": 0,
                "count": SEARCHED,
            }
            found |= {each.id: each for each in ListInfo.hits(self._caller.ask(Call.SEARCH_LISTS, body))}
        return found

    def create(self, name: str) -> ListInfo:
        """Create a MANUAL list of contacts."""
        body = {"name": name, "objectTypeId": CONTACTS, "processingType": "MANUAL"}
        return ListInfo.read(self._caller.ask(Call.CREATE_LIST, body))

    def members(self, list_id: str) -> Iterator[str]:
        """Yield the ids of the contacts in a list, in ascending order.

        Raises:
            HubSpotRefused: there is no such list (404).
        """
        query: dict[str, str | int] = {"limit": MEMBERS_PAGE}
        while True:
            answer, _ = self._caller.send(Request(Call.MEMBERS, {"list": list_id}, query))
            with reading(Call.MEMBERS.what):
                page = [str(each["recordId"]) for each in answer["results"]]
                following = ((answer.get("paging") or {}).get("next") or {}).get("after")
            yield from page
            if not following:
                return
            query["after"] = str(following)

    def join(self, list_id: str, contacts: Sequence[str]) -> Memberships:
        """Put contacts into a list."""
        answer, tries = self._caller.send(Request(Call.JOIN, {"list": list_id}, body=list(contacts)))
        return Memberships.read(answer, repeated=tries > 1)

    def leave(self, list_id: str, contacts: Sequence[str]) -> Memberships:
        """Take contacts out of a list."""
        return Memberships.read(self._caller.ask(Call.LEAVE, list(contacts), list=list_id))
