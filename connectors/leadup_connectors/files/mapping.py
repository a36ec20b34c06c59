"""Rows to events and facts, as the settings say. A row that can not become one raises ``ValueError``: the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isinf, isnan
from typing import Any, TypeAlias

from leadup.kit import did_you_mean, identify
from leadup.types import Consent, Event, Fact, Identifier, Json
from leadup_connectors.files.settings import Column, Columns, ConsentColumn, FilesSettings
from leadup_connectors.files.times import time_parser

Row: TypeAlias = Mapping[str, Any]
Get: TypeAlias = Callable[[Row], Any]

_SCALARS = (str, int, bool)
_PEOPLE = 10_000


class Mapper:
    """Turns rows into records of one connection."""

    def __init__(self, connection: str, settings: FilesSettings, columns: Columns) -> None:
        self._source = connection
        self._id = reader(columns.id) if columns.id else None
        self._name = _value_of(columns.name) if columns.name else None
        self._time = reader(columns.time.column)
        self._no_time = f'no time: column "{columns.time.column}" is empty'
        self._parse_time = time_parser(columns.time)
        self._kinds = [(kind.value, reader(column)) for kind, column in settings.identifiers.items()]
        self._click_ids = [(kind, reader(column)) for kind, column in settings.click_ids.items()]
        self._stated = {purpose: how for purpose, how in settings.consent.items() if isinstance(how, bool)}
        self._asked = [(p, _statement(how)) for p, how in settings.consent.items() if not isinstance(how, bool)]
        self._facts = [(trait, _value_of(column)) for trait, column in settings.facts.items()]
        self._named = [(name, _value_of(column)) for name, column in settings.properties.named.items()]
        self._all = "" in settings.properties.all_of
        used = [*_columns(settings, columns), *filter(None, settings.properties.all_of)]
        self._used = frozenset(used) | frozenset(path.split(".")[0] for path in used)
        self._inside = [(reader(path), _used_in(path, used)) for path in settings.properties.all_of if path]
        self._only = self._kinds[0] if len(self._kinds) == 1 else None
        self._people: dict[str, tuple[Identifier, ...]] = {}

    def needs_id(self, row: Row) -> bool:
        """Whether the row becomes an event and brings no id of its own."""
        try:
            return not self._facts and (self._id is None or not text(self._id(row)))
        except ValueError:
            return False

    def record(self, row: Row, fallback_id: Callable[[], str]) -> Event | Fact:
        """Return the record a row describes. ``fallback_id`` is called if, and only if, the row needs an id.

        Raises:
            ValueError: it has no time, no name or no identifier, or one of them can not be read.
        """
        id_ = "" if self._facts else (text(self._id(row)) if self._id else "") or fallback_id()
        moment = self._time(row)
        if not moment and missing(moment):
            raise ValueError(self._no_time)
        at = self._parse_time(moment)
        identifiers = self._who(row)
        consent = self._consent(row) if self._asked else self._stated
        if self._facts:
            facts = {trait: plain(value) for trait, get in self._facts if not missing(value := get(row))}
            if not facts and not consent:
                raise ValueError("no fact: all columns of facts are empty")
            return Fact(source=self._source, at=at, identifiers=identifiers, facts=facts, consent=consent)
        name = text(self._name(row)) if self._name else ""
        if not name:
            raise ValueError("no name: the event's name is empty")
        return Event(
            source=self._source,
            id=id_,
            name=name,
            at=at,
            identifiers=identifiers,
            properties=self._properties(row),
            click_ids=self._clicked(row) if self._click_ids else {},
            consent=consent,
        )

    def _who(self, row: Row) -> tuple[Identifier, ...]:
        """The identifiers. Where there is one column, the last people are kept, so that their rows share one object."""
        if self._only is None:
            return identify({kind: value for kind, get in self._kinds if (value := text(get(row)))})[0]
        kind, get = self._only
        value = text(get(row))
        known = self._people.get(value)
        if known is None:
            if len(self._people) >= _PEOPLE:
                self._people.clear()
            known = self._people[value] = identify({kind: value})[0]
        return known

    def _clicked(self, row: Row) -> dict[str, str]:
        return {kind: clicked for kind, get in self._click_ids if (clicked := text(get(row)))}

    def _consent(self, row: Row) -> Consent:
        said = {purpose: granted for purpose, get in self._asked if (granted := get(row)) is not None}
        return self._stated | said

    def _properties(self, row: Row) -> dict[str, Json]:
        found: dict[str, Json] = {}
        if self._all:
            used = self._used
            for name, value in row.items():
                if name in used:
                    continue
                if type(value) is str:
                    if value:
                        found[name] = value
                elif not missing(value):
                    found[name] = plain(value)
        for get, used in self._inside:
            nested = get(row)
            if isinstance(nested, Mapping):
                found |= {n: plain(v) for n, v in nested.items() if n not in used and not missing(v)}
        for name, get in self._named:
            if not missing(value := get(row)):
                found[name] = plain(value)
        return found


# ---------------------------------------------------------------- columns


def unknown_columns(settings: FilesSettings, columns: Collection[str], *, required_only: bool = False) -> list[str]:
    """Say of each configured column that is not among ``columns`` that it is not, and which one is near.

    ``required_only`` asks for the time and the name alone, for files in which a column may be absent from a row.
    """
    assert settings.columns is not None
    name = settings.columns.name
    wanted: Iterable[str] = _columns(settings, settings.columns)
    if required_only:
        wanted = [settings.columns.time.column, *([name.column] if name and name.column else [])]
    return [
        f'there is no column "{path}"{did_you_mean(path, columns)}'
        for path in dict.fromkeys(wanted)
        if path not in columns and path.split(".")[0] not in columns
    ]


def _columns(settings: FilesSettings, columns: Columns) -> list[str]:
    """All columns that the settings name."""
    values = [columns.name, *settings.properties.named.values(), *settings.facts.values()]
    return [
        *filter(None, [columns.id]),
        columns.time.column,
        *(value.column for value in values if value is not None and value.column),
        *settings.identifiers.values(),
        *settings.click_ids.values(),
        *(how.column for how in settings.consent.values() if isinstance(how, ConsentColumn)),
    ]


def _used_in(path: str, used: Iterable[str]) -> frozenset[str]:
    """Names directly in ``path`` that ``used`` paths lead to or through."""
    return frozenset(other[len(path) + 1 :].split(".")[0] for other in used if other.startswith(f"{path}."))


def reader(path: str) -> Get:
    """Return a function that reads a column, or what lies at a dotted path in one; None where there is nothing."""
    steps = path.split(".")
    if len(steps) == 1:
        return lambda row: row.get(path)

    def dig(row: Row) -> Any:
        if path in row:
            return row[path]
        value: Any = row
        for step in steps:
            if isinstance(value, str):
                value = _json(value)
            if isinstance(value, Mapping):
                value = value.get(step)
            elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
                value = value[int(step)]
            else:
                return None
        return value

    return dig


def _json(cell: str) -> Any:
    """What a cell that holds JSON says."""
    if not cell.startswith(("{", "[")):
        return None
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return None


def _value_of(column: Column) -> Get:
    constant = column.constant
    return reader(column.column) if constant is None else lambda _: constant


def _statement(how: ConsentColumn) -> Callable[[Row], bool | None]:
    get, granted = reader(how.column), frozenset(how.granted)

    def said(row: Row) -> bool | None:
        answer = text(get(row)).casefold()
        return answer in granted if answer else None

    return said


# ---------------------------------------------------------------- values


def missing(value: Any) -> bool:
    """Whether a cell says nothing: absent, null, empty, or a float that is no number (pandas' null)."""
    return value is None or value == "" or (isinstance(value, float) and value != value)


def text(value: Any) -> str:
    """Return a cell as trimmed text; 1234.0 (a whole number in a column of floats) is ``1234``.

    Raises:
        ValueError: it holds an object or a list.
    """
    if isinstance(value, str):
        return value.strip()
    if missing(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Mapping | list):
        raise ValueError(  # noqa: TRY004 - the data's mistake
            "an object or a list stands where a text is expected; name a path inside it, e.g. user.id"
        )
    return str(plain(value))


def plain(value: Any) -> Json:
    """Return a cell as JSON; times become ISO 8601, decimals keep their digits as text, NaN is null.

    Raises:
        ValueError: a number is infinite.
    """
    if value is None or isinstance(value, _SCALARS):
        return value
    if isinstance(value, float):
        if isinf(value):
            raise ValueError("a number is infinite")
        return None if isnan(value) else value
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return str(value)
    return bytes(value).hex() if isinstance(value, bytes | bytearray) else str(value)
