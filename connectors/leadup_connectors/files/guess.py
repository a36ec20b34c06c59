"""The mapping behind ``leadup init --from FILE``: looks at a sample, says what it saw, and writes settings and rules.

A guess is for a person to look over: each line says what it rests on. Values of identifiers are never shown.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leadup.errors import NeedsHuman
from leadup.kit import parse_record
from leadup.types import Event, Kind, Purpose
from leadup_connectors.files.first_rules import first_rules
from leadup_connectors.files.mapping import Mapper
from leadup_connectors.files.roles import Roles, find_roles
from leadup_connectors.files.sample import Sample, look
from leadup_connectors.files.settings import FilesSettings

_SHOWN = 12
_CONTAINERS = ("properties", "event_properties", "params", "attributes", "data", "traits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What a file seems to hold."""

    toml: str
    """The table ``[connections.NAME]``, with comments."""
    rules: str
    """A first rule file (YAML)."""
    summary: str
    """For a person: what was seen, and what to look at."""
    events: Mapping[str, int]
    """Event names of the sample, the most frequent first."""


def guess(path: Path, name: str) -> Guess:
    """Return a mapping for the file at ``path``, which goes into the settings as it is, for a connection ``name``.

    Raises:
        NeedsHuman: the file can not be read, or no column looks like a time or names a person.
    """
    sample = look(path)
    if _is_documented(sample):
        return _write(path, name, sample, None, {"path": path.as_posix()})
    roles = find_roles(sample)
    lacking = [
        what for what, found in (("a time", roles.time), ("a person's identifier", roles.identifiers)) if not found
    ]
    if lacking:
        raise NeedsHuman(
            f"No column of {path} looks like {' or '.join(lacking)}. Its columns: {', '.join(sample.columns)}.",
            todo=f"Write [connections.{name}] yourself, as docs/how-to/files.md shows.",
        )
    return _write(path, name, sample, roles, _table(path, sample, roles))


def _is_documented(sample: Sample) -> bool:
    """Whether the rows are leadup's own JSONL, which needs no mapping."""
    if sample.format != "jsonl":
        return False
    good = 0
    for row in sample.rows:
        try:
            good += bool(parse_record(row, source="", fallback_id="row"))
        except ValueError:
            continue
    return good > len(sample.rows) / 2


# ---------------------------------------------------------------- settings


def _table(path: Path, sample: Sample, roles: Roles) -> dict[str, Any]:
    """The connection's settings, as ``FilesSettings`` takes them."""
    assert roles.time is not None
    table: dict[str, Any] = {"path": path.as_posix()}
    if not sample.named:
        table["format"] = sample.format
    if sample.encoding != "utf-8":
        table["encoding"] = sample.encoding
    if properties := _properties(sample, roles):
        table["properties"] = properties
    table["columns"] = {
        **({"id": roles.id} if roles.id else {}),
        "name": roles.name or {"constant": re.sub(r"\W+", "_", path.name.split(".")[0]).strip("_") or "event"},
        "time": roles.time.model_dump(exclude_none=True),
    }
    table["identifiers"] = {kind.value: column for kind, column in roles.identifiers.items()}
    if roles.click_ids:
        table["click_ids"] = dict(roles.click_ids)
    if roles.consent:
        table["consent"] = {
            purpose.value: {"column": column, "granted": list(granted)}
            for purpose, (column, granted) in roles.consent.items()
        }
    return table


def _properties(sample: Sample, roles: Roles) -> list[str]:
    """Empty where all other columns may become properties; else those that may, without objects and addresses."""
    if not sample.containers and not roles.personal:
        return []
    used = {roles.id, roles.name, *roles.identifiers.values(), *roles.click_ids.values(), *roles.personal}
    used |= {roles.time.column if roles.time else None, *(column for column, _ in roles.consent.values())}
    inside = [c for c in sample.containers if c.rsplit(".", 1)[-1] in _CONTAINERS and not _holds_any(c, roles.personal)]
    names: dict[str, str] = {}
    for path in sample.columns:
        if path not in used and not _holds_any(path, inside, below=True):
            names.setdefault(path.rsplit(".", 1)[-1], path)
    return [*(f"{container}.*" for container in inside), *names.values()]


def _holds_any(path: str, others: list[str], *, below: bool = False) -> bool:
    """Whether one of ``others`` lies in ``path``; ``below``: whether ``path`` lies directly in one of them."""
    if below:
        return path.rpartition(".")[0] in others
    return any(other.startswith(f"{path}.") for other in others)


def _write(path: Path, name: str, sample: Sample, roles: Roles | None, table: dict[str, Any]) -> Guess:
    settings = FilesSettings.model_validate(table)
    events, facts, reasons = _try(sample, settings)
    return Guess(
        toml="\n".join(_toml(name, sample, roles, table, len(events))) + "\n",
        rules=first_rules(events),
        summary="\n".join(_summary(path, sample, roles, events, facts, reasons)),
        events=events,
    )


def _try(sample: Sample, settings: FilesSettings) -> tuple[dict[str, int], int, Counter[str]]:
    """Read the sample with the settings: event names with their counts, the number of facts, and why rows fail."""
    mapper = Mapper("", settings, settings.columns) if settings.columns else None
    events: Counter[str] = Counter()
    reasons: Counter[str] = Counter({"they can not be read": sample.unread} if sample.unread else {})
    facts = 0
    for row in sample.rows:
        try:
            record = mapper.record(row, str) if mapper else parse_record(row, source="", fallback_id="")
        except ValueError as error:
            reasons[str(error)] += 1
            continue
        if isinstance(record, Event):
            events[record.name] += 1
        else:
            facts += 1
    return dict(events.most_common()), facts, reasons


def _toml(name: str, sample: Sample, roles: Roles | None, table: dict[str, Any], names: int) -> Iterator[str]:
    here = f"connections.{name if re.fullmatch('[A-Za-z0-9_-]+', name) else _text(name)}"
    yield f"[{here}]"
    yield 'type = "files"'
    for key in ("path", "format", "encoding", "properties"):
        if key in table:
            yield f"{key} = {_value(table[key])}"
    if roles is None:
        yield "# The file is leadup's own JSONL: nothing needs to be mapped."
        return
    if "properties" not in table:
        yield '# properties = "*": every column that is not named below becomes a property under its own name'
    yield ""
    yield f"[{here}.columns]"
    if not roles.id:
        yield "# id: no column is different in every row, so an event's id is a hash of its row"
    for key, value in table["columns"].items():
        yield f"{key} = {_value(value)}{_comment(key, sample, roles, names)}"
    yield ""
    yield f"[{here}.identifiers]"
    for key, column in table["identifiers"].items():
        yield f"{key} = {_text(column)}  # {sample.columns[column].distinct:,} different"
    for key in ("click_ids", "consent"):
        if key in table:
            yield ""
            yield f"[{here}.{key}]"
            yield from (f"{name} = {_value(value)}" for name, value in table[key].items())
    if "consent" not in table:
        yield ""
        yield f"# [{here}.consent]  # no column says it; state it only if it holds for every row"
        yield from (f'# {purpose} = "granted"' for purpose in Purpose)


def _comment(key: str, sample: Sample, roles: Roles, names: int) -> str:
    if key == "id":
        return "  # different in every row"
    if key == "name":
        return (
            f"  # {names:,} different" if roles.name else "  # no column looks like an event's name: say what a row is"
        )
    if roles.time and roles.time.zone:
        return "  # CHECK the zone: the times have no offset, and UTC is a guess"
    return "  # numbers since 1970" if roles.time and roles.time.unit else "  # with an offset, as it should be"


def _value(value: Any) -> str:
    """A TOML value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return _text(value)


def _text(text: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# ---------------------------------------------------------------- summary


def _summary(
    path: Path, sample: Sample, roles: Roles | None, events: Mapping[str, int], facts: int, reasons: Counter[str]
) -> Iterator[str]:
    rows = len(sample.rows) + sample.unread
    yield f"{path.name}: {sample.format}, {len(sample.columns)} columns; looked at the first {rows:,} rows."
    if roles is None:
        yield "It is leadup's own JSONL."
    else:
        yield from _roles(sample, roles)
    if events:
        names = [f"{_shown(event)} {count:,}" for event, count in list(events.items())[:_SHOWN]]
        more = f", and {len(events) - _SHOWN} more" if len(events) > _SHOWN else ""
        yield f"Events: {', '.join(names)}{more}."
    read = sum(events.values()) + facts
    yield f"{read:,} of the {rows:,} rows become events or facts" + ("." if not reasons else "; the others do not:")
    yield from (f"  {count:,} rows: {reason}" for reason, count in reasons.most_common(3))


def _roles(sample: Sample, roles: Roles) -> Iterator[str]:
    time = roles.time
    assert time is not None
    written = f"numbers in {time.unit}" if time.unit else time.format or "ISO 8601"
    yield f"  time        {time.column} ({written})" + (", no offset: UTC is a guess, check it" if time.zone else "")
    yield f"  event name  {roles.name or 'no column: one constant name, choose it'}"
    yield f"  id          {roles.id or 'no column: a hash of the row'}"
    for kind in Kind:
        if column := roles.identifiers.get(kind):
            yield f"  {kind:<11} {column} ({sample.columns[column].distinct:,} different)"
    for name, column in roles.click_ids.items():
        yield f"  {name:<11} {column}"
    for purpose, (column, _) in roles.consent.items():
        yield f"  consent     {purpose}: {column}"
    if roles.personal:
        yield f"  left out    {', '.join(roles.personal)} (personal data without a role)"


def _shown(event: str) -> str:
    return "(an address)" if "@" in event else event
