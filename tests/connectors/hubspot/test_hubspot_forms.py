"""What people sent by forms: events that bring an address and a browser together."""

from __future__ import annotations

from typing import Any

import pytest
from hubspot_crm import HOUR, MINUTE, SECOND, Crm, of, of_each_api

from leadup.errors import NeedsHuman
from leadup.types import Kind

PAGE = "https://shop.example/demo?utm_source=google&utm_campaign=spring&gclid=Cj0-1&email=ada%40example.com#form"


@of_each_api
def test_a_submission_is_an_event_with_the_page_and_the_campaign_and_the_click(crm: Crm) -> None:
    form = crm.sandbox.add_form("Ask for a demo")
    sent = crm.sandbox.submit_form(form, {"email": "ada@example.com", "message": "Hello"}, PAGE)
    at = crm.now
    (event,) = crm.events("forms")
    assert (event.id, event.name, event.at) == (f"form-{sent}", "form_submit", at)
    assert event.properties == {
        "form_id": form,
        "form_name": "Ask for a demo",
        "url": "https://shop.example/demo",
        "path": "/demo",
        "host": "shop.example",
        "source": "google",
        "campaign": "spring",
    }, "and nothing that people typed"
    assert event.click_ids == {"gclid": "Cj0-1"}


def test_fields_bring_an_address_and_a_browser_together(crm: Crm) -> None:
    form = crm.sandbox.add_form("Ask for a demo")
    crm.sandbox.submit_form(form, {"email": "ada@example.com", "ga_client": "c1", "hubspotutk": "u-1", "plan": "pro"})
    (event,) = crm.events("forms", identifiers={"client_id": "ga_client", "hutk": "hubspotutk"}, form_fields=["plan"])
    assert [of(event, kind) for kind in (Kind.EMAIL, Kind.CLIENT_ID, Kind.HUTK)] == [
        ["ada@example.com"],
        ["c1"],
        ["u-1"],
    ]
    assert event.properties["plan"] == "pro"


def test_a_submission_that_tells_nobody_is_an_event_all_the_same(crm: Crm) -> None:
    crm.sandbox.submit_form(crm.sandbox.add_form("Poll"), {"answer": "yes"}, "no address at all [")
    (event,) = crm.events("forms")
    assert event.identifiers == ()


def test_a_form_of_the_site_that_hubspot_captures_is_read_too(crm: Crm) -> None:
    crm.sandbox.submit_form(crm.sandbox.add_form("#newsletter", "captured"), {"email": "ada@example.com"})
    assert len(crm.events("forms")) == 1


@of_each_api
def test_only_new_submissions_are_read_again(crm: Crm) -> None:
    form = crm.sandbox.add_form("Ask for a demo")
    for number in range(30):
        crm.now += MINUTE
        crm.sandbox.submit_form(form, {"email": f"c{number}@example.com"})
    assert len(crm.events("forms")) == 30
    crm.requests()
    assert crm.events("forms") == []
    assert crm.requests(form) == 1
    crm.sandbox.submit_form(form, {"email": "new@example.com"})
    assert len(crm.events("forms")) == 1


def test_forms_can_be_chosen(crm: Crm) -> None:
    asked, other = crm.sandbox.add_form("Ask for a demo"), crm.sandbox.add_form("Newsletter")
    for form in (asked, other):
        crm.sandbox.submit_form(form, {"email": "ada@example.com"})
    (event,) = crm.events("forms", forms=[asked, "gone"])
    assert event.properties["form_id"] == asked


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"forms": ["f-demoo"]}, "no form with the id 'f-demoo', which forms of .*; did you mean \"f-demo\"?"),
        ({"forms": ["Ask for a demo"]}, "'Ask for a demo', which .*: it is called so, and its id is 'f-demo'"),
        ({"form_fields": ["paln"]}, "No form that is read has a field 'paln', which form_fields .*mean \"plan\"?"),
        ({"identifiers": {"user_id": "crm_idd"}}, "has a field 'crm_idd', which identifiers .*mean \"crm_id\"?"),
        ({"forms": ["f-news"], "form_fields": ["plan"]}, r"'plan', which form_fields of connection 'feed' names\.\n"),
    ],
)
def test_what_no_form_has_is_told_by_the_check(crm: Crm, given: dict[str, Any], said: str) -> None:
    crm.sandbox.add_form("Ask for a demo", guid="f-demo", fields=["email", "plan", "crm_id"])
    crm.sandbox.add_form("Newsletter", guid="f-news", fields=["email"])
    with pytest.raises(NeedsHuman, match=said):
        crm.source("forms", **given).check()


@pytest.mark.parametrize(
    ("read", "given"),
    [
        (["forms"], {}),
        (["forms"], {"forms": ["f-demo"], "form_fields": ["plan"], "identifiers": {"user_id": "crm_id"}}),
        (["forms"], {"form_fields": ["anything"], "forms": ["f-site"]}),
        (["contacts", "forms"], {"identifiers": {"user_id": "external_id"}, "forms": ["f-demo"]}),
        (["contacts", "forms"], {"identifiers": {"user_id": "crm_id"}}),
    ],
    ids=["nothing named", "all there", "fields that HubSpot does not tell", "of contacts alone", "of forms alone"],
)
def test_the_check_takes_what_there_is(crm: Crm, read: list[str], given: dict[str, Any]) -> None:
    crm.sandbox.add_property("external_id")
    crm.sandbox.add_form("Ask for a demo", guid="f-demo", fields=["email", "plan", "crm_id"])
    crm.sandbox.add_form("#site", "captured", guid="f-site")
    crm.source(*read, **given).check()
    crm.pull(*read, **given)


def test_a_form_that_vanishes_stops_nothing(crm: Crm) -> None:
    gone, stays = crm.sandbox.add_form("Ask for a demo"), crm.sandbox.add_form("Newsletter")
    crm.sandbox.submit_form(gone, {"email": "ada@example.com"})
    crm.events("forms")
    crm.sandbox.submit_form(stays, {"email": "grace@example.com"})
    crm.weather.add(kind="fail", status=404, path=gone)
    pages = crm.pull("forms")
    assert [one.id for page in pages for one in page.records] != []
    assert pages[-1].complete_until is not None
    crm.sandbox.submit_form(gone, {"email": "emmy@example.com"})
    assert len(crm.events("forms")) == 1, "and when it is there again, it goes on"


def test_a_page_token_that_is_not_known_any_more_begins_the_form_anew(crm: Crm) -> None:
    form = crm.sandbox.add_form("Ask for a demo")
    sent = set()
    for number in range(10):
        crm.now += SECOND
        sent.add(f"form-{crm.sandbox.submit_form(form, {'email': f'c{number}@example.com'})}")
    crm.now += HOUR
    pull = iter(crm.source("forms").pull(None, crm.now))
    pages = [next(pull)]
    crm.cursor = pages[-1].cursor
    crm.weather.add(kind="fail", status=400, path=form)
    pages += crm.pull("forms")
    assert {one.id for page in pages for one in page.records} == sent
