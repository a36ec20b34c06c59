"""Seals a record before it is stored: identifiers in normal form and hashed, no e-mail address in the clear.

What is sealed once stays as it is when sealed again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pydantic import SecretStr

from leadup.identity.normalise import is_address, normalise, pseudonym
from leadup.normal import clean, email_address, sha256
from leadup.types import Event, Fact, Identifier, Json, Kind

Record = TypeVar("Record", bound=Event | Fact)

_WITHIN = re.compile(r"""[^\s@<>()\[\],;:"'\\=&?/|]{0,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,16}""")


@dataclass(frozen=True, slots=True)
class Sealed(Generic[Record]):
    """A record that may be stored, and the raw addresses that may only be stored encrypted."""

    record: Record
    secrets: tuple[tuple[Identifier, SecretStr], ...] = ()
    """E-mail identifiers of the record, each with its address in normal form."""


def seal(record: Record, *, region: str | None = None) -> Sealed[Record]:
    """Return the record as it may be stored.

    Identifiers are normalised (:func:`leadup.identity.normalise.normalise`), deduplicated and sorted, strongest first;
    those that tell nobody are dropped. A user id that is an e-mail address also counts as that e-mail. A property or
    fact (also a nested one) whose whole text is an e-mail address becomes ``sha256:<hash>``. Click ids that are
    placeholders are dropped.

    Args:
        record: an event or a fact, as its source gave it.
        region: the country (ISO 3166) whose phone numbers may stand without ``+`` and country code.
    """
    found: set[Identifier] = set()
    secrets: dict[Identifier, SecretStr] = {}
    for identifier in record.identifiers:
        value = normalise(identifier.kind, identifier.value, region=region)
        if value is None:
            continue
        found.add(Identifier(identifier.kind, value))
        if identifier.kind in (Kind.EMAIL, Kind.USER_ID):
            address = email_address(identifier.value) if "@" in identifier.value else None
            if address is not None:
                email = Identifier(Kind.EMAIL, sha256(address))
                found.add(email)
                secrets[email] = SecretStr(address)
    identifiers = tuple(strongest_first(found))
    ordered = tuple((email, secrets[email]) for email in sorted(secrets))
    if isinstance(record, Event):
        return Sealed(
            replace(
                record,
                identifiers=identifiers,
                properties=_sealed_values(record.properties),
                click_ids={name: text for name, raw in record.click_ids.items() if (text := clean(raw)) is not None},
            ),
            ordered,
        )
    return Sealed(replace(record, identifiers=identifiers, facts=_sealed_values(record.facts)), ordered)


def strongest_first(identifiers: Iterable[Identifier]) -> list[Identifier]:
    """Sort identifiers: strongest kind first, then by text."""
    return sorted(identifiers, key=lambda identifier: (identifier.kind.strength, identifier.value))


def redact(text: str) -> str:
    """Replace every e-mail address within a text by ``<e-mail>``, for rejects, logs and messages."""
    return _WITHIN.sub("<e-mail>", text)


def _sealed_values(values: Mapping[str, Json]) -> dict[str, Json]:
    return {key: _sealed_value(value) for key, value in values.items()}


def _sealed_value(value: Json) -> Json:
    if isinstance(value, str):
        return pseudonym(value) if is_address(value) else value
    if isinstance(value, Mapping):
        return _sealed_values(value)
    if isinstance(value, Sequence):
        return [_sealed_value(item) for item in value]
    return value
