"""What a crash left on its way, and is not sent again just as it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from leadup.delivery.book import TargetRow
from leadup.delivery.rows import BROKEN_OFF
from leadup.delivery.settling import Destinations, opened
from leadup.state import Store
from leadup.state.tables import outbox

CLAIMED_ANEW: Final = ("join", "upsert", "leave")
"""Verbs that go by where a person is: he may have opted out meanwhile, or have become another record there, which
others may share by now."""


def wait_again(store: Store, destinations: Destinations, serve: Sequence[TargetRow], now: datetime) -> None:
    """Let such rows be claimed anew, under the same keys. They may have been done, so they stay in doubt."""
    broken_off = (outbox.c.state == "sending") & outbox.c.verb.in_(CLAIMED_ANEW)
    with store.read() as connection:
        mine = outbox.c.target.in_([target.id for target in serve])  # so that the index serves
        found = set(connection.scalars(select(outbox.c.target).where(mine, broken_off).distinct()))
    for target in serve:
        if target.id in found:
            here = broken_off & (outbox.c.target == target.id)
            with opened(store, destinations, target, now, here) as (_, states):
                states.no_answer("the process ended before it knew the answer", timedelta(0), BROKEN_OFF)
