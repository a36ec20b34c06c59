"""Contacts that are made on request, found by their record id, or want no e-mail."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hubspot_account import AUDIENCE, NOW, READ, SCORE, TOKEN, at, awaited, calls, connect, person
from pydantic import SecretStr, ValidationError

from leadup.errors import NeedsHuman, TryLater
from leadup.outgoing import Unreachable
from leadup.sandbox import Server
from leadup_connectors.hubspot.named import blamed
from leadup_connectors.hubspot.sandbox import HubSpotSandbox
from leadup_connectors.hubspot.settings import HubSpotSettings

UPSERT = "/batch/upsert"


# ---------------------------------------------------------------- made on request


def test_nobody_is_made_unless_somebody_asked_for_it(server: Server) -> None:
    destination = connect(server)
    [answer] = destination.address(AUDIENCE, [person(1, "ada@example.com")])
    assert isinstance(answer, Unreachable)
    assert (answer.code, answer.creatable, destination.creates) == ("contact_not_found", False, "")


def test_trap_a_new_contact_may_cost_money(server: Server) -> None:
    assert "marketing contacts" in connect(server, create_missing=True).creates


def test_who_is_not_there_is_made_by_email_and_then_found(server: Server, hubspot: HubSpotSandbox) -> None:
    destination, people = connect(server, create_missing=True), [person(1, "Ada@Example.com"), person(2, "b@x.org")]
    answers = destination.address(AUDIENCE, people)
    assert all(isinstance(one, Unreachable) and one.creatable for one in answers)
    made = destination.create(AUDIENCE, people)
    assert destination.create(AUDIENCE, people) == made, "after a crash it happens again"
    assert made == destination.address(AUDIENCE, people)
    assert [hubspot.contact(one.ids[0].value)["email"] for one in made] == ["ada@example.com", "b@x.org"]
    assert len(hubspot.state()["contacts"]) == 2


def test_made_contacts_are_found_although_looking_ahead_missed_them(server: Server, hubspot: HubSpotSandbox) -> None:
    destination, ada = connect(server, create_missing=True), person(1, "ada@example.com")
    destination.foresee(awaited([ada]), NOW)
    destination.address(AUDIENCE, [ada])
    [made] = destination.create(AUDIENCE, [ada])
    assert [made] == destination.address(AUDIENCE, [ada])
    assert not isinstance(made, Unreachable)


def test_a_score_makes_no_contacts(server: Server) -> None:
    [answer] = connect(server, create_missing=True).address(SCORE, [person(1, "ada@example.com")])
    assert isinstance(answer, Unreachable)
    assert not answer.creatable


def test_trap_a_blocklisted_address_is_refused_for_good_and_spoils_no_batch(
    server: Server, hubspot: HubSpotSandbox
) -> None:
    hubspot.block("erased@example.com")
    destination = connect(server, create_missing=True)
    people = [person(1, "ada@example.com"), person(2, "erased@example.com"), person(3, "grace@example.com")]
    ada, erased, grace = destination.create(AUDIENCE, people)
    assert isinstance(erased, Unreachable)
    assert erased.for_good
    assert erased.code.startswith("not_created_")
    assert not isinstance(ada, Unreachable)
    assert not isinstance(grace, Unreachable)


def test_a_refusal_that_is_not_about_the_address_is_not_for_good(server: Server, hubspot: HubSpotSandbox) -> None:
    """Such as a conflict with whoever makes the same contact at that moment."""
    hubspot.weather.add(kind="fail", path=UPSERT, status=409, times=3)
    destination, people = connect(server, create_missing=True), [person(1, "ada@example.com"), person(2, "b@x.org")]
    with pytest.raises(TryLater, match="HubSpot answered 409"):
        destination.create(AUDIENCE, people)
    hubspot.weather.add(kind="fail", path=UPSERT, status=400, code="VALIDATION_ERROR")
    [answer] = destination.create(AUDIENCE, people[:1])
    assert isinstance(answer, Unreachable)
    assert (answer.code, answer.for_good) == ("not_created_validation_error", False)
    assert not any(isinstance(answer, Unreachable) for answer in destination.create(AUDIENCE, people))


def test_trap_an_account_may_want_more_of_a_new_contact_than_an_address(
    server: Server, hubspot: HubSpotSandbox
) -> None:
    """That is not the address's fault: it is made once the account wants no more."""
    hubspot.want("company")
    destination, people = connect(server, create_missing=True), [person(1, "ada@example.com"), person(2, "b@x.org")]
    with pytest.raises(NeedsHuman, match=r"HubSpot answered 400 .*It is about company\."):
        destination.create(AUDIENCE, people)
    hubspot.add_contact("grace@example.com")
    for asked in ([*people, person(3, "grace@example.com")], people[:1]):
        for refused in destination.create(AUDIENCE, asked)[:2]:
            assert isinstance(refused, Unreachable)
            assert (refused.for_good, refused.code) == (False, "not_created_validation_error")
            assert "because of company" in refused.detail


@pytest.mark.parametrize("alone", [True, False])
def test_an_address_that_hubspot_names_is_refused_for_good(server: Server, *, alone: bool) -> None:
    people = [person(1, "ada@nowhere"), *([] if alone else [person(2, "ada@example.com")])]
    refused, *others = connect(server, create_missing=True).create(AUDIENCE, people)
    assert isinstance(refused, Unreachable)
    assert refused.for_good
    assert not any(isinstance(one, Unreachable) for one in others)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"errors": [{"code": "INVALID_EMAIL", "context": {"propertyName": ["email"]}}]}, {"email"}),
        ({"errors": [{"context": {"propertyName": "company"}}, {"context": None}, "odd", {}]}, {"company"}),
        (
            {"message": 'Property values were not valid: [{"name":"a","error":"X"},{"name":"b"},{"isValid":false}]'},
            {"a", "b"},
        ),
        ({"message": "Some required fields were not set: [inputs]"}, set()),
        ({"message": None, "errors": 5}, set()),
        ({}, set()),
    ],
)
def test_which_properties_an_error_is_about(body: dict[str, Any], named: set[str]) -> None:
    assert blamed(body) == named


def test_trap_a_batch_names_nobody_twice(server: Server, hubspot: HubSpotSandbox) -> None:
    destination = connect(server, create_missing=True)
    first, second = destination.create(AUDIENCE, [person(1, "office@example.com"), person(2, "Office@example.com")])
    assert first == second
    assert calls(server, UPSERT) == 1


def test_only_an_address_in_the_clear_makes_a_contact() -> None:
    with pytest.raises(ValidationError, match="create_missing needs people matched on e-mail"):
        HubSpotSettings(access_token=SecretStr(TOKEN), match="external_id", create_missing=True)


# ---------------------------------------------------------------- by record id


def test_a_person_known_by_a_record_id_needs_no_email(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, grace = hubspot.add_contact("ada@example.com"), hubspot.add_contact("grace@example.com")
    people = [person(1, hubspot_id=ada), person(2, "grace@example.com", hubspot_id=ada)]
    assert connect(server).address(AUDIENCE, people) == [at(ada), at(grace)]


def test_a_record_id_is_asked_for_only_where_no_key_finds_the_person(server: Server, hubspot: HubSpotSandbox) -> None:
    ada = hubspot.add_contact("ada@example.com")
    connect(server).address(AUDIENCE, [person(1, "ada@example.com", hubspot_id=ada)])
    assert calls(server, READ) == 1


@pytest.mark.parametrize("fate", ["deleted", "merged", "no number"])
def test_trap_a_record_id_may_be_gone(server: Server, hubspot: HubSpotSandbox, fate: str) -> None:
    ada, other = hubspot.add_contact("ada@example.com"), hubspot.add_contact("other@example.com")
    if fate == "deleted":
        hubspot.delete_contact(ada)
    elif fate == "merged":
        hubspot.merge(other, ada)
    [answer] = connect(server).address(AUDIENCE, [person(1, hubspot_id="ada" if fate == "no number" else ada)])
    assert isinstance(answer, Unreachable)
    assert answer.code == "no_email"


# ---------------------------------------------------------------- opted out


def test_trap_who_opted_out_of_email_joins_no_list_but_keeps_a_score(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, grace = hubspot.add_contact("ada@example.com"), hubspot.add_contact("grace@example.com")
    hubspot.opt_out(ada)
    destination = connect(server)
    people = [person(1, "ada@example.com"), person(2, "grace@example.com"), person(3, hubspot_id=ada)]
    destination.foresee(awaited(people), NOW)
    out, joins, by_id = destination.address(AUDIENCE, people)
    assert isinstance(out, Unreachable)
    assert isinstance(by_id, Unreachable)
    assert (out.code, out.for_good, joins) == ("opted_out", False, at(grace))
    assert out.at == at(ada), "who is in a list under another id can still be taken out"
    assert by_id.code == "opted_out"
    assert destination.address(SCORE, people) == [at(ada), at(grace), at(ada)]


def test_opt_outs_may_be_left_to_hubspot(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.opt_out(ada := hubspot.add_contact("ada@example.com"))
    destination = connect(server, respect_opt_outs=False)
    assert destination.address(AUDIENCE, [person(1, "ada@example.com")]) == [at(ada)]
    [request] = [json.loads(each.body) for each in hubspot.weather.log if READ in each.path]
    assert "hs_email_optout" not in request["properties"]
