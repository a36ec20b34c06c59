"""Which deals belong to which contacts (source: Associations API, v4).

The body of a 207 and the numbers of ``toObjectId`` in v4, which the OpenAPI file calls text, are as recorded by others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from leadup_connectors.hubspot.sandbox.answers import Now, batch, invalid, rows_of
from leadup_connectors.hubspot.sandbox.contacts import Contacts
from leadup_connectors.hubspot.sandbox.deals import Deals
from leadup_connectors.hubspot.sandbox.objects import Objects

MOST = 1000
"""Most inputs of a batch."""
PAGE = 500
"""Associations of a record that one answer tells."""
TYPES = {("deals", "contacts"): 3, ("contacts", "deals"): 4}


class Associations:
    """The pairs of a deal and a contact, each with the labels it bears besides the plain one."""

    def __init__(self, contacts: Contacts, deals: Deals, now: Now) -> None:
        self._contacts, self._deals, self._now = contacts, deals, now
        self._pairs: dict[tuple[str, str], list[str]] = {}
        """Deal and contact -> labels."""
        self._labels: dict[str, int] = {}

    def add(self, deal: str, contact: str, label: str = "") -> None:
        """Associate a deal with a contact."""
        labels = self._pairs.setdefault((deal, contact), [])
        if label and label not in labels:
            labels.append(label)
            self._labels.setdefault(label, len(self._labels) + 1)

    def drop(self, contact: str, heir: str = "") -> None:
        """Forget a contact that vanished; a merge leaves its deals to the other one."""
        for deal, who in [pair for pair in self._pairs if pair[1] == contact]:
            labels = self._pairs.pop((deal, who))
            if heir:
                self._pairs.setdefault((deal, heir), labels)

    def of(self, objects: Objects, record: str) -> list[tuple[str, list[str]]]:
        """Return the records that one is associated with, and the labels."""
        mine = 0 if objects is self._deals else 1
        living = self._contacts if objects is self._deals else self._deals
        told = [(pair[1 - mine], labels) for pair, labels in self._pairs.items() if pair[mine] == record]
        return sorted((each for each in told if each[0] in living), key=lambda each: int(each[0]))

    def basic(self, objects: Objects, record: str, asked: Iterable[str]) -> dict[str, Any]:
        """Return the part ``associations`` of a basic read; a labelled pair comes once more per label."""
        other = self._contacts if objects is self._deals else self._deals
        told = self.of(objects, record)
        if not {other.name, other.type_id} & {*asked} or not told:
            return {}
        plain = f"{objects.kind.lower()}_to_{other.kind.lower()}"
        rows = [{"id": i, "type": name} for i, labels in told for name in (plain, *map(_snake, labels))]
        return {"associations": {other.name: {"results": rows}}}

    def read(self, request: Request, body: Any) -> Response:
        """Answer who belongs to each of these records."""
        objects, other = (self._objects(request.path_params[name]) for name in ("from", "to"))
        if objects is other:
            raise invalid("Deals and contacts belong to each other.")
        results, errors = [], []
        for each in rows_of(body, MOST):
            record, after = str(each.get("id")), int(each.get("after") or 0)
            told = [pair for pair in self.of(objects, record) if int(pair[0]) > after]
            if not told:
                errors.append(_nobody(objects, other, record))
                continue
            to = [self._to(request, objects, other, *pair) for pair in told[:PAGE]]
            paging = {"paging": {"next": {"after": told[PAGE - 1][0]}}} if len(told) > PAGE else {}
            results.append({"from": {"id": record}, "to": to, **paging})
        return batch(results, errors, self._now())

    def _to(self, request: Request, objects: Objects, other: Objects, record: str, labels: list[str]) -> dict[str, Any]:
        plain = {"category": "HUBSPOT_DEFINED", "typeId": TYPES[objects.name, other.name], "label": None}
        theirs = [{"category": "USER_DEFINED", "typeId": self._labels[name], "label": name} for name in labels]
        return {"toObjectId": record if request.state.dated else int(record), "associationTypes": [plain, *theirs]}

    def _objects(self, name: str) -> Objects:
        for each in (self._contacts, self._deals):
            if name.lower() in (each.name, each.kind.lower(), each.type_id):
                return each
        raise invalid(f"Unable to infer object type from: {name}")


def _nobody(objects: Objects, other: Objects, record: str) -> dict[str, Any]:
    here, there = objects.kind.lower(), other.kind.lower()
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "message": f"No {there} is associated with {here} {record}.",
        "context": {"fromObjectId": [record], "fromObjectType": [here], "toObjectType": [there]},
    }


def _snake(label: str) -> str:
    return label.lower().replace(" ", "_")
