"""Reads what was reported to each conversion action of late, for :mod:`leadup.insights.health`."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, and_, literal, select

from leadup.delivery.book import TargetRow, all_targets
from leadup.insights.account import BOOK, known_of, with_rows
from leadup.insights.health import WINDOW, Health, Reported, signal_health
from leadup.insights.places import CONVERSION, SENT, WANTED, Kind, place
from leadup.outgoing import Use
from leadup.rules.program import Program
from leadup.state.tables import conversions, ledger, outbox, standings
from leadup.values.episodes import State

_WINDOW_US: Final = int(WINDOW.total_seconds()) * 1_000_000
_FIRST = outbox.alias("first")
_BEFORE_SENT: Final = CONVERSION[: CONVERSION.index(SENT)]


def health(connection: Connection, program: Program | None, now_us: int) -> list[Health]:
    """Judge the signal that goes to each live conversion action by which a vendor may bid: one that takes click ids.

    ``program``: the rules in use, which tell micro from macro conversions; None: they are not known.
    """
    found = [t for t in all_targets(connection) if t.target.use is Use.CONVERSION and t.active and t.terms.click_ids]
    return signal_health((reported(connection, target, program, now_us) for target in found), now_us)


def reported(connection: Connection, target: TargetRow, program: Program | None, now_us: int) -> Reported:
    """Read what happened in the last 30 days, and no more."""
    told = Reported(target=target.target.key, connection=target.target.connection)
    told.last_us = connection.scalar(
        select(ledger.c.at_us)
        .where(ledger.c.target == target.id, ledger.c.what == "sent")
        .order_by(ledger.c.id.desc())
        .limit(1)
    )
    mine = and_(standings.c.target == target.id, standings.c.subject == conversions.c.transaction_id)
    first = literal(f"{target.target.key}#") + standings.c.subject + literal("#1")
    query = (
        select(
            conversions.c.opened_us,
            conversions.c.click_ids,
            conversions.c.episode,
            standings.c.stands,
            _FIRST.c.sent_us.label("first_us"),
            *BOOK,
        )
        .select_from(with_rows(conversions.join(standings, mine), target).outerjoin(_FIRST, _FIRST.c.key == first))
        .where(conversions.c.name == target.target.name)
        .where(conversions.c.opened_us > now_us - _WINDOW_US, conversions.c.opened_us <= now_us)
    )
    for row in connection.execute(query).mappings():
        _add(told, dict(row), target, program)
    return told


def _add(told: Reported, row: dict[str, Any], target: TargetRow, program: Program | None) -> None:
    where = place(known_of(row), CONVERSION[0], WANTED)
    told.sent += where.reached not in _BEFORE_SENT
    told.waiting += where.reached == WANTED
    told.refused += where.kind is Kind.LOST
    told.unsure += where.kind is Kind.UNKNOWN
    stands = row["stands"]
    if stands is None:
        return
    told.conversions += 1
    told.clicked += not target.terms.click_ids.isdisjoint(row["click_ids"])
    if row["first_us"] is not None:
        told.delays_us.append(max(0, row["first_us"] - row["opened_us"]))
    macro = _is_macro(program, target.target.name, row["episode"])
    if macro is not None:
        told.macro_count += macro
        told.micro_count += not macro
        if stands["minor"]:
            (told.macro if macro else told.micro)[stands["currency"]] += stands["minor"]


def _is_macro(program: Program | None, name: str, episode: dict[str, Any] | None) -> bool | None:
    """Whether a conversion tells of a macro conversion: a ladder does once it was won."""
    if episode is not None:
        return bool(episode["state"] == State.WON)
    conversion = program.conversions.get(name) if program is not None else None
    if program is None or conversion is None or conversion.on not in program.patterns:
        return None
    return program.patterns[conversion.on].macro
