"""Batches that HubSpot may refuse as a whole because of one row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Generic, TypeVar

from leadup.errors import LeadupError, TryLater
from leadup_connectors.hubspot.answers import HubSpotRefused

MOST_CALLS: Final = 40
"""Calls that are spent on one batch; in 100 rows they find five bad ones or more."""
CONFLICT: Final = 409
"""Somebody else changes the same at that moment."""
ABOUT_ROWS: Final = frozenset({400, CONFLICT, 413, 414})
"""Statuses that a smaller batch may not meet."""

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Sifted(Generic[Answer]):
    """What became of the rows of one batch. Each row is in one of the four."""

    answers: list[tuple[Sequence[str], Answer]] = field(default_factory=list)
    """Rows that went together, and HubSpot's answer."""
    refused: dict[str, str] = field(default_factory=dict)
    """Bad rows, with HubSpot's code: it named them, or took others by the same call and refused them once more.

    A row in conflict is none of them.
    """
    doubted: dict[str, str] = field(default_factory=dict)
    """The same of rows that may pass later: they are in conflict, or were refused alone, with nothing to compare, so
    that the call may be at fault.
    """
    about: dict[str, frozenset[str]] = field(default_factory=dict)
    """Of rows that were refused, the properties that HubSpot says are at fault."""
    unsent: list[str] = field(default_factory=list)
    """Rows that are still mixed with bad ones after :data:`MOST_CALLS`, or that trouble kept from being sent."""


def change(
    rows: Collection[str], size: int, send: Callable[[Sequence[str]], Answer], look: Callable[[], None]
) -> Sifted[Answer]:
    """Have rows changed, ``size`` of them together, each batch as :func:`sift` does.

    Trouble that comes when some have been changed, and that changed nothing itself, is not raised: of each row it is
    then known what became of it. The next call meets it again.
    """
    sifted: Sifted[Answer] = Sifted()
    try:
        for part in parts(rows, size):
            sift(part, send, look, sifted)
    except LeadupError as error:
        if not sifted.answers or not did_nothing(error):
            raise
        changed = {row for asked, _ in sifted.answers for row in asked}
        sifted.unsent = [row for row in rows if row not in changed | sifted.refused.keys() | sifted.doubted.keys()]
    return sifted


def did_nothing(error: LeadupError) -> bool:
    """Whether it is sure that a call that failed has changed nothing."""
    return not isinstance(error, TryLater) or error.nothing_done


def sift(
    rows: Iterable[str],
    send: Callable[[Sequence[str]], Answer],
    look: Callable[[], None],
    sifted: Sifted[Answer] | None = None,
) -> Sifted[Answer]:
    """Send rows together; where HubSpot refuses them together, find the bad ones: those it names, else by halves.

    ``look`` is called at the first refusal, and raises where something else than a row is at fault. ``sifted``: where
    what becomes of the rows is noted, also when an error ends it.

    Raises:
        HubSpotRefused: for a reason that no smaller batch avoids, or that met every row.
        TryLater: HubSpot does not answer, or all rows are in conflict.
    """
    sifted = Sifted() if sifted is None else sifted
    waiting = [list(rows)]
    several, calls = len(waiting[0]) > 1, 0
    suspects: dict[str, HubSpotRefused] = {}
    while waiting:
        part = waiting.pop()
        if calls == MOST_CALLS:
            sifted.unsent += part
            continue
        calls += 1
        try:
            sifted.answers.append((part, send(part)))
        except HubSpotRefused as refused:
            if calls == 1:
                look()
            if refused.status not in ABOUT_ROWS:
                raise
            if len(part) > 1:
                waiting += _split(part, refused.ids)
                continue
            sifted.about[part[0]] = refused.about
            if refused.status == CONFLICT and sifted.answers:
                sifted.doubted[part[0]] = refused.code
            elif refused.status != CONFLICT and (part[0] in refused.ids or sifted.answers):
                sifted.refused[part[0]] = refused.code
            else:
                suspects[part[0]] = refused
        if not waiting and sifted.answers:
            waiting, suspects = [[row] for row in suspects], {}  # what was refused may pass by now
    if several and suspects and not (sifted.answers or sifted.refused):
        raise _met_by_all(next(iter(suspects.values())))
    sifted.doubted |= {row: refused.code for row, refused in suspects.items()}
    return sifted


def _met_by_all(refused: HubSpotRefused) -> LeadupError:
    return TryLater(refused.said, nothing_done=True) if refused.status == CONFLICT else refused


def parts(rows: Iterable[str], size: int) -> Iterator[list[str]]:
    """Cut rows into lists of at most ``size``."""
    source = iter(rows)
    while part := list(islice(source, size)):
        yield part


def _split(part: Sequence[str], blamed: Collection[str]) -> list[list[str]]:
    named = [[row] for row in part if row in blamed]
    if 0 < len(named) < len(part):
        return [*named, [row for row in part if row not in blamed]]
    middle = len(part) // 2
    return [list(part[middle:]), list(part[:middle])]
