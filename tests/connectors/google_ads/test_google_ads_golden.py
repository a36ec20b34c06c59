"""What goes over the wire to the Google Ads API, request by request, as files to read and to review.

``LEADUP_UPDATE_GOLDEN=1 pytest tests/connectors/google_ads/test_google_ads_golden.py`` writes them anew.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google_ads_scenes import INTEREST, ads_actions, ads_destination
from google_scenes import AT, convert, restate

from leadup.outgoing import Address, RemoteTarget
from leadup.types import Money
from leadup_connectors.google_ads.ads.version import API_VERSION
from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox

GOLDEN = Path(__file__).parent / "golden" / "google_ads_api"
TO = RemoteTarget(id="7", name="leadup: interest")


def an_action_is_made(sandbox: GoogleAdsSandbox) -> None:
    ads_destination(sandbox).prepare(INTEREST)


def an_action_is_promoted(sandbox: GoogleAdsSandbox) -> None:
    ads_destination(sandbox).prepare(INTEREST)
    sandbox.weather.log.clear()
    actions = ads_actions(sandbox)
    actions.promote(actions.named("leadup: interest"))


def conversions(sandbox: GoogleAdsSandbox) -> None:
    destination = ads_destination(sandbox, conversion_actions={"interest": "7"}, upload_by="google_ads")
    braid = convert(2, to=Address(()), click_ids={"wbraid": "w2"}, value=Money(1200, "JPY"), consent={})
    destination.deliver(TO, [convert(1), braid, convert(3, click_ids={}, value=None)])


def adjustments(sandbox: GoogleAdsSandbox) -> None:
    destination = ads_destination(sandbox, conversion_actions={"interest": "7"}, adjust_by="google_ads")
    later = AT + timedelta(hours=2)
    destination.deliver(TO, [restate(1, decided_at=later), restate(2, taken_back=True, decided_at=later)])


@pytest.fixture(scope="module")
def sandbox() -> Iterator[GoogleAdsSandbox]:
    one = GoogleAdsSandbox()
    yield one
    one.close()


@pytest.mark.parametrize("scene", [an_action_is_made, an_action_is_promoted, conversions, adjustments])
def test_requests_are_as_written_down(sandbox: GoogleAdsSandbox, scene: Callable[[GoogleAdsSandbox], None]) -> None:
    sandbox.reset()
    sandbox.account.allow_listed = True
    scene(sandbox)
    sent = [{"call": call.path, "message": read(call.path, call.body)} for call in sandbox.weather.log]
    path = GOLDEN / f"{scene.__name__}.json"
    if os.environ.get("LEADUP_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(sent, indent=2) + "\n", encoding="utf-8")
    assert sent == json.loads(path.read_text(encoding="utf-8"))


def read(path: str, body: bytes) -> Any:
    """A request as JSON. It is of the method's own type, in the module of its service."""
    service, method = path.rsplit(".", 1)[1].split("/")
    module = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", service).lower()
    kind = f"{method}GoogleAdsRequest" if service == "GoogleAdsService" else f"{method}Request"
    types = import_module(f"google.ads.googleads.{API_VERSION}.services.types.{module}")
    return MessageToDict(getattr(types, kind).pb().FromString(body), preserving_proto_field_name=True)
