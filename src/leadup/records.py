"""The documented leadup JSONL: one JSON object a line, an event or a fact.

An event, of which only ``id``, ``properties``, ``click_ids`` and ``consent`` may be left out::

    {"id": "e1", "name": "video_progress", "at": "2026-03-01T12:00:00Z",
     "identifiers": {"client_id": "c1", "user_id": "u1", "email": "a@b.c"},
     "properties": {"percent": 80}, "click_ids": {"gclid": "x"}, "consent": {"ad_user_data": "granted"}}

A fact (what a CRM says of a person; ``facts`` or ``consent`` or both)::

    {"person": {"user_id": "u1"}, "facts": {"lifecycle_stage": "lead"}, "at": "2026-03-01T12:00:00Z"}

Every function here raises ``ValueError`` for a line that can not be used; its text is the reason a person reads in the
rejects file. It never repeats the value of an identifier.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from hashlib import blake2b
from math import isfinite
from typing import Any, Final, NoReturn

from leadup.clock import parse_instant
from leadup.types import CLICK_IDS, Consent, Event, Fact, Identifier, Json, Kind, Purpose, Rejected

LINE_LIMIT: Final = 1 << 20
"""Bytes: the longest line that is read."""
DEPTH_LIMIT: Final = 20
"""How deep objects and lists may lie in one another."""
TEXT_LIMIT: Final = 2_000
"""Characters of a rejected row that are kept."""

_EVENT_KEYS = ("id", "name", "at", "identifiers", "properties", "click_ids", "consent")
_FACT_KEYS = ("person", "facts", "at", "consent")
_KINDS = {kind.value: kind for kind in Kind}
_PURPOSES = {purpose.value: purpose for purpose in Purpose}
_STATEMENTS = {"granted": True, "denied": False}


# ---------------------------------------------------------------- records


def parse_record(obj: Mapping[str, Any], *, source: str, fallback_id: str) -> Event | Fact:
    """Return the event or fact that ``obj`` (as :func:`parse_line` gives it) describes.

    ``source`` is the connection's name; ``fallback_id`` is the id of an event that brings none. Nulls and empty texts
    count as absent. A click id among the identifiers is moved to the click ids.

    Raises:
        ValueError: it describes neither; the text says why.
    """
    if "person" in obj or "facts" in obj:
        _known_keys(obj, _FACT_KEYS, "a fact")
        identifiers, _ = identify(_table(obj, "person"), "person")
        facts, consent = _given(_table(obj, "facts")), parse_consent(_table(obj, "consent"))
        if not facts and not consent:
            raise ValueError('"facts" and "consent" are both empty: the line says nothing')
        return Fact(source=source, at=_at(obj), identifiers=identifiers, facts=facts, consent=consent)
    _known_keys(obj, _EVENT_KEYS, "an event")
    name = obj.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ValueError('"name" is missing: the event has no name' if name in (None, "") else '"name" is not a text')
    identifiers, click_ids = identify(_table(obj, "identifiers"), "identifiers")
    for kind, value in _table(obj, "click_ids").items():
        if kind not in CLICK_IDS:
            raise ValueError(f"click_ids.{kind} is no click id{did_you_mean(kind, CLICK_IDS)}")
        click_ids |= {kind: clicked} if (clicked := _id_text(value, f"click_ids.{kind}")) else {}
    return Event(
        source=source,
        id=_id_text(obj.get("id"), "id") or fallback_id,
        name=name.strip(),
        at=_at(obj),
        identifiers=identifiers,
        properties=_given(_table(obj, "properties")),
        click_ids=click_ids,
        consent=parse_consent(_table(obj, "consent")),
    )


def needs_id(obj: Mapping[str, Any]) -> bool:
    """Whether ``obj`` is an event without an id of its own."""
    given = obj.get("id")
    return (given is None or (isinstance(given, str) and not given.strip())) and "person" not in obj


def identify(found: Mapping[str, Any], where: str = "identifiers") -> tuple[tuple[Identifier, ...], dict[str, str]]:
    """Return the identifiers in ``found`` (kind to a value or a list of values), strongest first, and its click ids.

    Raises:
        ValueError: a kind is unknown, a value is neither text nor a whole number, or nobody is named.
    """
    identifiers: list[Identifier] = []
    click_ids: dict[str, str] = {}
    for name, value in found.items():
        kind = _KINDS.get(name)
        if kind is None and name not in CLICK_IDS:
            known = f"; kinds are {', '.join(_KINDS)}"
            raise ValueError(f"{where}.{name} is no kind of identifier{did_you_mean(name, _KINDS)}{known}")
        for one in value if isinstance(value, list) else (value,):
            text = _id_text(one, f"{where}.{name}")
            if text and kind is None:
                click_ids[name] = text
            elif text and kind is not None:
                identifiers.append(Identifier(kind, text))
    if not identifiers:
        raise ValueError("no identifier: a row that names nobody can not join a person")
    if len(identifiers) > 1:
        identifiers = sorted(set(identifiers), key=lambda i: (i.kind.strength, i.value))
    return tuple(identifiers), click_ids


def parse_consent(stated: Mapping[str, Any]) -> Consent:
    """Return consent by purpose from ``{"ad_user_data": "granted"}``; ``true`` and ``false`` are taken too.

    Raises:
        ValueError: an unknown purpose, or a statement that is neither ``granted`` nor ``denied``.
    """
    consent: dict[Purpose, bool] = {}
    for name, statement in stated.items():
        purpose = _PURPOSES.get(name)
        if purpose is None:
            known = f"; purposes are {', '.join(_PURPOSES)}"
            raise ValueError(f"consent.{name} is no purpose{did_you_mean(name, _PURPOSES)}{known}")
        if statement is None:
            continue
        granted = statement if isinstance(statement, bool) else _STATEMENTS.get(str(statement))
        if granted is None:
            raise ValueError(f'consent.{name} is neither "granted" nor "denied"')
        consent[purpose] = granted
    return consent


def did_you_mean(word: str, words: Collection[str]) -> str:
    """Return ``; did you mean "…"?`` for the nearest of ``words``, or nothing when none is near."""
    plain = {_plain(candidate): candidate for candidate in sorted(words, reverse=True)}
    near = get_close_matches(_plain(word), plain, n=1)
    return f'; did you mean "{plain[near[0]]}"?' if near else ""


def _plain(word: str) -> str:
    return "".join(c for c in word[:100].casefold() if c.isalnum())


def _known_keys(obj: Mapping[str, Any], keys: tuple[str, ...], what: str) -> None:
    for key in obj:
        if key not in keys:
            hint = did_you_mean(key, keys) or ("; details belong under properties" if "name" in keys else "")
            raise ValueError(f"{shown(key)} is not a key of {what}{hint}")


def _table(obj: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = obj.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f'"{key}" is not an object {{...}}')  # noqa: TRY004 - the data's mistake
    return value


def _given(values: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in values.items() if value is not None}


def _at(obj: Mapping[str, Any]) -> Any:
    at = obj.get("at")
    if at in (None, ""):
        raise ValueError('"at" is missing: the line has no time')
    example = "write ISO 8601 with a zone, e.g. 2026-03-01T12:00:00Z"
    if not isinstance(at, str):
        raise ValueError(f'"at" is not a text; {example}')  # noqa: TRY004 - the data's mistake
    try:
        return parse_instant(at)
    except (ValueError, OverflowError):
        raise ValueError(f'"at" is {shown(at)}, which is not a time with a zone; {example}') from None


def _id_text(value: Any, where: str) -> str:
    """An identifier as text. Whole numbers are taken; others are not, since 1.0 and 1 would be two people."""
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{where} is neither a text nor a whole number")


def shown(value: object) -> str:
    """Return ``value`` for a message: quoted, short, and left out when it may be an address."""
    text = repr(value)
    if "@" in text:
        return "(a value with @, not repeated here)"
    return text if len(text) <= 42 else f"{text[:38]}...{text[:1]}"


# ---------------------------------------------------------------- lines


def decode_line(raw: bytes, encoding: str = "utf-8") -> str:
    """Return a line as text, without the byte order mark.

    Raises:
        ValueError: it is longer than ``LINE_LIMIT``, holds a NUL byte, or is not in the encoding.
    """
    if len(raw) > LINE_LIMIT:
        raise ValueError(f"the line is longer than {LINE_LIMIT:,} bytes")
    if b"\0" in raw:
        raise ValueError("the line holds a NUL byte")
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} of the line is not {encoding.upper()}") from None


def parse_json(text: str, depth: int = DEPTH_LIMIT) -> Any:
    """Return the JSON value that a text is.

    Raises:
        ValueError: it is not JSON, is nested deeper than ``depth``, or holds what JSON (RFC 8259) or UTF-8 can not
            say: NaN, infinity, NUL, half a surrogate pair.
    """
    try:
        value = _DECODER.decode(text)
        if "\\u" in text or text.count("{") + text.count("[") > depth:
            _inspect(value, depth)
    except json.JSONDecodeError as error:
        column = min(error.pos, len(text.rstrip())) + 1
        raise ValueError(f"not JSON: {error.msg} (column {column})") from None
    except RecursionError:
        raise ValueError(f"nested deeper than {depth} levels") from None
    return value


def parse_line(text: str) -> dict[str, Any]:
    """Return the JSON object on one line.

    Raises:
        ValueError: it is no JSON object, or none that :func:`parse_json` takes.
    """
    obj = parse_json(text)
    if not isinstance(obj, dict):
        raise ValueError("not a JSON object {...}; write one object a line")  # noqa: TRY004 - the data's mistake
    return obj


def clip(raw: bytes | str) -> str:
    """Return a rejected row as it is kept: as text, at most ``TEXT_LIMIT`` characters."""
    text = raw if isinstance(raw, str) else raw[: 4 * TEXT_LIMIT].decode("utf-8", "backslashreplace")
    text = text.rstrip("\r\n")
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"not JSON: {name} is no number")


def _whole(digits: str) -> int:
    if len(digits) > 40:
        raise ValueError(f"the number {shown(digits)} is too large")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise ValueError(f"the number {shown(digits)} is too large")
    return number


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite, parse_int=_whole)


def _inspect(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a text holds a NUL character")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("a text holds half a surrogate pair") from None
    elif isinstance(value, dict | list):
        if not depth:
            raise RecursionError
        for key in value if isinstance(value, dict) else ():
            _inspect(key, depth)
        for item in value.values() if isinstance(value, dict) else value:
            _inspect(item, depth - 1)


# ---------------------------------------------------------------- whole files


class RowIds:
    """Ids for rows that bring none: a hash of the row, and its number among equal rows before it.

    The same row read again, from the same file or from a copy, gets the same id, and equal rows of one file get
    different ones. So that memory stays bounded, rows are compared within stretches of ``window`` rows: with those of
    their own stretch and of the one before. Equal rows further apart have one id.

    To go on in the middle of a file, begin a new object at :meth:`start` and count again from there.
    """

    def __init__(self, window: int = 100_000) -> None:
        self._window = window
        self._before: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._before_start: tuple[int, int] | None = None
        self._start: tuple[int, int] | None = None
        self._rows = 0

    def next(self, row: bytes, place: tuple[int, int]) -> str:
        """Return the id of a row; ``place`` are the lines and the bytes of the file before it."""
        if self._rows == self._window:
            self._before, self._before_start = self._counts, self._start
            self._counts, self._start, self._rows = {}, None, 0
        if self._start is None:
            self._start = place
        self._rows += 1
        digest = blake2b(row, digest_size=16).hexdigest()
        count = self._counts.get(digest, 0)
        self._counts[digest] = count + 1
        if not count and digest not in self._before:
            return digest
        stretch = "" if self._before_start is None else f"{self._start[0]}."
        return f"{digest}-{stretch}{count}"

    def start(self, here: tuple[int, int]) -> tuple[int, int]:
        """Return where a reader that goes on at ``here`` must begin to count, to give the ids this object would."""
        return self._before_start or self._start or here


def read_jsonl(lines: Iterable[bytes], *, source: str, place: str) -> tuple[list[Event | Fact], list[Rejected]]:
    """Read documented leadup JSONL whole, e.g. an open binary file; blank lines are skipped.

    ``place`` is the file's name, for the rejected lines.
    """
    records: list[Event | Fact] = []
    rejected: list[Rejected] = []
    ids = RowIds()
    for number, raw in enumerate(lines, 1):
        if not raw.strip():
            continue
        try:
            obj = parse_line(decode_line(raw))
            fallback = ids.next(raw.rstrip(b"\r\n"), (number, 0)) if needs_id(obj) else ""
            records.append(parse_record(obj, source=source, fallback_id=fallback))
        except ValueError as error:
            rejected.append(Rejected(place=place, line=number, reason=str(error), text=clip(raw)))
    return records, rejected
