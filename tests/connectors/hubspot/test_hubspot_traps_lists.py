"""The traps of HubSpot's lists that the emulator carries.

By plain HTTP, under the paths of version 3 and the dated ones. What the connector makes of them is tested with the
connector.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from hubspot_account import Stage
from hubspot_http import GONE, INVALID, Api, category

# ---------------------------------------------------------------- lists


def test_trap_both_path_styles_tell_the_same_account(api: Api) -> None:
    assert api.get("account", "/details")["portalId"] == 4815162


def test_trap_lists_of_the_first_version_are_gone(api: Api) -> None:
    assert api.ask("GET", "/contacts/v1/lists").status_code == 404


def test_trap_create_answers_200_and_takes_a_slash_at_the_end(api: Api) -> None:
    body = {"name": "a", "objectTypeId": "0-1", "processingType": "MANUAL"}
    assert api.ask("POST", "lists", "/", body).status_code == 200
    assert category(api.create_list("a")) == INVALID


def test_trap_names_are_unique_in_the_whole_account(api: Api) -> None:
    api.create_list("a", listFolderId=int(api.hubspot.add_folder("one")))
    answer = api.create_list("a", listFolderId=int(api.hubspot.add_folder("other")))
    assert category(answer) == INVALID
    api.create_list("b")
    assert category(api.ask("PUT", "lists", "/2/update-list-name", listName="a")) == INVALID


def test_trap_no_schema_checks_the_processing_type(api: Api) -> None:
    assert category(api.create_list("a", processingType="STATIC")) == INVALID


def test_trap_dynamic_lists_take_no_members(api: Api) -> None:
    api.hubspot.add_list("active", "DYNAMIC")
    contact = api.hubspot.add_contact("ada@example.com")
    for tail, body in (
        ("add", [contact]),
        ("remove", [contact]),
        ("add-and-remove", {"recordIdsToAdd": [contact], "recordIdsToRemove": []}),
    ):
        assert category(api.ask("PUT", "lists", f"/1/memberships/{tail}", body)) == INVALID


def test_trap_lists_of_other_objects_have_names_and_ids_among_those_of_contacts(api: Api) -> None:
    made = api.create_list("Key accounts", objectTypeId="0-2").json()["list"]
    assert (made["listId"], made["objectTypeId"]) == ("1", "0-2")
    assert category(api.create_list("Key accounts")) == INVALID
    assert category(api.create_list("b", objectTypeId="0-53")) == INVALID
    assert category(api.ask("GET", "lists", "/object-type-id/0-1/name/Key%20accounts")) == GONE
    assert api.get("lists", "/object-type-id/0-2/name/Key%20accounts")["list"] == api.get("lists", "/1")["list"]
    contact = api.hubspot.add_contact("ada@example.com")
    added = api.ask("PUT", "lists", "/1/memberships/add", [contact]).json()
    assert added["recordsIdsAdded"] == [contact], "it is some company's id as well"
    assert api.get("lists", f"/records/0-1/{contact}/memberships")["results"] == []


def test_trap_the_key_is_records_ids_added(api: Api) -> None:
    api.create_list("a")
    ada, bob, eve = (api.hubspot.add_contact(f"{name}@example.com") for name in ("ada", "bob", "eve"))
    api.hubspot.put("a", bob, eve)
    body = {"recordIdsToAdd": [ada, bob, "999"], "recordIdsToRemove": [eve, "998"]}
    answer = api.ask("PUT", "lists", "/1/memberships/add-and-remove", body)
    assert answer.status_code == 200
    assert answer.json() == {
        "recordsIdsAdded": [ada],
        "recordIdsRemoved": [eve],
        "recordIdsMissing": ["999", "998"],
    }
    assert api.members("1") == [ada, bob]


@pytest.mark.parametrize("body", [{"recordIdsToAdd": ["1"]}, {"recordIdsToRemove": []}, [], {}])
def test_trap_add_and_remove_needs_both_arrays(api: Api, body) -> None:
    api.create_list("a")
    assert category(api.ask("PUT", "lists", "/1/memberships/add-and-remove", body)) == INVALID


def test_trap_unknown_ids_are_no_error(api: Api) -> None:
    api.create_list("a")
    answer = api.ask("PUT", "lists", "/1/memberships/remove", ["998"])
    assert (answer.status_code, answer.json()["recordIdsMissing"]) == (200, ["998"])


def test_trap_members_come_by_record_id_and_before_alone_goes_backward(api: Api) -> None:
    api.create_list("a")
    ids = [api.hubspot.add_contact(f"{n}@example.com") for n in range(5)]
    api.hubspot.put("a", *reversed(ids))

    def page(**query: object) -> tuple[list[str], dict]:
        answer = api.get("lists", "/1/memberships", **query)
        return [each["recordId"] for each in answer["results"]], answer["paging"]

    assert page(limit=3) == (ids[:3], {"next": {"after": ids[2], "link": f"{api_path(api)}?limit=3&after={ids[2]}"}})
    back, paging = page(limit=3, before=ids[4])
    assert back == [ids[3], ids[2], ids[1]]
    assert paging["prev"]["before"] == ids[1]
    assert page(limit=3, before=ids[1]) == ([ids[0]], {})
    assert page(limit=3, before=ids[4], after=ids[2]) == (ids[3:], {})
    assert category(api.ask("GET", "lists", "/1/memberships", limit=251)) == INVALID


def api_path(api: Api) -> str:
    return {"v3": "/crm/v3/lists/1/memberships", "2026-03": "/crm/lists/2026-03/1/memberships"}[api.style]


def test_trap_members_come_by_time_of_joining_where_asked(api: Api) -> None:
    api.create_list("a")
    ids = [api.hubspot.add_contact(f"{n}@example.com") for n in range(3)]
    for contact in reversed(ids):
        api.hubspot.put("a", contact)
        api.later(seconds=1)
    first = api.get("lists", "/1/memberships/join-order", limit=2)
    assert [each["recordId"] for each in first["results"]] == [ids[2], ids[1]]
    after = first["paging"]["next"]["after"]
    rest = api.get("lists", "/1/memberships/join-order", limit=2, after=after)
    assert rest["results"] == [{"recordId": ids[0], "membershipTimestamp": "2026-03-01T09:00:02.000Z"}]


def test_trap_a_search_hit_has_no_size_but_additional_properties(api: Api) -> None:
    folder = api.hubspot.add_folder("leadup")
    api.create_list("leadup: a", listFolderId=int(folder))
    contact = api.hubspot.add_contact("ada@example.com")
    api.hubspot.put("leadup: a", contact)
    api.hubspot.add_list("shown in ads", used=2)
    body = {"query": "leadup", "offset": 0, "additionalProperties": [], "listIds": [], "processingTypes": []}
    (hit,) = api.ask("POST", "lists", "/search", body).json()["lists"]
    assert "size" not in hit
    assert hit["additionalProperties"] == {
        "hs_list_size": "1",
        "hs_last_record_added_at": "1772355600000",
        "hs_folder_name": "leadup",
        "hs_list_reference_count": "0",
    }
    (used,) = api.ask("POST", "lists", "/search", body | {"query": "ads"}).json()["lists"]
    assert used["additionalProperties"]["hs_list_reference_count"] == "2"
    assert category(api.ask("POST", "lists", "/search", body | {"count": 501})) == INVALID


def test_trap_the_dated_search_needs_ids_and_processing_types(stage: Stage) -> None:
    body = {"offset": 0, "additionalProperties": []}
    assert Api(stage, "v3").ask("POST", "lists", "/search", body).status_code == 200
    assert category(Api(stage, "2026-03").ask("POST", "lists", "/search", body)) == INVALID


def test_trap_by_ids_only_those_that_exist_come(api: Api) -> None:
    api.create_list("a")
    api.create_list("b")
    api.ask("DELETE", "lists", "/2")
    found = api.get("lists", listIds=["1", "2", "9"])["lists"]
    assert [(each["listId"], each["size"]) for each in found] == [("1", 0)]


@pytest.mark.parametrize(("days", "status"), [(90, 204), (91, 404)])
def test_trap_a_deleted_list_is_restored_within_90_days(api: Api, days: int, status: int) -> None:
    api.create_list("a")
    contact = api.hubspot.add_contact("ada@example.com")
    api.hubspot.put("a", contact)
    assert api.ask("DELETE", "lists", "/1").status_code == 204
    assert category(api.ask("GET", "lists", "/1")) == GONE
    assert category(api.ask("PUT", "lists", "/1/memberships/add", [contact])) == GONE
    api.later(days=days)
    assert api.ask("PUT", "lists", "/1/restore").status_code == status
    assert api.hubspot.members("a") == ({contact} if status == 204 else set())


def test_trap_a_deleted_list_leaves_its_name_and_does_not_get_it_back(api: Api) -> None:
    api.create_list("a")
    api.ask("DELETE", "lists", "/1")
    assert api.create_list("a").status_code == 200
    assert category(api.ask("PUT", "lists", "/1/restore")) == INVALID


def test_trap_a_list_is_renamed_in_the_query_and_keeps_its_id(api: Api) -> None:
    api.create_list("a")
    answer = api.ask("PUT", "lists", "/1/update-list-name", listName="b c/d")
    assert (answer.status_code, answer.json()["updatedList"]["name"]) == (200, "b c/d")
    assert category(api.ask("GET", "lists", "/object-type-id/0-1/name/a")) == GONE
    assert api.get("lists", "/object-type-id/0-1/name/b%20c%2Fd")["list"]["listId"] == "1"


def test_trap_folders_hang_below_root_0_and_only_the_asked_one_tells_its_lists(api: Api) -> None:
    made = api.ask("POST", "lists", "/folders", {"name": "leadup"})
    assert (made.status_code, made.json()["folder"]["parentFolderId"]) == (200, "0")
    folder = made.json()["folder"]["id"]
    below = api.ask("POST", "lists", "/folders", {"name": "eu", "parentFolderId": folder}).json()["folder"]["id"]
    api.create_list("a", listFolderId=int(folder))
    api.create_list("b")
    assert api.ask("PUT", "lists", "/folders/move-list", {"listId": "2", "newFolderId": folder}).status_code == 204
    found = api.get("lists", "/folders", folderId=folder)["folder"]
    assert (found["name"], found["childLists"]) == ("leadup", [1, 2])
    (root,) = api.get("lists", "/folders")["folder"]["childNodes"]
    assert (root["id"], root["childLists"], root["childNodes"][0]["id"]) == (folder, [], below)
    assert category(api.ask("DELETE", "lists", f"/folders/{folder}")) == INVALID
    assert api.ask("DELETE", "lists", f"/folders/{below}").status_code == 204
    assert category(api.create_list("c", listFolderId=99)) == INVALID


def test_trap_two_folders_may_have_one_name(api: Api) -> None:
    ids = [api.ask("POST", "lists", "/folders", {"name": "leadup"}).json()["folder"]["id"] for _ in range(2)]
    assert ids[0] != ids[1]


def test_trap_the_lists_of_a_contact_are_told_by_object_type(api: Api) -> None:
    contact = api.hubspot.add_contact("ada@example.com")
    for name in ("a", "b"):
        api.create_list(name)
    api.hubspot.put("b", contact)
    assert [each["listId"] for each in api.get("lists", f"/records/0-1/{contact}/memberships")["results"]] == ["2"]
    assert category(api.ask("GET", "lists", "/records/0-1/9/memberships")) == GONE


def test_trap_the_size_of_a_list_may_lag_behind_its_members(api: Api) -> None:
    api.create_list("a")
    api.hubspot.size_lag = timedelta(minutes=10)
    ids = [api.hubspot.add_contact(f"{n}@example.com") for n in range(3)]
    api.hubspot.put("a", *ids)
    api.later(minutes=10)
    api.hubspot.take("a", ids[0])
    assert api.get("lists", "/1")["list"]["size"] == 3
    assert api.members("1") == ids[1:]
    api.later(minutes=10)
    assert api.get("lists", "/1")["list"]["size"] == 2


def test_trap_an_id_of_the_first_version_may_be_another_lists_id_now(api: Api) -> None:
    for name in ("a", "b"):
        api.create_list(name)
    assert api.get("lists", "/idmapping", legacyListId="2") == {"legacyListId": "2", "listId": "1"}
    assert api.get("lists", "/2")["list"]["name"] == "b"
    assert category(api.ask("GET", "lists", "/idmapping", legacyListId="9")) == GONE
    assert api.ask("POST", "lists", "/idmapping", ["2", "9"]).json() == {
        "legacyListIdsToIdsMapping": [{"legacyListId": "2", "listId": "1"}],
        "missingLegacyListIds": ["9"],
    }
