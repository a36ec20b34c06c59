"""Audiences as HubSpot lists."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hubspot_account import APIS, AUDIENCE, CHANGE, TOKEN, Stage, at, calls, connect, join, leave, person
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from leadup.errors import NeedsHuman, TryLater
from leadup.outgoing import Join, Outcome, RemoteId, RemoteTarget, Use
from leadup.sandbox import Server
from leadup.types import Kind, Purpose
from leadup_connectors.hubspot.client.routes import Call
from leadup_connectors.hubspot.sandbox import HubSpotSandbox

CONFIRMED, ALREADY, REJECTED, LATER = Outcome.CONFIRMED, Outcome.ALREADY, Outcome.REJECTED, Outcome.LATER
BY_NAME = "/object-type-id/"


def lists(hubspot: HubSpotSandbox) -> list[tuple[str, str]]:
    return [(each["name"], each["processingType"]) for each in hubspot.state()["lists"]]


def sent(server: Server) -> list[tuple[list[str], list[str]]]:
    """Who was put in and who was taken out, by call."""
    bodies = [json.loads(each.body) for each in server.sandbox.weather.log if CHANGE in each.path]
    return [(body["recordIdsToAdd"], body["recordIdsToRemove"]) for body in bodies]


# ---------------------------------------------------------------- find or create


def test_a_list_is_created_as_manual_and_found_again(server: Server, hubspot: HubSpotSandbox) -> None:
    destination = connect(server)
    first, second = destination.prepare(AUDIENCE), destination.prepare(AUDIENCE)
    assert lists(hubspot) == [("leadup: hot", "MANUAL")]
    assert (first.id, first.name, first.created) == ("1", "leadup: hot", True)
    assert second == replace(first, created=False)


def test_a_list_made_by_people_is_used_as_it_is(server: Server, hubspot: HubSpotSandbox) -> None:
    list_id, other = hubspot.add_list("leadup: hot", "SNAPSHOT"), hubspot.add_contact("by-hand@example.com")
    contact, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(AUDIENCE)
    assert (remote.id, remote.created) == (list_id, False)
    destination.deliver(remote, [join(1, contact), join(2, other)])
    destination.deliver(remote, [leave(1, contact)])
    assert hubspot.members("leadup: hot") == {other}


@pytest.mark.parametrize("name", ["a/b", "50 % off?", "Größe #1", "a & b; c=d"])
def test_a_name_of_any_shape_survives_the_path(server: Server, hubspot: HubSpotSandbox, name: str) -> None:
    destination, target = connect(server), replace(AUDIENCE, remote_name=name)
    assert destination.prepare(target).created
    assert not destination.prepare(target).created
    assert lists(hubspot) == [(name, "MANUAL")]


def test_trap_a_dynamic_list_of_that_name_takes_no_members(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_list("leadup: hot", "DYNAMIC")
    with pytest.raises(NeedsHuman, match="'leadup: hot' is an active one") as caught:
        connect(server).prepare(AUDIENCE)
    assert "rename that list" in caught.value.todo


def test_trap_names_are_unique_so_a_list_made_meanwhile_is_found(server: Server, hubspot: HubSpotSandbox) -> None:
    list_id = hubspot.add_list("leadup: hot")
    hubspot.weather.add(kind="fail", status=404, path=BY_NAME)  # not there when looked for, there when created
    remote = connect(server).prepare(AUDIENCE)
    assert (remote.id, remote.created) == (list_id, False)


def test_trap_a_full_account_needs_a_human(stage: Stage) -> None:
    server = stage.play(max_lists=1)
    server.sandbox.add_list("somebody's")
    with pytest.raises(NeedsHuman, match=r"LIST_LIMIT_REACHED.*no list 'leadup: hot'"):
        connect(server).prepare(AUDIENCE)


def test_a_lost_answer_to_the_creation_makes_one_list(server: Stage, hubspot: HubSpotSandbox) -> None:
    destination = connect(server, folder="")
    # The first such path is the look-up by name.
    hubspot.weather.add(kind="lose_answer", path=server.path(Call.CREATE_LIST), after=1)
    with pytest.raises(TryLater):
        destination.prepare(AUDIENCE)
    assert calls(server, server.path(Call.CREATE_LIST), "POST") == 1
    assert not destination.prepare(AUDIENCE).created
    assert lists(hubspot) == [("leadup: hot", "MANUAL")]


# ---------------------------------------------------------------- join and leave


def test_each_change_gets_its_own_receipt(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, grace, gone = (hubspot.add_contact(f"{n}@example.com") for n in ("ada", "grace", "gone"))
    hubspot.delete_contact(gone)
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    destination.deliver(remote, [join(1, ada)])
    joined = destination.deliver(remote, [join(3, gone), join(1, ada), join(2, grace)])
    assert [(r.outcome, r.code) for r in joined] == [(LATER, "contact_missing"), (ALREADY, ""), (CONFIRMED, "")]
    assert hubspot.members("leadup: hot") == {ada, grace}
    left = destination.deliver(remote, [leave(3, gone), leave(1, ada), leave(4)])
    assert [(r.outcome, r.code) for r in left] == [(ALREADY, ""), (CONFIRMED, ""), (REJECTED, "no_contact")]
    assert hubspot.members("leadup: hot") == {grace}


def test_trap_existing_members_are_in_none_of_the_arrays(server: Server, hubspot: HubSpotSandbox) -> None:
    ada = hubspot.add_contact("ada@example.com")
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    for verb, expected in ((join, [CONFIRMED, ALREADY]), (leave, [CONFIRMED, ALREADY])):
        outcomes = [destination.deliver(remote, [verb(1, ada)])[0].outcome for _ in range(2)]
        assert outcomes == expected


def test_a_person_with_several_contacts_is_in_when_one_of_them_is(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, other, gone = (hubspot.add_contact(f"{n}@example.com") for n in ("ada", "other", "gone"))
    hubspot.delete_contact(gone)
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    assert destination.deliver(remote, [join(1, ada, gone)])[0].outcome is CONFIRMED
    assert destination.deliver(remote, [join(1, ada, other)])[0].outcome is CONFIRMED
    assert destination.deliver(remote, [join(1, ada, gone)])[0].outcome is ALREADY
    assert hubspot.members("leadup: hot") == {ada, other}
    assert destination.deliver(remote, [leave(1, ada, other)])[0].outcome is CONFIRMED
    assert hubspot.members("leadup: hot") == set()


def test_people_who_share_a_contact_get_a_receipt_each(server: Server, hubspot: HubSpotSandbox) -> None:
    ada = hubspot.add_contact("office@example.com")
    destination = connect(server)
    receipts = destination.deliver(destination.prepare(AUDIENCE), [join(1, ada), join(2, ada)])
    assert [receipt.outcome for receipt in receipts] == [CONFIRMED, CONFIRMED]
    assert sent(server) == [([ada], [])]


def test_long_batches_go_in_chunks(server: Server, hubspot: HubSpotSandbox) -> None:
    contacts = [hubspot.add_contact(f"{n}@example.com") for n in range(7)]
    destination = connect(server, chunk_size=3)
    assert destination.can.batch[Join.verb] == 3
    receipts = destination.deliver(destination.prepare(AUDIENCE), [join(n, c) for n, c in enumerate(contacts)])
    assert [receipt.outcome for receipt in receipts] == [CONFIRMED] * 7
    assert sent(server) == [(contacts[:3], []), (contacts[3:6], []), (contacts[6:], [])]


def test_who_joins_and_who_leaves_go_in_one_call(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, grace, emmy = (hubspot.add_contact(f"{n}@example.com") for n in ("ada", "grace", "emmy"))
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    destination.deliver(remote, [join(1, ada), join(2, grace)])
    receipts = destination.deliver(remote, [join(3, emmy), leave(1, ada), leave(4, emmy[:-1] + "9999")])
    assert [receipt.outcome for receipt in receipts] == [CONFIRMED, CONFIRMED, ALREADY]
    assert sent(server)[1:] == [([emmy], [ada, emmy[:-1] + "9999"])]
    assert hubspot.members("leadup: hot") == {grace, emmy}


def test_who_joins_by_a_contact_that_another_must_leave_by_is_out_in_the_end(
    server: Server, hubspot: HubSpotSandbox
) -> None:
    """Consent was withdrawn for that contact: the strictest word counts. No call names a contact twice."""
    office, ada = hubspot.add_contact("office@example.com"), hubspot.add_contact("ada@example.com")
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    receipts = destination.deliver(remote, [join(1, office), join(2, ada), leave(3, office)])
    assert [receipt.outcome for receipt in receipts] == [CONFIRMED] * 3
    assert sent(server) == [([office, ada], []), ([], [office])]
    assert hubspot.members("leadup: hot") == {ada}


def test_trap_a_merged_contact_is_missing_under_its_old_id(server: Server, hubspot: HubSpotSandbox) -> None:
    keep, gone = hubspot.add_contact("ada@example.com"), hubspot.add_contact("ada@old.example.com")
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    destination.deliver(remote, [join(1, gone)])
    hubspot.merge(keep, gone)
    assert hubspot.members("leadup: hot") == {keep}
    receipt = destination.deliver(remote, [join(1, gone)])[0]
    assert (receipt.outcome, receipt.code) == (LATER, "contact_missing"), "who it is by now is looked up again"
    assert destination.address(AUDIENCE, [person(1, "ada@old.example.com")]) == [at(keep)]
    assert destination.deliver(remote, [join(1, keep)])[0].outcome is ALREADY


def test_trap_the_answer_key_is_records_ids_added(server: Server, hubspot: HubSpotSandbox) -> None:
    """The library reads that spelling only; a contact that was put in must not look as if it had been in before."""
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    assert destination.deliver(remote, [join(1, hubspot.add_contact("ada@example.com"))])[0].outcome is CONFIRMED


def test_trap_an_answer_with_other_keys_is_not_taken_for_success(stage: Stage) -> None:
    class Respelt(HubSpotSandbox):
        def routes(self) -> list[BaseRoute]:
            def respelt(_request: Request) -> Response:
                return JSONResponse({"recordIdsJoined": ["1501"]})

            return [Route(stage.path(Call.CHANGE_LIST, list="1"), respelt, methods=["PUT"]), *super().routes()]

    server = stage.play_with(Respelt(token=TOKEN))
    contact, destination = server.sandbox.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(AUDIENCE)
    with pytest.raises(TryLater, match="not one of its API"):
        destination.deliver(remote, [join(1, contact)])


@pytest.mark.parametrize("verb", [join, leave])
def test_trap_a_list_deleted_by_people_needs_a_human(server: Server, hubspot: HubSpotSandbox, verb) -> None:
    contact, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(AUDIENCE)
    hubspot.delete_list("leadup: hot")
    with pytest.raises(NeedsHuman, match=r"'leadup: hot' \(id 1\) is gone") as caught:
        destination.deliver(remote, [verb(1, contact)])
    assert "90 days" in caught.value.todo


def test_trap_a_list_that_became_dynamic_needs_a_human(server: Server, hubspot: HubSpotSandbox) -> None:
    contact, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = replace(destination.prepare(AUDIENCE), id=hubspot.add_list("other", "DYNAMIC"))
    with pytest.raises(NeedsHuman, match="active one"):
        destination.deliver(remote, [join(1, contact)])


@pytest.mark.parametrize("times", range(1, 8))
def test_refusals_that_pass_are_no_rows_end(server: Server, hubspot: HubSpotSandbox, times: int) -> None:
    """Refused are 10 rows, the first 5 of them, the first 2 of those, then each of these alone; then all pass."""
    contacts = [hubspot.add_contact(f"{n}@example.com") for n in range(10)]
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    hubspot.weather.add(kind="fail", status=400, code="VALIDATION_ERROR", path=CHANGE, times=times)
    receipts = destination.deliver(remote, [join(n, c) for n, c in enumerate(contacts)])
    assert {receipt.outcome for receipt in receipts} == {CONFIRMED}
    assert hubspot.members("leadup: hot") == set(contacts)


def test_a_batch_that_is_refused_to_the_last_row_costs_few_calls_and_waits(
    server: Server, hubspot: HubSpotSandbox
) -> None:
    contacts = [hubspot.add_contact(f"{n}@example.com") for n in range(200)]
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    hubspot.weather.add(kind="fail", status=400, path=CHANGE, times=-1)
    with pytest.raises(NeedsHuman, match="HubSpot answered 400") as caught:
        destination.deliver(remote, [join(n, c) for n, c in enumerate(contacts)])
    assert calls(server, CHANGE) == 40
    assert "connection 'hubspot'" in caught.value.todo


@pytest.mark.parametrize("verb", [join, leave])
def test_a_row_that_is_refused_alone_may_not_be_at_fault(server: Server, hubspot: HubSpotSandbox, verb) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(AUDIENCE)
    hubspot.weather.add(kind="fail", status=400, code="VALIDATION_ERROR", path=CHANGE)
    [receipt] = destination.deliver(remote, [verb(1, ada)])
    assert (receipt.outcome, receipt.code, receipt.retry_after) == (LATER, "validation_error", None)


@pytest.mark.parametrize("status", [404, 405, 407, 410])
def test_a_call_that_goes_astray_ends_no_row(server: Server, hubspot: HubSpotSandbox, status: int) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(AUDIENCE)
    hubspot.weather.add(kind="fail", status=status, path=CHANGE)
    with pytest.raises(NeedsHuman, match=f"HubSpot answered {status}") as caught:
        destination.deliver(remote, [join(1, ada)])
    assert "any proxy" in caught.value.todo
    assert destination.deliver(remote, [join(1, ada)])[0].outcome is CONFIRMED


def test_what_was_done_is_told_though_the_rest_goes_astray(server: Server, hubspot: HubSpotSandbox) -> None:
    """Who was put in and is taken for somebody who was there before would never be taken out."""
    contacts = [hubspot.add_contact(f"{n}@example.com") for n in range(4)]
    destination = connect(server, chunk_size=2)
    remote = destination.prepare(AUDIENCE)
    hubspot.weather.add(kind="fail", status=405, path=CHANGE, after=1)
    receipts = destination.deliver(remote, [join(n, c) for n, c in enumerate(contacts)])
    assert [receipt.outcome for receipt in receipts] == [CONFIRMED, CONFIRMED, LATER, LATER]


def test_a_list_that_hubspot_still_works_on_is_waited_for(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, bob = hubspot.add_contact("ada@example.com"), hubspot.add_contact("bob@example.com")
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    hubspot.process_list("leadup: hot")
    with pytest.raises(TryLater, match="still working on the list 'leadup: hot'") as caught:
        destination.deliver(remote, [join(1, ada), join(2, bob)])
    assert (caught.value.nothing_done, caught.value.retry_after) == (True, timedelta(minutes=5))
    hubspot.process_list("leadup: hot", done=True)
    assert destination.deliver(remote, [join(1, ada), join(2, bob)])[0].outcome is CONFIRMED


def test_a_redundant_join_is_counted_by_the_emulator(server: Server, hubspot: HubSpotSandbox) -> None:
    ada = hubspot.add_contact("ada@example.com")
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    for change in (join(1, ada), join(1, ada), leave(1, ada), join(1, ada)):
        destination.deliver(remote, [change])
    assert hubspot.state()["memberships"] == [
        {"list": "leadup: hot", "contact": ada, "verb": "join", "times": 2},
        {"list": "leadup: hot", "contact": ada, "verb": "leave", "times": 1},
        {"list": "leadup: hot", "contact": ada, "verb": "redundant join", "times": 1},
    ]


@pytest.mark.parametrize("verb", [join, leave])
def test_a_lost_answer_to_a_put_doubles_nothing(server: Server, hubspot: HubSpotSandbox, verb) -> None:
    """Of a join it can not be told who made it so; it was asked for, so it counts as ours to take back."""
    ada = hubspot.add_contact("ada@example.com")
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    if verb is leave:
        destination.deliver(remote, [join(1, ada)])
    hubspot.weather.add(kind="lose_answer", path=CHANGE)
    before = calls(server, CHANGE)
    assert destination.deliver(remote, [verb(1, ada)])[0].outcome is CONFIRMED
    assert calls(server, CHANGE) - before == 2
    effective = [each for each in hubspot.asked if each.verb == verb.__name__ and each.effective]
    assert len(effective) == 1


def test_what_it_takes_and_asks_of_a_person(server: Server) -> None:
    can = connect(server).can
    assert can.uses == frozenset(Use)
    assert can.purposes == {}
    assert can.unless_denied == {Use.AUDIENCE: {Purpose.EMAIL_MARKETING}}, "a score is no message"
    assert can.needs[Use.AUDIENCE] == can.needs[Use.PROPERTY] == {Kind.EMAIL, Kind.HUBSPOT_ID}


# ---------------------------------------------------------------- looking into a list


def test_members_are_told_page_by_page_whoever_put_them_there(server: Server, hubspot: HubSpotSandbox) -> None:
    contacts = [hubspot.add_contact(f"p{number}@example.com") for number in range(501)]
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    assert list(destination.members(remote)) == []
    destination.deliver(remote, [join(number, contact) for number, contact in enumerate(contacts[:400])])
    hubspot.put("leadup: hot", *contacts[400:])
    before = calls(server, "/memberships", "GET")
    assert [member.value for member in destination.members(remote)] == contacts
    assert {member.kind for member in destination.members(remote)} == {"contact"}
    assert calls(server, "/memberships", "GET") == before + 6, "250 of them a call"


def test_the_members_of_a_deleted_list_are_not_told(server: Server, hubspot: HubSpotSandbox) -> None:
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    hubspot.delete_list("leadup: hot")
    with pytest.raises(NeedsHuman, match="somebody deleted it"):
        list(destination.members(remote))


def test_trap_a_leave_by_a_merged_contact_s_id_says_that_it_is_lost(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, ada2 = hubspot.add_contact("ada@example.com"), hubspot.add_contact("ada@example.org")
    bob, destination = hubspot.add_contact("bob@example.com"), connect(server)
    remote = destination.prepare(AUDIENCE)
    destination.deliver(remote, [join(1, ada), join(2, bob)])
    hubspot.merge(ada2, ada)
    both, lost = destination.deliver(remote, [leave(2, bob), leave(1, ada)])
    assert (both.outcome, both.lost) == (CONFIRMED, False)
    assert (lost.outcome, lost.lost) == (ALREADY, True)
    [found] = destination.address(AUDIENCE, [person(1, "ada@example.com")])
    assert found == at(ada2), "the one that is left, who has both addresses"
    [left] = destination.deliver(remote, [leave(1, ada2)])
    assert (left.outcome, left.lost, hubspot.members("leadup: hot")) == (CONFIRMED, False, set())


# ---------------------------------------------------------------- whose members they are


@pytest.mark.parametrize(
    ("weather", "outcome"),
    [
        ({"kind": "rate_limit", "retry_after": 0}, ALREADY),
        ({"kind": "fail", "status": 477, "retry_after": 0}, ALREADY),
        ({"kind": "fail", "status": 502}, CONFIRMED),
        ({"kind": "lose_answer"}, CONFIRMED),
    ],
    ids=["429", "477", "502", "lost"],
)
def test_only_a_try_that_may_have_put_him_there_makes_a_member_ours(
    server: Server, hubspot: HubSpotSandbox, weather: dict[str, Any], outcome: Outcome
) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(AUDIENCE)
    hubspot.put(AUDIENCE.remote_name, ada)
    hubspot.weather.add(**weather, path=CHANGE)
    assert [receipt.outcome for receipt in destination.deliver(remote, [join(1, ada)])] == [outcome]
    assert calls(server, CHANGE) == 2


@pytest.mark.parametrize(
    ("weather", "nothing_done"),
    [
        ([{"kind": "rate_limit", "retry_after": 60}], True),
        ([{"kind": "fail", "status": 423, "retry_after": 60}], True),
        ([{"kind": "fail", "status": 477, "retry_after": 7200}], True),
        ([{"kind": "rate_limit", "code": "DAILY"}], True),
        ([{"kind": "fail", "status": 502, "times": 3}], False),
        ([{"kind": "lose_answer", "times": 3}], False),
        ([{"kind": "fail", "status": 502}, {"kind": "rate_limit", "retry_after": 60}], False),
        ([{"kind": "fail", "status": 502}, {"kind": "fail", "status": 409}], False),
        ([{"kind": "lose_answer"}, {"kind": "fail", "status": 403}], False),
    ],
)
def test_the_outbox_is_told_whether_nothing_was_done(
    server: Server, hubspot: HubSpotSandbox, weather: list[dict[str, Any]], nothing_done: bool
) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(AUDIENCE)
    for each in weather:
        hubspot.weather.add(**each, path=CHANGE)
    with pytest.raises(TryLater) as caught:
        destination.deliver(remote, [join(1, ada)])
    assert caught.value.nothing_done is nothing_done


@pytest.mark.parametrize("api", APIS)
def test_where_nobody_is_at_all_nothing_was_done(api: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere: Any = SimpleNamespace(url=f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(TryLater) as caught:
            connect(nowhere, api=api, tries=1).deliver(RemoteTarget(id="1", name="hot"), [join(1, "1501")])
    assert caught.value.nothing_done


def test_of_several_contacts_those_are_ours_that_were_not_there_before(server: Server, hubspot: HubSpotSandbox) -> None:
    home, work, destination = (
        hubspot.add_contact("a@example.com"),
        hubspot.add_contact("b@example.com"),
        connect(server),
    )
    remote = destination.prepare(AUDIENCE)
    hubspot.put(AUDIENCE.remote_name, home)
    [receipt] = destination.deliver(remote, [join(1, home, work)])
    assert (receipt.outcome, receipt.brought) == (CONFIRMED, {RemoteId("contact", work)})


@pytest.mark.parametrize(
    "weather", [{"kind": "rate_limit", "retry_after": 60}, {"kind": "fail", "status": 403}], ids=["429", "403"]
)
def test_what_was_done_before_a_refusal_is_told(
    server: Server, hubspot: HubSpotSandbox, weather: dict[str, Any]
) -> None:
    home, work, bob = (hubspot.add_contact(f"{name}@example.com") for name in "abc")
    destination = connect(server, chunk_size=1)
    remote = destination.prepare(AUDIENCE)
    hubspot.weather.add(**weather, path=CHANGE, after=1)
    told = destination.deliver(remote, [join(1, home, work), join(2, bob)])
    assert [(one.outcome, one.brought) for one in told] == [(LATER, {RemoteId("contact", home)}), (LATER, None)]
    assert hubspot.members(AUDIENCE.remote_name) == {home}


def test_who_is_to_join_and_to_leave_in_one_batch_is_in_doubt_only_where_he_must_be(
    server: Server, hubspot: HubSpotSandbox
) -> None:
    ada, destination = hubspot.add_contact("ada@example.com"), connect(server)
    remote = destination.prepare(AUDIENCE)
    hubspot.weather.add(kind="rate_limit", retry_after=60, path=CHANGE, after=1)
    told = destination.deliver(remote, [join(1, ada), leave(2, ada)])
    assert [receipt.outcome for receipt in told] == [CONFIRMED, LATER]
    hubspot.weather.add(kind="fail", status=502, times=3, path=CHANGE, after=1)
    with pytest.raises(TryLater):
        destination.deliver(remote, [join(1, ada), leave(2, ada)])


def test_nobody_leaves_because_the_property_to_match_on_is_mistyped(server: Server, hubspot: HubSpotSandbox) -> None:
    """By a property that is not there nobody is found, and all would be out: it is looked at before."""
    with pytest.raises(NeedsHuman, match="'external_i', which connection 'hubspot' matches on, does not exist"):
        connect(server, match="external_i").prepare(AUDIENCE)
    hubspot.add_property("external_id", unique=True)
    destination = connect(server, match="external_id")
    made, foretold = calls(server), destination.preparing([AUDIENCE])
    destination.prepare(AUDIENCE)
    assert calls(server) - made == foretold
