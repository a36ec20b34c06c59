"""When two persons turn out to be one, what stands for the one who is gone passes to the one who stays."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, delete, insert, select, update

from leadup import plan
from leadup.delivery.book import TargetRow, all_targets, as_row
from leadup.plan import Standing
from leadup.state.tables import conversions, judged, memberships, outbox, remote_ids, standings

_SURE = {Standing.ABSENT: 0, Standing.LEAVING: 1, Standing.POSSIBLE: 2, Standing.PRESENT: 3}


def merge(connection: Connection, gone: int, stays: int, now_us: int) -> bool:
    """Pass on all that hangs on ``gone``; nothing is sent for that.

    Returns False, having done nothing, while a row of his is on its way: try again when its receipt is in.
    """
    sending = and_(outbox.c.person == gone, outbox.c.state == "sending")
    if connection.scalar(select(outbox.c.id).where(sending).limit(1)) is not None:
        return False
    waiting = and_(outbox.c.person == gone, outbox.c.state.in_(["held", "pending"]))
    connection.execute(update(outbox).where(waiting).values(state="replaced", done_us=now_us, detail="persons merged"))
    targets = {target.id: target for target in all_targets(connection)}
    for row in connection.execute(select(standings).where(standings.c.person == gone)).mappings().all():
        _pass_on(connection, targets[row["target"]], dict(row), gone, stays)
    connection.execute(update(outbox).where(outbox.c.person == gone).values(person=stays))
    connection.execute(update(conversions).where(conversions.c.person == gone).values(person=stays))
    connection.execute(delete(judged).where(judged.c.person == gone))
    for row in connection.execute(select(memberships).where(memberships.c.person == gone)).mappings().all():
        here = and_(memberships.c.segment == row["segment"], memberships.c.person == stays)
        entered = connection.scalar(select(memberships.c.entered_us).where(here))
        if entered is None:
            connection.execute(insert(memberships).values({**row, "person": stays}))
        elif row["entered_us"] < entered:
            connection.execute(update(memberships).where(here).values(entered_us=row["entered_us"]))
    connection.execute(delete(memberships).where(memberships.c.person == gone))
    return True


def _pass_on(connection: Connection, target: TargetRow, row: dict[str, Any], gone: int, stays: int) -> None:
    key = and_(standings.c.target == target.id, standings.c.subject == row["subject"])
    if row["subject"] != str(gone):  # a conversion: its transaction id stays what it is
        connection.execute(update(standings).where(key).values(person=stays, open=_is_open(target, row)))
        return
    here = and_(standings.c.target == target.id, standings.c.subject == str(stays))
    mine = connection.execute(select(standings).where(here)).mappings().first()
    subject = str(stays)
    mark = and_(remote_ids.c.target == target.id, remote_ids.c.subject == row["subject"])
    held = {(r.kind, r.value) for r in connection.execute(select(remote_ids).where(mark))}
    connection.execute(delete(remote_ids).where(mark))
    own = and_(remote_ids.c.target == target.id, remote_ids.c.subject == subject)
    held -= {(r.kind, r.value) for r in connection.execute(select(remote_ids).where(own))}
    if held:
        rows = [{"target": target.id, "kind": k, "value": v, "subject": subject} for k, v in sorted(held)]
        connection.execute(insert(remote_ids), rows)
    connection.execute(delete(standings).where(key))
    if mine is None:
        after = {**row, "subject": subject, "person": stays}
        connection.execute(insert(standings).values({**after, "open": _is_open(target, after)}))
        accepted = and_(outbox.c.target == target.id, outbox.c.subject == row["subject"], outbox.c.state == "accepted")
        connection.execute(update(outbox).where(accepted).values(subject=subject))
        return
    surer = max(dict(mine), row, key=lambda r: _SURE[Standing(r["standing"])])
    together = sorted({tuple(i) for i in [*(mine["remote"] or []), *(row["remote"] or [])]})
    after = {
        **mine,
        "standing": surer["standing"],
        "stands": surer["stands"],
        "remote": together or None,
        "refresh_us": surer["refresh_us"],
        "number": max(mine["number"], row["number"]),
    }
    changed = {name: after[name] for name in ("standing", "stands", "remote", "refresh_us", "number")}
    connection.execute(update(standings).where(here).values(**changed, open=_is_open(target, after)))


def _is_open(target: TargetRow, row: dict[str, Any]) -> bool:
    return plan.verb(target.target.use, as_row(row, 0)) is not None
