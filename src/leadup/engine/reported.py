"""What a test's story would have reported, for ``expect: {value: …}``. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from leadup.engine.derive import amount
from leadup.rules.program import Conversion, Program
from leadup.rules.signals import EVENT_ID
from leadup.rules.where import match
from leadup.types import Event, Money
from leadup.values.episodes import Episode, episodes
from leadup.values.occurrences import Happened, Occurrence, occurrences


def happenings(program: Program, events: Sequence[tuple[int, Event]]) -> dict[str, list[Happened]]:
    """Return, by pattern, the signals of one person's events, given with their instants in microseconds."""
    found: dict[str, list[Happened]] = {}
    told = [event for _, event in events]
    for pattern, indices in match(program, [event.name for event in told], [event.properties for event in told]):
        found[pattern] = [
            Happened(
                event=f"{index:032x}",
                event_id=str(told[index].properties.get(EVENT_ID) or ""),
                at_us=events[index][0],
                value=amount(program.patterns[pattern], told[index]),
            )
            for index in indices.tolist()
        ]
    return found


def worth(
    program: Program, conversion: Conversion, happened: Mapping[str, Sequence[Happened]], at_us: int
) -> Money | None:
    """Return what the latest report of a conversion is worth at an instant, if it was looked at all the time.

    None: nothing is reported, or it has no known value, or nothing is to stand any more.
    """
    seen = {name: [one for one in ones if one.at_us <= at_us] for name, ones in happened.items()}
    if conversion.ladder is None:
        same_within = program.patterns[conversion.on].same_within
        found: list[Occurrence] = occurrences(conversion.name, same_within, [], seen.get(conversion.on, ()))
    else:
        within = {name: program.patterns[name].same_within for name in conversion.patterns}
        found = [*episodes(conversion.name, conversion.ladder, within, [], seen, at_us)]
    if not found:
        return None
    latest = max(found, key=lambda one: (one.opened_us, one.transaction_id))
    if latest.void:
        return None
    value = latest.value if conversion.value is None else conversion.value
    cap = conversion.ladder.cap if conversion.ladder is not None else None
    if value and cap and isinstance(latest, Episode) and latest.estimate and value.currency == cap.currency:
        value = replace(value, minor=min(value.minor, cap.minor))
    return value
