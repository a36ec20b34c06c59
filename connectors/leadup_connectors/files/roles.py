"""Which columns say what: by their names, and by what stands in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from leadup.types import CLICK_IDS, Kind, Purpose
from leadup_connectors.files.mapping import missing, reader
from leadup_connectors.files.sample import Column, Sample
from leadup_connectors.files.settings import Time
from leadup_connectors.files.times import time_parser

_WORDS = {
    "id": "eventid messageid insertid eventuuid hitid uuid id",
    "name": "eventname event eventtype eventaction action activity ereignis aktion evento evenement type name",
    "time": "eventtimestamp eventtime occurredat timestamp derivedtstamp collectortstamp originaltimestamp datetime"
    " time ts at createdat created sentat receivedat date eventdate",
    Kind.USER_ID: "userid uid customerid memberid accountid externalid distinctid user customer",
    Kind.CLIENT_ID: "clientid anonymousid userpseudoid domainuserid visitorid fullvisitorid deviceid cookieid browserid"
    " gaclientid networkuserid cid",
    Kind.EMAIL: "email emailaddress useremail mail emailhash hashedemail emailsha256",
    Kind.PHONE: "phone phonenumber mobile mobilephone telephone tel phonehash phonesha256",
    Kind.HUBSPOT_ID: "hubspotid hubspotcontactid hsobjectid vid",
    Kind.HUTK: "hutk hubspotutk",
}
_PERSON = re.compile(
    "user|customer|visitor|client|contact|member|person|account|subscriber|device|kunde|nutzer|besucher|usuario"
)
_TIME = re.compile("time|date|stamp|zeit|datum|fecha")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_SHA256 = re.compile("[0-9a-fA-F]{64}")
_FORMATS = ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M:%S",
            "%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y",
            "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M")  # fmt: skip
_YES = frozenset({"granted", "true", "yes", "y", "1", "on", "opt-in"})
_NO = frozenset({"denied", "false", "no", "n", "0", "off", "opt-out"})


@dataclass(slots=True)
class Roles:
    """What the columns seem to be."""

    time: Time | None = None
    id: str | None = None
    name: str | None = None
    identifiers: dict[Kind, str] = field(default_factory=dict)
    click_ids: dict[str, str] = field(default_factory=dict)
    consent: dict[Purpose, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """Purpose to column, and the values that mean granted."""
    personal: list[str] = field(default_factory=list)
    """Columns with addresses or telephone numbers that have no role; they had better not become properties."""


def find_roles(sample: Sample) -> Roles:
    """Return the roles of the columns, as far as they can be told."""
    roles = Roles()
    columns = list(sample.columns.values())
    rows = len(sample.rows)
    roles.time = _time(columns, rows)
    roles.name = _name(columns, rows)
    taken = {roles.name, roles.time.column if roles.time else None}
    free = [column for column in columns if column.path not in taken and column.values]
    for column in _called("id", free):
        if len(column.values) == rows == column.distinct:
            roles.id = column.path
            free.remove(column)
            break
    _identifiers(roles, free, sample)
    for column in free:
        if column.plain in CLICK_IDS:
            roles.click_ids.setdefault(column.plain, column.path)
    _consent(roles, free)
    used = {*roles.identifiers.values(), *roles.click_ids.values()}
    phones = _WORDS[Kind.PHONE].split()
    roles.personal = [c.path for c in free if c.path not in used and (c.plain in phones or c.share(_is_address) > 0.1)]
    return roles


def _called(role: str, columns: Sequence[Column]) -> list[Column]:
    """Columns whose name is one of the role's words: the likeliest word first, less nested before more nested."""
    words = _WORDS[role].split()
    fitting = [column for column in columns if column.plain in words and column.values]
    return sorted(fitting, key=lambda column: (column.path.count("."), words.index(column.plain)))


# ---------------------------------------------------------------- time


def _time(columns: Sequence[Column], rows: int) -> Time | None:
    full = [column for column in columns if len(column.values) >= 0.99 * rows]
    named = _called("time", full)
    others = [c for c in full if c not in named and (_TIME.search(c.plain) or isinstance(c.values[0], str | datetime))]
    for column in [*named, *others]:
        found = _how_written(column, numbers=column in named or bool(_TIME.search(column.plain)))
        if found:
            return found
    return None


def _how_written(column: Column, *, numbers: bool) -> Time | None:
    values = column.values[:500]
    tries: list[dict[str, Any]] = [{}, *({"format": pattern} for pattern in _FORMATS)]
    digits = [float(text) for value in values if re.fullmatch(r"-?\d{9,17}(\.\d+)?", text := str(value))]
    if len(digits) == len(values) and numbers:
        middle = sorted(digits)[len(digits) // 2]
        tries = [{"unit": "s" if middle < 1e11 else "ms" if middle < 1e14 else "us"}]
    for written in tries:
        if _reads(Time(column=column.path, **written), values):
            return Time(column=column.path, **written)
        if not written.get("unit") and _reads(zoned := Time(column=column.path, zone="UTC", **written), values):
            return zoned
    return None


def _reads(how: Time, values: Sequence[Any]) -> bool:
    parse = time_parser(how)
    good = 0
    for value in values:
        try:
            good += datetime(1990, 1, 1, tzinfo=UTC) <= parse(value) < datetime(2100, 1, 1, tzinfo=UTC)
        except ValueError:
            continue
    return good >= 0.99 * len(values)


# ---------------------------------------------------------------- names and people


def _name(columns: Sequence[Column], rows: int) -> str | None:
    """Of the columns called so and filled, the first that tells events apart, else the first."""
    fitting = [
        column
        for column in _called("name", columns)
        if len(column.values) >= 0.99 * rows
        and column.distinct <= max(20, min(300, rows // 3))
        and all(isinstance(value, str) and len(value) <= 100 for value in column.values)
        and not column.share(_is_address)
    ]
    return next((column.path for column in [*(c for c in fitting if c.distinct > 1), *fitting]), None)


def _identifiers(roles: Roles, free: list[Column], sample: Sample) -> None:
    for kind in Kind:
        for column in _called(kind, free):
            if _may_be(kind, column):
                roles.identifiers[kind] = column.path
                break
    if Kind.EMAIL not in roles.identifiers:
        for column in free:
            if column.share(_is_address) > 0.8:
                roles.identifiers[Kind.EMAIL] = column.path
                break
    if Kind.USER_ID not in roles.identifiers and _anonymous(sample, roles):
        likely = [c for c in free if _PERSON.search(c.plain) and c.distinct > 1 and _is_key(c)]
        likely = [c for c in likely if c.path not in roles.identifiers.values()]
        if likely:
            roles.identifiers[Kind.USER_ID] = max(likely, key=lambda c: ("id" in c.plain, c.distinct)).path


def _anonymous(sample: Sample, roles: Roles) -> bool:
    """Whether some row names nobody."""
    readers = [reader(path) for path in roles.identifiers.values()]
    return any(all(missing(get(row)) for get in readers) for row in sample.rows)


def _may_be(kind: Kind, column: Column) -> bool:
    if kind is Kind.EMAIL:
        return column.share(lambda value: _is_address(value) or _is_hash(value)) > 0.8
    if kind is Kind.PHONE:
        return column.share(lambda value: _is_hash(value) or sum(c.isdigit() for c in str(value)) >= 6) > 0.8
    return _is_key(column)


def _is_key(column: Column) -> bool:
    return all(
        isinstance(value, str | int) or (isinstance(value, float) and value.is_integer()) for value in column.values
    )


def _is_address(value: object) -> bool:
    return isinstance(value, str) and bool(_ADDRESS.fullmatch(value.strip()))


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and bool(_SHA256.fullmatch(value.strip()))


def _consent(roles: Roles, free: list[Column]) -> None:
    for purpose in Purpose:
        for column in free:
            words = {str(value).strip().casefold() for value in column.values}
            if purpose.replace("_", "") in column.plain.replace("isation", "ization") and words <= _YES | _NO:
                roles.consent.setdefault(purpose, (column.path, tuple(sorted(words & _YES))))
