"""HubSpot's error bodies and batch answers (source: Error handling; what its pages leave out is as recorded)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response


class Problem(Exception):
    """An error answer. ``more`` goes into the body."""

    def __init__(self, status: int, category: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
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


def missing_scope(scope: str) -> Problem:
    """403, with the scope that is missing."""
    message = "This app hasn't been granted all required scopes to make this call."
    required = {
        "message": "One or more of the following scopes are required.",
        "context": {"requiredGranularScopes": [scope]},
    }
    return Problem(403, "MISSING_SCOPES", message, errors=[required])


def unknown(ids: list[str]) -> dict[str, Any]:
    """Return the entry of a 207 that names records which are not there."""
    message = "Could not get some CONTACT objects, they may be deleted or not exist. Check that ids are valid."
    return {"status": "error", "category": "OBJECT_NOT_FOUND", "message": message, "context": {"ids": ids}}


def batch(results: list[dict[str, Any]], errors: list[dict[str, Any]], status: int = 200) -> Response:
    """``status``, or 207 when some rows failed."""
    answer = {"status": "COMPLETE", "results": results, "startedAt": now(), "completedAt": now()}
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


def now() -> str:
    """Return the present instant as HubSpot writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
