"""What a segment would have been on each of the last days: today's rules, judged over what was logged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadup.delivery.book import Terms
from leadup.engine import listed
from leadup.engine.derive import is_derived, rederive
from leadup.engine.gather import gather
from leadup.engine.kernel import judge
from leadup.engine.signal_files import SignalFiles
from leadup.events.log import EventLog
from leadup.identity import people
from leadup.insights.ahead import only
from leadup.membership import OUT, fold, wanted
from leadup.outgoing import Capabilities, Join, Leave, Target
from leadup.rules.lists import Listing
from leadup.rules.loader import Rules
from leadup.rules.program import Program
from leadup.rules.verdicts import Mask
from leadup.state import Store
from leadup.types import EVER, to_us

Tables = tuple[pa.Table, pa.Table, pa.Table]
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Moved:
    """Who came and went between the ends of two days, as persons."""

    joined: Sequence[int]
    left: Sequence[int]


def backtest(
    store: Store,
    rules: Rules,
    name: str,
    now: datetime,
    days: int,
    targets: Mapping[Target, tuple[Terms, Capabilities]],
    tell: Callable[[str, float | None], None],
) -> dict[str, Any]:
    """Judge a segment at the end (UTC) of each of the last ``days`` days that are over. Nothing is kept.

    People, their identifiers and consent, and the lists they are on, are those of today; what came in late counts from
    its own instant on. Whoever came and went again between two ends of days is not seen, and ``stay_at_least`` is
    counted from the first one on.

    ``targets`` are the segment's, with what each asks and can do. Their calls are what its joins and leaves need at
    least (sent once a day, in full batches) and at most (one by one).
    """
    end = now.replace(hour=0, minute=0, second=0, microsecond=0)
    ends = [end - DAY * back for back in range(days, -1, -1)]
    tell("reading", None)
    tables = _read(store, rules.program, rules.lists, name)
    ids = tables[0]["person"].to_numpy()
    before: Mask = np.zeros(len(ids), bool)
    sizes, moves = [], []
    for day, members in enumerate(members_at(rules.program, tables, name, [to_us(one) for one in ends])):
        sizes.append(int(members.sum()))
        moves.append(Moved(ids[members & ~before].tolist(), ids[before & ~members].tolist()))
        before = members
        tell(f"judged {ends[day]:%d %B}", day / days)
    joined, left = (sum(len(getattr(one, kind)) for one in moves[1:]) for kind in ("joined", "left"))
    shares = [len(one.left) / size for one, size in zip(moves[1:], sizes, strict=False) if size]
    return {
        "segment": name,
        "size_before": sizes[0],
        "size": sizes[-1],
        "joins_per_day": round(joined / days, 2),
        "leaves_per_day": round(left / days, 2),
        "daily_churn": round(sum(shares) / len(shares), 4) if shares else None,
        "days": [
            {"day": (one - DAY).date().isoformat(), "size": size, "joined": len(m.joined), "left": len(m.left)}
            for one, size, m in zip(ends[1:], sizes[1:], moves[1:], strict=True)
        ],
        "targets": [_calls(store, target, *asked, moves) for target, asked in targets.items()],
    }


def members_at(program: Program, tables: Tables, name: str, instants: Sequence[int]) -> Iterator[Mask]:
    """Yield who is in a segment at each of these instants (ascending, microseconds UTC), one element a person.

    Sources count as read up to each instant, and no further: ``settle`` waits. Only those are judged again whose
    ``until`` has passed, or for whom the sources have been read far enough.
    """
    needed, (who, signals, facts) = only(program, name), tables
    entered = {segment: np.full(who.num_rows, OUT) for segment in needed.segments}
    again: npt.NDArray[np.int64] = np.full(who.num_rows, EVER)
    for at in instants:
        due = np.flatnonzero(again <= at)
        marks = dict.fromkeys(needed.patterns, at)
        verdicts = judge(needed, who.take(due), signals, facts, at=at, watermarks=marks)
        now = fold(needed, verdicts, {segment: since[due] for segment, since in entered.items()}, at)
        for segment, one in now.items():
            entered[segment][due] = one.entered
        again[due] = np.minimum(now[name].until, verdicts[f"waits:{name}"].to_numpy())
        yield np.not_equal(entered[name], OUT)


def _read(store: Store, program: Program, lists: Mapping[str, Listing], name: str) -> Tables:
    """The kernel's tables for everyone, with what the segment needs.

    Signals and lists that no live rule reads are made, and thrown away again.
    """
    with store.read() as connection:
        derived = is_derived(connection, program) and listed.is_kept(connection, program)
    with nullcontext() if derived else store.rehearsal(), store.read() as connection:
        if not derived:
            rederive(connection, program, EventLog(store))
            listed.keep(connection, program, lists)
        return gather(connection, only(program, name), people.everyone(connection), SignalFiles(store.folder))


def _calls(store: Store, target: Target, terms: Terms, can: Capabilities, moves: Sequence[Moved]) -> dict[str, Any]:
    """What the joins and leaves of those whom the target could find today would have taken."""
    with store.read() as connection:
        ever = sorted({person for one in moves for person in one.joined})
        reachable = _reachable(
            terms, people.identifiers_of(connection, ever), people.consent_together(connection, ever)
        )
    joins, leaves, least = 0, 0, 0
    for one in moves[1:]:
        for verb, persons in ((Join.verb, one.joined), (Leave.verb, one.left)):
            count = len(reachable.intersection(persons))
            least += -(-count // can.batch[verb])
            joins, leaves = joins + count * (verb == Join.verb), leaves + count * (verb == Leave.verb)
    calls = {"at_least": least, "at_most": joins + leaves}
    return {"target": target.key, "joins": joins, "leaves": leaves, "calls": calls}


def _reachable(terms: Terms, who: Mapping[int, Collection[Any]], consent: Mapping[int, Any]) -> set[int]:
    asked = terms.audience
    return {
        person
        for person, identifiers in who.items()
        if wanted(asked, member=True, identifiers=identifiers, consent=consent.get(person, {})).basis is not None
    }
