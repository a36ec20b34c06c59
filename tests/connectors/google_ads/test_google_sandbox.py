"""The emulator refuses and answers as the Data Manager API's pages say. Asked in plain HTTP, without the connector."""

import base64
import json
from typing import Any

import pytest
import requests
from google_scenes import ACCOUNT, ACTION, sandbox, sha256

from leadup.sandbox import Server
from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox

OWNER = {"accountType": "GOOGLE_ADS", "accountId": ACCOUNT}
BOTH = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
TERMS = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
FIRST = "audience_members[0].user_data.user_identifiers[0].email_address"
NO_BASE64 = [(FIRST, "INVALID_BASE64_ENCODING")]
LISTS = f"accountTypes/GOOGLE_ADS/accounts/{ACCOUNT}/userLists"


def call(server: Server, method: str, path: str, body: Any = None, **params: Any) -> requests.Response:
    headers = {"Authorization": "Bearer x", "Connection": "close"}
    return requests.request(method, f"{server.url}/v1/{path}", json=body, params=params, headers=headers, timeout=60)


def violations(answer: requests.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert [d["@type"].rpartition(".")[2] for d in error["details"]] == ["ErrorInfo", "RequestInfo", "BadRequest"]
    return [(v["field"], v["reason"]) for v in error["details"][2]["fieldViolations"]]


def make_list(server: Server, name: str = "l", key: str = "CONTACT_ID", **values: Any) -> requests.Response:
    info = {"uploadKeyTypes": [key]}
    return call(server, "POST", LISTS, {"displayName": name, "ingestedUserListInfo": info, **values})


def to(target: str, **values: Any) -> dict[str, Any]:
    return {"operatingAccount": OWNER, "productDestinationId": target, **values}


def base64_sha256(text: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256(text))).decode()


def member(*texts: str, consent: Any = BOTH) -> dict[str, Any]:
    identifiers = [{"emailAddress": sha256(text)} for text in texts]
    return {"userData": {"userIdentifiers": identifiers}, **({"consent": consent} if consent else {})}


def members(target: str, *rows: Any, **values: Any) -> dict[str, Any]:
    body = {"destinations": [to(target)], "audienceMembers": rows, "encoding": "HEX", "termsOfService": TERMS}
    return {**body, **values}


def event(number: int = 1, **values: Any) -> dict[str, Any]:
    return {
        "transactionId": f"t{number}",
        "eventTimestamp": "2026-03-01T12:00:00Z",
        "adIdentifiers": {"gclid": "g"},
        "consent": BOTH,
        "currency": "EUR",
        "conversionValue": 1,
        **values,
    }


def events(*rows: Any, **values: Any) -> dict[str, Any]:
    return {"destinations": [to(ACTION)], "events": rows, "encoding": "HEX", **values}


# ---------------------------------------------------------------- user lists


def test_a_list_is_created_found_read_and_deleted(server: Server) -> None:
    created = make_list(server, "a", membershipDuration="864000s").json()
    assert created["name"] == f"{LISTS}/{created['id']}"
    assert created["membershipDuration"] == "864000s"
    assert call(server, "GET", created["name"]).json() == created
    assert call(server, "DELETE", created["name"]).json() == {}
    assert call(server, "GET", created["name"]).status_code == 404
    assert make_list(server, "a").json()["id"] != created["id"]


@pytest.mark.parametrize(
    ("values", "violation"),
    [
        ({"displayName": ""}, ("user_list.display_name", "REQUIRED_FIELD_MISSING")),
        ({"displayName": "taken"}, ("user_list.display_name", "DISPLAY_NAME_ALREADY_USED")),
        ({"membershipDuration": "3600s"}, ("user_list.membership_duration", "INVALID_ARGUMENT")),
        ({"membershipDuration": "46742400s"}, ("user_list.membership_duration", "MEMBERSHIP_DURATION_TOO_LONG")),
        (
            {"ingestedUserListInfo": {}},
            ("user_list.ingested_user_list_info.upload_key_types", "REQUIRED_FIELD_MISSING"),
        ),
        ({"size": 5}, ("", "INVALID_FORMAT")),
    ],
)
def test_a_bad_list_is_refused(server: Server, values: dict[str, Any], violation: tuple[str, str]) -> None:
    make_list(server, "taken")
    assert violations(make_list(server, **{"name": "new", **values})) == [violation]


def test_lists_come_in_pages_and_by_name(server: Server) -> None:
    for number in range(60):
        make_list(server, f"list {number}")
    first = call(server, "GET", LISTS).json()
    assert len(first["userLists"]) == 50
    rest = call(server, "GET", LISTS, pageToken=first["nextPageToken"]).json()
    assert len(rest["userLists"]) == 10
    assert "nextPageToken" not in rest
    found = call(server, "GET", LISTS, filter='display_name = "list 7"').json()["userLists"]
    assert [one["displayName"] for one in found] == ["list 7"]
    assert violations(call(server, "GET", LISTS, filter="name = 7")) == [("filter", "INVALID_FILTER")]
    assert call(server, "GET", LISTS.replace(ACCOUNT, "1111111111")).json() == {}


# ---------------------------------------------------------------- fast fail


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (members("1"), [("audience_members", "REQUIRED_FIELD_MISSING")]),
        (members("1", *[member("a")] * 10_001), [("audience_members", "TOO_MANY_AUDIENCE_MEMBERS")]),
        (members("1", member("a"), encoding=0), [("encoding", "REQUIRED_FIELD_MISSING")]),
        (
            members("1", member("a"), termsOfService={}),
            [("terms_of_service.customer_match_terms_of_service_status", "TERMS_AND_CONDITIONS_NOT_SIGNED")],
        ),
        (
            members("1", member("a"), member(), member(*map(str, range(11)))),
            [
                ("audience_members[1].user_data.user_identifiers", "REQUIRED_FIELD_MISSING"),
                ("audience_members[2].user_data.user_identifiers", "TOO_MANY_USER_IDENTIFIERS"),
            ],
        ),
        (
            members("1", {"userData": {"userIdentifiers": [{"emailAddress": "a@b.c"}, {"phoneNumber": "ab12"}]}}),
            [
                ("audience_members[0].user_data.user_identifiers[0].email_address", "INVALID_HEX_ENCODING"),
                ("audience_members[0].user_data.user_identifiers[1].phone_number", "INVALID_SHA256_FORMAT"),
            ],
        ),
        (members("1", member("a"), encoding="BASE64"), [(FIRST, "INVALID_SHA256_FORMAT")]),
        (members("1", {"userData": {"userIdentifiers": [{"emailAddress": "a@b.c"}]}}, encoding="BASE64"), NO_BASE64),
        (members("1", {"consent": BOTH}), [("audience_members[0]", "INVALID_AUDIENCE_MEMBER")]),
        (
            members("1", member("a"), {"userIdData": {"userId": "u"}}),
            [
                ("audience_members", "MULTIPLE_DATA_TYPES_NOT_ALLOWED"),
                ("destinations[0].product_destination_id", "INVALID_USER_LIST_TYPE"),
            ],
        ),
        (
            members("1", {"userIdData": {"userId": "u"}}),
            [("destinations[0].product_destination_id", "INVALID_USER_LIST_TYPE")],
        ),
        (members("2", member("a")), [("destinations[0].product_destination_id", "INVALID_USER_LIST_ID")]),
        (members("1", member("a"), destinations=[]), [("destinations", "REQUIRED_FIELD_MISSING")]),
        (
            members("1", member("a"), destinations=[{"productDestinationId": "1", "operatingAccount": {}}]),
            [
                ("destinations[0].operating_account.account_id", "INVALID_DESTINATION"),
                ("destinations[0].operating_account.account_type", "INVALID_DESTINATION"),
                ("destinations[0].product_destination_id", "INVALID_USER_LIST_ID"),
            ],
        ),
        (members("1", member("a"), destinations=[to("1")] * 11), [("destinations", "TOO_MANY_DESTINATIONS")]),
        (
            members("1", member("a"), destinations=[to("1", reference="r")] * 2),
            [("destinations", "DUPLICATE_DESTINATION_REFERENCE")],
        ),
    ],
)
def test_bad_members_are_refused_at_once(server: Server, body: Any, found: list[tuple[str, str]]) -> None:
    real = make_list(server).json()["id"]
    text = json.dumps(body).replace('"productDestinationId": "1"', f'"productDestinationId": "{real}"')
    assert sorted(violations(call(server, "POST", "audienceMembers:ingest", json.loads(text)))) == sorted(found)
    assert sandbox(server).account.accepted == {}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (events(), [("events", "REQUIRED_FIELD_MISSING")]),
        (events(*[event()] * 2_001), [("events", "TOO_MANY_EVENTS")]),
        (events(event(), event(eventTimestamp=None)), [("events[1].event_timestamp", "REQUIRED_FIELD_MISSING")]),
        (events(event(adIdentifiers=None)), [("events[0]", "NO_IDENTIFIERS_PROVIDED")]),
        (events(event(currency="EURO")), [("events[0].currency", "INVALID_CURRENCY_CODE")]),
        (events(event(currency="XXX")), [("events[0].currency", "INVALID_CURRENCY_CODE")]),
        (events(event(adIdentifiers={"gclid": "g", "wbraid": "w"})), [("events[0].ad_identifiers", "INVALID_EVENT")]),
        (events(event(userData=member("a")["userData"]), encoding=0), [("encoding", "REQUIRED_FIELD_MISSING")]),
        (
            events(event(), destinations=[to("AW-1")]),
            [("destinations[0].product_destination_id", "INVALID_CONVERSION_ACTION_ID")],
        ),
        (events(event(retraction=True)), [("", "INVALID_FORMAT")]),
    ],
)
def test_bad_events_are_refused_at_once(server: Server, body: Any, found: list[tuple[str, str]]) -> None:
    assert violations(call(server, "POST", "events:ingest", body)) == found
    assert sandbox(server).account.accepted == {}


def test_validate_only_does_nothing(server: Server) -> None:
    answer = call(server, "POST", "events:ingest", events(event(), validateOnly=True))
    status = call(server, "GET", "requestStatus:retrieve", requestId=answer.json()["requestId"])
    assert violations(status) == [("request_id", "INVALID_REQUEST_ID")]
    sandbox(server).settle()
    assert sandbox(server).conversions(ACTION) == {}


def test_an_answer_without_a_token_is_401(server: Server) -> None:
    assert requests.get(f"{server.url}/v1/{LISTS}", timeout=60).status_code == 401


# ---------------------------------------------------------------- what is worked off


def status_of(server: Server, answer: requests.Response) -> list[dict[str, Any]]:
    request_id = answer.json()["requestId"]
    found = call(server, "GET", "requestStatus:retrieve", requestId=request_id).json()
    statuses: list[dict[str, Any]] = found["requestStatusPerDestination"]
    return statuses


def test_members_show_once_worked_off_and_in_the_order_sent(server: Server) -> None:
    key = make_list(server).json()["id"]
    call(server, "POST", "audienceMembers:ingest", members(key, member("a", "b"), member("c")))
    leave = {"destinations": [to(key)], "audienceMembers": [member("a", consent=None)], "encoding": "HEX"}
    second = call(server, "POST", "audienceMembers:remove", leave)
    assert status_of(server, second)[0]["requestStatus"] == 2, "PROCESSING"
    assert sandbox(server).members("l") == set()
    (status,) = status_of(server, second)
    assert status["requestStatus"] == 1, "SUCCESS"
    assert status["audienceMembersRemovalStatus"]["userDataRemovalStatus"] == {
        "recordCount": "1",
        "userIdentifierCount": "1",
    }
    assert sandbox(server).members("l") == {sha256("b"), sha256("c")}


def test_a_hash_is_the_same_in_either_encoding(server: Server) -> None:
    key = make_list(server).json()["id"]
    both = {"userData": {"userIdentifiers": [{"emailAddress": base64_sha256(text)} for text in "ab"]}, "consent": BOTH}
    assert call(server, "POST", "audienceMembers:ingest", members(key, both, encoding="BASE64")).status_code == 200
    leave = {"destinations": [to(key)], "audienceMembers": [member("a", consent=None)], "encoding": "HEX"}
    assert call(server, "POST", "audienceMembers:remove", leave).status_code == 200
    sandbox(server).settle()
    assert sandbox(server).members("l") == {sha256("b")}


def test_the_row_s_consent_counts_before_the_request_s(server: Server) -> None:
    key = make_list(server).json()["id"]
    denied = {"adUserData": "CONSENT_DENIED", "adPersonalization": "CONSENT_GRANTED"}
    body = members(key, member("a", consent=None), member("b", consent=denied), consent=BOTH)
    answer = call(server, "POST", "audienceMembers:ingest", body)
    sandbox(server).settle()
    (status,) = status_of(server, answer)
    assert status["requestStatus"] == 4, "PARTIAL_SUCCESS"
    assert status["errorInfo"] == {"errorCounts": [{"reason": 4, "recordCount": "1"}]}
    assert status["audienceMembersIngestionStatus"]["userDataIngestionStatus"]["recordCount"] == "2"
    assert sandbox(server).members("l") == {sha256("a")}


def test_rows_go_to_the_destinations_they_name(server: Server) -> None:
    one, two = (make_list(server, name).json()["id"] for name in ("one", "two"))
    targets = [to(one, reference="1"), to(two, reference="2")]
    rows = [{**member("a"), "destinationReferences": ["2"]}, member("b", consent=None)]
    answer = call(server, "POST", "audienceMembers:ingest", members("", *rows, destinations=targets))
    sandbox(server).settle()
    assert [status["requestStatus"] for status in status_of(server, answer)] == [3, 4]
    assert sandbox(server).members("one") == set()
    assert sandbox(server).members("two") == {sha256("a")}


def test_remove_all_empties_a_list(server: Server) -> None:
    key = make_list(server).json()["id"]
    call(server, "POST", "audienceMembers:ingest", members(key, member("a")))
    answer = call(server, "POST", "audienceMembers:removeAll", {"destinations": [to(key)]})
    sandbox(server).settle()
    assert sandbox(server).members("l") == set()
    assert status_of(server, answer)[0]["requestStatus"] == 1


def test_an_equal_transaction_id_restates(server: Server) -> None:
    later = event(conversionValue=5, userData=member("a")["userData"], adIdentifiers={"gclid": "another"})
    for row in (event(), later, later):
        call(server, "POST", "events:ingest", events(row))
    sandbox(server).settle()
    held = sandbox(server).conversions(ACTION)["t1"]
    assert (held["value"], held["count"], [h["value"] for h in held["history"]]) == (5.0, 1, [1.0, 5.0])
    assert held["click_id"] == "g", "kept"
    assert held["identifiers"] == [sha256("a")], "added, since the original had none"
    assert sandbox(server).redundant == {"convert": 1}


def test_events_without_transaction_id_count_once_for_a_click_and_an_instant(server: Server) -> None:
    sandbox(server).polls = 0
    for minute in (0, 1):
        call(
            server,
            "POST",
            "events:ingest",
            events(event(transactionId="", eventTimestamp=f"2026-03-01T12:0{minute}:00Z")),
        )
    again = call(server, "POST", "events:ingest", events(event(transactionId="")))
    assert status_of(server, again)[0]["errorInfo"]["errorCounts"] == [{"reason": 7, "recordCount": "1"}]
    assert len(sandbox(server).conversions(ACTION)) == 2


def test_two_of_one_transaction_id_in_a_request_are_one_and_a_failure(server: Server) -> None:
    answer = call(server, "POST", "events:ingest", events(event(), event(conversionValue=9)))
    sandbox(server).settle()
    (status,) = status_of(server, answer)
    assert status["errorInfo"]["errorCounts"] == [{"reason": 8, "recordCount": "1"}]
    assert status["eventsIngestionStatus"] == {"recordCount": "2"}


def test_quotas_of_writes_and_reads_are_apart_and_last_a_minute() -> None:
    now = [0.0]
    with Server(GoogleAdsSandbox(timer=lambda: now[0])) as server:
        sandbox(server).per_minute = 3
        answers = [call(server, "POST", "events:ingest", events(event(n))) for n in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        error = answers[3].json()["error"]
        assert error["status"] == "RESOURCE_EXHAUSTED"
        assert error["details"][0]["metadata"]["quota_limit"] == "IngestionMutateRequestsPerMinutePerProject"
        assert status_of(server, answers[0])
        now[0] = 60.0
        assert call(server, "POST", "events:ingest", events(event())).status_code == 200


def test_a_seed_says_what_there_is(server: Server) -> None:
    server.sandbox.seed({"actions": {ACTION: "WEBPAGE"}, "polls": 0, "per_minute": 1})
    answer = call(server, "POST", "events:ingest", events(event()))
    assert violations(answer) == [("destinations[0].product_destination_id", "INVALID_CONVERSION_ACTION_TYPE")]
    assert call(server, "POST", "events:ingest", events(event())).status_code == 429
    with pytest.raises(ValueError, match="contacts"):
        server.sandbox.seed({"contacts": []})


def test_the_state_is_json_and_settles_over_http(server: Server) -> None:
    key = make_list(server).json()["id"]
    call(server, "POST", "audienceMembers:ingest", members(key, member("a")))
    call(server, "POST", "events:ingest", events(event()))
    control = f"{server.url}/_sandbox"
    before = requests.get(f"{control}/state", timeout=60).json()
    assert before["requests"] == {"accepted": 2, "waiting": 2}
    assert requests.post(f"{control}/settle", timeout=60).status_code == 204
    after = requests.get(f"{control}/state", timeout=60).json()
    assert after["requests"] == {"accepted": 2, "waiting": 0}
    assert after["user_lists"] == [
        {
            "id": key,
            "name": "l",
            "account": ACCOUNT,
            "key_types": ["CONTACT_ID"],
            "membership_days": 540,
            "members": [sha256("a")],
        }
    ]
    assert after["conversions"][ACTION]["t1"]["value"] == 1.0
    assert after == json.loads(json.dumps(sandbox(server).state()))
