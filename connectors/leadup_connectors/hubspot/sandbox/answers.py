"""HubSpot's error bodies and batch answers (source: Error handling; what its pages leave out is as recorded)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Handler = Callable[[Request, Any], Response]
"""What answers a call, given the request and its body as JSON."""
Now = Callable[[], datetime]
"""The account's clock: the present instant, aware, in UTC."""


class Problem(Exception):
    """An error answer. ``more`` goes into the body; ``existing`` is named only where rows fail one by one."""

    def __init__(self, status: int, category: str, message: str, *, existing: str = "", **more: Any) -> None:
        super().__init__(message)
        self.status, self.existing = status, existing
        self.body = {"status": "error", "message": message, **more}
        if category:
            self.body["category"] = category


def invalid(message: str, **more: Any) -> Problem:
    """400: the request is wrong as a whole."""
    return Problem(400, "VALIDATION_ERROR", message, **more)


def not_found(what: str) -> Problem:
    """404."""
    return Problem(404, "OBJECT_NOT_FOUND", f"{what} does not exist.")


def limit_reached(policy: str) -> Problem:
    """429, as recorded: without a category, against HubSpot's own error schema."""
    message = f"You have reached your {policy.lower()} limit."
    return Problem(429, "", message, errorType="RATE_LIMIT", policyName=policy, groupName="publicapi:crm")


def missing_scope(*scopes: str) -> Problem:
    """403, with the scopes of which one is missing."""
    message = "This app hasn't been granted all required scopes to make this call."
    required = {
        "message": "One or more of the following scopes are required.",
        "context": {"requiredGranularScopes": [*scopes]},
    }
    return Problem(403, "MISSING_SCOPES", message, errors=[required])


def unknown(ids: Sequence[str], kind: str = "CONTACT") -> dict[str, Any]:
    """Return the entry of a 207 that names records which are not there."""
    message = f"Could not get some {kind} objects, they may be deleted or not exist. Check that ids are valid."
    return {"status": "error", "category": "OBJECT_NOT_FOUND", "message": message, "context": {"ids": [*ids]}}


def failed(problem: Problem, **context: Sequence[str]) -> dict[str, Any]:
    """Return the entry of a 207 for the rows in ``context`` that met this problem."""
    told = {name: [*ids] for name, ids in context.items()} | (
        {"existingId": [problem.existing]} if problem.existing else {}
    )
    return {**problem.body, "context": {**problem.body.get("context", {}), **told}}


def batch(
    results: Sequence[Mapping[str, Any]], errors: Sequence[Mapping[str, Any]], at: datetime, status: int = 200
) -> Response:
    """``status``, or 207 when some rows failed."""
    answer = {"status": "COMPLETE", "results": results, "startedAt": stamp(at), "completedAt": stamp(at)}
    if errors:
        return JSONResponse(answer | {"numErrors": len(errors), "errors": errors}, 207)
    return JSONResponse(answer, status)


def require(body: Any, *names: str) -> None:
    """Refuse a body that is no object, or lacks one of these fields."""
    if not isinstance(body, dict):
        raise invalid("Invalid input JSON: an object is expected")
    missing = [name for name in names if not body.get(name)]
    if missing:
        raise invalid(f"Some required fields were not set: {missing}")


def rows_of(body: Any, most: int) -> list[dict[str, Any]]:
    """Return the inputs of a batch; refuse one that has none, or more than ``most``."""
    require(body, "inputs")
    inputs: list[dict[str, Any]] = body["inputs"]
    if not isinstance(inputs, list) or not all(isinstance(each, dict) for each in inputs):
        raise invalid("Invalid input JSON: an array of objects is expected")
    if len(inputs) > most:
        raise invalid(f"The batch has {len(inputs)} inputs; {most} are allowed.")
    return inputs


def number(request: Request, name: str, default: int, most: int) -> int:
    """Return a whole number of the query, refused beyond 1 to ``most``."""
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise invalid(f"{name} must lie between 1 and {most}")
    return int(text)


def stamp(at: datetime) -> str:
    """Return an instant as HubSpot writes it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
