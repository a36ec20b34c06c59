"""What the demo tells in the end, as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from leadup.demo.check import Checked
from leadup.demo.play import ACTIONS, Played
from leadup.demo.story import story
from leadup.demo.visitors import BEGIN, END
from leadup.insights.status import status
from leadup.state.tables import rejects


def summary(played: Played, checks: Sequence[Checked], seconds: float) -> dict[str, Any]:
    """Sum up, as JSON."""
    with played.app.store.read() as connection:
        stands = status(connection)
        rows = connection.execute(select(rejects).order_by(rejects.c.place, rejects.c.line)).mappings()
        rejected = [{"place": f"{row['place']}:{row['line']}", "reason": row["reason"]} for row in rows]
    return {
        "seed": played.world.seed,
        "from": BEGIN.date().isoformat(),
        "to": END.date().isoformat(),
        "seconds": round(seconds, 1),
        "visitors": len(played.world.visitors),
        "people": stands["people"],
        "turns": played.turns,
        "kills": played.kills,
        "faults": played.faults,
        "came_in": [
            {"connection": one["connection"], "events": one["events"], "rejected": one["rejected"]}
            for one in stands["sources"]
        ],
        "rejected": rejected,
        "audiences": _audiences(played, stands["audiences"]),
        "conversions": _conversions(played),
        "checks": [{"what": c.what, "found": c.found, "differences": list(c.differences)} for c in checks],
        "story": [line.as_json() for line in story(played)],
        "holds": all(one.holds for one in checks),
    }


def _audiences(played: Played, audiences: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each audience's waterfall, how many the vendor itself counts, and how many came and went."""
    there = {("hubspot", one["name"]): len(one["members"]) for one in played.hubspot.state()["lists"]}
    there |= {("google_ads", one["name"]): len(one["members"]) for one in played.google.state()["user_lists"]}
    moves = Counter((moved.vendor, moved.list, moved.joined) for moved in played.diary)
    found = []
    for one in audiences:
        vendor, _, segment = one["target"].split("/")
        place = (vendor, one["remote_name"])
        counted = {"there": there.get(place, 0), "joins": moves[*place, True], "leaves": moves[*place, False]}
        found.append({"segment": segment, "at": vendor, "name": place[1], "waterfall": one["waterfall"], **counted})
    return sorted(found, key=lambda one: (one["segment"], one["at"]))


def _conversions(played: Played) -> list[dict[str, Any]]:
    """Conversions as Google's emulator holds them."""
    held = played.google.state()["conversions"]
    found = []
    for name, action in ACTIONS.items():
        ones = held.get(action, {}).values()
        by_click = sum(bool(one["click_id"]) for one in ones)
        minor = sum(round(one["value"] * 100) for one in ones)
        found.append({"conversion": name, "count": len(ones), "by_click": by_click, "minor": minor, "currency": "EUR"})
    return found
