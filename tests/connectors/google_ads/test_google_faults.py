"""What goes wrong at Google ends in the right family of error, says what to do, tells nothing of people."""

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from google_scenes import (
    ACTION,
    AUDIENCE,
    CONVERSION,
    Emulators,
    connect,
    convert,
    hashes,
    join,
    leave,
    paths,
    person,
    restate,
    sandbox,
)
from starlette.routing import BaseRoute

from leadup.errors import LeadupError, NeedsHuman, TryLater
from leadup.outgoing import Change, Outcome, RemoteTarget
from leadup.sandbox import Sandbox, Server
from leadup.types import Money
from leadup_connectors.google_ads.destination import GoogleAdsDestination
from leadup_connectors.google_ads.errors import WHAT_TO_DO


def fail(server: Server, status: int, code: str = "", **fault: Any) -> None:
    server.sandbox.weather.add(**{"kind": "fail", "path": ":", "status": status, "code": code, "times": -1, **fault})


def refusal(error: type[LeadupError], destination: GoogleAdsDestination) -> Any:
    with pytest.raises(error) as raised:
        destination.deliver(RemoteTarget(id=ACTION, name="demo"), [convert(1), convert(2)])
    return raised.value


@pytest.mark.parametrize("reason", sorted(WHAT_TO_DO))
def test_what_only_a_person_can_mend_says_how(server: Server, destination: GoogleAdsDestination, reason: str) -> None:
    fail(server, 400, reason)
    error = refusal(NeedsHuman, destination)
    assert reason in str(error)
    assert WHAT_TO_DO[reason] in str(error)
    assert len(server.sandbox.weather.log) == 1


@pytest.mark.parametrize(
    ("status", "reason", "todo"),
    [
        (401, "ACCESS_TOKEN_EXPIRED", "credentials_file"),
        (403, "PERMISSION_DENIED", "login_account"),
        (403, "SERVICE_DISABLED", "enable the Data Manager API"),
        (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "auth/datamanager"),
    ],
)
def test_missing_rights_need_a_human(
    server: Server, destination: GoogleAdsDestination, status: int, reason: str, todo: str
) -> None:
    fail(server, status, reason, path="/v1/")
    assert todo in refusal(NeedsHuman, destination).todo
    for door in (destination.check, lambda: destination.prepare(AUDIENCE), lambda: destination.poll(["request-1"])):
        with pytest.raises(NeedsHuman):
            door()


@pytest.mark.parametrize(
    ("reason", "wait"), [("CONVERSION_ACTION_TOO_RECENTLY_CREATED", timedelta(hours=6)), ("INTERNAL_ERROR", None)]
)
def test_what_passes_by_itself_is_for_later(
    server: Server, destination: GoogleAdsDestination, reason: str, wait: timedelta | None
) -> None:
    fail(server, 400, reason)
    assert refusal(TryLater, destination).retry_after == wait


def test_a_refusal_of_the_whole_request_ends_no_row(server: Server, destination: GoogleAdsDestination) -> None:
    with pytest.raises(NeedsHuman, match="TOO_MANY_EVENTS") as raised:
        destination.deliver(destination.prepare(CONVERSION), [convert(n) for n in range(2_001)])
    assert "settings of connection 'google_ads'" in raised.value.todo
    assert len(server.sandbox.weather.log) == 1


class Elsewhere(Sandbox):
    """A server that is not the Data Manager API."""

    name = "elsewhere"

    def routes(self) -> Sequence[BaseRoute]:
        return []


def test_something_else_at_the_address_needs_a_human() -> None:
    """A wrong proxy must not close rows for good."""
    with Server(Elsewhere()) as elsewhere, pytest.raises(NeedsHuman, match="404") as raised:
        connect(elsewhere).deliver(RemoteTarget(id=ACTION, name="demo"), [convert(1)])
    assert "base_url" in raised.value.todo


def test_a_list_that_is_gone_needs_a_human(server: Server, destination: GoogleAdsDestination) -> None:
    remote = destination.prepare(AUDIENCE)
    sandbox(server).account.lists.clear()
    for change in (join(1), leave(1)):
        with pytest.raises(NeedsHuman, match="INVALID_USER_LIST_ID"):
            destination.deliver(remote, [change])


@pytest.mark.parametrize(
    ("actions", "reason"),
    [({}, "INVALID_CONVERSION_ACTION_ID"), ({ACTION: "WEBPAGE"}, "INVALID_CONVERSION_ACTION_TYPE")],
)
def test_a_wrong_action_needs_a_human(
    server: Server, destination: GoogleAdsDestination, actions: dict[str, str], reason: str
) -> None:
    sandbox(server).seed({"actions": actions})
    with pytest.raises(NeedsHuman, match=reason):
        destination.deliver(destination.prepare(CONVERSION), [convert(1)])


# ---------------------------------------------------------------- quota and repetition


def test_the_quota_tells_its_name_and_comes_back(emulators: Emulators) -> None:
    server = emulators.fresh()
    destination = connect(server)
    sandbox(server).per_minute = 2
    remote = destination.prepare(CONVERSION)
    for number in (1, 2):
        destination.deliver(remote, [convert(number)])
    with pytest.raises(TryLater, match="IngestionMutateRequestsPerMinutePerProject"):
        destination.deliver(remote, [convert(3)])
    with pytest.raises(TryLater, match="429 RATE_LIMIT_EXCEEDED"):
        destination.deliver(remote, [convert(3)])
    sandbox(server).per_minute = 3
    destination.deliver(remote, [convert(3)])
    sandbox(server).settle()
    assert set(sandbox(server).conversions(ACTION)) == {"t1", "t2", "t3"}


def test_google_s_wait_is_kept(server: Server, destination: GoogleAdsDestination) -> None:
    server.sandbox.weather.add(kind="rate_limit", retry_after=90)
    assert refusal(TryLater, destination).retry_after == timedelta(seconds=90)


def test_reads_are_repeated_three_times(server: Server, destination: GoogleAdsDestination) -> None:
    fail(server, 503, path="userLists", times=2)
    destination.check()
    assert len(server.sandbox.weather.log) == 3
    fail(server, 503, path="userLists", times=3)
    with pytest.raises(TryLater):
        destination.check()
    assert len(server.sandbox.weather.log) == 6


def test_a_read_does_not_wait_where_google_asked_for_patience(
    server: Server, destination: GoogleAdsDestination
) -> None:
    server.sandbox.weather.add(kind="rate_limit", retry_after=1)
    with pytest.raises(TryLater):
        destination.check()
    assert len(server.sandbox.weather.log) == 1


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_writes_are_not_repeated(server: Server, destination: GoogleAdsDestination, status: int) -> None:
    fail(server, status)
    refusal(TryLater, destination)
    assert len(server.sandbox.weather.log) == 1


# ---------------------------------------------------------------- lost answers


LOST: list[tuple[str, Callable[[int], Change]]] = [("join", join), ("convert", convert)]


@pytest.mark.parametrize(("verb", "change"), LOST, ids=[verb for verb, _ in LOST])
def test_a_lost_answer_doubles_nothing(
    server: Server, destination: GoogleAdsDestination, verb: str, change: Callable[[int], Change]
) -> None:
    remote = destination.prepare(AUDIENCE if verb == "join" else CONVERSION)
    rows = [change(1), change(2)]
    server.sandbox.weather.add(kind="lose_answer", path=":ingest")
    with pytest.raises(TryLater):
        destination.deliver(remote, rows)
    destination.deliver(remote, rows)
    sandbox(server).settle()
    assert sandbox(server).redundant == {verb: 2}
    if verb == "join":
        assert sandbox(server).members(AUDIENCE.remote_name) == hashes(1, 2)
    else:
        assert [c["count"] for c in sandbox(server).conversions(ACTION).values()] == [1, 1]


def test_a_lost_answer_in_the_middle_of_a_search_leaves_all_of_it_unknown(
    server: Server, destination: GoogleAdsDestination
) -> None:
    """The half whose answer was lost may have been taken: "later" would say that it was not."""
    sandbox(server).most_named = 0
    rows = [convert(n, value=Money(1, "XTS" if n == 1 else "EUR")) for n in range(8)]
    remote = destination.prepare(CONVERSION)
    server.sandbox.weather.add(kind="lose_answer", path=":ingest", after=5)
    with pytest.raises(TryLater):
        destination.deliver(remote, rows)
    receipts = destination.deliver(remote, rows)
    assert [n for n, r in enumerate(receipts) if r.outcome is Outcome.REJECTED] == [1]
    sandbox(server).settle()
    assert {c["count"] for c in sandbox(server).conversions(ACTION).values()} == {1}
    assert len(sandbox(server).conversions(ACTION)) == 7


def test_a_person_s_matter_in_the_middle_leaves_the_rest_for_later(
    server: Server, destination: GoogleAdsDestination
) -> None:
    sandbox(server).most_named = 0
    rows = [convert(n, value=Money(1, "XTS" if n == 7 else "EUR")) for n in range(8)]
    fail(server, 403, after=2)
    receipts = destination.deliver(destination.prepare(CONVERSION), rows)
    assert paths(server) == ["events:ingest"] * 3
    assert [r.outcome for r in receipts] == [Outcome.ACCEPTED] * 4 + [Outcome.LATER] * 4
    with pytest.raises(NeedsHuman):
        destination.deliver(RemoteTarget(id=ACTION, name="demo"), rows[4:])


# ---------------------------------------------------------------- nothing of people in texts


class Everything(logging.Handler):
    """Keeps each record with all its extras, as a structured log would write them."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.getMessage()} {record.__dict__}")


@pytest.fixture
def logged() -> Iterator[Sequence[str]]:
    """All that the process logs at DEBUG, Google's loggers included."""
    handler = Everything()
    loggers = [logging.getLogger(name) for name in ("", "google", "urllib3")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield handler.texts
    for logger, level in zip(loggers, before, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


def test_no_text_tells_of_people(server: Server, destination: GoogleAdsDestination, logged: Sequence[str]) -> None:
    texts: list[str] = []
    faults: list[dict[str, Any]] = [
        {"kind": "fail", "status": 400, "code": "NOT_ALLOWLISTED"},
        {"kind": "fail", "status": 400},
        {"kind": "fail", "status": 403},
        {"kind": "fail", "status": 500},
        {"kind": "expire_token"},
        {"kind": "lose_answer"},
        {"kind": "reject", "code": "INVALID_SHA256_FORMAT"},
    ]
    people = [person(1)]
    remote = destination.prepare(AUDIENCE)
    (address,) = destination.address(AUDIENCE, people)
    changes: list[tuple[RemoteTarget, Change]] = [
        (remote, join(1, address)),  # type: ignore[arg-type]
        (RemoteTarget(id=ACTION, name="demo"), restate(1, to=address)),
    ]
    for fault in faults:
        for to, change in changes:
            server.sandbox.weather.add(path=":ingest", **fault)
            try:
                texts += [str(receipt) for receipt in destination.deliver(to, [change])]
            except LeadupError as error:
                texts += traceback.format_exception(error)
    texts += logged
    assert any("POST /v1/audienceMembers:ingest" in text for text in texts), "the log was looked at"
    secrets = ["person1@example.com", "person1", "emulator"]
    secrets += [identifier.value for identifier in people[0].identifiers[1:]]
    assert [(secret, text) for secret in secrets for text in texts if secret in text] == []
