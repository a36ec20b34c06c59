"""The Google Ads destination against its emulator, over a socket."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from google_scenes import (
    ACTION,
    AT,
    AUDIENCE,
    CONVERSION,
    connect,
    convert,
    email,
    hashes,
    join,
    leave,
    paths,
    person,
    restate,
    sandbox,
    sha256,
    user,
)

from leadup.errors import NeedsHuman, Refused
from leadup.kit import Pollable
from leadup.outgoing import Address, Contact, Outcome, Progress, RemoteId, RemoteTarget, Unreachable, Upsert, Use
from leadup.sandbox import Server
from leadup.types import Kind, Money, Purpose
from leadup_connectors.google_ads.destination import GoogleAdsDestination
from leadup_connectors.google_ads.sending import MOST_REQUESTS

# ---------------------------------------------------------------- capabilities


def test_what_it_can_do(server: Server, destination: GoogleAdsDestination) -> None:
    can = destination.can
    assert isinstance(destination, Pollable)
    assert can.uses == {Use.AUDIENCE, Use.CONVERSION}
    assert can.batch == {"join": 10_000, "leave": 10_000, "convert": 2_000, "restate": 2_000}
    assert can.needs == {Use.AUDIENCE: {Kind.EMAIL, Kind.PHONE}, Use.CONVERSION: {Kind.EMAIL, Kind.PHONE}}
    assert can.click_ids == {"gclid", "gbraid", "wbraid"}
    assert can.purposes == {
        Use.AUDIENCE: {Purpose.AD_USER_DATA, Purpose.AD_PERSONALIZATION},
        Use.CONVERSION: {Purpose.AD_USER_DATA},
    }
    narrow = connect(server, key="user_id", batch_members=7, batch_events=5, user_data_with_conversions=False).can
    assert narrow.batch == {"join": 7, "leave": 7, "convert": 5, "restate": 5}
    assert narrow.needs == {Use.AUDIENCE: {Kind.USER_ID}, Use.CONVERSION: frozenset()}


# ---------------------------------------------------------------- prepare


def test_a_list_is_made_once_and_then_found(server: Server, destination: GoogleAdsDestination) -> None:
    first, again = destination.prepare(AUDIENCE), destination.prepare(AUDIENCE)
    assert (first.created, again.created) == (True, False)
    assert first.id == again.id
    assert first.name == "leadup: warm"
    assert first.refresh_after == timedelta(days=486), "members are sent again before 540 days end"
    state: Any = sandbox(server).state()
    (held,) = state["user_lists"]
    assert held["key_types"] == ["CONTACT_ID"]
    assert held["membership_days"] == 540


def test_access_may_go_through_a_manager_account(server: Server, destination: GoogleAdsDestination) -> None:
    sandbox(server).manager = "9998887777"
    through = connect(server, login_account="999-888-7777")
    through.check()
    remote = through.prepare(AUDIENCE)
    action = through.prepare(CONVERSION)
    for to, change in ((remote, join(1)), (remote, leave(1)), (action, convert(1))):
        (receipt,) = through.deliver(to, [change])
        assert receipt.outcome is Outcome.ACCEPTED
        with pytest.raises(NeedsHuman, match="403"):
            destination.deliver(to, [change])
    with pytest.raises(NeedsHuman, match="403") as raised:
        destination.prepare(AUDIENCE)
    assert "login_account" in raised.value.todo


def test_a_list_that_is_there_keeps_its_duration(server: Server) -> None:
    connect(server, membership_days=10).prepare(AUDIENCE)
    assert connect(server).prepare(AUDIENCE).refresh_after == timedelta(days=9)


@pytest.mark.parametrize("name", ['say "hi"', "back\\slash", 'both \\" of', "größer €"])
def test_names_are_quoted(destination: GoogleAdsDestination, name: str) -> None:
    target = replace(AUDIENCE, remote_name=name)
    created = destination.prepare(target)
    assert created.created
    assert destination.prepare(target) == replace(created, created=False)


def test_lists_of_other_names_are_not_taken(destination: GoogleAdsDestination) -> None:
    ids = {destination.prepare(replace(AUDIENCE, remote_name=f"list {n}")).id for n in range(5)}
    assert len(ids) == 5


def test_a_list_with_another_key_needs_a_human(server: Server, destination: GoogleAdsDestination) -> None:
    destination.prepare(AUDIENCE)
    with pytest.raises(NeedsHuman, match="keyed by CONTACT_ID, not by USER_ID") as raised:
        connect(server, key="user_id").prepare(AUDIENCE)
    assert "another name" in raised.value.todo


@pytest.mark.parametrize(("field", "value", "says"), [("membership_status", 2, "closed"), ("read_only", True, "read")])
def test_a_list_that_takes_nobody_needs_a_human(
    server: Server, destination: GoogleAdsDestination, field: str, value: Any, says: str
) -> None:
    remote = destination.prepare(AUDIENCE)
    setattr(sandbox(server).account.lists[remote.id].message, field, value)
    with pytest.raises(NeedsHuman, match=says):
        destination.prepare(AUDIENCE)


def test_a_list_made_with_the_answer_lost_is_found(server: Server, destination: GoogleAdsDestination) -> None:
    other = connect(server)
    weather = server.sandbox.weather
    weather.add(kind="lose_answer", path="/userLists", after=1)
    with pytest.raises(Exception, match="create a user list"):
        destination.prepare(AUDIENCE)
    assert not other.prepare(AUDIENCE).created
    assert len(sandbox(server).account.lists) == 1


def test_terms_are_accepted_by_a_human_or_not_at_all(server: Server) -> None:
    destination = connect(server, terms_accepted=False)
    with pytest.raises(NeedsHuman, match="Customer Match terms") as raised:
        destination.prepare(AUDIENCE)
    assert "terms_accepted = true" in raised.value.todo
    with pytest.raises(NeedsHuman):
        destination.deliver(RemoteTarget(id="1", name="known before"), [join(1)])
    assert server.sandbox.weather.log == []


def test_user_ids_need_no_terms(server: Server) -> None:
    destination = connect(server, key="user_id", terms_accepted=False)
    remote = destination.prepare(AUDIENCE)
    (receipt,) = destination.deliver(remote, [join(1, user(1))])
    assert receipt.outcome is Outcome.ACCEPTED


def test_an_action_comes_from_the_settings(server: Server, destination: GoogleAdsDestination) -> None:
    assert destination.prepare(CONVERSION) == RemoteTarget(id=ACTION, name="leadup: demo")
    with pytest.raises(NeedsHuman, match="'interest'") as raised:
        destination.prepare(replace(CONVERSION, name="interest"))
    assert "[connections.google_ads.conversion_actions]" in raised.value.todo
    assert server.sandbox.weather.log == []


def test_properties_are_refused(destination: GoogleAdsDestination) -> None:
    with pytest.raises(Refused):
        destination.prepare(replace(AUDIENCE, use=Use.PROPERTY))
    with pytest.raises(Refused):
        destination.deliver(
            RemoteTarget(id="1", name="x"), [Upsert(key="u", person=1, to=email(1), properties={"score": 1})]
        )


# ---------------------------------------------------------------- address


def test_people_are_found_by_what_the_list_is_keyed_by(server: Server, destination: GoogleAdsDestination) -> None:
    nobody = Contact(person=9)
    found = destination.address(AUDIENCE, [person(1), nobody])
    assert found[0] == Address(
        (
            RemoteId("email_sha256", sha256("person1@example.com")),
            RemoteId("phone_sha256", sha256("+4915100000001")),
        )
    )
    assert isinstance(found[1], Unreachable)
    assert found[1].code == "no_identifier"
    assert connect(server, key="user_id").address(AUDIENCE, [person(1)]) == [user(1)]


def test_a_conversion_needs_no_identifier_as_it_may_have_a_click_id(
    server: Server, destination: GoogleAdsDestination
) -> None:
    nobody = Contact(person=9)
    assert destination.address(CONVERSION, [nobody]) == [Address(())]
    assert destination.address(CONVERSION, [person(1)]) == destination.address(AUDIENCE, [person(1)])
    assert connect(server, user_data_with_conversions=False).address(CONVERSION, [person(1)]) == [Address(())]


# ---------------------------------------------------------------- audiences


def test_members_join_and_leave(server: Server, destination: GoogleAdsDestination) -> None:
    remote = destination.prepare(AUDIENCE)
    receipts = destination.deliver(remote, [join(1), join(2), join(3)])
    assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
    assert len({receipt.handle for receipt in receipts}) == 1
    destination.deliver(remote, [leave(2)])
    assert sandbox(server).members("leadup: warm") == set(), "what is accepted is not done yet"
    sandbox(server).settle()
    assert sandbox(server).members("leadup: warm") == hashes(1, 3)


def test_user_ids_join_and_leave(server: Server) -> None:
    destination = connect(server, key="user_id")
    remote = destination.prepare(AUDIENCE)
    destination.deliver(remote, [join(1, user(1)), join(2, user(2))])
    destination.deliver(remote, [leave(1, user(1))])
    sandbox(server).settle()
    assert sandbox(server).members("leadup: warm") == {"u2"}


def test_google_leaves_out_who_did_not_consent(server: Server, destination: GoogleAdsDestination) -> None:
    remote = destination.prepare(AUDIENCE)
    denied = {Purpose.AD_USER_DATA: True, Purpose.AD_PERSONALIZATION: False}
    unasked = {Purpose.AD_USER_DATA: True}
    receipts = destination.deliver(remote, [join(1), join(2, consent=denied), join(3, consent=unasked)])
    sandbox(server).settle()
    (status,) = destination.poll([receipts[0].handle])
    assert status.progress is Progress.PARTIAL
    assert status.counts == {"DENIED_CONSENT": 1, "UNKNOWN_CONSENT": 1}
    assert not status.retryable
    assert sandbox(server).members("leadup: warm") == hashes(1)


@pytest.mark.parametrize(
    ("to", "code"),
    [
        (Address(()), "no_identifier"),
        (Address((RemoteId("email_sha256", "ann@example.com"),)), "bad_identifier"),
        (Address((RemoteId("email_sha256", sha256("x").upper()),)), "bad_identifier"),
        (Address((RemoteId("phone_sha256", ""),)), "bad_identifier"),
        (Address(tuple(RemoteId("email_sha256", sha256(str(n))) for n in range(11))), "too_many_identifiers"),
        (user(1), "wrong_identifier"),
    ],
)
def test_what_google_would_never_take_does_not_leave_the_house(
    server: Server, destination: GoogleAdsDestination, to: Address, code: str
) -> None:
    remote = destination.prepare(AUDIENCE)
    for change in (join, leave):
        receipts = destination.deliver(remote, [change(1), change(2, to), change(3)])
        assert [r.outcome for r in receipts] == [Outcome.ACCEPTED, Outcome.REJECTED, Outcome.ACCEPTED]
        assert receipts[1].code == code
        assert "ann@example.com" not in receipts[1].detail
    alone = len(server.sandbox.weather.log)
    destination.deliver(remote, [join(2, to)])
    assert len(server.sandbox.weather.log) == alone, "nothing was left to send"


@pytest.mark.parametrize(
    ("to", "code"),
    [
        (Address((RemoteId("user_id", "a"), RemoteId("user_id", "b"))), "too_many_identifiers"),
        (Address((RemoteId("user_id", ""),)), "bad_identifier"),
        (email(1), "wrong_identifier"),
    ],
)
def test_a_member_of_a_user_id_list_has_one_user_id(server: Server, to: Address, code: str) -> None:
    destination = connect(server, key="user_id")
    (receipt,) = destination.deliver(destination.prepare(AUDIENCE), [join(1, to)])
    assert (receipt.outcome, receipt.code) == (Outcome.REJECTED, code)


# ---------------------------------------------------------------- conversions


def test_a_conversion_is_reported_and_restated(server: Server, destination: GoogleAdsDestination) -> None:
    remote = destination.prepare(CONVERSION)
    destination.deliver(remote, [convert(1), convert(2, to=Address(()), click_ids={"wbraid": "w"})])
    destination.deliver(remote, [restate(1, value=Money(0, "EUR"))])
    sandbox(server).settle()
    held = sandbox(server).conversions(ACTION)
    assert held["t1"] == {
        "value": 0.0,
        "currency": "EUR",
        "count": 1,
        "at": "2026-03-01T12:30:00Z",
        "click_id": "click-1",
        "identifiers": sorted(hashes(1)),
        "ad_user_data": True,
        "named": True,
        "history": [{"value": 10.5, "currency": "EUR"}, {"value": 0.0, "currency": "EUR"}],
    }
    assert held["t2"]["click_id"] == "w"
    assert held["t2"]["identifiers"] == []


@pytest.mark.parametrize(
    ("clicks", "sent"),
    [
        ({"gclid": "g", "gbraid": "b", "wbraid": "w"}, "g"),
        ({"wbraid": "w", "gbraid": "b"}, "b"),
        ({"fbclid": "f", "wbraid": "w"}, "w"),
        ({"gclid": "", "gbraid": "b"}, "b"),
        ({"fbclid": "f"}, ""),
    ],
)
def test_one_click_id_goes(
    server: Server, destination: GoogleAdsDestination, clicks: dict[str, str], sent: str
) -> None:
    destination.deliver(destination.prepare(CONVERSION), [convert(1, click_ids=clicks)])
    sandbox(server).settle()
    assert sandbox(server).conversions(ACTION)["t1"]["click_id"] == sent


@pytest.mark.parametrize(
    ("value", "major"),
    [(Money(1240000, "EUR"), 12400.0), (Money(1, "USD"), 0.01), (Money(500, "JPY"), 500.0), (Money(1, "KWD"), 0.001)],
)
def test_amounts_go_in_major_units(
    server: Server, destination: GoogleAdsDestination, value: Money, major: float
) -> None:
    destination.deliver(destination.prepare(CONVERSION), [convert(1, value=value)])
    sandbox(server).settle()
    held = sandbox(server).conversions(ACTION)["t1"]
    assert (held["value"], held["currency"]) == (major, value.currency)


def test_a_conversion_may_have_no_value(server: Server, destination: GoogleAdsDestination) -> None:
    destination.deliver(destination.prepare(CONVERSION), [convert(1, value=None)])
    sandbox(server).settle()
    assert sandbox(server).conversions(ACTION)["t1"]["value"] is None, "not zero: Google takes the action's own value"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"to": Address(()), "click_ids": {"fbclid": "f"}}, "no_click_id_or_user_data"),
        ({"to": Address((RemoteId("email_sha256", "ann@example.com"),))}, "bad_identifier"),
        ({"to": user(1)}, "wrong_identifier"),
        ({"transaction_id": ""}, "no_transaction_id"),
        ({"at": datetime(2026, 3, 1)}, "bad_timestamp"),  # noqa: DTZ001 - that is the mistake
        ({"value": Money(1, "euro")}, "bad_currency"),
        ({"value": Money(1, "USD")}, "other_currency"),
    ],
)
def test_a_bad_conversion_does_not_leave_the_house(server: Server, values: dict[str, Any], code: str) -> None:
    destination = connect(server, conversion_actions={"demo": {"id": ACTION, "currency": "EUR"}})
    remote = destination.prepare(CONVERSION)
    receipts = destination.deliver(remote, [convert(1), convert(2, **values)])
    assert [r.outcome for r in receipts] == [Outcome.ACCEPTED, Outcome.REJECTED]
    assert receipts[1].code == code
    sandbox(server).settle()
    assert set(sandbox(server).conversions(ACTION)) == {"t1"}


def test_two_values_of_one_conversion_do_not_go_together(server: Server, destination: GoogleAdsDestination) -> None:
    remote = destination.prepare(CONVERSION)
    first, second = restate(1), restate(1, value=Money(2000, "EUR"))
    receipts = destination.deliver(remote, [first, restate(2), second])
    assert [r.outcome for r in receipts] == [Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.LATER]
    assert receipts[2].retry_after
    destination.deliver(remote, [second])
    sandbox(server).settle()
    held = sandbox(server).conversions(ACTION)["t1"]
    assert (held["value"], held["count"]) == (20.0, 1)


# ---------------------------------------------------------------- rows that only Google refuses


def unsupported(number: int) -> Any:
    """A conversion in a currency that is well formed, yet none."""
    return convert(number, value=Money(1, "XTS"))


def batch(size: int, *bad: int) -> list[Any]:
    return [unsupported(number) if number in bad else convert(number) for number in range(size)]


def outcomes(receipts: Any) -> tuple[set[int], set[int], set[int]]:
    """Numbers of the rows that were accepted, rejected, left for later."""
    by = {o: {n for n, r in enumerate(receipts) if r.outcome is o} for o in Outcome}
    return by[Outcome.ACCEPTED], by[Outcome.REJECTED], by[Outcome.LATER]


def test_a_row_that_google_names_is_rejected_and_the_others_arrive(
    server: Server, destination: GoogleAdsDestination
) -> None:
    receipts = destination.deliver(destination.prepare(CONVERSION), batch(6, 1, 4))
    assert outcomes(receipts) == ({0, 2, 3, 5}, {1, 4}, set())
    assert receipts[1].code == "INVALID_CURRENCY_CODE"
    assert receipts[1].detail == "Google refused currency"
    assert len(server.sandbox.weather.log) == 2
    sandbox(server).settle()
    assert set(sandbox(server).conversions(ACTION)) == {"t0", "t2", "t3", "t5"}


def test_members_too(server: Server, destination: GoogleAdsDestination) -> None:
    remote = destination.prepare(AUDIENCE)
    server.sandbox.weather.add(kind="reject", path="ingest", every=3, code="INVALID_SHA256_FORMAT")
    receipts = destination.deliver(remote, [join(n) for n in range(7)])
    assert outcomes(receipts) == ({0, 1, 3, 4, 6}, {2, 5}, set())
    sandbox(server).settle()
    assert sandbox(server).members("leadup: warm") == hashes(0, 1, 3, 4, 6)


@pytest.mark.parametrize("named", [1, 2, 0])
def test_rows_are_found_however_few_google_names(server: Server, destination: GoogleAdsDestination, named: int) -> None:
    sandbox(server).most_named = named
    bad = {3, 7, 8, 20, 21, 39}
    receipts = destination.deliver(destination.prepare(CONVERSION), batch(40, *bad))
    assert outcomes(receipts) == (set(range(40)) - bad, bad, set())
    assert {receipts[n].code for n in bad} == {"INVALID_CURRENCY_CODE" if named else "INVALID_ARGUMENT"}
    assert len(server.sandbox.weather.log) <= MOST_REQUESTS
    sandbox(server).settle()
    assert len(sandbox(server).conversions(ACTION)) == 34


def test_the_search_for_bad_rows_has_an_end(server: Server, destination: GoogleAdsDestination) -> None:
    sandbox(server).most_named = 0
    receipts = destination.deliver(destination.prepare(CONVERSION), batch(100, *range(100)))
    assert outcomes(receipts) == (set(), set(), set(range(100))), "the call may be at fault"
    assert {receipt.code for receipt in receipts} == {"INVALID_ARGUMENT", "not_sent"}
    assert len(server.sandbox.weather.log) == MOST_REQUESTS


def test_a_batch_of_bad_rows_only(server: Server, destination: GoogleAdsDestination) -> None:
    receipts = destination.deliver(destination.prepare(CONVERSION), batch(3, 0, 1, 2))
    assert outcomes(receipts) == (set(), {0, 1, 2}, set())
    assert len(server.sandbox.weather.log) == 1


# ---------------------------------------------------------------- status


def test_status_comes_after_some_polls(server: Server, destination: GoogleAdsDestination) -> None:
    server.sandbox.weather.add(kind="late", path="ingest", polls=2)
    (receipt,) = destination.deliver(destination.prepare(AUDIENCE), [join(1)])
    progress = [destination.poll([receipt.handle])[0].progress for _ in range(4)]
    assert progress == [Progress.PROCESSING] * 3 + [Progress.PROCESSED]
    assert sandbox(server).members("leadup: warm") == hashes(1)


@pytest.mark.parametrize(
    ("code", "retryable"), [("TOO_RECENT_CLICK", True), ("INTERNAL_ERROR", True), ("INVALID_GCLID", False)]
)
@pytest.mark.parametrize(("every", "progress", "count"), [(2, Progress.PARTIAL, 2), (1, Progress.FAILED, 5)])
def test_failed_rows_are_counted_by_reason(
    server: Server,
    destination: GoogleAdsDestination,
    code: str,
    *,
    retryable: bool,
    every: int,
    progress: Progress,
    count: int,
) -> None:
    server.sandbox.weather.add(kind="reject", path="events", every=every, code=code)
    remote = destination.prepare(CONVERSION)
    receipts = destination.deliver(remote, batch(5))
    assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
    sandbox(server).settle()
    (status,) = destination.poll([receipts[0].handle])
    assert (status.progress, status.counts, status.retryable) == (progress, {code: count}, retryable)
    assert len(sandbox(server).conversions(ACTION)) == 5 - count


def test_statuses_come_in_the_order_asked(server: Server, destination: GoogleAdsDestination) -> None:
    remote = destination.prepare(AUDIENCE)
    handles = [destination.deliver(remote, [join(n)])[0].handle for n in range(3)]
    sandbox(server).settle()
    asked = [handles[2], handles[0], handles[1]]
    assert [status.handle for status in destination.poll(asked)] == asked
    assert destination.poll([]) == []


def test_a_request_google_knows_nothing_of_is_worth_another_try(destination: GoogleAdsDestination) -> None:
    (status,) = destination.poll(["request-of-another-life"])
    assert status.progress is Progress.FAILED
    assert status.retryable
    assert status.counts == {"INVALID_REQUEST_ID": 0}


def test_a_status_that_is_too_old_too(server: Server, destination: GoogleAdsDestination) -> None:
    server.sandbox.weather.add(kind="fail", path="requestStatus", status=400, code="REQUEST_TOO_OLD")
    (status,) = destination.poll(["request-1"])
    assert (status.progress, set(status.counts)) == (Progress.FAILED, {"REQUEST_TOO_OLD"})


def test_many_statuses_get_past_the_quota(server: Server, destination: GoogleAdsDestination) -> None:
    remote = destination.prepare(AUDIENCE)
    handles = [destination.deliver(remote, [join(n)])[0].handle for n in range(4)]
    sandbox(server).settle()
    server.sandbox.weather.add(kind="rate_limit", path="requestStatus", after=2, times=-1, retry_after=60)
    progress = [status.progress for status in destination.poll(handles)]
    assert progress == [Progress.PROCESSED] * 2 + [Progress.PROCESSING] * 2
    assert paths(server)[-3:] == ["requestStatus:retrieve"] * 3


def test_the_time_of_a_conversion_is_kept_to_the_microsecond(server: Server, destination: GoogleAdsDestination) -> None:
    at = AT.replace(microsecond=123456)
    destination.deliver(destination.prepare(CONVERSION), [convert(1, at=at)])
    sandbox(server).settle()
    assert sandbox(server).conversions(ACTION)["t1"]["at"] == "2026-03-01T12:30:00.123456Z"
