"""What the emulator answers on the wire, as a file to read and to review beside Google's pages; by both doors.

``LEADUP_UPDATE_GOLDEN=1 pytest tests/connectors/google_ads/test_google_answers.py`` writes it anew, from REST.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
import requests
from google.ads import datamanager_v1 as v1
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc import error_details_pb2, status_pb2

from leadup.sandbox import Server
from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox

GOLDEN = Path(__file__).parent / "golden" / "data_manager" / "answers.json"
ACCOUNT = "1234567890"
PARENT = f"accountTypes/GOOGLE_ADS/accounts/{ACCOUNT}"
HASH = "ab" * 32
GRANTED = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
DETAILS = (error_details_pb2.ErrorInfo, error_details_pb2.RequestInfo, error_details_pb2.BadRequest)


class Call(NamedTuple):
    """One request, in the words of both doors."""

    title: str
    service: str
    method: str
    rest: str
    message: dict[str, Any]
    """As gRPC sends it, in JSON."""
    body: str = ""
    """The field that REST sends as its body; "": the whole, "-": nothing."""
    query: dict[str, str] | None = None


def to(target: str) -> list[dict[str, Any]]:
    return [{"operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": ACCOUNT}, "productDestinationId": target}]


def event(**values: Any) -> dict[str, Any]:
    return {
        "transactionId": "t1",
        "eventTimestamp": "2026-03-01T12:00:00Z",
        "adIdentifiers": {"gclid": "Cj0"},
        "currency": "EUR",
        "conversionValue": 5,
        "consent": GRANTED,
        **values,
    }


def ingest(title: str, *events: dict[str, Any], **values: Any) -> Call:
    message = {"destinations": to("7001"), "events": list(events), "encoding": "HEX", **values}
    return Call(title, "IngestionService", "IngestEvents", "POST events:ingest", message)


def status(title: str, request_id: str) -> Call:
    message = {"requestId": request_id}
    rest = "GET requestStatus:retrieve"
    return Call(title, "IngestionService", "RetrieveRequestStatus", rest, message, "-", message)


USER_LIST = {"displayName": "l", "ingestedUserListInfo": {"uploadKeyTypes": ["CONTACT_ID"]}}
NEW_LIST = {"parent": PARENT, "userList": USER_LIST}
MEMBERS = {
    "destinations": to("7000000001"),
    "audienceMembers": [{"userData": {"userIdentifiers": [{"emailAddress": HASH}]}, "consent": GRANTED}],
    "encoding": "HEX",
    "termsOfService": {"customerMatchTermsOfServiceStatus": "ACCEPTED"},
}
CALLS = (
    Call("a list is made", "UserListService", "CreateUserList", f"POST {PARENT}/userLists", NEW_LIST, "userList"),
    Call("its name is taken", "UserListService", "CreateUserList", f"POST {PARENT}/userLists", NEW_LIST, "userList"),
    Call("members are accepted", "IngestionService", "IngestAudienceMembers", "POST audienceMembers:ingest", MEMBERS),
    status("they are waiting", "request-1"),
    status("they are in", "request-1"),
    ingest("events are accepted", event(), event(), event(transactionId="t2", consent={})),
    status("they are waiting", "request-2"),
    status("one is done and two are not", "request-2"),
    ingest("one bad event refuses all", event(), event(currency="XXX"), event(adIdentifiers={})),
    status("nobody knows this request", "request-3"),
    ingest("there are no such events", events=[]),
)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(GoogleAdsSandbox()) as one:
        yield one


def by_rest(server: Server, call: Call) -> dict[str, Any]:
    verb, path = call.rest.split(" ")
    body = None if call.body == "-" else call.message[call.body] if call.body else call.message
    headers = {"Authorization": "Bearer x"}
    url = f"{server.url}/v1/{path}"
    answer = requests.request(verb, url, json=body, params=call.query, headers=headers, timeout=60)
    shown: dict[str, Any] = answer.json()
    return shown


def by_grpc(channel: grpc.Channel, call: Call) -> dict[str, Any]:
    """The answer, or the ``google.rpc.Status`` that came with the refusal, as REST shows it."""
    request = ParseDict(call.message, getattr(v1, f"{call.method}Request").pb()())
    name = {"CreateUserList": "UserList"}.get(call.method, f"{call.method}Response")
    method = channel.unary_unary(f"/google.ads.datamanager.v1.{call.service}/{call.method}")
    try:
        answer = method(request.SerializeToString(), timeout=60)
    except grpc.RpcError as error:
        trailers = dict(error.trailing_metadata())
        return {"error": shown_status(trailers["grpc-status-details-bin"], error.code())}
    shown: dict[str, Any] = MessageToDict(getattr(v1, name).pb().FromString(answer), use_integers_for_enums=True)
    return shown


def shown_status(packed: bytes, code: grpc.StatusCode) -> dict[str, Any]:
    found = status_pb2.Status.FromString(packed)
    assert found.code == code.value[0]
    details = []
    for detail, kind in zip(found.details, DETAILS, strict=False):
        message = kind()
        assert detail.Unpack(message)
        fields: dict[str, Any] = MessageToDict(message)
        if kind is error_details_pb2.ErrorInfo:
            fields.setdefault("metadata", {})
        details.append({"@type": detail.type_url, **fields})
    return {"code": 400, "message": found.message, "status": code.name, "details": details}


def without_ids(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without the ids of refused requests, which count each door's for itself."""
    shown: dict[str, Any] = json.loads(json.dumps(answer))
    for detail in shown.get("error", {}).get("details", ()):
        detail.pop("requestId", None)
    return shown


def test_answers_are_as_reviewed(server: Server) -> None:
    told = [{"what": call.title, "asked": call.rest, "answer": without_ids(by_rest(server, call))} for call in CALLS]
    if os.environ.get("LEADUP_UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    assert told == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_grpc_says_the_same(server: Server) -> None:
    reviewed = json.loads(GOLDEN.read_text(encoding="utf-8"))
    with grpc.insecure_channel(server.sandbox.doors()["grpc"]) as channel:
        for call, one in zip(CALLS, reviewed, strict=True):
            assert (call.title, without_ids(by_grpc(channel, call))) == (one["what"], one["answer"])
