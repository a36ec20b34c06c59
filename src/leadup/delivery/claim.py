"""Decides, at the moment of sending, which rows may leave, and with which identifiers and consent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Connection, select

from leadup.consent import Permission
from leadup.delivery.book import TargetRow
from leadup.delivery.erase import REASON as ERASED
from leadup.delivery.erase import UNTRACED, being_erased
from leadup.delivery.remote import Pair, holders
from leadup.delivery.rows import LOST, Row
from leadup.delivery.shared import clears, identifiers, send_anew, shared_values
from leadup.delivery.states import States
from leadup.identity import people
from leadup.outgoing import Address, Unreachable, Use
from leadup.plan import Standing
from leadup.state.store import chunks
from leadup.state.tables import conversions, remote_ids, standings
from leadup.types import Purpose

_NOBODY = Unreachable(code="nobody", detail="the person is no longer known")
_UNTRACED = "the vendor deleted her record or merged it into another one, which may be in the audience"


def claim(
    connection: Connection,
    states: States,
    target: TargetRow,
    addresses: Mapping[int, Address | Unreachable],
    batch: str,
) -> list[Row]:
    """Mark as ``sending`` what may leave now, under the name ``batch``; note of the others why not.

    Args:
        connection: a transaction that may write.
        states: rows of one verb, all of them pending.
        target: where they go.
        addresses: by person; a leave needs none, it goes by the identifiers that were sent, unless they are lost.
        batch: a name of its own.

    Returns:
        The rows to send.
    """
    leaves = [row for row in states.rows if row["verb"] == "leave"]
    erased = being_erased(connection, {row["person"] for row in states.rows})
    unsure = _lost(states, leaves, addresses)
    to_take_out = _to_take_out(connection, states, target, leaves, erased)
    allowed = permissions(connection, target, states.rows)
    going = [row for row in states.rows if row["verb"] != "leave" and may_leave(row, states, allowed[row["id"]])]
    theirs = shared_values(connection, target, going, addresses)
    claimed = []
    for row in states.rows:
        if row["id"] in unsure:
            continue
        if row["verb"] == "leave":
            if ids := to_take_out[row["subject"]]:
                states.send(row, ids, {}, batch)
                claimed.append(row)
            elif row["code"] == LOST and row["person"] in erased:
                states.spared(row, _UNTRACED, UNTRACED)
            else:
                states.spared(row, _why_spared(row, states))
            continue
        if row["person"] in erased:
            states.withheld(row, ERASED)
            continue
        address = addresses.get(row["person"], _NOBODY)
        if isinstance(address, Unreachable) and address.for_good:
            states.unknowable(row, address.code, address.detail)
        elif isinstance(address, Unreachable):
            wait = address.again // timedelta(microseconds=1)
            states.unreachable(row, address.code, address.detail, wait)
        elif not may_leave(row, states, allowed[row["id"]]):
            states.withheld(row, allowed[row["id"]].because)
        elif clears(row) and not (identifiers(address) - theirs.keys()):
            states.spared(row, "another person of the same record has a value there")
        else:
            statement = {str(purpose): granted for purpose, granted in allowed[row["id"]].statement.items()}
            to = identifiers(address)
            states.send(row, to - theirs.keys() if clears(row) else to, statement, batch)
            claimed.append(row)
    send_anew(connection, target, theirs, states.rows)
    return claimed


def _why_spared(row: Row, states: States) -> str:
    if states.standing(row)["remote"]:
        return "another member still needs these identifiers"
    return "the vendor knows nobody there any more" if row["code"] == LOST else "was there before us"


def may_leave(row: Row, states: States, allowed: Permission) -> bool:
    """Whether consent lets a row leave. A leave always may, and so may a restatement that takes value away.

    That is, from what surely stands there: a restatement of what the vendor does not know would report it.
    """
    if allowed.granted or row["verb"] == "leave":
        return True
    standing = states.standing(row)
    stands = standing["stands"]
    if row["verb"] != "restate" or not stands or standing["standing"] != Standing.PRESENT:
        return False
    return (row["want"]["minor"] or 0) <= (stands["minor"] or 0) and row["want"]["currency"] == stands["currency"]


def permissions(connection: Connection, target: TargetRow, rows: Sequence[Row]) -> dict[int, Permission]:
    """What consent says of each row now, by row."""
    stated = people.consent_together(connection, sorted({row["person"] for row in rows}))
    of_event = _event_consent(connection, target, rows)
    erased = being_erased(connection, {row["person"] for row in rows})
    return {
        row["id"]: Permission(False, ERASED)
        if row["person"] in erased
        else target.terms.permit(stated.get(row["person"], {}), of_event.get(row["subject"]))
        for row in rows
    }


def _event_consent(connection: Connection, target: TargetRow, rows: Sequence[Row]) -> dict[str, Mapping[Purpose, bool]]:
    if target.target.use is not Use.CONVERSION:
        return {}
    query = select(conversions.c.transaction_id, conversions.c.consent)
    found: dict[str, Mapping[Purpose, bool]] = {}
    for part in chunks([row["subject"] for row in rows]):
        for transaction_id, consent in connection.execute(query.where(conversions.c.transaction_id.in_(part))):
            found[transaction_id] = {Purpose(name): bool(granted) for name, granted in consent.items()}
    return found


def _lost(states: States, leaves: Sequence[Row], addresses: Mapping[int, Address | Unreachable]) -> set[int]:
    """Note where people are by now whose records are lost; return the rows for which the vendor did not say so."""
    unsure: set[int] = set()
    for row in (leave for leave in leaves if leave["code"] == LOST):
        found = addresses.get(row["person"], _NOBODY)
        if isinstance(found, Unreachable) and found.unsure:
            states.asked_again(row, LOST, found.detail, found.again)
            unsure.add(row["id"])
            continue
        place = found if isinstance(found, Address) else found.at
        states.found_anew(row, {(i.kind, i.value) for i in place.ids} if place else ())
    return unsure


def _to_take_out(
    connection: Connection, states: States, target: TargetRow, leaves: Sequence[Row], erased: Collection[int]
) -> dict[str, Collection[Pair]]:
    """By subject, what was sent, without what another current member also sent.

    When consent was withdrawn the strictest statement counts, so nothing is spared. An erasure is about one person:
    what another one also sent is his.
    """
    found: dict[str, Collection[Pair]] = defaultdict(list)
    if not leaves:
        return found
    sent = [states.standing(row) for row in leaves]
    current = (
        select(standings.c.subject)
        .where(
            standings.c.target == remote_ids.c.target,
            standings.c.subject == remote_ids.c.subject,
            standings.c.want.is_not(None),
        )
        .exists()
    )
    needed = holders(connection, target.id, sent, current)
    for standing in sent:
        for kind, value in standing["remote"] or ():
            strict = standing["urgent"] and standing["person"] not in erased
            if strict or not needed.get((kind, value), set()) - {standing["subject"]}:
                found[standing["subject"]] = [*found[standing["subject"]], (kind, value)]
    return found
