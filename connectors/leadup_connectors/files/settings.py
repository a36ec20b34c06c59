"""Settings of a files connection: which files, and which of their columns say what.

A column is named as the file names it. In JSON lines and Parquet, and in CSV cells that hold JSON, a dotted path leads
inside: ``context.page.path``, ``items.0.sku``.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from leadup.kit import ConnectionSettings, did_you_mean
from leadup.types import CLICK_IDS, Kind, Purpose

Format = Literal["csv", "jsonl", "parquet"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _short(value: Any) -> Any:
    """``"column"`` is short for ``{column = "column"}``."""
    return {"column": value} if isinstance(value, str) else value


class Column(_Table):
    """``"column"``, ``{column = "column"}``, or a constant for every row: ``{constant = "page_view"}``."""

    column: str = Field("", min_length=1)
    constant: str | int | float | bool | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.column) == (self.constant is not None):
            raise ValueError('give a column, e.g. "event", or a constant, e.g. {constant = "page_view"}')
        return self


def _zone(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        hint = did_you_mean(name, known) if known else "; this machine has no time zones: pip install tzdata"
        raise ValueError(f"{name!r} is no time zone{hint}; zones are named as in Europe/Berlin or UTC") from None
    return name


def _time_format(pattern: str | None) -> str | None:
    if pattern is not None and "%" not in pattern:
        raise ValueError(f"{pattern!r} is not in strptime's notation; write e.g. %d.%m.%Y %H:%M")
    if pattern is not None:
        try:  # a pattern that can not read what it writes reads nothing
            datetime.strptime(datetime(2000, 1, 2, tzinfo=UTC).strftime(pattern), pattern)  # noqa: DTZ007
        except ValueError as error:
            raise ValueError(f"{pattern!r} is no time format: {error}") from None
    return pattern


class Time(_Table):
    """Where the time stands, and how it is written. ISO 8601 needs no more than the column."""

    column: str = Field(min_length=1)
    zone: Annotated[str | None, AfterValidator(_zone)] = None
    """The zone of times written without an offset. There is no default: a wrong guess shifts every rule."""
    unit: Literal["s", "ms", "us"] | None = None
    """For numbers: seconds, milliseconds or microseconds since 1970-01-01T00:00Z."""
    format: Annotated[str | None, AfterValidator(_time_format)] = None
    """For anything else, in the notation of Python's ``strptime``: ``%d.%m.%Y %H:%M``."""

    @model_validator(mode="after")
    def _one_notation(self) -> Self:
        if self.unit and (self.format or self.zone):
            raise ValueError("unit is for numbers, which count from 1970 in UTC; zone and format do not go with it")
        return self


class Columns(_Table):
    """The columns every row has."""

    id: str | None = Field(None, min_length=1)
    """Left out, or empty in a row: a hash of the row and its number among equal rows."""
    name: Annotated[Column, BeforeValidator(_short)] | None = None
    time: Annotated[Time, BeforeValidator(_short)]


class ConsentColumn(_Table):
    """A column that says whether consent was given. An empty cell means that nobody asked."""

    column: str = Field(min_length=1)
    granted: Annotated[tuple[str, ...], BeforeValidator(lambda v: tuple(_word(x) for x in _listed(v)))] = (
        "granted",
        "true",
        "yes",
        "1",
    )
    """What means granted, in any case; every other value means denied."""


def _word(value: object) -> str:
    return str(value).strip().casefold()


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _consent(value: Any) -> Any:
    if isinstance(value, str) and value not in ("granted", "denied"):
        raise ValueError('write "granted" or "denied" for every row, or {column = "..."}')
    return {"granted": True, "denied": False}.get(value, value) if isinstance(value, str) else value


class Properties(_Table):
    """Which columns become properties."""

    all_of: tuple[str, ...] = ()
    """``""`` for all columns that nothing else uses, a path for all that lies in it."""
    named: Mapping[str, Column] = {}


def _properties(value: Any) -> Any:
    """Spell out ``"*"``, ``["plan", "context.*"]`` and ``{plan = "Plan"}``."""
    if isinstance(value, Mapping):
        return {"named": {name: _short(column) for name, column in value.items()}}
    if not isinstance(value, str | list | tuple):
        return value
    stars: list[str] = []
    named: dict[str, Any] = {}
    for item in _listed(value):
        if not isinstance(item, str) or not item:
            raise ValueError('write "*", a list of columns, or a table of property = "column"')
        if item == "*" or item.endswith(".*"):
            stars.append(item.removesuffix("*").removesuffix("."))
            continue
        name = item.rsplit(".", 1)[-1]
        if name in named:
            raise ValueError(f'two columns would become the property "{name}"; name them in a table')
        named[name] = {"column": item}
    return {"all_of": stars, "named": named}


def _known(words: tuple[str, ...], what: str) -> BeforeValidator:
    """Refuse a table's keys that are none of ``words``, and name the nearest."""

    def check(value: Any) -> Any:
        for key in value if isinstance(value, Mapping) else ():
            if key not in words:
                raise ValueError(f'"{key}" is no {what}{did_you_mean(str(key), words)}; known: {", ".join(words)}')
        return value

    return BeforeValidator(check)


_KINDS = _known(tuple(kind.value for kind in Kind), "kind of identifier")
_CLICK_IDS = _known(CLICK_IDS, "click id")
_PURPOSES = _known(tuple(purpose.value for purpose in Purpose), "purpose of consent")
_ColumnName = Annotated[str, Field(min_length=1)]


class FilesSettings(ConnectionSettings):
    """One ``[connections.NAME]`` table with ``type = "files"``. Without ``columns`` the files are leadup JSONL."""

    path: str = Field(min_length=1)
    """A file, a folder (read with all its subfolders) or a glob; relative to the folder of ``leadup.toml``."""
    format: Format | None = None
    """Left out, it follows from the file's name: .csv .tsv .jsonl .ndjson .json .parquet, and the same with .gz."""
    encoding: Literal["utf-8", "cp1252", "latin-1"] = "utf-8"
    """Of CSV files."""
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    """Of CSV files. Left out, it is the one of , ; tab | that splits the header into most columns."""
    columns: Columns | None = None
    identifiers: Annotated[Mapping[Kind, _ColumnName], _KINDS] = {}
    properties: Annotated[Properties, BeforeValidator(_properties)] = Properties(all_of=("",))
    click_ids: Annotated[Mapping[str, _ColumnName], _CLICK_IDS] = {}
    consent: Annotated[Mapping[Purpose, Annotated[bool | ConsentColumn, BeforeValidator(_consent)]], _PURPOSES] = {}
    facts: Mapping[str, Annotated[Column, BeforeValidator(_short)]] = {}
    """Trait to column: each row is then a fact about a person, dated by ``columns.time``, and not an event."""
    settle: float = Field(5.0, ge=0)
    """Seconds a file has to rest before a last line without its end is taken as whole."""
    page_size: int = Field(5_000, ge=1, le=50_000)
    """Most rows a page holds."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.columns is None:
            stray = sorted({"identifiers", "properties", "click_ids", "consent", "facts"} & self.model_fields_set)
            if stray:
                raise ValueError(
                    f"{', '.join(stray)} without columns: add columns = {{name = ..., time = ...}},"
                    " or leave both out for leadup JSONL"
                )
            return self
        if not self.identifiers:
            raise ValueError(f"identifiers is missing: say which column names the person, as one of {', '.join(Kind)}")
        if not self.facts and self.columns.name is None:
            raise ValueError('columns.name is missing: the column that names the event, or {constant = "page_view"}')
        if self.facts and (self.columns.name or self.columns.id):
            raise ValueError("facts are told of a person, not of an event: columns.name and columns.id do not go here")
        if self.facts and {"properties", "click_ids"} & self.model_fields_set:
            raise ValueError("facts have no properties or click_ids")
        return self
