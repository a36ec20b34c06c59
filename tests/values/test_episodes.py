"""Each line of what a ladder's episode is, one after the other, on the pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from leadup.rules.program import Ladder
from leadup.types import Money
from leadup.values.episodes import Episode, State, episodes
from leadup.values.occurrences import Happened, mint

DAY = 86_400_000_000
LADDER = Ladder(
    steps=("price", "video", "form", "won"),
    worth=(("form", Money(28800, "EUR")), ("price", Money(400, "EUR")), ("video", Money(2200, "EUR"))),
    episode=50 * DAY,
    lost="lost",
)


def happened(*stories: str) -> dict[str, list[Happened]]:
    """Read ``e1 price 3``, ``e2 won 5 12400``: key, pattern, day, and the amount in EUR."""
    found: dict[str, list[Happened]] = {}
    for story in stories:
        key, pattern, day, *amount = story.split()
        value = Money(int(amount[0]) * 100, "EUR") if amount else None
        signal = Happened(event=key, event_id="", at_us=round(float(day) * DAY), value=value)
        found.setdefault(pattern, []).append(signal)
    return found


def climbed(*stories: str, on: float, known: Sequence[Episode] = ()) -> list[Episode]:
    return episodes("interest", LADDER, {"won": DAY // 24}, known, happened(*stories), round(on * DAY))


def seen(found: Sequence[Episode]) -> list[tuple[str, int | None]]:
    return [(str(one.state), one.value.minor // 100 if one.value else None) for one in found]


def test_the_first_step_opens_an_episode_and_later_ones_let_its_value_grow() -> None:
    [opened] = climbed("a price 1", on=1)
    assert opened.transaction_id == mint("interest", "a")
    assert (opened.opened_us, opened.ends_us, opened.step) == (DAY, 51 * DAY, "price")
    [grown] = climbed("a price 1", "b video 2", "c price 3", on=3, known=[opened])
    assert grown.transaction_id == opened.transaction_id
    assert seen([grown]) == [("open", 22)], "the furthest step counts, not the latest, and never a sum"
    [won] = climbed("a price 1", "b video 2", "c price 3", "d won 9 12400", on=9, known=[grown])
    assert (won.state, won.value, won.estimate) == (State.WON, Money(1_240_000, "EUR"), False)
    assert won.transaction_id == opened.transaction_id


def test_other_goals_on_the_way_are_steps() -> None:
    """`form` is a macro conversion: only the last step ends an episode."""
    assert seen(climbed("a form 1", "b price 2", on=3)) == [("open", 288)]


def test_a_late_earlier_step_joins_and_changes_neither_id_nor_time() -> None:
    known = climbed("b video 10", on=10)
    [joined] = climbed("a price 8", "b video 10", on=11, known=known)
    assert (joined.transaction_id, joined.opened_us, joined.ends_us) == (mint("interest", "b"), 10 * DAY, 60 * DAY)
    assert joined.events == ("b", "a")
    assert seen([joined]) == [("open", 22)]


def test_a_late_step_of_an_episode_that_would_have_ended_before_is_one_of_its_own() -> None:
    known = climbed("b video 100", on=100)
    assert seen(climbed("a price 50", "b video 100", on=101, known=known)) == [("lapsed", 4), ("open", 22)]


def test_a_late_goal_before_the_opening_step_does_not_end_the_episode() -> None:
    known = climbed("b video 10", on=10)
    found = climbed("a won 9 50", "b video 10", on=11, known=known)
    assert seen(found) == [("won", 50), ("open", 22)]
    assert found[1].transaction_id == known[0].transaction_id


def test_a_late_goal_between_two_steps_parts_them() -> None:
    known = climbed("a price 1", "c price 5", on=5)
    found = climbed("a price 1", "b won 3 70", "c price 5", on=6, known=known)
    assert seen(found) == [("won", 70), ("open", 4)]
    assert [one.transaction_id for one in found] == [mint("interest", "a"), mint("interest", "c")]


def test_a_second_purchase_is_an_episode_of_its_own() -> None:
    found = climbed("a price 1", "b won 2 100", "c won 30 250", on=30)
    assert seen(found) == [("won", 100), ("won", 250)]
    assert len({one.transaction_id for one in found}) == 2


def test_one_purchase_told_twice_is_one() -> None:
    found = climbed("a price 1", "b won 2 100", "c won 2.02 100", "d price 2.03", on=3)
    assert seen(found) == [("won", 100), ("open", 4)]


def test_of_two_open_episodes_the_older_goes_on_and_the_other_is_worth_nothing() -> None:
    [hers], [his] = climbed("a price 1", on=4), climbed("b video 3", on=4)
    found = climbed("a price 1", "b video 3", on=5, known=[his, hers])
    assert seen(found) == [("open", 22), ("joined", None)]
    assert [one.transaction_id for one in found] == [hers.transaction_id, his.transaction_id]
    again = climbed("a price 1", "b video 3", on=51, known=found)
    assert seen(again) == [("lapsed", 22), ("joined", None)], "the older one's time counts"


def test_a_goal_that_was_taken_back_leaves_one_open_episode_and_may_come_again() -> None:
    with_goal = climbed("a price 1", "b won 3 70", "c video 5", on=5)
    without = climbed("a price 1", "c video 5", on=6, known=with_goal)
    assert seen(without) == [("open", 22), ("joined", None)]
    again = climbed("a price 1", "b won 3 70", "c video 5", on=7, known=without)
    assert again == with_goal


def test_an_episode_lapses_at_its_end_to_the_microsecond() -> None:
    end = 51
    known = climbed("a price 1", on=end - 1e-9)
    assert seen(known) == [("open", 4)]
    assert seen(climbed("a price 1", on=end, known=known)) == [("lapsed", 4)]
    found = climbed("a price 1", "b price 51", on=end, known=known)
    assert seen(found) == [("lapsed", 4), ("open", 4)], "what happens at the end opens the next one"


def test_a_goal_after_the_end_is_an_episode_of_its_own() -> None:
    known = climbed("a form 1", on=51)
    found = climbed("a form 1", "b won 55 12400", on=55, known=known)
    assert seen(found) == [("lapsed", 288), ("won", 12400)]


def test_what_comes_late_for_an_episode_that_lapsed_does_not_bring_it_back() -> None:
    known = climbed("a form 1", on=51)
    found = climbed("a form 1", "b won 50 12400", "c price 20", on=52, known=known)
    assert seen(found) == [("lapsed", 288), ("won", 12400)]
    assert found[0].events == ("a", "c")


def test_a_deal_lost_is_worth_nothing_and_reopened_what_the_step_is_worth() -> None:
    known = climbed("a price 1", "b form 2", on=2)
    lost = climbed("a price 1", "b form 2", "c lost 3", on=3, known=known)
    assert [(one.state, one.void) for one in lost] == [(State.LOST, "it was lost")]
    [reopened] = climbed("a price 1", "b form 2", "c lost 3", "d video 4", on=4, known=lost)
    assert (reopened.transaction_id, reopened.state) == (known[0].transaction_id, State.OPEN)
    assert reopened.value == Money(2200, "EUR"), "what was before the loss counts no more"
    [won] = climbed("a price 1", "b form 2", "c lost 3", "d won 4 90", on=4, known=lost)
    assert seen([won]) == [("won", 90)]


def test_a_loss_opens_nothing_and_undoes_no_goal() -> None:
    assert climbed("a lost 1", on=1) == []
    assert seen(climbed("a price 1", "b won 2 60", "c lost 3", on=3)) == [("won", 60)]


def test_without_its_opening_event_an_episode_goes_on_and_without_any_it_is_gone() -> None:
    known = climbed("a price 1", "b video 2", on=2)
    [goes_on] = climbed("b video 2", on=3, known=known)
    assert (goes_on.transaction_id, goes_on.opened_us) == (known[0].transaction_id, DAY)
    [gone] = climbed(on=4, known=[goes_on])
    assert (gone.state, gone.void) == (State.GONE, "the events that reported it were taken back")
    assert seen(climbed("c price 5", on=5, known=[gone])) == [("gone", None), ("open", 4)]
    assert seen(climbed("a price 1", on=5, known=[gone])) == [("open", 4)], "it came again"


def test_an_event_that_is_dated_anew_beyond_the_end_opens_another() -> None:
    known = climbed("a price 1", "b video 2", on=2)
    found = climbed("a price 80", "b video 2", on=80, known=known)
    assert seen(found) == [("lapsed", 22), ("open", 4)]
    assert len({one.transaction_id for one in found}) == 2
    assert climbed("a price 80", "b video 2", on=80, known=found) == found


def test_a_goal_of_unknown_worth_ends_the_episode_at_what_it_was_worth() -> None:
    [won] = climbed("a price 1", "b video 2", "c won 3", on=3)
    assert (won.state, won.value, won.estimate) == (State.WON, Money(2200, "EUR"), True)
