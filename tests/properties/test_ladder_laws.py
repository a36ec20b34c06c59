"""The laws of ladders: episodes over random lives, against a model that knows no anchors, and a vendor's account.

Whatever comes late, is taken back, dated anew, or belongs to two persons who turn out to be one: one episode is open at
most; what an episode was opened as never changes; looking again changes nothing; each goal is won once. Of events that
come in time, the episodes are those that a plain reading of the story gives, however often one looks.

A list of planted mistakes shows that these laws see them.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from delivery.scripted_vendor import Vendor
from delivery.world import GRANTED, World, email, program, user
from leadup.delivery import reports
from leadup.rules.program import Ladder
from leadup.state.tables import conversions
from leadup.types import Money, to_us
from leadup.values import episodes as episodes_module
from leadup.values.episodes import Episode, State
from leadup.values.occurrences import Happened, mint

STEPS = ("a", "b", "c", "won")
LADDER = Ladder(
    steps=STEPS,
    worth=tuple((step, Money(100 * 4**place, "EUR")) for place, step in enumerate(STEPS[:-1])),
    episode=10,
    lost="lost",
)
SAME_WITHIN = {"won": 2}

exactly = settings(
    derandomize=True, deadline=None, database=None, max_examples=300, suppress_health_check=list(HealthCheck)
)


@dataclass(frozen=True, slots=True)
class Told:
    """An event of a story: its key, what it was, and when."""

    key: str
    what: str
    at: int


stories = st.lists(
    st.tuples(st.sampled_from(["a", "a", "b", "c", "won", "lost"]), st.integers(0, 40)), min_size=1, max_size=8
).map(lambda found: [Told(f"{number:02}", what, at) for number, (what, at) in enumerate(found)])
looks = st.lists(st.integers(0, 60), max_size=6)


def look(known: Sequence[Episode], story: Sequence[Told], at: int) -> list[Episode]:
    """Fold what of a story has happened by ``at``; a goal is worth its key and a thousand."""
    happened: dict[str, list[Happened]] = defaultdict(list)
    for one in story:
        if one.at <= at:
            value = Money(100_000 + int(one.key), "EUR") if one.what == "won" else None
            happened[one.what].append(Happened(event=one.key, event_id="", at_us=one.at, value=value))
    return episodes_module.episodes("x", LADDER, SAME_WITHIN, known, happened, at)


# ---------------------------------------------------------------- a plain reading


@dataclass(slots=True)
class Way:
    """One way up, as one reads it off the story."""

    opener: Told
    steps: list[Told]
    won: Told | None = None
    lost: bool = False

    def says(self, at: int) -> tuple[str, int | None]:
        """Where it stands at an instant, and what it is worth if it is worth anything."""
        if self.won is not None:
            return "won", 100_000 + int(self.won.key)
        if at >= self.opener.at + LADDER.episode:
            return "lapsed", None
        if self.lost:
            return "lost", None
        return "open", max(100 * 4 ** STEPS.index(step.what) for step in self.steps)


def read(story: Sequence[Told], at: int) -> dict[str, tuple[str, int | None]]:
    """By id, what each way up has come to. A goal within 2 of the last one that counted is the same goal."""
    ways: list[Way] = []
    last_goal = -100
    rank = {what: place for place, what in enumerate([*STEPS, "lost"])}
    for one in sorted(story, key=lambda told: (told.at, rank[told.what], told.key)):
        if one.at > at:
            continue
        here = ways[-1] if ways and not ways[-1].won and one.at < ways[-1].opener.at + LADDER.episode else None
        if one.what == "lost":
            if here is not None:
                here.lost, here.steps = True, []
        elif one.what == "won":
            if one.at - last_goal < SAME_WITHIN["won"]:
                continue
            last_goal = one.at
            if here is None:
                ways.append(here := Way(one, []))
            here.won = one
        elif here is not None:
            here.lost = False
            here.steps.append(one)
        else:
            ways.append(Way(one, [one]))
    return {mint("x", way.opener.key): way.says(at) for way in ways}


def said(found: Sequence[Episode]) -> dict[str, tuple[str, int | None]]:
    return {
        one.transaction_id: (str(one.state), None if one.void or one.value is None else one.value.minor)
        for one in found
    }


@exactly
@given(stories, looks)
def test_what_comes_in_time_reads_as_it_was_however_often_one_looks(story: list[Told], instants: list[int]) -> None:
    known: list[Episode] = []
    for at in [*sorted(instants), 60]:
        known = look(known, story, at)
        assert said(known) == read(story, at)


# ---------------------------------------------------------------- whatever comes

changes = st.lists(
    st.tuples(st.sampled_from(["tell", "tell", "take back", "tell again", "date anew"]), st.integers(0, 7), looks),
    max_size=8,
)


def holds(before: Sequence[Episode], found: Sequence[Episode], present: Sequence[Told], at: int) -> None:
    """The laws that hold after each look."""
    assert sum(one.state in (State.OPEN, State.LOST) for one in found) <= 1, "one is open at most"
    now = {one.transaction_id: one for one in found}
    assert len(now) == len(found)
    for old in before:
        kept = now[old.transaction_id]
        for name in ("opened_us", "opener", "click_ids", "click_us", "consent", "ends_us"):
            assert getattr(kept, name) == getattr(old, name), f"{name} never changes"
    for one in found:
        assert one.opened_us <= at
        assert bool(one.void) == (one.state not in (State.OPEN, State.WON))
        assert one.ends_us > at or one.state is not State.OPEN
    seen = [one for one in present if one.at <= at]
    placed = Counter(event for one in found for event in one.events)
    assert set(placed) <= {one.key for one in seen}
    assert all(placed[one.key] == 1 for one in seen if one.what != "lost"), "each is somewhere, once"
    goals, counted = 0, -100
    for goal in sorted((one for one in seen if one.what == "won"), key=lambda one: (one.at, one.key)):
        if goal.at - counted >= SAME_WITHIN["won"]:
            goals, counted = goals + 1, goal.at
    assert sum(one.state is State.WON for one in found) == goals, "each goal is won once"
    assert sorted(look(found, present, at), key=lambda one: one.transaction_id) == sorted(
        found, key=lambda one: one.transaction_id
    ), "looking again changes nothing"


@exactly
@given(stories, changes)
def test_the_laws_hold_whatever_comes_late_goes_or_is_dated_anew(
    story: list[Told], history: list[tuple[str, int, list[int]]]
) -> None:
    present: dict[str, Told] = {}
    known: list[Episode] = []
    at = 0
    for what, number, instants in history:
        told = story[number % len(story)]
        match what:
            case "take back":
                present.pop(told.key, None)
            case "date anew":
                present[told.key] = replace(told, at=(told.at * 7 + number) % 40)
            case _:
                present[told.key] = told
        for by in instants:
            at = max(at, by)
            before, known = known, look(known, list(present.values()), at)
            holds(before, known, list(present.values()), at)


@exactly
@given(stories, st.integers(0, 255), looks, st.integers(0, 60))
@example([Told("00", "a", 0), Told("01", "a", 1)], 1, [10], 11)  # each has lapsed, and keeps its own
def test_the_laws_hold_when_two_persons_turn_out_to_be_one(
    story: list[Told], hers: int, instants: list[int], then: int
) -> None:
    """Each has part of the story, and they are looked at apart; then they are one."""
    parts = [[one for place, one in enumerate(story) if bool(hers >> place & 1) == first] for first in (True, False)]
    known: list[list[Episode]] = [[], []]
    at = 0
    for at in sorted(instants):
        known = [look(one, part, at) for one, part in zip(known, parts, strict=True)]
    before = [*known[1], *known[0]]
    at = max(at, then)
    found = look(before, story, at)
    holds(before, found, story, at)
    still = [one for one in before if one.state is State.OPEN]
    if len(still) == 2 and at < min(one.ends_us for one in still) and not any(one.what == "won" for one in story):
        older, other = sorted(still, key=lambda one: (one.opened_us, one.transaction_id))
        now = {one.transaction_id: one.state for one in found}
        if older.opened_us != other.opened_us:
            assert (now[older.transaction_id] in (State.OPEN, State.LOST), now[other.transaction_id]) == (
                True,
                State.JOINED,
            ), "the older goes on"


# ---------------------------------------------------------------- at the vendor's

RULES = program("""
version: 1
micro_conversions:
  a: {event: a}
  b: {event: b}
  lost: {event: lost}
macro_conversions:
  won: {event: won, value: {property: amount, currency: EUR}}
conversions:
  x:
    {ladder: [a, b, won], value: {a: 4 EUR, b: 22 EUR}, cap: 15 EUR, episode: 10d, lost: lost, activate: [vendor]}
""")
WHO = (user(0), user(1), email("ada"), email("bob"))
deeds = st.lists(
    st.tuples(
        st.sampled_from(["a", "a", "b", "won", "lost", "take back", "login", "wait", "look", "sync", "trouble"]),
        st.integers(0, 3),
        st.integers(0, 12),
    ),
    min_size=4,
    max_size=25,
)


class Account(World):
    """A world in which the vendor's books can be added up."""

    def play(self, what: str, one: int, number: int) -> None:
        match what:
            case "wait":
                self.later(days=number)
            case "look":
                self.tick()
            case "sync":
                self.sync()
            case "trouble":
                self.vendor.faults = ["later", "lost", "postpone"][number % 3 :]
                self.sync()
                self.vendor.faults = []
            case "login":
                self.did("login", f"l{self._pages}", WHO[one % 2], WHO[2 + number % 2], consent=GRANTED)
            case "take back":
                self.did("nothing", f"e{number}", WHO[one], consent=GRANTED)
            case _:
                ago = timedelta(days=number % 4)
                self.did(what, f"e{number}", WHO[one], consent=GRANTED, ago=ago, amount=10 * (number + 1))
                self.did("login", f"m{self._pages}", *((WHO[one], WHO[one + 2]) if one < 2 else (WHO[one],)))

    def settle(self) -> None:
        """Good weather, and time enough for what waits."""
        for _ in range(8):
            self.later(hours=7)
            self.sync(force=True)

    def adds_up(self) -> None:
        of_person: dict[int, list[dict[str, object]]] = defaultdict(list)
        for row in self.rows(conversions):
            of_person[row["person"]].append(dict(row))
        for rows in of_person.values():
            told = [self.vendor.conversions.get(str(row["transaction_id"]), [(0, "EUR")])[-1][0] or 0 for row in rows]
            states = [row["episode"]["state"] for row in rows]  # type: ignore[index]
            true = [int(row["minor"]) for row, state in zip(rows, states, strict=True) if state == "won"]  # type: ignore[call-overload]
            assert states.count("open") + states.count("lost") <= 1
            at_most = sum(true) + (1500 if "open" in states else 0)
            assert sum(told) <= at_most, "what stands for a person never exceeds what was really paid"
            for value, state, row in zip(told, states, rows, strict=True):
                if state == "open":
                    assert value == min(int(row["minor"]), 1500)  # type: ignore[call-overload]
                elif state == "won":
                    assert value == row["minor"], "a goal's real value is never capped"
                else:
                    assert value == 0, state


@settings(exactly, max_examples=25, phases=[Phase.generate])
@given(deeds, st.booleans())
def test_what_stands_at_a_vendor_is_what_the_episodes_are_worth(story: list[tuple[str, int, int]], late: bool) -> None:
    account = Account(Vendor(late=late), RULES)
    try:
        minted: dict[str, int] = {}
        for deed in story:
            account.play(*deed)
            for row in account.rows(conversions):
                assert minted.setdefault(row["transaction_id"], row["opened_us"]) == row["opened_us"]
        account.settle()
        assert minted.keys() <= {row["transaction_id"] for row in account.rows(conversions)}
        account.adds_up()
        account.later(days=11)
        account.settle()
        account.adds_up()
        assert account.pipeline.next_due() is None, f"nothing is due any more at {to_us(account.now)}"
    finally:
        account.close()


# ---------------------------------------------------------------- planted mistakes

MISTAKES = {
    "an episode ends an instant late": (episodes_module, "at_us < self.ends_us", "at_us <= self.ends_us"),
    "it is said to have lapsed an instant late": (episodes_module, "at_us >= box.ends_us:", "at_us > box.ends_us:"),
    "a goal does not end an episode": (
        episodes_module,
        "self._current.won = step.position == self._goal",
        "self._current.won = step.position == self._goal and self._current.won",
    ),
    "the latest step counts, not the furthest": (
        episodes_module,
        "key=lambda step: (step.position, step.first.at_us)",
        "key=lambda step: (step.first.at_us, step.position)",
    ),
    "what was before a loss counts": (episodes_module, "now = box.steps[lost + 1 :]", "now = box.steps"),
    "a loss opens an episode": (
        episodes_module,
        "if self._current is None and step.position != _LOST:",
        "if self._current is None:",
    ),
    "one goal told twice is two": (
        episodes_module,
        "signal.at_us - groups[-1][0].at_us < same_within",
        "signal.at_us - groups[-1][0].at_us < 0",
    ),
    "two episodes stay open": (episodes_module, "box.joined = not box.over", "self._current = box"),
    "what was one with another comes back when that lapses": (episodes_module, " and not box.was_joined", ""),
    "the younger goes on": (
        episodes_module,
        "            box.joined = not box.over\n",
        "            here.joined, self._current = True, box\n",
    ),
    "what comes late brings back what has lapsed": (
        episodes_module,
        "if self._current is not None and self._current.over and step.position == self._goal:",
        "if False:",
    ),
    "an episode is opened anew by what comes late before it": (
        episodes_module,
        "opening is not None and opening.first.at_us <= box.opened_us",
        "opening is not None",
    ),
    "an event that is dated anew takes its old id along": (
        episodes_module,
        "if any(box.transaction_id == transaction_id for box in self.boxes):",
        "if False:",
    ),
    "at one instant the goal comes before the steps": (
        episodes_module,
        "return self.first.at_us, self.position == _LOST, self.position, self.first.event",
        "return self.first.at_us, self.position == _LOST, -self.position, self.first.event",
    ),
}
PLAIN = (
    (test_what_comes_in_time_reads_as_it_was_however_often_one_looks, (stories, looks)),
    (test_the_laws_hold_whatever_comes_late_goes_or_is_dated_anew, (stories, changes)),
    (test_the_laws_hold_when_two_persons_turn_out_to_be_one, (stories, st.integers(0, 255), looks, st.integers(0, 60))),
)
briefly = settings(exactly, phases=[Phase.generate], report_multiple_bugs=False)


@contextmanager
def planted(module: ModuleType, right: str, wrong: str) -> Iterator[None]:
    """Let a module be another for a while."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    assert source.count(right) == 1, f"{right!r} is not in {module.__name__} once"
    kept = dict(vars(module))
    try:
        exec(compile(source.replace(right, wrong), str(module.__file__), "exec"), vars(module))
        for name in ("State", "Episode"):  # the tests compare with these
            setattr(sys.modules[__name__], name, getattr(module, name))
        yield
    finally:
        vars(module).clear()
        vars(module).update(kept)
        for name in ("State", "Episode"):
            setattr(sys.modules[__name__], name, kept[name])


def broken() -> bool:
    """Whether some law does not hold."""
    for law, strategies in PLAIN:
        try:
            briefly(given(*strategies)(law.hypothesis.inner_test))()  # type: ignore[attr-defined]
        except (AssertionError, LookupError):
            return True
    return False


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_laws_see_a_planted_mistake(mistake: str) -> None:
    with planted(*MISTAKES[mistake]):
        assert broken()


def test_the_law_of_the_account_sees_that_what_still_stands_is_not_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The transient sum: at the tick that takes back and wins, both are sent."""
    for left, most in ((reports._left_standing, 5000), (lambda *_: {}, 6500)):
        monkeypatch.setattr(reports, "_left_standing", left)
        account = Account(Vendor(), RULES)
        account.did("b", "e1", email("ada"), consent=GRANTED)
        account.sync()
        account.later(days=11)
        account.did("won", "e2", email("ada"), amount=50)
        account.tick()
        account.vendor.faults = ["", "later"]
        account.deliver()
        assert sum(told[-1][0] or 0 for told in account.vendor.conversions.values()) == most
        account.close()
