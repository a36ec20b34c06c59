"""Every reason for which Google fails rows in processing ends as its table says, in the emulator and in the ledger."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from google.ads import datamanager_v1 as v1
from google_scenes import ACTION, Emulators
from google_world import GoogleWorld

from leadup.insights.status import status
from leadup.state.tables import answers, outbox
from leadup.types import Json
from leadup_connectors.google_ads.errors import LATER, WHAT_TO_DO
from leadup_connectors.google_ads.reasons import TABLE, Answer


def reasons(answer: Answer) -> list[str]:
    return [reason for reason, one in TABLE.items() if one.answer is answer]


@pytest.fixture
def world(emulators: Emulators) -> Iterator[GoogleWorld]:
    one = GoogleWorld(emulators.fresh())
    yield one
    one.close()


def two_sales(world: GoogleWorld, reason: str, every: int) -> None:
    """One with a click id and one without, of which Google fails every n-th for this reason."""
    world.buys(1, gclid="Cj1")
    world.buys(2)
    world.server.sandbox.weather.add(kind="reject", path="events", every=every, code=reason)
    world.send()
    world.hear()


def states(world: GoogleWorld) -> list[tuple[str, str]]:
    """State and code of the conversions, of the one with a click id first."""
    [clicked] = world.rows(outbox, outbox.c.person == 1)
    [other] = world.rows(outbox, outbox.c.person == 2)
    return [(row["state"], row["code"]) for row in (clicked, other)]


def counts(world: GoogleWorld) -> Json:
    [one] = world.rows(answers)
    assert one["rows"] == 2
    return {**one["failed"], **one["unmatched"]}


def test_every_reason_that_google_lists_has_its_answer() -> None:
    listed = {
        name.removeprefix("PROCESSING_ERROR_").removeprefix("REASON_") for name in v1.ProcessingErrorReason.__members__
    }
    assert listed - {"UNSPECIFIED"} == set(TABLE)


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("reason", reasons(Answer.AGAIN))
def test_what_may_pass_is_sent_again(world: GoogleWorld, reason: str, every: int) -> None:
    two_sales(world, reason, every)
    assert states(world) == [("pending", reason)] * 2, "the whole batch: transaction ids keep it harmless"
    assert counts(world) == {reason: 2 // every}
    world.later(hours=5, minutes=59)
    world.send()
    assert {state for state, _ in states(world)} == {"pending"}
    world.later(minutes=1)
    world.send()
    world.hear()
    assert states(world) == [("processed", "")] * 2
    assert [one["count"] for one in world.google.conversions(ACTION).values()] == [1, 1]
    assert world.google.redundant["convert"] == 2 - 2 // every


def test_it_is_not_sent_again_for_ever(world: GoogleWorld) -> None:
    world.buys(1)
    world.server.sandbox.weather.add(kind="reject", path="events", code="TOO_RECENT_CLICK", times=-1)
    for _ in range(12):
        world.send()
        world.hear()
        world.later(hours=6)
    [row] = world.rows(outbox)
    assert (row["state"], row["code"], row["attempts"]) == ("failed", "TOO_RECENT_CLICK", 5)


@pytest.mark.parametrize("reason", reasons(Answer.DROPPED))
def test_what_never_passes_is_failed_where_all_failed_and_else_uncertain(world: GoogleWorld, reason: str) -> None:
    two_sales(world, reason, 1)
    assert states(world) == [("failed", reason)] * 2
    assert counts(world) == {reason: 2}
    world.buys(3)
    world.buys(4)
    world.server.sandbox.weather.add(kind="reject", path="events", every=2, code=reason)
    world.send()
    world.hear()
    partly = world.rows(outbox, outbox.c.person > 2)
    assert {(row["state"], row["code"]) for row in partly} == {("uncertain", reason)}
    assert {row["detail"] for row in partly} == {f"of the 2 rows of this batch 1 failed: 1 x {reason}"}
    assert len({row["handle"] for row in partly}) == 1, "the candidates are found by their batch"
    assert not world.target("conversion").error


@pytest.mark.parametrize("reason", reasons(Answer.USUAL))
def test_who_never_clicked_is_no_failure(world: GoogleWorld, reason: str) -> None:
    two_sales(world, reason, 1)
    assert states(world) == [("failed", reason), ("processed", reason)]
    assert counts(world) == {reason: 2}


@pytest.mark.parametrize("reason", reasons(Answer.USUAL))
def test_a_click_that_may_not_be_known_is_uncertain(world: GoogleWorld, reason: str) -> None:
    two_sales(world, reason, 2)
    assert states(world) == [("uncertain", reason), ("processed", reason)]


@pytest.mark.parametrize("reason", reasons(Answer.STOPPED))
def test_what_only_a_person_can_mend_stops_the_destination(world: GoogleWorld, reason: str) -> None:
    two_sales(world, reason, 2)
    assert states(world) == [("pending", reason)] * 2
    stopped = world.target("conversion")
    assert reason in stopped.error
    assert TABLE[reason].todo in stopped.error
    world.buys(3)
    world.later(hours=23)
    seen = len(world.server.sandbox.weather.log)
    world.send()
    assert len(world.server.sandbox.weather.log) == seen, "nothing goes there, new rows neither"
    world.later(hours=1)
    world.send()
    world.hear()
    assert len(world.google.conversions(ACTION)) == 3
    assert world.target("conversion").error is None


def test_once_it_is_mended_a_person_need_not_wait(world: GoogleWorld) -> None:
    two_sales(world, reasons(Answer.STOPPED)[0], 1)
    world.deliver(force=True)
    world.hear()
    assert states(world) == [("processed", "")] * 2
    assert world.target("conversion").error is None


# ---------------------------------------------------------------- what is refused at once


@pytest.mark.parametrize(
    "reason",
    [
        *("INVALID_HEX_ENCODING", "INVALID_BASE64_ENCODING", "INVALID_SHA256_FORMAT", "TOO_MANY_USER_IDENTIFIERS"),
        *("INVALID_CURRENCY_CODE", "NO_IDENTIFIERS_PROVIDED", "EVENT_TIME_INVALID"),
        *("INVALID_AD_IDENTIFIER_FOR_ACCOUNT", "REQUIRED_FIELD_MISSING", "FIELD_VALUE_TOO_LONG"),
    ],
)
def test_a_row_that_google_names_is_refused_alone_by_one_more_request(world: GoogleWorld, reason: str) -> None:
    for number in range(1, 6):
        world.buys(number)
    world.server.sandbox.weather.add(kind="reject", path="events", every=3, code=reason)
    world.send()
    world.hear()
    rows = world.rows(outbox)
    assert [(row["state"], row["code"]) for row in rows].count(("failed", reason)) == 1
    assert [(row["state"], row["code"]) for row in rows].count(("processed", "")) == 4
    assert sum("events:ingest" in one.path for one in world.server.sandbox.weather.log) == 2


@pytest.mark.parametrize("reason", sorted(LATER))
def test_what_passes_by_itself_waits(world: GoogleWorld, reason: str) -> None:
    world.buys(1)
    world.server.sandbox.weather.add(kind="fail", path="events", status=400, code=reason)
    world.send()
    assert world.states("convert") == ["pending"]
    world.later(hours=6, minutes=1)
    world.send()
    world.hear()
    assert world.states("convert") == ["processed"]


@pytest.mark.parametrize("reason", sorted(WHAT_TO_DO))
def test_what_stops_all_at_once_loses_nothing(world: GoogleWorld, reason: str) -> None:
    world.buys(1)
    world.server.sandbox.weather.add(kind="fail", path="events", status=400, code=reason)
    world.send()
    assert world.states("convert") == ["pending"]
    assert reason in world.target("conversion").error
    world.later(hours=1)
    world.send()
    world.hear()
    assert world.states("convert") == ["processed"]
    assert world.target("conversion").error is None


# ---------------------------------------------------------------- asking


def test_it_is_asked_ever_less_often_and_given_up_after_a_day(world: GoogleWorld) -> None:
    world.vendor.can = replace(world.vendor.can, poll_after=timedelta(minutes=30))
    world.server.sandbox.weather.add(kind="late", path="events", polls=10**6)
    world.buys(1)
    world.send()
    begin, asked = world.now, []
    while world.now < begin + timedelta(hours=30):
        before = len(world.server.sandbox.weather.log)
        world.courier.poll(world.now)
        if any("requestStatus" in one.path for one in world.server.sandbox.weather.log[before:]):
            asked.append((world.now - begin) // timedelta(minutes=1))
        world.later(minutes=10)
    gaps = [b - a for a, b in pairwise(asked[:-1])]
    assert gaps == sorted(gaps), asked
    assert (asked[0], asked[-1]) == (30, 24 * 60)
    assert len(asked) < 12
    late = world.rows(outbox)
    assert [(row["state"], row["code"]) for row in late] == [("uncertain", "no_answer")]
    [told] = world.rows(answers, answers.c.progress == "unanswered")
    assert told["rows"] == 1


# ---------------------------------------------------------------- warnings


def test_warnings_are_kept_and_shown(world: GoogleWorld) -> None:
    world.buys(1)
    world.buys(2)
    weather = world.server.sandbox.weather
    weather.add(kind="reject", path="events", every=2, code="WARNING_REASON_INVALID_CLIENT_ID")
    world.send()
    assert [row["code"] for row in world.rows(outbox)].count("INVALID_CLIENT_ID") == 1
    world.hear()
    world.later(minutes=1)
    world.buys(3)
    weather.add(kind="reject", path="events", code="PROCESSING_WARNING_REASON_INTERNAL_ERROR")
    world.send()
    world.hear()
    assert world.states("convert") == ["processed"] * 3, "a warning stops nothing"
    with world.store.read() as connection:
        [sale] = status(connection)["conversions"]
    assert [one["warned"] for one in sale["batches"]] == [{"INTERNAL_ERROR": 1}, {"INVALID_CLIENT_ID": 1}]
    assert {one["progress"] for one in sale["batches"]} == {"processed"}
