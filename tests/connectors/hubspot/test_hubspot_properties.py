"""Scores, tiers, segments and instants as contact properties."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hubspot_account import READ, SCORE, TIER, UPDATE, Stage, calls, connect, upsert
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from leadup.errors import NeedsHuman
from leadup.outgoing import Outcome, Upsert, ValueKind
from leadup.sandbox import Server
from leadup.types import Json
from leadup_connectors.hubspot.client.routes import Call
from leadup_connectors.hubspot.sandbox import HubSpotSandbox

CONFIRMED, REJECTED, LATER = Outcome.CONFIRMED, Outcome.REJECTED, Outcome.LATER


SEGMENTS = replace(TIER, name="leadup_segments", values=ValueKind.CHOICES, options=("hot", "warm"))
LAST_AT = replace(TIER, name="leadup_last_at", values=ValueKind.INSTANT)


def clear(number: int, contact: str, **ours: list[Json]) -> Upsert:
    """A change that takes back what leadup wrote: these values, so far."""
    return replace(upsert(number, contact, **dict.fromkeys(ours)), ours=ours)


def options(hubspot: HubSpotSandbox, name: str) -> list[tuple[str, str]]:
    known = hubspot.contact_property(name)["options"]
    return [(each["value"], each["label"]) for each in sorted(known, key=lambda each: each["displayOrder"])]


def created(server: Stage) -> list[dict[str, Any]]:
    return [json.loads(r.body) for r in server.sandbox.weather.log if r.path == server.path(Call.CREATE_PROPERTY)]


@pytest.mark.parametrize(("target", "kind", "field"), [(SCORE, "number", "number"), (TIER, "string", "text")])
def test_a_property_is_created_in_our_group(server: Server, target, kind: str, field: str) -> None:
    destination = connect(server)
    first, second = destination.prepare(target), destination.prepare(target)
    assert (first.id, first.created, second.created) == (target.name, True, False)
    body = {"name": target.name, "label": target.remote_name, "groupName": "leadup", "type": kind, "fieldType": field}
    assert created(server) == [body]


def test_an_instant_is_a_datetime_and_choices_are_boxes_to_tick(server: Server, hubspot: HubSpotSandbox) -> None:
    destination = connect(server)
    assert destination.prepare(LAST_AT).created
    assert destination.prepare(SEGMENTS).created
    kinds = [(body["type"], body["fieldType"]) for body in created(server)]
    assert kinds == [("datetime", "date"), ("enumeration", "checkbox")]
    assert options(hubspot, SEGMENTS.name) == [("hot", "hot"), ("warm", "warm")]


def test_a_segment_more_is_a_box_more_and_no_box_is_ever_taken_away(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_property(SEGMENTS.name, "enumeration", options=["vip", "hot", "old"], field_type="checkbox")
    destination = connect(server)
    assert not destination.prepare(SEGMENTS).created
    assert options(hubspot, SEGMENTS.name) == [(one, one) for one in ("vip", "hot", "old", "warm")]
    destination.prepare(replace(SEGMENTS, options=("warm",)))
    assert calls(server, SEGMENTS.name, "PATCH") == 1, "nothing was missing"


def test_several_choices_and_instants_are_written(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    for target, value in ((SEGMENTS, ["hot", "warm"]), (LAST_AT, "2026-03-01T09:00:00.120Z")):
        receipts = destination.deliver(destination.prepare(target), [upsert(1, ada, **{target.name: value})])
        assert receipts[0].outcome is CONFIRMED
    known = hubspot.contact(ada)
    assert (known["leadup_segments"], known["leadup_last_at"]) == ("hot;warm", "2026-03-01T09:00:00.120Z")


@pytest.mark.parametrize(
    ("target", "ours", "stands"),
    [
        (TIER, ["cold", "warm"], "warm"),
        (SEGMENTS, [["hot", "warm"]], "warm;hot"),
        (LAST_AT, ["2026-03-01T09:00:00.000Z"], "1772355600000"),
    ],
)
def test_what_is_ours_is_cleared_however_hubspot_spells_it(
    server: Server, hubspot: HubSpotSandbox, target, ours, stands
) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(target)
    destination.deliver(remote, [upsert(1, ada, **{target.name: stands})])
    assert destination.deliver(remote, [clear(1, ada, **{target.name: ours})])[0].outcome is CONFIRMED
    assert not hubspot.contact(ada).get(target.name)


def test_what_somebody_else_wrote_is_never_cleared(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, ben, eve = (hubspot.add_contact(f"{name}@example.com") for name in ("ada", "ben", "eve"))
    gone = hubspot.add_contact("gone@example.com")
    hubspot.delete_contact(gone)
    destination = connect(server)
    remote = destination.prepare(TIER)
    destination.deliver(remote, [upsert(1, ada, leadup_tier="hot"), upsert(2, ben, leadup_tier="called us")])
    writes = calls(server, UPDATE)
    receipts = destination.deliver(
        remote, [clear(n, one, leadup_tier=["hot"]) for n, one in enumerate((ada, ben, eve))]
    )
    assert [(each.outcome, each.code) for each in receipts] == [
        (CONFIRMED, ""),
        (Outcome.ALREADY, "not_ours"),
        (Outcome.ALREADY, ""),
    ]
    assert hubspot.contact(ben)["leadup_tier"] == "called us"
    assert (hubspot.contact(ada).get("leadup_tier") or None, calls(server, UPDATE)) == (None, writes + 1)
    assert destination.deliver(remote, [clear(4, gone, leadup_tier=["hot"])])[0].code == "contact_missing"


@pytest.mark.parametrize(
    ("stands", "ours", "code", "left"),
    [
        ("hot;vip", [["hot"], ["hot", "warm"]], "", "vip"),
        ("vip;warm;old", [["hot"], ["hot", "warm"]], "", "vip;old"),
        ("warm;hot", [["hot"], ["hot", "warm"]], "", ""),
        ("vip;old", [["hot"]], "not_ours", "vip;old"),
    ],
)
def test_of_boxes_only_ours_are_taken_out(
    server: Server, hubspot: HubSpotSandbox, stands: str, ours: list[Json], code: str, left: str
) -> None:
    hubspot.add_property(SEGMENTS.name, "enumeration", options=["vip", "hot", "old"], field_type="checkbox")
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(SEGMENTS)
    destination.deliver(remote, [upsert(1, ada, leadup_segments=stands)])
    [receipt] = destination.deliver(remote, [clear(1, ada, leadup_segments=ours)])
    assert (receipt.code, hubspot.contact(ada).get("leadup_segments") or "") == (code, left)


def test_two_who_have_nothing_to_tell_of_one_contact_clear_what_either_wrote(
    server: Server, hubspot: HubSpotSandbox
) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(TIER)
    destination.deliver(remote, [upsert(1, ada, leadup_tier="hot")])
    destination.deliver(remote, [clear(1, ada, leadup_tier=["hot"]), clear(2, ada, leadup_tier=["warm"])])
    assert not hubspot.contact(ada).get("leadup_tier")


def test_a_contact_that_the_answer_leaves_out_is_not_cleared_unseen(stage: Stage) -> None:
    class Silent(HubSpotSandbox):
        def routes(self) -> list[BaseRoute]:
            answer = JSONResponse({"status": "COMPLETE", "results": []})
            return [Route(stage.path(Call.READ_CONTACTS), lambda _: answer, methods=["POST"]), *super().routes()]

    server = stage.play_with(Silent())
    ada, destination = server.sandbox.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(TIER)
    destination.deliver(remote, [upsert(1, ada, leadup_tier="called us")])
    [receipt] = destination.deliver(remote, [clear(1, ada, leadup_tier=["hot"])])
    assert (receipt.outcome, receipt.code) == (LATER, "contact_missing")
    assert server.sandbox.contact(ada)["leadup_tier"] == "called us"


def test_a_value_that_follows_in_the_same_batch_is_written_and_not_looked_at(
    server: Server, hubspot: HubSpotSandbox
) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(TIER)
    reads = calls(server, READ)
    destination.deliver(remote, [clear(1, ada, leadup_tier=["hot"]), upsert(2, ada, leadup_tier="warm")])
    assert (hubspot.contact(ada)["leadup_tier"], calls(server, READ)) == ("warm", reads)


def test_to_clear_a_hundred_is_one_look_and_one_write(server: Server, hubspot: HubSpotSandbox) -> None:
    contacts = [hubspot.add_contact(f"{n}@example.com") for n in range(100)]
    destination = connect(server)
    remote = destination.prepare(TIER)
    destination.deliver(remote, [upsert(n, one, leadup_tier="hot") for n, one in enumerate(contacts)])
    before = calls(server)
    destination.deliver(remote, [clear(n, one, leadup_tier=["hot"]) for n, one in enumerate(contacts)])
    assert calls(server) == before + 2
    assert not any(hubspot.contact(one).get("leadup_tier") for one in contacts)


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
        (SEGMENTS, {"kind": "string"}, "is of type string; the rules write several choices"),
        (
            SEGMENTS,
            {"kind": "enumeration", "options": ["hot"], "field_type": "select"},
            "is shown as select, which takes one choice",
        ),
        (LAST_AT, {"kind": "date"}, "is of type date; the rules write instants"),
    ],
)
def test_a_property_that_does_not_fit_needs_a_human(
    server: Server, hubspot: HubSpotSandbox, target, how, words
) -> None:
    hubspot.add_property(target.name, **how)
    with pytest.raises(NeedsHuman, match=words):
        connect(server).prepare(target)


def test_a_name_that_hubspot_refuses_needs_a_human(server: Server) -> None:
    with pytest.raises(NeedsHuman, match="VALIDATION_ERROR") as caught:
        connect(server).prepare(replace(SCORE, name="Lead Score"))
    assert "what the rules and the settings name at connection 'hubspot'" in caught.value.todo


def test_trap_all_values_go_as_text(server: Server, hubspot: HubSpotSandbox) -> None:
    """The library converts nothing; the emulator, like HubSpot's schema, takes text only."""
    destination = connect(server)
    remote = destination.prepare(TIER)
    values = {"a": (12, "12"), "b": (100.0, "100"), "c": (0.00001, "0.00001"), "d": (True, "true"), "e": ("x", "x")}
    for value, text in values.values():
        contact = hubspot.add_contact(f"{text}@example.com")
        assert destination.deliver(remote, [upsert(1, contact, leadup_tier=value)])[0].outcome is CONFIRMED
        assert hubspot.contact(contact)["leadup_tier"] == text
    destination.deliver(remote, [clear(1, contact, leadup_tier=["x"])])
    assert not hubspot.contact(contact).get("leadup_tier")


def test_a_batch_has_one_receipt_per_change_and_the_last_value_counts(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, grace, gone = (hubspot.add_contact(f"{n}@example.com") for n in ("ada", "grace", "gone"))
    hubspot.delete_contact(gone)
    destination = connect(server)
    remote = destination.prepare(SCORE)
    batch = [upsert(n, c, leadup_score=n) for n, c in enumerate((ada, gone, grace, ada))]
    receipts = destination.deliver(remote, batch)
    assert [(r.outcome, r.code) for r in receipts] == [
        (CONFIRMED, ""),
        (LATER, "contact_missing"),
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


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("VALIDATION_ERROR", REJECTED),
        ("INVALID_EMAIL", REJECTED),
        ("OBJECT_NOT_FOUND", LATER),
        ("CONFLICT", LATER),
        ("INTERNAL_ERROR", LATER),
        ("RATE_LIMITS", LATER),
    ],
)
def test_rows_that_failed_by_name_are_rejected_only_for_a_reason_that_stays(
    server: Server, hubspot: HubSpotSandbox, code: str, outcome: Outcome
) -> None:
    contacts = [hubspot.add_contact(f"{n}@example.com") for n in range(6)]
    destination = connect(server)
    remote = destination.prepare(SCORE)
    hubspot.weather.add(kind="reject", path=UPDATE, every=3, code=code)
    receipts = destination.deliver(remote, [upsert(n, c, leadup_score=1) for n, c in enumerate(contacts)])
    assert [receipt.outcome for receipt in receipts] == [CONFIRMED, CONFIRMED, outcome] * 2
    assert receipts[2].code == ("contact_missing" if code == "OBJECT_NOT_FOUND" else code.lower())


@pytest.mark.parametrize("named", [True, False])
def test_a_row_in_conflict_waits_though_others_were_taken(stage: Stage, *, named: bool) -> None:
    """Somebody else changes that contact at that moment."""
    busy = "1503"

    async def update(request: Request) -> JSONResponse:
        asked = {row["id"] for row in (await request.json())["inputs"]}
        if busy not in asked:
            return JSONResponse({"status": "COMPLETE", "results": []})
        context = {"context": {"ids": [busy]}} if named else {}
        return JSONResponse({"status": "error", "message": "?", "category": "CONFLICT", **context}, 409)

    class Busy(HubSpotSandbox):
        def routes(self) -> list[BaseRoute]:
            return [Route(stage.path(Call.UPDATE_CONTACTS), update, methods=["POST"]), *super().routes()]

    destination = connect(stage.play_with(Busy()))
    batch = [upsert(n, contact, leadup_score=1) for n, contact in enumerate(("1501", "1502", busy, "1504"))]
    receipts = destination.deliver(destination.prepare(SCORE), batch)
    assert [(r.outcome, r.code) for r in receipts] == [
        (CONFIRMED, ""),
        (CONFIRMED, ""),
        (LATER, "conflict"),
        (CONFIRMED, ""),
    ]


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
