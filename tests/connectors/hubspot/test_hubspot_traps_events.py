"""The traps of HubSpot's forms and custom events that the emulator carries.

By plain HTTP, under the paths of version 3 and the dated ones. What the connector makes of them is tested with the
connector.
"""

from __future__ import annotations

import pytest
import requests
from hubspot_account import Stage
from hubspot_http import BEGIN, GONE, INVALID, Api, category

# ---------------------------------------------------------------- forms, owners


SUBMISSIONS = "/form-integrations/v1/submissions/forms"


def test_trap_submissions_come_newest_first_50_at_most_and_tell_no_cookie(api: Api) -> None:
    form = api.hubspot.add_form("Demo")
    for number in range(51):
        page = f"https://harbour.example/demo?gclid=click{number}"
        api.hubspot.submit_form(form, {"email": f"{number}@example.com", "plan": "team"}, page)
        api.later(minutes=1)
    first = api.get(SUBMISSIONS, f"/{form}", limit=50)
    rest = api.get(SUBMISSIONS, f"/{form}", limit=50, after=first["paging"]["next"]["after"])
    told = first["results"] + rest["results"]
    assert [each["values"][0]["value"] for each in told] == [f"{n}@example.com" for n in range(50, -1, -1)]
    assert "paging" not in rest
    assert set(told[0]) == {"conversionId", "submittedAt", "values", "pageUrl"}
    assert told[-1]["submittedAt"] == int(BEGIN.timestamp() * 1000), "milliseconds"
    assert told[-1]["pageUrl"] == "https://harbour.example/demo?gclid=click0"
    assert len({each["conversionId"] for each in told}) == 51
    assert len(api.get(SUBMISSIONS, f"/{form}")["results"]) == 20
    assert category(api.ask("GET", SUBMISSIONS, f"/{form}", limit=51)) == INVALID
    assert category(api.ask("GET", SUBMISSIONS, "/no-form")) == GONE


def test_trap_a_submission_makes_a_contact_but_not_of_a_barred_address(api: Api) -> None:
    form = api.hubspot.add_form("Demo")
    api.hubspot.block("gone@example.com")
    ada = api.hubspot.add_contact("ada@example.com")
    for name in ("ADA", "new", "gone"):
        api.hubspot.submit_form(form, {"email": f"{name}@example.com", "firstname": name})
    contacts = api.hubspot.state()["contacts"]
    assert [each["email"] for each in contacts.values()] == ["ada@example.com", "new@example.com"]
    assert contacts[ada]["firstname"] == "ADA"
    assert contacts[ada]["recent_conversion_event_name"] == "Demo"
    assert contacts[ada]["recent_conversion_date"] == "2026-03-01T09:00:00.000Z"


def test_trap_only_hubspots_own_forms_come_unless_all_are_asked_for(api: Api) -> None:
    own, captured = api.hubspot.add_form("Demo"), api.hubspot.add_form("Footer", kind="captured")
    assert [each["id"] for each in api.get("forms")["results"]] == [own]
    assert [each["id"] for each in api.get("forms", "/", formTypes="all")["results"]] == [own, captured]
    first = api.get("forms", formTypes="all", limit=1)
    rest = api.get("forms", formTypes="all", limit=1, after=first["paging"]["next"]["after"])
    assert [each["id"] for each in rest["results"]] == [captured]
    assert api.get("forms", f"/{own}")["name"] == "Demo"


def test_trap_forms_and_their_submissions_have_no_dated_path_but_in_a_beta(stage: Stage) -> None:
    api = Api(stage, "2026-03")
    form = api.hubspot.add_form("Demo")
    assert api.ask("GET", "/marketing/forms/2026-03").status_code == 404
    assert api.ask("GET", "/form-integrations/2026-03/submissions/forms", f"/{form}").status_code == 404
    assert [each["id"] for each in api.get("/marketing/forms/2026-09-beta")["results"]] == [form]


def test_trap_owners_are_told_by_id(api: Api) -> None:
    owner = api.hubspot.add_owner("sam@harbour.example", "Sam", "Low")
    deal = api.hubspot.add_deal("a", hubspot_owner_id=owner)
    told = api.get("deals", f"/{deal}", properties="hubspot_owner_id")["properties"]["hubspot_owner_id"]
    assert api.get("owners", f"/{told}")["email"] == "sam@harbour.example"
    assert [each["id"] for each in api.get("owners", "/", email="sam@harbour.example")["results"]] == [owner]
    assert api.get("owners", email="nobody@harbour.example")["results"] == []


@pytest.mark.parametrize(
    ("scope", "area", "tail"),
    [
        ("crm.objects.deals.read", "deals", ""),
        ("crm.objects.contacts.read", "contacts", ""),
        ("crm.objects.owners.read", "owners", ""),
        ("forms", "forms", ""),
        ("forms", SUBMISSIONS, "/any"),
    ],
)
def test_trap_each_area_needs_its_scope(api: Api, scope: str, area: str, tail: str) -> None:
    api.hubspot.scopes.remove(scope)
    answer = api.ask("GET", area, tail)
    assert category(answer) == (403, "MISSING_SCOPES")
    assert answer.json()["errors"][0]["context"] == {"requiredGranularScopes": [scope]}


# ---------------------------------------------------------------- events


def define(api: Api, name: str = "demo_asked", **more: object) -> requests.Response:
    body = {"label": name, "name": name, "includeDefaultProperties": False, "propertyDefinitions": [], **more}
    return api.ask("POST", "events", "/event-definitions", body)


def event(**more: object) -> dict[str, object]:
    return {"eventName": "pe4815162_demo_asked", "properties": {}, **more}


def test_trap_204_says_accepted_and_not_whose(api: Api) -> None:
    ada = api.hubspot.add_contact("ada@example.com")
    api.hubspot.know_cookie("c00kie", ada)
    define(api)
    keys = [
        {"objectId": ada},
        {"email": "ADA@example.com"},
        {"utk": "c00kie"},
        {"objectId": "999"},
        {"email": "nobody@example.com"},
        {"utk": "unknown"},
        {"objectId": "999", "email": "ada@example.com"},
    ]
    answer = api.ask("POST", "events", "/send/batch", {"inputs": [event(**key) for key in keys]})
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.ask("POST", "events", "/send", event(objectId=ada)).status_code == 204
    assert [each.contact for each in api.hubspot.events] == [ada] * 3 + [None] * 4 + [ada]
    assert list(api.hubspot.state()["contacts"]) == [ada]


def test_trap_a_uuid_counts_once_in_a_year_and_nothing_says_so(api: Api) -> None:
    define(api)
    for days, count in ((0, 1), (364, 1), (2, 2)):
        api.later(days=days)
        row = event(email="ada@example.com", uuid="0c1d2e3f-0000-4000-8000-000000000001")
        assert api.ask("POST", "events", "/send", row).status_code == 204
        assert len(api.hubspot.events) == count


def test_trap_occurred_at_is_now_where_it_is_left_out(api: Api) -> None:
    define(api)
    for at in ({}, {"occurredAt": "2026-02-28T10:00:00Z"}, {"occurredAt": "1772355600000"}):
        api.ask("POST", "events", "/send", event(email="ada@example.com", **at))
    assert [each.at.isoformat() for each in api.hubspot.events] == [
        "2026-03-01T09:00:00+00:00",
        "2026-02-28T10:00:00+00:00",
        "2026-03-01T09:00:00+00:00",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"eventName": "demo_asked"},
        {"eventName": "pe1_demo_asked"},
        {"eventName": "pe4815162_nothing"},
        {"email": ""},
        {"properties": None},
        {"properties": {"plan": 7}},
        {"properties": {"Plan": "team"}},
        {"properties": {"plan": "x" * 257}},
        {"properties": {"page_url": "x" * 1025}},
        {"properties": {f"p{n}": "x" for n in range(51)}},
        {"occurredAt": "yesterday"},
    ],
    ids=str,
)
def test_trap_one_wrong_event_refuses_the_whole_batch(api: Api, wrong: dict[str, object]) -> None:
    define(api)
    good = event(email="ada@example.com", properties={"page_url": "x" * 1024})
    assert category(api.ask("POST", "events", "/send/batch", {"inputs": [good, good | wrong]})) == INVALID
    assert api.hubspot.events == []


def test_trap_a_batch_of_events_has_500_at_most(api: Api) -> None:
    define(api)
    rows = [event(email="ada@example.com")] * 501
    assert category(api.ask("POST", "events", "/send/batch", {"inputs": rows})) == INVALID
    assert api.ask("POST", "events", "/send/batch", {"inputs": rows[:500]}).status_code == 204


def test_trap_properties_that_nobody_defined_are_dropped(api: Api) -> None:
    define(api, propertyDefinitions=[{"name": "plan", "label": "Plan", "type": "string"}])
    row = event(email="ada@example.com", properties={"plan": "team", "colour": "red", "hs_page_title": "Demo"})
    api.ask("POST", "events", "/send", row)
    (sent,) = api.hubspot.events
    assert sent.properties == {"plan": "team", "hs_page_title": "Demo"}


def test_trap_a_changed_definition_answers_201(api: Api) -> None:
    made = define(api)
    assert (made.status_code, made.json()["fullyQualifiedName"]) == (201, "pe4815162_demo_asked")
    assert category(define(api)) == (409, "CONFLICT")
    patched = api.ask(
        "PATCH", "events", "/event-definitions/pe4815162_demo_asked", {"label": "Asked", "propertyOrder": []}
    )
    assert (patched.status_code, patched.json()["labels"]["singular"]) == (201, "Asked")
    new = {"name": "plan", "label": "Plan", "type": "string"}
    statuses = [api.ask("POST", "events", "/event-definitions/demo_asked/property", new).status_code for _ in range(2)]
    assert statuses == [201, 409]
    found = api.get("events", "/event-definitions", searchString="demo")
    assert (found["total"], found["results"][0]["properties"][0]["name"]) == (1, "plan")
    assert api.ask("DELETE", "events", "/event-definitions/demo_asked").status_code == 204
    assert category(api.ask("GET", "events", "/event-definitions/demo_asked")) == GONE


@pytest.mark.parametrize("tier", ["free", "starter", "professional"])
def test_trap_custom_events_need_enterprise(stage: Stage, style: str, tier: str) -> None:
    api = Api(stage, style, tier=tier)
    for answer in (
        api.ask("POST", "events", "/send", event(email="ada@example.com")),
        define(api),
        api.ask("GET", "events", "/event-definitions"),
    ):
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("scope", "method", "tail"),
    [
        ("analytics.behavioral_events.send", "POST", "/send/batch"),
        ("behavioral_events.event_definitions.read_write", "GET", "/event-definitions"),
    ],
)
def test_trap_sending_and_defining_events_are_two_rights(api: Api, scope: str, method: str, tail: str) -> None:
    api.hubspot.scopes.remove(scope)
    answer = api.ask(method, "events", tail, {"inputs": []})
    assert category(answer) == (403, "MISSING_SCOPES")
    assert answer.json()["errors"][0]["context"] == {"requiredGranularScopes": [scope]}
