"""Settings: one ``leadup.toml``, and the environment for what is secret.

Every error names the setting, and every place that was looked in.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, TypeAlias, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, field_validator

from leadup import registry
from leadup.errors import SettingsError
from leadup.kit import ConnectionSettings, Connector
from leadup.normal import region_code

FILE_NAME = "leadup.toml"


class StateSettings(BaseModel):
    """``[state]``: where leadup keeps what it knows."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    folder: str = ".leadup"
    """Folder of the database, event files, rejects and the key; relative to ``leadup.toml``."""
    url: str = ""
    """Database URL; empty: ``sqlite:///<folder>/state.db``."""


class DaemonSettings(BaseModel):
    """``[daemon]``: how often ``leadup run`` looks. All in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    pull_every: float = Field(60.0, ge=0.1)
    """Sources are read this often."""
    watch_rules_every: float = Field(1.0, ge=0.1)
    """Rule files are looked at this often."""
    tick_at_most_every: float = Field(1.0, ge=0.05)
    """New events are judged this long after they came, so that a burst is judged once."""


class GuardSettings(BaseModel):
    """``[guards]``: limits for all audiences whose segment states none."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    max_leave: float = Field(0.3, ge=0, le=1)
    """Share of an audience that may leave at once, from 20 leaves up."""


Rate: TypeAlias = Annotated[Decimal, BeforeValidator(lambda value: str(value)), Field(gt=0, allow_inf_nan=False)]
Currency: TypeAlias = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class WebSettings(BaseModel):
    """``[web]``: where ``leadup run`` takes in what is sent to collectors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    listen: str = Field("127.0.0.1:8520", pattern=r"^(\[[0-9a-fA-F:.]+\]|[^:\s\[\]]+):\d{1,5}$")
    """Address and port; served only where a connection takes pushed events. Port 0: one that is free."""
    max_body: int = Field(1 << 20, ge=1 << 10, le=1 << 26)
    """Bytes of the largest body that is taken, packed and unpacked; a larger one is answered 413."""
    max_inbox: int = Field(1 << 28, ge=1 << 16)
    """Bytes that may wait to be read; while there are more, senders are answered 429."""


class FileSettings(BaseModel):
    """The top of ``leadup.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    rules: str | list[str] = "rules"
    """Rule files, or folders of them."""
    region: str | None = None
    """Country (ISO 3166) of phone numbers that stand without a country code."""
    state: StateSettings = StateSettings()
    daemon: DaemonSettings = DaemonSettings()
    guards: GuardSettings = GuardSettings()
    web: WebSettings = WebSettings()
    rates: dict[Currency, dict[Currency, Rate]] = {}
    """What one unit of a currency is in others, for values that count in another one: ``USD = {EUR = 0.92}``. Amounts
    are rounded half up to the minor unit."""
    connections: dict[str, dict[str, Any]] = {}
    """One table each; its ``type`` names the connector and is the table's own name when left out."""

    @field_validator("region")
    @classmethod
    def _is_a_country(cls, region: str | None) -> str | None:
        return None if region is None else region_code(region)


@dataclass(frozen=True, slots=True)
class Connection:
    """A configured connection: its connector and its own settings."""

    name: str
    connector: Connector
    settings: ConnectionSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, validated."""

    path: Path
    """The ``leadup.toml`` they came from."""
    rules: tuple[Path, ...]
    region: str | None
    """Default region of phone numbers without a country code (ISO 3166-1 alpha-2)."""
    state_folder: Path
    state_url: str
    daemon: DaemonSettings
    guards: GuardSettings
    web: WebSettings
    rates: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    """By currency, what one unit of it is in others."""
    connections: Mapping[str, Connection] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where relative paths start: the folder of ``leadup.toml``."""
        return self.path.parent


def find_file(given: str | None = None) -> Path:
    """Return the ``leadup.toml`` to use: the one given, ``LEADUP_CONFIG``, or the nearest one from here upwards.

    Raises:
        SettingsError: there is none; the text lists where it was looked for.
    """
    chosen = given or os.environ.get("LEADUP_CONFIG")
    if chosen:
        path = Path(chosen).resolve()
        if path.is_dir():
            path /= FILE_NAME
        if path.is_file():
            return path
        raise SettingsError(f"There is no file {path}.")
    here = Path.cwd()
    tried = [folder / FILE_NAME for folder in (here, *here.parents)]
    for path in tried:
        if path.is_file():
            return path
    places = "\n".join(f"    {path}" for path in tried)
    raise SettingsError(
        f"There is no {FILE_NAME}. Looked in:\n    --config, LEADUP_CONFIG (not set)\n{places}\n"
        "  What to do: run `leadup init` here, or `leadup init --from EVENTS` to start from your own data."
    )


def load_settings(path: Path, *, secrets: bool = True) -> Settings:
    """Read ``path``, fill secrets from the environment, and check everything.

    ``secrets`` False: they may be missing, as where rules are reviewed. Such settings serve to look at, not to connect.

    Raises:
        SettingsError: something is missing or wrong; all that was found is listed.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: this is not TOML: {error}") from None
    try:
        file = FileSettings.model_validate(raw)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(str(path), FileSettings, error, ()))) from None

    problems: list[str] = []
    connections: dict[str, Connection] = {}
    for name, table in file.connections.items():
        try:
            connections[name] = connect(name, table, str(path), secrets=secrets)
        except SettingsError as error:
            problems.append(str(error))
    if secrets:
        problems += _not_together(connections.values(), str(path))
    if problems:
        raise SettingsError("\n".join(problems))

    folder = path.parent
    rules = [file.rules] if isinstance(file.rules, str) else file.rules
    state = (folder / file.state.folder).resolve()
    return Settings(
        path=path,
        rules=tuple((folder / entry).resolve() for entry in rules),
        region=file.region,
        state_folder=state,
        state_url=_absolute(file.state.url, folder) if file.state.url else f"sqlite:///{state / 'state.db'}",
        daemon=file.daemon,
        guards=file.guards,
        web=file.web,
        rates=file.rates,
        connections=connections,
    )


def connect(name: str, table: Mapping[str, Any], place: str, *, secrets: bool = True) -> Connection:
    """Validate one ``[connections.NAME]`` table; ``place`` is the file's name for messages. ``secrets``: see above.

    Each field is looked for in the environment (``LEADUP_<NAME>_<FIELD>``), in the file named by ``<field>_file``, and,
    unless it is a secret, in the table itself.

    Raises:
        SettingsError: a field is missing, wrong or unknown, or a secret stands in the table.
    """
    connector = registry.find(str(table.get("type", name)))
    model: type[ConnectionSettings] = registry.load(connector.settings)
    values = {key: value for key, value in table.items() if key != "type"}
    looked: dict[str, list[str]] = {}
    for key, info in model.model_fields.items():
        secret = is_secret(info.annotation)
        variable = f"LEADUP_{name}_{key}".upper().replace("-", "_")
        looked[key] = [f"environment variable {variable}"]
        file_name = values.pop(f"{key}_file", None) if secret else None
        if secret:
            looked[key].append(
                f"{place}: connections.{name}.{key}_file" + (f" = {file_name!r}" if file_name else " (not set)")
            )
        else:
            looked[key].append(f"{place}: connections.{name}.{key}")
        if secret and key in values:
            raise SettingsError(
                f"{place}: connections.{name}.{key} is a secret and does not belong in this file.\n"
                f'  What to do: set {variable}, or write {key}_file = "path of a file that holds it".'
            )
        if variable in os.environ:
            values[key] = os.environ[variable]
        elif file_name:
            secret_path = Path(place).parent / str(file_name)
            if not secret_path.is_file():
                if not secrets:
                    continue
                raise SettingsError(f"{place}: connections.{name}.{key}_file: there is no file {secret_path}.")
            values[key] = secret_path.read_text(encoding="utf-8").strip()
    try:
        return Connection(name, connector, model.model_validate(values))
    except ValidationError as error:
        if not secrets and all(_lacks_secret(model, problem) for problem in error.errors()):
            return Connection(name, connector, model.model_construct(**values))
        problems = _explain(place, model, error, ("connections", name), looked)
        raise SettingsError("\n".join(problems)) from None


def _not_together(connections: Iterable[Connection], place: str) -> Iterator[str]:
    """Say which connections of one connector can not be used together, and why."""
    for _, some in groupby(sorted(connections, key=lambda one: one.connector.name), key=lambda one: one.connector.name):
        found = {connection.name: connection.settings for connection in some}
        if len(found) > 1:
            try:
                type(next(iter(found.values()))).check_together(found)
            except ValueError as error:
                yield f"{place}: {error}"


def _lacks_secret(model: type[BaseModel], problem: Mapping[str, Any]) -> bool:
    field = model.model_fields.get(str(problem["loc"][0])) if problem["loc"] else None
    return problem["type"] == "missing" and field is not None and is_secret(field.annotation)


def is_secret(annotation: Any) -> bool:
    """Whether a field of this type holds a secret."""
    return annotation is SecretStr or SecretStr in get_args(annotation)


def _absolute(url: str, folder: Path) -> str:
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/") and ":memory:" not in url:
        return prefix + str((folder / url.removeprefix(prefix)).resolve())
    return url


def _explain(
    place: str,
    model: type[BaseModel],
    error: ValidationError,
    prefix: tuple[str, ...],
    looked: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """Say each problem in plain words, without what was entered (it may be secret)."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        location = [str(part) for part in problem["loc"]]
        name = ".".join([*prefix, *location])
        if problem["type"] == "extra_forbidden":
            known = _fields(model, location[:-1])
            near = get_close_matches(location[-1], known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            lines.append(f"{place}: {name} is not a setting.{hint} Known here: {', '.join(sorted(known))}.")
        elif problem["type"] == "missing":
            places = (looked or {}).get(location[0], [f"{place}: {name}"]) if location else [place]
            lines.append(f"The setting {name} is missing. Looked in:\n" + "\n".join(f"    {p}" for p in places))
        elif problem["type"] in ("tuple_type", "list_type"):
            lines.append(f'{place}: {name}: write a list: {location[-1] if location else name} = ["..."].')
        else:
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{place}: {name}: {message[:1].lower()}{message[1:]}.")
    return lines


def _fields(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    current: Any = model
    for part in path:
        info = getattr(current, "model_fields", {}).get(part)
        candidates = [] if info is None else [info.annotation, *get_args(info.annotation)]
        current = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
        if current is None:
            return []
    return list(current.model_fields)
