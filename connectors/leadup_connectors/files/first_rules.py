"""A first rule file for event names that nobody has described yet: something that loads, runs and can be edited."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_GOAL = (
    "purchase purchased order ordered transaction won paid subscribe subscribed subscription booking booked demo lead"
    " signup register registered registration conversion converted"
)
"""Words of a macro conversion, the nearest to money first."""
_NO_GOAL = (
    "error errors fail failed failure bug declined cancel cancelled canceled refund refunded abandon abandoned view"
    " viewed views visit visited page play played progress video watch watched click clicked start started open opened"
    " history details"
)
"""A name with one of these is no macro conversion, whatever else it says."""
_PROMISE = {
    10: "cart basket checkout pricing prices price quote trial",
    8: "payment shipping demo wishlist contact plan upgrade",
    6: "form webinar download downloaded compare comparison calculator video play percentprogress",
    4: "product item case guide whitepaper search",
    2: "add added submit submitted complete completed started",
}
_POINTS = {word: points for points, words in _PROMISE.items() for word in words.split()}
_NOISE = "error errors fail failed bug exception heartbeat ping debug remove removed"
_YAML = ("true", "false", "null")
"""Names that YAML 1.2 takes for something else."""
_MICROS = 5


def first_rules(events: Mapping[str, int]) -> str:
    """Return a rule file (YAML) for these event names with their counts.

    The most promising names become micro conversions, the one that looks most like business a macro conversion; a
    score and two segments use them. ``activate`` is left to the author, who knows the destinations.
    """
    events = {event: count for event, count in events.items() if len(event) <= 100}
    goal = _goal(events)
    micros = _micros(events, goal)
    taken: set[str] = set()
    names = {event: _rule_name(event, taken) for event in [*micros, *([goal] if goal else [])]}
    lines = [
        "# yaml-language-server: $schema=schema/rules.schema.json",
        "# A first guess from the names of your events. Say what they mean, then: leadup rules check",
        "version: 1",
    ]
    if micros:
        lines += ["", "micro_conversions:", *(_pattern(names[event], event) for event in micros)]
    if goal:
        lines += ["", "macro_conversions:", _pattern(names[goal], goal)]
    if micros:
        lines += ["", "scores:", "  intent:", "    half_life: 7d", "    points:"]
        lines += [f"      {names[event]}: {{points: {points}, at_most: 3}}" for event, points in micros.items()]
    if names:
        lines += ["", "segments:"]
    if micros:
        first, hot = names[next(iter(micros))], 2 * max(micros.values())
        lines += _without(names[goal], first, hot) if goal else _twice(first, hot)
    elif goal:
        lines += [f"  {names[goal]}_lately:", f"    when: {{did: {names[goal]}, within: 90d}}"]
    return "\n".join(lines) + "\n"


def _without(goal: str, first: str, hot: int) -> list[str]:
    return [
        f"  {first}_no_{goal}:",
        f"    description: {first} in the last 30 days, and no {goal}",
        "    when:",
        "      all:",
        f"        - {{did: {first}, within: 30d}}",
        f"        - {{did_not: {goal}, within: 30d}}",
        "  warm:",
        f"    description: Much of what leads up to {goal}, and none in the last 30 days",
        "    when:",
        "      all:",
        f"        - {{score: intent, at_least: {hot}}}",
        f"        - {{did_not: {goal}, within: 30d}}",
    ]


def _twice(first: str, hot: int) -> list[str]:
    return [
        f"  {first}_again:",
        f"    description: {first} twice or more in the last 30 days",
        f"    when: {{did: {first}, at_least: 2, within: 30d}}",
        "  warm:",
        "    description: Much of what the score counts",
        f"    when: {{score: intent, at_least: {hot}}}",
    ]


def _goal(events: Mapping[str, int]) -> str | None:
    ranks = {word: rank for rank, word in enumerate(_GOAL.split())}
    found = [
        (min(ranks[word] for word in words & ranks.keys()), -count, event)
        for event, count in events.items()
        if (words := _words(event)) & ranks.keys() and words.isdisjoint(_NO_GOAL.split())
    ]
    return min(found)[2] if found else None


def _micros(events: Mapping[str, int], goal: str | None) -> dict[str, int]:
    """Event to points, the most promising first; where no name says anything, the most frequent ones."""
    points = {
        event: max((_POINTS.get(word, 0) for word in _words(event)), default=0)
        for event in events
        if event != goal and _words(event).isdisjoint(_NOISE.split())
    }
    ranked = sorted(points, key=lambda event: (-points[event], -events[event], event))
    telling = [event for event in ranked if points[event]] or ranked[:2]
    return {event: max(points[event], 1) for event in telling[:_MICROS]}


def _words(event: str) -> frozenset[str]:
    """``AddToCart``, ``add_to_cart`` and ``Add to cart`` are the same words; ``sign up`` is one."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", event).lower()
    return frozenset(re.findall(r"[a-z0-9]+", re.sub(r"sign[^a-z]?up", "signup", spaced)))


def _rule_name(event: str, taken: set[str]) -> str:
    """A name for rules: letters, digits and ``_``, beginning with a letter, not taken, short enough to join two."""
    plain = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", event).lower()).strip("_")[:25]
    name = unique = plain if plain[:1].isalpha() and plain not in _YAML else f"event_{plain}".rstrip("_")
    number = 1
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    taken.add(unique)
    return unique


def _pattern(name: str, event: str) -> str:
    quoted = json.dumps(event, ensure_ascii=False)
    allowed = "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)  # in YAML 1.2
    return f"  {name}: {{event: {allowed}}}"
