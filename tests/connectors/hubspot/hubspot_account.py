"""Words that the tests of the HubSpot connector share: people, targets, changes, and a destination for an emulator."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from leadup.outgoing import Address, Contact, Convert, Email, Join, Leave, RemoteId, Target, Upsert, Use, ValueKind
from leadup.sandbox import Sandbox, Server
from leadup.types import Identifier, Json, Kind, Money
from leadup_connectors.hubspot.client.routes import Call
from leadup_connectors.hubspot.destination import HubSpotDestination
from leadup_connectors.hubspot.limits import SEARCHING, SHARED
from leadup_connectors.hubspot.sandbox import HubSpotSandbox
from leadup_connectors.hubspot.settings import HubSpotSettings

TOKEN = "pat-eu1-5ec7e7"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AUDIENCE = Target(connection="hubspot", use=Use.AUDIENCE, name="hot", remote_name="leadup: hot")
SCORE = Target(
    connection="hubspot",
    use=Use.PROPERTY,
    name="leadup_score",
    remote_name="leadup: leadup_score",
    values=ValueKind.NUMBER,
)
TIER = Target(connection="hubspot", use=Use.PROPERTY, name="leadup_tier", remote_name="leadup: leadup_tier")
DEMO = Target(connection="hubspot", use=Use.CONVERSION, name="demo", remote_name="leadup: demo")
CHANGE, READ, UPDATE = "/memberships/add-and-remove", "/batch/read", "/batch/update"
APIS = ("v3", "2026-03")
"""The versions of the API that every test of the connector is put to."""


class Stage(Server):
    """One server on which one emulator after another plays: to start and stop a server takes longer than most tests.

    ``api``: the version that :func:`connect` speaks with it.
    """

    def __init__(self, api: str = "v3") -> None:
        super().__init__(_Understudy())
        self.api = api

    def path(self, call: Call, **place: str) -> str:
        """The path of a call in the version that is spoken."""
        return call.value.path(self.api, place)

    def play(self, **how: Any) -> Stage:
        """Put on a new, empty account with a burst window that is short enough for tests."""
        return self.play_with(HubSpotSandbox(**{"interval": 0.05, "token": TOKEN, **how}))

    def play_with(self, sandbox: HubSpotSandbox) -> Stage:
        """Put on this account."""
        SEARCHING.clear()
        SHARED.clear()  # what is known of the account that played before
        _Understudy.playing = sandbox.app()
        self.sandbox = sandbox
        return self


class _Understudy(Sandbox):
    """Passes every request on to the emulator that plays."""

    name = "stage"
    playing: ASGIApp

    def app(self) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await _Understudy.playing(scope, receive, send)

        return app


def connect(server: Server, **settings: Any) -> HubSpotDestination:
    """A destination with pauses that are short enough for tests."""
    how = {"pause": 0.01, "api": getattr(server, "api", "v3"), **settings}
    return HubSpotDestination("hubspot", HubSpotSettings(access_token=SecretStr(TOKEN), base_url=server.url, **how))


def awaited(people: Iterable[Contact], since: datetime = NOW) -> Iterator[tuple[Contact, datetime]]:
    """People for whom something has been waiting since then."""
    return ((one, since) for one in people)


def person(number: int, *addresses: str, **identifiers: str) -> Contact:
    """A person with these e-mail addresses in the clear, and identifiers by kind."""
    emails = tuple(Email(_sha256(address.strip().lower()), SecretStr(address)) for address in addresses)
    ids = [Identifier(Kind(kind), value) for kind, value in identifiers.items()]
    ids += [Identifier(Kind.EMAIL, email.sha256) for email in emails]
    return Contact(person=number, identifiers=tuple(sorted(ids, key=lambda i: i.kind.strength)), emails=emails)


def at(*contacts: str) -> Address:
    """The address that these contact ids make."""
    return Address(tuple(RemoteId("contact", contact) for contact in sorted(contacts)))


def join(number: int, *contacts: str) -> Join:
    return Join(key=f"join-{number}", person=number, to=at(*contacts))


def leave(number: int, *contacts: str) -> Leave:
    return Leave(key=f"leave-{number}", person=number, to=at(*contacts))


def upsert(number: int, contact: str, **properties: Json) -> Upsert:
    return Upsert(key=f"upsert-{number}", person=number, to=at(contact), properties=properties)


def convert(number: int, to: Address, at: datetime, value: Money | None = None) -> Convert:
    return Convert(key=f"convert-{number}", person=number, to=to, transaction_id=f"t-{number}", at=at, value=value)


def calls(server: Server, path: str = "", method: str = "") -> int:
    """How many requests came whose path contains ``path``."""
    return sum(path in each.path and each.method == (method or each.method) for each in server.sandbox.weather.log)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
