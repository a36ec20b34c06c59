"""Bad weather at HubSpot: each fault ends in the right family of error, within a bounded time, and tells no secret."""

from __future__ import annotations

import logging
import socket
import time
import traceback
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hubspot_account import APIS, AUDIENCE, CHANGE, NOW, READ, SCORE, TOKEN, Stage, calls, connect, join, person, upsert
from starlette.responses import HTMLResponse
from starlette.routing import Route

from leadup.errors import BudgetSpent, LeadupError, NeedsHuman, TryLater
from leadup.outgoing import NEW_DAY
from leadup.sandbox import Server
from leadup.types import day_of
from leadup_connectors.hubspot.answers import family
from leadup_connectors.hubspot.client.routes import Call
from leadup_connectors.hubspot.sandbox import HubSpotSandbox

EMAIL = "ada.lovelace@example.com"


def look_up(server: Server, **settings: Any) -> None:
    connect(server, **settings).address(AUDIENCE, [person(1, EMAIL)])


# ---------------------------------------------------------------- families


@pytest.mark.parametrize("status", [408, 477, 500, 502, 503, 504, 521, 522, 523, 524])
def test_what_may_pass_is_tried_three_times_and_then_left_to_the_outbox(
    server: Server, hubspot: HubSpotSandbox, status: int
) -> None:
    hubspot.weather.add(kind="fail", status=status, times=-1, retry_after=0)
    with pytest.raises(TryLater) as caught:
        look_up(server)
    assert calls(server) == 3
    assert "look contacts up" in str(caught.value)


def test_trap_a_locked_contact_waits_two_seconds(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.weather.add(kind="fail", status=423)
    with pytest.raises(TryLater) as caught:
        look_up(server, tries=1)
    assert caught.value.retry_after == timedelta(seconds=2)


def test_trap_a_migration_says_when_to_come_back(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.weather.add(kind="fail", status=477, retry_after=7200)
    with pytest.raises(TryLater) as caught:
        look_up(server)
    assert caught.value.retry_after == timedelta(hours=2)
    assert calls(server) == 1, "nobody waits two hours inside a call"


def test_trap_a_refused_token_is_not_tried_again(stage: Stage) -> None:
    server = stage.play(token="another")
    with pytest.raises(NeedsHuman, match="INVALID_AUTHENTICATION") as caught:
        look_up(server)
    assert "LEADUP_HUBSPOT_ACCESS_TOKEN" in caught.value.todo
    assert calls(server) == 1


@pytest.mark.parametrize(
    ("scope", "what"),
    [
        ("crm.objects.contacts.read", lambda d: d.address(AUDIENCE, [person(1, EMAIL)])),
        ("crm.lists.read", lambda d: d.check()),
        ("crm.lists.write", lambda d: d.prepare(AUDIENCE)),
        ("crm.schemas.contacts.write", lambda d: d.prepare(SCORE)),
    ],
)
def test_trap_a_403_names_the_missing_scope(stage: Stage, scope: str, what) -> None:
    server = stage.play()
    server.sandbox.scopes.remove(scope)
    with pytest.raises(NeedsHuman) as caught:
        what(connect(server))
    assert caught.value.todo == f"give its service key or private app these scopes: {scope}"


def test_another_account_than_the_configured_one_is_not_written_to(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, remote = hubspot.add_contact(EMAIL), connect(server).prepare(AUDIENCE)
    destination = connect(server, portal_id=7)
    for door in (
        destination.check,
        lambda: destination.prepare(SCORE),
        lambda: destination.deliver(remote, [join(1, ada)]),
    ):
        with pytest.raises(NeedsHuman, match="for HubSpot account 4815162, not 7"):
            door()
    assert hubspot.members(AUDIENCE.remote_name) == set()
    assert SCORE.name not in hubspot.state()["properties"]


def test_the_right_account_is_looked_at_once(server: Server, hubspot: HubSpotSandbox) -> None:
    ada, destination = hubspot.add_contact(EMAIL), connect(server, portal_id=4815162)
    destination.deliver(destination.prepare(AUDIENCE), [join(1, ada)])
    assert hubspot.members(AUDIENCE.remote_name) == {ada}
    assert calls(server, "/account-info/") == 1


def test_a_call_that_hubspot_refuses_needs_a_human_who_is_told_where_and_what(
    server: Server, hubspot: HubSpotSandbox
) -> None:
    hubspot.weather.add(kind="fail", status=405, code="NOT_ALLOWED", path=READ, times=-1)
    with pytest.raises(NeedsHuman, match=r"405 \(NOT_ALLOWED\) when asked to look contacts up") as caught:
        look_up(server)
    assert "base_url of connection 'hubspot', and any proxy" in caught.value.todo
    assert calls(server, READ) == 1


@pytest.mark.parametrize("status", [301, 302, 307])
def test_trap_a_proxy_that_sends_elsewhere_is_for_later(server: Server, hubspot: HubSpotSandbox, status: int) -> None:
    hubspot.weather.add(kind="fail", status=status, times=-1)
    with pytest.raises(TryLater, match="not one of its API"):
        look_up(server)
    hubspot.weather.clear()
    hubspot.weather.add(kind="fail", status=status)
    look_up(server)


def test_trap_a_page_of_the_proxy_is_not_taken_for_an_answer(stage: Stage) -> None:
    """Neither an error in another encoding than UTF-8, on which the library stumbles, nor a page with status 200."""

    class Captive(HubSpotSandbox):
        def routes(self):
            page = HTMLResponse("<html>Sign in to the company's network</html>")
            return [Route("/{path:path}", lambda _: page, methods=["GET", "POST", "PUT"])]

    destination = connect(stage.play_with(Captive()))
    doors = [
        destination.check,
        lambda: destination.prepare(AUDIENCE),
        lambda: destination.prepare(SCORE),
        lambda: destination.address(AUDIENCE, [person(1, EMAIL)]),
    ]
    for door in doors:
        with pytest.raises(TryLater, match="not one of its API"):
            door()


# ---------------------------------------------------------------- lines


def test_trap_the_library_has_no_timeout_of_its_own(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.weather.add(kind="hang", seconds=1.5)
    with pytest.raises(TryLater, match="ReadTimeout"):
        look_up(server, read_timeout=0.1, tries=1)


@pytest.mark.parametrize("api", APIS)
def test_nobody_at_the_address_is_for_later(api: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

        class Nowhere:
            url = f"http://127.0.0.1:{port}"

        with pytest.raises(TryLater, match=rf"127\.0\.0\.1:{port}\) did not answer.*ConnectionError"):
            look_up(Nowhere(), api=api)


def test_trap_each_look_at_an_attribute_would_build_a_new_connection(stage: Stage) -> None:
    with Server(HubSpotSandbox(token=TOKEN)) as server:
        ada = server.sandbox.add_contact(EMAIL)
        destination = connect(server)
        for _ in range(5):
            remote = destination.prepare(AUDIENCE)
            destination.address(AUDIENCE, [person(1, EMAIL)])
            destination.deliver(remote, [join(1, ada)])
            destination.deliver(destination.prepare(SCORE), [upsert(1, ada, leadup_score=1)])
        assert calls(server) > 20
        assert len(server._server.server_state.connections) == 3  # one per module of the library: lists, contacts, ...


# ---------------------------------------------------------------- limits


def test_trap_a_bare_429_waits_for_the_window(stage: Stage) -> None:
    server = stage.play(interval=10.0)
    server.sandbox.weather.add(kind="rate_limit")
    with pytest.raises(TryLater) as caught:
        look_up(server, tries=1)
    assert caught.value.retry_after == timedelta(seconds=10)


def test_a_bare_429_inside_the_window_is_tried_again(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.weather.add(kind="rate_limit", times=2)
    look_up(server)
    assert [each.status for each in hubspot.weather.log] == [429, 429, 207]


def test_a_429_with_retry_after_waits_that_long(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.weather.add(kind="rate_limit", retry_after=1)
    began = time.monotonic()
    look_up(server)
    assert time.monotonic() - began >= 1
    assert calls(server) == 2


def test_a_429_that_asks_for_more_than_our_patience_goes_to_the_outbox(server: Server, hubspot: HubSpotSandbox) -> None:
    hubspot.weather.add(kind="rate_limit", retry_after=31)
    with pytest.raises(TryLater) as caught:
        look_up(server)
    assert caught.value.retry_after == timedelta(seconds=31)
    assert calls(server) == 1


def test_trap_the_daily_limit_is_not_tried_again_before_midnight(stage: Stage) -> None:
    server = stage.play(clock=lambda: NOW)
    destination = connect(server)
    destination.prepare(AUDIENCE)
    server.sandbox.limits.daily = made = calls(server)
    with pytest.raises(BudgetSpent, match="calls of today are used up") as caught:
        destination.address(AUDIENCE, [person(1, EMAIL)])
    now = server.sandbox.now()
    began, ends = day_of(now, UTC)
    until = began + NEW_DAY if now < began + NEW_DAY else ends
    assert caught.value.retry_after is not None
    assert caught.value.retry_after == until - now
    for _ in range(3):
        with pytest.raises(BudgetSpent):
            look_up(server)
    assert calls(server) == made + 1, "nor by another connection of this token"


def test_whoever_does_not_know_when_the_day_ends_tries_again_after_an_hour(stage: Stage) -> None:
    server = stage.play(daily=0)
    with pytest.raises(BudgetSpent) as caught:
        look_up(server)
    assert caught.value.retry_after == timedelta(hours=1)


@pytest.mark.parametrize(
    ("date", "wait"),
    [
        ("Sun, 01 Mar 2026 22:00:00 GMT", timedelta(hours=1)),
        ("Sun, 01 Mar 2026 12:00:00 GMT", timedelta(hours=11)),
        ("Sat, 28 Mar 2026 23:30:00 GMT", timedelta(hours=22, minutes=30)),  # a day of 23 hours
        ("Sun, 01 Mar 2026 23:00:01 GMT", timedelta(minutes=14, seconds=59)),  # it may be the day before that is over
    ],
)
def test_trap_the_day_ends_at_midnight_in_the_zone_of_the_account(date: str, wait: timedelta) -> None:
    body = {"policyName": "DAILY"}
    zone = ZoneInfo("Europe/Berlin")
    error = family("ask", 429, {"Date": date}, body, connection="hubspot", burst=timedelta(seconds=10), zone=zone)
    assert isinstance(error, BudgetSpent)
    assert error.retry_after == wait


def test_trap_a_search_refused_for_a_second_waits_a_second() -> None:
    body = {"policyName": "SECONDLY"}
    error = family("ask", 429, {}, body, connection="hubspot", burst=timedelta(seconds=10), zone=UTC)
    assert isinstance(error, TryLater)
    assert error.retry_after == timedelta(seconds=1)


def test_trap_a_post_that_creates_is_not_repeated(server: Stage, hubspot: HubSpotSandbox) -> None:
    hubspot.weather.add(kind="fail", status=503, path=server.path(Call.CREATE_LIST), after=1, times=-1)
    with pytest.raises(TryLater):
        connect(server, folder="").prepare(AUDIENCE)
    assert calls(server, method="POST") == 1


def test_the_burst_limit_that_headers_tell_is_kept_below(stage: Stage) -> None:
    server = stage.play(burst=5, interval=0.2)
    for number in range(200):
        server.sandbox.add_contact(f"{number}@example.com")
    destination, people = connect(server), [person(n, f"{n}@example.com") for n in range(200)]
    began = time.monotonic()
    for _ in range(8):
        destination.address(AUDIENCE, people)
    assert {each.status for each in server.sandbox.weather.log} == {200}
    assert calls(server) == 16
    assert time.monotonic() - began >= 0.6, "16 calls at 5 per 0.2 s"


def test_the_burst_limit_is_kept_by_several_threads_together(stage: Stage) -> None:
    server = stage.play(burst=5, interval=0.2)
    destination = connect(server)
    destination.address(AUDIENCE, [person(0, EMAIL)])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: destination.address(AUDIENCE, [person(n, EMAIL)]), range(15)))
    assert [each.status for each in server.sandbox.weather.log] == [207] * 16


def test_calls_of_other_processes_leave_less_room(stage: Stage) -> None:
    server = stage.play(burst=6, interval=0.3)
    ours = connect(server)
    ours.address(AUDIENCE, [person(1, EMAIL)])
    for _ in range(4):
        request = urllib.request.Request(f"{server.url}/account-info/v3/details")
        request.add_header("Authorization", f"Bearer {TOKEN}")
        urllib.request.urlopen(request).close()
    for _ in range(4):
        ours.address(AUDIENCE, [person(1, EMAIL)])
    assert {each.status for each in server.sandbox.weather.log} == {200, 207}


# ---------------------------------------------------------------- secrets

SECRETS = (TOKEN, EMAIL, "lovelace")
WEATHERS = [
    {"kind": "fail", "status": 400},
    {"kind": "fail", "status": 403},
    {"kind": "fail", "status": 404},
    {"kind": "fail", "status": 409, "code": f"Contact {EMAIL} exists"},
    {"kind": "fail", "status": 502},
    {"kind": "rate_limit"},
    {"kind": "expire_token"},
    {"kind": "lose_answer"},
]


@pytest.mark.parametrize("weather", WEATHERS, ids=str)
def test_no_error_and_no_log_tells_an_address_or_the_token(
    server: Server, hubspot: HubSpotSandbox, weather: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    destination = connect(server)
    ada = hubspot.add_contact(EMAIL)
    remote = destination.prepare(SCORE)
    told, causes = [repr(destination)], []
    for path in (READ, "/batch/update"):
        hubspot.weather.clear()
        hubspot.weather.add(**weather, path=path, times=-1)
        try:
            if path == READ:
                told.append(repr(destination.address(AUDIENCE, [person(1, EMAIL)])))
            else:
                told.append(repr(destination.deliver(remote, [upsert(1, ada, leadup_score=EMAIL)])))
        except LeadupError as error:
            told += traceback.format_exception(error)
            causes.append(error.__context__)
    assert all(cause is None or isinstance(cause, LeadupError) for cause in causes), "the library's error tells all"
    for secret in SECRETS:
        assert secret not in "\n".join(told)
        assert secret not in caplog.text


def test_a_repeated_call_is_logged(server: Server, hubspot: HubSpotSandbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    hubspot.weather.add(kind="fail", status=503, path=CHANGE)
    ada, destination = hubspot.add_contact(EMAIL), connect(server)
    destination.deliver(destination.prepare(AUDIENCE), [join(1, ada)])
    assert "HubSpot answered 503 (INTERNAL_ERROR) when asked to change who is in a list" in caplog.text
