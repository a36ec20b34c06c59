"""Deals (source: CRM API, deals)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from leadup_connectors.hubspot.sandbox.answers import Now, stamp
from leadup_connectors.hubspot.sandbox.objects import Objects, Refuses
from leadup_connectors.hubspot.sandbox.pipelines import Pipelines

GIVEN: Mapping[str, Mapping[str, Any]] = {
    "dealname": {},
    "amount": {"kind": "number"},
    "deal_currency_code": {"kind": "enumeration", "options": ("EUR", "USD", "GBP", "CHF")},
    "closedate": {"kind": "datetime"},
    "hubspot_owner_id": {},
    "hs_is_closed": {"kind": "bool", "read_only": True},
    "hs_is_closed_won": {"kind": "bool", "read_only": True},
    "hs_deal_stage_probability": {"kind": "number", "read_only": True},
}
ENTERED = "hs_v2_date_entered_"
"""With a stage's id: when the deal entered it last (source: "Use stage calculated properties")."""
SHOWN = (
    "amount",
    "closedate",
    "createdate",
    "dealname",
    "dealstage",
    "hs_lastmodifieddate",
    "hs_object_id",
    "pipeline",
)


class Deals(Objects):
    """All deals of the account. What stage one is in says whether it is closed, and won."""

    name, type_id, kind, first = "deals", "0-3", "DEAL", 700_001
    group, changed = ("dealinformation", "Deal information"), "hs_lastmodifieddate"
    given, shown = GIVEN, SHOWN

    def __init__(self, now: Now, refuses: Refuses) -> None:
        super().__init__(now, refuses)
        self.pipelines = Pipelines(now)
        self.know_stages()

    def know_stages(self) -> None:
        """Let ``pipeline`` and ``dealstage`` hold what the pipelines have."""
        self.properties.define("pipeline", "enumeration", options=self.pipelines.all)
        for stage in self.pipelines.stages():
            self.properties.define(f"{ENTERED}{stage}", "datetime", read_only=True)
        self.properties.define("dealstage", "enumeration", options=self.pipelines.stages(), field_type="radio")

    def add(self, values: Mapping[str, str], at: datetime | None = None) -> str:
        return super().add({**values, **self._follows(values, "", at)}, at)

    def write(self, record: str, values: Mapping[str, str], at: datetime | None = None) -> None:
        before = self.values[record].get("dealstage", "")
        super().write(record, {**values, **self._follows(values, before, at)}, at)

    def _follows(self, values: Mapping[str, str], before: str, at: datetime | None) -> dict[str, str]:
        """Return what HubSpot sets by itself when a deal comes to a stage."""
        found = self.pipelines.stages().get(values.get("dealstage", ""))
        if found is None:
            return {}
        pipeline, stage = found
        told = {
            "pipeline": pipeline.id,
            "hs_is_closed": str(stage.closed).lower(),
            "hs_is_closed_won": str(stage.won).lower(),
            "hs_deal_stage_probability": str(stage.probability),
        }
        if stage.id != before:
            told[f"{ENTERED}{stage.id}"] = stamp(at or self.now())
        if stage.closed and stage.id != before and "closedate" not in values:
            told["closedate"] = stamp(at or self.now())
        return told
