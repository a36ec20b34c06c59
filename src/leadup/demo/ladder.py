"""What must stand at Google of a visitor's way to a deal, read off her story: no anchors, no outbox, no rules.

Her steps, when each comes to be known and when it goes again, and when her browsers turn out to be one person's: at
each of these instants one looks what she has reached by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from leadup.demo.truth import FOREVER

WORTH: Final = {"pricing": 400, "video": 2_200, "asked": 28_800}
"""Cents: what the rules say that a step is worth; a deal is worth what was paid."""
ORDER: Final = ("pricing", "video", "asked", "won")
EPISODE: Final = timedelta(days=24)


@dataclass(frozen=True, slots=True)
class Step:
    """Something on the way to a deal."""

    what: str
    at: datetime
    known: datetime
    """When leadup comes to know of it."""
    gone: datetime = FOREVER
    """When it turns out not to have been."""
    who: str = ""
    """In which other browser; "" is her own."""
    cents: int = 0
    """What was paid."""

    @property
    def worth(self) -> int:
        return self.cents or WORTH[self.what]


@dataclass(slots=True)
class Way:
    """One conversion at Google: when it began, by which click, and each value it was given."""

    at: datetime
    who: str
    clicked: bool
    values: list[int] = field(default_factory=list)
    addressed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """When she may be reported."""

    landed: datetime
    """When she came by an ad, in her own browser."""
    click_known: datetime
    """When Google knows that click."""
    reached: datetime
    """From when on her address is known."""
    agreed: datetime
    refused: datetime
    one: Mapping[str, datetime]
    """When another browser turns out to be hers."""


def ways(steps: Sequence[Step], chance: Chance, end: datetime) -> list[Way]:
    """Return what Google must have seen of her up to ``end``."""
    found: dict[str, Way] = {}
    instants = {chance.reached, chance.agreed, chance.refused, chance.click_known, *chance.one.values()}
    instants |= {at for step in steps for at in (step.known, step.gone)}
    instants |= {step.at + EPISODE for step in steps}
    for now in sorted(at for at in instants if at <= end):
        present = [step for step in steps if step.known <= now < step.gone]
        for who in {step.who for step in present}:
            begun = min(step.at for step in present if step.who == who)
            owner = who if now < chance.one.get(who, FOREVER) else ""
            if who not in found and not (owner != who and _open(found, owner, now)):
                found[who] = Way(begun, who, clicked=who == "" and chance.landed <= begun)
        hers = [way for way in found.values() if now >= chance.one.get(way.who, FOREVER) or way.who == ""]
        eldest = min(hers, key=lambda way: way.at, default=None)
        for way in found.values():
            mine = [step for step in present if step.who == way.who]
            if way in hers:
                mine = [step for step in present if step.who == "" or now >= chance.one.get(step.who, FOREVER)]
            _report(way, 0 if way in hers and way is not eldest else _worth(way, mine, now), chance, now)
    return [way for way in found.values() if way.values]


def _open(found: Mapping[str, Way], who: str, now: datetime) -> bool:
    return who in found and now < found[who].at + EPISODE


def _worth(way: Way, steps: Sequence[Step], now: datetime) -> int:
    """What she has reached; nothing once it took too long."""
    furthest = max(steps, key=lambda step: ORDER.index(step.what), default=None)
    if furthest is None or (furthest.what != "won" and now >= way.at + EPISODE):
        return 0
    return furthest.worth


def _report(way: Way, worth: int, chance: Chance, now: datetime) -> None:
    """Report it if it may be, and is news. Of who does not agree any more nothing follows, not even a 0."""
    allowed = chance.agreed <= now < chance.refused
    reached = max(chance.reached, chance.one.get(way.who, FOREVER)) if way.who else chance.reached
    if not way.values:
        reachable = (way.clicked and now >= chance.click_known) or (not way.clicked and now >= reached)
        if worth == 0 or not allowed or not reachable:
            return
    elif worth == way.values[-1] or not allowed:
        return
    way.values.append(worth)
    way.addressed = way.addressed or now >= reached
