"""The Data Manager API (v1, release 1.8), whatever door a call comes through: messages in, messages out.

Messages are raw protobuf. A :class:`Refusal` says no.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from google.ads import datamanager_v1 as v1

from leadup.sandbox import Fault, Weather
from leadup_connectors.google_ads.sandbox import checks
from leadup_connectors.google_ads.sandbox.account import Account
from leadup_connectors.google_ads.sandbox.processing import work_off
from leadup_connectors.google_ads.sandbox.quotas import Quotas
from leadup_connectors.google_ads.sandbox.refusals import Refusal, Violation, invalid
from leadup_connectors.google_ads.sandbox.rows import Accepted, rows_of
from leadup_connectors.google_ads.sandbox.statuses import (
    FIELD_WARNING,
    PROCESSING_WARNING,
    describe,
    processing_reason,
)
from leadup_connectors.google_ads.sandbox.user_lists import UserLists

KEPT: Final = timedelta(days=50)
"""How long the status of a request can be asked for (``REQUEST_TOO_OLD``)."""
_INGESTION: Final = "/google.ads.datamanager.v1.IngestionService/"
_LISTS: Final = "/google.ads.datamanager.v1.UserListService/"


class Method(NamedTuple):
    """A call: its request's type, the quota it counts against, and what answers it."""

    kind: Any
    quota: str
    answer: Callable[[Any, Mapping[str, str]], Any]
    path: str
    """Its gRPC path and the path it has in REST, so that a fault may name either."""


class DataManager:
    """Answers calls over an account. Not thread-safe by itself.

    ``lists.manager``: when set, the account that access goes through, which calls must name. ``polls``: how many polls
    a request is PROCESSING for.
    """

    def __init__(self, account: Account, quotas: Quotas, weather: Callable[[], Weather]) -> None:
        self.account, self.quotas, self._weather = account, quotas, weather
        self.lists = UserLists(account)
        self.polls = 1
        members = "/v1/audienceMembers:"
        self.methods: dict[str, Method] = {}
        self._ingests("IngestAudienceMembers", "join", f"{members}ingest", checks.joins, checks.unknown_lists)
        self._ingests("RemoveAudienceMembers", "leave", f"{members}remove", checks.leaves, checks.unknown_lists)
        self._ingests(
            "RemoveAllAudienceMembers", "remove_all", f"{members}removeAll", checks.remove_all, checks.unknown_lists
        )
        self._ingests("IngestEvents", "convert", "/v1/events:ingest", checks.events, checks.unusable_actions)
        self.methods["RetrieveRequestStatus"] = Method(
            v1.RetrieveRequestStatusRequest,
            "IngestionRead",
            self._status,
            f"{_INGESTION}RetrieveRequestStatus /v1/requestStatus:retrieve",
        )
        for name, quota, answer in (
            ("CreateUserList", "Mutate", self.lists.create),
            ("UpdateUserList", "Mutate", self.lists.update),
            ("DeleteUserList", "Mutate", self.lists.delete),
            ("GetUserList", "Read", self.lists.get),
            ("ListUserLists", "Read", self.lists.list_all),
        ):
            rest = "/v1/accountTypes/GOOGLE_ADS/accounts/userLists"
            self.methods[name] = Method(getattr(v1, f"{name}Request"), quota, answer, f"{_LISTS}{name} {rest}")

    def call(self, name: str, message: Any, metadata: Mapping[str, str]) -> Any:
        """Answer one call; ``metadata`` holds the headers that matter, in lower case.

        Raises:
            Refusal: what Google answers instead.
        """
        method = self.methods[name]
        self.quotas.spend(method.quota)
        return method.answer(message, metadata)

    def settle(self) -> None:
        """Work off all that was accepted."""
        work_off(self.account)
        for accepted in self.account.accepted.values():
            accepted.polls = 0

    # ------------------------------------------------------------ ingestion and its status

    def _ingests(self, name: str, verb: str, rest: str, *find: Callable[[Any, Account], Iterable[Violation]]) -> None:
        path, response = f"{_INGESTION}{name} {rest}", getattr(v1, f"{name}Response").pb()

        def answer(message: Any, _: Mapping[str, str]) -> Any:
            manager = self.lists.manager
            if manager and any(d.login_account.account_id != manager for d in message.destinations):
                raise Refusal(403, "PERMISSION_DENIED")
            fault = self._weather().take(path, "reject")
            at_once = fault if fault is not None and not _is_for_later(fault.code) else None
            violations = [v for check in (checks.destinations, *find) for v in check(message, self.account)]
            if violations or at_once:
                raise invalid(*violations, *_struck(message, at_once))
            answer = response(request_id="validated-only")
            for struck in _struck(message, fault) if fault and fault.code.startswith(FIELD_WARNING) else ():
                answer.field_warnings.add(field=struck.field, reason=v1.WarningReason[struck.reason].value)
            if message.validate_only:
                return answer
            late = self._weather().take(path, "late")
            answer.request_id = f"request-{len(self.account.accepted) + 1}"
            polls = self.polls + (late.polls if late else 0)
            accepted = Accepted(answer.request_id, verb, message, polls, fault, self.account.now())
            self.account.accepted[accepted.id] = accepted
            return answer

        self.methods[name] = Method(getattr(v1, f"{name}Request"), "IngestionMutate", answer, path)

    def _status(self, message: Any, _: Mapping[str, str]) -> Any:
        accepted = self.account.accepted.get(message.request_id)
        if accepted is None:
            raise invalid(Violation("request_id", "INVALID_REQUEST_ID"))
        if self.account.clock and self.account.clock - accepted.at > KEPT:
            raise invalid(Violation("request_id", "REQUEST_TOO_OLD"))
        if processing := accepted.polls > 0:
            accepted.polls -= 1
        else:
            work_off(self.account, accepted)
        answer = v1.RetrieveRequestStatusResponse.pb()()
        for number, destination in enumerate(accepted.message.destinations):
            status = answer.request_status_per_destination.add(destination=destination)
            failed = None if processing or accepted.failed is None else accepted.failed[number]
            describe(status, accepted, accepted.rows(destination), failed, self.account.match_rate)
        return answer


def _is_for_later(code: str) -> bool:
    """Whether a ``reject`` fault of this code lets the request in: a warning, or a reason told by count later."""
    return code.startswith((FIELD_WARNING, PROCESSING_WARNING)) or processing_reason(code) is not None


def _struck(message: Any, fault: Fault | None) -> list[Violation]:
    """Every n-th row of a request."""
    if fault is None:
        return []
    name, rows = rows_of(message)
    every = max(fault.every, 1)
    return [Violation(f"{name}[{number}]", fault.code) for number in range(every - 1, len(rows), every)]
