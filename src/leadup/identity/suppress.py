"""The door: whom an erasure has sent away does not come in again, whichever source brings her.

Sources are read again: GA4 rewrites its days, folders are imported twice, a CRM is exported every night. So an erasure
leaves behind keyed hashes of the identifiers. The key is the vault's secret: the hashes alone tell nobody.

What she alone had and nobody else can use (user id, e-mail, phone, CRM id) closes the door for good: a record that
carries one is dropped, whatever else it carries. A browser is no person: what it did as hers stays away, and what it
does after the erasure is somebody's whom nobody knows. The same goes for contact data that another person also gave.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Final, NamedTuple

from sqlalchemy import Connection, insert, select

from leadup.identity.normalise import normalise
from leadup.identity.register import Sighting
from leadup.identity.vault import Vault
from leadup.state.store import chunks, upsert
from leadup.state.tables import meta, suppressed
from leadup.types import EVER, NEVER, Identifier, Kind

_META: Final = "suppression"
_TOKEN: Final = re.compile(r"""[^\s,;|"'<>()\[\]{}=]+""")
_PHONE: Final = re.compile(r"[+\d][\d ()/.-]{4,}\d")


class Closed(NamedTuple):
    """For what an identifier closes the door."""

    erasure: int
    from_us: int = EVER
    until_us: int = NEVER
    anywhere: bool = True
    """In whatever record; else only as its strongest identifier, within [from_us, until_us)."""


class Door:
    """Tells which records may come in. Works within the transaction it was opened in."""

    def __init__(self, connection: Connection, box: Vault) -> None:
        """Raises SettingsError: the key of the hashes was encrypted with another key than the vault's."""
        self._connection = connection
        sealed = connection.scalar(select(meta.c.value).where(meta.c.key == _META))
        self._key = box.unlock(str(sealed).encode()) if sealed else b""

    @cached_property
    def stands_open(self) -> bool:
        """Whether everybody may come in."""
        return not self._key or self._connection.scalar(select(suppressed.c.hash).limit(1)) is None

    def turned_away(self, sightings: Sequence[Sighting]) -> list[int | None]:
        """Say of each record, by its sealed identifiers, which erasure keeps it out; None: it may come in."""
        if self.stands_open:
            return [None] * len(sightings)
        closed = self.closed({identifier for seen, _ in sightings for identifier in seen})
        return [
            next((rule.erasure for i in seen for rule in closed.get(i, ()) if _applies(rule, i == seen[0], at)), None)
            for seen, at in sightings
        ]

    def closed(self, identifiers: Iterable[Identifier]) -> dict[Identifier, list[Closed]]:
        """Return for which of these identifiers the door is closed, and how."""
        if not self._key:
            return {}
        by_hash = {_hash(self._key, identifier): identifier for identifier in identifiers}
        found: dict[Identifier, list[Closed]] = {}
        c = suppressed.c
        query = select(c.hash, c.erasure, c.from_us, c.until_us, c.anywhere).order_by(c.erasure)
        for part in chunks(by_hash):
            for hash_, *rule in self._connection.execute(query.where(c.hash.in_(part))):
                found.setdefault(by_hash[hash_], []).append(Closed(*rule))
        return found

    def names(self, text: str, region: str | None = None) -> bool:
        """Whether a text as a source gave it has an identifier in it that is closed for good."""
        if self.stands_open:
            return False
        words = {word.strip(".:") for word in _TOKEN.findall(text)} | set(_PHONE.findall(text))
        read = {Identifier(k, v) for k in Kind for word in words if (v := normalise(k, word, region=region))}
        return any(rule.anywhere or i.kind.is_device for i, rules in self.closed(read).items() for rule in rules)


def close(connection: Connection, box: Vault, rules: Iterable[tuple[Identifier, Closed]]) -> None:
    """Close the door for these identifiers. Needs a transaction that may write."""
    door = Door(connection, box)
    key = door._key  # noqa: SLF001 - the one writer beside the one reader
    if not key:
        key = secrets.token_bytes(32)
        connection.execute(insert(meta), [{"key": _META, "value": box.lock(key).decode()}])
    rows = [{"hash": _hash(key, identifier), **rule._asdict()} for identifier, rule in rules]
    upsert(connection, suppressed, rows, update=["until_us", "anywhere"])


def _hash(key: bytes, identifier: Identifier) -> bytes:
    return blake2b(f"{identifier.kind}\0{identifier.value}".encode(), key=key, digest_size=16).digest()


def _applies(rule: Closed, is_anchor: bool, at_us: int) -> bool:
    return rule.anywhere or (is_anchor and rule.from_us <= at_us < rule.until_us)
