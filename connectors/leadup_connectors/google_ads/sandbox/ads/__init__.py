"""The Google Ads API by gRPC. The ``google-ads`` package is loaded with the first call, not before."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

from leadup.sandbox import Fault, Weather
from leadup_connectors.google_ads.sandbox.account import Account
from leadup_connectors.google_ads.sandbox.rpc import Failure

VERSION: Final = "v26"
"""What the emulator speaks; any other version has had its sunset."""
_PATH: Final = re.compile(r"/google\.ads\.googleads\.(v\d+)\.services\.(\w+/\w+)")


class AdsService:
    """Answers the services that leadup uses; see ``api.py`` for which. ``manager`` as for the Data Manager API."""

    prefix = "/google.ads.googleads."

    def __init__(
        self,
        account: Callable[[], Account],
        weather: Callable[[], Weather],
        manager: Callable[[], str],
        sunset: Callable[[], bool],
        lock: Any,
    ) -> None:
        self._account, self._weather, self._manager, self._sunset = account, weather, manager, sunset
        self._lock = lock
        self._calls = 0

    def known_as(self, path: str) -> str:
        return path

    def streams(self, path: str) -> bool:
        return path.endswith("/SearchStream")

    def answer(self, path: str, body: bytes, metadata: Mapping[str, str]) -> bytes:
        matched = _PATH.fullmatch(path)
        version, method = matched.groups() if matched else (VERSION, "")
        api = self._api  # outside the lock: the first time takes a second or two, and other doors should not wait
        with self._lock:
            if version != VERSION or self._sunset():
                error = self._errors.Wrong("request_error.UNSUPPORTED_VERSION")
                raise self._failure(path, self._errors.Refused(400, error))
            try:
                answer: bytes = api.answer(self._account(), self._weather(), method, body, self._caller(metadata))
            except self._errors.Refused as refused:
                raise self._failure(path, refused) from None
            return answer

    def fault(self, path: str, status: int, fault: Fault) -> Failure:
        return self._failure(path, self._errors.weathered(status, fault))

    def _caller(self, metadata: Mapping[str, str]) -> bool:
        """Whether the call names the manager account that access goes through."""
        manager = self._manager()
        return not manager or metadata.get("login-customer-id", "") == manager

    def _failure(self, path: str, refused: Any) -> Failure:
        self._calls += 1
        request_id = f"ads-request-{self._calls}"
        matched = _PATH.fullmatch(path)
        key = f"google.ads.googleads.{matched[1] if matched else VERSION}.errors.googleadsfailure-bin"
        failure: bytes = self._errors.failure(refused.errors, request_id).SerializeToString()
        return Failure(refused.status, str(refused), [(key, failure), ("request-id", request_id)])

    @cached_property
    def _api(self) -> Any:
        _ = self._errors
        from leadup_connectors.google_ads.sandbox.ads import api

        return api

    @cached_property
    def _errors(self) -> Any:
        try:
            from leadup_connectors.google_ads.sandbox.ads import errors
        except ImportError as error:
            raise Failure(501, f"The Google Ads API's emulator needs leadup[google-ads] ({error.name})") from error
        return errors
