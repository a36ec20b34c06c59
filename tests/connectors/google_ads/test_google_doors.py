"""The Data Manager API answers alike by REST and by gRPC. Asked by its own SDK over real sockets."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.ads import datamanager_v1 as v1
from google.ads.datamanager_v1.services.ingestion_service.transports import (
    IngestionServiceGrpcTransport,
    IngestionServiceRestTransport,
)
from google.ads.datamanager_v1.services.user_list_service.transports import (
    UserListServiceGrpcTransport,
    UserListServiceRestTransport,
)
from google.api_core.exceptions import (
    BadRequest,
    DeadlineExceeded,
    Forbidden,
    GoogleAPICallError,
    NotFound,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
)
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials

from leadup.sandbox import Server
from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox

ACCOUNT = "1234567890"
PARENT = f"accountTypes/GOOGLE_ADS/accounts/{ACCOUNT}"
ACTION = "987654321"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
BOTH = {"ad_user_data": 1, "ad_personalization": 1}
PLAIN = {"retry": None, "timeout": 5}
ONCE = {"retry": None}


class Client:
    """The SDK's two clients, by one door."""

    def __init__(self, ingestion: Any, lists: Any) -> None:
        self.ingestion, self.lists = ingestion, lists

    def make_list(self, name: str = "l", key: str = "CONTACT_ID", days: int = 30) -> str:
        made = self.lists.create_user_list(
            parent=PARENT,
            user_list={
                "display_name": name,
                "membership_duration": timedelta(days=days),
                "ingested_user_list_info": {"upload_key_types": [key]},
            },
            **PLAIN,
        )
        return str(made.id)

    def join(self, list_id: str, *texts: str, **how: Any) -> str:
        request = {
            "destinations": [to(list_id)],
            "audience_members": [member(text) for text in texts],
            "encoding": "HEX",
            "terms_of_service": {"customer_match_terms_of_service_status": "ACCEPTED"},
            "consent": BOTH,
            **how,
        }
        return str(self.ingestion.ingest_audience_members(request, **PLAIN).request_id)

    def convert(self, *rows: Any, **how: Any) -> Any:
        request = {"destinations": [to(ACTION)], "events": rows, "encoding": "HEX", "consent": BOTH, **how}
        return self.ingestion.ingest_events(request, **PLAIN)

    def status(self, request_id: str) -> list[Any]:
        answer = self.ingestion.retrieve_request_status({"request_id": request_id}, **PLAIN)
        return list(answer.request_status_per_destination)


def by_rest(server: Server) -> Client:
    how = {"host": server.url.partition("//")[2], "url_scheme": "http", "credentials": Credentials(token="x")}
    return Client(
        v1.IngestionServiceClient(transport=IngestionServiceRestTransport(**how)),
        v1.UserListServiceClient(transport=UserListServiceRestTransport(**how)),
    )


def by_grpc(server: Server) -> Client:
    channel = grpc.insecure_channel(server.sandbox.doors()["grpc"])
    return Client(
        v1.IngestionServiceClient(transport=IngestionServiceGrpcTransport(channel=channel)),
        v1.UserListServiceClient(transport=UserListServiceGrpcTransport(channel=channel)),
    )


def by_tls(server: Server) -> Client:
    doors = server.sandbox.doors()
    os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = doors["roots"]
    how = {"credentials": Credentials(token="x"), "client_options": {"api_endpoint": doors["grpc_tls"]}}
    return Client(v1.IngestionServiceClient(**how), v1.UserListServiceClient(**how))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(GoogleAdsSandbox()) as one:
        yield one


@pytest.fixture(scope="module", params=[by_rest, by_grpc, by_tls])
def connected(request: pytest.FixtureRequest, server: Server) -> Client:
    client: Client = request.param(server)
    return client


@pytest.fixture
def sandbox(server: Server) -> GoogleAdsSandbox:
    assert isinstance(server.sandbox, GoogleAdsSandbox)
    server.sandbox.reset()
    server.sandbox.seed({"clock": NOW.isoformat(), "polls": 0})
    return server.sandbox


@pytest.fixture
def client(sandbox: GoogleAdsSandbox, connected: Client) -> Client:
    return connected


def to(target: str, **how: Any) -> dict[str, Any]:
    account = {"account_type": "GOOGLE_ADS", "account_id": ACCOUNT}
    return {"operating_account": account, "product_destination_id": target, **how}


def sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def member(text: str, **values: Any) -> dict[str, Any]:
    return {"user_data": {"user_identifiers": [{"email_address": sha256(text).hex()}]}, **values}


def event(key: str = "t1", **values: Any) -> dict[str, Any]:
    return {
        "transaction_id": key,
        "event_timestamp": NOW - timedelta(days=1),
        "ad_identifiers": {"gclid": "Cj0"},
        "currency": "EUR",
        "conversion_value": 5.0,
        **values,
    }


def violations(error: GoogleAPICallError) -> list[tuple[str, str]]:
    """Field and reason of each, whether the details are dicts (REST) or messages (gRPC)."""
    found: list[tuple[str, str]] = []
    for detail in error.details:
        if isinstance(detail, dict):
            found += [(v["field"], v["reason"]) for v in detail.get("fieldViolations", ())]
        elif hasattr(detail, "field_violations"):
            found += [(v.field, v.reason) for v in detail.field_violations]
    return found


def refused(call: Callable[[], Any]) -> list[tuple[str, str]]:
    with pytest.raises(BadRequest) as raised:
        call()
    assert raised.value.reason == "INVALID_ARGUMENT"
    return violations(raised.value)


# ---------------------------------------------------------------- user lists


def test_a_list_is_made_read_changed_and_deleted(client: Client) -> None:
    list_id = client.make_list("a")
    name = f"{PARENT}/userLists/{list_id}"
    assert client.lists.get_user_list(name=name, **PLAIN).membership_duration == timedelta(days=30)
    changed = client.lists.update_user_list(
        user_list={"name": name, "display_name": "b"}, update_mask={"paths": ["display_name"]}, **ONCE
    )
    assert (changed.display_name, changed.membership_duration) == ("b", timedelta(days=30))
    assert [one.display_name for one in client.lists.list_user_lists(parent=PARENT, **PLAIN)] == ["b"]
    client.lists.delete_user_list(name=name, **PLAIN)
    with pytest.raises(NotFound):
        client.lists.get_user_list(name=name, **PLAIN)


@pytest.mark.parametrize(
    ("values", "mask", "found"),
    [
        ({"display_name": "other"}, "display_name", ("user_list.display_name", "DISPLAY_NAME_ALREADY_USED")),
        (
            {"ingested_user_list_info": {"upload_key_types": ["USER_ID"]}},
            "ingested_user_list_info.upload_key_types",
            ("user_list.ingested_user_list_info.upload_key_types", "IMMUTABLE_FIELD_FOR_UPDATE"),
        ),
        ({"id": 5}, "id", ("update_mask", "INVALID_UPDATE_MASK")),
        (
            {"membership_duration": timedelta(days=541)},
            "membership_duration",
            ("user_list.membership_duration", "MEMBERSHIP_DURATION_TOO_LONG"),
        ),
    ],
)
def test_a_bad_change_is_refused(client: Client, values: dict[str, Any], mask: str, found: tuple[str, str]) -> None:
    client.make_list("other")
    changed = {"name": f"{PARENT}/userLists/{client.make_list()}", **values}
    call = client.lists.update_user_list
    assert refused(lambda: call(user_list=changed, update_mask={"paths": [mask]}, **ONCE)) == [found]


def test_lists_come_in_pages(client: Client) -> None:
    for number in range(60):
        client.make_list(f"l{number}")
    first = next(client.lists.list_user_lists(parent=PARENT, **PLAIN).pages)
    assert (len(first.user_lists), first.next_page_token) == (50, "50")
    found = client.lists.list_user_lists({"parent": PARENT, "filter": 'display_name = "l7"'}, **PLAIN)
    assert [one.display_name for one in found] == ["l7"]
    assert refused(lambda: client.lists.list_user_lists({"parent": PARENT, "page_token": "x"}, **PLAIN)) == [
        ("page_token", "INVALID_PAGE_TOKEN")
    ]


def test_a_list_has_a_size_and_members_leave_when_their_time_is_over(sandbox: GoogleAdsSandbox, client: Client) -> None:
    sandbox.account.match_rate = 50
    list_id = client.make_list(days=30)
    client.join(list_id, *map(str, range(8)))
    sandbox.pass_time(timedelta(days=20))
    client.join(list_id, "0", "1")
    sandbox.settle()
    name = f"{PARENT}/userLists/{list_id}"
    found = client.lists.get_user_list(name=name, **PLAIN)
    assert found.size_info.search_network_members_count == 4, "as Google knows every other"
    sandbox.pass_time(timedelta(days=10))
    assert sandbox.members("l") == {sha256(text).hex() for text in "01"}
    assert client.lists.get_user_list(name=name, **PLAIN).size_info.display_network_members_count == 1
    sandbox.pass_time(timedelta(days=20))
    assert not client.lists.get_user_list(name=name, **PLAIN).size_info


def test_all_are_removed_who_were_last_added_before(sandbox: GoogleAdsSandbox, client: Client) -> None:
    """A full replacement without a gap: send all, then remove who was not among them."""
    list_id = client.make_list()
    client.join(list_id, "a", "b")
    sandbox.pass_time(timedelta(hours=1))
    began = sandbox.account.now()
    client.join(list_id, "b", "c")
    request = {"destinations": [to(list_id)], "remove_as_of_time": began}
    answer = client.ingestion.remove_all_audience_members(request, timeout=60)
    sandbox.settle()
    assert sandbox.members("l") == {sha256(text).hex() for text in "bc"}
    (status,) = client.status(answer.request_id)
    assert status.request_status.name == "SUCCESS"
    ahead = {**request, "remove_as_of_time": began + timedelta(seconds=1)}
    assert refused(lambda: client.ingestion.remove_all_audience_members(ahead, timeout=60)) == [
        ("remove_as_of_time", "INVALID_REMOVE_AS_OF_TIME")
    ]


# ---------------------------------------------------------------- fast fail


@pytest.mark.parametrize(
    ("seed", "field", "reason"),
    [
        (
            {"customer_match_terms": False},
            "terms_of_service.customer_match_terms_of_service_status",
            "TERMS_AND_CONDITIONS_NOT_SIGNED",
        ),
        (
            {"eu_political_declared": False},
            "destinations[0].operating_account",
            "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED",
        ),
    ],
)
def test_an_account_that_may_not_take_members(
    sandbox: GoogleAdsSandbox, client: Client, seed: dict[str, Any], field: str, reason: str
) -> None:
    list_id = client.make_list()
    sandbox.seed(seed)
    assert refused(lambda: client.join(list_id, "a")) == [(field, reason)]


USER_DATA = {"user_data": member("a")["user_data"]}
PLACE = "destinations[0].operating_account"
PRODUCT = "destinations[0].product_destination_id"
EVENTS: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (
        {"data_terms": False},
        USER_DATA,
        PLACE,
        "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED",
    ),
    (
        {"enhanced_conversions": False},
        USER_DATA,
        PLACE,
        "DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
    ),
    (
        {"data_policy_ok": False},
        USER_DATA,
        PLACE,
        "DESTINATION_ACCOUNT_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS",
    ),
    ({"actions": {}}, {}, PRODUCT, "INVALID_CONVERSION_ACTION_ID"),
    ({"actions": {ACTION: {"status": "REMOVED"}}}, {}, PRODUCT, "INVALID_CONVERSION_ACTION_ID"),
    ({"actions": {ACTION: {"owner": "1111111111"}}}, {}, PRODUCT, "INVALID_CONVERSION_ACTION_ID"),
    ({"actions": {ACTION: "WEBPAGE"}}, {}, PRODUCT, "INVALID_CONVERSION_ACTION_TYPE"),
    ({"actions": {ACTION: {"created": NOW}}}, {}, PRODUCT, "CONVERSION_ACTION_TOO_RECENTLY_CREATED"),
    ({}, {"event_timestamp": NOW + timedelta(hours=1)}, "events[0].event_timestamp", "EVENT_TIME_INVALID"),
]


@pytest.mark.parametrize(("seed", "values", "field", "reason"), EVENTS)
def test_events_are_refused_at_once(
    sandbox: GoogleAdsSandbox, client: Client, seed: dict[str, Any], values: dict[str, Any], field: str, reason: str
) -> None:
    sandbox.seed(seed)
    assert refused(lambda: client.convert(event(**values))) == [(field, reason)]
    assert sandbox.account.accepted == {}


@pytest.mark.parametrize("validate_only", [False, True])
def test_any_other_reason_is_a_fault_by_row(sandbox: GoogleAdsSandbox, client: Client, validate_only: bool) -> None:
    sandbox.weather.add(kind="reject", every=2, code="INVALID_AD_IDENTIFIER_FOR_ACCOUNT")
    rows = [event(f"t{n}") for n in range(4)]
    assert refused(lambda: client.convert(*rows, validate_only=validate_only)) == [
        ("events[1]", "INVALID_AD_IDENTIFIER_FOR_ACCOUNT"),
        ("events[3]", "INVALID_AD_IDENTIFIER_FOR_ACCOUNT"),
    ]


def test_what_is_only_validated_has_no_status(sandbox: GoogleAdsSandbox, client: Client) -> None:
    answer = client.convert(event(), validate_only=True)
    assert refused(lambda: client.status(answer.request_id)) == [("request_id", "INVALID_REQUEST_ID")]
    assert sandbox.account.accepted == {}


def test_a_status_is_kept_for_fifty_days(sandbox: GoogleAdsSandbox, client: Client) -> None:
    request_id = client.convert(event()).request_id
    sandbox.pass_time(timedelta(days=50))
    assert len(client.status(request_id)) == 1
    sandbox.pass_time(timedelta(seconds=1))
    assert refused(lambda: client.status(request_id)) == [("request_id", "REQUEST_TOO_OLD")]


# ---------------------------------------------------------------- encodings


@pytest.mark.parametrize(
    ("encoding", "written"), [("HEX", bytes.hex), ("BASE64", lambda hashed: base64.b64encode(hashed).decode())]
)
def test_both_encodings_mean_the_same(
    sandbox: GoogleAdsSandbox, client: Client, encoding: str, written: Callable[[bytes], str]
) -> None:
    name, phone = written(sha256("ada")), written(sha256("+4930"))
    address = {"given_name": name, "family_name": name, "region_code": "DE", "postal_code": "10115"}
    identifiers = [{"email_address": written(sha256("a"))}, {"phone_number": phone}, {"address": address}]
    rows = [{"user_data": {"user_identifiers": identifiers}}]
    client.join(client.make_list(), audience_members=rows, encoding=encoding)
    sandbox.settle()
    hashed = sha256("ada").hex()
    assert sandbox.members("l") == {sha256("a").hex(), sha256("+4930").hex(), f"{hashed} {hashed} DE 10115"}


@pytest.mark.parametrize(
    ("encoding", "text", "reason"),
    [
        ("HEX", "ab1", "INVALID_HEX_ENCODING"),
        ("HEX", "ab", "INVALID_SHA256_FORMAT"),
        ("BASE64", "a?==", "INVALID_BASE64_ENCODING"),
        ("BASE64", "YWJj", "INVALID_SHA256_FORMAT"),
    ],
)
def test_hashes_have_their_form(client: Client, encoding: str, text: str, reason: str) -> None:
    rows = [{"user_data": {"user_identifiers": [{"email_address": text}]}}]
    field = "audience_members[0].user_data.user_identifiers[0].email_address"
    list_id = client.make_list()
    assert refused(lambda: client.join(list_id, audience_members=rows, encoding=encoding)) == [(field, reason)]


def test_an_address_needs_all_its_parts(client: Client) -> None:
    address = {"given_name": "Ada", "region_code": "de", "postal_code": "10115"}
    rows = [{"user_data": {"user_identifiers": [{"address": address}]}}]
    field = "audience_members[0].user_data.user_identifiers[0].address"
    list_id = client.make_list()
    assert refused(lambda: client.join(list_id, audience_members=rows)) == [
        (f"{field}.given_name", "INVALID_HEX_ENCODING"),
        (f"{field}.family_name", "REQUIRED_FIELD_MISSING"),
        (f"{field}.region_code", "INVALID_REGION_CODE"),
    ]


# ---------------------------------------------------------------- what is told later, by count


CLICK = NOW - timedelta(days=2)
LATER: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"clicks": {}}, {}, "CLICK_NOT_FOUND"),
    ({"clicks": {}}, {"ad_identifiers": {}, **USER_DATA}, "CLICK_NOT_FOUND"),
    ({}, {"ad_identifiers": {"gclid": "not one!"}}, "INVALID_GCLID"),
    ({}, {"ad_identifiers": {"wbraid": "not one!"}}, "INVALID_WBRAID"),
    ({}, {"ad_identifiers": {"gbraid": "not one!"}}, "INVALID_GBRAID"),
    ({"clicks": {"Cj0": {"at": CLICK, "from_ads": False}}}, {}, "INVALID_CLICK"),
    ({"clicks": {"Cj0": {"at": CLICK, "account": "1"}}}, {}, "INVALID_OPERATING_ACCOUNT_FOR_CLICK"),
    ({"clicks": {"Cj0": NOW}}, {}, "CONVERSION_PRECEDES_CLICK"),
    ({"clicks": {"Cj0": NOW - timedelta(hours=1)}}, {"event_timestamp": NOW}, "TOO_RECENT_CLICK"),
    ({}, {"event_timestamp": NOW - timedelta(days=91)}, "EVENT_TOO_OLD"),
    ({"clicks": {"Cj0": CLICK}, "actions": {ACTION: {"lookback_days": 0}}}, {}, "EVENT_TOO_OLD"),
    (
        {"actions": {ACTION: {"counting": "ONE_PER_CLICK"}}},
        {"ad_identifiers": {"gbraid": "b"}},
        "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
    ),
    ({}, {"consent": {"ad_user_data": 2}}, "DENIED_CONSENT"),
    ({}, {"consent": {"ad_user_data": 0}}, "UNKNOWN_CONSENT"),
    ({"people_in": "eea"}, {"consent": {"ad_user_data": 0}}, "NO_CONSENT"),
]


@pytest.mark.parametrize(("seed", "values", "reason"), LATER)
def test_rows_fail_later_by_count(
    sandbox: GoogleAdsSandbox, client: Client, seed: dict[str, Any], values: dict[str, Any], reason: str
) -> None:
    sandbox.seed(seed)
    answer = client.convert(event(**values))
    (status,) = client.status(answer.request_id)
    assert status.request_status.name == "FAILED"
    ((count,),) = (status.error_info.error_counts,)
    assert (count.reason.name.rpartition("ERROR_REASON_")[2], count.record_count) == (reason, 1)
    assert sandbox.conversions(ACTION) == {}


def test_a_missing_consent_is_none_of_google_s_business_elsewhere(sandbox: GoogleAdsSandbox, client: Client) -> None:
    sandbox.account.people_in = "elsewhere"
    client.convert(event(), consent={})
    sandbox.settle()
    assert sandbox.conversions(ACTION)["t1"]["ad_user_data"] is None


def test_an_action_made_by_the_other_api_is_settled_after_six_hours(sandbox: GoogleAdsSandbox, client: Client) -> None:
    sandbox.seed({"actions": {ACTION: {"created": NOW}}})
    sandbox.pass_time(timedelta(hours=6))
    client.convert(event())
    sandbox.settle()
    assert set(sandbox.conversions(ACTION)) == {"t1"}


def test_a_request_is_processed_for_some_polls_and_longer_if_it_is_late(
    sandbox: GoogleAdsSandbox, client: Client
) -> None:
    sandbox.polls = 1
    sandbox.weather.add(kind="late", polls=2, path="IngestEvents")
    request_id = client.convert(event()).request_id
    states = [client.status(request_id)[0].request_status.name for _ in range(4)]
    assert states == ["PROCESSING", "PROCESSING", "PROCESSING", "SUCCESS"]


def test_warnings_are_told_at_once_and_by_count(sandbox: GoogleAdsSandbox, client: Client) -> None:
    sandbox.weather.add(kind="reject", every=2, code="WARNING_REASON_INVALID_MERCHANT_ID")
    answer = client.convert(event("t1"), event("t2"))
    assert [(one.field, one.reason.name) for one in answer.field_warnings] == [
        ("events[1]", "WARNING_REASON_INVALID_MERCHANT_ID")
    ]
    sandbox.weather.add(kind="reject", every=2, code="PROCESSING_WARNING_REASON_INTERNAL_ERROR")
    sandbox.polls = 1
    request_id = client.convert(event("t3"), event("t4")).request_id
    (waiting,), (status,) = client.status(request_id), client.status(request_id)
    assert not waiting.warning_info.warning_counts
    (count,) = status.warning_info.warning_counts
    assert (count.reason.name, count.record_count) == ("PROCESSING_WARNING_REASON_INTERNAL_ERROR", 1)
    assert status.request_status.name == "SUCCESS"
    assert set(sandbox.conversions(ACTION)) == {"t1", "t2", "t3", "t4"}


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(0, "LESS_THAN_20"), (20, "20_TO_30"), (30, "20_TO_30"), (31, "31_TO_40"), (90, "81_TO_90"), (100, "91_TO_100")],
)
def test_members_are_counted_with_a_match_rate(
    sandbox: GoogleAdsSandbox, client: Client, rate: int, expected: str
) -> None:
    sandbox.account.match_rate, sandbox.polls = rate, 1
    request_id = client.join(client.make_list(), "a", "b")
    (waiting,), (status,) = client.status(request_id), client.status(request_id)
    early = waiting.audience_members_ingestion_status.user_data_ingestion_status
    assert (early.record_count, early.upload_match_rate_range.value) == (2, 0)
    part = status.audience_members_ingestion_status.user_data_ingestion_status
    assert (part.record_count, part.user_identifier_count) == (2, 2)
    assert part.upload_match_rate_range.name == f"MATCH_RATE_RANGE_{expected}"


# ---------------------------------------------------------------- weather


@pytest.mark.parametrize("path", ["events:ingest", "", "v1"])
@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ({"kind": "rate_limit"}, TooManyRequests, "RATE_LIMIT_EXCEEDED"),
        ({"kind": "fail", "status": 403, "code": "SERVICE_DISABLED"}, Forbidden, "SERVICE_DISABLED"),
        ({"kind": "fail", "status": 503}, ServiceUnavailable, "UNAVAILABLE"),
    ],
)
def test_faults_are_the_same_by_any_door(
    sandbox: GoogleAdsSandbox, client: Client, path: str, fault: dict[str, Any], kind: type[Exception], reason: str
) -> None:
    sandbox.weather.add(path=path, **fault)
    with pytest.raises(kind) as raised:
        client.convert(event())
    assert isinstance(raised.value, GoogleAPICallError)
    assert raised.value.reason == reason
    assert sandbox.account.accepted == {}
    client.convert(event())


def test_a_token_expires(sandbox: GoogleAdsSandbox, client: Client) -> None:
    """By REST the SDK does not show the answer: it looks for another token first, and these credentials have none."""
    sandbox.weather.add(kind="expire_token")
    with pytest.raises((Unauthorized, RefreshError)):
        client.convert(event())
    assert sandbox.weather.log[-1].status == 401


def test_a_quota_tells_its_name(sandbox: GoogleAdsSandbox, client: Client) -> None:
    sandbox.per_day = 1
    client.convert(event())
    with pytest.raises(TooManyRequests) as raised:
        client.convert(event())
    assert raised.value.metadata["quota_limit"] == "IngestionMutateRequestsPerDayPerProject"
    sandbox.per_day, sandbox.per_minute = 100, 0
    with pytest.raises(TooManyRequests) as raised:
        client.make_list()
    assert raised.value.metadata["quota_limit"] == "MutateRequestsPerMinutePerProject"


def test_calls_name_the_manager_account(sandbox: GoogleAdsSandbox, client: Client) -> None:
    sandbox.manager = "9998887777"
    login = {"login_account": {"account_type": "GOOGLE_ADS", "account_id": "9998887777"}}
    with pytest.raises(Forbidden):
        client.convert(event())
    client.convert(event(), destinations=[to(ACTION, **login)])
    with pytest.raises(Forbidden):
        client.make_list()
    header = [("login-account", "accountTypes/GOOGLE_ADS/accounts/9998887777")]
    assert list(client.lists.list_user_lists(parent=PARENT, metadata=header, **PLAIN)) == []


def test_an_answer_is_lost_after_the_work(sandbox: GoogleAdsSandbox, client: Client) -> None:
    sandbox.weather.add(kind="lose_answer")
    with pytest.raises(Exception, match=r"Socket closed|Connection aborted|RemoteDisconnected"):
        client.convert(event())
    assert len(sandbox.account.accepted) == 1
    assert sandbox.weather.log[-1].status == 0


# ---------------------------------------------------------------- gRPC alone


def test_a_call_hangs_until_its_deadline(sandbox: GoogleAdsSandbox, server: Server) -> None:
    sandbox.weather.add(kind="hang", seconds=60)
    request = {"destinations": [to(ACTION)], "events": [event()], "encoding": "HEX"}
    with pytest.raises(DeadlineExceeded):
        by_grpc(server).ingestion.ingest_events(request, retry=None, timeout=0.2)
    assert sandbox.account.accepted == {}


def test_a_stop_cuts_what_hangs() -> None:
    emulator = GoogleAdsSandbox()
    emulator.weather.add(kind="hang", seconds=60)
    channel = grpc.insecure_channel(emulator.doors()["grpc"])
    call = channel.unary_unary("/google.ads.datamanager.v1.IngestionService/IngestEvents").future(b"", timeout=30)
    while not emulator._door._hanging:  # type: ignore[union-attr]
        assert not call.done()
    emulator.close()
    with pytest.raises(grpc.RpcError):
        call.result()


def test_tls_needs_a_token(sandbox: GoogleAdsSandbox, server: Server) -> None:
    by_tls(server)
    doors = server.sandbox.doors()
    with open(doors["roots"], "rb") as roots:
        channel = grpc.secure_channel(doors["grpc_tls"], grpc.ssl_channel_credentials(roots.read()))
    client = v1.IngestionServiceClient(transport=IngestionServiceGrpcTransport(channel=channel))
    with pytest.raises(Unauthorized):
        client.retrieve_request_status({"request_id": "x"}, **PLAIN)


def test_a_limit_may_say_when_to_come_again(sandbox: GoogleAdsSandbox, server: Server) -> None:
    sandbox.weather.add(kind="rate_limit", retry_after=90)
    with pytest.raises(TooManyRequests) as raised:
        by_grpc(server).convert(event())
    assert [detail.retry_delay.seconds for detail in raised.value.details if hasattr(detail, "retry_delay")] == [90]


def test_the_log_tells_of_all_doors(sandbox: GoogleAdsSandbox, server: Server) -> None:
    by_rest(server).convert(event("t1"))
    by_grpc(server).convert(event("t2"))
    first, second = sandbox.weather.log
    assert (first.method, first.path, first.status) == ("POST", "/v1/events:ingest", 200)
    assert (second.method, second.path) == ("gRPC", "/google.ads.datamanager.v1.IngestionService/IngestEvents")
    assert v1.IngestEventsRequest.deserialize(second.body).events[0].transaction_id == "t2"


def test_the_older_api_s_package_is_loaded_with_its_first_call() -> None:
    """It is 170 MB and takes a second or two: who does not call it must not wait for it, nor need it."""
    script = (
        "import sys; from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox; one = GoogleAdsSandbox(); "
        "one.doors(); one.close(); print('google.ads.googleads' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "False\n"
