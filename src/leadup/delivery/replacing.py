"""Replacing an audience without a gap: all who should be in it are sent anew, then whoever was not is removed.

``targets.replacing_us`` is all there is to it: while it is set, joins go out as a refresh does, and when the vendor has
answered for them the others are removed. A crash at any point repeats the step it was in, which does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import Connection, and_, exists, func, or_, select, update

from leadup.delivery.book import TargetRow
from leadup.delivery.budgets import CODE
from leadup.delivery.ledger import Line, write_ledger
from leadup.delivery.rows import BROKEN_OFF, LOST, NEEDS_HUMAN, TRY_LATER
from leadup.errors import LeadupError, Refused
from leadup.identity.seal import redact
from leadup.kit import Destination, Replaceable
from leadup.outgoing import RemoteTarget, Use
from leadup.state import Store
from leadup.state.tables import outbox, standings, targets
from leadup.types import from_us, to_us

log = structlog.get_logger("leadup.delivery")

_NO_REFUSAL: Final = (CODE, LOST, NEEDS_HUMAN, TRY_LATER, BROKEN_OFF)
"""Codes of leaves that wait, and were not refused when they were last sent."""


@dataclass(frozen=True, slots=True)
class Replacing:
    """How far the replacement of an audience is."""

    since_us: int
    wanted: int
    """Who should be in it."""
    renewed: int
    """Of them, who was sent since then, and not refused."""
    waiting: int
    """Changes on their way there, or waiting for their turn or an answer; leaves that were refused do not count: who
    should have left goes with the others."""

    def may_finish(self, max_leave: float) -> bool:
        """Whether the others may be removed: all has been answered, and hardly anybody of ours would go with them."""
        lost = self.wanted - self.renewed
        return not self.waiting and self.wanted > 0 and lost <= max_leave * self.wanted


def begin(connection: Connection, target: TargetRow, now_us: int, who: str) -> int:
    """Have everybody sent anew who should be in an audience; return how many that are.

    Raises:
        Refused: it is no audience that is being sent, or a guard holds it.
    """
    if target.target.use is not Use.AUDIENCE or not target.active:
        raise Refused(f"{target.target.key} is no audience that is being sent.", code="no_audience")
    if target.guard:
        raise Refused(
            f"{target.target.key} is held: {target.guard_text}.\n  What to do: accept or resolve that first.",
            code="held",
        )
    here = standings.c.target == target.id
    there = and_(here, standings.c.want.is_not(None), standings.c.stands.is_not(None))
    connection.execute(update(standings).where(there).values(refresh_us=now_us))
    connection.execute(update(targets).where(targets.c.id == target.id).values(replacing_us=now_us))
    write_ledger(connection, now_us, target.id, [Line(None, "", None, "replace", "begun", detail=f"by {who}")])
    wanted = select(func.count()).select_from(standings).where(here, standings.c.want.is_not(None))
    return connection.scalar(wanted) or 0


def ours(connection: Connection, target: int) -> int:
    """How many people of ours stand in an audience."""
    where = and_(standings.c.target == target, standings.c.stands.is_not(None))
    return connection.scalar(select(func.count()).select_from(standings).where(where)) or 0


def replacing(connection: Connection, target: int) -> Replacing | None:
    """How far the replacement of an audience is; None: it is not being replaced."""
    since_us = connection.scalar(select(targets.c.replacing_us).where(targets.c.id == target))
    if since_us is None:
        return None
    wanted = and_(standings.c.target == target, standings.c.want.is_not(None))
    renewed = exists().where(
        outbox.c.id == standings.c.sent,
        outbox.c.verb == "join",
        outbox.c.sent_us >= since_us,
        outbox.c.state.in_(["accepted", "processed", "uncertain"]),
    )
    on_its_way = [outbox.c.target == target, outbox.c.state.in_(["held", "pending", "sending", "accepted"])]
    on_its_way.append(or_(outbox.c.verb != "leave", outbox.c.attempts == 0, outbox.c.code.in_(_NO_REFUSAL)))
    due = and_(wanted, standings.c.stands.is_not(None), standings.c.refresh_us <= since_us)
    count = select(func.count())
    return Replacing(
        since_us=since_us,
        wanted=connection.scalar(count.select_from(standings).where(wanted)) or 0,
        renewed=connection.scalar(count.select_from(standings).where(wanted, renewed)) or 0,
        waiting=(connection.scalar(count.select_from(outbox).where(*on_its_way)) or 0)
        + (connection.scalar(count.select_from(standings).where(due)) or 0),
    )


def finish(store: Store, destinations: Mapping[str, Destination], found: Sequence[TargetRow], now: datetime) -> None:
    """Remove the others from each audience whose members have all been sent anew."""
    with store.read() as connection:
        begun = set(connection.scalars(select(targets.c.id).where(targets.c.replacing_us.is_not(None))))
        far = {target.id: replacing(connection, target.id) for target in found if target.id in begun}
    for target in found:
        state, destination = far.get(target.id), destinations.get(target.target.connection)
        if state is None or target.guard or not isinstance(destination, Replaceable):
            continue
        if not state.may_finish(target.terms.max_leave):
            continue
        remote = RemoteTarget(id=str(target.remote_id), name=target.target.remote_name)
        try:
            receipt = destination.remove_others(remote, from_us(state.since_us))
        except LeadupError as error:
            log.warning("replacement not finished", target=target.target.key, error=redact(str(error)))
            continue
        with store.write() as connection:
            connection.execute(update(targets).where(targets.c.id == target.id).values(replacing_us=None))
            line = Line(None, "", None, "replace", str(receipt.outcome), receipt.code, receipt.handle)
            write_ledger(connection, to_us(now), target.id, [line])
