"""An emulator of the export's dataset behind BigQuery's REST API (v2), as its reference documents it.

What it answers is written without the connector's own decoding, so that a mistake there shows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from leadup.sandbox import Fault, Sandbox
from leadup.types import Json, to_us
from leadup_connectors.ga4.sandbox_schema import COLUMNS, Row, Shape, cells, check, field, tree_of

_STATUS: Final = {
    "invalid": 400,
    "authError": 401,
    "accessDenied": 403,
    "quotaExceeded": 403,
    "rateLimitExceeded": 403,
    "notFound": 404,
    "backendError": 503,
}
_WORDS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
}
_MESSAGES: Final = {
    "authError": "Request had invalid authentication credentials.",
    "accessDenied": "Access Denied: Permission bigquery.tables.getData denied (or it may not exist).",
    "quotaExceeded": "Quota exceeded: Your project exceeded quota for tabledata.list bytes per minute.",
    "rateLimitExceeded": "Exceeded rate limits: too many concurrent requests for this project.",
    "backendError": "Error encountered during execution. Retrying may solve the problem.",
}
_MOST: Final = 100_000
"""Rows of an answer of ``tabledata.list`` at most ("Quotas and limits")."""


@dataclass(frozen=True, slots=True)
class _Table:
    rows: Sequence[Row]
    etag: str
    modified_ms: int
    columns: Mapping[str, Shape]


class _Refusal(Exception):
    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class GA4Sandbox(Sandbox):
    """A dataset ``analytics_<property id>`` with daily tables.

    ``project``: answers for any project when empty. ``keep_page_tokens``: those of a table lead into it also after it
    was written again (BigQuery does not say that they do not).

    A ``reject`` fault refuses a request with ``code`` as the reason (``accessDenied``, ``quotaExceeded``,
    ``rateLimitExceeded``, ``invalid``, ``notFound``); a ``late`` one gives a page without rows. ``expire_token`` is
    about the access token; :meth:`expire_page_tokens` about the places in tables.
    """

    name = "ga4"

    def __init__(self) -> None:
        super().__init__()
        self.project = ""
        self.dataset = "analytics_123456"
        self.keep_page_tokens = False
        self._tables: dict[str, _Table] = {}
        self._tokens: set[str] = set()
        self._numbers = itertools.count(1)
        self._era = 0
        self._lock = threading.RLock()

    def seed(self, data: Mapping[str, Any]) -> None:
        """Take ``project``, ``dataset`` and ``tables`` (``{"20260301": [row, ...]}``)."""
        self.project = data.get("project", self.project)
        self.dataset = data.get("dataset", self.dataset)
        for day, rows in data.get("tables", {}).items():
            self.put_table(day, rows)
        super().seed({key: value for key, value in data.items() if key not in ("project", "dataset", "tables")})

    def put_table(
        self, day: str, rows: Iterable[Row], at: datetime | None = None, *, without: Iterable[str] = ()
    ) -> None:
        """Write a table, or write it again: its etag is a new one, and old page tokens lead nowhere.

        ``day`` is ``20260301`` for a table of events, or the whole name of another table. ``rows`` are rows as the
        export has them, parameters as ``{"key": ..., "value": {"string_value": ...}}``; columns ``without`` are lacking
        in the table's schema, as the younger ones are in old tables. ``at`` is when it was written.

        Raises:
            ValueError: a row has a column that the export has not.
        """
        lacking = set(without)
        columns = {name: shape for name, shape in COLUMNS.items() if name not in lacking}
        kept = list(rows)
        for row in kept:
            check(row, columns)
        with self._lock:
            name, number = _name(day), next(self._numbers)
            digest = hashlib.sha256(f"{name}/{number}".encode()).digest()[:16]
            modified = to_us(at) // 1_000 if at else 1_700_000_000_000 + number
            self._tables[name] = _Table(kept, base64.b64encode(digest).decode(), modified, columns)

    def drop_table(self, day: str) -> None:
        """Delete a table, as its expiration does."""
        with self._lock:
            del self._tables[_name(day)]

    def expire_page_tokens(self) -> None:
        """Let all page tokens that were given out lead nowhere."""
        with self._lock:
            self._era += 1

    def state(self) -> Json:
        """Tables with the number of their rows and their etag."""
        with self._lock:
            tables: dict[str, Json] = {
                name: {"rows": len(t.rows), "etag": t.etag} for name, t in sorted(self._tables.items())
            }
            return {"project": self.project, "dataset": self.dataset, "tables": tables}

    # ------------------------------------------------------------ HTTP

    def routes(self) -> Sequence[BaseRoute]:
        datasets = "/bigquery/v2/projects/{project}/datasets"
        tables = datasets + "/{dataset}/tables"
        return [
            Route("/token", self._token, methods=["POST"]),
            Route(datasets, self._door(self._list_datasets), methods=["GET"]),
            Route(tables, self._door(self._list_tables), methods=["GET"]),
            Route(tables + "/{table}", self._door(self._get), methods=["GET"]),
            Route(tables + "/{table}/data", self._door(self._data), methods=["GET"]),
        ]

    def error(self, status: int, fault: Fault | None = None) -> Response:
        reasons = {401: "authError", 403: "quotaExceeded", 429: "rateLimitExceeded"}
        reason = (fault.code if fault else "") or reasons.get(status, "backendError")
        return _refused(status, reason, _MESSAGES.get(reason, _MESSAGES["backendError"]))

    async def _token(self, _: Request) -> Response:
        with self._lock:
            token = f"emulated-{next(self._numbers)}"
            self._tokens.add(token)
        return _json({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    def _door(self, answer: Callable[[Request], Json]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            fault = self.weather.take(request.url.path, "reject")
            if fault is not None:
                return self.error(_STATUS.get(fault.code, 400), fault)
            with self._lock:
                if request.headers.get("authorization", "").removeprefix("Bearer ") not in self._tokens:
                    return self.error(401)
                try:
                    return _json(answer(request))
                except _Refusal as refusal:
                    return _refused(refusal.status, refusal.reason, str(refusal))

        return endpoint

    def _list_datasets(self, request: Request) -> Json:
        reference = {"projectId": request.path_params["project"], "datasetId": self.dataset}
        return {"kind": "bigquery#datasetList", "datasets": [{"datasetReference": reference}]}

    def _list_tables(self, request: Request) -> Json:
        names = sorted(self._of(request))
        start = int(request.query_params.get("pageToken") or 0)
        size = int(request.query_params.get("maxResults") or 50)
        answer: dict[str, Json] = {
            "kind": "bigquery#tableList",
            "totalItems": len(names),
            "tables": [
                {"kind": "bigquery#table", "tableReference": self._reference(request, name), "type": "TABLE"}
                for name in names[start : start + size]
            ],
        }
        return {**answer, "nextPageToken": str(start + size)} if start + size < len(names) else answer

    def _get(self, request: Request) -> Json:
        table = self._table(request)
        return {
            "kind": "bigquery#table",
            "etag": table.etag,
            "tableReference": self._reference(request, request.path_params["table"]),
            "schema": {"fields": [field(name, shape) for name, shape in table.columns.items()]},
            "numRows": str(len(table.rows)),
            "lastModifiedTime": str(table.modified_ms),
            "type": "TABLE",
        }

    def _data(self, request: Request) -> Json:
        table, asked = self._table(request), request.query_params
        version = "" if self.keep_page_tokens else table.etag
        here = f"{request.path_params['table']}/{version}/{self._era}/"
        start = int(asked.get("startIndex") or 0)
        if token := asked.get("pageToken"):
            start = _place(token, here)
        size = min(int(asked.get("maxResults") or _MOST), _MOST)
        if self.weather.take(request.url.path, "late") is not None:
            size = 0
        try:
            tree = tree_of(asked.get("selectedFields", ""), table.columns)
        except ValueError as error:
            raise _Refusal(400, "invalid", str(error)) from None
        rows = [{"f": cells(row, table.columns, tree)} for row in table.rows[start : start + size]]
        answer: dict[str, Json] = {
            "kind": "bigquery#tableDataList",
            "etag": table.etag,
            "totalRows": str(len(table.rows)),
        }
        if rows:  # left out when there are none
            answer["rows"] = rows
        if start + size < len(table.rows):
            answer["pageToken"] = base64.urlsafe_b64encode(f"{here}{start + size}".encode()).decode()
        return answer

    def _of(self, request: Request) -> Mapping[str, _Table]:
        project, dataset = request.path_params["project"], request.path_params["dataset"]
        if dataset != self.dataset or self.project not in ("", project):
            raise _Refusal(404, "notFound", f"Not found: Dataset {project}:{dataset}")
        return self._tables

    def _table(self, request: Request) -> _Table:
        name = request.path_params["table"]
        found = self._of(request).get(name)
        if found is None:
            project = request.path_params["project"]
            raise _Refusal(404, "notFound", f"Not found: Table {project}:{self.dataset}.{name}")
        return found

    def _reference(self, request: Request, table: str) -> Json:
        return {"projectId": request.path_params["project"], "datasetId": self.dataset, "tableId": table}


def _name(day: str) -> str:
    return f"events_{day}" if day.isdecimal() else day


def _json(content: Json, status: int = 200) -> Response:
    """All but ASCII escaped: rows may hold halves of surrogate pairs, which UTF-8 can not say."""
    return Response(json.dumps(content, separators=(",", ":")), status, media_type="application/json")


def _refused(status: int, reason: str, message: str) -> Response:
    """An error's body ("Error messages")."""
    detail: Json = {"message": message, "domain": "global", "reason": reason}
    error: Json = {"code": status, "message": message, "errors": [detail], "status": _WORDS.get(status, "UNKNOWN")}
    return _json({"error": error}, status)


def _place(token: str, here: str) -> int:
    try:
        text = base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, ValueError):
        text = ""
    if not text.startswith(here):
        raise _Refusal(400, "invalid", "Invalid value for pageToken: the token is expired or of another table")
    return int(text.removeprefix(here))
