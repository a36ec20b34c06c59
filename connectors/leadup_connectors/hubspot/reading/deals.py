"""Deals as events: ``deal_stage`` for each stage that one entered, ``deal_won`` and ``deal_lost`` for how it ended.

What a deal says is a function of the deal as it stands. Its events have ids of their own, so that an edit (of the
amount, of the closing date) revises them, and one that holds no more (a won deal is open again) is taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Final

from leadup.types import Event, Identifier, Json, Kind
from leadup_connectors.hubspot.client import HubSpotClient
from leadup_connectors.hubspot.reading.brought import Brought, translated
from leadup_connectors.hubspot.reading.contacts import CLICKED, MERGED, Contacts
from leadup_connectors.hubspot.records import Linked, Record, Stage
from leadup_connectors.hubspot.settings import HubSpotSettings

CHANGED: Final = "hs_lastmodifieddate"
ENTERED: Final = "hs_v2_date_entered_"
"""With the stage's id: when the deal entered it last (source: "Use stage calculated properties")."""
KEPT: Final = (MERGED,)
"""Properties that are read of a deleted deal."""
MOST_WAITING: Final = 10_000
"""Deals without a contact that are remembered, to be looked at again: HubSpot documents nowhere that a deal counts as
changed when somebody associates it with a contact."""
LOOKED_AT: Final = 1_000
"""Of these, how many are looked at each time, in turns."""
_TOO_MANY: Final = (
    f"more than {MOST_WAITING:,} deals have no contact: when one beyond these gets a contact, "
    "that is seen only once the deal changes"
)
_ASKED: Final = (
    *("dealstage", "pipeline", "amount", "deal_currency_code", "createdate", "closedate"),
    *("hs_is_closed", "hs_is_closed_won", MERGED),
)
_WON, _LOST = "deal_won", "deal_lost"


class Deals:
    """Turns deals into events of the contacts that they belong to."""

    def __init__(self, connection: str, settings: HubSpotSettings, client: HubSpotClient, contacts: Contacts) -> None:
        self._connection, self._client, self._contacts = connection, client, contacts
        self._stages: Mapping[str, Stage] = {}
        self._id_of = settings.id_of
        self._alone = "contacts" not in settings.read

    @property
    def properties(self) -> list[str]:
        """Properties that are read; pipelines are looked up for them."""
        return [*_ASKED, *(f"{ENTERED}{stage}" for stage in self._stages)]

    def look_up_stages(self) -> None:
        """Look at the pipelines, which people change now and then."""
        self._stages = self._client.objects.stages()

    def events(self, deals: Iterable[Record], waiting: list[str]) -> Brought:
        """Return what deals say.

        Args:
            deals: the deals.
            waiting: deals without a contact, by id: those that have one now leave it, new ones join it.
        """
        ones = list(deals)
        linked = self._client.objects.contacts_of(one.id for one in ones)
        chosen = {deal: chosen_of(contacts) for deal, contacts in linked.items()}
        contacts = self._client.objects.read("contacts", chosen.values(), [*self._contacts.identifying, CLICKED])

        def tell(deal: Record, brought: Brought) -> None:
            told = {event.id: event for event in self._told(deal, chosen.get(deal.id, ""), contacts)}
            brought.taken_back += [one for one in self._ids(deal) if one not in told]
            for gone in {*deal.several(MERGED)}.intersection(waiting):
                waiting.remove(gone)
            new = deal.id not in waiting
            if deal.id in chosen:
                brought.records += told.values()
                if not new:
                    waiting.remove(deal.id)
                return
            brought.taken_back += told
            if new:
                waiting.append(deal.id)
            if new and f"deal-{deal.id}-won" in told:
                brought.reject(f"deals/{deal.id}", "the deal is won and has no contact: it counts once it has one", {})

        brought = translated(ones, tell, lambda one: f"deals/{one.id}")
        if len(waiting) > MOST_WAITING:
            del waiting[:-MOST_WAITING]
            brought.reject("deals", _TOO_MANY, {})
        return brought

    def found(self, waiting: list[str]) -> Brought:
        """Return what those deals say that have a contact by now, of those whose turn it is."""
        turn = waiting[:LOOKED_AT]
        waiting[:] = [*waiting[LOOKED_AT:], *turn]
        linked = self._client.objects.contacts_of(turn) if turn else {}
        if not linked:
            return Brought()
        return self.events(self._client.objects.read("deals", linked, [CHANGED, *self.properties]).values(), waiting)

    def endings(self, deleted: Iterable[Record], waiting: list[str]) -> Brought:
        """Return what it means that deals were deleted: as if they had never been."""
        brought = Brought()
        for deal in deleted:
            brought.taken_back += self._ids(deal, stages=True)
            if deal.id in waiting:
                waiting.remove(deal.id)
        return brought

    def _ids(self, deal: Record, *, stages: bool = False) -> Iterator[str]:
        """Ids of events that a deal may have brought, and of all those it was merged with."""
        for one in (deal.id, *deal.several(MERGED)):
            yield f"deal-{one}-won"
            yield f"deal-{one}-lost"
            if stages or one != deal.id:
                yield from (f"deal-{one}-stage-{stage}" for stage in self._stages)

    def _told(self, deal: Record, contact: str, contacts: Mapping[str, Record]) -> Iterator[Event]:
        who: tuple[Identifier, ...] = (Identifier(Kind.HUBSPOT_ID, self._id_of(contact)),) if contact else ()
        clicked = {}
        if (record := contacts.get(contact)) is not None:
            clicked = {"gclid": record.properties[CLICKED]} if CLICKED in record.properties else {}
            who = self._contacts.identifiers(record) if self._alone else who

        def event(kind: str, name: str, at: datetime, stage: str) -> Event:
            return Event(
                source=self._connection,
                id=f"deal-{deal.id}-{kind}",
                name=name,
                at=at,
                identifiers=who,
                properties=self._properties(deal, stage),
                click_ids=clicked,
            )

        for stage in self._stages:
            if (entered := f"{ENTERED}{stage}") in deal.properties:
                yield event(f"stage-{stage}", "deal_stage", deal.instant(entered), stage)
        stage = deal.properties.get("dealstage", "")
        if (end := self._end(deal)) is not None:
            yield event("won" if end == _WON else "lost", end, self._ended(deal, end), stage)

    def _end(self, deal: Record) -> str | None:
        """``deal_won`` or ``deal_lost``; None: it is open."""
        stage = self._stages.get(deal.properties.get("dealstage", ""))
        won, closed = deal.properties.get("hs_is_closed_won"), deal.properties.get("hs_is_closed")
        if won == "true" or (won is None and stage is not None and stage.won):
            return _WON
        if closed == "true" or (closed is None and stage is not None and stage.lost):
            return _LOST
        return None

    def _ended(self, deal: Record, end: str) -> datetime:
        """When it was won or lost: when it first entered a stage of this end.

        A deal that was over before HubSpot had it, as an import brings them, has only its closing date.
        """
        if {"createdate", "closedate"} <= deal.properties.keys():
            closed = deal.instant("closedate")
            if closed < deal.instant("createdate"):
                return closed
        stages = [one for one in self._stages.values() if (one.won if end == _WON else one.lost)]
        entered = [deal.instant(f"{ENTERED}{one.id}") for one in stages if f"{ENTERED}{one.id}" in deal.properties]
        return min(entered) if entered else deal.instant("closedate" if "closedate" in deal.properties else CHANGED)

    def _properties(self, deal: Record, stage: str) -> dict[str, Json]:
        of = self._stages.get(stage)
        said: dict[str, Json] = {"deal_id": deal.id, "stage": stage}
        if of is not None:
            said |= {"stage_label": of.label, "pipeline": of.pipeline, "pipeline_label": of.pipeline_label}
        if "amount" in deal.properties:
            said["amount"] = deal.properties["amount"]
            said["currency"] = deal.properties.get("deal_currency_code") or self._currency
        return said

    @cached_property
    def _currency(self) -> str:
        """The account's own, which amounts are in that name none."""
        return self._client.account().currency


def chosen_of(contacts: Iterable[Linked]) -> str:
    """Return the one contact that a deal counts for: one that is called primary, else the one known longest.

    A deal is one conversion, however many people took part.
    """
    return min(contacts, key=lambda one: (not one.primary, len(one.contact), one.contact)).contact
