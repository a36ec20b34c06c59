"""Vendors' calls of the day, for a person: what is left, and what the plan takes of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, or_, select

from leadup.delivery.book import TargetRow
from leadup.delivery.budgets import CODE, Day, days
from leadup.delivery.predicting import predict
from leadup.delivery.sizes import ASKING, to_be_asked
from leadup.insights.words import instant
from leadup.kit import Budgeted, Destination
from leadup.state.tables import outbox, targets

_HOURS_US: Final = 12 * 3600 * 1_000_000
"""How far a day reaches whose end nobody knows."""


_PARTS: Final = {
    "preparing": "find or make targets",
    "look_ups": "find people",
    "creating": "create people",
    "sizes": "ask for sizes",
}
"""What calls of a forecast are for, besides the changes themselves."""


def accounts(connection: Connection, names: Collection[str], at_us: int) -> list[dict[str, Any]]:
    """What is left of each account's day, with those of these connections that share it."""
    found: dict[str, dict[str, Any]] = {}
    for name, day in days(connection).items():
        if name not in names:  # it was in leadup.toml once
            continue
        one = found.setdefault(day.account, {"account": day.account, "connections": [], **_day(day, at_us)})
        one["connections"].append(name)
    return list(found.values())


def _day(day: Day, at_us: int) -> dict[str, Any]:
    """``left`` is null on a day of which nothing was told yet."""
    today = at_us < day.ends_us
    return {
        "limit": day.limit,
        "left": day.left if today else None,
        "told": instant(day.told_us),
        "resets": instant(day.ends_us) if today else None,
        "zone": day.zone,
    }


def in_words(account: Mapping[str, Any]) -> str:
    """One line for a person: ``hubspot: 612,004 of 650,000 calls left today, resets 00:00 Europe/Berlin``."""
    of = f" of {account['limit']:,}" if account["limit"] is not None else ""
    if account["left"] is not None:
        left = f"{account['left']:,}{of} calls left today, resets 00:00 {account['zone']}"
    else:
        left = f"a new day{of} calls has begun at 00:00 {account['zone']}; the first call tells what is left"
    return f"{', '.join(account['connections'])}: {left}"


def forecast(
    connection: Connection, destinations: Mapping[str, Destination], found: Collection[TargetRow], at_us: int
) -> list[dict[str, Any]]:
    """What the changes that wait for no guard take of the day, by connection that has one, and whether they fit.

    It is what a process takes that begins now. Those that wait for another day take nothing of this one, nor do those
    that the vendor's plan does not offer. ``left`` and ``fits`` are null where the vendor has not told of today;
    ``at_most``: fewer where the vendor knows more people.
    """
    known = days(connection)
    keys = {target.id: target.target.key for target in found}
    answer = []
    for name, destination in sorted(destinations.items()):
        if not isinstance(destination, Budgeted):
            continue
        day = known.get(name)
        mine = [target for target in found if target.target.connection == name and not target.is_not_offered]
        predicted = predict(connection, {name: destination}, mine, *_today(day, at_us)).get(name)
        if predicted is None or not predicted.total:
            continue
        told = _day(day, at_us) if day else dict.fromkeys(("limit", "left", "told", "resets", "zone"))
        kept = day.kept(destination.reserve) if day else None
        room = None if kept is None or told["left"] is None else max(0, told["left"] - kept)
        ask = len(to_be_asked(connection, destinations, name, predicted.targets, at_us))
        if room is not None:  # sizes are asked for with what is left over
            ask = min(ask, max(0, room - predicted.total) // ASKING)
        answer.append(
            {
                "connection": name,
                "calls": predicted.total + ask * ASKING,
                "at_most": predicted.creating > 0,
                "preparing": predicted.preparing,
                "look_ups": predicted.look_ups,
                "creating": predicted.creating,
                "sizes": ask * ASKING,
                "targets": {keys[target]: calls for target, calls in predicted.targets.items()},
                **told,
                "kept": kept,
                "fits": None if room is None else predicted.total <= room,
                "too_many": None if room is None else max(0, predicted.total - room),
            }
        )
    return answer


def _today(day: Day | None, at_us: int) -> list[ColumnElement[bool]]:
    """Rows that go today or would: not those for which the vendor is asked again tomorrow, as about unknown people."""
    ends_us = day.ends_us if day and at_us < day.ends_us else at_us + _HOURS_US
    row = outbox.c
    return [row.state.in_(["pending", "sending"]), or_(row.next_us < ends_us, row.code == CODE)]


def forecast_in_words(one: Mapping[str, Any]) -> str:
    """What :func:`forecast` says of a connection, for a person."""
    parts = [f"{one[part]:,} to {purpose}" for part, purpose in _PARTS.items() if one[part]]
    of_them = f" ({', '.join(parts)})" if parts else ""
    text = f"{one['connection']}: {'at most' if one['at_most'] else 'about'} {one['calls']:,} calls{of_them}; "
    if one["left"] is None:
        return f"{text}what is left of today's is known after the first one"
    of = f" of {one['limit']:,}" if one["limit"] is not None else ""
    kept = f", and {one['kept']:,} are kept for the account's other apps" if one["kept"] else ""
    text += f"{one['left']:,}{of} are left today{kept}"
    if one["fits"]:
        return text
    return (
        f"{text}. {one['too_many']:,} do not fit: leaves go first, the rest waits until {one['resets']} "
        f"(00:00 {one['zone']})"
    )


def postponed(connection: Connection, found: Collection[TargetRow], at_us: int) -> dict[str, dict[str, Any]]:
    """What waits for a vendor's next day, by connection: how many changes, until when, and why."""
    name, row = targets.c.connection, outbox.c
    query = select(name, func.count(), func.min(row.next_us), func.max(row.detail)).join_from(outbox, targets)
    here = [row.target.in_([target.id for target in found]), row.state == "pending"]
    rows = connection.execute(query.where(*here, row.code == CODE, row.next_us > at_us).group_by(name))
    return {one[0]: {"changes": one[1], "until": instant(one[2]), "because": one[3]} for one in rows}
