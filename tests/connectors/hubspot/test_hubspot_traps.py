"""The traps of HubSpot's contacts and properties that the emulator carries.

By plain HTTP, under the paths of version 3 and the dated ones. What the connector makes of them is tested with the
connector.
"""

from __future__ import annotations

import pytest
from hubspot_account import Stage
from hubspot_http import GONE, INVALID, Api, category

# ---------------------------------------------------------------- contacts


def test_trap_upsert_tells_who_is_new(api: Api) -> None:
    ada = api.hubspot.add_contact("ada@example.com")
    rows = [
        {"id": email, "idProperty": "email", "properties": {"firstname": "x"}}
        for email in ("ADA@example.com", "new@example.com")
    ]
    answer = api.batch("upsert", rows)
    assert answer.status_code == 200
    told = {each["id"]: each["new"] for each in answer.json()["results"]}
    assert told.pop(ada) is False
    assert list(told.values()) == [True]
    assert api.hubspot.contact(*told)["email"] == "new@example.com"


def test_trap_upsert_by_a_unique_property_tells_failures_apart_where_traced(api: Api) -> None:
    api.hubspot.add_property("external_id", unique=True)
    rows = [
        {"id": key, "idProperty": "external_id", "properties": {"email": mail}, "objectWriteTraceId": key}
        for key, mail in (("u1", "ada@example.com"), ("u2", "no address"))
    ]
    answer = api.batch("upsert", rows)
    assert (answer.status_code, answer.json()["numErrors"]) == (207, 1)
    assert [each["objectWriteTraceId"] for each in answer.json()["results"]] == ["u1"]
    assert answer.json()["errors"][0]["context"] == {"objectWriteTraceId": ["u2"], "ids": ["u2"]}
    untraced = [{name: value for name, value in row.items() if name != "objectWriteTraceId"} for row in rows]
    assert category(api.batch("upsert", untraced)) == INVALID


@pytest.mark.parametrize("traced", [False, True])
def test_trap_upsert_by_email_is_done_whole_or_not_at_all(api: Api, *, traced: bool) -> None:
    api.hubspot.block("Gone@example.com")
    rows = [{"id": mail, "idProperty": "email", "properties": {}} for mail in ("a@example.com", "gone@example.com")]
    for row in rows if traced else ():
        row["objectWriteTraceId"] = row["id"]
    assert category(api.batch("upsert", rows)) == INVALID
    assert api.hubspot.state()["contacts"] == {}


def test_trap_a_gdpr_deletion_of_a_stranger_bars_the_address_for_ever(api: Api) -> None:
    ada = api.hubspot.add_contact("ada@example.com")
    api.create_list("a")
    api.hubspot.put("a", ada)
    for body in ({"objectId": ada}, {"objectId": "bob@example.com", "idProperty": "email"}):
        assert api.ask("POST", "contacts", "/gdpr-delete", body).status_code == 204
    assert api.hubspot.state()["contacts"] == {}
    assert api.members("1") == []
    api.later(days=365)
    row = {"id": "bob@example.com", "idProperty": "email", "properties": {}}
    assert category(api.batch("upsert", [row])) == INVALID
    assert category(api.batch("create", [{"properties": {"email": "BOB@example.com"}}])) == INVALID
    assert api.batch("upsert", [row | {"id": "ada@example.com"}]).json()["results"][0]["new"] is True


def test_trap_update_by_email_fails_and_by_a_unique_property_works(api: Api) -> None:
    api.hubspot.add_property("external_id", unique=True)
    ada = api.hubspot.add_contact("ada@example.com", external_id="u1")
    row = {"id": "ada@example.com", "idProperty": "email", "properties": {"firstname": "Ada"}}
    answer = api.batch("update", [row])
    assert category(answer) == INVALID
    assert answer.json()["message"] == "Unable to perform update/upsert by non-unique 0-1 property"
    assert api.batch("update", [row | {"id": "u1", "idProperty": "external_id"}]).status_code == 200
    assert api.hubspot.contact(ada)["firstname"] == "Ada"


def test_trap_update_by_email_without_saying_so_is_silently_passed_over(api: Api) -> None:
    ada = api.hubspot.add_contact("ada@example.com")
    answer = api.batch("update", [{"id": "ada@example.com", "properties": {"firstname": "Ada"}}])
    assert (answer.status_code, answer.json()["results"], answer.json().get("errors")) == (200, [], None)
    assert "firstname" not in api.hubspot.contact(ada)


def test_trap_a_batch_read_with_history_takes_50(api: Api) -> None:
    ids = [api.hubspot.add_contact(f"{n}@example.com") for n in range(51)]
    assert category(api.batch("read", ids, propertiesWithHistory=["firstname"])) == INVALID
    assert api.batch("read", ids).status_code == 200
    for name in ("Ada", "Grace"):
        api.later(minutes=1)
        api.hubspot.set_property(ids[0], firstname=name)
    (told,) = api.batch("read", ids[:1], propertiesWithHistory=["firstname"]).json()["results"]
    assert told["propertiesWithHistory"]["firstname"] == [
        {"value": "Grace", "timestamp": "2026-03-01T09:02:00.000Z", "sourceType": "INTEGRATION"},
        {"value": "Ada", "timestamp": "2026-03-01T09:01:00.000Z", "sourceType": "INTEGRATION"},
    ]


def test_trap_read_names_the_unknown_in_a_207_and_promises_no_order(api: Api) -> None:
    ids = [api.hubspot.add_contact(f"{n}@example.com") for n in range(2)]
    answer = api.batch("read", [*ids, "999"])
    assert answer.status_code == 207
    assert [each["id"] for each in answer.json()["results"]] == ids[::-1]
    (error,) = answer.json()["errors"]
    assert (error["category"], error["context"]) == ("OBJECT_NOT_FOUND", {"ids": ["999"]})


@pytest.mark.parametrize("verb", ["read", "update", "upsert"])
def test_trap_duplicates_reject_the_whole_batch(api: Api, verb: str) -> None:
    rows = [{"id": key, "idProperty": "email", "properties": {}} for key in ("a@example.com", "A@example.com")]
    answer = api.batch(verb, rows)
    assert category(answer) == INVALID
    assert answer.json()["message"] == "Duplicate IDs found in batch input: [a@example.com]. IDs must be unique"
    assert answer.json()["context"] == {"ids": ["a@example.com"]}


def test_trap_create_of_a_known_address_is_a_conflict_that_names_only_the_first(api: Api) -> None:
    ids = [api.hubspot.add_contact(f"{n}@example.com") for n in range(2)]
    rows = [{"properties": {"email": f"{n}@example.com"}} for n in range(3)]
    answer = api.batch("create", rows)
    assert category(answer) == (409, "CONFLICT")
    assert answer.json()["message"] == f"Contact already exists. Existing ID: {ids[0]}"
    assert list(api.hubspot.state()["contacts"]) == ids


def test_trap_create_tells_failures_apart_only_with_trace_ids(api: Api) -> None:
    known = api.hubspot.add_contact("0@example.com")
    rows = [{"properties": {"email": f"{n}@example.com"}, "objectWriteTraceId": f"row {n}"} for n in range(2)]
    answer = api.batch("create", rows)
    assert answer.status_code == 207
    assert [each["objectWriteTraceId"] for each in answer.json()["results"]] == ["row 1"]
    (error,) = answer.json()["errors"]
    assert error["category"] == "CONFLICT"
    assert error["context"] == {"objectWriteTraceId": ["row 0"], "existingId": [known]}


def test_trap_a_merged_contact_vanishes_and_the_survivor_has_its_address(api: Api) -> None:
    keep = api.hubspot.add_contact("new@example.com", firstname="Ada")
    gone = api.hubspot.add_contact("old@example.com", firstname="A.", phone="1")
    api.create_list("a")
    api.hubspot.merge(keep, gone)
    assert {"firstname": "Ada", "phone": "1"}.items() <= api.hubspot.contact(keep).items()
    answer = api.ask("PUT", "lists", "/1/memberships/add", [gone, keep]).json()
    assert (answer["recordsIdsAdded"], answer["recordIdsMissing"]) == ([keep], [gone])
    assert api.batch("read", [gone]).status_code == 207
    told = api.batch("read", ["old@example.com"], idProperty="email", properties=["email", "hs_merged_object_ids"])
    assert [(each["id"], each["properties"]["email"]) for each in told.json()["results"]] == [(keep, "new@example.com")]
    assert told.json()["results"][0]["properties"]["hs_merged_object_ids"] == gone


def test_trap_our_own_writes_bump_lastmodifieddate(api: Api) -> None:
    ada = api.hubspot.add_contact("ada@example.com", firstname="Ada")
    api.later(minutes=5)
    api.batch("update", [{"id": ada, "properties": {"firstname": "Ada"}}])
    (told,) = api.batch("read", [ada], properties=["createdate", "lastmodifieddate"]).json()["results"]
    assert told["properties"]["createdate"] == told["createdAt"] == "2026-03-01T09:00:00.000Z"
    assert told["properties"]["lastmodifieddate"] == told["updatedAt"] == "2026-03-01T09:05:00.000Z"


def test_trap_the_lifecycle_stage_moves_forward_unless_it_is_cleared(api: Api) -> None:
    ada = api.hubspot.add_contact("ada@example.com", lifecyclestage="opportunity")
    for value, stands in (("lead", "opportunity"), ("customer", "customer"), ("", ""), ("lead", "lead")):
        assert api.batch("update", [{"id": ada, "properties": {"lifecyclestage": value}}]).status_code == 200
        assert api.hubspot.contact(ada)["lifecyclestage"] == stands


def test_trap_marketable_status_is_read_only(api: Api) -> None:
    ada = api.hubspot.add_contact("ada@example.com")
    answer = api.batch("update", [{"id": ada, "properties": {"hs_marketable_status": "true"}}])
    assert answer.json()["errors"][0]["code"] == "READ_ONLY_VALUE"


@pytest.mark.parametrize("value", [1, 1.5, True, None])
def test_trap_values_are_text(api: Api, value: object) -> None:
    ada = api.hubspot.add_contact("ada@example.com")
    answer = api.batch("update", [{"id": ada, "properties": {"firstname": value}}])
    assert answer.json()["errors"][0]["code"] == "INVALID_STRING"


@pytest.mark.parametrize("value", ["1,000", "1.000,5", "1 000", "nan", "1_000"])
def test_trap_numbers_have_no_thousands_separators(api: Api, value: str) -> None:
    api.hubspot.add_property("score", "number")
    ada = api.hubspot.add_contact("ada@example.com")
    answer = api.batch("update", [{"id": ada, "properties": {"score": value}}])
    assert answer.json()["errors"][0]["code"] == "INVALID_DOUBLE"


# ---------------------------------------------------------------- properties


def test_trap_checkboxes_hold_several_options_and_know_no_others(api: Api) -> None:
    api.hubspot.add_property("segments", "enumeration", options=["hot", "warm"], field_type="checkbox")
    ada = api.hubspot.add_contact("ada@example.com")

    def write(value: str) -> int:
        return api.batch("update", [{"id": ada, "properties": {"segments": value}}]).status_code

    assert [write("hot;warm"), write("hot;cold"), write("hot; warm")] == [200, 400, 400]
    assert api.hubspot.contact(ada)["segments"] == "hot;warm"
    assert write("") == 200
    assert api.hubspot.contact(ada)["segments"] == ""


def test_trap_a_leading_semicolon_adds_a_checkbox(api: Api) -> None:
    api.hubspot.add_property("segments", "enumeration", options=["hot", "warm"], field_type="checkbox")
    ada = api.hubspot.add_contact("ada@example.com", segments="hot")
    api.batch("update", [{"id": ada, "properties": {"segments": ";warm"}}])
    assert api.hubspot.contact(ada)["segments"] == "hot;warm"


def test_trap_changed_options_replace_all_there_were(api: Api) -> None:
    options = [{"label": o, "value": o, "hidden": False, "displayOrder": -1} for o in ("hot", "warm", "cold")]
    body = {"name": "segments", "label": "Segments", "type": "enumeration", "fieldType": "checkbox"}
    body |= {"groupName": "contactinformation", "options": options[:2]}
    assert api.ask("POST", "properties", "", body).status_code == 201
    answer = api.ask("PATCH", "properties", "/segments", {"options": options[1:]})
    assert answer.status_code == 200
    assert [each["value"] for each in api.get("properties", "/segments")["options"]] == ["warm", "cold"]
    assert category(api.ask("PATCH", "properties", "/nothing", {"options": []})) == GONE
    assert category(api.ask("PATCH", "properties", "/segments", {"options": options[:1] * 2})) == INVALID


def test_trap_the_dated_options_need_a_display_order(stage: Stage) -> None:
    body = {"name": "tier", "label": "Tier", "type": "enumeration", "fieldType": "select"}
    body |= {"groupName": "contactinformation", "options": [{"label": "hot", "value": "hot", "hidden": False}]}
    assert Api(stage, "v3").ask("POST", "properties", "", body).status_code == 201
    assert category(Api(stage, "2026-03").ask("POST", "properties", "", body)) == INVALID


@pytest.mark.parametrize("field_type", ["text", "number", ""])
def test_trap_type_and_field_type_go_together(api: Api, field_type: str) -> None:
    body = {
        "name": "x",
        "label": "x",
        "type": "enumeration",
        "fieldType": field_type,
        "groupName": "contactinformation",
    }
    assert category(api.ask("POST", "properties", "", body)) == INVALID


def test_trap_what_exists_is_a_conflict_on_409(api: Api) -> None:
    group = {"name": "leadup", "label": "leadup"}
    body = {"name": "x", "label": "x", "type": "string", "fieldType": "text", "groupName": "leadup"}
    for tail, made in (("/groups", group), ("", body)):
        assert [api.ask("POST", "properties", tail, made).status_code for _ in range(2)] == [201, 409]
    found = api.get("properties", "/x")
    assert (found["description"], found["options"]) == ("", [])
    assert "x" in [each["name"] for each in api.get("properties")["results"]]
    assert "leadup" in [each["name"] for each in api.get("properties", "/groups")["results"]]
