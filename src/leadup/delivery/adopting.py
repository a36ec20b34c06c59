"""Audiences that people make, rename and delete as well: whose they are, what they are called, and that they are gone.

An audience is known by its id from its first use on. What is there already and has members is held by the guard
``adopt`` until somebody says that it is the right one; ``targets.plan`` then holds its id, so that what is accepted is
what was shown. It is that of one target only, or a leave of one would take out members of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, delete, exists, or_, select, update

from leadup.delivery.book import TargetRow, all_targets, replace_waiting
from leadup.delivery.ledger import Line, write_ledger
from leadup.errors import NeedsHuman, Refused, TryLater
from leadup.identity.seal import redact
from leadup.kit import Adopting, Destination
from leadup.outgoing import Found, Use
from leadup.plan import Standing
from leadup.state import Store
from leadup.state.tables import budgets, outbox, remote_ids, standings, targets
from leadup.types import to_us

LEAVING: Final = timedelta(minutes=5)
"""When to look again whether those have left whom another target had put into an audience."""


def is_ours(
    store: Store,
    destinations: Mapping[str, Destination],
    target: TargetRow,
    now: datetime,
    keep: Callable[[datetime], None],
) -> bool:
    """Whether a target may be written to; if not, its guard is set and what waits for it is held.

    An audience without members is taken as it is: a crash between its creation and our note of it leaves such a one.
    ``keep`` writes down what vendors have said of their accounts.

    Raises:
        NeedsHuman, TryLater: what is there is another target's (:func:`must_be_free`), or could not be looked at.
    """
    destination = destinations[target.target.connection]
    if target.remote_id is not None or target.target.use is not Use.AUDIENCE or not isinstance(destination, Adopting):
        return True
    found = destination.look(target.target)
    if found is not None:
        keep(now)
        with store.read() as connection:
            must_be_free(connection, target, found.id, destinations)
    if found is None or not found.members:
        return True
    text = f"leadup did not make the audience {found}"
    values = {"guard": "adopt", "guard_text": redact(text), "plan": found.id}
    with store.write() as connection:
        connection.execute(update(targets).where(targets.c.id == target.id).values(**values))
        here = (outbox.c.target == target.id) & (outbox.c.state == "pending")
        connection.execute(update(outbox).where(here).values(state="held"))
        write_ledger(connection, to_us(now), target.id, [Line(None, "", None, "prepare", "held", "adopt", text)])
    return False


def must_be_free(connection: Connection, target: TargetRow, remote_id: str, destinations: Collection[str] = ()) -> None:
    """Do nothing if no other target is kept in the audience with this id, at any connection of the same account.

    ``destinations``: connections that are delivered to. What was put in by a target that is no longer sent there leaves
    first; nobody at a connection that is there no more ever will.

    Raises:
        NeedsHuman: another one is.
        TryLater: one that is no longer sent there has members in it still.
    """
    if target.target.use is not Use.AUDIENCE:
        return
    same = _of_one_account(connection, target.target.connection)
    for other in all_targets(connection):
        place = other.target
        there = place.use is Use.AUDIENCE and place.connection in same and other.remote_id == remote_id
        if not there or other.id == target.id:
            continue
        if other.active:
            raise NeedsHuman(
                f"{place.key} is kept in that audience already (id {remote_id}): a leave of one would take out members "
                "of the other.",
                todo=f"give {target.target.name!r} another `name` in its `activate`, or another id in the settings; or "
                "take one of the two out of the rules",
            )
        still = exists().where(standings.c.target == other.id, standings.c.standing != Standing.ABSENT)
        if place.connection in destinations and connection.scalar(select(still)):
            raise TryLater(
                f"{place.key}, which the rules no longer send, has members in that audience still (id {remote_id}): "
                "they leave first.\n  What to do: nothing, if no guard holds them; `leadup plan` shows it",
                retry_after=LEAVING,
            )


def _of_one_account(connection: Connection, name: str) -> set[str]:
    """Connections of the same account as this one, by what the vendor told last; at least this one."""
    account = select(budgets.c.account).where(budgets.c.connection == name).scalar_subquery()
    return {name, *connection.scalars(select(budgets.c.connection).where(budgets.c.account == account))}


def adopted(connection: Connection, target: TargetRow, who: str, now_us: int) -> None:
    """Somebody says that the audience which was shown is the right one: it is ours from now on, by its id.

    Raises:
        NeedsHuman: another target took it meanwhile.
    """
    must_be_free(connection, target, str(target.plan))
    connection.execute(update(targets).where(targets.c.id == target.id).values(remote_id=target.plan))
    line = Line(None, "", None, "prepare", "adopted", detail=f"{target.guard_text}; accepted by {who}")
    write_ledger(connection, now_us, target.id, [line])


def note_name(connection: Connection, target: int, name: str, now_us: int) -> None:
    """Tell the ledger when an audience is not called any more what it was called when it was looked at last."""
    size = connection.scalar(select(targets.c.size).where(targets.c.id == target)) or {}
    known = size.get("name")
    if not name or not known or name == known:
        return
    detail = f"renamed from {known!r} to {name!r} by somebody; still used"
    write_ledger(connection, now_us, target, [Line(None, "", None, "prepare", "renamed", detail=detail)])
    connection.execute(update(targets).where(targets.c.id == target).values(size={**size, "name": name}))


def recreate(store: Store, destination: Destination, target: TargetRow, who: str, now: datetime) -> bool:
    """Forget an audience that somebody deleted, so that it is made anew and all who should be in it are sent again.

    Returns:
        Whether there was one to forget.

    Raises:
        Refused: it is still there.
        NeedsHuman, TryLater: it could not be looked at.
    """
    if target.remote_id is None or target.target.use is not Use.AUDIENCE or not isinstance(destination, Adopting):
        return False
    found = destination.look(target.target)
    if found is not None:
        raise Refused(
            f"{target.target.key} is still there: {_named(found)}. It is not made anew.\n"
            "  What to do: to send everybody anew, use `leadup sync --replace` where the vendor can do that; to begin "
            "with an empty one, delete it there first.",
            code="still_there",
        )
    with store.write() as connection:
        _forget(connection, target, who, to_us(now))
    return True


def _named(found: Found) -> str:
    return f"{found.size.name!r} (id {found.id})"


def _forget(connection: Connection, target: TargetRow, who: str, now_us: int) -> None:
    """Nobody stands there any more, and nothing that is on its way can arrive."""
    here = standings.c.target == target.id
    leaving = connection.scalars(select(standings.c.subject).where(here, standings.c.want.is_(None))).all()
    on_its_way = and_(outbox.c.target == target.id, or_(outbox.c.state == "sending", outbox.c.state == "accepted"))
    values = {"state": "pending", "before": None, "remote": None, "batch": None, "handle": None, "next_us": now_us}
    connection.execute(update(outbox).where(on_its_way).values(**values))
    replace_waiting(connection, target, leaving, now_us, "the audience is gone")
    values = {"stands": None, "standing": Standing.ABSENT, "remote": None, "sent": None, "refresh_us": None}
    connection.execute(update(standings).where(here).values(**values, open=standings.c.want.is_not(None)))
    connection.execute(delete(remote_ids).where(remote_ids.c.target == target.id))
    gone = {"remote_id": None, "refresh_us": None, "size": None, "sized_us": None, "error": None, "retry_us": None}
    connection.execute(update(targets).where(targets.c.id == target.id).values(**gone))
    detail = f"{target.target.remote_name} ({target.remote_id}) is gone; to be made anew, accepted by {who}"
    write_ledger(connection, now_us, target.id, [Line(None, "", None, "prepare", "forgotten", detail=detail)])
