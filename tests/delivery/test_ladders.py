"""Ladders as a vendor sees them: one conversion whose value grows, each line of the design's paragraph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from delivery.scripted_vendor import Vendor
from delivery.world import DENIED, GRANTED, World, email, program, user
from leadup.delivery.activations import activations
from leadup.errors import SettingsError
from leadup.state.tables import conversions, ledger, standings
from leadup.types import Json

RULES = """
version: 1
micro_conversions:
  price: {event: price}
  video: {event: video}
  lost: {event: lost}
macro_conversions:
  asked: {event: asked, value: 288 EUR}
  won: {event: won, value: {property: amount, currency: currency}, same_within: 1h}
conversions:
  interest:
    ladder: [price, video, asked, won]
    value: {price: 4 EUR, video: 22 EUR}
    cap: 150 EUR
    episode: 50d
    lost: lost
    activate: [vendor]
"""
ADA, BOB = email("ada"), email("bob")


class Site(World):
    """A world with a ladder, and short words for what people do."""

    def did_(self, what: str, key: str, *who: object, **more: Json) -> None:
        self.did(what, key, *(who or (ADA,)), consent=GRANTED, **more)  # type: ignore[arg-type]

    def day(self, **more: Json) -> None:
        """A day later, all is judged and sent."""
        self.later(days=1)
        self.sync()

    @property
    def held(self) -> list[list[float | None]]:
        """What the vendor was told of each conversion, one value after the other, oldest first; in whole units."""
        told = self.vendor.conversions
        rows = sorted(self.rows(conversions), key=lambda row: (row["opened_us"], row["id"]))
        known = [told[row["transaction_id"]] for row in rows if row["transaction_id"] in told]
        return [[minor / 100 if minor is not None else None for minor, _ in values] for values in known]

    @property
    def reasons(self) -> list[str]:
        rows = {row["transaction_id"]: row for row in self.rows(conversions)}
        found = sorted(self.rows(standings), key=lambda row: rows[row["subject"]]["opened_us"])
        return [row["reason"] for row in found]


Make = Callable[..., Site]


@pytest.fixture
def site() -> Iterator[Make]:
    """Make a world whose vendor can this and that."""
    made: list[Site] = []

    def make(*, late: bool = False, **can: object) -> Site:
        made.append(Site(Vendor(late=late), program(RULES)))
        made[-1].vendor.can = replace(made[-1].vendor.can, **can)  # type: ignore[arg-type]
        if "currencies" not in can:
            made[-1].use(program(RULES))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def world(site: Make) -> Site:
    return site()


def test_one_conversion_grows_from_the_first_step_to_the_goal(world: Site) -> None:
    for key, what, more in [
        ("a", "price", {}),
        ("b", "video", {}),
        ("c", "price", {}),
        ("d", "asked", {}),
        ("e", "won", {"amount": 12400, "currency": "EUR"}),
    ]:
        world.did_(what, key, gclid="g1" if key == "a" else "", **more)
        world.day()
    assert world.held == [[4, 22, 150, 12400]], "the cap bounds the request's 288, and not what was really paid"
    [row] = world.rows(conversions)
    sent = world.changes("convert") + world.changes("restate")
    assert {(one.transaction_id, one.at) for one in sent} == {(row["transaction_id"], sent[0].at)}
    assert all(one.click_ids == {"gclid": "g1"} for one in sent), "those of the opening event"
    assert "ada" not in row["transaction_id"]


def test_a_late_earlier_step_changes_nothing_of_what_was_sent(world: Site) -> None:
    world.did_("video", "b")
    world.day()
    world.did_("price", "a", ago=timedelta(days=3))
    world.day()
    assert world.held == [[22]]
    assert len(world.changes()) == 1


def test_two_persons_who_turn_out_to_be_one_have_one_open_episode(world: Site) -> None:
    world.did_("price", "a", user(1))
    world.did_("price", "a2", user(1), ADA)
    world.later(days=2)
    world.did_("video", "b", BOB)
    world.day()
    assert world.held == [[4], [22]]
    world.did_("login", "l", user(1), BOB)
    world.day()
    assert world.held == [[4, 22], [22, 0]], "the older goes on with what both have done, the other counts nothing"
    world.did_("won", "c", ADA, amount=900, currency="EUR")
    world.day()
    assert world.held == [[4, 22, 900], [22, 0]]


def test_an_episode_lapses_by_itself_at_its_instant(world: Site) -> None:
    world.did_("video", "a")
    world.sync()
    begin = world.now
    assert world.pipeline.next_due() == begin + timedelta(days=50)
    world.now = begin + timedelta(days=50) - timedelta(microseconds=1)
    world.sync()
    assert world.held == [[22]]
    world.later(microseconds=1)
    world.sync()
    assert world.held == [[22, 0]]
    assert world.reasons == ["its episode ended before the goal was reached"]
    assert world.pipeline.next_due() is None
    world.did_("price", "b")
    world.day()
    assert world.held == [[22, 0], [4]]


def test_a_goal_after_the_end_is_a_new_row_of_its_true_value(world: Site) -> None:
    world.did_("video", "a")
    world.sync()
    world.later(days=50)
    world.sync()
    world.did_("won", "b", amount=500, currency="EUR")
    world.day()
    assert world.held == [[22, 0], [500]]


def test_a_goal_after_the_end_is_less_by_what_still_stands_until_that_is_taken_back(world: Site) -> None:
    world.did_("video", "a")
    world.sync()
    world.later(days=55)  # nobody looked meanwhile: it lapses and the goal comes at one tick
    world.did_("won", "b", amount=500, currency="EUR")
    world.tick()
    world.vendor.faults = ["", "later"]
    world.deliver()
    assert world.held == [[22], [478]], "together never more than the true value"
    world.later(hours=1)
    world.sync()
    world.sync()
    assert world.held == [[22, 0], [478, 500]]


def test_a_goal_is_less_by_what_the_vendor_no_longer_lets_us_take_back(site: Make) -> None:
    world = site(restates_for=timedelta(days=54))
    world.did_("video", "a")
    world.sync()
    world.later(days=54, hours=1)  # nobody looked for days
    world.sync()
    assert world.held == [[22]]
    assert "can not be changed there" in world.reasons[0]
    world.did_("won", "b", amount=500, currency="EUR")
    world.day()
    world.did_("won", "c", amount=10, currency="EUR")
    world.day()
    assert world.held == [[22], [478], [10]], "it counts against the next goal, once"


def test_a_goal_worth_less_than_what_still_stands_is_worth_nothing(site: Make) -> None:
    world = site(restates_for=timedelta(days=54))
    world.did_("video", "a")
    world.sync()
    world.later(days=60)
    world.did_("won", "b", amount=10, currency="EUR")
    world.sync()
    assert world.held == [[22], [0]]


def test_a_deal_lost_is_restated_to_0_and_reopened_to_the_step(world: Site) -> None:
    for key, what in [("a", "price"), ("b", "asked"), ("c", "lost"), ("d", "video")]:
        world.did_(what, key)
        world.day()
    assert world.held == [[4, 150, 0, 22]]
    world.did_("won", "e", amount=80, currency="EUR")
    world.day()
    assert world.held == [[4, 150, 0, 22, 80]]


def test_a_second_purchase_is_a_conversion_of_its_own(world: Site) -> None:
    world.did_("price", "a")
    world.did_("won", "b", amount=100, currency="EUR", event_id="deal-1")
    world.did_("won", "b2", amount=100, currency="EUR", event_id="deal-1")
    world.day()
    world.did_("won", "c", amount=250, currency="EUR", event_id="deal-2")
    world.day()
    assert world.held == [[100], [250]]


def test_after_consent_is_withdrawn_no_row_follows_and_the_ledger_says_so(world: Site) -> None:
    world.did_("price", "a")
    world.day()
    world.tell(ADA, consent=DENIED)
    world.did("asked", "b", ADA)
    world.day()
    assert world.held == [[4]]
    [line] = world.rows(ledger, ledger.c.what == "not_reported")
    assert (line["verb"], line["code"], line["detail"]) == (
        "convert",
        "no_consent",
        "happened, but ad_user_data was denied",
    )
    world.later(days=50)
    world.sync()
    assert world.held == [[4]], "nor when it lapses"
    assert world.reasons == ["its episode ended before the goal was reached, but ad_user_data was denied"]
    world.tell(ADA, consent=GRANTED)
    world.day()
    assert world.held == [[4, 0]]


def test_an_episode_that_lapsed_before_anything_was_sent_is_never_sent(world: Site) -> None:
    world.did("price", "a", ADA)
    world.sync()
    world.later(days=51)
    world.tell(ADA, consent=GRANTED)
    world.sync()
    assert world.changes() == []


def test_an_increase_waits_while_the_first_row_is_on_its_way_and_a_lowering_too(site: Make) -> None:
    world = site(late=True)
    world.did_("price", "a")
    world.tick()
    world.deliver()
    world.later(minutes=1)
    world.did_("video", "b")
    world.tick()
    world.deliver()
    world.later(minutes=1)
    world.did_("lost", "c")
    world.tick()
    world.deliver()
    assert [one.verb for one in world.changes()] == ["convert"], "Google states no order between two values"
    world.sync()
    world.sync()
    assert world.held == [[4, 0]]


def test_an_id_once_minted_is_never_recomputed(world: Site) -> None:
    world.did_("video", "b")
    world.sync()
    [before] = world.rows(conversions)
    world.did_("price", "a", ago=timedelta(days=1))
    world.sync()
    world.did_("seen", "b")  # the opening event turns out to be something else
    world.day()
    [after] = world.rows(conversions)
    kept = ("transaction_id", "opened_us", "click_ids", "consent")
    assert [after[name] for name in kept] == [before[name] for name in kept]
    assert world.held == [[22, 4]]


def test_amounts_in_another_currency_are_exchanged_and_rounded_half_up(site: Make) -> None:
    world = site(currencies={"interest": "USD"})
    with pytest.raises(SettingsError, match=r"\[rates\]\n    EUR = \{USD = \.\.\.\}"):
        world.use(program(RULES))
    rates = {"EUR": {"USD": Decimal("1.0825")}, "JPY": {"USD": Decimal("0.0067")}}
    targets = activations(program(RULES), {"vendor": world.vendor.can}, 0.3, rates)
    world.pipeline.use(program(RULES), targets, world.now)
    world.did_("price", "a")
    world.day()
    world.did_("asked", "b")
    world.day()
    world.did_("won", "c", amount=150, currency="JPY")
    world.day()
    assert world.held == [[4.33, 162.38, 1.01]], "4 x 1.0825; the cap of 150 x 1.0825 = 162.375; 150 x 0.0067 = 1.005"
    assert {currency for told in world.vendor.conversions.values() for _, currency in told} == {"USD"}


def test_a_currency_without_a_rate_is_said_and_not_sent(site: Make) -> None:
    world = site(currencies={"interest": "EUR"})
    world.use(program(RULES))
    world.did_("price", "a")
    world.day()
    world.did_("won", "b", amount=900, currency="CHF")
    world.day()
    assert world.held == [[4]]
    [line] = world.rows(ledger, ledger.c.what == "not_reported")
    assert line["code"] == "no_rate"
    assert "in CHF" in line["detail"]
    assert "[rates]" in line["detail"]


def test_a_conversion_waits_until_its_click_is_known_to_the_vendor(site: Make) -> None:
    world = site(min_click_age=timedelta(hours=6))
    world.did_("landing", "l", gclid="g1")
    clicked = world.now
    world.later(hours=2)
    world.did_("price", "a")
    world.did_("price", "x", BOB)
    world.sync()
    assert world.held == [[4]], "Bob came by no click"
    assert world.pipeline.next_due() == clicked + timedelta(hours=6)
    world.later(hours=3)
    world.did_("video", "b")
    world.sync()
    world.now = clicked + timedelta(hours=6)
    world.sync()
    assert sorted(world.held) == [[4], [22]], "one report, of what it is worth by then"


def test_a_shared_browser_takes_its_episode_along_to_whose_it_turns_out_to_be(world: Site) -> None:
    browser = email("browser")
    world.did_("price", "a", browser)
    world.sync()
    [before] = world.rows(conversions)
    world.did_("login", "l", user(1), browser)
    world.did_("video", "b", user(1))
    world.day()
    [after] = world.rows(conversions)
    assert after["transaction_id"] == before["transaction_id"]
    assert world.held == [[4, 22]]


def test_an_edited_ladder_is_judged_anew_for_whom_it_concerns(world: Site) -> None:
    world.did_("price", "a")
    world.did_("login", "x", BOB)
    world.sync()
    world.use(program(RULES.replace("price: 4 EUR", "price: 5 EUR")))
    ticked = world.tick()
    assert ticked.judged == 1
    world.deliver()
    assert world.held == [[4, 5]]
