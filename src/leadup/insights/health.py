"""How well a signal serves bidding: click ids, delay, volume, share of micro conversions, freshness, losses. Pure.

Google names no number for most of this. Each limit says where it comes from: ``practice`` is what practitioners of
Google Ads go by, ``leadup`` is a choice made here, to be looked at with the account's own history in mind.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from math import ceil
from statistics import median
from typing import Any, Final

from leadup.types import Money

WINDOW: Final = timedelta(days=30)
CLICKED: Final = (0.5, 0.2)
"""Shares of conversions with a click id below which to look, and below which it is bad."""
DELAY: Final = (timedelta(hours=24), timedelta(hours=72))
"""Between an event and its upload, for nine of ten: bidding learns from what it hears within days."""
ENOUGH: Final = (30, 15)
"""Conversions in 30 days: 30 to 50 are asked for with a target CPA, 15 with bids for value."""
MICRO: Final = (0.5, 0.9)
"""Shares of the reported value."""
PER_MACRO: Final = 100
"""Micro conversions to each macro conversion, beyond which bidding buys the cheap ones."""
STALE: Final = (timedelta(hours=24), timedelta(hours=72))
REFUSED: Final = (0.01, 0.05)
UNSURE: Final = (0.01, 0.05)

_SECOND: Final = 1_000_000


class Verdict(enum.StrEnum):
    """What to make of a number."""

    GOOD = "good"
    LOOK = "look"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """One thing about the signal that goes to a conversion action, or to a connection."""

    name: str
    of: str
    """The target, or the connection."""
    number: float
    unit: str
    """``share`` (0 to 1), ``seconds``, ``conversions`` or ``ratio``."""
    verdict: Verdict
    text: str
    basis: str
    """What the limit rests on: ``practice`` or ``leadup``."""
    todo: str = ""

    def as_json(self) -> dict[str, Any]:
        """The form that is printed."""
        return {**asdict(self), "verdict": str(self.verdict)}


@dataclass(slots=True, kw_only=True)
class Reported:
    """What was reported to one conversion action in :data:`WINDOW`, by when it happened."""

    target: str
    connection: str
    conversions: int = 0
    clicked: int = 0
    """Of them, those that went with a click id."""
    sent: int = 0
    """Rows that were sent, whatever came of them."""
    refused: int = 0
    unsure: int = 0
    waiting: int = 0
    """Rows that are to be sent, and were not yet."""
    delays_us: list[int] = field(default_factory=list)
    micro: Counter[str] = field(default_factory=Counter)
    """Value of micro conversions, in minor units, by currency."""
    macro: Counter[str] = field(default_factory=Counter)
    micro_count: int = 0
    macro_count: int = 0
    last_us: int | None = None
    """When anything was sent last, ever."""


def signal_health(found: Iterable[Reported], now_us: int) -> list[Health]:
    """Judge what was reported: first each conversion action, then each connection as a whole."""
    actions = list(found)
    told = [one for action in actions for one in _action(action, now_us)]
    for connection in dict.fromkeys(action.connection for action in actions):
        told += _mix(connection, [action for action in actions if action.connection == connection])
    return told


def percentile(values: list[int], share: float) -> int:
    """The smallest value that at least this share of the values does not exceed."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


# ---------------------------------------------------------------- one action


def _action(one: Reported, now_us: int) -> Iterator[Health]:
    if one.last_us is not None:
        yield _freshness(one, one.last_us, now_us)
    yield _volume(one)
    if one.conversions:
        yield _clicks(one)
    if one.delays_us:
        yield _delay(one)
    if one.sent:
        yield _share(
            one, "rejected", one.refused, REFUSED, "of the rows sent were refused",
            "`leadup reconcile --losses` lists them with their reasons",
        )  # fmt: skip
        yield _share(
            one, "uncertain", one.unsure, UNSURE, "of the rows sent may have failed: the vendor does not say which",
            "`leadup reconcile` has the vendor's reasons; what waits is sent again by itself",
        )  # fmt: skip


def _graded(number: float, limits: tuple[float, float]) -> Verdict:
    """More is worse."""
    look, bad = limits
    return Verdict.BAD if number > bad else Verdict.LOOK if number > look else Verdict.GOOD


def _clicks(one: Reported) -> Health:
    share = one.clicked / one.conversions
    look, bad = CLICKED
    verdict = Verdict.BAD if share < bad else Verdict.LOOK if share < look else Verdict.GOOD
    return Health(
        name="click_ids",
        of=one.target,
        number=share,
        unit="share",
        verdict=verdict,
        text=f"{share:.0%} of {one.conversions} conversions have a click id; "
        f"{one.conversions - one.clicked} go by user data alone",
        basis="leadup",
        todo=""
        if verdict is Verdict.GOOD
        else "see that landing pages keep gclid, gbraid and wbraid (auto-tagging on, "
        "no redirect that drops them), and that the source passes them on",
    )


def _delay(one: Reported) -> Health:
    middle, most = median(one.delays_us) / _SECOND, percentile(one.delays_us, 0.9) / _SECOND
    verdict = _graded(most, (DELAY[0].total_seconds(), DELAY[1].total_seconds()))
    return Health(
        name="upload_delay",
        of=one.target,
        number=most,
        unit="seconds",
        verdict=verdict,
        text=f"from event to upload: half within {_span(middle)}, nine of ten within {_span(most)}",
        basis="practice",
        todo=""
        if verdict is Verdict.GOOD
        else "let `leadup run` run all the time, and see how late sources bring events (`leadup status`: read up to)",
    )


def _volume(one: Reported) -> Health:
    enough, least = ENOUGH
    count = one.conversions
    verdict = Verdict.GOOD if count >= enough else Verdict.LOOK if count >= least else Verdict.BAD
    return Health(
        name="volume",
        of=one.target,
        number=count,
        unit="conversions",
        verdict=verdict,
        text=f"{count} conversions in 30 days; practitioners ask for {least} to bid for value and {enough} to 50 for a "
        "target CPA, Google gives no number",
        basis="practice",
        todo=""
        if verdict is Verdict.GOOD
        else "bid for an earlier step with more conversions, or report a ladder of steps by one action",
    )


def _freshness(one: Reported, last_us: int, now_us: int) -> Health:
    age = max(0, now_us - last_us) / _SECOND
    verdict = _graded(age, (STALE[0].total_seconds(), STALE[1].total_seconds()))
    waits = f"{one.waiting} wait to be sent" if one.waiting else "nothing waits to be sent"
    todo = f"`leadup reconcile {one.connection}` says what they wait for" if one.waiting else (
        "if conversions should have happened, look at the sources: `leadup status`, `leadup doctor`"
    )  # fmt: skip
    return Health(
        name="freshness",
        of=one.target,
        number=age,
        unit="seconds",
        verdict=verdict,
        text=f"the last upload was {_span(age)} ago; {waits}",
        basis="practice",
        todo="" if verdict is Verdict.GOOD else todo,
    )


def _share(one: Reported, name: str, count: int, limits: tuple[float, float], text: str, todo: str) -> Health:
    share = count / one.sent
    verdict = _graded(share, limits)
    return Health(
        name=name,
        of=one.target,
        number=share,
        unit="share",
        verdict=verdict,
        text=f"{count} of {one.sent} ({share:.1%}) {text}",
        basis="leadup",
        todo="" if verdict is Verdict.GOOD else todo,
    )


# ---------------------------------------------------------------- a connection as a whole


def _mix(connection: str, actions: list[Reported]) -> Iterator[Health]:
    micro, macro = sum((a.micro for a in actions), Counter[str]()), sum((a.macro for a in actions), Counter[str]())
    for currency in sorted(micro.keys() | macro.keys()):
        total = micro[currency] + macro[currency]
        if total:
            yield _micro_value(connection, currency, micro[currency], total)
    few, many = sum(a.macro_count for a in actions), sum(a.micro_count for a in actions)
    if few or many:
        yield _micro_ratio(connection, many, few)


def _micro_value(connection: str, currency: str, micro: int, total: int) -> Health:
    share = micro / total
    verdict = _graded(share, MICRO)
    return Health(
        name="micro_value",
        of=connection,
        number=share,
        unit="share",
        verdict=verdict,
        text=f"{share:.0%} of the value reported is of micro conversions ({Money(micro, currency)} of "
        f"{Money(total, currency)})",
        basis="leadup",
        todo=""
        if verdict is Verdict.GOOD
        else "see that a step counts what its people bring on average, and that what "
        "did not come to a sale is taken back (a ladder does both)",
    )


def _micro_ratio(connection: str, micro: int, macro: int) -> Health:
    ratio = micro / max(macro, 1)
    verdict = Verdict.LOOK if ratio > PER_MACRO else Verdict.GOOD
    return Health(
        name="micro_to_macro",
        of=connection,
        number=ratio,
        unit="ratio",
        verdict=verdict,
        text=f"{micro} micro conversions to {macro} macro conversions",
        basis="practice",
        todo=""
        if verdict is Verdict.GOOD
        else "keep frequent micro conversions secondary, so that nothing is bid for them, or choose rarer ones",
    )


def _span(seconds: float) -> str:
    """A span in one unit: ``3 min``, ``5.2 h``, ``3.1 days``."""
    if seconds < 3_600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.1f} days"
