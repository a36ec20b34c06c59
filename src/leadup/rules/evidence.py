"""What has come in so far, held against rules that load: events nobody sends, consent nobody gave, small audiences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from leadup.errors import Problem
from leadup.outgoing import Use
from leadup.rules import checks
from leadup.rules.loader import Rules
from leadup.rules.names import Loaded
from leadup.rules.source import Path
from leadup.rules.suggest import did_you_mean
from leadup.rules.visits import EVENTS as VISIT_EVENTS
from leadup.types import Purpose

_SENDERS = {Use.AUDIENCE: "segments", Use.CONVERSION: "conversions", Use.PROPERTY: "properties"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What an installation has seen."""

    events: Collection[str]
    """Names of the events that have come in."""
    granted: Collection[Purpose]
    """Purposes that anybody has ever consented to."""
    members: Mapping[str, int] = field(default_factory=dict)
    """By segment, how many people it has now; what is not live is not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a connection asks of what is sent there."""

    purposes: Mapping[Use, frozenset[Purpose]] = field(default_factory=dict)
    serves_from: int = 0
    """An audience with fewer members reaches nobody."""


def doubts(rules: Rules, evidence: Evidence, asked: Mapping[str, Asked]) -> list[Problem]:
    """Return a warning for each thing in the rules that can not work by what was seen. ``asked``: by connection."""
    if not evidence.events:
        return []
    return [
        problem
        for file in rules.files
        for problem in (*_unseen(file, evidence.events), *_unwelcome(file, evidence, asked))
    ]


def _unseen(file: Loaded, known: Collection[str]) -> Iterator[Problem]:
    for section in ("micro_conversions", "macro_conversions"):
        for name, pattern in getattr(file.rules, section).items():
            for index, match in enumerate(checks.matches(pattern)):
                if match.event not in known:
                    path: Path = (section, name, "any", index, "event") if pattern.any else (section, name, "event")
                    hint = did_you_mean(match.event, known) or "look at how the source spells it"
                    yield file.document.problem(path, f'No event "{match.event}" has come in so far.', hint)
    if set(VISIT_EVENTS).isdisjoint(known):
        text = f"No event that visits are made of has come in so far: {', '.join(VISIT_EVENTS)}."
        hint = "visits need a source that sends one of them"
        for path in checks.visits_asked(file):
            yield file.document.problem(path, text, hint, at_key=True)


def _unwelcome(file: Loaded, evidence: Evidence, asked: Mapping[str, Asked]) -> Iterator[Problem]:
    for use, section in _SENDERS.items():
        for name, sender in getattr(file.rules, section).items():
            for index, activation in enumerate(sender.activate or ()):
                path: Path = (section, name, "activate", index)
                plain = isinstance(activation, str)
                to, more = (activation, ()) if plain else (activation.to, activation.consent or ())
                path = path if plain else (*path, "to")
                terms = asked.get(to, Asked())
                missing = {*terms.purposes.get(use, ()), *map(Purpose, more)}.difference(evidence.granted)
                if missing:
                    text = f"Nobody has consented to {' and '.join(sorted(missing))} so far, which {to} needs."
                    yield file.document.problem(path, text, "nothing is sent until events or facts carry this consent")
                size = evidence.members.get(name, terms.serves_from)
                if use is Use.AUDIENCE and size < terms.serves_from:
                    people = "1 person is" if size == 1 else f"{size} people are"
                    text = f'{people} in "{name}" now; an audience at {to} reaches nobody below {terms.serves_from}.'
                    yield file.document.problem(path, text, "widen `when`, or wait until there are more")
