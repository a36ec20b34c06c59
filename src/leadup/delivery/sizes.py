"""How big audiences are, as their vendors say: asked a few times a day, kept with the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, select, update

from leadup.delivery.adopting import note_name
from leadup.delivery.book import TargetRow
from leadup.errors import unforeseen
from leadup.identity.seal import redact
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
    able = {target.id: target for target in found if _may_be_asked(target, destinations)}
    due = (targets.c.sized_us.is_(None)) | (targets.c.sized_us <= to_us(now - EVERY))
    with store.read() as connection:
        ids = list(connection.scalars(select(targets.c.id).where(targets.c.id.in_(able), due)))
    for target in (able[one] for one in ids):
        destination = destinations[target.target.connection]
        values: dict[str, Any] = {"sized_us": to_us(now)}
        name = ""
        try:
            if isinstance(destination, Sized):
                remote = RemoteTarget(id=str(target.remote_id), name=target.target.remote_name)
                size = destination.size(remote)
                values["size"], name = as_json(size), size.name
        except Exception as error:  # noqa: BLE001 - a number to look at holds up no delivery
            log.warning("size unknown", target=target.target.key, error=redact(unforeseen(error)))
        with store.write() as connection:
            note_name(connection, target.id, name, to_us(now))
            connection.execute(update(targets).where(targets.c.id == target.id).values(**values))


def _may_be_asked(target: TargetRow, destinations: Mapping[str, Destination]) -> bool:
    return (
        target.active
        and target.remote_id is not None
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
