"""The page of smallest examples: they are so, they are small, and no operator is without."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from leadup.cli.examples import OPERATORS, QUESTIONS, Example, Story, did, run
from leadup.rules import conditions

EVERY = [*OPERATORS, *(example for question in QUESTIONS for example in question.examples)]


def test_every_operator_and_each_of_its_keys_has_an_example() -> None:
    written = " ".join(example.condition for example in OPERATORS)
    first = {example.condition.removeprefix("{").partition(":")[0] for example in OPERATORS}
    assert set(conditions.OPERATORS) == first
    keys = {key for model in conditions.OPERATORS.values() for key in model.key_names()}
    assert {key for key in keys if not re.search(rf"\b{key}: ", written)} <= {"of", "times"}


@pytest.mark.parametrize("example", EVERY, ids=lambda example: example.condition)
def test_one_step_lies_between_in_and_out(example: Example) -> None:
    """One thing is another, or one or two are more or fewer."""
    inside, outside = (
        Counter(filter(None, [*story.events, story.person, story.lists])) for story in (example.inside, example.outside)
    )
    assert 1 <= (inside - outside).total() + (outside - inside).total() <= 2


@pytest.mark.parametrize("example", OPERATORS, ids=lambda example: example.condition)
def test_nothing_can_be_left_out_of_what_is_in(example: Example) -> None:
    said = example.inside
    for event in said.events:
        events = list(said.events)
        events.remove(event)
        run(replace(example, outside=replace(said, events=tuple(events))))
    for name in ("person", "lists"):
        if getattr(said, name):
            run(replace(example, outside=replace(said, **{name: ""})))


@pytest.mark.parametrize(
    ("inside", "outside"),
    [(did(), did("b 0s")), (did("a 0s"), did("a 1s")), (Story(person="{t: 1}"), did())],
)
def test_an_example_that_is_not_so_is_refused(inside: Story, outside: Story) -> None:
    with pytest.raises(ValueError, match=re.escape("{did: a}: At 2026-03-01T12:00:00Z")):
        run(Example("{did: a}", inside, outside, ""))
