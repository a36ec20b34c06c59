"""What must agree between the parts of the rules: names, circles, order, what can never hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from leadup.errors import Problem
from leadup.rules import conditions as c
from leadup.rules import counts, destinations, durations, habits, ladders, model, properties, visits
from leadup.rules.names import SECTIONS, Declared, Loaded, Use, holdouts_named, uses, walk
from leadup.rules.source import Document, Path
from leadup.rules.suggest import did_you_mean
from leadup.rules.windows import width_and_lag

SHOWN = 12
"""So many names are listed in a hint at most."""
MOST_REPORTED = 7
"""With more micro conversions reported, bidding buys the one that is cheapest to come by."""


def errors(
    files: Sequence[Loaded],
    declared: Declared,
    connections: Collection[str] | None,
    limits: Mapping[str, int],
) -> Iterator[Problem]:
    """Yield what keeps well-formed files from being rules; ``connections`` None: not known, not checked.

    ``limits``: by connection, for how many microseconds the value of a conversion can be changed there.
    """
    yield from _unknown_names(files, declared)
    yield from _circles(files)
    yield from _groups(files)
    yield from _holdouts(files)
    yield from _funnels(files)
    yield from _lists(files, declared)
    patterns = {name: pattern for file in files for name, pattern in _patterns(file)}
    yield from ladders.errors(files, patterns, limits)
    yield from properties.errors(files)
    yield from destinations.errors(files, connections)
    for file in files:
        yield from _tiers(file)
        yield from _too_close(file, patterns)


def warnings(files: Sequence[Loaded]) -> Iterator[Problem]:
    """Yield what is allowed and probably not meant."""
    used = {(use.noun, use.name) for file in files for use in uses(file)}
    events = {match.event for file in files for _, pattern in _patterns(file) for match in matches(pattern)}
    if any(True for file in files for _ in visits_asked(file)):
        events.update(visits.EVENTS)
    scores = {name: score for file in files for name, score in file.rules.scores.items()}
    marked = {name for file in files for prop in file.rules.properties.values() for name in prop.segments or ()}
    yield from _too_many_reported(files)
    yield from properties.warnings(files)
    yield from ladders.warnings(files, {name: pattern for file in files for name, pattern in _patterns(file)})
    for file in files:
        for section in ("micro_conversions", "macro_conversions", "funnels", "lists"):
            for name in getattr(file.rules, section):
                if used.isdisjoint({(SECTIONS[section], name), (f"segment or {SECTIONS[section]}", name)}):
                    yield file.document.problem((section, name), f'No rule uses "{name}".', at_key=True)
        for index, test in enumerate(file.rules.tests):
            for number, happened in enumerate(test.events):
                name, _ = happened.event
                if name not in events:
                    path: Path = ("tests", index, "events", number, name)
                    hint = did_you_mean(name, events)
                    yield file.document.problem(path, f'No conversion is made of "{name}".', hint, at_key=True)
        yield from _out_of_reach(file, scores)
        for name, segment in file.rules.segments.items():
            if segment.holdout is not None and not segment.activate and name not in marked:
                text = f'Segment "{name}" is sent nowhere, so nobody is held out.'
                yield file.document.problem(("segments", name, "holdout"), text, "give it `activate`", at_key=True)


def _too_many_reported(files: Sequence[Loaded]) -> Iterator[Problem]:
    """More micro conversions than bidding can tell apart are reported."""
    micro = {name for file in files for name in file.rules.micro_conversions}
    reported = [use for file in files for use in uses(file) if use.path[0] == "conversions" and use.name in micro]
    reported = [use for use in reported if use.path[2] != "lost"]
    names = sorted({use.name for use in reported})
    if len(names) > MOST_REPORTED:
        first = reported[0]
        text = f"Bidding would learn from {len(names)} micro conversions at once: {', '.join(names)}."
        hint = f"report the {MOST_REPORTED} or fewer that lead to a sale; use the others in scores and segments"
        yield first.document.problem(("conversions",), text, hint, at_key=True)


def matches(pattern: model.Pattern) -> list[model.Match]:
    """Return the matches of a pattern, whichever form it is written in."""
    return pattern.any or [model.Match.model_construct(event=pattern.event or "", where=pattern.where)]


def visits_asked(file: Loaded) -> Iterator[Path]:
    """Yield the place of each condition that reads visits."""
    for condition, path in _conditions(file):
        if isinstance(condition, counts.Sessions | counts.ReturnVisits):
            yield *path, condition.operator
        elif isinstance(condition, c.Person):
            yield from ((*path, "person", end) for end in visits.ENDS if end in condition.person)
        elif visits.CHANNEL in (getattr(condition, "where", None) or ()):
            yield *path, "where", visits.CHANNEL


def reads(files: Sequence[Loaded]) -> dict[str, dict[str, tuple[Document, Path]]]:
    """Return, for each segment, the segments it reads (``in_segment``, ``exclude``) and where it says so."""
    graph: dict[str, dict[str, tuple[Document, Path]]] = {}
    for file in files:
        graph.update({name: {} for name in file.rules.segments})
    for file in files:
        for use in uses(file):
            if use.noun in ("segment", "segment or list") and use.path[0] == "segments" and use.name in graph:
                graph[str(use.path[1])].setdefault(use.name, (use.document, use.path))
    return graph


def _patterns(file: Loaded) -> Iterator[tuple[str, model.Pattern]]:
    yield from file.rules.micro_conversions.items()
    yield from file.rules.macro_conversions.items()


# ---------------------------------------------------------------- names


def _unknown_names(files: Sequence[Loaded], declared: Declared) -> Iterator[Problem]:
    tiers = _scores_by_tier(files)
    all_scores = len({name for file in files for name in file.rules.scores}) == len(declared.places["score"])
    for file in files:
        for use in uses(file):
            if use.noun == "tier" and not all_scores:
                continue  # it may be a tier of a score that is ill-formed, which is said elsewhere
            known: Collection[str] = tiers if use.noun == "tier" else declared.called(use.noun)
            if use.name not in known:
                yield use.document.problem(
                    use.path, f'There is no {use.noun} "{use.name}".', _hint(use, known, declared)
                )
        for condition, path in _conditions(file):
            if isinstance(condition, c.InTier):
                yield from _whose_tier(file, condition, path, tiers.get(condition.tier, []), declared)


def _hint(use: Use, known: Collection[str], declared: Declared) -> str:
    elsewhere = [noun for noun, names in declared.places.items() if use.name in names and noun != use.noun]
    if elsewhere:
        return f'"{use.name}" is a {elsewhere[0]}'
    listed = ", ".join(sorted(known)[:SHOWN]) + (", …" if len(known) > SHOWN else "")
    several = "properties" if use.noun == "property" else use.noun.replace(" or ", "s and ") + "s"
    return did_you_mean(use.name, known) or (f"{several}: {listed}" if known else f"no {use.noun} is declared")


def _scores_by_tier(files: Sequence[Loaded]) -> dict[str, list[str]]:
    scores_of: dict[str, list[str]] = defaultdict(list)
    for file in files:
        for name, score in file.rules.scores.items():
            for tier in score.tiers or ():
                scores_of[tier].append(name)
    return scores_of


def _whose_tier(
    file: Loaded, condition: c.InTier, path: Path, scores: Sequence[str], declared: Declared
) -> Iterator[Problem]:
    if condition.of is None and len(scores) > 1:
        text = f'Several scores have a tier "{condition.tier}": {", ".join(sorted(scores))}.'
        hint = f"say which: {{tier: {condition.tier}, of: {min(scores)}}}"
        yield file.document.problem((*path, "tier"), text, hint)
    elif scores and condition.of not in scores and condition.of in declared.places["score"]:
        text = f'Score "{condition.of}" has no tier "{condition.tier}".'
        yield file.document.problem((*path, "tier"), text, f"these have: {', '.join(sorted(scores))}")


def _circles(files: Sequence[Loaded]) -> Iterator[Problem]:
    graph = reads(files)
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle = error.args[1][:0:-1]  # each reads the next
            first = min(range(len(circle)), key=lambda i: list(graph).index(circle[i]))
            circle = [*circle[first:], *circle[:first]]
            document, path = graph[circle[0]].pop(circle[1 % len(circle)])
            shown = " → ".join([*circle, circle[0]])
            yield document.problem(path, f"Segments read each other in a circle: {shown}.", "take one of these out")
        else:
            return


def _groups(files: Sequence[Loaded]) -> Iterator[Problem]:
    group_of: dict[str, str] = {}
    for file in files:
        for group, members in file.rules.groups.items():
            for index, segment in enumerate(members):
                other = group_of.setdefault(segment, group)
                if other != group or segment in members[:index]:
                    text = f'Segment "{segment}" is already in group "{other}".'
                    yield file.document.problem(("groups", group, index), text, "a segment is in one group, once")


def _funnels(files: Sequence[Loaded]) -> Iterator[Problem]:
    funnels = {name: steps for file in files for name, steps in file.rules.funnels.items()}
    for file in files:
        for name, steps in file.rules.funnels.items():
            for index, step in enumerate(steps):
                if step in steps[:index]:
                    text = f'"{step}" is already a step of funnel "{name}".'
                    yield file.document.problem(("funnels", name, index), text, "a step is there once")
        for condition, path in _conditions(file):
            if isinstance(condition, c.DroppedAt) and (steps := funnels.get(condition.of, [])):
                yield from _dropped(file, condition, path, steps)


def _dropped(file: Loaded, condition: c.DroppedAt, path: Path, steps: Sequence[str]) -> Iterator[Problem]:
    step, where = condition.dropped_at, (*path, "dropped_at")
    if step not in steps:
        text = f'Funnel "{condition.of}" has no step "{step}".'
        yield file.document.problem(where, text, did_you_mean(step, steps) or f"steps: {', '.join(steps)}")
    elif step == steps[-1]:
        text = f'This can never hold: "{step}" is the last step of funnel "{condition.of}", and no step follows it.'
        yield file.document.problem(where, text, f"steps to drop at: {', '.join(steps[:-1])}")


def _holdouts(files: Sequence[Loaded]) -> Iterator[Problem]:
    """Segments that share a holdout and do not agree how large it is; what names one that is not there."""
    first: dict[str, tuple[str, float]] = {}
    for file in files:
        for name, segment in file.rules.segments.items():
            if segment.holdout is not None:
                other, percent = first.setdefault(segment.holdout.name, (name, segment.holdout.percent))
                if percent != segment.holdout.percent:
                    text = f'Holdout "{segment.holdout.name}" is {percent:g} percent in segment "{other}".'
                    path: Path = ("segments", name, "holdout", "percent")
                    yield file.document.problem(path, text, "segments that share a holdout share its people")
    for file in files:
        for name, path in holdouts_named(file):
            if name not in first:
                hint = did_you_mean(name, first) or "a segment names it: holdout: {name: …, percent: …}"
                yield file.document.problem(path, f'There is no holdout "{name}".', hint)


def _lists(files: Sequence[Loaded], declared: Declared) -> Iterator[Problem]:
    for file in files:
        for name in file.rules.lists:
            if name in declared.places["segment"]:
                text = f'There is a segment "{name}", too.'
                hint = "`exclude` names segments and lists, so give one of them another name"
                yield file.document.problem(("lists", name), text, hint, at_key=True)


# ---------------------------------------------------------------- what can never hold


def _conditions(file: Loaded) -> Iterator[tuple[object, Path]]:
    for name, segment in file.rules.segments.items():
        yield from walk(segment.when, ("segments", name, "when"))


def _tiers(file: Loaded) -> Iterator[Problem]:
    for name, score in file.rules.scores.items():
        below = 0.0
        for tier, threshold in (score.tiers or {}).items():
            if threshold <= below:
                text = f"Tiers ascend: {tier} ({threshold:g}) does not lie above the one before ({below:g})."
                yield file.document.problem(("scores", name, "tiers", tier), text)
            below = threshold


def _too_close(file: Loaded, patterns: dict[str, model.Pattern]) -> Iterator[Problem]:
    """More signals asked for than ``same_within`` lets into the window."""
    for condition, path in _conditions(file):
        if isinstance(condition, habits.Regularly) and condition.regularly in patterns:
            apart = patterns[condition.regularly].same_within or 0
            if ((condition.times or 1) - 1) * apart >= condition.every:
                text = f"This can never hold: {condition.times} of {condition.regularly} do not fit into a period."
                yield file.document.problem((*path, "every"), text, f"its `same_within` is {durations.show(apart)}")
        within, _ = width_and_lag(condition.within) if isinstance(condition, counts.Did) else (None, 0)
        if not isinstance(condition, counts.Did) or condition.did not in patterns or within is None:
            continue
        if not condition.is_whole:
            continue
        low, _ = condition.counts
        apart = patterns[condition.did].same_within or 0
        if (low - 1) * apart >= within:
            text = f"This can never hold: {low} of {condition.did} take at least {durations.show((low - 1) * apart)}"
            why = f"its `same_within` is {durations.show(apart)}"
            yield file.document.problem((*path, "within"), f"{text}, and `within` is shorter or as long.", why)


def _out_of_reach(file: Loaded, scores: dict[str, model.Score]) -> Iterator[Problem]:
    for name, score in file.rules.scores.items():
        for tier, threshold in (score.tiers or {}).items():
            if (most := _most(score)) < threshold:
                text = f'Tier "{tier}" is out of reach: {name} reaches {most:g} at most.'
                yield file.document.problem(("scores", name, "tiers", tier), text)
    for condition, path in _conditions(file):
        if isinstance(condition, c.ScoreAtLeast) and (most := _most(scores[condition.score])) < condition.at_least:
            text = f"This can never hold: {condition.score} reaches {most:g} at most."
            yield file.document.problem((*path, "at_least"), text)


def _most(score: model.Score) -> float:
    """Return the highest the score can be: infinite, unless each pattern that gives points has ``at_most``."""
    most = 0.0
    for given in score.points.values():
        points, count = (given.points, given.at_most) if isinstance(given, model.Points) else (given, None)
        if points > 0:
            most += points * (count or float("inf"))
    return most
