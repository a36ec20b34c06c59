"""The traps of HubSpot as a source: deals, search, pages. By plain HTTP, under both styles of paths."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hubspot_account import Stage
from hubspot_http import BEGIN, GONE, INVALID, Api, category


def ids(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["results"]]


# ---------------------------------------------------------------- search


def test_trap_deals_and_contacts_call_their_last_change_differently(api: Api) -> None:
    deal, contact = api.hubspot.add_deal("a"), api.hubspot.add_contact("ada@example.com")
    api.later(minutes=1)
    api.hubspot.set_deal(deal, amount="7")
    api.hubspot.set_property(contact, firstname="Ada")
    since = "2026-03-01T09:01:00Z"
    assert ids(api.search("deals", ("hs_lastmodifieddate", "GTE", since))) == [deal]
    assert ids(api.search("contacts", ("lastmodifieddate", "GTE", since))) == [contact]
    assert category(api.search("deals", ("lastmodifieddate", "GTE", since))) == INVALID


def test_trap_instants_are_asked_in_milliseconds_or_iso(api: Api) -> None:
    early = api.hubspot.add_deal("a")
    api.later(milliseconds=1)
    late = api.hubspot.add_deal("b")
    at = int(BEGIN.timestamp() * 1000)
    assert ids(api.search("deals", ("hs_lastmodifieddate", "LTE", str(at)))) == [early]
    assert ids(api.search("deals", ("hs_lastmodifieddate", "GT", str(at)))) == [late]
    assert ids(api.search("deals", ("createdate", "GTE", "2026-03-01T09:00:00.001Z"))) == [late]


@pytest.mark.parametrize(
    "sort",
    ["hs_lastmodifieddate", {"propertyName": "hs_lastmodifieddate", "direction": "ASCENDING"}],
    ids=["text", "object"],
)
def test_trap_sorts_are_text_or_objects_and_there_is_one(api: Api, sort) -> None:
    first, second = api.hubspot.add_deal("a"), api.hubspot.add_deal("b")
    api.later(minutes=1)
    api.hubspot.set_deal(first, amount="1")
    assert ids(api.search("deals")) == [first, second], "the oldest first"
    assert ids(api.search("deals", sorts=[sort])) == [second, first]
    assert category(api.search("deals", sorts=[sort, "amount"])) == INVALID


def test_trap_a_descending_sort(api: Api) -> None:
    deals = [api.hubspot.add_deal("a", amount=amount) for amount in ("9", "10", "")]
    asked = {"propertyName": "amount", "direction": "DESCENDING"}
    assert ids(api.search("deals", sorts=[asked])) == [deals[1], deals[0], deals[2]]
    assert ids(api.search("deals", sorts=["-amount"])) == [deals[1], deals[0], deals[2]]


@pytest.mark.parametrize("lag", [timedelta(0), timedelta(seconds=20)])
def test_trap_the_index_lags_behind_what_was_written(stage: Stage, style: str, lag: timedelta) -> None:
    api = Api(stage, style)
    api.hubspot.search_lag = lag
    deal = api.hubspot.add_deal("a", amount="1")
    assert ids(api.search("deals")) == ([] if lag else [deal])
    api.later(seconds=30)
    api.hubspot.set_deal(deal, amount="2")
    (told,) = api.search("deals", properties=["amount"]).json()["results"]
    assert told["properties"]["amount"] == ("1" if lag else "2")
    assert told["properties"]["hs_lastmodifieddate"] == f"2026-03-01T09:00:{'00' if lag else '30'}.000Z"
    assert ids(api.search("deals", ("amount", "EQ", "2"))) == ([] if lag else [deal])
    api.later(seconds=20)
    assert ids(api.search("deals", ("amount", "EQ", "2"))) == [deal]


def test_what_is_planted_for_tomorrow_is_not_found_today(api: Api) -> None:
    deal = api.hubspot.add_deal("a", at="2026-03-02T09:00:00Z")
    assert ids(api.search("deals")) == []
    api.later(days=1)
    assert ids(api.search("deals")) == [deal]


def test_trap_a_page_of_results_has_200_at_most(api: Api) -> None:
    deals = [api.hubspot.add_deal(str(n)) for n in range(201)]
    assert category(api.search("deals", limit=201)) == INVALID
    first = api.search("deals", limit=200)
    assert (ids(first), first.json()["total"]) == (deals[:200], 201)
    rest = api.search("deals", limit=200, after=first.json()["paging"]["next"]["after"])
    assert ids(rest) == deals[200:]
    assert "paging" not in rest.json()


def test_trap_after_10000_results_comes_a_400(api: Api) -> None:
    for number in range(10_001):
        api.hubspot.add_deal(str(number))
    last = api.search("deals", limit=200, after="9800")
    assert (len(ids(last)), last.json()["total"]) == (200, 10_001)
    assert last.json()["paging"]["next"]["after"] == "10000"
    assert category(api.search("deals", limit=200, after="10000")) == INVALID
    assert category(api.search("deals", limit=200, after="9801")) == INVALID


@pytest.mark.parametrize("shape", [[1] * 6, [7], [6, 6, 6, 1]])
def test_trap_a_query_has_5_groups_of_6_filters_and_18_in_all(api: Api, shape: list[int]) -> None:
    one = {"propertyName": "amount", "operator": "HAS_PROPERTY"}
    groups = [{"filters": [one] * count} for count in shape]
    assert category(api.search("deals", filterGroups=groups)) == INVALID
    assert api.search("deals", filterGroups=[{"filters": [one] * 6}] * 3).status_code == 200


def test_trap_groups_are_alternatives_and_filters_conditions(api: Api) -> None:
    won, big, small = (
        api.hubspot.add_deal("a", stage=stage, amount=amount)
        for stage, amount in (("closedwon", "1"), ("contractsent", "900"), ("contractsent", "5"))
    )
    groups = [
        {"filters": [{"propertyName": "hs_is_closed_won", "operator": "EQ", "value": "true"}]},
        {
            "filters": [
                {"propertyName": "dealstage", "operator": "IN", "values": ["contractsent"]},
                {"propertyName": "amount", "operator": "BETWEEN", "value": "100", "highValue": "1000"},
            ]
        },
    ]
    assert ids(api.search("deals", filterGroups=groups)) == [won, big]
    assert ids(api.search("deals", ("amount", "LT", "10"), ("amount", "NEQ", "1"))) == [small]


def test_trap_what_has_no_value_meets_no_comparison(api: Api) -> None:
    api.hubspot.add_deal("a")
    priced = api.hubspot.add_deal("b", amount="1")
    assert ids(api.search("deals", ("amount", "NEQ", "5"))) == [priced]
    assert ids(api.search("deals", ("amount", "HAS_PROPERTY", ""))) == [priced]
    assert len(ids(api.search("deals", ("amount", "NOT_HAS_PROPERTY", "")))) == 1


def test_trap_a_search_finds_words_of_an_address(api: Api) -> None:
    ada = api.hubspot.add_contact("ada@harbour.example")
    api.hubspot.add_contact("eve@example.com")
    assert ids(api.search("contacts", ("email", "CONTAINS_TOKEN", "*harbour.example"))) == [ada]
    assert ids(api.search("contacts", ("email", "EQ", "ADA@harbour.example"))) == [ada]
    assert ids(api.search("contacts", query="harbour")) == [ada]


@pytest.mark.parametrize(
    "one",
    [
        {"propertyName": "nothing", "operator": "EQ", "value": "1"},
        {"propertyName": "amount", "operator": "EQ", "value": "much"},
        {"propertyName": "amount", "operator": "EQ", "value": 1},
        {"propertyName": "amount", "operator": "ABOUT", "value": "1"},
        {"propertyName": "amount", "operator": "IN", "value": "1"},
    ],
)
def test_trap_a_filter_that_is_not_understood_is_refused(api: Api, one: dict) -> None:
    assert category(api.search("deals", filterGroups=[{"filters": [one]}])) == INVALID


def test_trap_archived_records_are_never_found(api: Api) -> None:
    deal, contact = api.hubspot.add_deal("a"), api.hubspot.add_contact("ada@example.com")
    api.hubspot.delete_deal(deal)
    api.hubspot.delete_contact(contact)
    assert ids(api.search("deals")) == ids(api.search("contacts")) == []


def test_trap_5_searches_a_second_per_account_and_no_headers_that_tell_limits(api: Api) -> None:
    api.hubspot.limits.seconds = float  # time stands still
    answers = [api.search("deals" if n % 2 else "contacts") for n in range(6)]
    assert [each.status_code for each in answers] == [200] * 5 + [429]
    assert category(answers[-1]) == (429, "")
    assert answers[-1].json()["policyName"] == "SECONDLY"
    assert answers[-1].json()["message"] == "You have reached your secondly limit."
    assert not [name for each in answers for name in each.headers if name.lower().startswith("x-hubspot-ratelimit")]
    assert api.ask("GET", "account", "/details").headers["X-HubSpot-RateLimit-Remaining"] == str(100_000 - 6)


# ---------------------------------------------------------------- pages and single records


def test_trap_pages_of_archived_records_go_by_id_as_well(api: Api) -> None:
    made = [api.hubspot.add_deal() for _ in range(3)]
    for one in reversed(made):
        api.hubspot.delete_deal(one)
    first = api.get("deals", limit=2, archived="true")
    rest = api.get("deals", limit=2, archived="true", after=first["paging"]["next"]["after"])
    assert [each["id"] for each in (*first["results"], *rest["results"])] == made


def test_trap_pages_of_records_go_by_id(api: Api) -> None:
    made = [api.hubspot.add_contact(f"{n}@example.com") for n in range(5)]
    api.hubspot.delete_contact(made[1])
    first = api.get("contacts", limit=2)
    assert [each["id"] for each in first["results"]] == [made[0], made[2]]
    rest = api.get("contacts", limit=2, after=first["paging"]["next"]["after"])
    assert [each["id"] for each in rest["results"]] == made[3:]
    assert "paging" not in rest
    assert category(api.ask("GET", "contacts", limit=101)) == INVALID
    assert category(api.ask("GET", "contacts", limit=51, propertiesWithHistory="email")) == INVALID


def test_trap_archived_records_are_listed_apart(api: Api) -> None:
    ada = api.hubspot.add_contact("ada@example.com")
    api.later(hours=1)
    api.hubspot.delete_contact(ada)
    assert api.get("contacts")["results"] == []
    (told,) = api.get("contacts", archived="true", properties="email,nothing")["results"]
    assert (told["id"], told["archived"], told["archivedAt"]) == (ada, True, "2026-03-01T10:00:00.000Z")
    assert told["properties"]["email"] == "ada@example.com"
    assert "nothing" not in told["properties"]
    assert category(api.ask("GET", "contacts", f"/{ada}")) == GONE
    again = api.hubspot.add_contact("ada@example.com")
    assert api.get("contacts", "/ada@example.com", idProperty="email")["id"] == again


def test_trap_properties_of_a_query_come_several_times_or_with_commas(api: Api) -> None:
    ada = api.hubspot.add_contact("ada@example.com", firstname="Ada", phone="1")
    commas = api.get("contacts", f"/{ada}", properties="firstname,phone")
    assert commas == api.get("contacts", f"/{ada}", properties=["firstname", "phone"])
    assert {"firstname": "Ada", "phone": "1"}.items() <= commas["properties"].items()


@pytest.mark.parametrize("name", ["companies", "0-2", "nothing"])
def test_trap_other_objects_are_not_known(api: Api, name: str) -> None:
    path = {"v3": "/crm/v3/objects", "2026-03": "/crm/objects/2026-03"}[api.style]
    assert category(api.ask("GET", path, f"/{name}")) == INVALID


def test_trap_deals_answer_under_their_type_id_as_well(api: Api) -> None:
    deal = api.hubspot.add_deal("a")
    path = {"v3": "/crm/v3/objects/0-3", "2026-03": "/crm/objects/2026-03/0-3"}[api.style]
    assert ids(api.search(path)) == ids(api.search("deals")) == [deal]


# ---------------------------------------------------------------- deals


def test_trap_a_closed_stage_says_whether_it_is_won_whatever_its_name(api: Api) -> None:
    stages = {"1001": ("Talking", 0.5, False), "1002": ("Signed", 1.0, True), "1003": ("Gone", 0.0, True)}
    api.hubspot.add_pipeline("77", "Partners", stages)
    deal = api.hubspot.add_deal("a", stage="1001", amount="100")
    asked = ["hs_is_closed_won", "hs_is_closed", "pipeline", "closedate"]

    def told() -> list[str | None]:
        found = api.batch("read", [deal], "deals", properties=asked).json()["results"][0]["properties"]
        return [found[name] for name in asked]

    assert told() == ["false", "false", "77", None]
    api.later(hours=1)
    api.hubspot.move_deal(deal, "1002")
    assert told() == ["true", "true", "77", "2026-03-01T10:00:00.000Z"]
    api.hubspot.move_deal(deal, "1003", at="2026-03-02T00:00:00Z")
    assert told() == ["false", "true", "77", "2026-03-02T00:00:00.000Z"]
    (mine,) = [each for each in api.get("pipelines")["results"] if each["id"] == "77"]
    assert [stage["metadata"] for stage in mine["stages"]] == [
        {"isClosed": "false", "probability": "0.5"},
        {"isClosed": "true", "probability": "1.0"},
        {"isClosed": "true", "probability": "0.0"},
    ]
    assert api.get("pipelines", "/77")["label"] == "Partners"
    assert [each["id"] for each in api.get("pipelines", "/77/stages")["results"]] == ["1001", "1002", "1003"]
    assert category(api.ask("GET", "pipelines", "/78")) == GONE


def test_trap_a_deal_reopened_and_won_again_has_both_times_in_its_history(api: Api) -> None:
    deal = api.hubspot.add_deal("a", stage="closedwon")
    for stage in ("contractsent", "closedwon"):
        api.later(days=1)
        api.hubspot.move_deal(deal, stage)
    (told,) = api.batch("read", [deal], "deals", propertiesWithHistory=["dealstage"]).json()["results"]
    history = told["propertiesWithHistory"]["dealstage"]
    assert [(each["value"], each["timestamp"][:10]) for each in history] == [
        ("closedwon", "2026-03-03"),
        ("contractsent", "2026-03-02"),
        ("closedwon", "2026-03-01"),
    ]


def test_trap_associations_name_who_has_none_in_a_207(api: Api) -> None:
    ada = api.hubspot.add_contact("ada@example.com")
    deal, lonely = api.hubspot.add_deal("a", contacts=["ada@example.com"]), api.hubspot.add_deal("b")
    body = {"inputs": [{"id": deal}, {"id": lonely}]}
    answer = api.ask("POST", "associations", "/deals/contacts/batch/read", body)
    assert answer.status_code == 207
    (told,) = answer.json()["results"]
    assert told["from"] == {"id": deal}
    assert told["to"][0]["associationTypes"] == [{"category": "HUBSPOT_DEFINED", "typeId": 3, "label": None}]
    assert str(told["to"][0]["toObjectId"]) == ada
    (error,) = answer.json()["errors"]
    assert error["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
    assert error["context"] == {"fromObjectId": [lonely], "fromObjectType": ["deal"], "toObjectType": ["contact"]}


def test_trap_associated_ids_are_numbers_in_v4_and_text_when_dated(api: Api) -> None:
    deal = api.hubspot.add_deal("a", contacts=[api.hubspot.add_contact("ada@example.com")])
    answer = api.ask("POST", "associations", "/deals/contacts/batch/read", {"inputs": [{"id": deal}]}).json()
    assert isinstance(answer["results"][0]["to"][0]["toObjectId"], int if api.style == "v3" else str)


def test_trap_a_labelled_contact_comes_twice_in_a_basic_read(api: Api) -> None:
    ada, bob = (api.hubspot.add_contact(f"{name}@example.com") for name in ("ada", "bob"))
    deal = api.hubspot.add_deal("a", contacts=[ada, bob])
    api.hubspot.associate(deal, ada, "Decision maker")
    rows = api.get("deals", f"/{deal}", associations="contacts")["associations"]["contacts"]["results"]
    assert [(row["id"], row["type"]) for row in rows] == [
        (ada, "deal_to_contact"),
        (ada, "decision_maker"),
        (bob, "deal_to_contact"),
    ]
    assert "associations" not in api.get("deals", f"/{deal}", associations="companies")
    back = api.get("contacts", associations="deals")["results"][0]
    assert back["associations"]["deals"]["results"][0] == {"id": deal, "type": "contact_to_deal"}


def test_trap_a_merge_hands_deals_on_and_a_deletion_ends_them(api: Api) -> None:
    keep, gone = api.hubspot.add_contact("new@example.com"), api.hubspot.add_contact("old@example.com")
    deal = api.hubspot.add_deal("a", contacts=[gone])
    api.hubspot.merge(keep, gone)
    body = {"inputs": [{"id": deal}]}
    answer = api.ask("POST", "associations", "/deals/contacts/batch/read", body).json()
    assert [str(each["toObjectId"]) for each in answer["results"][0]["to"]] == [keep]
    api.hubspot.delete_contact(keep)
    assert api.ask("POST", "associations", "/deals/contacts/batch/read", body).status_code == 207


def test_trap_many_associations_come_in_pages_of_500(api: Api) -> None:
    crowd = [api.hubspot.add_contact(f"{n}@example.com") for n in range(501)]
    deal = api.hubspot.add_deal("a", contacts=crowd)

    def read(**more: str) -> dict:
        body = {"inputs": [{"id": deal, **more}]}
        return api.ask("POST", "associations", "/deals/contacts/batch/read", body).json()["results"][0]

    first = read()
    rest = read(after=first["paging"]["next"]["after"])
    assert [str(each["toObjectId"]) for each in first["to"] + rest["to"]] == crowd
    assert "paging" not in rest
