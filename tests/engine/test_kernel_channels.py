"""Channels: which visit something happened in, and where that came from. A pause of 3 seconds ends a visit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import histories as h
from leadup.engine.kernel import judge
from leadup.rules import program as p
from leadup.rules.visits import CHANNEL, TOLD, VISIT
from leadup.types import NEVER, Json
from oracle import Human, Signal

S = 1_000_000


def judged(
    when: p.Condition, happened: str, at: float, marks: Mapping[str, int] | None = None, **told: Mapping[str, Json]
) -> dict[str, Any]:
    """Judge a person of ``v@10 a@12``, where ``v`` is a view; ``told`` are the properties of each, as ``_0``."""
    words = [word.split("@") for word in happened.split()]
    signals = tuple(
        Signal({"v": VISIT}.get(name, name), round(float(t) * S), f"k{n}", told.get(f"_{n}", {}))
        for n, (name, t) in enumerate(words)
    )
    rules = p.Program(
        patterns={
            "a": p.Pattern(name="a", macro=False, any=(p.Match("a"),)),
            VISIT: p.Pattern(name=VISIT, macro=False, any=(p.Match("page_view"),), pause=3 * S),
        },
        segments={"s": p.Segment(name="s", when=when)},
    )
    [row] = judge(rules, *h.tables(rules, [Human(0, signals)]), at=round(at * S), watermarks=marks or {}).to_pylist()
    return row


def did(channel: str, op: p.Op = "eq", **more: Any) -> p.Did:
    return p.Did(pattern="a", where=(p.Test(CHANNEL, op, channel),), **more)


def came(end: str, channel: str, op: p.Op = "eq") -> p.CameBy:
    return p.CameBy(where=(p.Test(f"{end}_channel", op, channel),))


ADS, MAIL = {TOLD: "ads"}, {TOLD: "mail"}


@pytest.mark.parametrize(
    ("when", "happened", "told", "holds", "until"),
    [
        (did("ads"), "v@10 a@12.5", {"_0": ADS}, True, None),
        (did("ads"), "v@10 a@13", {"_0": ADS}, False, None),  # the visit is over
        (did("ads"), "a@9 v@10", {"_1": ADS}, False, None),  # or has not begun
        (did("ads"), "a@10 v@10", {"_1": ADS}, True, None),
        (did("ads"), "v@10 v@11 a@12", {"_1": ADS}, True, None),  # the first that says anything
        (did("ads"), "v@10 v@11 a@12", {"_0": MAIL, "_1": ADS}, False, None),
        (did("mail"), "v@10 v@20 a@21", {"_0": ADS, "_1": MAIL}, True, None),
        (did("direct"), "v@10 a@11", {}, True, None),
        (did("direct"), "v@10 v@20 a@21", {"_0": ADS}, True, None),  # nothing is inherited
        (did("direct"), "a@11", {}, False, None),  # no visit has no channel
        (did("direct", "ne"), "a@11", {}, True, None),
        (did("ads"), "v@10 a@11 v@12", {"_2": ADS}, True, None),  # what the visit tells later counts for all of it
        (did("ads"), "v@10 a@11 v@30", {"_2": ADS}, False, 30),  # so the next view may change the answer
        (did("ads", within=15 * S), "v@10 a@11", {"_0": ADS}, True, 26),
        # a session id names the visit
        (did("ads"), "v@10 v@11 a@20", {"_0": {**ADS, "session_id": "x"}, "_2": {"session_id": "x"}}, True, None),
        (
            did("ads"),
            "v@10 v@11 a@12",
            {"_0": {**ADS, "session_id": "x"}, "_1": {"session_id": "y"}, "_2": {"session_id": "x"}},
            True,
            None,
        ),
        (did("ads"), "v@10 a@11", {"_0": {**ADS, "session_id": "x"}, "_1": {"session_id": "y"}}, False, None),
        (did("ads"), "v@10 a@11", {"_0": ADS, "_1": {"session_id": "y"}}, True, None),
        # the person's own
        (came("first", "ads"), "v@10 v@20", {"_0": ADS, "_1": MAIL}, True, None),
        (came("last", "mail"), "v@10 v@20", {"_0": ADS, "_1": MAIL}, True, None),
        (came("last", "direct"), "v@10 v@20", {"_0": ADS}, True, None),
        (came("last", "ads"), "v@10 v@30", {"_0": ADS}, True, 30),
        (came("first", "direct"), "a@10", {}, False, None),
        (came("first", "direct", "ne"), "a@10", {}, True, None),
        (p.Not(came("first", "ads")), "v@10", {"_0": ADS}, False, None),
    ],
)
def test_channels(when: p.Condition, happened: str, told: Any, holds: bool, until: float | None) -> None:
    row = judged(when, happened, 25, **told)
    assert row["in:s"] is holds
    assert row["until:s"] == (NEVER if until is None else until * S)
    assert row["waits:s"] == NEVER


def test_absence_from_a_channel_waits_for_the_views_too() -> None:
    none = did("ads", low=0, high=0, within=5 * S)
    read = {"a": 25 * S, VISIT: 15 * S}
    assert judged(none, "v@10 a@11", 25, read, _0=ADS)["waits:s"] == 16 * S
    assert judged(none, "v@10 a@11", 25, {**read, VISIT: 16 * S}, _0=ADS)["in:s"] is True
