"""Many values in one statement."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, Connection, Select, func, select


def among(values: Iterable[int] | Iterable[str]) -> Select[Any]:
    """Return the values as a set to test with ``column.in_(among(values))``.

    They travel as one parameter, so there is no limit to their number, and the statement is prepared once for all
    sizes. (SQLite's way; PostgreSQL says ``= ANY(:values)``.)
    """
    return select(func.json_each(json.dumps(list(values))).table_valued("value").c.value)


def next_numbers(connection: Connection, column: Column[int], count: int) -> range:
    """Return the next ``count`` unused numbers of a table's ``id``. The write lock keeps them ours."""
    last = connection.execute(select(func.max(column))).scalar() or 0
    return range(last + 1, last + 1 + count)
