"""The emulator answers as BigQuery's reference says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from ga4_kit import params, row

from leadup.sandbox import Server
from leadup_connectors.ga4.client import BigQuery
from leadup_connectors.ga4.sandbox import GA4Sandbox
from leadup_connectors.ga4.settings import GA4Settings


class Api:
    """The emulator's door, opened with a token of its own."""

    def __init__(self, server: Server, sandbox: GA4Sandbox) -> None:
        self.sandbox, self.url = sandbox, server.url
        self._base = f"{server.url}/bigquery/v2/projects/shop/datasets"
        token = requests.post(f"{server.url}/token", timeout=60).json()["access_token"]
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str = "", **asked: Any) -> requests.Response:
        return requests.get(f"{self._base}{path}", params=asked, headers=self._headers, timeout=60)

    def table(self, path: str = "", **asked: Any) -> requests.Response:
        return self.get(f"/analytics_123456/tables/events_20260301{path}", **asked)


@pytest.fixture
def api() -> Iterator[Api]:
    sandbox = GA4Sandbox()
    with Server(sandbox) as server:
        yield Api(server, sandbox)


def problem(answer: requests.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    assert error["code"] == answer.status_code
    (first,) = error["errors"]
    assert (first["message"], first["domain"]) == (error["message"], "global")
    return answer.status_code, error["status"], first["reason"]


def test_rows_are_encoded_by_position_and_all_scalars_are_texts(api: Api) -> None:
    api.sandbox.put_table("20260301", [row(1, event_params=params(a="x", n=7), items=[], is_active_user=True)])
    answer = api.table("/data", selectedFields="event_params,is_active_user,items.price,geo.country,user_id").json()
    value = {"f": [{"v": "x"}, {"v": None}, {"v": None}, {"v": None}]}
    number = {"f": [{"v": None}, {"v": "7"}, {"v": None}, {"v": None}]}
    assert answer["rows"] == [
        {
            "f": [  # in the schema's order, whatever the order of selectedFields
                {"v": [{"v": {"f": [{"v": "a"}, {"v": value}]}}, {"v": {"f": [{"v": "n"}, {"v": number}]}}]},
                {"v": None},
                {"v": None},
                {"v": []},
                {"v": "true"},
            ]
        }
    ]
    assert answer["totalRows"] == "1"


def test_a_table_tells_its_schema_size_and_version(api: Api) -> None:
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    api.sandbox.put_table("20260301", [row(1), row(2)], at)
    first = api.table().json()
    assert (first["numRows"], first["lastModifiedTime"]) == ("2", str(int(at.timestamp() * 1000)))
    names = {field["name"]: (field["type"], field["mode"]) for field in first["schema"]["fields"]}
    assert names["event_params"] == ("RECORD", "REPEATED")
    assert names["event_timestamp"] == ("INTEGER", "NULLABLE")
    assert api.table().json()["etag"] == first["etag"]
    api.sandbox.put_table("20260301", [row(1), row(2)], at)
    assert api.table().json()["etag"] != first["etag"]


def test_page_tokens_belong_to_one_version_of_one_table(api: Api) -> None:
    api.sandbox.put_table("20260301", [row(n) for n in range(5)])
    page = api.table("/data", maxResults=2).json()
    assert len(page["rows"]) == 2
    assert len(api.table("/data", maxResults=2, pageToken=page["pageToken"]).json()["rows"]) == 2
    assert "pageToken" not in api.table("/data", startIndex=3).json()
    assert "rows" not in api.table("/data", startIndex=5).json()
    for spoil in (lambda: api.sandbox.put_table("20260301", [row(1), row(2)]), api.sandbox.expire_page_tokens):
        token = api.table("/data", maxResults=1).json()["pageToken"]
        assert api.table("/data", pageToken=token).ok
        spoil()
        assert problem(api.table("/data", pageToken=token)) == (400, "INVALID_ARGUMENT", "invalid")
    assert problem(api.table("/data", pageToken="nonsense")) == (400, "INVALID_ARGUMENT", "invalid")


def test_errors_are_worded_as_google_words_them(api: Api) -> None:
    api.sandbox.put_table("20260301", [row(1)])
    assert problem(api.get("/other/tables")) == (404, "NOT_FOUND", "notFound")
    assert problem(api.get("/analytics_123456/tables/events_20270101")) == (404, "NOT_FOUND", "notFound")
    assert problem(api.table("/data", selectedFields="no_such")) == (400, "INVALID_ARGUMENT", "invalid")
    assert problem(requests.get(f"{api.url}/bigquery/v2/projects/shop/datasets", timeout=60)) == (
        401,
        "UNAUTHENTICATED",
        "authError",
    )
    for code, status in (("accessDenied", 403), ("quotaExceeded", 403), ("backendError", 503)):
        api.sandbox.weather.add(kind="reject", code=code)
        assert problem(api.table())[::2] == (status, code)
    api.sandbox.weather.add(kind="rate_limit", retry_after=7)
    limited = api.table()
    assert (problem(limited)[2], limited.headers["Retry-After"]) == ("rateLimitExceeded", "7")


def test_tables_are_listed_in_pages(api: Api) -> None:
    for number in range(7):
        api.sandbox.put_table(f"t{number}", [])
    first = api.get("/analytics_123456/tables", maxResults=4).json()
    rest = api.get("/analytics_123456/tables", maxResults=4, pageToken=first["nextPageToken"]).json()
    assert [len(page["tables"]) for page in (first, rest)] == [4, 3]
    assert "nextPageToken" not in rest


def test_the_connector_follows_a_long_list(api: Api) -> None:
    names = [f"t{number:04}" for number in range(1_001)]
    for name in names:
        api.sandbox.put_table(name, [])
    settings = GA4Settings(project="shop", dataset="analytics_123456", property_zone="UTC", base_url=api.url)
    assert BigQuery("web", settings).tables() == names


def test_it_takes_a_seed_and_shows_its_state() -> None:
    sandbox = GA4Sandbox()
    sandbox.seed({"project": "p", "dataset": "analytics_7", "tables": {"20260301": [row(1)]}})
    state: Any = sandbox.state()
    assert (state["dataset"], state["tables"]["events_20260301"]["rows"]) == ("analytics_7", 1)
    with pytest.raises(ValueError, match="takes no seed views"):
        sandbox.seed({"views": {}})
    with pytest.raises(ValueError, match=r"event_params\.value\.int_valu is no column"):
        sandbox.put_table("20260302", [row(1, event_params=[{"key": "n", "value": {"int_valu": 1}}])])
