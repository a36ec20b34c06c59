"""Customer Match lists over time: taken over by id, measured, kept full, replaced; who withdraws is taken out."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from google_scenes import AUDIENCE, connect, join, sandbox
from google_world import LIST, GoogleWorld

from delivery.world import DENIED, GRANTED, email, hashed, user
from leadup.delivery.book import all_targets
from leadup.delivery.replacing import Replacing, begin, replacing
from leadup.errors import NeedsHuman, Refused
from leadup.insights.status import status
from leadup.kit import Replaceable, Sized
from leadup.outgoing import Use
from leadup.sandbox import Server
from leadup.state.tables import ledger
from leadup.types import to_us


@pytest.fixture
def world(server: Server) -> Iterator[GoogleWorld]:
    one = GoogleWorld(server, membership_days=30)
    yield one
    one.close()


def addresses(*numbers: int) -> set[str]:
    return {hashed(email(f"p{n}")) for n in numbers}


# ---------------------------------------------------------------- lists that exist


def test_a_list_is_taken_over_by_its_id_whatever_it_is_called(server: Server) -> None:
    elsewhere = connect(server, membership_days=90).prepare(AUDIENCE)
    destination = connect(server, user_lists={"interested": int(elsewhere.id)})
    target: Any = AUDIENCE.__class__(
        connection="google_ads", use=Use.AUDIENCE, name="interested", remote_name="leadup: interested"
    )
    found = destination.prepare(target)
    assert (found.id, found.name, found.created) == (elsewhere.id, "leadup: warm", False)
    assert found.refresh_after == timedelta(days=81), "its own duration counts"
    assert len(sandbox(server).account.lists) == 1
    destination.deliver(found, [join(1)])
    sandbox(server).settle()
    assert sandbox(server).members("leadup: warm")


def test_an_id_that_is_no_list_needs_a_human(server: Server) -> None:
    with pytest.raises(NeedsHuman, match="no user list 4711") as raised:
        connect(server, user_lists={"warm": "4711"}).prepare(AUDIENCE)
    assert "[connections.google_ads.user_lists]" in raised.value.todo
    assert not sandbox(server).account.lists


def test_a_list_of_another_key_is_not_taken_over(server: Server) -> None:
    theirs = connect(server, key="user_id").prepare(AUDIENCE)
    with pytest.raises(NeedsHuman, match="keyed by USER_ID, not by CONTACT_ID"):
        connect(server, user_lists={"warm": theirs.id}).prepare(AUDIENCE)


# ---------------------------------------------------------------- sizes


def test_its_size_match_rate_and_duration_are_known(world: GoogleWorld) -> None:
    world.google.account.match_rate = 50
    world.joins(1, 2, 3, 4)
    world.send()
    world.hear()
    world.later(hours=7)
    world.hear()
    with world.store.read() as connection:
        [club] = status(connection)["audiences"]
    networks = ("display_network", "search_network", "youtube", "gmail")
    assert club["size"] == {
        "members": dict.fromkeys(networks, 2),
        "match_rate": 50,
        "kept_days": 30,
        "keyed_by": "CONTACT_ID",
        "name": "",
        "details": {},
        "asked": "2026-03-01T07:00:00Z",
    }


def test_it_is_asked_for_a_few_times_a_day_and_holds_up_nothing(world: GoogleWorld) -> None:
    assert isinstance(world.vendor, Sized)
    world.joins(1)
    world.send()
    world.server.sandbox.weather.add(kind="fail", path="/userLists/", status=500, times=-1)
    for _ in range(24):
        world.hear()
        world.later(hours=1)
    tried = [one for one in world.server.sandbox.weather.log if "/userLists/" in one.path]
    assert len(tried) == 4 * 3, "four times a day; a read is tried three times"
    assert world.states("join") == ["processed"]


# ---------------------------------------------------------------- staying in


def test_nobody_drops_out_and_nobody_is_sent_sooner_than_needed(world: GoogleWorld) -> None:
    """A list of 30 days: who is sent anew after 27 never leaves it, however long it goes on."""
    world.joins(1, 2)
    joined = []
    for day in range(100):
        before = len(world.server.sandbox.weather.log)
        world.send()
        world.hear()
        if any("audienceMembers:ingest" in one.path for one in world.server.sandbox.weather.log[before:]):
            joined.append(day)
        assert world.google.members(LIST) == addresses(1, 2), f"day {day}"
        world.later(days=1)
    assert joined == [0, 27, 54, 81]


# ---------------------------------------------------------------- consent


def test_who_withdraws_is_taken_out_by_what_was_sent(world: GoogleWorld) -> None:
    world.joins(1, 2)
    world.send()
    world.hear()
    world.later(minutes=1)
    world.tell(user(1), email("another"), consent=DENIED)
    world.send()
    world.hear()
    assert world.google.members(LIST) == addresses(2)
    [leave] = [row for row in world.rows(ledger, ledger.c.verb == "leave") if row["what"] == "planned"]
    assert leave["detail"] == "in the segment, but ad_personalization was denied; ad_user_data was denied"
    removed = [one.body for one in world.server.sandbox.weather.log if one.path.endswith("audienceMembers:remove")]
    assert len(removed) == 1
    assert next(iter(addresses(1))).encode() in removed[0]
    assert hashed(email("another")).encode() not in removed[0]


def test_no_ip_address_leaves(world: GoogleWorld) -> None:
    """Wherever a source put one."""
    addresses_of_machines = ("203.0.113.7", "2001:db8::7")
    v4, v6 = addresses_of_machines
    who = (user(1), email("p1"))
    world.tell(*who, consent=GRANTED, member="yes", ip=v4, ip_address=v6)
    ips = {"ip_address": v4, "client_ip": v6, "ip_override": v4}
    world.did("bought", "b1", *who, gclid="Cj1", ago=timedelta(hours=7), amount=10, currency="EUR", **ips)
    world.send()
    world.hear()
    world.later(days=28)
    world.tell(*who, member="no", ip=v4)
    world.send()
    world.hear()
    log = world.server.sandbox.weather.log
    doors = {one.path.rpartition("/")[2] for one in log}
    assert {"audienceMembers:ingest", "audienceMembers:remove", "events:ingest"} <= doors
    sent = "\n".join(f"{one.path}?{one.query}\n{one.body.decode()}" for one in log)
    assert not any(one in sent for one in addresses_of_machines)
    assert not re.search(r"ip_?(address|override)|(?<![\d.])\d{1,3}(\.\d{1,3}){3}(?![\d.])", sent, re.IGNORECASE)


# ---------------------------------------------------------------- replacing


def strangers_join(world: GoogleWorld, *numbers: int) -> None:
    """Others add people to our list, as an upload by hand does."""
    other = connect(world.server)
    remote = other.prepare(AUDIENCE.__class__(connection="x", use=Use.AUDIENCE, name="club", remote_name=LIST))
    other.deliver(remote, [join(n) for n in numbers])
    world.google.settle()


def replace_it(world: GoogleWorld) -> int:
    with world.store.write() as connection:
        [club] = [target for target in all_targets(connection) if target.target.use is Use.AUDIENCE]
        return begin(connection, club, to_us(world.now), "ada")


def far(world: GoogleWorld) -> Replacing | None:
    club = world.target("audience")
    with world.store.read() as connection:
        return replacing(connection, club.id)


@pytest.fixture
def mixed(world: GoogleWorld) -> GoogleWorld:
    """A list with ten of ours and three of others, a day old."""
    world.joins(*range(10))
    world.send()
    world.hear()
    strangers_join(world, 97, 98, 99)
    assert len(world.google.members(LIST)) == 13
    world.later(days=1)
    return world


def test_a_list_is_replaced_without_a_gap(mixed: GoogleWorld) -> None:
    ours = addresses(*range(10))
    assert isinstance(mixed.vendor, Replaceable)
    assert replace_it(mixed) == 10
    mixed.send()
    assert far(mixed) == Replacing(since_us=to_us(mixed.now), wanted=10, renewed=10, waiting=10)
    mixed.courier.poll(mixed.now)
    assert len(mixed.google.members(LIST)) == 13, "nobody goes before Google has answered for all"
    mixed.later(hours=1)
    mixed.hear()
    assert far(mixed) is None
    for _ in range(3):
        assert ours <= mixed.google.members(LIST)
        mixed.google.settle()
    assert mixed.google.members(LIST) == ours
    assert mixed.said("replace") == ["begun", "accepted"]
    mixed.later(hours=1)
    mixed.send()
    mixed.hear()
    paths = [one.path.rpartition("/")[2] for one in mixed.server.sandbox.weather.log]
    assert paths.count("audienceMembers:removeAll") == 1
    assert paths.count("audienceMembers:ingest") == 3, "of ours two, of the others one"


@pytest.mark.parametrize("kind", ["lose_answer", "fail"])
def test_an_answer_that_is_lost_on_the_way_is_asked_for_again(mixed: GoogleWorld, kind: Any) -> None:
    mixed.server.sandbox.weather.add(kind=kind, path="removeAll")
    replace_it(mixed)
    mixed.send()
    mixed.hear()
    assert far(mixed), "nobody knows whether it was done"
    mixed.restart()
    mixed.later(hours=1)
    mixed.hear()
    mixed.google.settle()
    assert far(mixed) is None
    assert mixed.google.members(LIST) == addresses(*range(10))


def test_nobody_is_removed_while_ours_are_refused(mixed: GoogleWorld) -> None:
    mixed.server.sandbox.weather.add(kind="reject", path="audienceMembers:ingest", every=1, code="NO_CONSENT")
    replace_it(mixed)
    mixed.send()
    mixed.hear()
    state = far(mixed)
    assert state is not None
    assert (state.wanted, state.renewed, state.waiting) == (10, 0, 0)
    assert len(mixed.google.members(LIST)) == 13
    with mixed.store.read() as connection:
        [club] = status(connection)["audiences"]
    assert club["replacing"] == {"since": "2026-03-02T00:00:00Z", "wanted": 10, "renewed": 0, "waiting": 0}
    replace_it(mixed)
    mixed.send()
    mixed.hear()
    mixed.google.settle()
    assert mixed.google.members(LIST) == addresses(*range(10))


def test_what_a_guard_holds_is_not_replaced(mixed: GoogleWorld) -> None:
    mixed.joins(*range(10, 60))
    mixed.send()
    mixed.hear()
    mixed.later(hours=1)
    mixed.joins(*range(10, 60), member="no")
    mixed.tick()
    with pytest.raises(Refused, match="would leave"):
        replace_it(mixed)
