"""All that a connector author imports.

A connector is a folder with the same file names every time: ``__init__.py`` (the manifest below, imports no SDK),
``settings.py``, ``client.py``, ``source.py``, ``push.py`` or ``destination.py``, ``sandbox.py``, ``README.md``. Only
``client`` and ``sandbox`` (each a file or a package) import a vendor's SDK, and they are loaded on first use.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Protocol, Self, runtime_checkable
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from leadup.bodies import Item, read_body
from leadup.outgoing import (
    Address,
    Budget,
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
    Use,
)
from leadup.records import (
    LINE_LIMIT,
    RowIds,
    clip,
    decode_line,
    did_you_mean,
    identify,
    needs_id,
    parse_line,
    parse_record,
    shown,
)
from leadup.taxonomy import canonical
from leadup.types import Cursor, Event, Fact, Incoming, Json, Page, Purpose, Rejected

__all__ = [
    "LINE_LIMIT",
    "Adopting",
    "Budgeted",
    "Checkup",
    "ConnectionSettings",
    "Connector",
    "Counting",
    "Creating",
    "Desk",
    "Destination",
    "Foreseeing",
    "Inspectable",
    "Item",
    "Pollable",
    "PushSource",
    "Rationed",
    "Readable",
    "Replaceable",
    "RowIds",
    "Sized",
    "Source",
    "canonical",
    "clip",
    "decode_line",
    "did_you_mean",
    "identify",
    "is_loopback",
    "needs_id",
    "parse_line",
    "parse_record",
    "private_base_url",
    "read_body",
    "shown",
]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, as an emulator's is; a name other than ``localhost`` is not looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def private_base_url(url: str, *, example: str, carries: str) -> str:
    """Return a vendor's base URL as ``scheme://host``, without a path.

    Raises:
        ValueError: it is none, or what it ``carries`` ("a token") would travel unencrypted and not on loopback.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.scheme not in ("http", "https"):
        raise ValueError(f"{url!r} is not a base URL; write e.g. {example}")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(f"{url!r} would send {carries} unencrypted; http is for loopback only")
    return f"{parts.scheme}://{parts.netloc}"


class ConnectionSettings(BaseModel):
    """Base of a connector's settings: one ``[connections.NAME]`` table of ``leadup.toml``.

    Secrets are ``pydantic.SecretStr`` fields. They are never written in ``leadup.toml``: they come from the environment
    (``LEADUP_<CONNECTION>_<FIELD>``) or from a file named by ``<field>_file``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @property
    def is_read(self) -> bool:
        """Whether the source of such a connection is pulled, where its connector has one."""
        return True

    @classmethod
    def check_together(cls, connections: Mapping[str, Self]) -> None:
        """Look whether several connections of this connector, by name, can be used in one installation.

        It is called when settings are loaded to connect, with all there are, each of which is right by itself.

        Raises:
            ValueError: they can not; the text names them and says what to do. It quotes no secret.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """The manifest: what there is, and where; ``"module:attribute"`` strings keep it free of imports."""

    name: str
    summary: str
    settings: str
    """A :class:`ConnectionSettings`."""
    source: str = ""
    """A class called as ``Source(connection: str, settings, folder: Path)``; relative paths start at ``folder``."""
    push: str = ""
    """A class called as ``PushSource(connection: str, settings)``; what has one has no ``source``."""
    destination: str = ""
    """A class called as ``Destination(connection: str, settings)``."""
    purposes: Mapping[Use, frozenset[Purpose]] = field(default_factory=dict)
    """Purposes of consent, by use, without which nothing is sent there."""
    unless_denied: Mapping[Use, frozenset[Purpose]] = field(default_factory=dict)
    """Purposes, by use, of which a denial keeps a person out, while one who was never asked is sent."""
    serves_from: int = 0
    """An audience there with fewer members reaches nobody."""
    restates_for: timedelta | None = None
    """The value of a conversion older than this can not be changed there."""
    sandbox: str = ""
    """A class called as ``Sandbox()``: the emulator (:class:`leadup.sandbox.Sandbox`)."""
    identifiers: str = ""
    """A mapping of each kind of identifier ("email") to the :class:`leadup.normal.Normaliser` of the vendor."""
    commands: str = ""
    """A ``click.Group`` that the command line knows by the connector's name (``google_ads``: ``leadup google-ads``).
    Its commands find a :class:`Desk` in ``click.Context.obj``."""
    examine: str = ""
    """A function called as ``examine(checkup)`` (a :class:`Checkup`) that yields :class:`leadup.outgoing.Finding`: what
    ``leadup doctor`` tells of a connection. It changes nothing, and raises nothing: what can not be looked at is a
    finding. Without one, doctor calls ``check`` of the source or destination."""
    guess: str = ""
    """A function called as ``guess(path, name)`` that looks at a sample of the user's data and returns an object with
    three texts: ``toml`` (a ``[connections.NAME]`` table), ``rules`` (a first rule file), ``summary`` (what it saw)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """What a connector's check-up may know of an installation."""

    connection: str
    settings: Any
    """The connector's :class:`ConnectionSettings`, secrets included."""
    now: datetime
    """By the clock that is to be checked."""
    targets: Sequence[tuple[Target, str | None]] = ()
    """What is sent there by the rules in use, each with its remote id; None: it has none yet."""
    batches: int = 0
    """Batches that the vendor has taken in the last 24 hours."""


class Desk(Protocol):
    """What a connector's command works at: the connection it is about, and ways to answer.

    Nothing is loaded before it is asked for, so that ``--help`` needs no installation.
    """

    @property
    def connection(self) -> str:
        """The connection's name.

        Raises:
            SettingsError: there is none of this connector, or there are several and none was chosen.
        """

    @property
    def settings(self) -> Any:
        """The connector's :class:`ConnectionSettings`, secrets included."""

    @property
    def now(self) -> datetime:
        """The present instant."""

    @property
    def conversions(self) -> Mapping[Target, bool]:
        """The conversions that the rules report there, and whether each tells of a micro conversion."""

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table; columns whose name begins with ``#`` are numbers."""

    def say(self, text: str) -> None:
        """Print a line."""

    def emit(self, data: Json) -> None:
        """Print JSON."""


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


class Metered(Protocol):
    """Whoever speaks with a vendor that takes only so many calls a day from an account.

    The engine leaves the last of them to the account's other apps.
    """

    reserve: float
    """The share of the day's calls, 0 to 1, that is left to the account's other apps."""

    def budget(self) -> Budget | None:
        """Say what is left of the account's day, by the vendor's latest word; None: it has said nothing yet.

        Asks nobody.
        """


@runtime_checkable
class Rationed(Metered, Protocol):
    """A source of such a vendor.

    It is read as long as there is room for one more page, beside what waiting leaves take; then on the next day.
    """

    page_calls: int
    """Most calls that a page takes, with all that is asked before the first one."""


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
