"""Folders that lists lie in (source: Lists API, folders)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leadup.types import Json
from leadup_connectors.hubspot.sandbox.answers import Now, invalid, not_found, require, stamp
from leadup_connectors.hubspot.sandbox.memberships import List

ROOT = "0"


@dataclass
class Folder:
    """One folder."""

    id: str
    name: str
    parent: str
    created: datetime


class Folders:
    """All folders of the account, below the root folder "0". Several may have one name."""

    def __init__(self, lists: Mapping[str, List], now: Now) -> None:
        self.all = {ROOT: Folder(ROOT, "", "", now())}
        self._lists, self._now = lists, now
        self._ids = itertools.count(1)

    def known(self, folder: object) -> str:
        """Return the id of a folder, which calls write as a number or as text; refuse one that is not there."""
        if str(folder) not in self.all:
            raise invalid("The folder does not exist.")
        return str(folder)

    def name(self, folder: str) -> str:
        """Return a folder's name."""
        return self.all[folder].name

    def add(self, name: str, parent: str = ROOT) -> str:
        """Create a folder and return its id."""
        new = Folder(str(next(self._ids)), name, parent, self._now())
        self.all[new.id] = new
        return new.id

    def drop(self, name: str) -> None:
        """Delete the folder with this name."""
        self._delete(next(each for each in self.all.values() if each.name == name and each.id != ROOT))

    def content(self) -> list[dict[str, Json]]:
        """All folders but the root, with the names of the lists in them."""
        return [
            {"id": each.id, "name": each.name, "parent": each.parent, "lists": [i.name for i in self._in(each.id)]}
            for each in self.all.values()
            if each.id != ROOT
        ]

    # ------------------------------------------------------------ calls

    def one(self, request: Request, _body: Any) -> Response:
        """Answer a folder with its lists and all folders below it, whose lists are left out."""
        return self._answer(self._one(request.query_params.get("folderId") or ROOT))

    def create(self, _request: Request, body: Any) -> Response:
        require(body, "name")
        return self._answer(self.all[self.add(body["name"], self.known(body.get("parentFolderId") or ROOT))])

    def rename(self, request: Request, _body: Any) -> Response:
        folder, name = self._one(request.path_params["folder"]), request.query_params.get("newFolderName")
        if not name or folder.id == ROOT:
            raise invalid("Some required fields were not set: ['newFolderName']")
        folder.name = name
        return self._answer(folder)

    def move(self, request: Request, _body: Any) -> Response:
        folder, parent = self._one(request.path_params["folder"]), self._one(request.path_params["parent"])
        above = parent
        while above.id not in (ROOT, folder.id):
            above = self.all[above.parent]
        if folder.id in (ROOT, above.id):
            raise invalid("A folder does not lie in itself.")
        folder.parent = parent.id
        return self._answer(folder)

    def delete(self, request: Request, _body: Any) -> Response:
        self._delete(self._one(request.path_params["folder"]))
        return Response(status_code=204)

    def _delete(self, folder: Folder) -> None:
        below = any(each.parent == folder.id for each in self.all.values())
        if folder.id == ROOT or below or self._in(folder.id):
            raise invalid("Only an empty folder can be deleted.")
        del self.all[folder.id]

    def _one(self, folder: str) -> Folder:
        if folder not in self.all:
            raise not_found("Folder")
        return self.all[folder]

    def _in(self, folder: str) -> list[List]:
        return [each for each in self._lists.values() if each.folder == folder and not each.deleted]

    def _answer(self, folder: Folder) -> Response:
        return JSONResponse({"folder": self._tree(folder) | {"childLists": [int(i.id) for i in self._in(folder.id)]}})

    def _tree(self, folder: Folder) -> dict[str, Any]:
        below = [each for each in self.all.values() if each.parent == folder.id]
        return {
            "id": folder.id,
            "name": folder.name,
            "parentFolderId": folder.parent or ROOT,
            "childLists": [],
            "childNodes": [self._tree(each) for each in below],
            "createdAt": stamp(folder.created),
            "updatedAt": stamp(folder.created),
        }
