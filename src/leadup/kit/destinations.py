"""What a destination may be: what is asked of every one, and what some can do besides."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol, runtime_checkable

from leadup.kit.metered import Metered
from leadup.outgoing import (
    Address,
    Capabilities,
    Change,
    Contact,
    Counted,
    Found,
    Receipt,
    Records,
    RemoteId,
    RemoteTarget,
    Size,
    Status,
    Target,
    Unreachable,
)


class Destination(Protocol):
    """Takes audiences, conversions or properties."""

    can: Capabilities

    def check(self) -> None:
        """Look whether it can be written to.

        Raises:
            NeedsHuman, TryLater: as they say.
        """

    def prepare(self, target: Target) -> RemoteTarget:
        """Find the target by its known id; it has none yet: by its remote name, or create it. Idempotent.

        Raises:
            NeedsHuman, TryLater, Refused: as they say.
        """

    def address(self, target: Target, people: Sequence[Contact]) -> Sequence[Address | Unreachable]:
        """Say for each person, in order, by which identifiers he is found there. May ask the vendor; changes nothing.

        Raises:
            NeedsHuman, TryLater: as they say.
        """

    def deliver(self, to: RemoteTarget, batch: Sequence[Change]) -> Sequence[Receipt]:
        """Send changes of one verb, at most ``can.batch[verb]``; return one receipt per change, in order.

        Of the verbs in ``can.together`` a batch may have several: where they are about the same identifier, the last
        one counts.

        Sending the same batch again must do no harm: after a crash or a lost answer that is what happens.

        Raises:
            TryLater: nothing is known of the batch, or that nothing was done (``nothing_done``); it will be sent again.
            NeedsHuman: nothing was done.
            Refused: nothing was done, and never will be.
        """


@runtime_checkable
class Foreseeing(Protocol):
    """A destination that saves calls when it knows beforehand whom it will be asked about."""

    def foresee(self, people: Iterator[tuple[Contact, datetime]], now: datetime) -> None:
        """Look for everybody who will be addressed in the work that begins now; each comes once.

        With each comes since when all that waits for him could have been sent: what a look-up after that has found may
        still count, and nothing older. Changes nothing at the vendor.

        Raises:
            TryLater: nobody can be addressed for now.
            NeedsHuman: as it says; the work goes on without.
        """


@runtime_checkable
class Pollable(Protocol):
    """A destination that answers later."""

    def poll(self, handles: Sequence[str]) -> Sequence[Status]:
        """Ask what became of accepted batches; one status per handle, in order.

        Raises:
            NeedsHuman, TryLater: as they say.
        """


@runtime_checkable
class Sized(Protocol):
    """A destination that tells how big its audiences are."""

    def size(self, of: RemoteTarget) -> Size:
        """Ask how big an audience is. It is asked a few times a day.

        Raises:
            NeedsHuman, TryLater, Refused: as they say.
        """


@runtime_checkable
class Readable(Protocol):
    """A destination that tells who is in an audience."""

    def members(self, of: RemoteTarget) -> Iterator[RemoteId]:
        """Yield all members, whoever put them there, by the kind of identifier that changes of members go by.

        The audience may change meanwhile; who is in it all the time is told.

        Raises:
            NeedsHuman, TryLater, Refused: as they say.
        """


@runtime_checkable
class Inspectable(Protocol):
    """A destination that tells which values of properties stand there.

    Nobody can be asked for all records of a vendor; so these are of people who are named.
    """

    def values(self, of: Sequence[Target], people: Sequence[Contact]) -> Sequence[Records | Unreachable]:
        """Say for each person, in order, what stands now at the records by which he is found now. Changes nothing.

        Values are by the name of their target; one look at a record serves all targets.

        Raises:
            NeedsHuman, TryLater, Refused: as they say.
        """


@runtime_checkable
class Creating(Protocol):
    """A destination that can make a person whom it did not find."""

    creates: str
    """What somebody should know of it, said once in the ledger; empty: it creates nobody."""

    def create(self, target: Target, people: Sequence[Contact]) -> Sequence[Address | Unreachable]:
        """Create people whom ``address`` called creatable, and who may be sent; answer in order, as ``address`` does.

        Doing it again finds who was created before.

        Raises:
            NeedsHuman, TryLater: as they say.
        """


@runtime_checkable
class Adopting(Protocol):
    """A destination whose audiences people make, rename and delete as well.

    What is there already and has members is written to only when a person has said so.
    """

    def look(self, target: Target) -> Found | None:
        """Find an audience as ``prepare`` would, and change nothing; None: it is not there, or not any more.

        Raises:
            NeedsHuman, TryLater, Refused: as they say.
        """


@runtime_checkable
class Replaceable(Protocol):
    """A destination that can empty an audience of whomever we have not sent lately."""

    def remove_others(self, of: RemoteTarget, sent_before: datetime) -> Receipt:
        """Remove everybody who was sent before this instant and not since, whoever brought them there.

        Doing it again does no harm.

        Raises:
            NeedsHuman, TryLater, Refused: as they say.
        """


@runtime_checkable
class Counting(Protocol):
    """A destination whose vendor tells what it counts."""

    def counted(self, of: Target, remote_id: str, since: date, until: date) -> Counted | None:
        """Say what the vendor counts at a target on these days, both included; None: it does not tell of such targets.

        Raises:
            NeedsHuman, TryLater, Refused: as they say.
        """


@runtime_checkable
class Budgeted(Metered, Protocol):
    """A destination of such a vendor.

    Changes that do not fit wait until the day ends, and leaves go before all others.
    """

    def calls(self, target: Target, changes: Mapping[str, int]) -> int:
        """Predict the calls that so many changes take, by verb, once the people they are about are found.

        That is in good weather: what has to be repeated comes on top. Asks nobody.
        """

    def look_ups(self, people: int) -> int:
        """Predict the calls that finding so many people takes. Asks nobody."""

    def preparing(self, targets: Collection[Target]) -> int:
        """Predict the calls from here on until these targets are prepared, once what they share is there (a folder).

        One with a ``known_id`` is found, any other is taken for one that has to be made, an audience after a look
        (:class:`Adopting`). Asks nobody.
        """

    def creating(self, people: int, batches: Collection[int]) -> int:
        """Predict the most calls that creating people takes (:class:`Creating`), if none of those who join is known.

        Args:
            people: how many there are.
            batches: how many are in each batch of joins; one person may be in several.
        """
