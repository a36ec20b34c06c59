"""Version 3 of the API through ``hubspot-api-client`` 12, which speaks no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import unquote, urlsplit

from hubspot import HubSpot
from hubspot.crm.lists import FoldersApi, MembershipsApi
from hubspot.crm.properties import GroupsApi
from urllib3.exceptions import HTTPError
from urllib3.util import make_headers
from urllib3.util.retry import Retry

from leadup.errors import SettingsError
from leadup_connectors.hubspot.answers import parse
from leadup_connectors.hubspot.client.proxy import proxy_for
from leadup_connectors.hubspot.client.routes import Call
from leadup_connectors.hubspot.client.wire import Answer, Cut, Garbled, Request
from leadup_connectors.hubspot.settings import HubSpotSettings

_JSON: Final = dict.fromkeys((200, 201, 202, 207), "object")
Typed: TypeAlias = Callable[..., Any]
"""Takes the request and the library's options; returns the library's object, the status and the headers."""


class SdkWire:
    """Calls the library's own method where it has one, else its way to call any path."""

    def __init__(self, settings: HubSpotSettings) -> None:
        sdk = HubSpot(
            access_token=settings.access_token.get_secret_value(),
            host=settings.base_url,
            base_url=settings.base_url,
            # The library's own way repeats PUT but not POST, and gives up with an error of another family.
            retry=Retry(0, redirect=0),
            **_through(proxy_for(settings.base_url)),
        )
        # Each look at an attribute builds new connections, so each is looked at once.
        lists = sdk.crm.lists.lists_api
        members, folders = MembershipsApi(lists.api_client), FoldersApi(lists.api_client)
        contacts = sdk.crm.contacts.batch_api
        properties = sdk.crm.properties.core_api
        groups = GroupsApi(properties.api_client)
        self._any = lists.api_client
        self._typed: Mapping[Call, Typed] = {
            Call.FIND_LIST: _typed(lists.get_by_name_with_http_info, "name", "type"),
            Call.GET_LIST: _typed(lists.get_by_id_with_http_info, "list"),
            Call.SEARCH_LISTS: _typed(lists.do_search_with_http_info),
            Call.CREATE_LIST: _typed(lists.create_with_http_info),
            Call.MEMBERS: _typed(members.get_page_with_http_info, "list"),
            Call.CHANGE_LIST: _typed(members.add_and_remove_with_http_info, "list"),
            Call.FOLDERS: _typed(folders.get_all_with_http_info),
            Call.CREATE_FOLDER: _typed(folders.create_with_http_info),
            Call.READ_CONTACTS: _typed(contacts.read_with_http_info),
            Call.UPSERT_CONTACTS: _typed(contacts.upsert_with_http_info),
            Call.UPDATE_CONTACTS: _typed(contacts.update_with_http_info),
            Call.LIST_PROPERTIES: _typed(properties.get_all_with_http_info, of="contacts"),
            Call.FIND_PROPERTY: _typed(properties.get_by_name_with_http_info, "name", of="contacts"),
            Call.CREATE_PROPERTY: _typed(properties.create_with_http_info, of="contacts"),
            Call.UPDATE_PROPERTY: _typed(properties.update_with_http_info, "name", of="contacts"),
            Call.CREATE_GROUP: _typed(groups.create_with_http_info, of="contacts"),
        }

    def send(self, request: Request, timeouts: tuple[float, float]) -> Answer:
        """See :class:`leadup_connectors.hubspot.client.wire.Wire`."""
        send: Typed = self._typed.get(request.call, self._call)
        try:
            found, status, headers = send(request, _request_timeout=timeouts)
        except HTTPError as cut:
            raise Cut(getattr(cut, "reason", None) or cut) from None
        except (AttributeError, TypeError, ValueError):  # how the library fails at an answer it can not read
            raise Garbled from None
        except Exception as answer:
            # One error class per module of the library, and no common base.
            status = getattr(answer, "status", None)
            if not isinstance(status, int):
                raise
            if status == 0:
                raise Cut(None, name="SSLError") from None
            return Answer(status, getattr(answer, "headers", None) or {}, parse(getattr(answer, "body", None)))
        return Answer(status, headers, self._any.sanitize_for_serialization(found))

    def _call(self, request: Request, **how: Any) -> Any:
        route = request.call.value
        return self._any.call_api(
            route.path("v3", request.place),
            route.method,
            query_params=dict(request.query),
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=request.body,
            response_types_map=_JSON,
            auth_settings=["oauth2"],
            collection_formats={name: "multi" for name, value in request.query.items() if isinstance(value, list)},
            **how,
        )


def _through(proxy: str | None) -> dict[str, Any]:
    """Return the library's settings for a proxy. What it takes to be let in stands in the proxy's address."""
    if proxy is None:
        return {}
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https"):
        raise SettingsError(
            f"The environment names a proxy of the kind {parts.scheme!r}, which HubSpot's library does not speak.\n"
            '  What to do: name an http one in HTTPS_PROXY, or set api = "2026-03" for the connection.'
        )
    known_by = ":".join(unquote(part or "") for part in (parts.username, parts.password))
    return {"proxy": proxy, "proxy_headers": make_headers(proxy_basic_auth=known_by) if parts.username else None}


def _typed(send: Callable[..., Any], *places: str, of: str = "") -> Typed:
    """Give one of the library's methods the places of the path, the body and the query as it takes them.

    ``of``: the object type, where that comes first.
    """

    def call(request: Request, **how: Any) -> Any:
        given: list[Any] = [*filter(None, [of]), *(request.place[place] for place in places)]
        if request.body is not None:
            given.append(request.body)
        return send(*given, **{_snake(name): value for name, value in request.query.items()}, **how)

    return call


def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
