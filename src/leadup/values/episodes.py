"""Ladders: what a person does on the way to a goal becomes episodes, each one conversion whose value grows. Pure.

An episode is opened by the first step after the last goal, or after the last episode ended, and is known by that event
for good: its transaction id, time, click ids and consent stay those of the event that opened it, whatever else comes
late, goes, or turns out to belong to it. It is worth what its furthest step is worth; once the goal is reached, what
the goal is really worth; and nothing once it lapsed, was lost, or turned out to be one with an older one.

The steps are placed anew each time, by time; only the anchors are remembered: which episodes have been opened, and
which of them ended unreached. What comes late for an episode that has ended does not bring it back: a goal then opens
one of its own.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from leadup.rules.program import Ladder
from leadup.types import Money
from leadup.values.occurrences import Happened, Occurrence, mint

_LOST: Final = -1
_Order: TypeAlias = "tuple[int, bool, int, str]"


class State(enum.StrEnum):
    """Where an episode stands. It is worth something while it is open, and when it is won."""

    OPEN = "open"
    WON = "won"
    """The goal was reached."""
    LOST = "lost"
    """Nothing will come of it, it was said; a later step takes it up again."""
    LAPSED = "lapsed"
    """It ended before the goal was reached."""
    JOINED = "joined"
    """It is one with an older one: two persons turned out to be one, or a goal between them was taken back."""
    GONE = "gone"
    """All its events were taken back."""


_WHY: Final = {
    State.LOST: "it was lost",
    State.LAPSED: "its episode ended before the goal was reached",
    State.JOINED: "it is one with an older episode",
    State.GONE: "the events that reported it were taken back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode(Occurrence):
    """One way up a ladder. ``value`` is what its step, or its goal, is worth, uncapped; None if that is not known."""

    opener: str
    """The key, in hex, of the event that opened it."""
    state: State
    step: str = ""
    """The furthest step, since it was opened or taken up again; the goal once it is won."""
    ends_us: int
    """When it lapses, unless the goal is reached before."""
    since_us: int
    """When its furthest step, its goal or its loss happened."""
    estimate: bool = True
    """Whether ``value`` is what one may expect, and not what a goal is really worth."""

    @property
    def void(self) -> str:
        return _WHY.get(self.state, "")


@dataclass(frozen=True, slots=True)
class _Step:
    """One occurrence of a step, or of what says that all is lost: signals that are the same count once."""

    position: int
    """In the ladder; :data:`_LOST`."""
    first: Happened
    events: list[str]
    value: Money | None

    @property
    def order(self) -> _Order:
        """By time; at one instant from the bottom of the ladder to its top, and a loss after all."""
        return self.first.at_us, self.position == _LOST, self.position, self.first.event


@dataclass(slots=True)
class _Box:
    """An episode to be filled."""

    transaction_id: str
    opener: str
    opened_us: int
    ends_us: int
    click_ids: tuple[tuple[str, str], ...]
    click_us: int | None
    consent: tuple[tuple[str, bool], ...]
    told_by: frozenset[str] = frozenset()
    """Events that were known to belong to it. Without any of them it takes no more steps."""
    had: frozenset[str] = frozenset()
    """Events that were part of it when it was looked at before."""
    over: bool = False
    """It lapsed when it was looked at before."""
    was_joined: bool = False
    """It was one with an older one, and stays so when that one lapses."""
    joined: bool = False
    won: bool = False
    steps: list[_Step] = field(default_factory=list)

    def takes(self, at_us: int) -> bool:
        """Whether a step at this instant belongs to it."""
        return not self.won and not self.joined and at_us < self.ends_us


def episodes(
    conversion: str,
    ladder: Ladder,
    same_within: Mapping[str, int],
    known: Sequence[Occurrence],
    happened: Mapping[str, Sequence[Happened]],
    at_us: int,
) -> list[Episode]:
    """Return all episodes of one person as they stand at ``at_us``, oldest first.

    Args:
        conversion: its name; goes into the transaction ids.
        ladder: the steps and what they are worth.
        same_within: by pattern, how close signals must be to be one, in microseconds.
        known: what this returned before (of persons who were merged, of all of them).
        happened: by pattern, the person's present signals up to ``at_us``.
        at_us: the moment of judging.
    """
    boxes = [_known(one, ladder.episode) for one in known]
    steps = _steps(ladder, same_within, happened)
    placing = _Placing(conversion, ladder, boxes, steps)
    for number, step in enumerate(steps):
        placing.place(number, step)
    placing.finish()
    placing.boxes.sort(key=lambda box: (box.opened_us, box.transaction_id))
    return [_episode(ladder, box, at_us) for box in placing.boxes]


def _known(one: Occurrence, episode: int) -> _Box:
    opener = one.opener if isinstance(one, Episode) else next(iter(one.events), "")
    return _Box(
        transaction_id=one.transaction_id,
        opener=opener,
        opened_us=one.opened_us,
        ends_us=one.opened_us + episode,
        click_ids=one.click_ids,
        click_us=one.click_us,
        consent=one.consent,
        told_by=frozenset((opener, *one.events)),
        had=frozenset(one.events),
        over=isinstance(one, Episode) and one.state is State.LAPSED,
        was_joined=isinstance(one, Episode) and one.state is State.JOINED,
    )


def _steps(ladder: Ladder, same_within: Mapping[str, int], happened: Mapping[str, Sequence[Happened]]) -> list[_Step]:
    worth = dict(ladder.worth)
    found: list[_Step] = []
    climbed = [*enumerate(ladder.steps), *((_LOST, lost) for lost in (ladder.lost,) if lost)]
    for position, pattern in climbed:
        found += _once(position, worth.get(pattern), same_within.get(pattern, 0), happened.get(pattern, ()))
    return sorted(found, key=lambda step: step.order)


def _once(position: int, worth: Money | None, same_within: int, happened: Sequence[Happened]) -> list[_Step]:
    """Take together signals with an equal event id, or closer than ``same_within`` to the last one that counted."""
    groups: list[list[Happened]] = []
    by_event_id: dict[str, list[Happened]] = {}
    for signal in sorted(happened, key=lambda one: (one.at_us, one.event)):
        same = by_event_id.get(signal.event_id) if signal.event_id else None
        if same is None and groups and signal.at_us - groups[-1][0].at_us < same_within:
            same = groups[-1]
        if same is None:
            same = []
            groups.append(same)
        same.append(signal)
        if signal.event_id:
            by_event_id.setdefault(signal.event_id, same)
    return [
        _Step(
            position=position,
            first=group[0],
            events=[one.event for one in group],
            value=worth or next((one.value for one in group if one.value is not None), None),
        )
        for group in groups
    ]


class _Placing:
    """Goes through the steps and the anchors of known episodes in the order of time."""

    def __init__(self, conversion: str, ladder: Ladder, boxes: list[_Box], steps: Sequence[_Step]) -> None:
        self.boxes = boxes
        self._conversion, self._ladder, self._steps = conversion, ladder, steps
        self._goal = len(ladder.steps) - 1
        by_event = {event: step for step in reversed(steps) if step.position != _LOST for event in step.events}
        alive = (box for box in boxes if not box.told_by.isdisjoint(by_event))
        anchors = ((_anchor(box, by_event.get(box.opener)), box) for box in alive)
        self._waiting = deque(sorted(anchors, key=lambda one: (one[0], one[1].transaction_id)))
        self._current: _Box | None = None
        self._lapsed = [box for box in boxes if box.over]

    def place(self, number: int, step: _Step) -> None:
        """Put a step where it belongs; it opens an episode if there is none for it."""
        while self._waiting and self._waiting[0][0] <= step.order:
            self._pass()
        at_us = step.first.at_us
        if (lapsed := self._owner(step)) is not None:
            lapsed.steps.append(step)
            return
        if self._current is not None and not self._current.takes(at_us):
            self._current = None
        if self._current is not None and self._current.over and step.position == self._goal:
            self._current = None  # too late for that one
        if self._current is None and step.position != _LOST:
            self._current = self._just_ahead(number, step) or self._open(step)
        if self._current is not None:
            self._current.steps.append(step)
            self._current.won = step.position == self._goal

    def _owner(self, step: _Step) -> _Box | None:
        """The lapsed episode that a step was known to belong to: it keeps what it had, whoever else would take it."""
        if step.position == self._goal:
            return None
        ones = (box for box in self._lapsed if step.first.at_us < box.ends_us)
        return next((box for box in ones if not box.had.isdisjoint(step.events)), None)

    def finish(self) -> None:
        """Come to the anchors that lie behind the last step."""
        while self._waiting:
            self._pass()

    def _pass(self) -> None:
        """Come to where a known episode was opened: it goes on from here, unless an older one is open still."""
        box = self._waiting.popleft()[1]
        here = self._current
        if here is None or not here.takes(box.opened_us) or (here.over and not box.was_joined):
            self._current = box
        else:
            box.joined = not box.over

    def _just_ahead(self, number: int, step: _Step) -> _Box | None:
        """The known episode that a step which comes late would have opened, had it come in time."""
        if step.position == self._goal or not self._waiting:
            return None
        anchor, box = self._waiting[0]
        if box.opened_us >= step.first.at_us + self._ladder.episode:
            return None
        for later in self._steps[number + 1 :]:
            if later.order >= anchor:
                break
            if later.position == self._goal:
                return None
        self._waiting.popleft()
        return box

    def _open(self, step: _Step) -> _Box:
        opening = step.first
        transaction_id = mint(self._conversion, opening.event)
        if any(box.transaction_id == transaction_id for box in self.boxes):  # the event was dated anew since
            transaction_id = mint(self._conversion, f"{opening.event}@{opening.at_us}")
        known = next((box for box in self.boxes if box.transaction_id == transaction_id), None)
        if known is not None:
            return known
        box = _Box(
            transaction_id=transaction_id,
            opener=opening.event,
            opened_us=opening.at_us,
            ends_us=opening.at_us + self._ladder.episode,
            click_ids=opening.click_ids,
            click_us=opening.click_us,
            consent=opening.consent,
        )
        self.boxes.append(box)
        return box


def _anchor(box: _Box, opening: _Step | None) -> _Order:
    """Just before the step that opened it, if that is where it was, or has turned out to be an earlier one."""
    if opening is not None and opening.first.at_us <= box.opened_us:
        at_us, lost, position, event = opening.order
        return at_us, lost, position, event
    return box.opened_us, False, _LOST, ""


def _episode(ladder: Ladder, box: _Box, at_us: int) -> Episode:
    state, now = _state(box, at_us)
    goal = now[-1] if state is State.WON else None
    furthest = _furthest(now)
    real = goal is not None and goal.value is not None
    counts = goal or furthest
    steps = () if state is State.GONE else box.steps  # a loss alone tells of nothing
    events = sorted({event for step in steps for event in step.events}, key=lambda event: event != box.opener)
    last = box.steps[-1] if state is State.LOST else counts
    return Episode(
        transaction_id=box.transaction_id,
        opener=box.opener,
        opened_us=box.opened_us,
        events=tuple(events),
        value=(goal.value if goal and real else furthest.value if furthest else None),
        click_ids=box.click_ids,
        click_us=box.click_us,
        consent=box.consent,
        state=state,
        step=ladder.steps[counts.position] if counts else "",
        ends_us=box.ends_us,
        since_us=last.first.at_us if last else box.opened_us,
        estimate=not real,
    )


def _state(box: _Box, at_us: int) -> tuple[State, list[_Step]]:
    """Say where it stands, and give the steps that count now: those since it was lost, if it was."""
    lost = max((index for index, step in enumerate(box.steps) if step.position == _LOST), default=-1)
    now = box.steps[lost + 1 :]
    if box.over:
        return State.LAPSED, now
    if box.joined:
        return State.JOINED, []
    if box.won:
        return State.WON, now
    if all(step.position == _LOST for step in box.steps):
        return State.GONE, []
    if at_us >= box.ends_us:
        return State.LAPSED, now
    return (State.OPEN, now) if now else (State.LOST, now)


def _furthest(steps: Sequence[_Step]) -> _Step | None:
    """The step nearest to the goal whose worth is known; of several of one kind the latest."""
    valued = [step for step in steps if step.value is not None]
    return max(valued or steps, key=lambda step: (step.position, step.first.at_us), default=None)
