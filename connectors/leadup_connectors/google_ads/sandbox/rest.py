"""The REST door of the Data Manager API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from google.protobuf.json_format import MessageToDict, Parse, ParseError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from leadup.types import Json
from leadup_connectors.google_ads.sandbox.refusals import DOMAIN, Refusal, Violation, invalid

Call = Callable[[str, Any, dict[str, str]], Any]
"""A method's name, its request, and headers; returns the answer or raises a :class:`Refusal`."""
_KIND: Final = "type.googleapis.com/google.rpc."


class Rest:
    """Routes over ``call``; ``kinds`` are the requests' types by method, ``refused`` puts a refusal into an answer."""

    def __init__(self, call: Call, kinds: Callable[[str], Any], refused: Callable[[Refusal], Response]) -> None:
        self._call, self._kinds, self._refused = call, kinds, refused

    def routes(self) -> Sequence[BaseRoute]:
        """All paths, as the SDK's REST transport calls them."""
        lists = "/v1/accountTypes/{type}/accounts/{account}/userLists"
        return [
            self._route("/v1/audienceMembers:ingest", "POST", "IngestAudienceMembers", _body),
            self._route("/v1/audienceMembers:remove", "POST", "RemoveAudienceMembers", _body),
            self._route("/v1/audienceMembers:removeAll", "POST", "RemoveAllAudienceMembers", _body),
            self._route("/v1/events:ingest", "POST", "IngestEvents", _body),
            self._route("/v1/requestStatus:retrieve", "GET", "RetrieveRequestStatus", _status),
            self._route(lists, "POST", "CreateUserList", _create),
            self._route(lists, "GET", "ListUserLists", _list),
            self._route(lists + "/{id}", "GET", "GetUserList", _named),
            self._route(lists + "/{id}", "PATCH", "UpdateUserList", _update),
            self._route(lists + "/{id}", "DELETE", "DeleteUserList", _named),
        ]

    def _route(self, path: str, verb: str, method: str, fill: Callable[[Any, Request, bytes], None]) -> Route:
        async def endpoint(request: Request) -> Response:
            if not request.headers.get("authorization", "").startswith("Bearer "):
                return self._refused(Refusal(401, "CREDENTIALS_MISSING"))
            message, body = self._kinds(method).pb()(), await request.body()
            try:
                fill(message, request, body)
                answer = self._call(method, message, {"login-account": request.headers.get("login-account", "")})
            except Refusal as refusal:
                return self._refused(refusal)
            return JSONResponse(MessageToDict(answer, use_integers_for_enums=True))

        return Route(path, endpoint, methods=[verb])


def refused(refusal: Refusal, request_id: str, most_named: int) -> Response:
    """A ``google.rpc.Status`` as "Understand API errors" shows it."""
    named = [
        {"field": v.field, "description": v.description, "reason": v.reason} for v in refusal.violations[:most_named]
    ]
    details: list[Json] = [
        {"@type": f"{_KIND}ErrorInfo", "reason": refusal.reason, "domain": DOMAIN, "metadata": refusal.metadata},
        {"@type": f"{_KIND}RequestInfo", "requestId": request_id},
    ]
    if named:
        details.append({"@type": f"{_KIND}BadRequest", "fieldViolations": named})
    error: Json = {
        "code": refusal.status,
        "message": refusal.message,
        "status": refusal.code,
        "details": details,
    }
    return JSONResponse({"error": error}, refusal.status)


def _parse(body: bytes, message: Any) -> None:
    try:
        Parse(body or b"{}", message)
    except ParseError:
        raise invalid(Violation("", "INVALID_FORMAT")) from None


def _body(message: Any, _: Request, body: bytes) -> None:
    _parse(body, message)


def _status(message: Any, request: Request, _: bytes) -> None:
    message.request_id = request.query_params.get("requestId", "")


def _create(message: Any, request: Request, body: bytes) -> None:
    message.parent = _parent(request)
    message.validate_only = _validate_only(request)
    _parse(body, message.user_list)


def _list(message: Any, request: Request, _: bytes) -> None:
    asked = request.query_params
    message.parent = _parent(request)
    message.filter = asked.get("filter", "")
    message.page_token = asked.get("pageToken", "")
    message.page_size = int(asked.get("pageSize") or 0)


def _named(message: Any, request: Request, _: bytes) -> None:
    message.name = _name(request)
    if hasattr(message, "validate_only"):
        message.validate_only = _validate_only(request)


def _update(message: Any, request: Request, body: bytes) -> None:
    _parse(body, message.user_list)
    message.user_list.name = _name(request)
    message.update_mask.FromJsonString(request.query_params.get("updateMask", ""))
    message.validate_only = _validate_only(request)


def _validate_only(request: Request) -> bool:
    return request.query_params.get("validateOnly") == "true"


def _parent(request: Request) -> str:
    found = request.path_params
    return f"accountTypes/{found['type']}/accounts/{found['account']}"


def _name(request: Request) -> str:
    return f"{_parent(request)}/userLists/{request.path_params['id']}"
