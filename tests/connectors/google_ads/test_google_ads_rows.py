"""Conversions and adjustments by the Google Ads API: every error of a row ends as the policy tables say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from google_ads_scenes import INTEREST, ads_destination
from google_scenes import AT, convert, email, restate

from leadup.errors import NeedsHuman
from leadup.outgoing import Address, Outcome, RemoteId, RemoteTarget
from leadup.sandbox import Server
from leadup.types import Money
from leadup_connectors.google_ads.ads.errors import ADJUSTMENTS, UPLOADS, Policy, Then, gravest
from leadup_connectors.google_ads.destination import GoogleAdsDestination
from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox
from leadup_connectors.google_ads.sandbox.account import Action

ENDS = {
    Then.WAIT: Outcome.LATER,
    Then.DONE: Outcome.ALREADY,
    Then.OURS: Outcome.REJECTED,
    Then.DROP: Outcome.REJECTED,
    Then.STOP: Outcome.LATER,
}
TO = RemoteTarget(id="7", name="leadup: interest")


@pytest.fixture
def sandbox(sandbox: GoogleAdsSandbox) -> GoogleAdsSandbox:
    sandbox.account.allow_listed = True
    return sandbox


@pytest.fixture(scope="module")
def kept() -> dict[str, GoogleAdsDestination]:
    return {}


@pytest.fixture
def destination(sandbox: GoogleAdsSandbox, kept: dict[str, GoogleAdsDestination]) -> GoogleAdsDestination:
    """One for all tests: its channels are open."""
    if not kept:
        known = {"interest": {"id": TO.id, "currency": "EUR"}}
        kept[""] = ads_destination(sandbox, conversion_actions=known, upload_by="google_ads", adjust_by="google_ads")
    return kept[""]


def test_conversions_are_counted_at_once(sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination) -> None:
    braid = convert(2, to=Address(()), click_ids={"gbraid": "b2"})
    receipts = destination.deliver(TO, [convert(1), braid, convert(3, value=None, click_ids={})])
    assert [receipt.outcome for receipt in receipts] == ["confirmed"] * 3
    held = sandbox.conversions(TO.id)
    assert {key: (one["value"], one["currency"], one["click_id"]) for key, one in held.items()} == {
        "t1": (10.5, "EUR", "click-1"),
        "t2": (10.5, "EUR", "b2"),
        "t3": (None, "", ""),
    }
    assert held["t1"]["at"] == "2026-03-01T12:30:00Z"
    assert held["t3"]["identifiers"] == [email(3).ids[0].value]


def test_of_many_identifiers_five_are_sent(sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination) -> None:
    many = Address(tuple(RemoteId("email_sha256", email(number).ids[0].value) for number in range(8)))
    (receipt,) = destination.deliver(TO, [convert(1, to=many)])
    assert receipt.outcome == "confirmed"
    assert len(sandbox.conversions(TO.id)["t1"]["identifiers"]) == 5


def test_a_conversion_sent_again_counts_once(sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination) -> None:
    destination.deliver(TO, [convert(1)])
    (again,) = destination.deliver(TO, [convert(1)])
    assert (again.outcome, again.code) == ("already", "ORDER_ID_ALREADY_IN_USE")
    assert len(sandbox.conversions(TO.id)) == 1


@pytest.mark.parametrize("code", UPLOADS)
def test_a_row_of_an_upload_ends_as_the_table_says(
    sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination, code: str
) -> None:
    sandbox.weather.add(kind="reject", path="UploadClickConversions", every=2, code=code)
    good, bad = destination.deliver(TO, [convert(1), convert(2)])
    assert good.outcome == "confirmed"
    assert (bad.outcome, bad.code) == (ENDS[UPLOADS[code].then], code)
    assert bad.retry_after == UPLOADS[code].wait
    assert list(sandbox.conversions(TO.id)) == ["t1"]


@pytest.mark.parametrize("code", ADJUSTMENTS)
def test_a_row_of_an_adjustment_ends_as_the_table_says(
    sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination, code: str
) -> None:
    destination.deliver(TO, [convert(1), convert(2)])
    sandbox.weather.add(kind="reject", path="UploadConversionAdjustments", every=2, code=code)
    good, bad = destination.deliver(TO, [restate(1, value=Money(2000, "EUR")), restate(2, value=Money(2000, "EUR"))])
    assert good.outcome == "confirmed"
    never = code == "CONVERSION_ALREADY_RETRACTED"  # what was taken back can have no value again
    assert (bad.outcome, bad.code) == (Outcome.REJECTED if never else ENDS[ADJUSTMENTS[code].then], code)


@pytest.mark.parametrize("code", [code for code, policy in UPLOADS.items() if policy.then is Then.STOP])
def test_what_stops_every_row_needs_a_person(
    sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination, code: str
) -> None:
    sandbox.weather.add(kind="reject", path="UploadClickConversions", every=1, code=code)
    with pytest.raises(NeedsHuman, match=code) as raised:
        destination.deliver(TO, [convert(1), convert(2)])
    assert raised.value.todo == UPLOADS[code].todo


def test_who_may_no_longer_upload_is_shown_the_other_way(
    sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination
) -> None:
    sandbox.account.allow_listed = False
    with pytest.raises(NeedsHuman, match="CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE") as raised:
        destination.deliver(TO, [convert(1)])
    assert 'upload_by = "data_manager"' in raised.value.todo


def test_several_errors_may_name_one_row(sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination) -> None:
    """The message of a partial failure tells of its first error alone; each row gets its own reason all the same."""
    sandbox.set_clock(AT + timedelta(days=200))
    sandbox.account.add_action(Action(id="7", created=sandbox.account.now()))
    receipts = destination.deliver(TO, [convert(1), convert(2, click_ids={"gclid": "no click!"})])
    assert [receipt.outcome for receipt in receipts] == ["later", "rejected"]
    assert receipts[1].code == "UNPARSEABLE_GCLID"


@pytest.mark.parametrize(
    ("codes", "decides"),
    [
        (("TOO_RECENT_EVENT", "EXPIRED_EVENT"), "EXPIRED_EVENT"),
        (("ORDER_ID_ALREADY_IN_USE", "TOO_RECENT_EVENT"), "ORDER_ID_ALREADY_IN_USE"),
        (("EVENT_NOT_FOUND", "NO_CONVERSION_ACTION_FOUND"), "NO_CONVERSION_ACTION_FOUND"),
        (("TOO_RECENT_EVENT", "SOMETHING_NEW"), "SOMETHING_NEW"),
    ],
)
def test_the_gravest_error_of_a_row_decides(codes: tuple[str, ...], decides: str) -> None:
    prefix = "conversion_upload_error."
    for order in (codes, codes[::-1]):
        name, policy = gravest(UPLOADS, [prefix + code for code in order])
        assert name == decides
        assert policy == UPLOADS.get(decides, Policy(Then.DROP))


@pytest.mark.parametrize("code", ["internal_error.TRANSIENT_ERROR", "quota_error.RESOURCE_EXHAUSTED"])
def test_googles_own_trouble_with_a_row_passes(code: str) -> None:
    empty: Mapping[str, Policy] = {}
    assert gravest(empty, [code])[1].then is Then.WAIT


# ---------------------------------------------------------------- adjustments


def test_a_value_is_changed_and_changed_again(sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination) -> None:
    destination.deliver(TO, [convert(1)])
    for number, minor in enumerate((2200, 28800, 2200), 1):
        change = restate(1, value=Money(minor, "EUR"), decided_at=AT + timedelta(hours=1, seconds=number))
        (receipt,) = destination.deliver(TO, [change])
        assert receipt.outcome == "confirmed"
    held = sandbox.conversions(TO.id)["t1"]
    assert (held["value"], held["count"], len(held["adjusted"])) == (22.0, 1, 3)


def test_what_came_by_data_manager_is_adjusted_by_the_other_api() -> None:
    """Its transaction id is the order id here."""
    with Server(GoogleAdsSandbox()) as server:
        sandbox = server.sandbox
        assert isinstance(sandbox, GoogleAdsSandbox)
        known = {"interest": {"id": TO.id, "currency": "EUR"}}
        both = ads_destination(sandbox, base_url=server.url, conversion_actions=known, adjust_by="google_ads")
        assert [r.outcome for r in both.deliver(TO, [convert(1), convert(2)])] == ["accepted"] * 2
        sandbox.settle()
        gone = restate(2, value=Money(0, "EUR"), taken_back=True)
        assert [r.outcome for r in both.deliver(TO, [restate(1, value=Money(2200, "EUR")), gone])] == ["confirmed"] * 2
        held = sandbox.conversions(TO.id)
    assert {key: (one["value"], one["count"]) for key, one in held.items()} == {"t1": (22.0, 1), "t2": (10.5, 0)}


def test_a_lost_answer_adjusts_once(sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination) -> None:
    """The same change carries the same instant, so Google knows it again."""
    destination.deliver(TO, [convert(1)])
    change = restate(1, value=Money(2200, "EUR"), decided_at=AT + timedelta(hours=1))
    destination.deliver(TO, [change])
    (again,) = destination.deliver(TO, [change])
    assert (again.outcome, again.code) == ("already", "RESTATEMENT_ALREADY_EXISTS")
    assert len(sandbox.conversions(TO.id)["t1"]["adjusted"]) == 1


def test_what_never_was_no_longer_counts(sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination) -> None:
    destination.deliver(TO, [convert(1)])
    gone = restate(1, value=Money(0, "EUR"), taken_back=True, decided_at=AT + timedelta(hours=1))
    assert [r.outcome for r in destination.deliver(TO, [gone])] == ["confirmed"]
    assert sandbox.conversions(TO.id)["t1"]["count"] == 0
    assert [r.outcome for r in destination.deliver(TO, [gone])] == ["already"]
    back = replace(gone, taken_back=False, value=Money(500, "EUR"), decided_at=AT + timedelta(hours=2))
    (receipt,) = destination.deliver(TO, [back])
    assert (receipt.outcome, receipt.code) == ("rejected", "CONVERSION_ALREADY_RETRACTED")


def test_what_is_worth_nothing_still_counts(sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination) -> None:
    """A ladder that lapsed may be taken up again: it is restated to 0, which can be undone."""
    destination.deliver(TO, [convert(1)])
    destination.deliver(TO, [restate(1, value=Money(0, "EUR"), decided_at=AT + timedelta(hours=1))])
    assert (sandbox.conversions(TO.id)["t1"]["value"], sandbox.conversions(TO.id)["t1"]["count"]) == (0.0, 1)


def test_an_old_conversion_stays_as_it_is(sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination) -> None:
    destination.deliver(TO, [convert(1)])
    sandbox.set_clock(AT + timedelta(days=55))
    (receipt,) = destination.deliver(TO, [restate(1, value=Money(1, "EUR"), decided_at=AT + timedelta(days=55))])
    assert (receipt.outcome, receipt.code) == ("rejected", "CONVERSION_EXPIRED")


def test_one_that_google_does_not_know_yet_is_asked_about_tomorrow(
    sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination
) -> None:
    (receipt,) = destination.deliver(TO, [restate(1, value=Money(1, "EUR"))])
    assert (receipt.outcome, receipt.retry_after) == ("later", timedelta(hours=24))


def test_an_adjustment_needs_an_amount(sandbox: GoogleAdsSandbox, destination: GoogleAdsDestination) -> None:
    (receipt,) = destination.deliver(TO, [restate(1, value=None)])
    assert receipt.code == "no_value"
    assert sandbox.weather.log == []


def test_without_the_package_a_kind_error_says_what_to_install(
    sandbox: GoogleAdsSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    destination = ads_destination(sandbox)
    monkeypatch.delitem(sys.modules, "leadup_connectors.google_ads.client.ads")
    monkeypatch.setitem(sys.modules, "google.ads.googleads.client", None)
    with pytest.raises(NeedsHuman) as raised:
        destination.prepare(INTEREST)
    assert raised.value.todo == "pip install 'leadup[google-ads]'"
