"""Lists that people make, rename, move and delete: which one an audience is kept in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hubspot_account import AUDIENCE, calls, connect, join

from leadup.errors import NeedsHuman, Refused
from leadup.outgoing import Outcome
from leadup.sandbox import Server
from leadup_connectors.hubspot.sandbox import HubSpotSandbox

FOLDERS = "/folders"


def folders(hubspot: HubSpotSandbox) -> dict[str, list[str]]:
    """The lists in each folder, by its name."""
    return {each["name"]: each["lists"] for each in hubspot.state()["folders"]}


# ---------------------------------------------------------------- folders


def test_new_lists_lie_in_one_folder_that_is_made_once(server: Server, hubspot: HubSpotSandbox) -> None:
    connect(server).prepare(AUDIENCE)
    connect(server).prepare(replace(AUDIENCE, name="warm", remote_name="leadup: warm"))
    assert folders(hubspot) == {"leadup": ["leadup: hot", "leadup: warm"]}


def test_a_folder_that_people_made_is_used(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_folder("Audiences")
    connect(server, folder="Audiences").prepare(AUDIENCE)
    assert folders(hubspot) == {"Audiences": ["leadup: hot"]}


def test_a_folder_that_people_moved_under_another_one_is_used_on(server: Server, hubspot: HubSpotSandbox) -> None:
    connect(server).prepare(AUDIENCE)
    hubspot.move_folder("leadup", to=hubspot.add_folder("Marketing", parent=hubspot.add_folder("All")))
    connect(server).prepare(replace(AUDIENCE, name="warm", remote_name="leadup: warm"))
    assert folders(hubspot) == {"leadup": ["leadup: hot", "leadup: warm"], "All": [], "Marketing": []}


def test_of_several_folders_with_the_name_the_highest_and_oldest_is_used(
    server: Server, hubspot: HubSpotSandbox
) -> None:
    hubspot.add_folder("leadup", parent=hubspot.add_folder("Archive"))
    oldest = hubspot.add_folder("leadup")
    hubspot.add_folder("leadup")
    connect(server).prepare(AUDIENCE)
    assert [each["id"] for each in hubspot.state()["folders"] if each["lists"]] == [oldest]


def test_a_folder_that_was_deleted_meanwhile_is_made_anew(server: Server, hubspot: HubSpotSandbox) -> None:
    destination = connect(server)
    destination.prepare(AUDIENCE)
    hubspot.delete_list(AUDIENCE.remote_name)
    hubspot.delete_folder("leadup")
    assert destination.prepare(replace(AUDIENCE, name="cold", remote_name="leadup: cold")).created
    assert [(one["name"], one["lists"]) for one in hubspot.state()["folders"]] == [("leadup", ["leadup: cold"])]


def test_an_account_that_takes_no_such_list_is_asked_twice_at_most(server: Server, hubspot: HubSpotSandbox) -> None:
    destination = connect(server)
    destination.prepare(AUDIENCE)
    hubspot.add_list("leadup: cold", objects="0-2")
    hubspot.weather.log.clear()
    with pytest.raises(NeedsHuman, match=r"answered 400.*connection 'hubspot' has no list 'leadup: cold'") as caught:
        destination.prepare(replace(AUDIENCE, name="cold", remote_name="leadup: cold"))
    assert "all the lists it may have" in caught.value.todo
    assert calls(server, method="POST") == 2


def test_nobody_has_to_have_a_folder(server: Server, hubspot: HubSpotSandbox) -> None:
    connect(server, folder="").prepare(AUDIENCE)
    assert folders(hubspot) == {}
    assert calls(server, FOLDERS) == 0


# ---------------------------------------------------------------- known by its id


def test_trap_a_renamed_list_stays_the_same_list(server: Server, hubspot: HubSpotSandbox) -> None:
    ada = hubspot.add_contact("ada@example.com")
    first = connect(server).prepare(AUDIENCE)
    hubspot.rename_list("leadup: hot", "Hot leads")
    known = connect(server).prepare(replace(AUDIENCE, known_id=first.id))
    assert (known.id, known.name, known.created) == (first.id, "Hot leads", False)
    assert connect(server).deliver(known, [join(1, ada)])[0].outcome is Outcome.CONFIRMED
    assert hubspot.members("Hot leads") == {ada}
    assert len(hubspot.state()["lists"]) == 1


def test_trap_a_deleted_list_is_not_made_again_unseen(server: Server, hubspot: HubSpotSandbox) -> None:
    known = replace(AUDIENCE, known_id=connect(server).prepare(AUDIENCE).id)
    hubspot.delete_list("leadup: hot")
    with pytest.raises(NeedsHuman, match=r"list 'leadup: hot' \(id 1\) is gone") as caught:
        connect(server).prepare(known)
    assert "90 days" in caught.value.todo
    assert "leadup sync hubspot/audience/hot --accept recreate" in caught.value.todo
    assert connect(server).look(known) is None
    with pytest.raises(Refused, match="is gone"):
        connect(server).size(replace(connect(server).prepare(AUDIENCE), id=str(known.known_id)))


# ---------------------------------------------------------------- adopted


def test_a_list_is_looked_at_before_anything_is_written(server: Server, hubspot: HubSpotSandbox) -> None:
    list_id = hubspot.add_list("leadup: hot", used=3)
    hubspot.put("leadup: hot", hubspot.add_contact("ada@example.com"), hubspot.add_contact("grace@example.com"))
    found = connect(server).look(AUDIENCE)
    assert found is not None
    assert (found.id, found.members, found.size.name) == (list_id, 2, "leadup: hot")
    assert found.size.details == {"kind": "MANUAL", "used in": "3 places"}
    assert {each.method for each in hubspot.weather.log} <= {"GET", "POST"}
    assert connect(server).look(replace(AUDIENCE, remote_name="leadup: other")) is None
    assert len(hubspot.state()["lists"]) == 1, "a look makes nothing"


def test_the_size_of_a_list_is_told_with_what_uses_it(server: Server, hubspot: HubSpotSandbox) -> None:
    destination, ada = connect(server), hubspot.add_contact("ada@example.com")
    remote = destination.prepare(AUDIENCE)
    destination.deliver(remote, [join(1, ada)])
    size = destination.size(remote)
    assert (dict(size.members), size.name) == ({"contacts": 1}, "leadup: hot")
    assert size.details == {"kind": "MANUAL", "folder": "leadup", "used in": "0 places"}


def test_a_list_may_be_named_by_its_id(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_list("another")
    list_id = hubspot.add_list("Customers of today", "SNAPSHOT")
    destination = connect(server, lists={"hot": list_id})
    found = destination.look(AUDIENCE)
    assert found is not None
    assert found.size.name == "Customers of today"
    assert destination.prepare(AUDIENCE).id == list_id


def test_trap_the_id_of_an_old_list_api_is_no_list_or_another_one(server: Server, hubspot: HubSpotSandbox) -> None:
    """Such an id may be that of a list all the same: so its name and size are shown before the first write."""
    with pytest.raises(NeedsHuman, match=r"no list with the id 77, which lists\.hot of connection 'hubspot' names"):
        connect(server, lists={"hot": "77"}).prepare(AUDIENCE)


def test_an_audience_does_not_move_to_another_list_unseen(server: Server, hubspot: HubSpotSandbox) -> None:
    known = replace(AUDIENCE, known_id=connect(server).prepare(AUDIENCE).id)
    other = hubspot.add_list("other")
    with pytest.raises(NeedsHuman, match=rf"kept in HubSpot's list {known.known_id}, and lists\.hot .* names {other}"):
        connect(server, lists={"hot": other}).prepare(known)


def test_trap_a_dynamic_list_is_not_adopted(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_list("leadup: hot", "DYNAMIC")
    for door in (connect(server).look, connect(server).prepare):
        with pytest.raises(NeedsHuman, match="active one"):
            door(AUDIENCE)


@pytest.mark.parametrize(
    ("objects", "called"), [("0-2", "companies"), ("0-3", "deals"), ("2-77", "objects of type 2-77")]
)
def test_trap_a_list_of_companies_takes_no_contacts(
    server: Server, hubspot: HubSpotSandbox, objects: str, called: str
) -> None:
    """Its members are other records, some of which have the ids of contacts."""
    there = hubspot.add_list("Key accounts", objects=objects)
    destination = connect(server, lists={"hot": there})
    for door in (destination.look, destination.prepare):
        with pytest.raises(NeedsHuman, match=rf"list 'Key accounts' is of {called}, and not of contacts") as caught:
            door(AUDIENCE)
        assert "name another list in lists.hot of connection 'hubspot'" in caught.value.todo


def test_trap_a_list_of_companies_has_the_name_for_itself(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_list("leadup: hot", objects="0-2")
    assert connect(server).look(AUDIENCE) is None
    with pytest.raises(NeedsHuman, match="no list 'leadup: hot'") as caught:
        connect(server).prepare(AUDIENCE)
    assert "whether a list of companies or deals is called so" in caught.value.todo


def test_a_list_of_ours_that_became_active_is_told_with_what_helps(server: Server, hubspot: HubSpotSandbox) -> None:
    """Another name changes nothing: the list is known by its id."""
    destination, ada = connect(server), hubspot.add_contact("ada@example.com")
    remote = destination.prepare(AUDIENCE)
    hubspot.make_active("leadup: hot")
    known = replace(AUDIENCE, known_id=remote.id)
    doors: list[Callable[[], object]] = [
        lambda: connect(server).look(known),
        lambda: connect(server).prepare(known),
        lambda: destination.deliver(remote, [join(1, ada)]),
    ]
    for door in doors:
        with pytest.raises(NeedsHuman, match="active one") as caught:
            door()
        assert caught.value.todo.startswith("make it static again in HubSpot; or delete it, then `leadup sync ")
    hubspot.delete_list("leadup: hot")
    assert connect(server).look(known) is None, "so it can be forgotten and made anew"


def test_trap_the_size_that_hubspot_tells_lags(server: Server, hubspot: HubSpotSandbox) -> None:
    """A list whose size is said to be 0 is looked into, before it is taken for empty."""
    hubspot.size_lag = timedelta(hours=1)
    hubspot.add_list("leadup: hot")
    hubspot.put("leadup: hot", hubspot.add_contact("ada@example.com"))
    found = connect(server).look(AUDIENCE)
    assert found is not None
    assert found.members


def test_trap_trouble_with_one_list_leaves_the_others_alone(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_list("leadup: hot", "DYNAMIC")
    destination = connect(server)
    with pytest.raises(NeedsHuman):
        destination.prepare(AUDIENCE)
    assert destination.prepare(replace(AUDIENCE, name="warm", remote_name="leadup: warm")).created


def test_another_name_in_the_rules_makes_no_other_list(server: Server, hubspot: HubSpotSandbox) -> None:
    known = connect(server).prepare(AUDIENCE)
    again = connect(server).prepare(replace(AUDIENCE, remote_name="leadup: hotter", known_id=known.id))
    assert (again.id, again.name) == (known.id, "leadup: hot")
    assert len(hubspot.state()["lists"]) == 1
