"""Rows that could not become events, as files for people."""

from __future__ import annotations

import csv
import re
from itertools import groupby
from pathlib import Path

from sqlalchemy import select

from leadup.state import Store
from leadup.state.tables import rejects


def write(store: Store, folder: Path) -> Path:
    """Write the rejected rows of all sources, a file each, with place, line, reason and text; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with store.read() as connection:
        rows = connection.execute(select(rejects).order_by(rejects.c.connection, rejects.c.id)).mappings().all()
    written = set()
    for name, group in groupby(rows, key=lambda row: row["connection"]):
        path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)[-100:]}.csv"
        draft = path.with_suffix(".part")
        with draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "line", "reason", "text"])
            writer.writerows([row["place"], row["line"], row["reason"], row["text"]] for row in group)
        draft.replace(path)
        written.add(path)
    for path in set(folder.glob("*.csv")) - written:  # whose rows have been erased
        path.unlink()
    return folder
