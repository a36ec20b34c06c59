"""Runs until it is killed: appends pages of the common history, each with a cursor in the same commit, and compacts.

Started as ``python event_log_victim.py ROLE FOLDER``. A writer says each page's number once it is committed.
"""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path

from event_log_model import NOW, open_log, page, removed
from sqlalchemy import Connection, delete, insert, select

from leadup.events.log import EventLog
from leadup.events.rows import key_of
from leadup.state.tables import meta


def pages(connection: Connection) -> int:
    """How many pages of the history have been committed."""
    return connection.scalar(select(meta.c.value).where(meta.c.key == "pages")) or 0


def turn(log: EventLog) -> int:
    """Commit the next page and return its number."""
    with log.store.write() as connection:
        number = pages(connection)
        log.append(connection, page(number), NOW)
        log.remove(connection, [key_of(*name) for name in removed(number)])
        connection.execute(delete(meta).where(meta.c.key == "pages"))
        connection.execute(insert(meta).values(key="pages", value=number + 1))
    return number


def compact(log: EventLog) -> None:
    """Compact on random terms, and sweep."""
    log.compact(
        NOW,
        keep_days=random.choice([5, 8]),
        tail_rows=random.choice([0, 100, 1000]),
        file_rows=random.choice([20, 100, 1000]),
        gone_share=random.choice([0, 0.2]),
    )
    log.sweep(NOW, grace_us=0)


def forever(log: EventLog) -> None:
    """Compact until killed."""
    while True:
        compact(log)


def say(word: object) -> None:
    """Tell whoever started us."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    log = open_log(Path(sys.argv[2]))
    if sys.argv[1] == "compactor":
        say("ready")
        forever(log)
    threading.Thread(target=forever, args=(log,), daemon=True).start()
    while True:
        say(turn(log))
