"""Short words for the tests of the Google Ads connector."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from leadup.outgoing import Address, Contact, Convert, Email, Join, Leave, RemoteId, Restate, Target, Use
from leadup.sandbox import Server
from leadup.types import Identifier, Kind, Money, Purpose
from leadup_connectors.google_ads.destination import GoogleAdsDestination
from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox
from leadup_connectors.google_ads.settings import GoogleAdsSettings

ACCOUNT = "1234567890"
ACTION = "987654321"
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
GRANTED = {Purpose.AD_USER_DATA: True, Purpose.AD_PERSONALIZATION: True}
AUDIENCE = Target(connection="google_ads", use=Use.AUDIENCE, name="warm", remote_name="leadup: warm")
CONVERSION = Target(connection="google_ads", use=Use.CONVERSION, name="demo", remote_name="leadup: demo")


class Emulators:
    """One emulator for many tests, as new for each. One that still sleeps in a ``hang`` fault is not used again."""

    def __init__(self) -> None:
        self._server: Server | None = None

    def fresh(self) -> Server:
        if self._server is not None and any(f.kind == "hang" for f in self._server.sandbox.weather.faults):
            self.close()
        if self._server is None:
            self._server = Server(GoogleAdsSandbox()).start()
        sandbox(self._server).reset()
        return self._server

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None


def sandbox(server: Server) -> GoogleAdsSandbox:
    assert isinstance(server.sandbox, GoogleAdsSandbox)
    return server.sandbox


def connect(server: Server, **settings: Any) -> GoogleAdsDestination:
    values: dict[str, Any] = {
        "operating_account": ACCOUNT,
        "base_url": server.url,
        "terms_accepted": True,
        "conversion_actions": {"demo": ACTION},
        "timeout": 5,
    }
    return GoogleAdsDestination("google_ads", GoogleAdsSettings(**{**values, **settings}))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def person(number: int) -> Contact:
    """Somebody with an address, a phone and a user id."""
    address, phone = f"person{number}@example.com", f"+4915100000{number:03}"
    return Contact(
        person=number,
        identifiers=(
            Identifier(Kind.USER_ID, f"u{number}"),
            Identifier(Kind.EMAIL, sha256(address)),
            Identifier(Kind.PHONE, sha256(phone)),
        ),
        emails=(Email(sha256(address), SecretStr(address)),),
    )


def email(number: int) -> Address:
    return Address((RemoteId("email_sha256", sha256(f"person{number}@example.com")),))


def user(number: int) -> Address:
    return Address((RemoteId("user_id", f"u{number}"),))


def hashes(*numbers: int) -> set[str]:
    return {email(number).ids[0].value for number in numbers}


def join(number: int, to: Address | None = None, **values: Any) -> Join:
    return Join(**{"key": f"j{number}", "person": number, "to": to or email(number), "consent": GRANTED, **values})


def leave(number: int, to: Address | None = None) -> Leave:
    return Leave(key=f"l{number}", person=number, to=to or email(number))


def convert(number: int, **values: Any) -> Convert:
    return Convert(**_conversion(number, **values))


def restate(number: int, **values: Any) -> Restate:
    return Restate(**_conversion(number, **values))


def _conversion(number: int, **values: Any) -> dict[str, Any]:
    return {
        "key": f"c{number}",
        "person": number,
        "to": email(number),
        "consent": GRANTED,
        "transaction_id": f"t{number}",
        "at": AT,
        "value": Money(1050, "EUR"),
        "click_ids": {"gclid": f"click-{number}"},
        **values,
    }


def paths(server: Server) -> Sequence[str]:
    """The calls so far, by the last part of their path."""
    return [request.path.rpartition("/")[2] for request in server.sandbox.weather.log]
