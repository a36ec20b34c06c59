"""Pipelines of deals and their stages (source: Pipelines API)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leadup_connectors.hubspot.sandbox.answers import Now, not_found, stamp


@dataclass(frozen=True)
class DealStage:
    """One stage. Won is what is closed with a probability of 1."""

    id: str
    label: str
    probability: float
    closed: bool

    @property
    def won(self) -> bool:
        return self.closed and self.probability == 1


@dataclass(frozen=True)
class Pipeline:
    """One pipeline, with its stages in order."""

    id: str
    label: str
    stages: tuple[DealStage, ...]


DEFAULT = Pipeline(
    "default",
    "Sales Pipeline",
    (
        DealStage("appointmentscheduled", "Appointment scheduled", 0.2, closed=False),
        DealStage("qualifiedtobuy", "Qualified to buy", 0.4, closed=False),
        DealStage("presentationscheduled", "Presentation scheduled", 0.6, closed=False),
        DealStage("decisionmakerboughtin", "Decision maker bought-in", 0.8, closed=False),
        DealStage("contractsent", "Contract sent", 0.9, closed=False),
        DealStage("closedwon", "Closed won", 1.0, closed=True),
        DealStage("closedlost", "Closed lost", 0.0, closed=True),
    ),
)
"""The pipeline that every account has at first."""


class Pipelines:
    """The pipelines of deals. The ids of stages are unique among all."""

    def __init__(self, now: Now) -> None:
        self.all = {DEFAULT.id: DEFAULT}
        self._made = now()

    def add(self, pipeline: str, label: str, stages: Mapping[str, tuple[str, float, bool]]) -> None:
        """Create a pipeline; ``stages`` gives label, probability and whether it is closed by the stage's id."""
        told = tuple(DealStage(i, name, chance, closed=closed) for i, (name, chance, closed) in stages.items())
        self.all[pipeline] = Pipeline(pipeline, label, told)

    def stages(self) -> dict[str, tuple[Pipeline, DealStage]]:
        """All stages with their pipelines, by the stage's id."""
        return {stage.id: (pipeline, stage) for pipeline in self.all.values() for stage in pipeline.stages}

    # ------------------------------------------------------------ calls

    def list(self, request: Request, _body: Any) -> Response:
        self._deals(request)
        return JSONResponse({"results": [self._wire(each, i) for i, each in enumerate(self.all.values())]})

    def one(self, request: Request, _body: Any) -> Response:
        return JSONResponse(self._wire(self._one(request), 0))

    def stages_of(self, request: Request, _body: Any) -> Response:
        return JSONResponse({"results": self._wire(self._one(request), 0)["stages"]})

    def _deals(self, request: Request) -> None:
        if request.path_params["object"] not in ("deals", "0-3"):
            raise not_found("Pipeline")

    def _one(self, request: Request) -> Pipeline:
        self._deals(request)
        found = self.all.get(request.path_params["pipeline"])
        if found is None:
            raise not_found("Pipeline")
        return found

    def _wire(self, pipeline: Pipeline, order: int) -> dict[str, Any]:
        dates = {"createdAt": stamp(self._made), "updatedAt": stamp(self._made), "archived": False}
        return {
            "id": pipeline.id,
            "label": pipeline.label,
            "displayOrder": order,
            "stages": [
                {
                    "id": stage.id,
                    "label": stage.label,
                    "displayOrder": place,
                    # Both are text.
                    "metadata": {"isClosed": str(stage.closed).lower(), "probability": str(stage.probability)},
                    "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
                    **dates,
                }
                for place, stage in enumerate(pipeline.stages)
            ],
            **dates,
        }
