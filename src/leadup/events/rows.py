"""An event as the log keeps it: one row, the same in SQL, in Parquet and in Arrow.

Identifiers, properties, click ids and consent are JSON as text, with sorted keys. ``key`` names the event over all
history, ``digest`` its content, so that a revision is told from a repetition without reading the old content.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from math import isfinite
from operator import attrgetter
from typing import Any, NamedTuple

import pyarrow as pa

from leadup.types import Event, Identifier, Json, Kind, Purpose, from_us, to_us

DAY_US = 86_400_000_000

_WORD = pa.dictionary(pa.int32(), pa.string())
_PLAIN = {_WORD: pa.string()}
BATCH = pa.schema(
    [
        ("key", pa.binary(16)),
        ("source", _WORD),
        ("id", pa.string()),
        ("name", _WORD),
        ("at_us", pa.int64()),
        ("received_us", pa.int64()),
        ("identifiers", pa.large_string()),  # [["client_id", "c1"], ...] in the event's order
        ("properties", pa.large_string()),
        ("click_ids", pa.large_string()),
        ("consent", pa.large_string()),  # {"ad_user_data": true}
    ]
)
"""What :meth:`leadup.events.log.EventLog.read` gives."""


class Row(NamedTuple):
    """A row of ``event_tail``; the fields are its columns, in order."""

    key: bytes
    source: str
    id: str
    day: int
    at_us: int
    received_us: int
    name: str
    identifiers: str
    properties: str
    click_ids: str
    consent: str
    digest: bytes


in_batch = attrgetter(*BATCH.names)
"""Returns the values of a row in the order of ``BATCH``."""


def key_of(source: str, id: str) -> bytes:  # noqa: A002 - the field's name
    """Return the 16 bytes that name an event over all history."""
    return blake2b(f"{source}\0{id}".encode(), digest_size=16).digest()


def row_of(event: Event, received_us: int) -> Row:
    """Return ``event`` as a row. The order of identifiers is kept, but makes no other content.

    Raises:
        ValueError: it holds what JSON and UTF-8 can not say; see :func:`sayable`.
    """
    at_us = to_us(event.at)
    pairs = [pair_text(identifier) for identifier in event.identifiers]
    properties, click_ids = _text(event.properties), _text(event.click_ids)
    consent = _consent(tuple(event.consent.items()))
    content = f"{at_us}\0{','.join(sorted(pairs))}\0{properties}\0{click_ids}\0{consent}\0{event.name}"
    return Row(
        key=key_of(event.source, event.id),
        source=event.source,
        id=event.id,
        day=at_us // DAY_US,
        at_us=at_us,
        received_us=received_us,
        name=event.name,
        identifiers=f"[{','.join(pairs)}]",
        properties=properties,
        click_ids=click_ids,
        consent=consent,
        digest=blake2b(content.encode(), digest_size=16).digest(),
    )


def pair_text(identifier: Identifier) -> str:
    """Return an identifier as the JSON of ``identifiers`` has it: in that text if, and only if, it is one of them."""
    return f'["{identifier.kind}",{_ENCODER.encode(identifier.value)}]'


def identifiers_in(text: str) -> tuple[Identifier, ...]:
    """Read the JSON of ``identifiers``."""
    return _identifiers(text)


def sayable(event: Event) -> Event:
    """Return ``event`` with null for NaN and infinity, and ``?`` for half a surrogate pair.

    A source had better reject such a row; it is no reason to refuse a page.
    """
    return replace(
        event,
        source=_sayable(event.source),
        id=_sayable(event.id),
        name=_sayable(event.name),
        identifiers=tuple(Identifier(i.kind, _sayable(i.value)) for i in event.identifiers),
        properties=_sayable(event.properties),
        click_ids=_sayable(event.click_ids),
    )


def events_of(batch: pa.RecordBatch) -> Iterator[tuple[bytes, Event]]:
    """Yield the rows of a batch that :meth:`leadup.events.log.EventLog.read` gave as (key, event)."""
    columns = (batch.column(field.name).cast(_PLAIN.get(field.type, field.type)).to_pylist() for field in BATCH)
    for key, source, id_, name, at_us, _, identifiers, properties, click_ids, consent in zip(*columns, strict=True):
        yield (
            key,
            Event(
                source=source,
                id=id_,
                name=name,
                at=from_us(at_us),
                identifiers=_identifiers(identifiers),
                properties=_mapping(properties),
                click_ids=_mapping(click_ids),
                consent={Purpose(purpose): granted for purpose, granted in _mapping(consent).items()},
            ),
        )


def batch_of(rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    """Return rows whose values are in the order of ``BATCH`` as a batch; see ``in_batch``."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(BATCH)
    return pa.record_batch(
        [pa.array(values, field.type) for values, field in zip(columns, BATCH, strict=True)], schema=BATCH
    )


@lru_cache(maxsize=10_000)
def _identifiers(text: str) -> tuple[Identifier, ...]:
    return tuple(Identifier(Kind(kind), value) for kind, value in _decode(text))


def _mapping(text: str) -> dict[str, Any]:
    return _decode(text) if text != "{}" else {}


def _open(value: object) -> object:
    """What the encoder asks of a value that is no dict, list or scalar: our types allow any mapping or sequence."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return list(value)
    raise TypeError(f"an event holds a {type(value).__name__}, which JSON can not say")


_decode: Callable[[str], Any] = json.JSONDecoder().decode
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), default=_open)


def _text(value: Mapping[str, Json]) -> str:
    return _ENCODER.encode(value) if value else "{}"


@lru_cache(maxsize=1_000)
def _consent(items: tuple[tuple[Purpose, bool], ...]) -> str:
    return _text(dict(items))


def _sayable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {_sayable(name): _sayable(item) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [_sayable(item) for item in value]
    return value
