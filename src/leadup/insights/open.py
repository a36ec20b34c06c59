"""How many memberships are provisional: rest on a period of which rows may still come late."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from leadup.engine.gather import gather, watermarks
from leadup.engine.provisional import provisional, rest_open
from leadup.insights.ahead import only
from leadup.rules.program import Program
from leadup.state.store import chunks
from leadup.state.tables import memberships

CHUNK = 20_000
"""Members judged at once."""


def provisional_members(
    connection: Connection, program: Program, names: Collection[str], at_us: int, feeds: Collection[str]
) -> dict[str, int]:
    """Count the provisional members of each of these segments.

    Members are those of the last tick, judged at ``at_us``; ``feeds`` are the connections that are pulled.
    """
    marks, final = (watermarks(connection, program, feeds, final=only_final) for only_final in (False, True))
    found = dict.fromkeys(names, 0)
    if not rest_open(marks, final):
        return found
    for name in names:
        needed = only(program, name)
        members = list(connection.scalars(select(memberships.c.person).where(memberships.c.segment == name)))
        for part in chunks(members, CHUNK):
            tables = gather(connection, needed, part)
            found[name] += int(provisional(needed, tables, at=at_us, watermarks=marks, final=final)[name].sum())
    return found
