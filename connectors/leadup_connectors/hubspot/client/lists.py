"""Lists of contacts, and who is in them (source: Lists API)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from leadup.types import Json
from leadup_connectors.hubspot.answers import CONTACTS, ListInfo, Memberships, reading
from leadup_connectors.hubspot.client.caller import Caller
from leadup_connectors.hubspot.client.routes import Call
from leadup_connectors.hubspot.client.wire import Request

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

    def create(self, name: str, folder: str | None) -> ListInfo:
        """Create a MANUAL list of contacts, in the folder with this id."""
        body: dict[str, Json] = {"name": name, "objectTypeId": CONTACTS, "processingType": "MANUAL"}
        if folder is not None:
            body["listFolderId"] = int(folder)
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

    def folders(self) -> list[tuple[str, str]]:
        """Return id and name of all folders: those at the top first, then those below; the oldest first of each."""
        answer = self._caller.ask(Call.FOLDERS)
        found: list[tuple[str, str]] = []
        with reading(Call.FOLDERS.what):
            level = answer["folder"].get("childNodes") or []
            while level:
                found += sorted(((str(each["id"]), str(each["name"])) for each in level), key=lambda one: int(one[0]))
                level = [below for each in level for below in each.get("childNodes") or ()]
        return found

    def create_folder(self, name: str) -> str:
        """Create a folder at the top; return its id."""
        answer = self._caller.ask(Call.CREATE_FOLDER, {"name": name})
        with reading(Call.CREATE_FOLDER.what):
            return str(answer["folder"]["id"])

    def is_empty(self, list_id: str) -> bool:
        """Whether a list has no member now; the size that HubSpot tells lags behind."""
        answer, _ = self._caller.send(Request(Call.MEMBERS, {"list": list_id}, {"limit": 1}))
        with reading(Call.MEMBERS.what):
            return not answer["results"]

    def change(self, list_id: str, joins: Sequence[str], leaves: Sequence[str]) -> Memberships:
        """Put contacts into a list and take others out; none may be among both."""
        body: Json = {"recordIdsToAdd": list(joins), "recordIdsToRemove": list(leaves)}
        answer, doubtful = self._caller.send(Request(Call.CHANGE_LIST, {"list": list_id}, body=body), settles=True)
        return Memberships.read(answer, doubtful=doubtful)
