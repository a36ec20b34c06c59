"""Contacts and deals as records, and what belongs to them.

Source: CRM API, objects, search, associations and pipelines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from leadup.types import Json
from leadup_connectors.hubspot.batches import parts
from leadup_connectors.hubspot.client.caller import Caller
from leadup_connectors.hubspot.client.contacts import BATCH
from leadup_connectors.hubspot.client.routes import Call
from leadup_connectors.hubspot.client.wire import Query, Request
from leadup_connectors.hubspot.records import Found, Linked, Record, Stage

LIST_PAGE: Final = 100
"""Most records of a page of a list."""
SEARCH_PAGE: Final = 200
"""Most records of a page of a search."""
LONGEST_QUERY: Final = 4_000
"""Characters of properties that are asked for in an address: HubSpot refuses one that is too long (414), and states no
number; many servers draw the line at 8,000."""
ASSOCIATIONS: Final = 1_000
"""Most records whose associations one call reads (source: Associations API, v4, "Limitations")."""


class Objects:
    """Calls about the records of a type: ``contacts`` or ``deals``."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def page(
        self, of: str, properties: Sequence[str], after: str, *, limit: int = LIST_PAGE, archived: bool = False
    ) -> Found:
        """Return a page of all records, in the order of their ids; ``archived``: of those deleted in 90 days.

        Of records that live there may be many properties, which are then read by a second call; of deleted ones only a
        few, since that call does not tell of them. ``after``: the page before told it; "" for the first page.
        """
        wanted = list(properties)
        by_id = not archived and sum(len(f"properties={name}&") for name in wanted) > LONGEST_QUERY
        query: Query = {
            "limit": min(limit, LIST_PAGE),
            "properties": [] if by_id else wanted,
            "archived": str(archived).lower(),
        }
        where: Query = {"after": after} if after else {}
        page = Found.read(self._caller.send(Request(Call.LIST_RECORDS, {"objects": of}, {**query, **where}))[0])
        if not by_id:
            return page
        read = self.read(of, (one.id for one in page.records), wanted)
        return Found([read[one.id] for one in page.records if one.id in read], page.after)

    def search(
        self, of: str, filters: Iterable[tuple[str, str, str]], by: str, properties: Sequence[str], limit: int
    ) -> Sequence[Record]:
        """Return the first records, in the ascending order of a property, that pass all filters.

        Args:
            of: the type.
            filters: property, operator (``GTE``) and value of each.
            by: the property to sort by.
            properties: those that are wanted.
            limit: most records.
        """
        asked = [{"propertyName": name, "operator": operator, "value": value} for name, operator, value in filters]
        body: Json = {
            "filterGroups": [{"filters": asked}],
            "sorts": [{"propertyName": by, "direction": "ASCENDING"}],
            "properties": list(properties),
            "limit": min(limit, SEARCH_PAGE),
            "after": "0",
        }
        return Found.read(self._caller.ask(Call.SEARCH_RECORDS, body, objects=of)).records

    def read(self, of: str, ids: Iterable[str], properties: Sequence[str]) -> dict[str, Record]:
        """Return records by their ids; one that is not there is left out."""
        found: dict[str, Record] = {}
        for part in parts(dict.fromkeys(ids), BATCH):
            body: Json = {
                "properties": list(properties),
                "propertiesWithHistory": [],
                "inputs": [{"id": one} for one in part],
            }
            found.update(
                (one.id, one) for one in Found.read(self._caller.ask(Call.READ_RECORDS, body, objects=of)).records
            )
        return found

    def contacts_of(self, deals: Iterable[str]) -> Mapping[str, Sequence[Linked]]:
        """Return the contacts that deals are associated with; a deal without any is left out."""
        found: dict[str, list[Linked]] = {}
        for part in parts(deals, ASSOCIATIONS):
            body: Json = {"inputs": [{"id": deal} for deal in part]}
            answer = self._caller.ask(Call.READ_ASSOCIATIONS, body, **{"from": "deals", "to": "contacts"})
            found |= Linked.all(answer)
        return found

    def stages(self) -> Mapping[str, Stage]:
        """Return the stages of all pipelines of deals, by id."""
        return Stage.all(self._caller.ask(Call.PIPELINES, objects="deals"))
