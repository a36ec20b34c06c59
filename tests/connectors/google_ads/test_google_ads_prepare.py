"""Conversion actions are found by name or made, and looked at before a conversion is sent: by the SDK, over TLS."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from google_ads_scenes import INTEREST, MADE, ads_actions, ads_destination
from google_scenes import ACCOUNT

from leadup.errors import NeedsHuman, TryLater
from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox
from leadup_connectors.google_ads.sandbox.account import Action

GOAL = ("SUBMIT_LEAD_FORM", "WEBSITE")


def test_what_is_made_is_in_no_bid(sandbox: GoogleAdsSandbox) -> None:
    remote = ads_destination(sandbox).prepare(INTEREST)
    (made,) = sandbox.account.actions.values()
    assert (remote.id, remote.name, remote.created) == (made.id, "leadup: interest", True)
    assert (made.type, made.counting, made.status) == ("UPLOAD_CLICKS", "MANY_PER_CLICK", "ENABLED")
    assert not made.primary
    assert not made.always_default
    assert (made.category, made.default_currency, made.lookback_days) == ("SUBMIT_LEAD_FORM", "EUR", 90)
    assert sandbox.account.goals == {GOAL: False}


def test_what_is_there_is_not_made_again(sandbox: GoogleAdsSandbox) -> None:
    first = ads_destination(sandbox).prepare(INTEREST)
    again = ads_destination(sandbox).prepare(INTEREST)
    assert (again.id, again.created) == (first.id, False)
    assert len(sandbox.account.actions) == 1


def test_a_goal_that_others_have_is_left_to_bidding(sandbox: GoogleAdsSandbox) -> None:
    sandbox.account.add_action(Action(id="7", name="their form", category="SUBMIT_LEAD_FORM"))
    ads_destination(sandbox).prepare(INTEREST)
    assert sandbox.account.goals == {GOAL: True}
    assert [one.primary for one in sandbox.account.actions.values()] == [True, False]


def test_what_somebody_promoted_stays_promoted(sandbox: GoogleAdsSandbox) -> None:
    ads_destination(sandbox).prepare(INTEREST)
    actions = ads_actions(sandbox)
    actions.promote(actions.named("leadup: interest"))
    ads_destination(sandbox).prepare(INTEREST)
    assert [one.primary for one in sandbox.account.actions.values()] == [True]
    assert sandbox.account.goals == {GOAL: True}
    actions.demote(actions.named("leadup: interest"))
    assert [one.primary for one in sandbox.account.actions.values()] == [False]
    assert sandbox.account.goals == {GOAL: False}


@pytest.mark.parametrize("cut", range(5))
@pytest.mark.parametrize("kind", ["fail", "lose_answer"])
def test_what_was_left_unfinished_is_finished_by_another_process(
    sandbox: GoogleAdsSandbox, cut: int, kind: str
) -> None:
    """Whichever of the calls fails, or does its work and has its answer lost: there is one action, in no bid."""
    sandbox.weather.add(kind=kind, path="Mutate" if cut else "", after=max(cut - 1, 0), times=3, status=503)
    with suppress(TryLater):
        ads_destination(sandbox).prepare(INTEREST)
    sandbox.weather.clear()
    unfinished = any(one.primary for one in sandbox.account.actions.values())
    assert unfinished <= any(one.name == "leadup: interest (unfinished)" for one in sandbox.account.actions.values())
    remote = ads_destination(sandbox).prepare(INTEREST)
    (made,) = sandbox.account.actions.values()
    assert (made.id, made.name, made.primary) == (remote.id, "leadup: interest", False)
    assert sandbox.account.goals == {GOAL: False}


def test_what_another_made_meanwhile_is_used_as_it_is(sandbox: GoogleAdsSandbox) -> None:
    destination = ads_destination(sandbox)
    sandbox.account.add_action(Action(id="7", name="leadup: interest", owner=ACCOUNT))
    assert destination.prepare(INTEREST).id == "7"
    assert sandbox.account.actions["7"].primary


@pytest.mark.parametrize(
    ("wrong", "told", "todo"),
    [
        ({"type": "WEBPAGE"}, "its type is WEBPAGE", "Import > from clicks"),
        ({"status": "HIDDEN"}, "it is hidden", "enable it"),
        ({"owner": "1112223334"}, "account 1112223334 owns it", "operating_account = '1112223334'"),
        ({"always_default": True}, "counts its own value", "use different values"),
    ],
)
@pytest.mark.parametrize("known_by", ["name", "id"])
def test_one_that_can_not_be_used_needs_a_person(
    sandbox: GoogleAdsSandbox, wrong: dict[str, object], told: str, todo: str, known_by: str
) -> None:
    sandbox.account.any_action = False
    sandbox.account.add_action(Action(id="7", name="leadup: interest", **wrong))
    known = MADE if known_by == "name" else {"interest": "7"}
    destination = ads_destination(sandbox, conversion_actions=known, check_actions=known_by == "id")
    with pytest.raises(NeedsHuman) as raised:
        destination.prepare(INTEREST)
    assert told in str(raised.value)
    assert todo in raised.value.todo
    assert len(sandbox.account.actions) == 1


@pytest.mark.parametrize("known", [{"interest": {"name": "Website form"}}, {"interest": "7"}])
def test_one_that_is_not_there_is_not_made_unasked(sandbox: GoogleAdsSandbox, known: dict[str, object]) -> None:
    destination = ads_destination(sandbox, conversion_actions=known, check_actions=True)
    with pytest.raises(NeedsHuman, match="create = true"):
        destination.prepare(INTEREST)
    assert sandbox.account.actions == {}


def test_an_id_is_taken_as_it_is_unless_asked_to_look(sandbox: GoogleAdsSandbox) -> None:
    """The present way stands: it needs neither the package nor the scope."""
    destination = ads_destination(sandbox, conversion_actions={"interest": "7"}, ads_url="https://localhost:1")
    assert destination.prepare(INTEREST).id == "7"
    assert sandbox.weather.log == []


def test_a_name_that_is_removed_is_free(sandbox: GoogleAdsSandbox) -> None:
    sandbox.account.add_action(Action(id="7", name="leadup: interest", status="REMOVED"))
    assert ads_destination(sandbox).prepare(INTEREST).id != "7"


def test_a_new_action_takes_conversions_after_six_hours(sandbox: GoogleAdsSandbox) -> None:
    from google_scenes import AT, convert

    sandbox.set_clock(AT + timedelta(hours=1))
    sandbox.account.allow_listed = True
    destination = ads_destination(sandbox, upload_by="google_ads")
    remote = destination.prepare(INTEREST)
    (early,) = destination.deliver(remote, [convert(1)])
    assert (early.code, early.retry_after) == ("TOO_RECENT_CONVERSION_ACTION", timedelta(hours=6))
    sandbox.pass_time(timedelta(hours=6))
    (late,) = destination.deliver(remote, [convert(1)])
    assert late.outcome == "confirmed"
