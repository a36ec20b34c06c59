"""``leadup rules try``: a file of records is judged as one whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from leadup.insights.rehearsal import PAGE, try_rules
from leadup.rules.loader import load_text
from leadup.types import Event, Identifier, Kind

AT = datetime(2026, 3, 15, 12, tzinfo=UTC)
BOUGHT = """
version: 1
macro_conversions:
  bought: {event: purchase}
segments:
  buyers: {when: {did: bought}}
  others: {when: {did_not: bought}}
"""


def event(id_: str, name: str = "page_view", **identifiers: str) -> Event:
    who = tuple(Identifier(Kind(kind), value) for kind, value in identifiers.items())
    return Event(source="try", id=id_, name=name, at=AT, identifiers=who)


def members(answer: dict[str, Any], segment: str) -> list[str]:
    return [member["person"] for member in answer["segments"][segment]["members"]]


def test_a_revision_counts_alone_however_far_behind_it_stands() -> None:
    program = load_text(BOUGHT).program
    first = event("e1", "purchase", user_id="mistaken", client_id="c1")
    between = [event("e2", client_id="c2")] + [event(f"v{n}", user_id="u0") for n in range(PAGE)]
    revised = event("e1", "purchase", user_id="u1", client_id="c2")

    answer = try_rules(program, [first, *between, revised], AT)

    assert members(answer, "buyers") == ["u1"]
    assert members(answer, "others") == ["u0"]  # and neither "mistaken" nor c1, whom nobody names any longer
    assert answer["people"] == 2
