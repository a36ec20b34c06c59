"""The dated versions of the API, by plain requests: no library of HubSpot's speaks them that is not an alpha."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from leadup_connectors.hubspot.answers import parse
from leadup_connectors.hubspot.client.proxy import proxy_for
from leadup_connectors.hubspot.client.wire import Answer, Cut, Garbled, Request
from leadup_connectors.hubspot.settings import HubSpotSettings

AGENT: Final = "leadup"


class DatedWire:
    """Sends what the routing table says, as JSON."""

    def __init__(self, settings: HubSpotSettings) -> None:
        self._base, self._api = settings.base_url, settings.api
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": AGENT, "Accept": "application/json"})
        proxy, parts = proxy_for(settings.base_url), urlsplit(settings.base_url)
        self._proxies = {"no_proxy": parts.hostname or ""} if proxy is None else {parts.scheme: proxy}
        self._session.auth = _Bearer(settings.access_token.get_secret_value())

    def send(self, request: Request, timeouts: tuple[float, float]) -> Answer:
        """See :class:`leadup_connectors.hubspot.client.wire.Wire`."""
        route = request.call.value
        try:
            answer = self._session.request(
                route.method,
                self._base + route.path(self._api, request.place),
                params={name: _text(value) for name, value in request.query.items()},
                json=request.body,
                timeout=timeouts,
                proxies=self._proxies,
                allow_redirects=False,
            )
        except requests.RequestException as cut:
            # It wraps urllib3's error, which wraps the reason.
            raise Cut(getattr(next(iter(cut.args), None), "reason", None), name=type(cut).__name__) from None
        if answer.status_code >= 300:
            return Answer(answer.status_code, answer.headers, parse(answer.content))
        if not answer.content:
            return Answer(answer.status_code, answer.headers, None)
        try:
            return Answer(answer.status_code, answer.headers, answer.json())
        except ValueError:
            raise Garbled from None


class _Bearer(AuthBase):
    """An object of its own, since a mere header would give way to what a ``.netrc`` says of the host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
