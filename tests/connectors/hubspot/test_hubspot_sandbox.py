"""The emulator behaves as HubSpot documents, asked in plain HTTP."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hubspot_account import TOKEN, Stage

from leadup.sandbox import Server
from leadup_connectors.hubspot.sandbox import HubSpotSandbox
from leadup_connectors.hubspot.sandbox.routes import CALLS

LISTS, CONTACTS, PROPERTIES = "/crm/v3/lists", "/crm/v3/objects/contacts/batch", "/crm/v3/properties/contacts"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers = response.status, response.headers
        text = response.read()
        self.body: Any = json.loads(text) if text else None


def ask(server: Server, method: str, path: str, body: Any = None, token: str = TOKEN) -> Answer:
    line = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        line.request(method, path, None if body is None else json.dumps(body), headers)
        return Answer(line.getresponse())
    finally:
        line.close()


def create(server: Server, name: str, processing: str = "MANUAL", **more: Any) -> Answer:
    return ask(server, "POST", LISTS, {"name": name, "objectTypeId": "0-1", "processingType": processing, **more})


def batch(server: Server, verb: str, *inputs: Any, **more: Any) -> Answer:
    rows = [each if isinstance(each, dict) else {"id": each} for each in inputs]
    return ask(server, "POST", f"{CONTACTS}/{verb}", {"inputs": rows, **more})


# ---------------------------------------------------------------- lists


@pytest.mark.parametrize("path", [LISTS, f"{LISTS}/"], ids=["documented", "as the library writes it"])
def test_create_answers_200(server: Server, path: str) -> None:
    answer = ask(server, "POST", path, {"name": "a", "objectTypeId": "0-1", "processingType": "MANUAL"})
    assert answer.status == 200
    created, updated = (answer.body["list"].pop(at) for at in ("createdAt", "updatedAt"))
    assert created == updated
    assert answer.body["list"] == {
        "listId": "1",
        "listVersion": 1,
        "name": "a",
        "objectTypeId": "0-1",
        "processingType": "MANUAL",
        "processingStatus": "COMPLETE",
        "size": 0,
    }


@pytest.mark.parametrize(
    ("wrong", "sub_category"),
    [
        ({"objectTypeId": "0-53"}, "ListError.INVALID_OBJECT_TYPE_FOR_LIST"),
        ({"processingType": "STATIC"}, "ListError.INVALID_PROCESSING_TYPE"),
        ({"processingType": "DYNAMIC"}, "ListError.MISSING_FILTER_BRANCH"),
        ({"name": "taken"}, "ListError.NAME_ALREADY_IN_USE"),
        ({"name": ""}, None),
    ],
)
def test_create_checks_what_no_schema_checks(server: Server, wrong: dict[str, str], sub_category: str | None) -> None:
    create(server, "taken")
    answer = ask(server, "POST", LISTS, {"name": "a", "objectTypeId": "0-1", "processingType": "MANUAL", **wrong})
    assert (answer.status, answer.body["category"]) == (400, "VALIDATION_ERROR")
    assert answer.body.get("subCategory") == sub_category
    assert answer.body["correlationId"]


def test_a_dynamic_list_with_filters_can_be_created_but_not_edited(server: Server, hubspot: HubSpotSandbox) -> None:
    contact = hubspot.add_contact("ada@example.com")
    assert create(server, "active", "DYNAMIC", filterBranch={"filterBranchType": "OR"}).status == 200
    answer = ask(server, "PUT", f"{LISTS}/1/memberships/add", [contact])
    assert (answer.status, answer.body["category"]) == (400, "VALIDATION_ERROR")


def test_lists_are_found_by_name_and_id(server: Server, hubspot: HubSpotSandbox) -> None:
    create(server, "a/b c")
    path = f"{LISTS}/object-type-id/0-1/name/{quote('a/b c', safe='')}"
    assert ask(server, "GET", path).body["list"]["listId"] == "1"
    assert ask(server, "GET", f"{LISTS}/1").body["list"]["name"] == "a/b c"
    assert ask(server, "GET", path.replace("0-1", "0-2")).status == 404
    hubspot.delete_list("a/b c")
    for gone in (path, f"{LISTS}/1", f"{LISTS}/1/memberships"):
        answer = ask(server, "GET", gone)
        assert (answer.status, answer.body["category"]) == (404, "OBJECT_NOT_FOUND")
    assert create(server, "a/b c").status == 200, "a deleted list leaves its name"


def test_search_pages_and_filters(server: Server) -> None:
    for name in ("leadup: a", "leadup: b", "other", "leadup: c"):
        create(server, name)
    ask(server, "PUT", f"{LISTS}/1/memberships/add", [])
    first = ask(server, "POST", f"{LISTS}/search", {"query": "LEADUP", "count": 2, "offset": 0}).body
    assert [each["name"] for each in first["lists"]] == ["leadup: a", "leadup: b"]
    assert (first["hasMore"], first["offset"], first["total"]) == (True, 2, 3)
    assert "size" not in first["lists"][0]
    assert first["lists"][0]["additionalProperties"]["hs_list_size"] == "0"
    second = ask(server, "POST", f"{LISTS}/search", {"query": "LEADUP", "count": 2, "offset": 2}).body
    assert [each["listId"] for each in second["lists"]] == ["4"]
    assert second["hasMore"] is False
    assert ask(server, "POST", f"{LISTS}/search", {"processingTypes": ["DYNAMIC"]}).body["total"] == 0
    assert ask(server, "POST", f"{LISTS}/search", {"listIds": ["3"]}).body["total"] == 1


# ---------------------------------------------------------------- memberships


def test_membership_answers_have_hubspots_spelling_and_its_silence(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, grace = hubspot.add_contact("ada@example.com"), hubspot.add_contact("grace@example.com")
    create(server, "a", "SNAPSHOT", filterBranch={})
    path = f"{LISTS}/1/memberships"
    added = ask(server, "PUT", f"{path}/add", [ada, "999", ada]).body
    assert added == {"recordsIdsAdded": [ada], "recordIdsRemoved": [], "recordIdsMissing": ["999"]}
    again = ask(server, "PUT", f"{path}/add", [grace, ada]).body
    assert again == {"recordsIdsAdded": [grace], "recordIdsRemoved": [], "recordIdsMissing": []}
    removed = ask(server, "PUT", f"{path}/remove", [ada]).body
    assert removed == {"recordsIdsAdded": [], "recordIdsRemoved": [ada], "recordIdsMissing": []}
    nothing = ask(server, "PUT", f"{path}/remove", [ada]).body
    assert nothing == {"recordsIdsAdded": [], "recordIdsRemoved": [], "recordIdsMissing": []}
    assert ask(server, "GET", f"{LISTS}/1").body["list"]["size"] == 1


@pytest.mark.parametrize("body", [{"recordIdsToAdd": ["1"]}, [1], "1"])
def test_the_body_is_a_bare_array_of_strings(server: Server, body: Any) -> None:
    create(server, "a")
    assert ask(server, "PUT", f"{LISTS}/1/memberships/add", body).status == 400


def test_members_come_in_pages_sorted_by_record_id(server: Server, hubspot: HubSpotSandbox) -> None:
    contacts = [hubspot.add_contact(f"{n}@example.com") for n in range(5)]
    create(server, "a")
    path = f"{LISTS}/1/memberships"
    ask(server, "PUT", f"{path}/add", list(reversed(contacts)))
    found, after = [], "0"
    while after:
        page = ask(server, "GET", f"{path}?limit=2&after={after}").body
        found.append([each["recordId"] for each in page["results"]])
        after = page["paging"].get("next", {}).get("after")
    assert found == [contacts[:2], contacts[2:4], contacts[4:]]
    assert page["total"] == 5
    assert ask(server, "GET", f"{path}?limit=251").status == 400


# ---------------------------------------------------------------- contacts


def test_read_answers_by_email_whatever_its_case_and_names_the_missing(server: Server, hubspot: HubSpotSandbox) -> None:
    ada = hubspot.add_contact("ada@example.com", firstname="Ada")
    answer = batch(
        server, "read", "ADA@example.com", "no@example.com", idProperty="email", properties=["email", "phone"]
    )
    assert answer.status == 207
    (found,) = answer.body["results"]
    for always in ("createdate", "lastmodifieddate"):
        assert found["properties"].pop(always)
    assert (found["id"], found["properties"]) == (ada, {"email": "ada@example.com", "hs_object_id": ada, "phone": None})
    assert answer.body["numErrors"] == 1
    error = answer.body["errors"][0]
    assert (error["category"], error["context"]) == ("OBJECT_NOT_FOUND", {"ids": ["no@example.com"]})


def test_read_by_record_id_and_by_a_unique_property(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_property("external_id", unique=True)
    ada = hubspot.add_contact("ada@example.com", external_id="u1")
    assert batch(server, "read", ada).body["results"][0]["id"] == ada
    assert batch(server, "read", "u1", idProperty="external_id").body["results"][0]["id"] == ada
    assert batch(server, "read", "Ada", idProperty="firstname").status == 400
    assert batch(server, "read", "Ada", idProperty="nothing").status == 400


def test_a_merged_contact_is_found_by_both_addresses_and_comes_once(server: Server, hubspot: HubSpotSandbox) -> None:
    keep, gone = hubspot.add_contact("new@example.com"), hubspot.add_contact("old@example.com")
    create(server, "a")
    ask(server, "PUT", f"{LISTS}/1/memberships/add", [gone])
    hubspot.merge(keep, gone)
    answer = batch(server, "read", "new@example.com", "old@example.com", idProperty="email")
    assert (answer.status, [each["id"] for each in answer.body["results"]]) == (200, [keep])
    assert batch(server, "read", gone).status == 207
    assert hubspot.members("a") == {keep}


@pytest.mark.parametrize("verb", ["read", "update"])
def test_duplicates_reject_the_whole_batch(server: Server, verb: str) -> None:
    answer = batch(server, verb, "a@example.com", "b@example.com", "A@example.com", idProperty="email")
    assert (answer.status, answer.body["category"]) == (400, "VALIDATION_ERROR")
    assert answer.body["message"] == "Duplicate IDs found in batch input: [a@example.com]. IDs must be unique"
    assert answer.body["context"] == {"ids": ["a@example.com"]}


@pytest.mark.parametrize("size", [0, 101])
def test_a_batch_has_1_to_100_inputs(server: Server, size: int) -> None:
    assert batch(server, "read", *map(str, range(size))).status == 400


def test_create_makes_all_contacts_or_none(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, grace = ({"properties": {"email": email, "firstname": "x"}} for email in ("Ada@example.com", "g@example.com"))
    answer = batch(server, "create", ada)
    assert answer.status == 201
    contact = answer.body["results"][0]["id"]
    assert hubspot.contact(contact) == {"email": "ada@example.com", "firstname": "x", "hs_object_id": contact}
    again = batch(server, "create", grace, ada)
    assert (again.status, again.body["category"]) == (409, "CONFLICT")
    assert again.body["message"] == f"Contact already exists. Existing ID: {contact}"
    assert list(hubspot.state()["contacts"]) == [contact]


@pytest.mark.parametrize("body", [[], {}, {"inputs": []}, {"inputs": [{"id": 1}]}])
def test_a_batch_of_another_shape_is_refused(server: Server, body: Any) -> None:
    assert ask(server, "POST", f"{CONTACTS}/read", body).status == 400


def test_update_writes_known_contacts_and_names_the_others(server: Server, hubspot: HubSpotSandbox) -> None:
    ada = hubspot.add_contact("ada@example.com")
    rows = [{"id": contact, "properties": {"firstname": "Ada"}} for contact in (ada, "999")]
    answer = batch(server, "update", *rows)
    assert answer.status == 207
    assert [each["id"] for each in answer.body["results"]] == [ada]
    assert answer.body["errors"][0]["context"] == {"ids": ["999"]}
    assert hubspot.contact(ada)["firstname"] == "Ada"
    assert batch(server, "update", rows[0]).status == 200


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"foo": "x"}, "PROPERTY_DOESNT_EXIST"),
        ({"hs_object_id": "1"}, "READ_ONLY_VALUE"),
        ({"firstname": 1}, "INVALID_STRING"),
        ({"score": "1,000"}, "INVALID_DOUBLE"),
        ({"tier": "cold"}, "INVALID_OPTION"),
    ],
)
def test_one_wrong_value_refuses_the_whole_update(
    server: Server, hubspot: HubSpotSandbox, properties: dict[str, Any], code: str
) -> None:
    hubspot.add_property("score", "number")
    hubspot.add_property("tier", "enumeration", options=["hot"])
    ada, grace = hubspot.add_contact("ada@example.com"), hubspot.add_contact("grace@example.com")
    good = {"id": grace, "properties": {"score": "1000", "tier": "hot"}}
    answer = batch(server, "update", good, {"id": ada, "properties": properties})
    assert (answer.status, answer.body["errors"][0]["code"]) == (400, code)
    assert "score" not in hubspot.contact(grace)
    assert batch(server, "update", good).status == 200


# ---------------------------------------------------------------- properties


def test_groups_and_properties_are_created_once(server: Server) -> None:
    group = {"name": "leadup", "label": "leadup"}
    score = {"name": "score", "label": "Score", "type": "number", "fieldType": "number", "groupName": "leadup"}
    assert ask(server, "POST", PROPERTIES, score).status == 400, "the group is not there yet"
    assert [ask(server, "POST", f"{PROPERTIES}/groups", group).status for _ in range(2)] == [201, 409]
    assert [ask(server, "POST", PROPERTIES, score).status for _ in range(2)] == [201, 409]
    found = ask(server, "GET", f"{PROPERTIES}/score").body
    assert {name: found[name] for name in score} == score
    assert (found["description"], found["options"], found["hasUniqueValue"]) == ("", [], False)
    assert ask(server, "GET", f"{PROPERTIES}/nothing").status == 404
    assert ask(server, "POST", PROPERTIES, {**score, "name": "Score"}).status == 400
    assert ask(server, "POST", PROPERTIES, {**score, "name": "other", "fieldType": "text"}).status == 400


def test_an_object_has_ten_unique_properties_at_most(server: Server) -> None:
    body = {"label": "x", "type": "string", "fieldType": "text", "groupName": "contactinformation"}
    statuses = [
        ask(server, "POST", PROPERTIES, {**body, "name": f"id{n}", "hasUniqueValue": True}).status for n in range(11)
    ]
    assert statuses == [201] * 10 + [400]


# ---------------------------------------------------------------- limits, rights, account


def test_every_answer_tells_the_limits(stage: Stage) -> None:
    server = stage.play(burst=190, interval=10.0, daily=250_000)
    ask(server, "GET", "/account-info/v3/details")
    headers = ask(server, "GET", f"{LISTS}/1").headers
    assert {name: value for name, value in headers.items() if name.startswith("x-hubspot")} == {
        "x-hubspot-ratelimit-max": "190",
        "x-hubspot-ratelimit-remaining": "188",
        "x-hubspot-ratelimit-interval-milliseconds": "10000",
        "x-hubspot-ratelimit-daily": "250000",
        "x-hubspot-ratelimit-daily-remaining": "249998",
    }


@pytest.mark.parametrize("retry_after", [None, 3])
def test_a_429_is_as_recorded_with_and_without_retry_after(stage: Stage, retry_after: int | None) -> None:
    server = stage.play(burst=1, interval=10.0, retry_after=retry_after)
    ask(server, "GET", f"{LISTS}/1")
    answer = ask(server, "GET", f"{LISTS}/1")
    assert answer.status == 429
    assert answer.headers.get("Retry-After") == (None if retry_after is None else "3")
    assert answer.body["policyName"] == "TEN_SECONDLY_ROLLING"
    assert answer.body["errorType"] == "RATE_LIMIT"
    assert "category" not in answer.body


def test_the_window_rolls(stage: Stage) -> None:
    server = stage.play(burst=2, interval=10.0)
    statuses = []
    for at in (0, 1, 9.9, 10.1, 10.5, 11.1):
        server.sandbox.limits.seconds = partial(float, at)
        statuses.append(ask(server, "GET", f"{LISTS}/1").status)
    assert statuses == [404, 404, 429, 404, 429, 404]


def test_the_day_ends(stage: Stage) -> None:
    server = stage.play(daily=1)
    assert ask(server, "GET", f"{LISTS}/1").status == 404
    assert ask(server, "GET", f"{LISTS}/1").body["policyName"] == "DAILY"


@pytest.mark.parametrize("token", ["", "wrong"])
def test_the_token_is_looked_at(server: Server, token: str) -> None:
    answer = ask(server, "GET", "/account-info/v3/details", token=token)
    assert (answer.status, answer.body["category"]) == (401, "INVALID_AUTHENTICATION")


def test_the_scopes_are_looked_at(stage: Stage) -> None:
    server = stage.play(scopes=["crm.lists.read"])
    answer = create(server, "a")
    assert (answer.status, answer.body["category"]) == (403, "MISSING_SCOPES")
    assert answer.body["errors"][0]["context"] == {"requiredGranularScopes": ["crm.lists.write"]}
    assert ask(server, "GET", f"{LISTS}/1").status == 404


def test_the_account_tells_its_portal_id(stage: Stage) -> None:
    details = ask(stage.play(portal_id=42), "GET", "/account-info/v3/details").body
    assert (details["portalId"], details["accountType"], details["utcOffsetMilliseconds"]) == (42, "STANDARD", 0)


def test_bodies_that_are_no_json_are_refused(server: Server) -> None:
    line = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    line.request("POST", LISTS, "{", {"Authorization": f"Bearer {TOKEN}"})
    assert line.getresponse().status == 400
    line.close()


def test_the_state_is_json(server: Server, hubspot: HubSpotSandbox) -> None:
    ada = hubspot.add_contact("ada@example.com", plan="team")
    create(server, "a")
    ask(server, "PUT", f"{LISTS}/1/memberships/add", [ada])
    state = json.loads(json.dumps(hubspot.state()))
    assert state == ask(server, "GET", "/_sandbox/state").body
    assert state["lists"] == [
        {"listId": "1", "name": "a", "processingType": "MANUAL", "deleted": False, "members": [ada]}
    ]
    assert state["contacts"] == {ada: {"email": "ada@example.com", "plan": "team", "hs_object_id": ada}}
    assert state["memberships"] == [{"list": "a", "contact": ada, "verb": "join", "times": 1}]


# ---------------------------------------------------------------- every call


def filled(path: str) -> str:
    names = {"object": "contacts", "from": "deals", "to": "contacts", "type": "0-1"}
    return re.sub(r"{(\w+)(?::path)?}", lambda found: names.get(found[1], "1"), path)


CALLED = [(call.verb, filled(path)) for call in CALLS for path, _ in call.paths()]


@pytest.mark.parametrize(("verb", "path"), CALLED, ids=lambda each: each)
def test_every_call_looks_at_the_token_and_stands_any_body(server: Server, verb: str, path: str) -> None:
    server.sandbox.limits.searches = 100
    assert ask(server, verb, path, token="wrong").status == 401
    for body in ({}, [], [1], "x", 1, {"inputs": [1]}, {"inputs": "x"}, {"inputs": [{}]}, {"listIds": 1}):
        assert ask(server, verb, path, body).status in (200, 201, 204, 207, 400, 404), body


# ---------------------------------------------------------------- seeds


def test_a_seed_plants_all_there_is() -> None:
    hubspot = HubSpotSandbox()
    seed = {
        "unique": ["external_id"],
        "owners": [{"email": "sam@harbour.example"}],
        "contacts": [{"email": "ada@example.com", "external_id": "u1"}],
        "pipelines": [{"pipeline": "77", "label": "Partners", "stages": {"1002": ["Signed", 1.0, True]}}],
        "deals": [
            {"dealname": "a", "stage": "1002", "contacts": ["ada@example.com"], "at": "2026-03-01T09:00:00Z"},
        ],
        "forms": [{"name": "Demo", "guid": "6f1c3f0e-4f0d-4d39-8f5c-6d1f0f0c9b1f"}],
        "submissions": [
            {
                "form": "6f1c3f0e-4f0d-4d39-8f5c-6d1f0f0c9b1f",
                "values": {"email": "bob@example.com"},
                "page": "https://x",
            },
        ],
    }
    hubspot.seed(json.loads(json.dumps(seed)))
    state = hubspot.state()
    assert [each["email"] for each in state["contacts"].values()] == ["ada@example.com", "bob@example.com"]
    (deal,) = state["deals"].values()
    assert (deal["pipeline"], deal["hs_is_closed_won"], deal["closedate"]) == ("77", "true", "2026-03-01T09:00:00.000Z")
    assert state["forms"] == [{"id": "6f1c3f0e-4f0d-4d39-8f5c-6d1f0f0c9b1f", "name": "Demo", "submissions": 1}]
    with pytest.raises(ValueError, match="takes no seed companies"):
        hubspot.seed({"companies": []})
