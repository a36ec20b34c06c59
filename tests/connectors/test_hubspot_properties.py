"""Scores and tiers as contact properties."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hubspot_account import APIS, SCORE, TIER, UPDATE, Stage, calls, connect, upsert
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from leadup.errors import NeedsHuman, Refused
from leadup.sandbox import Server
from leadup.types import Outcome
from leadup_connectors.hubspot.client.routes import Call
from leadup_connectors.hubspot.sandbox import HubSpotSandbox

CONFIRMED, REJECTED, LATER = Outcome.CONFIRMED, Outcome.REJECTED, Outcome.LATER


@pytest.fixture(scope="module", params=APIS)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with Stage(request.param) as stage:
        yield stage


@pytest.fixture
def server(stage: Stage) -> Server:
    return stage.play()


@pytest.fixture
def hubspot(server: Server) -> HubSpotSandbox:
    return server.sandbox


def created(server: Stage) -> list[dict[str, Any]]:
    return [json.loads(r.body) for r in server.sandbox.weather.log if r.path == server.path(Call.CREATE_PROPERTY)]


@pytest.mark.parametrize(("target", "kind", "field"), [(SCORE, "number", "number"), (TIER, "string", "text")])
def test_a_property_is_created_in_our_group(server: Server, target, kind: str, field: str) -> None:
    destination = connect(server)
    first, second = destination.prepare(target), destination.prepare(target)
    assert (first.id, first.created, second.created) == (target.name, True, False)
    body = {"name": target.name, "label": target.remote_name, "groupName": "leadup", "type": kind, "fieldType": field}
    assert created(server) == [body]


def test_trap_a_group_or_property_made_meanwhile_is_a_409(server: Server, hubspot: HubSpotSandbox) -> None:
    destination = connect(server)
    destination.prepare(TIER)  # leaves the group
    hubspot.add_property(SCORE.name, "number")
    hubspot.weather.add(kind="fail", status=404, path=f"/contacts/{SCORE.name}")
    assert not destination.prepare(SCORE).created


@pytest.mark.parametrize(("target", "kind"), [(SCORE, "number"), (SCORE, "string"), (TIER, "enumeration")])
def test_a_property_made_by_people_is_used(server: Server, hubspot: HubSpotSandbox, target, kind: str) -> None:
    hubspot.add_property(target.name, kind)
    assert not connect(server).prepare(target).created
    assert created(server) == []


@pytest.mark.parametrize(
    ("target", "how", "words"),
    [
        (TIER, {"kind": "number"}, "is of type number; the rules write text"),
        (SCORE, {"kind": "enumeration"}, "is of type enumeration; the rules write numbers"),
        (SCORE, {"kind": "number", "read_only": True}, "is read-only"),
    ],
)
def test_a_property_that_does_not_fit_needs_a_human(
    server: Server, hubspot: HubSpotSandbox, target, how, words
) -> None:
    hubspot.add_property(target.name, **how)
    with pytest.raises(NeedsHuman, match=words):
        connect(server).prepare(target)


def test_a_name_that_hubspot_refuses_is_refused(server: Server) -> None:
    with pytest.raises(Refused) as caught:
        connect(server).prepare(replace(SCORE, name="Lead Score"))
    assert caught.value.code == "validation_error"


def test_trap_all_values_go_as_text(server: Server, hubspot: HubSpotSandbox) -> None:
    """The library converts nothing; the emulator, like HubSpot's schema, takes text only."""
    destination = connect(server)
    remote = destination.prepare(TIER)
    values = {"a": (12, "12"), "b": (100.0, "100"), "c": (0.00001, "0.00001"), "d": (True, "true"), "e": ("x", "x")}
    for value, text in values.values():
        contact = hubspot.add_contact(f"{text}@example.com")
        assert destination.deliver(remote, [upsert(1, contact, leadup_tier=value)])[0].outcome is CONFIRMED
        assert hubspot.contact(contact)["leadup_tier"] == text
    destination.deliver(remote, [upsert(1, contact, leadup_tier=None)])
    assert hubspot.contact(contact)["leadup_tier"] == ""


def test_a_batch_has_one_receipt_per_change_and_the_last_value_counts(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, grace, gone = (hubspot.add_contact(f"{n}@example.com") for n in ("ada", "grace", "gone"))
    hubspot.delete_contact(gone)
    destination = connect(server)
    remote = destination.prepare(SCORE)
    batch = [upsert(n, c, leadup_score=n) for n, c in enumerate((ada, gone, grace, ada))]
    receipts = destination.deliver(remote, batch)
    assert [(r.outcome, r.code) for r in receipts] == [
        (CONFIRMED, ""),
        (REJECTED, "contact_missing"),
        (CONFIRMED, ""),
        (CONFIRMED, ""),
    ]
    assert (hubspot.contact(ada)["leadup_score"], hubspot.contact(grace)["leadup_score"]) == ("3", "2")
    assert calls(server, UPDATE) == 1


def test_trap_one_bad_value_of_a_batch_is_found(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_property(TIER.name, "enumeration", options=["warm", "hot"])
    contacts = [hubspot.add_contact(f"{n}@example.com") for n in range(100)]
    destination = connect(server)
    tiers = ["hot"] * 61 + ["lukewarm"] + ["warm"] * 38
    batch = [upsert(n, c, leadup_tier=t) for n, (c, t) in enumerate(zip(contacts, tiers, strict=True))]
    receipts = destination.deliver(destination.prepare(TIER), batch)
    assert [n for n, receipt in enumerate(receipts) if receipt.outcome is not CONFIRMED] == [61]
    assert receipts[61].code == "validation_error"
    assert [hubspot.contact(c).get("leadup_tier") for c in contacts] == ["hot"] * 61 + [None] + ["warm"] * 38
    assert calls(server, UPDATE) < 20


def test_many_bad_values_lose_no_good_one(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_property(TIER.name, "enumeration", options=["hot"])
    contacts = [hubspot.add_contact(f"{n}@example.com") for n in range(100)]
    destination = connect(server)
    remote = destination.prepare(TIER)
    batch = [upsert(n, c, leadup_tier="hot" if n % 5 else "odd") for n, c in enumerate(contacts)]
    rounds = 0
    while batch and rounds < 10:
        receipts = destination.deliver(remote, batch)
        batch = [change for change, receipt in zip(batch, receipts, strict=True) if receipt.outcome is LATER]
        rounds += 1
    assert 1 < rounds < 10
    assert [hubspot.contact(c).get("leadup_tier") for c in contacts] == ["hot" if n % 5 else None for n in range(100)]


def test_rows_that_hubspot_refuses_by_name_are_rejected_with_its_reason(
    server: Server, hubspot: HubSpotSandbox
) -> None:
    contacts = [hubspot.add_contact(f"{n}@example.com") for n in range(6)]
    destination = connect(server)
    remote = destination.prepare(SCORE)
    hubspot.weather.add(kind="reject", path=UPDATE, every=3, code="CONFLICT")
    receipts = destination.deliver(remote, [upsert(n, c, leadup_score=1) for n, c in enumerate(contacts)])
    assert [receipt.code for receipt in receipts] == ["", "", "conflict", "", "", "conflict"]


def test_trap_a_property_deleted_by_people_needs_a_human(server: Server, hubspot: HubSpotSandbox) -> None:
    contact, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(SCORE)
    hubspot.delete_property(SCORE.name)
    with pytest.raises(NeedsHuman, match="'leadup_score' is gone"):
        destination.deliver(remote, [upsert(1, contact, leadup_score=1)])


def test_a_lost_answer_to_a_post_writes_the_same_again(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(SCORE)
    hubspot.weather.add(kind="lose_answer", path=UPDATE)
    assert destination.deliver(remote, [upsert(1, ada, leadup_score=7)])[0].outcome is CONFIRMED
    assert calls(server, UPDATE) == 2
    assert hubspot.contact(ada)["leadup_score"] == "7"


@pytest.mark.parametrize(
    ("status", "errors", "outcome"),
    [(207, [{"status": "error", "category": "INTERNAL_ERROR", "message": "?"}], LATER), (200, [], CONFIRMED)],
    ids=["an error that names no row", "no error"],
)
def test_trap_rows_of_which_the_answer_says_nothing(stage: Stage, status: int, errors: list, outcome: Outcome) -> None:
    class Vague(HubSpotSandbox):
        def routes(self) -> list[BaseRoute]:
            body = {"status": "COMPLETE", "results": [], "numErrors": len(errors), "errors": errors}
            answer = JSONResponse(body, status)
            return [
                Route(stage.path(Call.UPDATE_CONTACTS), lambda _: answer, methods=["POST"]),
                *super().routes(),
            ]

    destination = connect(stage.play_with(Vague()))
    receipts = destination.deliver(destination.prepare(SCORE), [upsert(1, "1501", leadup_score=1)])
    assert [receipt.outcome for receipt in receipts] == [outcome]
