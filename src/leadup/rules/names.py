"""Names in rule files: where each is declared, and where each is used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel

from leadup.errors import Problem
from leadup.rules import conditions as c
from leadup.rules import counts, habits
from leadup.rules.cases import Expect, Test
from leadup.rules.model import RuleFile
from leadup.rules.source import Document, Path

Noun: TypeAlias = Literal[
    "conversion", "funnel", "score", "tier", "segment", "list", "segment or list", "property", "reported conversion"
]
SECTIONS = {
    "micro_conversions": "conversion",
    "macro_conversions": "conversion",
    "funnels": "funnel",
    "scores": "score",
    "segments": "segment",
    "lists": "list",
    "groups": "group",
    "properties": "property",
    "conversions": "reported conversion",
}
"""Sections that declare names, and what such a name is called. Names of one kind are declared once in all files."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file whose parts are well formed; parts that are not are left out of ``rules``, not out of ``document``."""

    document: Document
    rules: RuleFile


@dataclass(frozen=True, slots=True)
class Use:
    """A name used somewhere."""

    noun: Noun
    name: str
    document: Document
    path: Path


@dataclass(slots=True)
class Declared:
    """Where each name is declared, by what it is called; ill-formed parts declare their names too."""

    places: dict[str, dict[str, tuple[Document, Path]]] = field(default_factory=lambda: defaultdict(dict))
    problems: list[Problem] = field(default_factory=list)

    def called(self, noun: Noun) -> Collection[str]:
        """Return the names of a kind, or of either of two."""
        return set().union(*(self.places[one] for one in noun.split(" or ")))

    def add(self, document: Document) -> None:
        """Take the names of one document; a name seen before is a problem."""
        for section, noun in SECTIONS.items():
            names = document.data.get(section) if isinstance(document.data, dict) else None
            for name in names if isinstance(names, dict) else ():
                path = (section, name)
                if name in self.places[noun]:
                    first, first_path = self.places[noun][name]
                    place = first.keys[first_path]
                    message = f'{noun} "{name}" is declared twice.'
                    where = f"the first one is at {first.file}:{place.line}:{place.column}"
                    self.problems.append(document.problem(path, message[:1].upper() + message[1:], where, at_key=True))
                else:
                    self.places[noun][name] = document, path


def walk(condition: Any, path: Path) -> Iterator[tuple[Any, Path]]:
    """Yield a condition and all conditions inside it, each with its path."""
    yield condition, path
    match condition:
        case c.AllOf(all=parts) | c.AnyOf(any=parts):
            key = condition.operator
            for index, part in enumerate(parts):
                yield from walk(part, (*path, key, index))
        case c.Not(not_=part):
            yield from walk(part, (*path, "not"))


def uses(loaded: Loaded) -> Iterator[Use]:
    """Yield every name that a file uses."""
    yield from _in_segments(loaded.document, loaded.rules)
    yield from _in_sections(loaded.document, loaded.rules)
    for index, test in enumerate(loaded.rules.tests):
        yield from _in_test(loaded.document, test, ("tests", index))


def _in_segments(document: Document, rules: RuleFile) -> Iterator[Use]:
    for name, segment in rules.segments.items():
        for condition, path in walk(segment.when, ("segments", name, "when")):
            for noun, key in _KEYS.get(type(condition), ()):
                yield from _listed(noun, getattr(condition, key), document, (*path, key))
        yield from _listed("segment or list", segment.exclude, document, ("segments", name, "exclude"))


def _in_sections(document: Document, rules: RuleFile) -> Iterator[Use]:
    for name, score in rules.scores.items():
        for pattern in score.points:
            yield Use("conversion", pattern, document, ("scores", name, "points", pattern))
    for name, steps in rules.funnels.items():
        yield from _listed("conversion", steps, document, ("funnels", name))
    for name, members in rules.groups.items():
        yield from _listed("segment", members, document, ("groups", name))
    for name, it in rules.properties.items():
        for key, noun in _WRITTEN.items():
            yield from _listed(noun, getattr(it, key), document, ("properties", name, key))
    for name, conversion in rules.conversions.items():
        for key in ("on", "ladder", "lost"):
            yield from _listed("conversion", getattr(conversion, key), document, ("conversions", name, key))


def _in_test(document: Document, test: Test, path: Path) -> Iterator[Use]:
    yield from _listed("list", test.lists, document, (*path, "lists"))
    for expect, at in expectations(test, path):
        yield from _listed("segment", expect.in_, document, (*at, "in"))
        yield from _listed("segment", expect.out, document, (*at, "out"))
        for score in expect.score or ():
            yield Use("score", score, document, (*at, "score", score))
        for conversion in expect.value or ():
            yield Use("reported conversion", conversion, document, (*at, "value", conversion))
        for prop in expect.properties or ():
            yield Use("property", prop, document, (*at, "properties", prop))


def holdouts_named(loaded: Loaded) -> Iterator[tuple[str, Path]]:
    """Yield the holdouts that a file speaks of, but for the segments that have them."""
    for name, prop in loaded.rules.properties.items():
        if prop.holdout is not None:
            yield prop.holdout, ("properties", name, "holdout")
    for index, test in enumerate(loaded.rules.tests):
        for number, held in enumerate(test.held_out or ()):
            yield held, ("tests", index, "held_out", number)


def expectations(test: Test, path: Path) -> Iterator[tuple[Expect, Path]]:
    """Yield what a test expects now and later, each with its path."""
    if test.expect:
        yield test.expect, (*path, "expect")
    for index, later in enumerate(test.later or ()):
        yield later, (*path, "later", index)


_WRITTEN: Mapping[str, Noun] = {
    "score": "score",
    "tier": "score",
    "segments": "segment",
    "last": "conversion",
    "last_at": "conversion",
}
"""What a property names, by its key; for holdouts see :func:`holdouts_named`."""
_KEYS: Mapping[type[BaseModel], tuple[tuple[Noun, str], ...]] = {
    counts.Did: (("conversion", "did"),),
    counts.DidNot: (("conversion", "did_not"),),
    habits.First: (("conversion", "first"),),
    habits.Stopped: (("conversion", "stopped"),),
    habits.Resumed: (("conversion", "resumed"),),
    habits.Regularly: (("conversion", "regularly"),),
    c.Started: (("conversion", "started"), ("conversion", "without")),
    c.DroppedAt: (("funnel", "of"),),
    c.Sequence: (("conversion", "sequence"), ("conversion", "without")),
    c.ScoreAtLeast: (("score", "score"),),
    c.InTier: (("tier", "tier"), ("score", "of")),
    c.InSegment: (("segment", "in_segment"),),
    c.InList: (("list", "in_list"),),
}


def _listed(noun: Noun, value: str | list[str] | None, document: Document, path: Path) -> Iterator[Use]:
    if isinstance(value, list):
        for index, name in enumerate(value):
            yield Use(noun, name, document, (*path, index))
    elif value is not None:
        yield Use(noun, value, document, path)
