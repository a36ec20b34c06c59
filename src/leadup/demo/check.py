"""Compares what the vendors hold, and what came to them when, with the truth of the world."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select

from leadup.demo.play import ACTIONS, Moved, Place, Played
from leadup.demo.truth import FOREVER, Span, held_at, score, tier
from leadup.demo.visitors import END, Visitor, instant
from leadup.insights.status import status
from leadup.state.tables import rejects

LISTS: Final = {
    "hubspot": {
        "watched_no_demo": "leadup: watched_no_demo",
        "form_abandoned": "leadup: form_abandoned",
        "video_then_pricing": "leadup: video_then_pricing",
        "hot": "leadup: hot",
    },
    "google_ads": {
        "watched_no_demo": "leadup: watched_no_demo",
        "form_abandoned": "leadup: form_abandoned",
        "pricing_twice": "leadup: pricing_twice",
        "hot": "leadup: hot",
        "warm": "Warm leads",
    },
}
"""What each segment is called at each vendor."""
WORKED_OFF: Final = timedelta(seconds=2)
"""Google's emulator works off what it took when it is asked for the second time; leadup asks every second."""
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Checked:
    """One comparison."""

    what: str
    found: str
    """What was compared, in short."""
    differences: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether all is as it must be."""
        return not self.differences


def check(played: Played) -> list[Checked]:
    """Make all comparisons."""
    return [
        _came_in(played),
        _segments(played),
        _audiences(played, "hubspot", "HubSpot's lists"),
        _audiences(played, "google_ads", "Google's lists"),
        _conversions(played),
        _properties(played),
    ]


# ---------------------------------------------------------------- what came in


def _came_in(played: Played) -> Checked:
    world, taken = played.world, played.taken.values()
    counts = {
        "events": (world.events, sum(one.new for one in taken)),
        "facts": (world.facts, sum(one.facts for one in taken)),
        "repeated rows": (world.repeated, sum(one.same for one in taken)),
        "rows that tell nobody": (world.nobody, sum(one.nobody for one in taken)),
        "rejected rows": (len(world.rejected), sum(one.rejected for one in taken)),
    }
    differences = [f"{what}: {actual} came in, not {true}" for what, (true, actual) in counts.items() if true != actual]
    with played.app.store.read() as connection:
        reasons = sorted(connection.scalars(select(rejects.c.reason)))
    missing = [part for part in world.rejected if not any(part in reason for reason in reasons)]
    differences += [f"no row was rejected because of {part!r}, but: {'; '.join(reasons)}" for part in missing]
    found = f"{world.events:,} events and {world.facts} facts, each once"
    return Checked("what came in", found, (*differences, *played.errors))


def _segments(played: Played) -> Checked:
    """Whom the rules hold for in the end, also those whom no vendor may know of."""
    with played.app.store.read() as connection:
        audiences = status(connection)["audiences"]
    differences, total = [], Counter[str]()
    for audience in audiences:
        name = audience["target"].rpartition("/")[2]
        holds = audience["waterfall"]["holds"]
        true = sum(held_at(END, her.segments.get(name, [])) for her in played.world.visitors)
        total[name] = true
        if holds != true:
            differences.append(f"{audience['target']}: the rule holds for {holds}, not for {true}")
    return Checked("segments", f"{total.total()} members of {len(total)} segments in the end", tuple(differences))


# ---------------------------------------------------------------- audiences


def _audiences(played: Played, vendor: str, what: str) -> Checked:
    true = Counter(_moves(played.world.visitors, vendor))
    actual = Counter(moved for moved in played.diary if moved.vendor == vendor)
    differences = [f"{_said(moved)} did not happen" for moved in sorted((true - actual).elements())]
    differences += [f"{_said(moved)} should not have happened" for moved in sorted((actual - true).elements())]
    differences += _in_vain(played, vendor)
    differences += _who_is_there(played, vendor)
    joins = sum(count for moved, count in true.items() if moved.joined)
    found = f"{joins} joins and {true.total() - joins} leaves, each once and to the second"
    return Checked(what, found, tuple(differences))


def _moves(visitors: Iterable[Visitor], vendor: str) -> Iterator[Moved]:
    """What must show at a vendor, and when."""
    for her in visitors:
        for segment, name in LISTS[vendor].items():
            known, who, lag = _present(her, vendor, segment)
            for begin, end in known:
                for at, joined in ((begin, True), (end, False)):
                    if at is not FOREVER and at + lag <= END:
                        yield Moved(vendor, name, who, joined, at + lag)


def _present(her: Visitor, vendor: str, segment: str) -> tuple[list[Span], str, timedelta]:
    if vendor == "hubspot":
        return her.in_hubspot(segment), her.email, timedelta(0)
    return her.in_google(segment), her.hashed, WORKED_OFF


def _said(moved: Moved) -> str:
    verb, where = ("join", "to") if moved.joined else ("leave", "from")
    return f"{moved.vendor}: the {verb} of {moved.who[:24]} {where} {moved.list!r} at {instant(moved.at)}"


def _who_is_there(played: Played, vendor: str) -> list[str]:
    """Who is in a list in the end and must not be, or must be and is not."""
    true = {
        Place(vendor, name, who)
        for her in played.world.visitors
        for segment, name in LISTS[vendor].items()
        for known, who, lag in [_present(her, vendor, segment)]
        if held_at(END - lag, known)
    }
    actual = {place for place in played.present() if place.vendor == vendor}
    return [
        f"{vendor}: {place.who[:24]} {'is' if place in actual else 'is not'} in {place.list!r} in the end"
        for place in sorted(true ^ actual)
    ]


def _in_vain(played: Played, vendor: str) -> list[str]:
    """What was asked of a vendor although it was so already."""
    if vendor == "google_ads":
        return [f"google_ads: {n} {verb} in vain" for verb, n in played.google.state()["redundant"].items()]
    return [
        f"hubspot: {row['times']} {row['verb']} of contact {row['contact']} at {row['list']!r}"
        for row in played.hubspot.state()["memberships"]
        if row["verb"].startswith("redundant")
    ]


# ---------------------------------------------------------------- conversions


def _conversions(played: Played) -> Checked:
    true = Counter(
        (c.action, instant(c.at), f"{c.minor / 100:.2f} EUR", c.click_id, c.identifiers)
        for her in played.world.visitors
        for c in her.conversions
    )
    held = played.google.state()["conversions"]
    names = {action: name for name, action in ACTIONS.items()}
    reported = [(names[action], one) for action, ones in held.items() for one in ones.values()]
    actual = Counter(
        (name, one["at"], f"{one['value']:.2f} {one['currency']}", one["click_id"], tuple(one["identifiers"]))
        for name, one in reported
    )
    differences = [f"{_row(row)} is missing" for row in sorted((true - actual).elements())]
    differences += [f"{_row(row)} should not be there" for row in sorted((actual - true).elements())]
    differences += [f"{name} at {one['at']} was restated" for name, one in reported if len(one["history"]) > 1]
    worth = sum(c.minor for her in played.world.visitors for c in her.conversions) / 100
    found = f"{true.total()} worth {worth:,.2f} EUR, each once, by click id or hashed address"
    return Checked("Google's conversions", found, tuple(differences))


def _row(row: tuple[Any, ...]) -> str:
    name, at, value, click_id, identifiers = row
    return f"{name} at {at} of {value} by {click_id or 'no click'} and {len(identifiers)} address"


# ---------------------------------------------------------------- properties


def _properties(played: Played) -> Checked:
    people = {her.email: her for her in played.world.visitors if her.email}
    contacts: dict[str, dict[str, str]] = played.hubspot.state()["contacts"]
    differences: list[str] = []
    for values in contacts.values():
        her = people.get(values["email"])
        lowest, highest, stage = _score_of(her) if her else (0, 0, "")
        intent = values.get("leadup_intent") or "0"
        if not intent.isdigit() or not lowest <= int(intent) <= highest:
            differences.append(f"{values['email']}: leadup_intent is {intent}, not {lowest} to {highest}")
        if values.get("leadup_tier", "") != stage:
            differences.append(f"{values['email']}: leadup_tier is {values.get('leadup_tier')!r}, not {stage!r}")
    scored = sum("leadup_intent" in values for values in contacts.values())
    found = f"{scored} of {len(contacts)} contacts scored, at most a day old, each tier to the second"
    return Checked("HubSpot's properties", found, tuple(differences))


def _score_of(her: Visitor) -> tuple[int, int, str]:
    """The lowest and highest score that may stand there (by decay it is written daily), and the tier."""
    if her.reached > END:
        return 0, 0, ""
    newest: datetime = max((END - DAY, her.reached, *(p.known for p in her.points if p.known <= END)))
    now = score(her.points, END)
    return math.floor(now), math.floor(score(her.points, newest)), tier(now)
