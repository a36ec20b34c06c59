"""An emulator of Google Ads: the Data Manager API by REST and gRPC, and the Google Ads API by gRPC, over one account.

Requests and answers go through Google's own protobuf messages, so that a field that does not exist is refused here as
it is there. What the Data Manager API accepts is done later: a request is PROCESSING for some polls, and what it does
shows in :meth:`GoogleAdsSandbox.members` and :meth:`~GoogleAdsSandbox.conversions` once it, or a later one, is worked
off.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from google.ads import datamanager_v1 as v1
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from leadup.sandbox import Fault, Sandbox, Weather
from leadup.types import Json
from leadup_connectors.google_ads.sandbox import rest
from leadup_connectors.google_ads.sandbox.account import PLAIN, Account, Action, Click
from leadup_connectors.google_ads.sandbox.ads import AdsService
from leadup_connectors.google_ads.sandbox.manager import DataManager
from leadup_connectors.google_ads.sandbox.manager_rpc import ManagerService
from leadup_connectors.google_ads.sandbox.quotas import Quotas
from leadup_connectors.google_ads.sandbox.refusals import Refusal, weathered
from leadup_connectors.google_ads.sandbox.rpc import Door
from leadup_connectors.google_ads.sandbox.tls import certificate

__all__ = ["Account", "Action", "Click", "GoogleAdsSandbox"]

_OWN = ("manager", "polls", "per_minute", "per_day", "most_named", "sunset")


class GoogleAdsSandbox(Sandbox):
    """A Google Ads account behind all doors. ``account`` is what it holds, and may be changed while it serves.

    ``manager``: when set, the account that the credentials' access goes through: calls must name it as login account.
    ``polls``: how many polls a request is PROCESSING for. ``per_minute``, ``per_day``: requests to the Data Manager
    API, for each kind apart. ``most_named``: how many bad rows an answer names at most (Google does not say).
    ``sunset``: the Google Ads API takes its version no more.

    A ``reject`` fault whose code is a processing reason (``TOO_RECENT_CLICK``) fails rows later, by count; one of a
    warning (``WARNING_REASON_…``, ``PROCESSING_WARNING_REASON_…``) warns of them; any other refuses the request at once
    and names the rows. In uploads by the Google Ads API each row it strikes fails by partial failure.
    """

    name = "google_ads"

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        """``timer`` gives the seconds that quotas count by."""
        super().__init__()
        self._timer = timer
        self._lock = threading.RLock()
        self._door: Door | None = None
        self.reset()

    def reset(self) -> None:
        """Forget everything: what was sent, faults, the log, and changes to the attributes above. Doors stay open."""
        with self._lock:
            self.account = Account()
            self.most_named = 100
            self.sunset = False
            self.weather = Weather()
            self._manager = DataManager(self.account, Quotas(self._timer), lambda: self.weather)

    def seed(self, data: Mapping[str, Any]) -> None:
        """Take any of the attributes above, and of :class:`Account`'s plain ones.

        ``{"actions": {"987654321": "UPLOAD_CLICKS"}, "clicks": {"Cj0": "2026-03-01T08:00:00Z"}, "data_terms": false}``
        """
        with self._lock:
            for key in data.keys() & set(_OWN):
                setattr(self, key, data[key])
            self.account.set({key: data[key] for key in data.keys() & PLAIN})
        super().seed({key: value for key, value in data.items() if key not in PLAIN.union(_OWN)})

    @property
    def manager(self) -> str:
        """The account that access goes through; "": calls need name none."""
        return self._manager.lists.manager

    @manager.setter
    def manager(self, account_id: str) -> None:
        self._manager.lists.manager = account_id

    @property
    def polls(self) -> int:
        """How many polls a request is PROCESSING for."""
        return self._manager.polls

    @polls.setter
    def polls(self, polls: int) -> None:
        self._manager.polls = polls

    @property
    def per_minute(self) -> int:
        """Requests a minute, of each kind."""
        return self._manager.quotas.per_minute

    @per_minute.setter
    def per_minute(self, most: int) -> None:
        self._manager.quotas.per_minute = most

    @property
    def per_day(self) -> int:
        """Requests a day, of each kind."""
        return self._manager.quotas.per_day

    @per_day.setter
    def per_day(self, most: int) -> None:
        self._manager.quotas.per_day = most

    # ------------------------------------------------------------ what it holds

    def members(self, name: str) -> frozenset[str]:
        """Identifiers (hashes or user ids) in the list of this display name; none when there is no such list."""
        with self._lock:
            lists = [u for u in self.account.lists.values() if u.message.display_name == name]
            return frozenset().union(*(found.members(self.account.clock) for found in lists))

    def conversions(self, action_id: str) -> dict[str, dict[str, Any]]:
        """Conversions of an action by transaction id: value, currency, count, at, click_id, identifiers, history …

        ``count`` is 0 once it was retracted, ``adjusted`` holds when it was adjusted by the Google Ads API.
        """
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
            self._manager.settle()

    def set_clock(self, at: datetime) -> None:
        """Set the emulated time; from then on clicks, events, memberships and new actions have an age."""
        with self._lock:
            self.account.clock = at

    def pass_time(self, time: timedelta) -> None:
        """Move the emulated time on, beginning with the real one if none was set."""
        with self._lock:
            self.account.clock = self.account.now() + time

    def state(self) -> Json:
        with self._lock:
            account, requests = self.account, self.account.accepted.values()
            return {
                "user_lists": [
                    {
                        "id": key,
                        "name": found.message.display_name,
                        "account": found.account,
                        "key_types": [v1.IngestedUserListInfo.UploadKeyType(k).name for k in sorted(found.key_types)],
                        "membership_days": found.message.membership_duration.seconds // 86_400,
                        "members": sorted(found.members(account.clock)),
                    }
                    for key, found in account.lists.items()
                ],
                "actions": {
                    key: {
                        "name": one.name,
                        "type": one.type,
                        "status": one.status,
                        "primary": one.primary,
                        "category": one.category,
                        "counting": one.counting,
                    }
                    for key, one in account.actions.items()
                },
                "goals": [
                    {"category": category, "origin": origin, "biddable": biddable}
                    for (category, origin), biddable in account.goals.items()
                ],
                "conversions": copy.deepcopy(account.conversions),
                "requests": {"accepted": len(requests), "waiting": sum(a.failed is None for a in requests)},
                "redundant": dict(+account.redundant),
            }

    # ------------------------------------------------------------ doors

    def routes(self) -> Sequence[BaseRoute]:
        door = rest.Rest(self._call, lambda name: self._manager.methods[name].kind, self._refused)
        return [
            *door.routes(),
            Route("/_sandbox/settle", self._settle, methods=["POST"]),
            Route("/_sandbox/clock", self._set_clock, methods=["POST"]),
        ]

    def doors(self, port: int = 0) -> Mapping[str, str]:
        """Open the gRPC doors, if they are not, and say where they are.

        Returns:
            ``grpc``: plaintext; ``grpc_tls``: by TLS; both serve both APIs. ``roots``: a file for
            ``GRPC_DEFAULT_SSL_ROOTS_FILE_PATH``, which gRPC reads once, with the first TLS channel of a process.
        """
        with self._lock:
            if self._door is None:
                services = (
                    ManagerService(lambda: self._manager, self._call, lambda: self.most_named),
                    AdsService(
                        lambda: self.account,
                        lambda: self.weather,
                        lambda: self.manager,
                        lambda: self.sunset,
                        self._lock,
                    ),
                )
                self._door = Door(services, lambda: self.weather, port)
            return {"grpc": self._door.plain, "grpc_tls": self._door.tls, "roots": str(certificate().path)}

    def close(self) -> None:
        door, self._door = self._door, None
        if door is not None:
            door.close()

    def error(self, status: int, fault: Fault | None = None) -> Response:
        return self._refused(weathered(status, fault.code if fault is not None else ""))

    def _call(self, name: str, message: Any, metadata: Mapping[str, str]) -> Any:
        with self._lock:
            return self._manager.call(name, message, metadata)

    def _refused(self, refusal: Refusal) -> Response:
        return rest.refused(refusal, f"refused-{len(self.weather.log) + 1}", self.most_named)

    async def _settle(self, _: Request) -> Response:
        self.settle()
        return Response(status_code=204)

    async def _set_clock(self, request: Request) -> Response:
        """``{"at": "2026-03-01T12:00:00Z"}`` or ``{"seconds": 21600}``, by which it is moved on."""
        asked = await request.json()
        if "at" in asked:
            self.set_clock(datetime.fromisoformat(asked["at"]))
        self.pass_time(timedelta(seconds=asked.get("seconds", 0)))
        return JSONResponse({"at": self.account.now().isoformat()})
