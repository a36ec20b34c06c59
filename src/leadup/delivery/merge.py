"""When two persons turn out to be one, what stands for the one who is gone passes to the one who stays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, insert, select, update

from leadup import plan
from leadup.delivery import holdouts
from leadup.delivery.book import TargetRow, all_targets, as_row, replace_waiting
from leadup.delivery.remote import hold, pairs, stored
from leadup.outgoing import Use
from leadup.plan import Standing
from leadup.state.store import chunks
from leadup.state.tables import conversions, judged, memberships, outbox, standings

Row = dict[str, Any]


def merge(connection: Connection, merges: Mapping[int, int], now_us: int) -> set[int]:
    """Pass on all that hangs on persons who are gone, to those who stay; nothing is sent for that.

    Returns those of whom nothing was passed on, because a row of one of the two is on its way: try again when its
    receipt is in.
    """
    busy = _on_the_way(connection, {*merges, *merges.values()})
    waiting = {gone for gone, stays in merges.items() if gone in busy or stays in busy}
    free = {gone: stays for gone, stays in merges.items() if gone not in waiting}
    targets = {target.id: target for target in all_targets(connection)}
    for part in chunks(free):
        for row in connection.execute(select(standings).where(standings.c.person.in_(part))).mappings().all():
            if targets[row["target"]].target.use is not Use.CONVERSION:
                _pass_on(connection, targets[row["target"]], dict(row), free[row["person"]], now_us)
        connection.execute(delete(judged).where(judged.c.person.in_(part)))
        _pass_memberships_on(connection, {gone: free[gone] for gone in part})
        holdouts.pass_on(connection, {gone: free[gone] for gone in part})
    if free:
        # Conversions keep their transaction ids.
        both = [{"gone": gone, "stays": stays} for gone, stays in free.items()]
        for table in (standings, outbox, conversions):
            of_gone = update(table).where(table.c.person == bindparam("gone")).values(person=bindparam("stays"))
            connection.execute(of_gone, both)
    return waiting


def _on_the_way(connection: Connection, persons: Collection[int]) -> set[int]:
    found: set[int] = set()
    for part in chunks(persons):
        where = and_(outbox.c.person.in_(part), outbox.c.state == "sending")
        found |= set(connection.scalars(select(outbox.c.person).where(where)))
    return found


def _pass_on(connection: Connection, target: TargetRow, row: Row, stays: int, now_us: int) -> None:
    gone, subject = row["subject"], str(stays)
    replace_waiting(connection, target, [gone, subject], now_us, "two persons turned out to be one")
    answering = and_(outbox.c.target == target.id, outbox.c.subject == gone, outbox.c.state == "accepted")
    connection.execute(update(outbox).where(answering).values(subject=subject))
    here = and_(standings.c.target == target.id, standings.c.subject == subject)
    found = connection.execute(select(standings).where(here)).mappings().first()
    mine = dict(found) if found else None
    after = {
        **(mine or row),
        "subject": subject,
        "person": stays,
        **(_together(mine, row, target.target.use) if mine else {}),
    }
    after["open"] = plan.verb(target.target.use, as_row(after, now_us)) is not None
    connection.execute(
        delete(standings).where(standings.c.target == target.id, standings.c.subject.in_([gone, subject]))
    )
    connection.execute(insert(standings).values(after))
    before = pairs(mine["remote"]) if mine else set()
    hold(connection, target.id, {gone: (pairs(row["remote"]), set()), subject: (before, pairs(after["remote"]))})


def _together(mine: Row, other: Row, use: Use) -> Row:
    """What stands for both. Of two who may be there, one who surely is counts.

    When neither is sure, nothing is taken for granted: who is wanted joins again, and who is not leaves. Nor is it when
    two values of a property stand: they may stand at two contacts of the one person.
    """
    known = {"number": max(mine["number"], other["number"])}
    there = [one for one in (mine, other) if one["standing"] != Standing.ABSENT]
    sure = [one for one in there if one["standing"] == Standing.PRESENT]
    if use is Use.PROPERTY and len(there) == 2 and mine["stands"] != other["stands"]:
        sure = []
    if len(there) < 2 or sure:
        [chosen, *_] = sure or there or [mine]
        known |= {name: chosen[name] for name in ("standing", "stands", "sent")}
    else:
        known |= {"standing": Standing.POSSIBLE, "stands": None, "sent": None}
    remote = stored(pair for one in there for pair in pairs(one["remote"]))
    refresh_us = min((one["refresh_us"] for one in there if one["refresh_us"] is not None), default=None)
    return {**known, "remote": remote, "refresh_us": refresh_us}


def _pass_memberships_on(connection: Connection, merges: Mapping[int, int]) -> None:
    """Whoever is in a segment as one or the other is in it since the earlier of both."""
    entered: dict[tuple[str, int], Row] = {}
    concerned = memberships.c.person.in_([*merges, *set(merges.values())])
    for row in connection.execute(select(memberships).where(concerned)).mappings():
        person = merges.get(row["person"], row["person"])
        known = entered.get((row["segment"], person), row)
        entered_us = min(known["entered_us"], row["entered_us"])
        entered[row["segment"], person] = {**row, "person": person, "entered_us": entered_us}
    connection.execute(delete(memberships).where(concerned))
    if entered:
        connection.execute(insert(memberships), list(entered.values()))
