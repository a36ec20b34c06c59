"""A connector: its manifest, its settings, and what its check-up and its commands may know."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from leadup.outgoing import Target, Use
from leadup.types import Json, Purpose


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
