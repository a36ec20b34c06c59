"""What goes over the wire to HubSpot, byte for byte, against files that a reviewer can read.

After a wanted change run the tests once with ``LEADUP_WRITE_GOLDEN=1`` and look at the difference.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hubspot_account import (
    APIS,
    AUDIENCE,
    DEMO,
    SCORE,
    TIER,
    TOKEN,
    Stage,
    at,
    connect,
    convert,
    join,
    leave,
    person,
    upsert,
)
from pydantic import SecretStr

from leadup.kit import Checkup
from leadup.outgoing import Address, Grade, RemoteId
from leadup.sandbox import Server
from leadup.types import Money
from leadup_connectors.hubspot.checkup import examine
from leadup_connectors.hubspot.sandbox import HubSpotSandbox
from leadup_connectors.hubspot.settings import HubSpotSettings
from leadup_connectors.hubspot.source import HubSpotSource

GOLDEN = Path(__file__).parent / "golden"
"""A folder for each version of the API."""


def check(server: Server, _hubspot: HubSpotSandbox) -> None:
    connect(server).check()


def audience(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, grace = hubspot.add_contact("ada@example.com"), hubspot.add_contact("grace@example.com")
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    destination.address(AUDIENCE, [person(1, "Ada@Example.com"), person(2, "grace@example.com")])
    destination.deliver(remote, [join(1, ada), join(2, grace)])
    destination.deliver(remote, [leave(1, ada)])
    destination.prepare(AUDIENCE)


def external_id(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_property("external_id", unique=True)
    hubspot.add_contact(external_id="u1")
    destination = connect(server, match="external_id")
    destination.check()
    destination.address(AUDIENCE, [person(1, user_id="u1"), person(2, user_id="u2")])


def properties(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, grace = hubspot.add_contact("ada@example.com"), hubspot.add_contact("grace@example.com")
    destination = connect(server)
    remote = destination.prepare(SCORE)
    destination.deliver(remote, [upsert(1, ada, leadup_score=61), upsert(2, grace, leadup_score=7)])
    destination.deliver(destination.prepare(TIER), [upsert(1, ada, leadup_tier="ready")])


def reads(server: Server, hubspot: HubSpotSandbox) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    hubspot.clock = lambda: now
    hubspot.add_property("plan")
    ada = hubspot.add_contact("ada@example.com", plan="pro")
    hubspot.add_deal(stage="closedwon", amount="12400", contacts=[ada])
    hubspot.submit_form(hubspot.add_form("Ask for a demo"), {"email": "ada@example.com"})
    how: dict[str, Any] = {"read": ("contacts", "forms", "deals"), "traits": ("plan",), "base_url": server.url}
    if isinstance(server, Stage):
        how["api"] = server.api
    source = HubSpotSource("hubspot", HubSpotSettings(access_token=SecretStr(TOKEN), **how), Path())
    source.check()
    *_, last = source.pull(None, now)
    list(source.pull(last.cursor, now + timedelta(hours=7)))


def adoption(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_list("leadup: hot")
    destination = connect(server)
    found = destination.look(AUDIENCE)
    assert found is not None
    remote = destination.prepare(replace(AUDIENCE, known_id=found.id))
    hubspot.rename_list("leadup: hot", "Hot leads")
    destination.size(remote)


def created(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_contact("ada@example.com")
    destination = connect(server, create_missing=True)
    people = [person(1, "ada@example.com"), person(2, "grace@example.com"), person(3, hubspot_id="1501")]
    destination.address(AUDIENCE, people)
    destination.create(AUDIENCE, people[1:2])


def events(server: Server, hubspot: HubSpotSandbox) -> None:
    ada = hubspot.add_contact("ada@example.com")
    hubspot.know_cookie("c00k1e", ada)
    destination = connect(server)
    remote = destination.prepare(DEMO)
    at_noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    by_cookie = Address((RemoteId("utk", "c00k1e"),))
    destination.deliver(remote, [convert(1, at(ada), at_noon, Money(28_850, "EUR")), convert(2, by_cookie, at_noon)])
    server.sandbox._events.defined["demo"]["properties"].pop()  # people may change what we defined
    destination.prepare(DEMO)


def checkup(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.add_contact("ada@example.com")
    destination = connect(server)
    known = destination.prepare(AUDIENCE).id
    destination.prepare(SCORE)
    hubspot.weather.log.clear()
    how: dict[str, Any] = {"base_url": server.url, "read": ("contacts", "forms", "deals")}
    if isinstance(server, Stage):
        how["api"] = server.api
    settings = HubSpotSettings(access_token=SecretStr(TOKEN), **how)
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    seen = [
        (AUDIENCE, known),
        (SCORE, "leadup_score"),
        (replace(AUDIENCE, name="new", remote_name="leadup: new"), None),
    ]
    found = list(examine(Checkup(connection="hubspot", settings=settings, now=now, targets=seen)))
    assert {one.grade for one in found} == {Grade.OK}


def members(server: Server, hubspot: HubSpotSandbox) -> None:
    destination = connect(server)
    remote = destination.prepare(AUDIENCE)
    hubspot.put(AUDIENCE.remote_name, *(hubspot.add_contact(f"p{number}@example.com") for number in range(251)))
    assert len(list(destination.members(remote))) == 251


SESSIONS = [check, audience, adoption, external_id, created, events, properties, reads, checkup, members]


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.__name__)
def test_requests_are_as_recorded(stage: Stage, session: Callable[[Server, HubSpotSandbox], None]) -> None:
    server = stage.play()
    session(server, server.sandbox)
    sent = [
        {"request": f"{r.method} {r.path}{'?' if r.query else ''}{r.query}", "body": json.loads(r.body or "null")}
        for r in server.sandbox.weather.log
    ]
    golden = GOLDEN / stage.api / f"{session.__name__}.json"
    if os.environ.get("LEADUP_WRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(json.dumps(sent, indent=2) + "\n")
    assert sent == json.loads(golden.read_text())


@pytest.mark.parametrize("api", APIS)
def test_every_recording_has_its_session(api: str) -> None:
    assert {path.stem for path in (GOLDEN / api).iterdir()} == {session.__name__ for session in SESSIONS}
