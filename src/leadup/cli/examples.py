"""The page of smallest examples: of every operator a history that is in, and one that is nearly so and out.

None is taken on trust: :func:`page` puts each into a rule file with two tests, and runs them as ``leadup rules test``
does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leadup.engine import testing
from leadup.rules import loader

NOW: Final = "2026-03-01T12:00:00Z"
CATALOGUE: Final = """\
version: 1
micro_conversions:
  a: {event: a}
  b: {event: b}
  c: {event: c}
  once: {event: a, same_within: 1m}
funnels: {path: [a, b, c]}
scores: {s: {half_life: 1m, points: {a: 10, b: 10}, tiers: {low: 5, high: 20}}}
lists: {customers: {file: customers.csv, match: email}}
segments:
  other: {when: {did: b}}
  it: {when: %s}
tests:
"""
CUSTOMERS: Final = "email\nada@example.com\n"


@dataclass(frozen=True, slots=True)
class Story:
    """What one person did and is, each line as it is written in a test."""

    events: tuple[str, ...] = ()
    person: str = ""
    """Facts, as a YAML mapping."""
    lists: str = ""
    """Lists the person is on, as a YAML list."""

    def __str__(self) -> str:
        said = [f"`person: {self.person}`"] if self.person else []
        said += [f"`lists: {self.lists}`"] if self.lists else []
        return "<br>".join([*said, *(f"`{event}`" for event in self.events)]) or "nothing"

    def lines(self) -> Iterator[str]:
        """Yield the keys of a test, one a line."""
        yield f"events: [{', '.join(self.events)}]"
        if self.person:
            yield f"person: {self.person}"
        if self.lists:
            yield f"lists: {self.lists}"


@dataclass(frozen=True, slots=True)
class Example:
    """A condition, the smallest history for which it holds, and one step from it one for which it does not."""

    condition: str
    inside: Story
    outside: Story
    because: str

    def file(self) -> str:
        """Return a rule file that tests both."""
        text = CATALOGUE % self.condition
        for where, story in (("in", self.inside), ("out", self.outside)):
            lines = [f"name: it is {where}", f"now: {NOW}", *story.lines(), f"expect: {{{where}: [it]}}"]
            text += "  - " + "\n    ".join(lines) + "\n"
        return text


@dataclass(frozen=True, slots=True)
class Question:
    """What people ask of all operators, answered in words and by examples."""

    title: str
    answer: str
    examples: Sequence[Example]


def did(*events: str, **rest: str) -> Story:
    """Make a story of events in short: ``a 59s``, ``a 1s {n: 2}`` are the name, how long ago, and properties."""
    written = []
    for event in events:
        name, ago, *properties = event.split(" ", 2)
        written.append(f"{{{name}: {properties[0] if properties else '{}'}, ago: {ago}}}")
    return Story(tuple(written), **rest)


OPERATORS: Final[Sequence[Example]] = (
    Example("{did: a, within: 1m}", did("a 59s"), did("a 60s"), "what happened exactly `within` ago has left"),
    Example("{did: a, at_least: 2}", did("a 1s", "a 0s"), did("a 0s"), "one is not two"),
    Example("{did: a, at_most: 1}", did(), did("a 1s", "a 0s"), "one at most: none will do, two will not"),
    Example("{did: a, exactly: 1}", did("a 0s"), did("a 1s", "a 0s"), "no fewer and no more"),
    Example("{did: a, between: [1, 2]}", did("a 0s"), did(), "the lower of two bounds excludes zero"),
    Example("{did: a, where: {x: 1}}", did("a 0s {x: 1}"), did("a 0s"), "what is missing passes only `ne`"),
    Example("{did: a, within: {from: 2m, to: 1m}}", did("a 60s"), did("a 59s"), "the range ends a minute ago"),
    Example(
        "{did: a, sum: n, at_least: 3}",
        did("a 1s {n: 1}", "a 0s {n: 2}"),
        did("a 1s {n: 1}", "a 0s {n: 1.999}"),
        "sums are exact",
    ),
    Example("{did: a, max: n, at_least: 3}", did("a 0s {n: 3}"), did("a 0s {n: 2}"), "the highest is below 3"),
    Example(
        "{did: a, distinct: x, at_least: 2}",
        did("a 1s {x: 1}", "a 0s {x: 2}"),
        did("a 1s {x: 1}", 'a 0s {x: "1"}'),
        'the number 1 and the text "1" are one value',
    ),
    Example("{did_not: a, within: 1m}", did(), did("a 59s"), "it is still inside the minute"),
    Example(
        "{sessions: {at_least: 2}}",
        did("page_view 30m", "page_view 0s"),
        did("page_view 29m", "page_view 0s"),
        "a pause of 30 minutes begins a visit anew",
    ),
    Example("{return_visits: {}}", did("page_view 30m", "page_view 0s"), did("page_view 0s"), "the first is no return"),
    Example("{first: a, within: 1m}", did("a 59s"), did("a 60s", "a 59s"), "the first ever is older"),
    Example("{stopped: a, for: 1m}", did("a 60s"), did("a 59s"), "a minute has not passed"),
    Example("{stopped: a, for: 1m, after: 1m}", did("a 119s"), did("a 120s"), "it has been so for a minute"),
    Example("{resumed: a, after_pause: 1m}", did("a 60s", "a 0s"), did("a 59s", "a 0s"), "too short a pause"),
    Example(
        "{regularly: a, at_least: 2, of_last: 2, every: 1m}",
        did("a 60s", "a 59s"),
        did("a 59s", "a 0s"),
        "both are in the last of the two minutes",
    ),
    Example(
        "{started: a, without: b, for: 1m}", did("a 60s"), did("a 60s", "b 60s"), "an end at the same instant ends it"
    ),
    Example("{dropped_at: a, of: path, for: 1m}", did("a 60s"), did("a 60s", "b 0s"), "the next step was taken"),
    Example("{sequence: [a, b]}", did("a 1s", "b 0s"), did("a 0s", "b 0s"), "steps at one instant are not in order"),
    Example("{sequence: [a, b], span: 1m}", did("a 60s", "b 0s"), did("a 61s", "b 0s"), "more than the span"),
    Example(
        "{sequence: [a, b, c], strict: true}",
        did("a 3s", "b 2s", "c 0s"),
        did("a 3s", "b 2s", "a 1s", "c 0s"),
        "an `a` lies between `b` and `c`",
    ),
    Example(
        "{sequence: [a, b], without: c}",
        did("a 2s", "b 0s"),
        did("a 2s", "c 1s", "b 0s"),
        "a `c` lies between",
    ),
    Example("{score: s, at_least: 10}", did("a 0s"), did("a 1s"), "points decay from the first second"),
    Example("{tier: low}", did("a 0s"), did("a 0s", "b 0s"), "20 points are in the tier above"),
    Example("{person: {t: 1}}", did(person="{t: 1}"), did(person="{t: 2}"), "2 is not 1"),
    Example("{in_segment: other}", did("b 0s"), did("a 0s"), "`other` is who did `b`"),
    Example("{in_list: customers}", did(lists="[customers]"), did(), "on no list"),
    Example("{all: [{did: a}, {did: b}]}", did("a 0s", "b 0s"), did("a 0s"), "one part does not hold"),
    Example("{any: [{did: a}, {did: b}]}", did("a 0s"), did("c 0s"), "no part holds"),
    Example("{not: {did: a}}", did(), did("a 0s"), "the part holds"),
)

QUESTIONS: Final[Sequence[Question]] = (
    Question(
        "What does a window hold at its edges?",
        "A window is `(at - within, at]`: what happened at the very moment of judging is in, what happened exactly\n"
        "`within` ago is out. A range `{from, to}` is `(at - from, at - to]`, by the same rule. What is dated later\n"
        "than the moment of judging is not seen yet. `for` and `after_pause` are reached when they are over: exactly\n"
        "so long is long enough; so is a `span` of exactly its length.",
        (
            Example("{did: a, within: 1m}", did("a 0s"), did("a 60s"), "now is in, a minute ago is out"),
            Example("{did: a, within: {from: 2m, to: 1m}}", did("a 60s"), did("a 120s"), "`to` is in, `from` is out"),
            Example(
                "{did: a}",
                did("a 0s"),
                Story(("{a: {}, at: 2026-03-01T12:00:01Z}",)),
                "a second ahead",
            ),
            Example(
                "{started: a, without: b, for: 1m, within: 2m}", did("a 60s"), did("a 120s"), "of age, and too old"
            ),
        ),
    ),
    Question(
        "What of two events at the same instant?",
        "Neither is before the other. Steps of a sequence at one instant are not in order, and there is no pause\n"
        "between them. `without` in `started` counts from the start on, so that an end at the same instant ends it.\n"
        "Between steps is strictly between: at the instant of a step nothing breaks a sequence. Two events count\n"
        "twice, unless `same_within` or an equal `event_id` makes them one; exactly `same_within` apart they are two.",
        (
            Example("{did: a, at_least: 2}", did("a 0s", "a 0s"), did("a 0s"), "both count"),
            Example(
                "{did: once, at_least: 2}", did("a 60s", "a 0s"), did("a 0s", "a 0s"), "`once` has `same_within: 1m`"
            ),
            Example(
                "{sequence: [a, b], without: c}",
                did("a 2s", "c 2s", "b 0s"),
                did("a 2s", "c 1s", "b 0s"),
                "only strictly between does harm",
            ),
            Example("{resumed: a, after_pause: 1s}", did("a 1s", "a 0s"), did("a 0s", "a 0s"), "no pause between them"),
        ),
    ),
    Question(
        'What is "exactly 0"?',
        "`exactly: 0`, `at_most: 0` and `did_not` say the same: none in the window. As all absence, it is said once\n"
        "the sources have been read far enough (a test takes them to be read up to its `now`).",
        (
            Example("{did: a, exactly: 0, within: 1m}", did("a 60s"), did("a 59s"), "one is in the window"),
            Example("{did: a, at_most: 0, within: 1m}", did("a 60s"), did("a 59s"), "the same"),
            Example("{did_not: a, within: 1m}", did("a 60s"), did("a 59s"), "the same"),
        ),
    ),
    Question(
        "Who is asked by a lone `not`?",
        "Every known person: everyone with an event or a fact up to the moment of judging, of whatever kind, and\n"
        "nobody else. The same goes for `did_not`, for upper bounds, and for `ne` and `exists: false` of a person.",
        (
            Example("{not: {did: a}}", did("c 0s"), did("a 0s"), "known by a `c` that no rule asks for"),
            Example("{not: {did: a}}", did(person="{t: 1}"), did("a 0s"), "known by a fact"),
            Example("{not: {not: {did: a}}}", did("a 0s"), did(), "twice is not at all"),
            Example("{person: {t: {ne: 1}}}", did(), did(person="{t: 1}"), "who has no `t` passes `ne`"),
        ),
    ),
)


def page() -> str:
    """Return the page, once every example has been run.

    Raises:
        ValueError: one of them is not so.
    """
    parts = [
        "# The operators, by their smallest examples",
        "",
        "Made by `make docs`, which runs every example as `leadup rules test` does; a test keeps it fresh.",
        "",
        "Each row has a condition, the smallest history of a person who is in, and one that is nearly the same and",
        "out. `ago` counts back from the moment of judging. The formulas, and what changes by itself when, are in",
        "[the rule language](rules.md). `where` is for `did` and `did_not`: other operators take conversions as they",
        "are declared, so that `first` of something special asks for a micro conversion of its own.",
        "",
        *_table(OPERATORS),
    ]
    for question in QUESTIONS:
        parts += [f"## {question.title}", "", question.answer, "", *_table(question.examples)]
    parts += [
        "## The file that the examples are run in",
        "",
        "```yaml",
        *(CATALOGUE % "…").splitlines()[:-1],
        "```",
        "",
    ]
    return "\n".join(parts)


def _table(examples: Sequence[Example]) -> Iterator[str]:
    yield "| condition | in | out | because |"
    yield "| --- | --- | --- | --- |"
    for example in examples:
        run(example)
        yield f"| `{example.condition}` | {example.inside} | {example.outside} | {example.because} |"
    yield ""


def run(example: Example) -> None:
    """Run one example.

    Raises:
        ValueError: it is not so.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "customers.csv").write_text(CUSTOMERS, encoding="utf-8")
        (Path(folder) / "rules.yaml").write_text(example.file(), encoding="utf-8")
        results = testing.run(loader.load([Path(folder)]))
    failures = [failure.message for result in results for failure in result.failures]
    if failures or len(results) != 2:
        raise ValueError(f"{example.condition}: {' '.join(failures)}")
