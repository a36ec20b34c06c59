"""How contacts are found in HubSpot."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hubspot_account import AUDIENCE, NOW, READ, TOKEN, Stage, at, awaited, calls, connect, join, person
from pydantic import SecretStr

from leadup.errors import NeedsHuman, TryLater
from leadup.outgoing import Contact, Email, Unreachable
from leadup.sandbox import Server
from leadup.types import Identifier, Kind
from leadup_connectors.hubspot.sandbox import HubSpotSandbox


def asked(server: Server) -> list[list[str]]:
    """The keys of each look-up."""
    log = server.sandbox.weather.log
    return [[each["id"] for each in json.loads(r.body)["inputs"]] for r in log if READ in r.path]


def test_people_are_found_by_email_whatever_its_case(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, grace = hubspot.add_contact("Ada@Example.com"), hubspot.add_contact("grace@example.com")
    people = [person(1, "GRACE@example.com"), person(2, " ada@example.COM ")]
    assert connect(server).address(AUDIENCE, people) == [at(grace), at(ada)]
    assert asked(server) == [["ada@example.com", "grace@example.com"]]


def test_people_are_found_by_a_unique_property(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_property("external_id", unique=True)
    ada, grace = hubspot.add_contact(external_id="u1"), hubspot.add_contact(external_id="u2")
    people = [person(1, user_id="u2"), person(2, "ada@example.com", user_id="u1"), person(3, client_id="c1")]
    found = connect(server, match="external_id").address(AUDIENCE, people)
    assert found[:2] == [at(grace), at(ada)]
    assert found[2] == Unreachable(code="no_identifier", detail="This person has no user_id.")


def test_the_property_may_hold_another_identifier(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_property("ga_client", unique=True)
    ada = hubspot.add_contact(ga_client="c.1")
    destination = connect(server, match="ga_client", match_with="client_id")
    assert destination.can.needs[AUDIENCE.use] == {Kind.CLIENT_ID, Kind.HUBSPOT_ID}
    assert destination.address(AUDIENCE, [person(1, user_id="u1", client_id="c.1")]) == [at(ada)]


def test_a_person_with_several_addresses_may_be_several_contacts(server: Server, hubspot: HubSpotSandbox) -> None:
    contacts = [hubspot.add_contact(f"ada@{n}.example.com") for n in range(3)]
    ada = person(1, "ada@2.example.com", "ada@0.example.com", "nowhere@example.com", "ada@1.example.com")
    assert connect(server).address(AUDIENCE, [ada]) == [at(*contacts)]


def test_trap_duplicates_reject_the_whole_batch(server: Server, hubspot: HubSpotSandbox) -> None:
    ada = hubspot.add_contact("ada@example.com")
    people = [person(1, "ada@example.com", "ADA@example.com"), person(2, " Ada@Example.com")]
    assert connect(server).address(AUDIENCE, people) == [at(ada), at(ada)]
    assert asked(server) == [["ada@example.com"]]


def test_trap_keys_that_only_hubspot_takes_for_equal_are_asked_apart(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_property("external_id", unique=True)
    keys = ["U1", *(f"u{n}" for n in range(80))]
    contacts = [hubspot.add_contact(external_id=key) for key in keys]
    people = [person(n, user_id=key) for n, key in enumerate(keys)]
    assert connect(server, match="external_id").address(AUDIENCE, people) == [at(contact) for contact in contacts]
    # HubSpot names "u1" as the row at fault, which saves the search by halves
    assert [len(each) for each in asked(server)] == [81, 80, 1]


def test_trap_a_207_is_no_exception_and_names_who_is_not_there(server: Server, hubspot: HubSpotSandbox) -> None:
    ada = hubspot.add_contact("ada@example.com")
    people = [person(1, "nobody@example.com"), person(2, "ada@example.com"), person(3, "none@example.com")]
    missing = Unreachable(code="contact_not_found", detail="HubSpot has no contact with this email.")
    assert connect(server).address(AUDIENCE, people) == [missing, at(ada), missing]
    assert hubspot.weather.log[-1].status == 207
    assert list(hubspot.state()["contacts"]) == [ada], "contacts are found, never created"


def test_trap_results_come_in_any_order(server: Server, hubspot: HubSpotSandbox) -> None:
    """The emulator answers in reverse."""
    contacts = {f"{n}@example.com": hubspot.add_contact(f"{n}@example.com") for n in range(9)}
    people = [person(n, email) for n, email in enumerate(contacts)]
    assert connect(server).address(AUDIENCE, people) == [at(contact) for contact in contacts.values()]


def test_trap_a_batch_has_100_inputs_at_most(server: Server, hubspot: HubSpotSandbox) -> None:
    contacts = [hubspot.add_contact(f"{n:03}@example.com") for n in range(250)]
    people = [person(n, f"{n:03}@example.com") for n in range(250)]
    assert connect(server).address(AUDIENCE, people) == [at(contact) for contact in contacts]
    assert [len(keys) for keys in asked(server)] == [100, 100, 50]


def test_trap_a_merged_contact_answers_under_its_other_address(server: Server, hubspot: HubSpotSandbox) -> None:
    keep, gone = hubspot.add_contact("ada@new.example.com"), hubspot.add_contact("ada@old.example.com")
    grace = hubspot.add_contact("grace@example.com")
    hubspot.merge(keep, gone)
    people = [person(1, "ada@old.example.com"), person(2, "grace@example.com"), person(3, "ada@new.example.com")]
    assert connect(server).address(AUDIENCE, people) == [at(keep), at(grace), at(keep)]
    assert calls(server, READ) == 1


def test_trap_an_answer_that_names_no_key_is_asked_for_alone(stage: Stage) -> None:
    """Whose contact it is must not be guessed."""

    class Mute(HubSpotSandbox):
        def __init__(self) -> None:
            super().__init__(token=TOKEN)
            told = self._contacts._record
            self._contacts._record = lambda contact, wanted: {**told(contact, wanted), "properties": {}}

    server = stage.play_with(Mute())
    ada, grace = (server.sandbox.add_contact(f"{name}@example.com") for name in ("ada", "grace"))
    people = [person(1, "grace@example.com"), person(2, "ada@example.com"), person(3, "nobody@example.com")]
    found = connect(server).address(AUDIENCE, people)
    assert found[:2] == [at(grace), at(ada)]
    assert found[2].code == "contact_not_found"
    assert [len(keys) for keys in asked(server)] == [3, 1, 1]


@pytest.mark.parametrize(
    "nobody",
    [
        person(1),
        person(1, "  "),
        Contact(person=1, identifiers=(Identifier(Kind.EMAIL, "ab" * 32),), emails=(Email("ab" * 32),)),
    ],
    ids=["no address", "a blank", "a hash only"],
)
def test_without_an_address_in_the_clear_nobody_is_asked_for(server: Server, nobody: Contact) -> None:
    answer = connect(server).address(AUDIENCE, [nobody])[0]
    assert answer.code == "no_email"
    assert answer.again.days == 1
    assert calls(server) == 0


def test_a_key_that_hubspot_refuses_takes_nobody_along(server: Server, hubspot: HubSpotSandbox) -> None:
    contacts = [hubspot.add_contact(f"{n}@example.com") for n in range(4)]
    people = [person(n, f"{n}@example.com") for n in range(4)]
    for after, times in ((0, 3), (2, 1)):  # together, as one of two, alone; and alone again once the others have passed
        hubspot.weather.add(kind="fail", status=400, code="VALIDATION_ERROR", path=READ, after=after, times=times)
    found = connect(server).address(AUDIENCE, people)
    assert found[0] == Unreachable(code="refused", detail="HubSpot takes no such email.")  # and not unsure
    assert found[1:] == [at(contact) for contact in contacts[1:]]


def test_a_key_that_is_refused_alone_is_asked_for_again_in_an_hour(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.weather.add(kind="fail", status=400, path=READ)
    [found] = connect(server).address(AUDIENCE, [person(1, "ada@example.com")])
    assert isinstance(found, Unreachable)
    assert (found.code, found.again, found.unsure) == ("refused", timedelta(hours=1), True)


def test_when_hubspot_refuses_all_the_search_ends(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.weather.add(kind="fail", status=400, path=READ, times=-1)
    with pytest.raises(NeedsHuman, match="HubSpot answered 400"):
        connect(server).address(AUDIENCE, [person(n, f"{n}@example.com") for n in range(100)])
    assert calls(server, READ) == 40


@pytest.mark.parametrize("kind", ["missing", "not unique"])
def test_trap_a_property_to_match_on_must_be_unique(server: Server, hubspot: HubSpotSandbox, kind: str) -> None:
    if kind == "not unique":
        hubspot.add_property("external_id")
    destination = connect(server, match="external_id")
    words = "does not exist" if kind == "missing" else "is not unique"
    with pytest.raises(NeedsHuman, match=words):
        destination.check()
    with pytest.raises(NeedsHuman, match=words):
        destination.address(AUDIENCE, [person(1, user_id="u1")])


def test_addresses_are_shown_to_nobody(server: Server) -> None:
    ada = Contact(person=1, emails=(Email("ab" * 32, SecretStr("ada@example.com")),))
    assert "ada" not in repr(ada)
    assert "ada" not in repr(connect(server).address(AUDIENCE, [ada]))


# ---------------------------------------------------------------- foreseen


def test_who_was_foreseen_is_not_asked_for_again_and_batches_are_full(server: Server, hubspot: HubSpotSandbox) -> None:
    everybody = [person(n, f"p{n}@example.com") for n in range(250)]
    ids = [hubspot.add_contact(f"p{n}@example.com") for n in range(250)]
    destination = connect(server)
    destination.foresee(awaited(everybody), NOW)
    found = [answer for n in range(0, 250, 50) for answer in destination.address(AUDIENCE, everybody[n : n + 50])]
    assert found == [at(one) for one in ids]
    assert calls(server, READ) == 3


def test_what_comes_to_wait_after_a_look_up_is_looked_up_anew(server: Server, hubspot: HubSpotSandbox) -> None:
    grace = hubspot.add_contact("grace@example.com")
    destination, people = connect(server), [person(1, "ada@example.com"), person(2, "grace@example.com")]
    destination.foresee(awaited(people), NOW)
    destination.address(AUDIENCE, people)
    ada = hubspot.add_contact("ada@example.com")
    hubspot.opt_out(grace)
    soon = NOW + timedelta(seconds=1)
    destination.foresee(awaited(people, soon), soon)
    there, out = destination.address(AUDIENCE, people)
    assert there == at(ada)
    assert isinstance(out, Unreachable)
    assert out.code == "opted_out"


@pytest.mark.parametrize("met", [0, 1])
def test_nobody_is_missing_because_looking_ahead_was_cut_short(
    server: Server, hubspot: HubSpotSandbox, met: int
) -> None:
    everybody = [person(n, f"p{n}@example.com") for n in range(150)]
    ids = [hubspot.add_contact(f"p{n}@example.com") for n in range(150)]
    destination = connect(server, tries=1)
    hubspot.weather.add(kind="fail", status=503, path=READ, after=met)
    with pytest.raises(TryLater):
        destination.foresee(awaited(everybody), NOW)
    assert destination.address(AUDIENCE, everybody) == [at(one) for one in ids]
    destination.foresee(awaited(everybody), NOW)
    assert destination.address(AUDIENCE, everybody) == [at(one) for one in ids]
    calls_that_found = (2 - met) + (2 - met)  # what was found before the cut is not asked for again
    assert calls(server, READ) == met + 1 + calls_that_found


def test_what_waits_on_is_looked_up_once_in_a_quarter_of_an_hour(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_contact("ada@example.com")
    destination, people = connect(server), [person(1, "ada@example.com"), person(2, "grace@example.com")]
    for minutes in (0, 14, 15):
        destination.foresee(awaited(people), NOW + timedelta(minutes=minutes))
        destination.address(AUDIENCE, people)
    assert calls(server, READ) == 2


def test_nobody_is_remembered_who_vanished(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, kept = hubspot.add_contact("ada@example.com"), hubspot.add_contact("lovelace@example.com")
    destination, who = connect(server), person(1, "ada@example.com")
    remote = destination.prepare(AUDIENCE)
    destination.foresee(awaited([who]), NOW)
    hubspot.merge(kept, ada)
    destination.deliver(remote, [join(1, ada)])
    destination.foresee(awaited([who]), NOW + timedelta(minutes=1))
    assert destination.address(AUDIENCE, [who]) == [at(kept)]


def test_who_opted_out_before_a_look_ahead_was_cut_short_does_not_join(server: Server, hubspot: HubSpotSandbox) -> None:
    everybody = [person(n, f"p{n}@example.com") for n in range(150)]
    ids = [hubspot.add_contact(f"p{n}@example.com") for n in range(150)]
    hubspot.opt_out(ids[3])
    hubspot.delete_contact(ids[4])
    destination = connect(server, tries=1)
    hubspot.weather.add(kind="fail", status=503, path=READ, after=1)
    with pytest.raises(TryLater):
        destination.foresee(awaited(everybody), NOW)
    destination.foresee(awaited(everybody), NOW)
    answers = destination.address(AUDIENCE, everybody)
    assert [n for n, answer in enumerate(answers) if isinstance(answer, Unreachable)] == [3, 4]
    assert calls(server, READ) == 3, "what was asked before the cut is not asked again"
