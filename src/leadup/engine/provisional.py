"""Memberships that rest on a period still open for late rows: what holds now, and not yet by the final watermark.

Judged when somebody asks, by the kernel itself; nothing of it is kept, and nothing else is sent for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from leadup.engine.kernel import judge
from leadup.rules.program import Program
from leadup.rules.verdicts import Mask
from leadup.types import NEVER

Tables = tuple[pa.Table, pa.Table, pa.Table]


def provisional(
    program: Program, tables: Tables, *, at: int, watermarks: Mapping[str, int], final: Mapping[str, int]
) -> dict[str, Mask]:
    """Return, for each segment, for whom its verdict (``when`` and not excluded) holds provisionally.

    It holds by ``watermarks``, up to which the sources have been read, and would not by ``final``, up to which no row
    can come any more: then it holds since an instant for which rows may still come late.

    Args:
        program: the rules.
        tables: the kernel's.
        at: the instant of judging, microseconds UTC.
        watermarks: by pattern, as :func:`leadup.engine.kernel.judge` takes them.
        final: the same, none of them later.
    """
    now, sure = judge(program, *tables, at=at, watermarks=watermarks), _sure(program, tables, at, final)
    return {name: _holds(now, name) & ~_holds(sure, name) for name in program.segments}


def final_from(program: Program, tables: Tables, name: str, *, at: int, final: Mapping[str, int]) -> int | None:
    """Return the final watermark at which one person's verdict on a segment is provisional no more.

    ``tables`` hold that person alone. None: it does not hold, however far the sources are read.
    """
    mark = min(final.values(), default=NEVER)
    while mark < NEVER:
        sure = _sure(program, tables, at, {pattern: max(mark, own) for pattern, own in final.items()})
        if _holds(sure, name)[0]:
            return mark
        mark = int(sure[f"waits:{name}"][0].as_py())
    return None


def _sure(program: Program, tables: Tables, at: int, final: Mapping[str, int]) -> pa.Table:
    """Judge by what is final. ``settle`` waits for nothing more: by its time late rows were to be in, here they are."""
    hasty = {name: replace(segment, settle=0) for name, segment in program.segments.items()}
    return judge(replace(program, segments=hasty, groups=()), *tables, at=at, watermarks=final)


def _holds(verdicts: pa.Table, name: str) -> Mask:
    holds: Mask = verdicts[f"when:{name}"].to_numpy() & ~verdicts[f"excluded:{name}"].to_numpy()
    return holds


def rest_open(watermarks: Mapping[str, int], final: Mapping[str, int]) -> bool:
    """Whether rows may still come late of any time that has been read."""
    return any(final[pattern] < mark for pattern, mark in watermarks.items())
