"""What HubSpot's answers say of records, pipelines and forms: the parts that the source reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from leadup_connectors.hubspot.answers import reading

WHAT = "read records"


@dataclass(frozen=True, slots=True)
class Record:
    """A contact or deal. Properties without a value are left out."""

    id: str
    properties: Mapping[str, str]
    archived_at: datetime | None = None

    @classmethod
    def read(cls, answer: Any) -> Record:
        """Read one of an answer's ``results``."""
        with reading(WHAT):
            given = {name: str(value) for name, value in answer["properties"].items() if value not in (None, "")}
            archived = answer.get("archivedAt") if answer.get("archived") else None
            return cls(str(answer["id"]), given, instant(archived) if archived else None)

    def instant(self, name: str) -> datetime:
        """The instant that a property holds.

        Raises:
            ValueError: it holds none.
        """
        if name not in self.properties:
            raise ValueError(f"{name} is missing")
        try:
            return instant(self.properties[name])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    def several(self, name: str) -> list[str]:
        """The values of a property that holds several, separated by semicolons."""
        return [value for one in self.properties.get(name, "").split(";") if (value := one.strip())]


@dataclass(frozen=True, slots=True)
class Found:
    """A page of records."""

    records: Sequence[Record]
    after: str | None
    """Where the next page begins; None: this is the last."""

    @classmethod
    def read(cls, answer: Any) -> Found:
        """Read a page."""
        with reading(WHAT):
            return cls([Record.read(one) for one in answer["results"]], after_of(answer))


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a pipeline of deals."""

    id: str
    label: str
    pipeline: str
    pipeline_label: str
    won: bool
    lost: bool

    @classmethod
    def all(cls, answer: Any) -> dict[str, Stage]:
        """Read all pipelines; stages by id. A closed stage is won with probability 1, else lost."""
        with reading("read the pipelines"):
            return {
                str(stage["id"]): cls(
                    str(stage["id"]),
                    str(stage["label"]),
                    str(pipeline["id"]),
                    str(pipeline["label"]),
                    won=_is_closed(stage) and _probability(stage) == 1,
                    lost=_is_closed(stage) and _probability(stage) != 1,
                )
                for pipeline in answer["results"]
                for stage in pipeline["stages"]
            }


@dataclass(frozen=True, slots=True)
class Linked:
    """A contact that a deal is associated with."""

    contact: str
    primary: bool
    """One of the association's labels calls it so."""

    @classmethod
    def all(cls, answer: Any) -> dict[str, list[Linked]]:
        """Read a batch of associations, by the record that they are of; who has none is left out."""
        with reading("read who belongs to deals"):
            return {
                str(one["from"]["id"]): [
                    cls(
                        str(to["toObjectId"]),
                        any("primary" in str(kind.get("label")).casefold() for kind in to["associationTypes"]),
                    )
                    for to in one["to"]
                ]
                for one in answer["results"]
                if one["to"]
            }


@dataclass(frozen=True, slots=True)
class Form:
    """A form."""

    id: str
    name: str
    fields: frozenset[str]
    """Names of its fields, those that show for some answers only included; empty where HubSpot tells none."""

    @classmethod
    def read(cls, answer: Any) -> Form:
        """Read one of an answer's ``results``."""
        fields: list[Any] = [field for group in answer.get("fieldGroups") or () for field in group.get("fields") or ()]
        fields += [one["dependentField"] for field in fields for one in field.get("dependentFields") or ()]
        return cls(str(answer["id"]), str(answer.get("name") or ""), frozenset(str(field["name"]) for field in fields))


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody sent by a form."""

    id: str
    """HubSpot's id of it; empty where it gives none."""
    at: int
    """Milliseconds."""
    page: str
    values: Mapping[str, str] = field(repr=False)
    """By field. Of a field with several values the last one."""

    @classmethod
    def read(cls, answer: Any) -> Submission:
        """Read one of an answer's ``results``."""
        with reading("read what forms brought"):
            values = {str(one["name"]): str(one["value"]) for one in answer["values"] if one.get("value") is not None}
            page = str(answer.get("pageUrl") or "")
            return cls(str(answer.get("conversionId") or ""), int(answer["submittedAt"]), page, values)


def instant(text: str) -> datetime:
    """Return an instant that HubSpot writes as ISO 8601, as a date (its midnight in UTC) or as milliseconds.

    Raises:
        ValueError: it is none.
    """
    try:
        if text.removeprefix("-").isdecimal():
            return from_milliseconds(int(text))
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text[:40]!r} is no instant") from None


def milliseconds(at: datetime) -> int:
    """Return an instant as HubSpot counts: whole milliseconds since 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def from_milliseconds(count: int) -> datetime:
    """The reverse of :func:`milliseconds`."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=count)


def after_of(answer: Any) -> str | None:
    """Where the next page begins."""
    after = ((answer.get("paging") or {}).get("next") or {}).get("after")
    return None if after is None else str(after)


def _is_closed(stage: Mapping[str, Any]) -> bool:
    return str((stage.get("metadata") or {}).get("isClosed")).lower() == "true"


def _probability(stage: Mapping[str, Any]) -> float:
    return float((stage.get("metadata") or {}).get("probability") or 0)
