"""Judges every person at an instant: tables in, one table out, no storage and no clock."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from leadup.rules.program import Program


def judge(
    program: Program,
    people: pa.Table,
    signals: pa.Table,
    facts: pa.Table,
    *,
    at: int,
    watermarks: Mapping[str, int],
) -> pa.Table:
    """Judge every person at the instant ``at`` (microseconds UTC).

    - ``people``: ``person`` int64, ``known_from`` int64 (the instant of the first event or fact). One row a person.
    - ``signals``: as :func:`leadup.rules.signals.signal_schema`, in any order.
    - ``facts``: ``person`` int64, ``trait`` string, ``at`` int64, ``text`` string, ``num`` float64.
    - ``watermarks``: by pattern, the instant up to which the sources that feed it have been read completely; a
      pattern that is not named is complete.

    Returns one row a person, in the order of ``people``: ``person``; for each segment ``when:NAME``,
    ``excluded:NAME``, ``in:NAME`` (bool), ``until:NAME``, ``waits:NAME`` (int64); for each score ``score:NAME``
    (float64) and ``until_score:NAME`` (int64); ``due`` and ``waits`` (int64), the earliest of them all.
    """
    raise NotImplementedError
