"""What promoting or demoting a conversion action would do to an account's bidding. Pure.

Bidding uses the primary actions of biddable goals ("About primary and secondary conversion actions"). The thresholds
are practitioners' (no number of Google's is known), so that they warn and never refuse.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from leadup_connectors.google_ads.ads.actions import UPLOADS, Action, Counted

FEW: Final = 30
"""Conversions in 30 days with fewer of which bidding learns little."""
MOSTLY_MICRO: Final = 0.5
"""Share of what bidding learns from."""
PER_MACRO: Final = 100
"""Micro conversions to one macro conversion, beyond which the macro ones are noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the account was asked."""

    actions: Sequence[Action]
    counted: Mapping[str, Counted]
    """In the last 30 days, by action id."""
    recent: Mapping[str, Counted]
    """In the last 7 days."""
    goals: Mapping[tuple[str, str], bool]
    micro: Collection[str]
    """Ids of actions that tell of micro conversions."""
    campaigns: Sequence[str] | None
    """Names of campaigns that bid for the account's own goals; None: Google did not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What would become of an action, for a person to decide."""

    action: Action
    does: tuple[str, ...]
    """What would be changed, in sentences; none: it is so already."""
    campaigns: tuple[str, ...] | None
    conversions: float
    value: float
    micro_conversions: float
    """Share, 0 to 1, of the conversions that bidding would then use in 30 days, which are micro conversions."""
    micro_value: float
    """The same of their value."""
    warnings: tuple[str, ...] = ()


def promotion(action: Action, seen: Seen) -> Report:
    """Report what it would mean if bidding used an action."""
    does, warnings = [], []
    if not action.primary:
        does.append(f"{action.name} becomes primary")
    if not seen.goals.get(action.goal, False):
        along = [one.name for one in seen.actions if one.goal == action.goal and one.primary and one.id != action.id]
        does.append(f"the goal {_goal(action)} becomes biddable" + (f", with {', '.join(along)}" if along else ""))
    used = [one for one in seen.actions if one.id == action.id or _is_bid_for(one, seen)]
    used += [one for one in seen.actions if one.goal == action.goal and one.primary and one not in used]
    report = _report(action, seen, used, does)
    mine = seen.counted.get(action.id, Counted())
    if action.type != UPLOADS:
        warnings.append(f"it is of type {action.type}: leadup does not report to it")
    if action.id in seen.micro:
        warnings.append("it tells of a micro conversion; bidding can learn from goals that are not bid for as well")
    if mine.conversions < FEW:
        warnings.append(f"{mine.conversions:g} conversions in 30 days are few to learn from (about {FEW} are advised)")
    elif mine.conversions == seen.recent.get(action.id, Counted()).conversions:
        warnings.append("all of them came in the last 7 days: it is too young to tell what is usual")
    if mine.conversions and not mine.value:
        warnings.append("its conversions have no value, so that bidding for value will not see them")
    if report.micro_conversions > MOSTLY_MICRO:
        warnings.append(
            f"{report.micro_conversions:.0%} of what is bid for would be micro conversions: "
            "bids may go where these are cheap"
        )
    macro = sum(seen.counted.get(one.id, Counted()).conversions for one in used if one.id not in seen.micro)
    micro = sum(seen.counted.get(one.id, Counted()).conversions for one in used if one.id in seen.micro)
    if micro > PER_MACRO * macro:
        warnings.append(f"there would be more than {PER_MACRO} micro conversions to each macro conversion")
    if does:
        warnings.append("campaigns learn anew after this: change targets slowly, and nothing else for two weeks")
    return replace(report, warnings=tuple(warnings))


def demotion(action: Action, seen: Seen) -> Report:
    """Report what it would mean if bidding no longer used an action."""
    does = [f"{action.name} becomes secondary"] if action.primary else []
    others = [one for one in seen.actions if one.goal == action.goal and one.primary and one.id != action.id]
    if seen.goals.get(action.goal, False) and not others:
        does.append(f"the goal {_goal(action)} is no longer biddable")
    used = [one for one in seen.actions if one.id != action.id and _is_bid_for(one, seen)]
    warnings = [] if used else ["bidding would then use no conversion action at all"]
    if does and action.primary:
        warnings.append("campaigns learn anew after this: change targets slowly, and nothing else for two weeks")
    return replace(_report(action, seen, used, does), warnings=tuple(warnings if does else ()))


def _report(action: Action, seen: Seen, used: Sequence[Action], does: Sequence[str]) -> Report:
    mine = seen.counted.get(action.id, Counted())
    all_of = [(one.id in seen.micro, seen.counted.get(one.id, Counted())) for one in used]
    return Report(
        action=action,
        does=tuple(does),
        campaigns=None if seen.campaigns is None else tuple(seen.campaigns),
        conversions=mine.conversions,
        value=mine.value,
        micro_conversions=_share([(micro, one.conversions) for micro, one in all_of]),
        micro_value=_share([(micro, one.value) for micro, one in all_of]),
    )


def _is_bid_for(action: Action, seen: Seen) -> bool:
    return action.primary and action.status == "ENABLED" and seen.goals.get(action.goal, False)


def _share(amounts: Sequence[tuple[bool, float]]) -> float:
    total = sum(amount for _, amount in amounts)
    return sum(amount for micro, amount in amounts if micro) / total if total else 0.0


def _goal(action: Action) -> str:
    return f"{action.category} ({action.origin})"
