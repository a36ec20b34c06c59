"""Runs the ``tests:`` of rule files: one person's story is judged at ``now`` and later, by the kernel itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from leadup.clock import parse_instant
from leadup.consent import permission
from leadup.engine.facts import people_table
from leadup.engine.kernel import judge
from leadup.engine.reported import happenings, worth
from leadup.errors import Problem
from leadup.membership import Members, fold
from leadup.rules.cases import Expect, Test
from leadup.rules.loader import Case, Rules
from leadup.rules.names import expectations
from leadup.rules.program import Program, Property
from leadup.rules.signals import signal_table
from leadup.rules.source import Document, Path
from leadup.rules.verdicts import Instants
from leadup.rules.visits import viewed
from leadup.rules.where import match, text_and_number
from leadup.types import Event, Json, Purpose, from_us, to_us
from leadup.values.occurrences import Happened
from leadup.values.properties import Known, value

_PERSON = 1
_Tables = tuple[pa.Table, pa.Table, pa.Table]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """What became of one test."""

    __test__: ClassVar = False  # for pytest: this is no test class

    name: str
    file: str
    line: int
    failures: tuple[Problem, ...] = ()
    """One for each expectation that was not met, at its place in the file."""

    @property
    def passed(self) -> bool:
        """Whether every expectation was met."""
        return not self.failures


Purposes = Mapping[str, Collection[Purpose]]
"""Purposes of consent that matter to an audience, by connection."""


def run(rules: Rules, purposes: Purposes | None = None, unless_denied: Purposes | None = None) -> list[TestResult]:
    """Run all tests, in the order of the files.

    Verdicts are those after ``exclude`` and groups; of a test that states ``consent``, what comes of it, of
    ``stay_at_least`` and of holdouts too, where audiences need ``purposes`` granted and ``unless_denied`` not denied.
    Every source counts as read up to the instant of judging. Facts hold from the beginning of the story.
    """
    return [_run(rules.program, case, purposes or {}, unless_denied or {}) for case in rules.tests]


def _run(program: Program, case: Case, purposes: Purposes, unless_denied: Purposes) -> TestResult:
    story, reported = _story(program, case.test), _happened(program, case.test)
    failures: list[Problem] = []
    for expect, path in expectations(case.test, case.path):
        at = to_us(case.test.now) + getattr(expect, "after", 0)
        (row,) = judge(program, *story, at=at, watermarks=dict.fromkeys(program.patterns, at)).to_pylist()
        verdicts = {**story[0].to_pylist()[0], **row}
        members = None if case.test.consent is None else _members(program, story, at)
        sent = None if members is None else _sent(program, case.test, members, purposes, unless_denied)
        failures += _failures(program, case.document, expect, path, verdicts, at, sent)
        for name, expected in (expect.properties or {}).items():
            told = value(program, program.properties[name], _known(program, name, case.test, verdicts, members, sent))
            if not _tells(program.properties[name], told, expected):
                text = f"At {shown(at)} {name} is {_worded(told)}, not {_worded(expected)}."
                failures.append(case.document.problem((*path, "properties", name), text))
        failures += _misreported(program, case.document, expect, path, reported, at)
    place = case.document.values[case.path]
    return TestResult(name=case.test.name, file=case.document.file, line=place.line, failures=tuple(failures))


def _sent(
    program: Program, test: Test, now: Mapping[str, Members], purposes: Purposes, unless_denied: Purposes
) -> dict[str, str | None]:
    """Say of each segment why the person would not be sent; None: some destination would get the person."""
    said = {purpose: word == "granted" for purpose, word in (test.consent or {}).items()}
    answers: dict[str, str | None] = {}
    for name, members in now.items():
        segment = program.segments[name]
        allowed = [
            permission(
                {*purposes.get(one.connection, ()), *one.consent},
                said,
                unless_denied=unless_denied.get(one.connection, ()),
            )
            for one in segment.activate
        ]
        if not members.holds[0]:
            answers[name] = ""
        elif segment.holdout is not None and segment.holdout.name in (test.held_out or ()):
            answers[name] = f"{segment.holdout.name} holds the person out"
        elif allowed and not any(one.granted for one in allowed):
            answers[name] = allowed[0].because
        else:
            answers[name] = None
    return answers


def _known(
    program: Program,
    name: str,
    test: Test,
    verdicts: Mapping[str, Any],
    members: Mapping[str, Members] | None,
    sent: Mapping[str, str | None] | None,
) -> Known:
    """What is known of the person, as far as a property tells of it; of a lot, as if it were drawn now."""
    prop = program.properties[name]
    inside = {one for one in program.segments if (verdicts[f"in:{one}"] if members is None else members[one].holds[0])}
    of = {one: segment.holdout.name for one, segment in program.segments.items() if segment.holdout is not None}
    held = {one for one in inside & of.keys() if sent is not None and of[one] in (test.held_out or ())}
    mine = {one for one in inside & of.keys() if sent is not None and of[one] in prop.names}
    lot = "held_out" if mine & held else "sent" if any(sent and sent[one] is None for one in mine) else ""
    last = (verdicts[f"last:{name}"], verdicts[f"last_at:{name}"]) if prop.patterns else None
    return Known(
        score=verdicts[f"score:{prop.names[0]}"] if prop.of in ("score", "tier") else 0.0,
        segments=inside,
        held_out=held,
        last=last if last and last[0] >= 0 else None,
        lot=lot,
    )


def _tells(prop: Property, told: Json, expected: Json) -> bool:
    """Whether a property is as a test expects; order does not matter to segments, nor spelling to an instant."""
    if not told or not expected:
        return not told and not expected
    if prop.of == "segments":
        ours, theirs = (one.split(";") if isinstance(one, str) else one for one in (told, expected))
        return isinstance(theirs, list) and isinstance(ours, list) and sorted(ours) == sorted(theirs)
    if prop.of == "last_at":
        try:
            return parse_instant(str(told)) == parse_instant(str(expected))
        except (ValueError, OverflowError):
            return False
    return told == expected


def _worded(told: Json) -> str:
    if not told:
        return "nothing"
    return (
        ", ".join(map(str, told)) if isinstance(told, list) else f"{told:g}" if isinstance(told, float) else str(told)
    )


def _members(program: Program, story: _Tables, at: int) -> dict[str, Members]:
    """Fold the story's memberships from its beginning: judged whenever something can change, as a daemon does."""
    instant, before = min(story[0]["known_from"][0].as_py(), at), dict[str, Instants]()
    while True:
        verdicts = judge(program, *story, at=instant, watermarks=dict.fromkeys(program.patterns, instant))
        members = fold(program, verdicts, before, instant)
        if instant >= at:
            return members
        before = {name: one.entered for name, one in members.items()}
        changes = [verdicts[column][0].as_py() for column in ("due", "waits")]
        instant = min(at, *changes, *(int(one.until[0]) for one in members.values()))


def _events(test: Test) -> list[tuple[str, dict[str, Any], int]]:
    """Name, properties and instant of what happened."""
    now = to_us(test.now)
    return [(*it.event, now - (it.ago or 0) if it.at is None else to_us(it.at)) for it in test.events]


def _story(program: Program, test: Test) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Return the kernel's tables of people, signals and facts."""
    events = _events(test)
    begin = min([to_us(test.now), *(at for _, _, at in events)])
    found = match(program, [name for name, _, _ in events], [properties for _, properties, _ in events])
    rows = [(pattern, index) for pattern, indices in found for index in indices.tolist()]
    signals = signal_table(
        program,
        person=[_PERSON] * len(rows),
        pattern=[pattern for pattern, _ in rows],
        at=[events[index][2] for _, index in rows],
        key=[f"{index:09}" for _, index in rows],
        properties=[viewed(pattern, events[index][1], {}) for pattern, index in rows],
    )
    people = people_table(program, {_PERSON: begin}, {name: {_PERSON} for name in test.lists or ()})
    return people, signals, _facts(test, begin)


def _facts(test: Test, at: int) -> pa.Table:
    traits = test.person or {}
    values = [text_and_number(value) for value in traits.values()]
    return pa.table(
        {
            "person": pa.array([_PERSON] * len(traits), pa.int64()),
            "trait": pa.array(traits, pa.string()),
            "at": pa.array([at] * len(traits), pa.int64()),
            "text": pa.array([text for text, _ in values], pa.string()),
            "num": pa.array([number for _, number in values], pa.float64()),
        }
    )


def _failures(
    program: Program,
    document: Document,
    expect: Expect,
    path: Path,
    verdicts: Mapping[str, Any],
    at: int,
    sent: Mapping[str, str | None] | None,
) -> Iterator[Problem]:
    then = f"At {shown(at)}"
    for index, segment in enumerate(expect.in_ or ()):
        if not verdicts[f"in:{segment}"] if sent is None else sent[segment] is not None:
            why = (sent and sent[segment]) or _why_out(program, segment, verdicts)
            message = f'{then} the person is not in "{segment}": {why}.'
            yield document.problem((*path, "in", index), message)
    for index, segment in enumerate(expect.out or ()):
        if verdicts[f"in:{segment}"] if sent is None else sent[segment] is None:
            kept = "`stay_at_least` keeps the person in"
            why = "its `when` holds and nothing takes the person out" if verdicts[f"in:{segment}"] else kept
            message = f'{then} the person is in "{segment}": {why}.'
            yield document.problem((*path, "out", index), message)
    for score, expected in (expect.score or {}).items():
        place, actual = (*path, "score", score), verdicts[f"score:{score}"]
        digits = _digits(document.values[place].text)
        if abs(actual - expected) > 0.5 * 10**-digits + 1e-9:
            written = document.values[place].text
            yield document.problem(place, f"{then} {score} is {actual:.{digits + 1}f}, not {written}.")


def _happened(program: Program, test: Test) -> dict[str, list[Happened]]:
    told = [
        (at, Event(source="test", id=name, name=name, at=from_us(at), identifiers=(), properties=properties))
        for name, properties, at in _events(test)
    ]
    return happenings(program, told)


def _misreported(
    program: Program,
    document: Document,
    expect: Expect,
    path: Path,
    happened: Mapping[str, Sequence[Happened]],
    at: int,
) -> Iterator[Problem]:
    """What a conversion is not worth that should be; nothing reported is worth 0 of any currency."""
    for name, expected in (expect.value or {}).items():
        actual = worth(program, program.conversions[name], happened, at)
        if actual != expected and (actual is not None or expected.minor):
            then = f"At {shown(at)}"
            text = f"{then} {name} is worth {actual}, not {expected}." if actual else f"{then} {name} reports nothing."
            yield document.problem((*path, "value", name), text)


def shown(at: int) -> str:
    """An instant as failures have it."""
    return from_us(at).isoformat().replace("+00:00", "Z")


def _why_out(program: Program, segment: str, verdicts: Mapping[str, Any]) -> str:
    if not verdicts[f"when:{segment}"]:
        return "its `when` does not hold"
    for other in program.segments[segment].exclude:
        if other in program.lists:
            if verdicts[f"list:{other}"]:
                return f'it excludes the list "{other}", and the person is on it'
        elif verdicts[f"when:{other}"] and not verdicts[f"excluded:{other}"]:
            return f'it excludes "{other}", which holds'
    group = next(group for group in program.groups if segment in group.segments)
    winner = next((other for other in group.segments if verdicts[f"in:{other}"]), segment)
    if winner == segment:
        return f'group "{group.name}" still keeps the person in an earlier segment'
    return f'group "{group.name}" gives the person to "{winner}"'


def _digits(text: str) -> int:
    """Return the number of digits after the point of a number as it is written."""
    written = re.fullmatch(r"[-+]?[0-9_]*\.([0-9]*)", text)
    return len(written[1]) if written else 0
