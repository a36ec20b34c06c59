"""An emulator of the Data Manager API (REST, v1), as its pages document it. With ``client.py`` the only SDK user.

Requests and answers go through Google's own protobuf messages, so that a field that does not exist is refused here as
it is there. Accepted work is done later: a request is PROCESSING for some polls, and what it does shows in
:meth:`GoogleAdsSandbox.members` and :meth:`GoogleAdsSandbox.conversions` once it, or a later one, is worked off.
"""

from __future__ import annotations

import copy
import itertools
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from google.ads import datamanager_v1 as v1
from google.protobuf.json_format import MessageToDict, Parse, ParseError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from leadup.sandbox import Fault, Sandbox, Weather
from leadup.types import Json
from leadup_connectors.google_ads import sandbox_checks as checks
from leadup_connectors.google_ads.sandbox_account import Accepted, Account, UserList, identifiers, rows_of
from leadup_connectors.google_ads.sandbox_checks import Violation

_STATES = v1.RequestStatusPerDestination.RequestStatus
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_REASONS = {401: "ACCESS_TOKEN_EXPIRED", 429: "RATE_LIMIT_EXCEEDED", 500: "INTERNAL_ERROR"}
_WRITES = "IngestionMutateRequestsPerMinutePerProject"
_READS = "IngestionReadRequestsPerMinutePerProject"
_FILTER = re.compile(r'display_name = "((?:[^"\\]|\\.)*)"')
_FIRST_ID = 7_000_000_001


class _Refusal(Exception):
    """Becomes an answer with an error body."""

    def __init__(self, status: int, reason: str, violations: Iterable[Violation] = (), **metadata: str) -> None:
        super().__init__(reason)
        self.status, self.reason, self.violations, self.metadata = status, reason, tuple(violations), metadata


class GoogleAdsSandbox(Sandbox):
    """A Google Ads account behind the Data Manager API.

    ``account.actions``: type by id of the conversion actions that exist; None: every id is one of type UPLOAD_CLICKS.
    ``manager``: when set, the account that the credentials' access goes through: calls must name it as login account.
    ``polls``: how many polls a request is PROCESSING for. ``per_minute``: ingestion requests a minute, writes and reads
    apart. ``most_named``: how many bad rows an answer names at most (Google does not say).

    A ``reject`` fault whose code is a processing reason (``TOO_RECENT_CLICK``) fails rows later, by count; any other
    code refuses the request at once and names the rows.
    """

    name = "google_ads"

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._timer = timer
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget everything: what was sent, faults, the log, and changes to the attributes above."""
        with self._lock:
            self.account = Account()
            self.manager = ""
            self.polls = 1
            self.per_minute = 300
            self.most_named = 100
            self.weather = Weather()
            self._ids = itertools.count(_FIRST_ID)
            self._spent: dict[str, list[float]] = {_WRITES: [], _READS: []}

    def seed(self, data: Mapping[str, Any]) -> None:
        """Take ``actions`` (``{"987654321": "UPLOAD_CLICKS"}``), ``manager``, ``polls`` and ``per_minute``."""
        own = ("manager", "polls", "per_minute")
        with self._lock:
            vars(self).update({key: data[key] for key in own if key in data})
            self.account.actions = data.get("actions", self.account.actions)
        super().seed({key: value for key, value in data.items() if key not in (*own, "actions")})

    # ------------------------------------------------------------ what it holds

    def members(self, name: str) -> frozenset[str]:
        """Identifiers (hashes or user ids) in the list of this display name; none when there is no such list."""
        with self._lock:
            found = [u.members for u in self.account.lists.values() if u.message.display_name == name]
            return frozenset().union(*found)

    def conversions(self, action_id: str) -> dict[str, dict[str, Any]]:
        """Conversions of an action by transaction id: value, currency, count, at, click_id, identifiers, history."""
        with self._lock:
            return copy.deepcopy(self.account.conversions.get(action_id, {}))

    @property
    def redundant(self) -> Counter[str]:
        """Rows that changed nothing when they were worked off, by verb: join, leave, convert."""
        with self._lock:
            return +self.account.redundant

    def settle(self) -> None:
        """Work off all that was accepted (also ``POST /_sandbox/settle``)."""
        with self._lock:
            self.account.work_off()
            for accepted in self.account.accepted.values():
                accepted.polls = 0

    def state(self) -> Json:
        with self._lock:
            requests = self.account.accepted.values()
            return {
                "user_lists": [
                    {
                        "id": key,
                        "name": found.message.display_name,
                        "account": found.account,
                        "key_types": [v1.IngestedUserListInfo.UploadKeyType(k).name for k in sorted(found.key_types)],
                        "membership_days": found.message.membership_duration.seconds // 86_400,
                        "members": sorted(found.members),
                    }
                    for key, found in self.account.lists.items()
                ],
                "conversions": copy.deepcopy(self.account.conversions),
                "requests": {"accepted": len(requests), "waiting": sum(a.failed is None for a in requests)},
                "redundant": dict(+self.account.redundant),
            }

    # ------------------------------------------------------------ HTTP

    def routes(self) -> Sequence[BaseRoute]:
        lists = "/v1/accountTypes/GOOGLE_ADS/accounts/{account}/userLists"
        join = self._ingest("join", v1.IngestAudienceMembersRequest, checks.joins, self._no_list)
        leave = self._ingest("leave", v1.RemoveAudienceMembersRequest, checks.leaves, self._no_list)
        clear = self._ingest("remove_all", v1.RemoveAllAudienceMembersRequest, checks.remove_all, self._no_list)
        convert = self._ingest("convert", v1.IngestEventsRequest, checks.events, self._no_action)
        return [
            Route("/v1/audienceMembers:ingest", self._door(join), methods=["POST"]),
            Route("/v1/audienceMembers:remove", self._door(leave), methods=["POST"]),
            Route("/v1/audienceMembers:removeAll", self._door(clear), methods=["POST"]),
            Route("/v1/events:ingest", self._door(convert), methods=["POST"]),
            Route("/v1/requestStatus:retrieve", self._door(self._status), methods=["GET"]),
            Route(lists, self._door(self._create_list), methods=["POST"]),
            Route(lists, self._door(self._list_lists), methods=["GET"]),
            Route(lists + "/{id}", self._door(self._get_list), methods=["GET"]),
            Route(lists + "/{id}", self._door(self._delete_list), methods=["DELETE"]),
            Route("/_sandbox/settle", self._settle, methods=["POST"]),
        ]

    def error(self, status: int, fault: Fault | None = None) -> Response:
        code = fault.code if fault is not None else ""
        return self._refused(_Refusal(status, code or _REASONS.get(status, _CODES.get(status, "UNKNOWN"))))

    async def _settle(self, _: Request) -> Response:
        self.settle()
        return Response(status_code=204)

    def _door(self, answer: Callable[[Request, bytes], Json]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            if not request.headers.get("authorization", "").startswith("Bearer "):
                return self._refused(_Refusal(401, "CREDENTIALS_MISSING"))
            try:
                with self._lock:
                    return JSONResponse(answer(request, body))
            except _Refusal as refusal:
                return self._refused(refusal)

        return endpoint

    def _refused(self, refusal: _Refusal) -> Response:
        """A ``google.rpc.Status`` as "Understand API errors" shows it."""
        kind = "type.googleapis.com/google.rpc."
        domain = "datamanager.googleapis.com"
        named = [_field_violation(violation) for violation in refusal.violations[: self.most_named]]
        details: list[Json] = [
            {"@type": f"{kind}ErrorInfo", "reason": refusal.reason, "domain": domain, "metadata": refusal.metadata},
            {"@type": f"{kind}RequestInfo", "requestId": f"refused-{len(self.weather.log) + 1}"},
        ]
        if named:
            details.append({"@type": f"{kind}BadRequest", "fieldViolations": named})
        code = _CODES.get(refusal.status, "UNKNOWN")
        message = "There was a problem with the request." if refusal.status == 400 else code.replace("_", " ").lower()
        error: Json = {"code": refusal.status, "message": message, "status": code, "details": details}
        return JSONResponse({"error": error}, refusal.status)

    def _spend(self, quota: str) -> None:
        now = self._timer()
        spent = self._spent[quota] = [at for at in self._spent[quota] if now - at < 60]
        if len(spent) >= self.per_minute:
            raise _Refusal(429, "RATE_LIMIT_EXCEEDED", quota_limit=quota, quota_limit_value=str(self.per_minute))
        spent.append(now)

    # ------------------------------------------------------------ ingestion and its status

    def _ingest(
        self, verb: str, kind: Any, *found: Callable[[Any], Iterable[Violation]]
    ) -> Callable[[Request, bytes], Json]:
        def answer(request: Request, body: bytes) -> Json:
            self._spend(_WRITES)
            message = _parse(body, kind.pb()())
            if self.manager and any(d.login_account.account_id != self.manager for d in message.destinations):
                raise _Refusal(403, "PERMISSION_DENIED")
            fault = self.weather.take(request.url.path, "reject")
            at_once = fault if fault is not None and _processing_reason(fault.code) is None else None
            violations = [v for check in (checks.destinations, *found) for v in check(message)]
            if violations or at_once:
                raise _Refusal(400, "INVALID_ARGUMENT", [*violations, *_struck(message, at_once)])
            if message.validate_only:
                return {"requestId": "validated-only"}
            late = self.weather.take(request.url.path, "late")
            request_id = f"request-{len(self.account.accepted) + 1}"
            polls = self.polls + (late.polls if late else 0)
            self.account.accepted[request_id] = Accepted(request_id, verb, message, polls, fault)
            return {"requestId": request_id}

        return answer

    def _no_list(self, message: Any) -> Iterable[Violation]:
        return self.account.unknown_lists(message)

    def _no_action(self, message: Any) -> Iterable[Violation]:
        return self.account.unknown_actions(message)

    def _status(self, request: Request, _: bytes) -> Json:
        self._spend(_READS)
        accepted = self.account.accepted.get(request.query_params.get("requestId", ""))
        if accepted is None:
            raise _Refusal(400, "INVALID_ARGUMENT", [Violation("request_id", "INVALID_REQUEST_ID")])
        if processing := accepted.polls > 0:
            accepted.polls -= 1
        else:
            self.account.work_off(accepted)
        answer = v1.RetrieveRequestStatusResponse.pb()()
        for number, destination in enumerate(accepted.message.destinations):
            status = answer.request_status_per_destination.add(destination=destination)
            failed = Counter() if processing or accepted.failed is None else accepted.failed[number]
            _describe(status, accepted, accepted.rows(destination), failed)
            if processing:
                status.request_status = _STATES.PROCESSING.value
        return _json(answer)

    # ------------------------------------------------------------ user lists

    def _create_list(self, request: Request, body: bytes) -> Json:
        new, account = _parse(body, v1.UserList.pb()()), self._account_of(request)
        violations = list(checks.user_list(new))
        if any(u.message.display_name == new.display_name for u in self._owned(account)):
            violations.append(Violation("user_list.display_name", "DISPLAY_NAME_ALREADY_USED"))
        if violations:
            raise _Refusal(400, "INVALID_ARGUMENT", violations)
        if request.query_params.get("validateOnly") == "true":
            return {}
        new.id = next(self._ids)
        new.name = f"accountTypes/GOOGLE_ADS/accounts/{account}/userLists/{new.id}"
        new.membership_duration.seconds = new.membership_duration.seconds or checks.LONGEST_MEMBERSHIP
        new.membership_status = new.membership_status or v1.UserList.MembershipStatus.OPEN.value
        new.access_reason = v1.UserList.AccessReason.OWNED.value
        self.account.lists[str(new.id)] = UserList(new, account)
        return _json(new)

    def _list_lists(self, request: Request, _: bytes) -> Json:
        asked = request.query_params
        found = [u.message for u in self._owned(self._account_of(request))]
        if text := asked.get("filter"):
            if not (matched := _FILTER.fullmatch(text)):
                raise _Refusal(400, "INVALID_ARGUMENT", [Violation("filter", "INVALID_FILTER")])
            name = re.sub(r"\\(.)", r"\1", matched[1])
            found = [message for message in found if message.display_name == name]
        start, size = int(asked.get("pageToken") or 0), min(int(asked.get("pageSize") or 50), 1_000)
        answer = v1.ListUserListsResponse.pb()(user_lists=found[start : start + size])
        answer.next_page_token = str(start + size) if start + size < len(found) else ""
        return _json(answer)

    def _get_list(self, request: Request, _: bytes) -> Json:
        return _json(self._owned_list(request).message)

    def _delete_list(self, request: Request, _: bytes) -> Json:
        del self.account.lists[str(self._owned_list(request).message.id)]
        return {}

    def _owned_list(self, request: Request) -> UserList:
        found = self.account.lists.get(request.path_params["id"])
        if found is None or found.account != self._account_of(request):
            raise _Refusal(404, "NOT_FOUND")
        return found

    def _account_of(self, request: Request) -> str:
        login = request.headers.get("login-account", "").removeprefix("accountTypes/GOOGLE_ADS/accounts/")
        if self.manager and login != self.manager:
            raise _Refusal(403, "PERMISSION_DENIED")
        return str(request.path_params["account"])

    def _owned(self, account: str) -> list[UserList]:
        return [found for found in self.account.lists.values() if found.account == account]


def _field_violation(violation: Violation) -> Json:
    description = violation.reason.replace("_", " ").capitalize() + "."
    return {"field": violation.field, "description": description, "reason": violation.reason}


def _struck(message: Any, fault: Fault | None) -> list[Violation]:
    """Every n-th row of a request, refused at once."""
    if fault is None:
        return []
    name, rows = rows_of(message)
    every = max(fault.every, 1)
    return [Violation(f"{name}[{number}]", fault.code) for number in range(every - 1, len(rows), every)]


def _parse(body: bytes, message: Any) -> Any:
    try:
        return Parse(body or b"{}", message)
    except ParseError:
        raise _Refusal(400, "INVALID_ARGUMENT", [Violation("", "INVALID_FORMAT")]) from None


def _json(message: Any) -> Json:
    answer: Json = MessageToDict(message, use_integers_for_enums=True)
    return answer


def _processing_reason(code: str) -> int | None:
    reasons = v1.ProcessingErrorReason.__members__
    found = reasons.get(f"PROCESSING_ERROR_REASON_{code}") or reasons.get(f"PROCESSING_ERROR_{code}")
    return found.value if found else None


def _describe(status: Any, accepted: Accepted, rows: Sequence[Any], failed: Counter[str]) -> None:
    total = failed.total()
    state = _STATES.SUCCESS if not total else _STATES.FAILED if total == len(rows) else _STATES.PARTIAL_SUCCESS
    status.request_status = state.value
    for reason, count in sorted(failed.items()):
        status.error_info.error_counts.add(reason=_processing_reason(reason), record_count=count)
    if accepted.verb == "convert":
        status.events_ingestion_status.record_count = len(rows)
    elif accepted.verb == "remove_all":
        status.remove_all_audience_members_status.SetInParent()
    else:
        by_id = rows[0].WhichOneof("data") == "user_id_data"
        removal, ingestion = status.audience_members_removal_status, status.audience_members_ingestion_status
        count = sum(len(identifiers(row, accepted.message.encoding)) for row in rows)
        if accepted.verb == "leave":
            part = removal.user_id_data_removal_status if by_id else removal.user_data_removal_status
        else:
            part = ingestion.user_id_data_ingestion_status if by_id else ingestion.user_data_ingestion_status
        part.record_count = len(rows)
        setattr(part, "user_id_count" if by_id else "user_identifier_count", count)
