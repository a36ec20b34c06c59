"""Compares what the vendors hold, and what came to them when, with the truth of the world."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select

from leadup.demo.play import ACTIONS, Moved, Place, Played
from leadup.demo.truth import FOREVER, Span, held_at, score, tier
from leadup.demo.visitors import END, Visitor, instant
from leadup.insights.status import status
from leadup.state.tables import facts, outbox, rejects

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
PUT_OFF: Final = timedelta(hours=26)
"""Bad weather may put off by hours what is tried again once a day."""
_UNKNOWN: Final = "contact_not_found"


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


def check(played: Played, *, moves: bool = True) -> list[Checked]:
    """Make all comparisons. ``moves``: also when each came and went, which bad weather may put off."""
    return [
        _came_in(played),
        _segments(played),
        _audiences(played, "hubspot", "HubSpot's lists", moves=moves),
        _audiences(played, "google_ads", "Google's lists", moves=moves),
        _actions(played),
        _conversions(played, whole=moves),
        _properties(played),
        _nothing_is_left(played, quiet=moves),
    ]


# ---------------------------------------------------------------- what came in


def _came_in(played: Played) -> Checked:
    world, app = played.world, played.app
    with app.store.read() as connection:
        told = Counter(name for batch in app.log.read(connection) for name in batch["source"].to_pylist())
        known = connection.scalar(select(func.count()).select_from(facts))
        reasons = sorted(connection.scalars(select(rejects.c.reason)))
    counts: dict[str, tuple[int, int | None]] = {
        f"events of {name}": (true, told[name]) for name, true in world.events.items()
    }
    counts |= {"facts": (world.facts, known), "rejected rows": (len(world.rejected), len(reasons))}
    differences = [f"{what}: {actual} came in, not {true}" for what, (true, actual) in counts.items() if true != actual]
    missing = [part for part in world.rejected if not any(part in reason for reason in reasons)]
    differences += [f"no row was rejected because of {part!r}, but: {'; '.join(reasons)}" for part in missing]
    found = f"{sum(world.events.values()):,} events and {world.facts} facts, each once"
    return Checked("what came in", found, tuple(differences))


def _nothing_is_left(played: Played, *, quiet: bool) -> Checked:
    """Whether all that was to be done is done; ``quiet``: and the daemon had nothing to complain of."""
    with played.app.store.read() as connection:
        left = connection.execute(
            select(outbox.c.verb, outbox.c.state, outbox.c.detail).where(
                outbox.c.state.in_(["sending", "failed", "uncertain"])
                | ((outbox.c.state == "pending") & (outbox.c.code != _UNKNOWN))
            )
        ).all()
    differences = [f"a {row.verb} is {row.state}: {row.detail}" for row in left]
    differences += played.troubles if quiet else []
    found = f"all that was sent is answered; the process was killed {played.kills} times"
    return Checked("what is left", found, tuple(differences))


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


def _audiences(played: Played, vendor: str, what: str, *, moves: bool) -> Checked:
    if not moves:
        there = {place for place in played.present() if place.vendor == vendor}
        return Checked(what, f"{len(there)} members in the end", tuple(_who_is_there(played, vendor, PUT_OFF)))
    true = Counter(_moves(played.world.visitors, vendor))
    diary = [moved for moved in played.diary if moved.vendor == vendor]
    actual = Counter(
        _unhurried(moved) if moved.at in played.killed_at else moved for moved in diary if moved not in true
    )
    actual += Counter(moved for moved in diary if moved in true)
    differences = [f"{_said(moved)} did not happen" for moved in sorted((true - actual).elements())]
    differences += [f"{_said(moved)} should not have happened" for moved in sorted((actual - true).elements())]
    differences += _in_vain(played, vendor)
    differences += _who_is_there(played, vendor)
    joins = sum(count for moved, count in true.items() if moved.joined)
    found = f"{joins} joins and {true.total() - joins} leaves, each once and to the second"
    return Checked(what, found, tuple(differences))


def _unhurried(moved: Moved) -> Moved:
    """A question that a kill cuts short is asked twice at one instant: Google's emulator then works a second early."""
    return moved._replace(at=moved.at + timedelta(seconds=1)) if moved.vendor == "google_ads" else moved


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


def _who_is_there(played: Played, vendor: str, put_off: timedelta = timedelta(0)) -> list[str]:
    """Who is in a list in the end and must not be, or must be and is not; what is due so lately may still wait."""
    actual = {place for place in played.present() if place.vendor == vendor}
    possible, certain = set(), set()
    for her in played.world.visitors:
        for segment, name in LISTS[vendor].items():
            known, who, lag = _present(her, vendor, segment)
            held = {held_at(END - lag - put_off * n / 24, known) for n in range(25)}
            place = Place(vendor, name, who)
            possible |= {place} if True in held else set()
            certain |= {place} if False not in held else set()
    return [f"{vendor}: {place.who[:24]} is not in {place.list!r} in the end" for place in sorted(certain - actual)] + [
        f"{vendor}: {place.who[:24]} is in {place.list!r} in the end" for place in sorted(actual - possible)
    ]


def _in_vain(played: Played, vendor: str) -> list[str]:
    """What was asked of a vendor although it was so already: no more than what had to be sent again after a kill."""
    if vendor == "google_ads":
        times = sum(played.google.state()["redundant"].values())
    else:
        memberships = played.hubspot.state()["memberships"]
        times = sum(row["times"] for row in memberships if row["verb"].startswith("redundant"))
    return [f"{vendor}: {times} changes in vain, for {played.again} sent again"] if times > played.again else []


# ---------------------------------------------------------------- conversions


def _actions(played: Played) -> Checked:
    """What leadup made in the account must be in no bid."""
    state = played.google.state()
    made = state["actions"].get(ACTIONS["interest"], {})
    true = {"name": "leadup: interest", "type": "UPLOAD_CLICKS", "counting": "MANY_PER_CLICK", "primary": False}
    differences = [
        f"{name} is {made.get(name)!r}, not {value!r}" for name, value in true.items() if made.get(name) != value
    ]
    goals = [goal["biddable"] for goal in state["goals"] if goal["category"] == made.get("category")]
    differences += [] if goals == [False] else ["its goal is used for bidding"]
    differences += [f"there are {len(state['actions'])} actions"] if len(state["actions"]) != len(ACTIONS) else []
    found = "leadup made one by the Google Ads API: secondary, and its goal in no bid"
    return Checked("Google's conversion actions", found, tuple(differences))


def _conversions(played: Played, *, whole: bool) -> Checked:
    """``whole``: with each value on the way. In bad weather one may be skipped, and what is worth nothing in the end
    may never have been reported."""
    all_of_them = [c for her in played.world.visitors for c in her.all_conversions()]
    true = Counter(
        (c.action, instant(c.at), tuple(f"{minor / 100:.2f} EUR" for minor in c.values), c.click_id, c.identifiers)
        for c in all_of_them
    )
    held = played.google.state()["conversions"]
    names = {action: name for name, action in ACTIONS.items()}
    reported = [(names[action], one) for action, ones in held.items() for one in ones.values()]
    actual = Counter(
        (
            name,
            one["at"],
            tuple(f"{each['value']:.2f} {each['currency']}" for each in one["history"]),
            one["click_id"],
            tuple(one["identifiers"]),
        )
        for name, one in reported
    )
    if not whole:
        true, actual = _in_the_end(true), _in_the_end(actual)
    differences = [f"{_row(row)} is missing" for row in sorted((true - actual).elements())]
    differences += [f"{_row(row)} should not be there" for row in sorted((actual - true).elements())]
    differences += [f"{name} at {one['at']} counts {one['count']} times" for name, one in reported if one["count"] > 1]
    worth = sum(c.values[-1] for c in all_of_them if c.action == "interest") / 100
    taken_back = Counter(c.action for c in all_of_them if c.values[-1] == 0)
    count, nothing = Counter(c.action for c in all_of_them), taken_back["interest"]
    found = (
        f"{count['demo']} requests ({taken_back['demo']} restated to 0, since GA4 took the event back) and "
        f"{count['interest']} ways to a deal worth {worth:,.2f} EUR ({nothing} of them nothing any more), "
        "each once, by click id or hashed address"
    )
    return Checked("Google's conversions", found, tuple(differences))


def _in_the_end(rows: Counter[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    ended = Counter[tuple[Any, ...]]()
    for (name, at, values, click_id, identifiers), count in rows.items():
        if name == "demo":
            ended[name, at, values, click_id, identifiers] += count
        elif values[-1] != "0.00 EUR":
            ended[name, at, values[-1:], click_id, identifiers] += count
    return ended


def _row(row: tuple[Any, ...]) -> str:
    name, at, values, click_id, identifiers = row
    return f"{name} at {at} of {', then '.join(values)} by {click_id or 'no click'} and {len(identifiers)} address"


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
