"""Fifty thousand contacts and twenty lists of HubSpot, in bad weather: who is in which list is exact, HubSpot is asked
no more than it must be, and the process stays small."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import lists_scene as scene
import pytest
from bulk_scene import play
from sqlalchemy import func, select

from leadup.sandbox import Server
from leadup.state import open_store
from leadup.state.tables import standings
from leadup_connectors.hubspot.sandbox import HubSpotSandbox

CHUNK, LOOK_UP = 500, 100
MIB = 300
"""The most memory that the delivering process may take."""


def bad_weather(hubspot: HubSpotSandbox, scale: int) -> None:
    """Limits, errors of HubSpot and of the proxy before it, answers that get lost, a line that hangs."""
    add = hubspot.weather.add
    add(kind="rate_limit", path="/batch/read", after=2, times=2 * scale, retry_after=0)
    add(kind="fail", status=502, path="/batch/read", after=7, times=2 * scale)
    add(kind="lose_answer", path="/batch/read", after=9)
    add(kind="rate_limit", path="/memberships/", times=2 * scale, retry_after=0)
    add(kind="lose_answer", path="/memberships/", after=3, times=2 * scale)
    add(kind="fail", status=503, path="/memberships/", after=6, times=2 * scale)


@pytest.mark.parametrize(
    ("contacts", "lists"), [(2_000, 4), pytest.param(50_000, 20, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_lists_are_exact_and_calls_the_fewest_there_can_be(tmp_path: Path, contacts: int, lists: int) -> None:
    hubspot = HubSpotSandbox(token=scene.TOKEN, burst=190, interval=0.2)
    ids = {n: hubspot.add_contact(scene.email(n)) for n in range(1, contacts + 1) if scene.is_known(n)}
    before = [scene.wanted(number, contacts, later=False) for number in range(lists)]
    after = [scene.wanted(number, contacts, later=True) for number in range(lists)]
    # The first list is there: people have put in some who are to be in it, some of whom are to leave, and others.
    scene.prepare(tmp_path, contacts, lists, made=hubspot.add_list(scene.name_of(0)))
    others = set(range(1, contacts + 1)) - before[0] - after[0]
    some = (before[0] & after[0], before[0] - after[0], after[0] - before[0], others)
    by_hand = {ids[n] for people in some for n in sorted(_known(people))[:10]}
    hubspot.put(scene.name_of(0), *by_hand)
    with Server(hubspot) as server:
        bad_weather(hubspot, scale=lists // 4)
        done = play(scene.__file__, tmp_path, server.url, contacts)

    log = hubspot.weather.log
    doubtful = {
        contact
        for one in log
        if "/lists/1/memberships/" in one.path and one.status in (0, 502, 503)
        for contact in json.loads(one.body)["recordIdsToAdd"]
    }
    for number in range(1, lists):
        assert hubspot.members(scene.name_of(number)) == {ids[n] for n in after[number] if n in ids}
    there, to_be = hubspot.members(scene.name_of(0)), {ids[n] for n in after[0] if n in ids}
    assert to_be | (by_hand - doubtful) <= there <= to_be | by_hand, "who was put in by hand stays"

    # Each membership was changed once, and asked for again only where an answer had been lost.
    lost = [json.loads(one.body) for one in log if one.status == 0 and "/memberships/" in one.path]
    assert {count for (_, _, _, new), count in Counter(map(_asked, hubspot.asked)).items() if new} == {1}
    put_before = len(by_hand & {ids[n] for n in before[0] | after[0] if n in ids})
    assert sum(not one.effective for one in hubspot.asked) <= sum(map(_size, lost)) + put_before

    # As few calls as there can be, and those that a fault repeated.
    changes = sum(math.ceil(len(_known(one)) / CHUNK) for one in before)
    changes += sum(math.ceil(len(_known(a ^ b)) / CHUNK) for b, a in zip(before, after, strict=True))
    look_ups = math.ceil(len(set().union(*before)) / LOOK_UP)
    look_ups += math.ceil(len(set().union(*(a - b for b, a in zip(before, after, strict=True)))) / LOOK_UP)
    met = sum(one.status in (0, 429, 502, 503) for one in log)
    assert met > 8
    assert sum("/memberships/" in one.path and one.status == 200 for one in log) == changes
    made = Counter(one.path.rpartition("/")[2] for one in log if "/memberships/" not in one.path)
    # The account; the folder, looked for and made; the first list, looked at; each other one, looked for and made.
    set_up = 3 + 1 + 2 * (lists - 1)
    assert len(log) <= set_up + look_ups + changes + met, made
    assert done["mib"] < MIB, done

    store = open_store(f"sqlite:///{tmp_path}/state.db", tmp_path)
    with store.read() as connection:
        present = select(func.count()).select_from(standings).where(standings.c.standing == "present")
        assert connection.scalar(present) == sum(len(_known(one)) for one in after)
    store.close()


def _known(people: set[int]) -> set[int]:
    return {person for person in people if scene.is_known(person)}


def _asked(one: Any) -> tuple[str, str, str, bool]:
    return one.list, one.contact, one.verb, one.effective


def _size(body: Any) -> int:
    return len(body) if isinstance(body, list) else sum(map(len, body.values()))
