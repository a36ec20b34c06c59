"""What a source may be: what is asked of every one, and what some can do besides."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from leadup.kit.metered import Metered
from leadup.types import Cursor, Event, Fact, Incoming, Page, Rejected


class Source(Protocol):
    """Reads events and facts."""

    def check(self) -> None:
        """Look whether it can be read.

        Raises:
            NeedsHuman: no, and what to do.
        """

    def pull(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        """Yield pages after ``since``, each with the cursor to resume after it.

        ``until`` is the present instant. Stopping after any page and calling again with its cursor loses nothing.

        Raises:
            TryLater, NeedsHuman: as they say.
        """


class PushSource(Protocol):
    """Understands what others send to ``POST /collect/<connection>``: JSON, an array, or one JSON object a line.

    The daemon keeps a request that was admitted, answers it, and has it translated later (after a crash: again).
    """

    keeps: Collection[str]
    """Headers, by lower-case name, that are kept with the body for :meth:`translate`. Secrets are none of them."""

    def admit(self, request: Incoming) -> None:
        """Look who sends this.

        Raises:
            TurnedAway: not one of ours. The text never repeats what was sent.
        """

    def translate(self, request: Incoming) -> tuple[Sequence[Event | Fact], Sequence[Rejected]]:
        """Return the records of a request that was kept, and what in it could not become one. Raises nothing.

        The same request always gives the same records.
        """


@runtime_checkable
class Rationed(Metered, Protocol):
    """A source of such a vendor.

    It is read as long as there is room for one more page, beside what waiting leaves take; then on the next day.
    """

    page_calls: int
    """Most calls that a page takes, with all that is asked before the first one."""
