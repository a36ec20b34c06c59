"""How big audiences are, as their vendors say: asked a few times a day, kept with the target."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, select, update

from leadup.delivery.adopting import note_name
from leadup.delivery.book import TargetRow, all_targets
from leadup.delivery.trouble import trouble
from leadup.kit import Destination, Sized
from leadup.outgoing import Found, RemoteTarget, Size, Use
from leadup.state import Store
from leadup.state.tables import targets
from leadup.types import to_us

log = structlog.get_logger("leadup.delivery")

EVERY = timedelta(hours=6)
"""Vendors count anew a few times a day at most."""
ASKING = 2
"""Calls that asking for a size may take."""


def measure(store: Store, destinations: Mapping[str, Destination], found: Sequence[TargetRow], now: datetime) -> None:
    """Ask for the sizes of audiences that were not asked for lately. That one can not be told stops nothing."""
    with store.read() as connection:
        due = _due(connection, [one for one in found if one.remote_id and _may_be_asked(one, destinations)], to_us(now))
    for target in due:
        destination = destinations[target.target.connection]
        values: dict[str, Any] = {"sized_us": to_us(now)}
        name = ""
        try:
            if isinstance(destination, Sized):
                remote = RemoteTarget(id=str(target.remote_id), name=target.target.remote_name)
                size = destination.size(remote)
                values["size"], name = as_json(size), size.name
        except Exception as error:  # noqa: BLE001 - a number to look at holds up no delivery
            log.warning("size unknown", target=target.target.key, error=trouble(error)[0])
        with store.write() as connection:
            note_name(connection, target.id, name, to_us(now))
            connection.execute(update(targets).where(targets.c.id == target.id).values(**values))


def to_be_asked(
    connection: Connection, destinations: Mapping[str, Destination], name: str, coming: Collection[int], at_us: int
) -> list[TargetRow]:
    """Audiences of a connection whose sizes are asked for once ``coming``, targets by id, are there."""
    mine = [target for target in all_targets(connection) if target.target.connection == name]
    able = [one for one in mine if (one.remote_id or one.id in coming) and _may_be_asked(one, destinations)]
    return _due(connection, able, at_us)


def _due(connection: Connection, able: Sequence[TargetRow], at_us: int) -> list[TargetRow]:
    """Those that were not asked for lately."""
    late = (targets.c.sized_us.is_(None)) | (targets.c.sized_us <= at_us - EVERY // timedelta(microseconds=1))
    ids = set(connection.scalars(select(targets.c.id).where(targets.c.id.in_([one.id for one in able]), late)))
    return [one for one in able if one.id in ids]


def _may_be_asked(target: TargetRow, destinations: Mapping[str, Destination]) -> bool:
    return (
        target.active
        and target.target.use is Use.AUDIENCE
        and isinstance(destinations.get(target.target.connection), Sized)
    )


def there(connection: Connection, target: TargetRow) -> str | None:
    """What there is at the vendor for an audience, as it was told last; None: nobody looked yet."""
    size = connection.scalar(select(targets.c.size).where(targets.c.id == target.id))
    if not size or not size.get("name") or target.remote_id is None:
        return None
    known = Size(members=size["members"], name=size["name"], details=size["details"])
    return str(Found(id=target.remote_id, size=known))


def as_json(size: Size) -> dict[str, Any]:
    """What is kept of a size."""
    return {
        "members": dict(size.members),
        "match_rate": size.match_rate,
        "kept_days": size.kept_for.days if size.kept_for else None,
        "keyed_by": size.keyed_by,
        "name": size.name,
        "details": dict(size.details),
    }
