"""What goes over the wire, request by request, as files to read and to review.

``LEADUP_UPDATE_GOLDEN=1 pytest tests/connectors/google_ads/test_google_golden.py`` writes them anew.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from google_scenes import (
    AUDIENCE,
    CONVERSION,
    GRANTED,
    connect,
    convert,
    email,
    join,
    leave,
    person,
    restate,
    user,
)

from leadup.outgoing import Address
from leadup.sandbox import Server
from leadup.types import Money, Purpose
from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox

GOLDEN = Path(__file__).parent / "golden" / "data_manager"


def contact_list(server: Server) -> None:
    destination = connect(server, login_account="999-888-7777")
    destination.check()
    remote = destination.prepare(AUDIENCE)
    (both,) = destination.address(AUDIENCE, [person(1)])
    assert isinstance(both, Address)
    (receipt, _) = destination.deliver(
        remote, [join(1, both), join(2, consent={**GRANTED, Purpose.AD_PERSONALIZATION: False})]
    )
    destination.deliver(remote, [leave(1, both)])
    destination.poll([receipt.handle])


def user_id_list(server: Server) -> None:
    destination = connect(server, key="user_id", membership_days=30, terms_accepted=False)
    remote = destination.prepare(AUDIENCE)
    destination.deliver(remote, [join(1, user(1)), join(2, user(2), consent={})])
    destination.deliver(remote, [leave(1, user(1))])


def in_base64(server: Server) -> None:
    destination = connect(server, encoding="base64")
    remote = destination.prepare(AUDIENCE)
    (both,) = destination.address(AUDIENCE, [person(1)])
    assert isinstance(both, Address)
    destination.deliver(remote, [join(1, both)])
    destination.deliver(remote, [leave(1, both)])
    destination.deliver(destination.prepare(CONVERSION), [convert(3, to=email(3), click_ids={})])


def conversions(server: Server) -> None:
    destination = connect(server, event_source="PHONE")
    remote = destination.prepare(CONVERSION)
    destination.deliver(
        remote,
        [
            convert(1),
            convert(2, to=Address(()), click_ids={"gbraid": "b", "fbclid": "f"}, value=None),
            convert(3, to=email(3), click_ids={}, consent={Purpose.AD_USER_DATA: True}, value=Money(500, "JPY")),
        ],
    )
    destination.deliver(remote, [restate(1, value=Money(0, "EUR"))])


@pytest.mark.parametrize("session", [contact_list, user_id_list, in_base64, conversions])
def test_requests_are_as_reviewed(session: Callable[[Server], None]) -> None:
    with Server(GoogleAdsSandbox()) as server:
        session(server)
        sent: list[dict[str, Any]] = [
            {
                "method": request.method,
                "path": request.path,
                "query": parse_qs(request.query),
                "body": json.loads(request.body or b"null"),
                "status": request.status,
            }
            for request in server.sandbox.weather.log
        ]
    file = GOLDEN / f"{session.__name__}.json"
    if os.environ.get("LEADUP_UPDATE_GOLDEN"):
        file.write_text(json.dumps(sent, indent=2) + "\n", encoding="utf-8")
    assert sent == json.loads(file.read_text(encoding="utf-8"))
